import { describe, expect, it } from 'vitest';
import { Arena } from '../memory/arena.js';
import {
  CPU_SCRATCH,
  CPU_SKB,
  CPU_XDP_MD,
  SKB_DATA,
  SKB_DATA_END,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
} from '../memory/layout.js';
import { PerfReader } from './perf-events.js';
import { ArenaMaps } from './registry.js';
import { instantiateRuntime } from './runtime.js';

const CURRENT_CPU = 0xffffffffn;
const PACKET = [10, 11, 12, 13, 14, 15];
const [ENOENT, E2BIG, EFAULT, EINVAL, ENOSPC, EOPNOTSUPP] = [-2n, -7n, -14n, -22n, -28n, -95n];

/** A PERF_EVENT_ARRAY of two slots in an arena of two workers, with a packet on each CPU. */
class Bed {
  readonly arena = Arena.create({ workers: 2, mapsBytes: 1 << 18, ringsBytes: 0 });
  readonly maps = new ArenaMaps(this.arena);
  readonly map = this.maps.createMap({
    name: 'events',
    type: 'PERF_EVENT_ARRAY',
    keySize: 4,
    valueSize: 4,
    maxEntries: 2,
    flags: 0,
  });
  readonly reader = new PerfReader(this.maps, this.map);
  readonly #cpus = [0, 1].map((cpu) => instantiateRuntime(this.arena.memory, cpu).exports);

  constructor() {
    for (const cpu of [0, 1]) {
      const packet = this.arena.block(cpu) + CPU_SCRATCH + 8192;
      this.arena.u8.set(PACKET, packet);
      this.#place(this.arena.block(cpu) + CPU_XDP_MD, XDP_MD_DATA, XDP_MD_DATA_END, packet);
      // A byte shorter, so that the two contexts can be told apart.
      this.#place(this.arena.block(cpu) + CPU_SKB, SKB_DATA, SKB_DATA_END, packet + 1);
    }
  }

  #place(context: number, data: number, end: number, packet: number): void {
    this.arena.u32[(context + data) / 4] = packet;
    this.arena.u32[(context + end) / 4] = Math.floor(packet / 8) * 8 + PACKET.length;
  }

  output(cpu: number, bytes: readonly number[], flags = CURRENT_CPU, context = CPU_XDP_MD): bigint {
    const block = this.arena.block(cpu);
    this.arena.u8.set(bytes, block + CPU_SCRATCH);
    const [ctx, map, data] = [block + context, this.map.info.descriptor, block + CPU_SCRATCH].map(BigInt);
    return this.#cpus[cpu]!.bpf_perf_event_output(ctx!, map!, flags, data!, BigInt(bytes.length));
  }

  consume(): string[] {
    const seen: string[] = [];
    this.reader.consume(({ cpu, data }) => void seen.push(`${cpu}: ${data.join(' ')}`));
    return seen;
  }
}

