// Where the elements of a hash are when they are in no chain.
//
// At every moment an element is linked (ELEMENT_LINKED), or in the hands of one CPU (its sign), or free (0):
// on a free list, or never used. A CPU marks an element before it unlinks or takes it, and after it has
// linked or given it, so that whatever a CPU that dies leaves behind bears its sign (see recover.ts).
//
// Each CPU has a ring of elements in hand: what it unlinks rests there while it unlinks as many again, since
// a program elsewhere may still hold a pointer to the value; and a key that is there already is replaced
// from it, which so never fails for want of elements.
import {
  AREA_BYTES, AREA_END, AREA_FREE, AREA_GROW_END, AREA_GROW_LOCK, AREA_GROWN, AREA_LOCK, AREA_NEXT, AREA_RING,
  AREA_RING_POSITION, AREA_RING_SLOTS, ELEMENT_GENERATION, ELEMENT_HASH, ELEMENT_HOLDER, ELEMENT_KEY, ELEMENT_LINK,
  HASH_AREAS, HASH_CHUNK, HASH_CPUS, HASH_ELEMENTS, HASH_OWN, HASH_STRIDE, HASH_TOTAL, HASH_VALUE, MAP_CPU_STRIDE,
  MAP_DATA, MAP_KEY_SIZE, MAP_TYPE, MAP_VALUE_STRIDE,
} from "../../memory/layout";
import { BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH } from "../uapi";
import { copy, cpu, lock, me, unlock } from "./memory";
import { copyValue, writeCopies, writeOwnCopy } from "./value";

@inline export function isLru(map: usize): bool {
  const type = load<u32>(map, MAP_TYPE);
  return type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}
/** Does an element hold the address of the copies of its value? */
@inline export function isPerCpu(map: usize): bool { return load<u32>(map, MAP_CPU_STRIDE) != 0; }
@inline export function areaOf(map: usize, index: u32): usize {
  return load<u32>(map, HASH_AREAS) + index * AREA_BYTES;
}
/** CPUs that have areas. */
@inline export function areaCount(map: usize): u32 { return load<u32>(map, HASH_CPUS); }
/** Elements of each CPU's own part, or 0 where there are none. */
@inline export function ownCount(map: usize): u32 { return load<u32>(map, HASH_OWN); }
@inline export function sharedArea(map: usize): usize { return areaOf(map, areaCount(map)); }
@inline export function holder(e: usize): u32 { return load<u8>(e, ELEMENT_HOLDER); }
@inline export function setHolder(e: usize, sign: u32): void { store<u8>(e, sign, ELEMENT_HOLDER); }

/** Lay the elements from `e` on in the ring of a CPU; returns what is behind them. */
function fillRing(map: usize, index: u32, e: usize): usize {
  const ring = areaOf(map, index) + AREA_RING;
  for (let i = 0; i < AREA_RING_SLOTS; i++) {
    store<u32>(ring + i * 4, <u32>e);
    setHolder(e, index + 1);
    e += load<u32>(map, HASH_STRIDE);
  }
  return e;
}

/**
 * Ready the pool of a map whose memory is zero: all elements unused but for those in the rings. The rings' are the
 * last of the map, or of each CPU's own part.
 */
export function poolInit(map: usize): void {
  const stride = load<u32>(map, HASH_STRIDE);
  const cpus = areaCount(map);
  const own = ownCount(map);
  let e = <usize>load<u32>(map, HASH_ELEMENTS);
  if (own) {
    for (let c: u32 = 0; c < cpus; c++) {
      const area = areaOf(map, c);
      store<u32>(area, e, AREA_NEXT);
      e += (own - AREA_RING_SLOTS) * stride;
      store<u32>(area, e, AREA_END);
      e = fillRing(map, c, e);
    }
    return;
  }
  const shared = sharedArea(map);
  store<u32>(shared, e, AREA_GROWN);
  e += (load<u32>(map, HASH_TOTAL) - cpus * AREA_RING_SLOTS) * stride;
  store<u32>(shared, e, AREA_GROW_END);
  for (let c: u32 = 0; c < cpus; c++) e = fillRing(map, c, e);
}

@inline function hasAny(area: usize): bool {
  return load<u32>(area, AREA_FREE) != 0 || load<u32>(area, AREA_NEXT) != load<u32>(area, AREA_END);
}

/** An element of one area, now in hand; 0 where there is none. */
function takeFrom(map: usize, area: usize): usize {
  if (!hasAny(area) || !lock(area + AREA_LOCK)) return 0;
  let e = <usize>load<u32>(area, AREA_FREE);
  if (e) {
    setHolder(e, me());
    store<u32>(area, load<u32>(e, ELEMENT_LINK), AREA_FREE);
  } else {
    e = load<u32>(area, AREA_NEXT);
    if (e == load<u32>(area, AREA_END)) e = 0;
    else {
      setHolder(e, me());
      store<u32>(area, e + load<u32>(map, HASH_STRIDE), AREA_NEXT);
    }
  }
  unlock(area + AREA_LOCK);
  return e;
}

