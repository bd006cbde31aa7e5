import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Arena } from '../bpf/memory/arena.js';
import { CPU_BOOT_OFFSET_NS, CPU_NUMA_NODE, CPU_TAI_OFFSET_NS } from '../bpf/memory/layout.js';
import { addressOfMemory } from '../sys/mmap.js';
import { writeCpuFacts } from './cpu-facts.js';

it('a CPU block has the offsets of the clocks and the NUMA node', () => {
  const arena = Arena.create({ workers: 1, mapsBytes: 0, ringsBytes: 0 });
  const block = arena.block(0);
  const view = new DataView(arena.memory.buffer, block);
  view.setUint32(CPU_NUMA_NODE, 0xffff_ffff, true);
  writeCpuFacts(arena.memory, block, addressOfMemory(arena.memory));
  const monotonicNs = process.hrtime.bigint();
  const near = (offsetNs: bigint, nowNs: bigint, withinNs: bigint) => {
    const differenceNs = monotonicNs + offsetNs - nowNs;
    expect(differenceNs < withinNs && differenceNs > -withinNs).toBe(true);
  };
  // /proc/uptime counts by CLOCK_BOOTTIME, in hundredths of a second.
  const uptimeNs = BigInt(Math.round(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1e9));
  near(view.getBigInt64(CPU_BOOT_OFFSET_NS, true), uptimeNs, 1_000_000_000n);
  // TAI is ahead of UTC by 37 s since 2017, where the kernel was told; else they are the same.
  near(view.getBigInt64(CPU_TAI_OFFSET_NS, true), BigInt(Date.now()) * 1_000_000n, 60_000_000_000n);
  expect(view.getUint32(CPU_NUMA_NODE, true)).toBeLessThan(1024);
});
