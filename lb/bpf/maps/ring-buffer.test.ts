import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { KernelMaps } from '../../sys/bpf.js';
import { Arena } from '../memory/arena.js';
import {
  CPU_SCRATCH,
  RECORD_HEADER_BYTES,
  RING_DATA,
  RING_LOCK,
  RING_STATE_BYTES,
} from '../memory/layout.js';
import type { MapHost, MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';
import { RingBufferReader } from './ring-buffer.js';
import { instantiateRuntime } from './runtime.js';

const SPEC: MapSpec = { name: 'r', type: 'RINGBUF', keySize: 0, valueSize: 0, maxEntries: 4096, flags: 0 };
const NOTHING = new Uint8Array(0);
const NO_WAKEUP = 1n;
const FORCE_WAKEUP = 2n;
const CONSUMED = 2n;
const PRODUCED = 3n;

/** A ring in an arena of two workers, written as programs on CPU 0 and 1 do. */
class Bed {
  readonly arena = Arena.create({ workers: 2, mapsBytes: 1 << 18, ringsBytes: 0 });
  readonly maps = new ArenaMaps(this.arena);
  readonly map = this.maps.createMap(SPEC);
  readonly reader = new RingBufferReader(this.maps, this.map);
  readonly cpus = [0, 1].map((cpu) => instantiateRuntime(this.arena.memory, cpu).exports);
  readonly #ring = BigInt(this.map.info.descriptor);

  /** The record's address, 0 where there is no room. */
  reserve(bytes: number, cpu = 0): number {
    return Number(this.cpus[cpu]!.bpf_ringbuf_reserve(this.#ring, BigInt(bytes), 0n));
  }

  fill(record: number, bytes: number, byte: number): void {
    this.arena.u8.fill(byte, record, record + bytes);
  }

  submit(record: number, flags = 0n, cpu = 0): void {
    this.cpus[cpu]!.bpf_ringbuf_submit(BigInt(record), flags);
  }

  discard(record: number): void {
    this.cpus[0]!.bpf_ringbuf_discard(BigInt(record), 0n);
  }

  output(bytes: number, byte: number, flags = 0n): bigint {
    const scratch = this.arena.block(0) + CPU_SCRATCH;
    this.fill(scratch, bytes, byte);
    return this.cpus[0]!.bpf_ringbuf_output(this.#ring, BigInt(scratch), BigInt(bytes), flags);
  }

  query(what: bigint): bigint {
    return this.cpus[0]!.bpf_ringbuf_query(this.#ring, what);
  }

  /** What is there, as lengths and first bytes. */
  consume(): string[] {
    const seen: string[] = [];
    this.reader.consume((record) => {
      expect(new Set(record).size).toBeLessThan(2);
      seen.push(`${record.length}:${record[0] ?? '-'}`);
    });
    return seen;
  }
}

describe('RingBufferReader', () => {
  it('gives records in the order of their reservation, once', () => {
    const bed = new Bed();
    expect(bed.consume()).toEqual([]);
    const [a, b] = [bed.reserve(10), bed.reserve(20, 1)];
    bed.fill(a, 10, 1);
    bed.fill(b, 20, 2);
    bed.submit(b, 0n, 1);
    expect(bed.consume()).toEqual([]);
    bed.submit(a);
    expect(bed.consume()).toEqual(['10:1', '20:2']);
    expect(bed.consume()).toEqual([]);
    expect([bed.query(CONSUMED), bed.query(PRODUCED)]).toEqual([56n, 56n]);
  });

  it('passes over what was discarded', () => {
    const bed = new Bed();
    bed.output(1, 1);
    bed.discard(bed.reserve(100));
    bed.output(1, 2);
    bed.discard(bed.reserve(8));
    expect(bed.consume()).toEqual(['1:1', '1:2']);
    expect(bed.query(CONSUMED)).toBe(bed.query(PRODUCED));
  });

  it('gives a record that crosses the end in one piece, over and over', () => {
    const bed = new Bed();
    let crossed = 0;
    // What lies behind the ring must not feel it.
    const behind = bed.maps.createMap({ ...SPEC, type: 'ARRAY', keySize: 4, valueSize: 8192, maxEntries: 1 });
    expect(behind.info.descriptor).toBeGreaterThan(bed.map.info.descriptor);
    const data = bed.arena.u32[(bed.map.info.descriptor + RING_DATA) / 4]!;
    for (let turn = 0; turn < 500; turn++) {
      const bytes = (turn * 977) % 4080;
      const record = bed.reserve(bytes);
      expect(record - RECORD_HEADER_BYTES - data).toBeLessThan(4096);
      if (record + bytes > data + 4096) crossed++;
      bed.fill(record, bytes, turn & 255);
      bed.submit(record);
      expect(bed.consume()).toEqual([`${bytes}:${bytes === 0 ? '-' : turn & 255}`]);
    }
    expect(crossed).toBeGreaterThan(100);
    expect(behind.info.descriptor).toBeGreaterThanOrEqual(data + 2 * 4096);
    expect(behind.lookup(new Uint8Array(4))).toEqual(new Uint8Array(8192));
  });

  it('never has two records in one place', () => {
    const bed = new Bed();
    const live: { byte: number; bytes: number }[] = [];
    let state = 7;
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    let full = 0;
    for (let turn = 0; turn < 5000; turn++) {
      const bytes = random(700);
      if (bed.output(bytes, turn & 255) === 0n) live.push({ byte: turn & 255, bytes });
      else full++;
      if (random(4) > 0) continue;
      expect(bed.consume()).toEqual(live.map(({ byte, bytes }) => `${bytes}:${bytes === 0 ? '-' : byte}`));
      live.length = 0;
    }
    expect(full).toBeGreaterThan(50);
  });

  it('frees the record even when the visitor throws', () => {
    const bed = new Bed();
    bed.output(1, 1);
    bed.output(1, 2);
    const stop = new Error('stop');
    expect(() =>
      bed.reader.consume(() => {
        throw stop;
      }),
    ).toThrow(stop);
    expect(bed.consume()).toEqual(['1:2']);
  });

  it('refuses a map of another type', () => {
    const { maps } = new Bed();
    const array = maps.createMap({ ...SPEC, type: 'ARRAY', keySize: 4, valueSize: 4 });
    expect(() => new RingBufferReader(maps, array)).toThrow(expect.objectContaining({ code: 'MAP_TYPE' }));
  });
});

describe('the consumer is woken', () => {
  it.each<[string, bigint, boolean]>([
    ['by a record', 0n, true],
    ['not with BPF_RB_NO_WAKEUP', NO_WAKEUP, false],
    ['with BPF_RB_FORCE_WAKEUP', FORCE_WAKEUP, true],
  ])('%s', async (_, flags, isWoken) => {
    const bed = new Bed();
    const started = performance.now();
    const waiting = bed.reader.wait(isWoken ? 10_000 : 60);
    expect(bed.output(4, 1, flags)).toBe(0n);
    // The record is there in any case once the time is over.
    expect(await waiting).toBe(true);
    const elapsed = performance.now() - started;
    if (isWoken) expect(elapsed).toBeLessThan(5000);
    else expect(elapsed).toBeGreaterThanOrEqual(50);
  });

  it('not before its time by a record behind one that is not yet there', async () => {
    const bed = new Bed();
    const first = bed.reserve(8);
    const waiting = bed.reader.wait(40);
    bed.output(8, 2);
    expect(await waiting).toBe(false);
    const again = bed.reader.wait(10_000);
    bed.submit(first);
    expect(await again).toBe(true);
  });

  it('at once where something is there, and not at all where nothing comes', async () => {
    const bed = new Bed();
    expect(await bed.reader.wait(0)).toBe(false);
    expect(await bed.reader.wait(20)).toBe(false);
    bed.output(1, 1);
    expect(await bed.reader.wait(10_000)).toBe(true);
  });
});

it('a wait ends with its signal, or does not begin', async () => {
  const bed = new Bed();
  const stop = new AbortController();
  const started = performance.now();
  const waiting = bed.reader.wait(10_000, stop.signal);
  stop.abort();
  expect([await waiting, await bed.reader.wait(10_000, stop.signal)]).toEqual([false, false]);
  expect(performance.now() - started).toBeLessThan(5000);
  expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
});

describe('after a CPU died', () => {
  it('its records are discarded, those of others wait for their commit', async () => {
    const bed = new Bed();
    bed.reserve(8, 1);
    const mine = bed.reserve(8, 0);
    bed.fill(mine, 8, 3);
    bed.reserve(100, 1);
    bed.output(4, 4);
    const waiting = bed.reader.wait(10_000);
    bed.maps.recover(1);
    expect(bed.consume()).toEqual([]);
    bed.submit(mine);
    expect(await waiting).toBe(true);
    expect(bed.consume()).toEqual(['8:3', '4:4']);
    expect(bed.query(CONSUMED)).toBe(bed.query(PRODUCED));
  });

  it('its lock is opened', () => {
    const bed = new Bed();
    const data = bed.arena.u32[(bed.map.info.descriptor + RING_DATA) / 4]!;
    bed.arena.u32[(data - RING_STATE_BYTES + RING_LOCK) / 4] = 2;
    expect(bed.reserve(8)).toBe(0);
    bed.maps.recover(1);
    expect(bed.reserve(8)).toBeGreaterThan(0);
  });
});

describe.each<[string, () => MapHost, boolean]>([
  ['the arena', () => new Bed().maps, false],
  ['the kernel', () => new KernelMaps(), missingRoot !== undefined],
])('a RINGBUF in %s', (_, makeHost, skip) => {
  it.skipIf(skip)('has nothing for bpf() to read or write', () => {
    const map = makeHost().createMap(SPEC);
    expect(map.lookup(NOTHING)).toBeUndefined();
    expect(map.lookupAndDelete(NOTHING)).toBeUndefined();
    expect(map.nextKey()).toBeUndefined();
    // ENOTSUPP, which has no number outside the kernel.
    expect(map.update(NOTHING, NOTHING)).toBe(-524);
    expect(map.delete(NOTHING)).toBe(-524);
    map.close();
  });

  it.skipIf(skip).each<[string, Partial<MapSpec>]>([
    ['a key', { keySize: 4 }],
    ['a value', { valueSize: 4 }],
    ['no byte', { maxEntries: 0 }],
    ['half a page', { maxEntries: 2048 }],
    ['three pages', { maxEntries: 3 * 4096 }],
    ['a page and a byte', { maxEntries: 4097 }],
    ['BPF_F_MMAPABLE', { flags: 1024 }],
    ['BPF_F_RDONLY_PROG', { flags: 128 }],
  ])('of %s is refused', (_, difference) => {
    expect(() => makeHost().createMap({ ...SPEC, ...difference })).toThrow(/EINVAL/);
  });
});
