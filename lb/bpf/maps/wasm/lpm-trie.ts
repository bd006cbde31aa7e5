// LPM_TRIE (kernel/bpf/lpm_trie.c's semantics): a binary trie without chains of single children. A node is a prefix of
// the map, or stands where two prefixes part.
//
// Lookups take no lock. Each change becomes visible by one store: of a child's place, or of a node's state. A node that
// was taken out keeps its children, and is used again after TRIE_RESTING others were taken out; a lookup during which
// more than that were, starts over. So it sees no node used for another prefix; and a program that holds a pointer to
// a value has it for as long.
//
// Writers hold the one lock. What one that died had taken, but not linked, is found by walking the trie (lpmRecover).
import {
  MAP_KEY_SIZE, MAP_MAX_ENTRIES, NODE_BITS, NODE_BRANCH, NODE_CHILDREN, NODE_ENTRY, NODE_NEXT_FREE, NODE_PREFIX,
  NODE_SEEN, NODE_STATE, TRIE_END, TRIE_ENTRIES, TRIE_FREE, TRIE_FREE_COUNT, TRIE_FREE_LAST, TRIE_FREES, TRIE_LOCK,
  TRIE_NODES, TRIE_RESTING, TRIE_ROOT, TRIE_STRIDE, TRIE_UNUSED,
} from "../../memory/layout";
import { BPF_EXIST, BPF_NOEXIST, EBUSY, EEXIST, EINVAL, ENOENT, ENOSPC } from "../uapi";
import { copy, lock, me, unlock } from "./memory";
import { copyValue, readValue } from "./value";

/** Bytes of a key's count of bits, in front of the prefix. */
const BITS_BYTES: u32 = 4;

@inline function prefixBytes(map: usize): u32 { return load<u32>(map, MAP_KEY_SIZE) - BITS_BYTES; }
@inline function valueOf(map: usize, node: usize): usize { return node + NODE_PREFIX + ((prefixBytes(map) + 7) & ~7); }
// Loads of what a lookup reads of nodes are atomic: those of the count of frees must not move before them.
@inline function bitsOf(node: usize): u32 { return atomic.load<u32>(node, NODE_BITS); }
@inline function isEntry(node: usize): bool { return atomic.load<u32>(node, NODE_STATE) == NODE_ENTRY; }
@inline function childAt(node: usize, bit: u32): usize { return node + NODE_CHILDREN + bit * 4; }
@inline function child(node: usize, bit: u32): usize { return atomic.load<u32>(childAt(node, bit)); }
@inline function link(place: usize, node: usize): void { atomic.store<u32>(place, <u32>node); }

/** Bit `index` of a prefix; bit 0 is the first byte's highest. */
@inline function bitAt(prefix: usize, index: u32): u32 { return load<u8>(prefix + (index >> 3)) >> (7 - (index & 7)) & 1; }

/** The last bytes of a prefix, fewer than 8, as if zeros followed. */
function tail(prefix: usize, bytes: u32): u64 {
  if (bytes == 4) return load<u32>(prefix);
  let word: u64 = 0;
  for (let i: u32 = 0; i < bytes; i++) word |= <u64>load<u8>(prefix + i) << (i * 8);
  return word;
}

/**
 * Leading bits that a node's prefix and another of `bytes` have in common, `most` at most; `known` of them are known to
 * be. A node's prefix is followed by zeros up to 8 bytes.
 */
function commonBits(node: usize, prefix: usize, bytes: u32, known: u32, most: u32): u32 {
  for (let at: u32 = known >> 6 << 3; at < bytes && at * 8 < most; at += 8) {
    const word = at + 8 <= bytes ? load<u64>(prefix + at) : tail(prefix + at, bytes - at);
    const difference = atomic.load<u64>(node + at, NODE_PREFIX) ^ word;
    if (difference) return min(at * 8 + <u32>clz(bswap(difference)), most);
  }
  return most;
}

