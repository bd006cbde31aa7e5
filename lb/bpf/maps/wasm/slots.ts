// PROG_ARRAY and PERF_EVENT_ARRAY: a word a slot, 0 where it is empty; programs' helpers read it, the host writes it.
import { MAP_DATA, MAP_MAX_ENTRIES } from "../../memory/layout";
import { E2BIG, ENOENT } from "../uapi";

@inline function slot(map: usize, index: u32): usize { return load<u32>(map, MAP_DATA) + index * 4; }

export function slotRead(map: usize, key: usize, value: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return -ENOENT;
  const word = atomic.load<u32>(slot(map, index));
  if (!word) return -ENOENT;
  store<u32>(value, word);
  return 0;
}

/** The host has checked what the word names. */
export function slotUpdate(map: usize, key: usize, value: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return -E2BIG;
  atomic.store<u32>(slot(map, index), load<u32>(value));
  return 0;
}

export function slotDelete(map: usize, key: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return -E2BIG;
  return atomic.xchg<u32>(slot(map, index), 0) ? 0 : -ENOENT;
}