/** Give `area`, which has no unused elements, the next ones; false where all are given. */
function grow(map: usize, area: usize): bool {
  const shared = sharedArea(map);
  const end = load<u32>(shared, AREA_GROW_END);
  if (load<u32>(shared, AREA_GROWN) == end || !lock(shared + AREA_GROW_LOCK)) return false;
  const from = load<u32>(shared, AREA_GROWN);
  const left = end - from;
  const wanted = load<u32>(map, HASH_CHUNK) * load<u32>(map, HASH_STRIDE);
  const to = from + (left < wanted ? left : wanted);
  if (lock(area + AREA_LOCK)) {
    // AREA_END last: thieves compare it with AREA_NEXT, and recovery tells by it whether this was done.
    store<u32>(area, from, AREA_NEXT);
    store<u32>(area, to, AREA_END);
    store<u32>(shared, to, AREA_GROWN);
    unlock(area + AREA_LOCK);
  }
  unlock(shared + AREA_GROW_LOCK);
  return from != to;
}

/** An element without taking it from other CPUs; 0 where there is none. */
export function take(map: usize): usize {
  const area = areaOf(map, cpu);
  let e = takeFrom(map, area);
  if (!e && grow(map, area)) e = takeFrom(map, area);
  return e ? e : takeFrom(map, sharedArea(map));
}

/** An element of another CPU; 0 where none has any. */
export function steal(map: usize): usize {
  const cpus = areaCount(map);
  for (let i: u32 = 1; i <= cpus; i++) {
    const e = takeFrom(map, areaOf(map, (<u32>cpu + i) % cpus));
    if (e) return e;
  }
  return 0;
}

/** The free list that an element in hand goes to. */
function homeOf(map: usize, e: usize): usize {
  if (!isLru(map)) return areaOf(map, cpu);
  const own = ownCount(map);
  return own ? areaOf(map, indexOf(map, e) / own) : sharedArea(map);
}

/**
 * Put an element in hand on a free list: an LRU's on the one that all CPUs look at before they evict, or that
 * of the CPU whose part it is in, a hash's on this CPU's own. Where the lock is stuck it stays in hand, until recovery.
 */
export function give(map: usize, e: usize): void {
  const area = homeOf(map, e);
  if (!lock(area + AREA_LOCK)) return;
  store<u32>(e, load<u32>(area, AREA_FREE), ELEMENT_LINK);
  store<u32>(area, e, AREA_FREE);
  setHolder(e, 0);
  unlock(area + AREA_LOCK);
}

/** Where the ring keeps the element that has rested longest. */
@inline export function oldestSlot(area: usize): usize {
  return area + AREA_RING + (load<u32>(area, AREA_RING_POSITION) & (AREA_RING_SLOTS - 1)) * 4;
}

/** Lay `e` to rest in the slot that `oldestSlot` gave. */
@inline export function rest(area: usize, slot: usize, e: usize): void {
  store<u32>(slot, e);
  store<u32>(area, load<u32>(area, AREA_RING_POSITION) + 1, AREA_RING_POSITION);
}

/** Lay an unlinked element to rest, and free the one that has rested longest. */
export function retire(map: usize, e: usize): void {
  const area = areaOf(map, cpu);
  const slot = oldestSlot(area);
  const oldest = load<u32>(slot);
  rest(area, slot, e);
  give(map, oldest);
}

@inline function indexOf(map: usize, e: usize): u32 {
  return <u32>(e - load<u32>(map, HASH_ELEMENTS)) / load<u32>(map, HASH_STRIDE);
}

/** CPU 0's copy of the value of an element that has been used: the copies are an element's for ever. */
@inline export function copiesOf(map: usize, e: usize): usize { return load<u32>(e + load<u32>(map, HASH_VALUE)); }

/**
 * Write key and value into an element in hand.
 * @param all of a per-CPU map: are there copies for all CPUs at `value`, or one, for this CPU?
 */
export function fill(
  map: usize, e: usize, hash: u32, key: usize, value: usize, referenced: u32, all: bool,
): void {
  const generation = load<u16>(e, ELEMENT_GENERATION) + 1;
  // One store before all others: no reader that still stands here takes it for its key (the hash does not
  // fit), and none that copies the old value takes the copy for whole (the generation has moved on).
  const meta = referenced | me() << 8 | <u32>generation << 16;
  atomic.store<u64>(e, <u64>~hash | <u64>meta << 32);
  copy(e + ELEMENT_KEY, key, load<u32>(map, MAP_KEY_SIZE));
  const at = e + load<u32>(map, HASH_VALUE);
  if (!isPerCpu(map)) copyValue(map, at, value);
  else {
    if (!load<u32>(at)) store<u32>(at, load<u32>(map, MAP_DATA) + indexOf(map, e) * load<u32>(map, MAP_VALUE_STRIDE));
    if (all) writeCopies(map, copiesOf(map, e), value);
    else writeOwnCopy(map, copiesOf(map, e), value, cpu);
  }
  store<u32>(e, hash, ELEMENT_HASH);
}