/** The frees so far: what `isCurrent` compares, to be read before the first node. */
@inline function freesOf(map: usize): u32 { return atomic.load<u32>(map, TRIE_FREES); }
/** Was no node used again that could be reached when `frees` was read? */
@inline function isCurrent(map: usize, frees: u32): bool {
  return atomic.load<u32>(map, TRIE_FREES) - frees <= <u32>TRIE_RESTING;
}
/** The same, after plain loads: an addition of nothing, since these must not move below it. */
@inline function wasCurrent(map: usize, frees: u32): bool {
  return atomic.add<u32>(map, 0, TRIE_FREES) - frees <= <u32>TRIE_RESTING;
}

/** The entry with the longest prefix that `key` begins with and that has no more bits than it; 0 where there is none. */
function search(map: usize, key: usize): usize {
  const bytes = prefixBytes(map);
  const bits = load<u32>(key);
  if (bits > bytes * 8) return 0;
  while (true) {
    const frees = freesOf(map);
    let found: usize = 0;
    // Bits increase downwards: by this even a walk over nodes that are used again comes to an end.
    let least: u32 = 0;
    let known: u32 = 0;
    for (let node = <usize>atomic.load<u32>(map, TRIE_ROOT); node;) {
      const own = bitsOf(node);
      if (own < least || own > bits) break;
      if (commonBits(node, key + BITS_BYTES, bytes, known, own) != own) break;
      if (isEntry(node)) found = node;
      if (own == bits) break;
      known = own;
      least = own + 1;
      node = child(node, bitAt(key + BITS_BYTES, own));
    }
    if (isCurrent(map, frees)) return found;
  }
}

export function lpm_trie_lookup(map: usize, key: usize): usize {
  const node = search(map, key);
  return node ? valueOf(map, node) : 0;
}

export function lpmRead(map: usize, key: usize, value: usize): i32 {
  while (true) {
    const frees = freesOf(map);
    const node = search(map, key);
    if (!node) return -ENOENT;
    readValue(map, value, valueOf(map, node));
    if (wasCurrent(map, frees)) return 0;
  }
}

/** A node, or 0 where there is none. The map is locked. */
function take(map: usize): usize {
  const free = <usize>load<u32>(map, TRIE_FREE);
  const count = load<u32>(map, TRIE_FREE_COUNT);
  if (count > <u32>TRIE_RESTING) {
    store<u32>(map, load<u32>(free, NODE_NEXT_FREE), TRIE_FREE);
    store<u32>(map, count - 1, TRIE_FREE_COUNT);
    return free;
  }
  const unused = <usize>load<u32>(map, TRIE_UNUSED);
  if (unused == load<u32>(map, TRIE_END)) return 0;
  store<u32>(map, unused + load<u32>(map, TRIE_STRIDE), TRIE_UNUSED);
  return unused;
}

/** Free a node that nothing leads to any more. The map is locked. */
function free(map: usize, node: usize): void {
  atomic.add<u32>(map, 1, TRIE_FREES);
  store<u32>(node, 0, NODE_NEXT_FREE);
  const count = load<u32>(map, TRIE_FREE_COUNT);
  if (count) store<u32>(load<u32>(map, TRIE_FREE_LAST), <u32>node, NODE_NEXT_FREE);
  else store<u32>(map, node, TRIE_FREE);
  store<u32>(map, node, TRIE_FREE_LAST);
  store<u32>(map, count + 1, TRIE_FREE_COUNT);
}

/** What a node in hand is. Its value is written by who has one. */
function fill(map: usize, node: usize, key: usize, bits: u32, state: u32): void {
  store<u32>(node, bits, NODE_BITS);
  store<u32>(node, state, NODE_STATE);
  store<u64>(node, 0, NODE_CHILDREN);
  copy(node + NODE_PREFIX, key + BITS_BYTES, prefixBytes(map));
}

