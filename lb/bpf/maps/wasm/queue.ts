// QUEUE and STACK (kernel/bpf/queue_stack_maps.c's semantics): one ring of maxEntries + 1 places; a queue takes from its
// tail, a stack from its head. Every step is whole when the value is copied before the position moves, so that the
// lock of a CPU that died is opened as it is.
import {
  MAP_DATA, MAP_MAX_ENTRIES, MAP_TYPE, MAP_VALUE_SIZE, MAP_VALUE_STRIDE, QUEUE_HEAD, QUEUE_LOCK, QUEUE_TAIL,
} from "../../memory/layout";
import { BPF_EXIST, BPF_MAP_TYPE_STACK, E2BIG, EBUSY, EINVAL, ENOENT } from "../uapi";
import { copy, lock, unlock } from "./memory";

@inline function after(map: usize, place: u32): u32 {
  return place == load<u32>(map, MAP_MAX_ENTRIES) ? 0 : place + 1;
}

@inline function before(map: usize, place: u32): u32 {
  return (place ? place : load<u32>(map, MAP_MAX_ENTRIES) + 1) - 1;
}

@inline function valueAt(map: usize, place: u32): usize {
  return load<u32>(map, MAP_DATA) + place * load<u32>(map, MAP_VALUE_STRIDE);
}

/** Adds a value; BPF_EXIST: the oldest makes room where there is none. */
export function queuePush(map: usize, value: usize, flags: u64): i32 {
  if (flags != 0 && flags != <u64>BPF_EXIST) return -EINVAL;
  if (!lock(map + QUEUE_LOCK)) return -EBUSY;
  const head = load<u32>(map, QUEUE_HEAD);
  const tail = load<u32>(map, QUEUE_TAIL);
  const next = after(map, head);
  if (next == tail) {
    if (flags == 0) {
      unlock(map + QUEUE_LOCK);
      return -E2BIG;
    }
    store<u32>(map, after(map, tail), QUEUE_TAIL);
  }
  copy(valueAt(map, head), value, load<u32>(map, MAP_VALUE_SIZE));
  store<u32>(map, next, QUEUE_HEAD);
  unlock(map + QUEUE_LOCK);
  return 0;
}

/** The value that a pop takes; zeros and -ENOENT where there is none. */
export function queueTake(map: usize, value: usize, remove: bool): i32 {
  const size = load<u32>(map, MAP_VALUE_SIZE);
  if (!lock(map + QUEUE_LOCK)) {
    memory.fill(value, 0, size);
    return -EBUSY;
  }
  const head = load<u32>(map, QUEUE_HEAD);
  const tail = load<u32>(map, QUEUE_TAIL);
  if (head == tail) {
    unlock(map + QUEUE_LOCK);
    memory.fill(value, 0, size);
    return -ENOENT;
  }
  const isStack = load<u32>(map, MAP_TYPE) == BPF_MAP_TYPE_STACK;
  const place = isStack ? before(map, head) : tail;
  copy(value, valueAt(map, place), size);
  if (remove) {
    if (isStack) store<u32>(map, place, QUEUE_HEAD);
    else store<u32>(map, after(map, tail), QUEUE_TAIL);
  }
  unlock(map + QUEUE_LOCK);
  return 0;
}

export function queueRecover(map: usize, dead: u32): void {
  if (atomic.load<u32>(map, QUEUE_LOCK) == dead + 1) unlock(map + QUEUE_LOCK);
}
