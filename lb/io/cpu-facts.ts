import { readdirSync } from 'node:fs';
import {
  CPU_BOOT_OFFSET_NS,
  CPU_NUMA_NODE,
  CPU_SCRATCH,
  CPU_SCRATCH_BYTES,
  CPU_TAI_OFFSET_NS,
} from '../bpf/memory/layout.js';
import { CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_TAI, libc } from '../sys/libc.js';

/**
 * Write what helpers tell of the CPU to a block whose owner is this thread: the offsets of CLOCK_BOOTTIME and CLOCK_TAI
 * to CLOCK_MONOTONIC, ns, and the NUMA node that the thread is on now (0 where the host does not say). Uses the end of
 * the block's scratch.
 * @param block arena offset of the CPU block
 * @param base  address of arena offset 0
 */
export function writeCpuFacts(memory: WebAssembly.Memory, block: number, base: bigint): void {
  const { clockGettime, schedGetcpu } = libc();
  const view = new DataView(memory.buffer, block);
  const place = CPU_SCRATCH + CPU_SCRATCH_BYTES - 16;
  const read = (clock: number): bigint => {
    clockGettime(clock, base + BigInt(block + place));
    return view.getBigInt64(place, true) * 1_000_000_000n + view.getBigInt64(place + 8, true);
  };
  for (const [clock, field] of [
    [CLOCK_BOOTTIME, CPU_BOOT_OFFSET_NS],
    [CLOCK_TAI, CPU_TAI_OFFSET_NS],
  ] as const) {
    view.setBigInt64(field, read(clock) - read(CLOCK_MONOTONIC), true);
  }
  view.setUint32(CPU_NUMA_NODE, numaNodeOf(schedGetcpu()), true);
}

/** NUMA node of a CPU of the host (sysfs: cpuN holds a link nodeM); 0 where there is no telling. */
function numaNodeOf(cpu: number): number {
  try {
    for (const name of readdirSync(`/sys/devices/system/cpu/cpu${cpu}`)) {
      const node = /^node(\d+)$/.exec(name);
      if (node) return Number(node[1]);
    }
  } catch {
    // No sysfs, as in some containers.
  }
  return 0;
}
