// The CPU block of this worker, as all parts of the pump see it.
import { CPU_COUNTERS, CPU_PUMP } from "../../bpf/memory/layout";

@external("env", "block") export declare const block: u32;

@inline export function count(counter: u32, add: u64): void {
  const at: u32 = block + CPU_COUNTERS + counter * 8;
  store<u64>(at, load<u64>(at) + add);
}

/** A u32 of the pump's own words (PUMP_…). */
@inline export function word(offset: u32): u32 {
  return load<u32>(block + CPU_PUMP + offset);
}

/** Adds to a counter what only the caller knows of. */
export function add(counter: u32, value: u32): void {
  count(counter, value);
}