describe('bpf_perf_event_output', () => {
  it('reaches the ring of its own CPU, once it is open', () => {
    const bed = new Bed();
    expect(bed.output(0, [1])).toBe(ENOENT);
    bed.reader.open(0, 4096);
    bed.reader.open(1, 4096);
    expect(bed.output(0, [1, 2, 3])).toBe(0n);
    expect(bed.output(1, [4])).toBe(0n);
    expect(bed.output(0, [5], 0n)).toBe(0n);
    expect(bed.consume()).toEqual(['0: 1 2 3', '0: 5', '1: 4']);
    expect(bed.consume()).toEqual([]);
  });

  it.each<[string, number, bigint, bigint]>([
    ['another CPU’s slot', 0, 1n, EOPNOTSUPP],
    ['a slot beyond the end', 0, 2n, E2BIG],
    ['an unknown flag', 0, 1n << 52n, EINVAL],
    ['more packet than there is', 0, CURRENT_CPU | (7n << 32n), EFAULT],
    ['more packet than there is, beyond the end', 0, 2n | (7n << 32n), EFAULT],
  ])('refuses %s', (_, cpu, flags, gives) => {
    const bed = new Bed();
    for (const each of [0, 1]) bed.reader.open(each, 4096);
    expect(bed.output(cpu, [1], flags)).toBe(gives);
    expect(bed.consume()).toEqual([]);
    expect(bed.reader.lost).toBe(0n);
  });

  it('appends as many bytes of the packet as the flags say', () => {
    const bed = new Bed();
    bed.reader.open(0, 4096);
    expect(bed.output(0, [1, 2], CURRENT_CPU | (4n << 32n))).toBe(0n);
    expect(bed.output(0, [], CURRENT_CPU | (6n << 32n))).toBe(0n);
    expect(bed.consume()).toEqual(['0: 1 2 10 11 12 13', '0: 10 11 12 13 14 15']);
  });

  it('takes the packet of an skb as well', () => {
    const bed = new Bed();
    bed.reader.open(1, 4096);
    expect(bed.output(1, [1], CURRENT_CPU | (6n << 32n), CPU_SKB)).toBe(EFAULT);
    expect(bed.output(1, [1], CURRENT_CPU | (5n << 32n), CPU_SKB)).toBe(0n);
    expect(bed.consume()).toEqual(['1: 1 11 12 13 14 15']);
  });

  it('counts what finds no room, and goes on once there is some', () => {
    const bed = new Bed();
    bed.reader.open(0, 4096);
    bed.reader.open(1, 4096);
    const big = Array<number>(1000).fill(7);
    const results = Array.from({ length: 6 }, () => bed.output(0, big));
    expect(results).toEqual([0n, 0n, 0n, 0n, ENOSPC, ENOSPC]);
    expect(bed.output(1, [1])).toBe(0n);
    expect(bed.reader.lost).toBe(2n);
    expect(bed.consume()).toHaveLength(5);
    expect(bed.output(0, big)).toBe(0n);
    expect(bed.reader.lost).toBe(2n);
  });
});

describe('PerfReader', () => {
  it('is woken by any of its CPUs', async () => {
    const bed = new Bed();
    bed.reader.open(0, 4096);
    bed.reader.open(1, 4096);
    expect(await bed.reader.wait(10)).toBe(false);
    for (const cpu of [1, 0, 1]) {
      const waiting = bed.reader.wait(10_000);
      bed.output(cpu, [cpu]);
      expect(await waiting).toBe(true);
      expect(bed.consume()).toEqual([`${cpu}: ${cpu}`]);
    }
  });

  it('closes its slots and gives the room back, twice', () => {
    const bed = new Bed();
    bed.reader.open(0, 4096);
    bed.reader.open(0, 4096);
    expect(bed.maps.all).toHaveLength(2);
    bed.reader.close();
    bed.reader.close();
    expect(bed.maps.all).toHaveLength(1);
    expect(bed.output(0, [1])).toBe(ENOENT);
  });

  it('opens no slot and no CPU that is not there, nor a ring of an odd length', () => {
    const bed = new Bed();
    expect(() => bed.reader.open(2, 4096)).toThrow(RangeError);
    expect(() => bed.reader.open(3, 4096)).toThrow(expect.objectContaining({ code: 'ARENA_CPU' }));
    expect(() => bed.reader.open(0, 5000)).toThrow(expect.objectContaining({ code: 'MAP_SPEC' }));
    expect(bed.output(0, [1])).toBe(ENOENT);
  });

  it('a slot that was deleted is closed to programs', () => {
    const bed = new Bed();
    bed.reader.open(1, 4096);
    expect(bed.output(1, [1])).toBe(0n);
    expect(bed.map.delete(Uint8Array.of(1, 0, 0, 0))).toBe(0);
    expect(bed.output(1, [2])).toBe(ENOENT);
    expect(bed.consume()).toEqual(['1: 1']);
  });

  it('refuses a map of another type', () => {
    const { maps } = new Bed();
    const array = maps.createMap({
      name: 'a',
      type: 'ARRAY',
      keySize: 4,
      valueSize: 4,
      maxEntries: 1,
      flags: 0,
    });
    expect(() => new PerfReader(maps, array)).toThrow(expect.objectContaining({ code: 'MAP_TYPE' }));
  });
});
