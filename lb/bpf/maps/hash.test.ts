import { describe, expect, it } from 'vitest';
import { Arena } from '../memory/arena.js';
import { auditHash } from './audit.js';
import { BPF_EXIST, BPF_NOEXIST, ERRNO, type MapSpec } from './map.js';
import { type ArenaMap, ArenaMaps } from './registry.js';
import { instantiateRuntime } from './runtime.js';

const SPEC: MapSpec = { name: 'h', type: 'HASH', keySize: 4, valueSize: 8, maxEntries: 64, flags: 0 };

/** Repeatable: mulberry32. */
function randomU32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

function makeMap(change: Partial<MapSpec>): { arena: Arena; maps: ArenaMaps; map: ArenaMap } {
  const arena = Arena.create({ workers: 2, mapsBytes: 16 << 20, ringsBytes: 0 });
  const random = randomU32(1);
  const maps = new ArenaMaps(arena, { randomU64: () => (BigInt(random()) << 32n) | BigInt(random()) });
  return { arena, maps, map: maps.createMap({ ...SPEC, ...change }) };
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('HASH against a model', () => {
  const KEY_SIZES = [1, 2, 3, 4, 5, 7, 8, 12, 16, 20, 24, 37, 40, 63, 64, 65, 72, 128, 200];

  it.each(KEY_SIZES)('keys of %d bytes', (keySize) => {
    const random = randomU32(keySize);
    const { arena, map } = makeMap({ keySize, valueSize: 1 + (keySize % 19) });
    const model = new Map<string, string>();
    const bytes = (size: number) => Uint8Array.from({ length: size }, () => random());
    // Keys that differ in one byte only, wherever it is.
    const base = bytes(keySize);
    const keys = Array.from({ length: 96 }, (_, i) =>
      base.map((byte, at) => (at === i % keySize ? i : byte)),
    );
    for (let turn = 0; turn < 4000; turn++) {
      const key = keys[random() % keys.length]!;
      const name = hex(key);
      const had = model.has(name);
      if (random() % 3 === 0) {
        expect(map.delete(key)).toBe(model.delete(name) ? 0 : -ERRNO.ENOENT);
        continue;
      }
      const flags = random() % 3;
      const value = bytes(map.valueBytes);
      const full = model.size === map.info.maxEntries;
      const missing = flags === BPF_EXIST ? -ERRNO.ENOENT : full ? -ERRNO.E2BIG : 0;
      const want = had ? (flags === BPF_NOEXIST ? -ERRNO.EEXIST : 0) : missing;
      expect(map.update(key, value, flags)).toBe(want);
      if (want === 0) model.set(name, hex(value));
    }
    for (const key of keys) {
      const value = map.lookup(key);
      expect(value && hex(value)).toBe(model.get(hex(key)));
    }
    const audit = auditHash(arena, map.info);
    expect(audit.faults).toEqual([]);
    expect(audit.linked).toBe(model.size);
  });
});

describe('HASH', () => {
  it('is walked key by key, each once', () => {
    const { map } = makeMap({ maxEntries: 1000 });
    for (let i = 0; i < 1000; i++) map.update(new Uint8Array(Uint32Array.of(i).buffer), new Uint8Array(8));
    const seen = new Set<string>();
    for (let key = map.nextKey(); key; key = map.nextKey(key)) seen.add(hex(key));
    expect(seen.size).toBe(1000);
  });

  it('keeps chains short for keys that count up', () => {
    for (const keySize of [4, 8, 16, 20, 24, 40]) {
      const { arena, map } = makeMap({ keySize, maxEntries: 16_384 });
      const key = new Uint8Array(keySize);
      for (let i = 0; i < 16_384; i++) {
        new DataView(key.buffer).setUint32(keySize - 4, i);
        expect(map.update(key, new Uint8Array(8))).toBe(0);
      }
      // 16,384 balls into as many bins: more than 12 in one has a chance of about 10^-6.
      expect(auditHash(arena, map.info).longestChain, `keys of ${keySize}`).toBeLessThanOrEqual(12);
    }
  });

  it('lets any CPU have the last element, whoever freed it', () => {
    const { arena, map } = makeMap({ maxEntries: 7 });
    const cpus = [0, 1, 2].map((cpu) => instantiateRuntime(arena.memory, cpu).exports);
    const scratch = arena.block(2) + 49_152;
    for (let round = 0; round < 30; round++) {
      const by = cpus[round % 3]!;
      const then = cpus[(round + 1) % 3]!;
      for (let i = 0; i < 8; i++) {
        arena.u32[scratch / 4] = i;
        expect(by.map_update(map.info.descriptor, scratch, scratch, 0)).toBe(i < 7 ? 0 : -ERRNO.E2BIG);
      }
      for (let i = 0; i < 7; i++) {
        arena.u32[scratch / 4] = i;
        expect(then.map_delete(map.info.descriptor, scratch)).toBe(0);
      }
    }
    expect(auditHash(arena, map.info)).toMatchObject({ faults: [], linked: 0 });
  });

  it('leaves a value alone for the next frees, for programs that still point at it', () => {
    const { arena, maps, map } = makeMap({});
    const { hash_lookup: lookup, map_update: update, map_delete: remove } = maps.runtime.exports;
    const scratch = arena.block(2) + 49_152;
    const set = (key: number, value: number) => {
      arena.u32.set([key, 0, value, 0], scratch / 4);
      expect(update(map.info.descriptor, scratch, scratch + 8, 0)).toBe(0);
    };
    set(1, 0xabc);
    const held = lookup(map.info.descriptor, scratch) >>> 0;
    set(1, 1);
    for (let i = 2; i < 5; i++) {
      set(i, i);
      expect(remove(map.info.descriptor, scratch)).toBe(0);
      set(1, i);
    }
    expect(arena.u32[held / 4]).toBe(0xabc);
  });

  it('asked by offsets, answers with offsets', () => {
    const { arena, maps, map } = makeMap({ keySize: 20 });
    const scratch = arena.block(2) + 49_152;
    arena.u8.fill(3, scratch, scratch + 20);
    const { hash_lookup: lookup, bpf_map_lookup_elem: helper } = maps.runtime.exports;
    expect(lookup(map.info.descriptor, scratch)).toBe(0);
    map.update(new Uint8Array(20).fill(3), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const at = lookup(map.info.descriptor, scratch) >>> 0;
    expect([...arena.u8.subarray(at, at + 8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(helper(BigInt(map.info.descriptor), BigInt(scratch))).toBe(BigInt(at));
    expect(at % 8).toBe(0);
  });

  it('gives -EBUSY after a while where a bucket stays locked', () => {
    const { arena, map } = makeMap({ maxEntries: 1 });
    const key = new Uint8Array(4);
    const bucketLock = (arena.u32[(map.info.descriptor + 48) / 4]! + 4) / 4;
    arena.u32[bucketLock] = 1;
    expect(map.update(key, new Uint8Array(8))).toBe(-ERRNO.EBUSY);
    expect(map.lookup(key)).toBeUndefined();
    arena.u32[bucketLock] = 0;
    expect(map.update(key, new Uint8Array(8))).toBe(0);
  });
});