// Where `descend` stopped: the node there or 0, the place that leads to it, the node above and the place that leads
// to that one, and how many bits of the key the node has.
let here: usize = 0;
let place: usize = 0;
let above: usize = 0;
let abovePlace: usize = 0;
let common: u32 = 0;

/** Go down to where the prefix of `key` is or would be. The map is locked. */
function descend(map: usize, key: usize): void {
  const bits = load<u32>(key);
  above = 0;
  abovePlace = 0;
  common = 0;
  place = map + TRIE_ROOT;
  for (here = load<u32>(place); here; here = load<u32>(place)) {
    const own = bitsOf(here);
    common = commonBits(here, key + BITS_BYTES, prefixBytes(map), common, min(own, bits));
    if (common != own || own == bits) return;
    above = here;
    abovePlace = place;
    place = childAt(here, bitAt(key + BITS_BYTES, own));
  }
}

@inline function isHere(bits: u32): bool { return here != 0 && bitsOf(here) == bits && common == bits; }

export function lpmUpdate(map: usize, key: usize, value: usize, flags: u64): i32 {
  if (flags > <u64>BPF_EXIST || load<u32>(key) > prefixBytes(map) * 8) return -EINVAL;
  if (!lock(map + TRIE_LOCK)) return -EBUSY;
  const fault = insert(map, key, value, <u32>flags);
  unlock(map + TRIE_LOCK);
  return fault;
}

function insert(map: usize, key: usize, value: usize, flags: u32): i32 {
  const bits = load<u32>(key);
  descend(map, key);
  const isNode = isHere(bits);
  const isNew = !(isNode && isEntry(here));
  if (!isNew && flags == BPF_NOEXIST) return -EEXIST;
  if (isNew && flags == BPF_EXIST) return -ENOENT;
  const entries = load<u32>(map, TRIE_ENTRIES) + u32(isNew);
  if (entries > load<u32>(map, MAP_MAX_ENTRIES)) return -ENOSPC;
  const fresh = take(map);
  if (!fresh) return -ENOSPC;
  fill(map, fresh, key, bits, NODE_ENTRY);
  copyValue(map, valueOf(map, fresh), value);
  let top = fresh;
  if (isNode) store<u64>(fresh, load<u64>(here, NODE_CHILDREN), NODE_CHILDREN);
  else if (here) {
    // The new prefix is part of the one that is here, or the two part.
    if (common < bits) {
      top = take(map);
      if (!top) {
        free(map, fresh);
        return -ENOSPC;
      }
      fill(map, top, key, common, NODE_BRANCH);
      link(childAt(top, bitAt(key + BITS_BYTES, common)), fresh);
    }
    link(childAt(top, bitAt(here + NODE_PREFIX, common)), here);
  }
  store<u32>(map, entries, TRIE_ENTRIES);
  link(place, top);
  if (isNode) free(map, here);
  return 0;
}

export function lpmDelete(map: usize, key: usize): i32 {
  const bits = load<u32>(key);
  if (bits > prefixBytes(map) * 8) return -EINVAL;
  if (!lock(map + TRIE_LOCK)) return -EBUSY;
  descend(map, key);
  const isThere = isHere(bits) && isEntry(here);
  if (isThere) {
    store<u32>(map, load<u32>(map, TRIE_ENTRIES) - 1, TRIE_ENTRIES);
    unlinkHere(map);
  }
  unlock(map + TRIE_LOCK);
  return isThere ? 0 : -ENOENT;
}

function unlinkHere(map: usize): void {
  const left = child(here, 0);
  const right = child(here, 1);
  if (left && right) {
    atomic.store<u32>(here, NODE_BRANCH, NODE_STATE);
    return;
  }
  if (!left && !right && above && !isEntry(above)) {
    // A branch that is left with one child is none.
    link(abovePlace, child(above, u32(place == childAt(above, 0))));
    free(map, above);
  } else link(place, left ? left : right);
  free(map, here);
}

