// The clock of a batch.
import { CPU_CLOCK_NS, CPU_TIMESPEC } from "../../bpf/memory/layout";
import { COUNTER_PROGRAM_NS } from "../layout";
import { block, count } from "./block";

/** CPU_TIMESPEC in ns. */
@inline export function clock(): u64 {
  return load<u64>(block + CPU_TIMESPEC) * 1000000000 + load<u64>(block + CPU_TIMESPEC + 8);
}

/** Counts the time since the clock of the last run; the clock of now must be in CPU_TIMESPEC. */
export function countTime(): void {
  count(COUNTER_PROGRAM_NS, clock() - load<u64>(block + CPU_CLOCK_NS));
}