/** The first entry of what is under `node`, children before parents, or 0 where the nodes are used again. */
function firstUnder(node: usize): usize {
  let least: u32 = 0;
  while (true) {
    const bits = bitsOf(node);
    if (bits < least) return 0;
    least = bits + 1;
    const left = child(node, 0);
    const below = left ? left : child(node, 1);
    if (!below) return node;
    node = below;
  }
}

/** Did `successor` find the prefix that it was to begin with? */
let isFound: bool = false;

/**
 * The node after that of a prefix, in the order of get_next_key: what is under a prefix, bit 0 first, and then the
 * prefix itself; 0 at the end, and where there is no such node.
 * @param branches do nodes count that are no entries?
 */
function successor(map: usize, prefix: usize, bits: u32, branches: bool): usize {
  const bytes = prefixBytes(map);
  let after: usize = 0;
  let isUnder = false;
  let known: u32 = 0;
  let least: u32 = 0;
  isFound = false;
  if (bits > bytes * 8) return 0;
  for (let node = <usize>atomic.load<u32>(map, TRIE_ROOT); node;) {
    const own = bitsOf(node);
    if (own < least || own > bits) return 0;
    if (commonBits(node, prefix, bytes, known, own) != own) return 0;
    if (own == bits) {
      isFound = branches || isEntry(node);
      break;
    }
    const bit = bitAt(prefix, own);
    const right = child(node, 1);
    if (!bit && right) {
      after = right;
      isUnder = true;
    } else if (branches || isEntry(node)) {
      after = node;
      isUnder = false;
    }
    known = own;
    least = own + 1;
    node = child(node, bit);
  }
  if (!isFound || !after) return 0;
  return isUnder ? firstUnder(after) : after;
}

/** The key after `key`; the first where `key` is 0 or not there. */
export function lpmNextKey(map: usize, key: usize, answer: usize): i32 {
  while (true) {
    const frees = freesOf(map);
    let node: usize = 0;
    isFound = false;
    if (key) node = successor(map, key + BITS_BYTES, load<u32>(key), false);
    if (!isFound) {
      const root = <usize>atomic.load<u32>(map, TRIE_ROOT);
      if (root) node = firstUnder(root);
    }
    if (node) {
      store<u32>(answer, bitsOf(node));
      copy(answer + BITS_BYTES, node + NODE_PREFIX, prefixBytes(map));
    }
    if (wasCurrent(map, frees)) return node ? 0 : -ENOENT;
  }
}

/**
 * If the CPU that died holds the lock, the trie itself is whole, or lacks what was about to be linked. Everything that
 * is not in it is free.
 */
export function lpmRecover(map: usize, dead: u32): void {
  if (atomic.load<u32>(map, TRIE_LOCK) != dead + 1) return;
  atomic.store<u32>(map, me(), TRIE_LOCK);
  const stride = load<u32>(map, TRIE_STRIDE);
  const nodes = <usize>load<u32>(map, TRIE_NODES);
  const end = <usize>load<u32>(map, TRIE_UNUSED);
  for (let each = nodes; each != end; each += stride) store<u32>(each, 0, NODE_SEEN);
  let entries: u32 = 0;
  const root = <usize>load<u32>(map, TRIE_ROOT);
  let node: usize = root ? firstUnder(root) : 0;
  while (node) {
    store<u32>(node, 1, NODE_SEEN);
    if (isEntry(node)) entries++;
    node = successor(map, node + NODE_PREFIX, bitsOf(node), true);
  }
  store<u32>(map, entries, TRIE_ENTRIES);
  store<u32>(map, 0, TRIE_FREE_COUNT);
  // Some of these may have rested for a moment only: nobody may go on who began before.
  atomic.add<u32>(map, TRIE_RESTING + 1, TRIE_FREES);
  for (node = nodes; node != end; node += stride) if (!load<u32>(node, NODE_SEEN)) free(map, node);
  unlock(map + TRIE_LOCK);
}
