import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { KernelMaps } from '../../sys/bpf.js';
import { Arena } from '../memory/arena.js';
import { CPU_SCRATCH } from '../memory/layout.js';
import { BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST, ERRNO, type MapHost, type MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';
import { instantiateRuntime } from './runtime.js';

const HASH: MapSpec = {
  name: 'h',
  type: 'HASH',
  keySize: 4,
  valueSize: 24,
  maxEntries: 4,
  flags: 0,
  lockOffset: 4,
};
const ARRAY: MapSpec = { ...HASH, type: 'ARRAY' };
const { EBUSY, EEXIST, EINVAL, ENOENT } = ERRNO;

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
/** A value of that byte throughout, as bpf() shows it if `shown`: without what stands in the lock. */
function filled({ valueSize, lockOffset }: MapSpec, byte: number, shown = false): Uint8Array {
  const value = new Uint8Array(valueSize).fill(byte);
  if (shown && lockOffset !== undefined) value.fill(0, lockOffset, lockOffset + 4);
  return value;
}

const newArena = () => Arena.create({ workers: 2, mapsBytes: 1 << 20, ringsBytes: 0 });

describe.each<[string, () => MapHost, boolean]>([
  ['the arena', () => new ArenaMaps(newArena()), false],
  ['the kernel', () => new KernelMaps(), missingRoot !== undefined],
])('values with a bpf_spin_lock in %s', (_, makeHost, skip) => {
  it.skipIf(skip).each(['HASH', 'ARRAY'] as const)(
    '%s: a copy leaves the lock out, wherever it is',
    (type) => {
      for (const [lockOffset, valueSize] of [
        [0, 4],
        [0, 8],
        [4, 8],
        [8, 20],
        [12, 17],
        [20, 40],
        [16, 21],
      ] as const) {
        const spec = { ...HASH, type, lockOffset, valueSize };
        const map = makeHost().createMap(spec);
        for (const flags of [0, BPF_F_LOCK, 0]) {
          const value = filled(spec, 0xa0 + flags);
          expect(map.update(u32(1), value, flags)).toBe(0);
          expect(map.lookup(u32(1)), `${lockOffset} of ${valueSize}`).toEqual(
            filled(spec, 0xa0 + flags, true),
          );
          expect(map.lookup(u32(1), BPF_F_LOCK)).toEqual(filled(spec, 0xa0 + flags, true));
        }
        map.close();
      }
    },
  );

  it.skipIf(skip)('HASH: BPF_F_LOCK goes with the other flags', () => {
    const map = makeHost().createMap(HASH);
    const value = filled(HASH, 1);
    expect(map.update(u32(1), value, BPF_F_LOCK | BPF_EXIST)).toBe(-ENOENT);
    expect(map.update(u32(1), value, BPF_F_LOCK | BPF_NOEXIST)).toBe(0);
    expect(map.update(u32(1), value, BPF_F_LOCK | BPF_NOEXIST)).toBe(-EEXIST);
    expect(map.update(u32(1), value, BPF_F_LOCK | BPF_EXIST)).toBe(0);
    expect(map.update(u32(1), value, BPF_F_LOCK | 3)).toBe(-EINVAL);
    expect(map.update(u32(1), value, 8)).toBe(-EINVAL);
    map.close();
  });

  it.skipIf(skip)('ARRAY: BPF_F_LOCK goes with the other flags', () => {
    const map = makeHost().createMap(ARRAY);
    const value = filled(ARRAY, 1);
    expect(map.update(u32(1), value, BPF_F_LOCK | BPF_NOEXIST)).toBe(-EEXIST);
    expect(map.update(u32(1), value, BPF_F_LOCK | BPF_EXIST)).toBe(0);
    expect(map.update(u32(4), value, BPF_F_LOCK)).toBe(-ERRNO.E2BIG);
    map.close();
  });

  it
    .skipIf(skip)
    .each(['HASH', 'ARRAY', 'LRU_HASH', 'PERCPU_HASH', 'PERCPU_ARRAY', 'LRU_PERCPU_HASH'] as const)(
    '%s: without a lock there is none to take',
    (type) => {
      const { lockOffset: _lock, ...spec } = { ...HASH, type };
      const map = makeHost().createMap(spec);
      const value = new Uint8Array(map.valueBytes);
      expect(map.update(u32(1), value)).toBe(0);
      expect(map.update(u32(1), value, BPF_F_LOCK)).toBe(-EINVAL);
      expect(map.lookup(u32(1), BPF_F_LOCK)).toBeUndefined();
      expect(map.lookup(u32(1), 8)).toBeUndefined();
      map.close();
    },
  );

  it.skipIf(skip).each(['HASH', 'ARRAY'] as const)('%s: batches and walks leave it out too', (type) => {
    const spec = { ...HASH, type };
    const map = makeHost().createMap(spec);
    const keys = new Uint8Array([...u32(0), ...u32(1)]);
    const values = new Uint8Array([...filled(spec, 5), ...filled(spec, 6)]);
    expect(map.updateBatch(keys, values, 2)).toBe(0);
    const seen = new Map<number, Uint8Array>();
    map.forEach((key, value) => void seen.set(key[0]!, value.slice()));
    expect(seen.get(1)).toEqual(filled(spec, 6, true));
    const batch = map.lookupBatch(8);
    for (let i = 0; i < batch.count; i++) {
      const value = batch.values.slice(i * 24, (i + 1) * 24);
      expect(value).toEqual(seen.get(batch.keys[i * 4]!));
    }
    expect(batch.count).toBe(type === 'HASH' ? 2 : 4);
    map.close();
  });

  it.skipIf(skip)('maps with another lock do not stand where the template has one', () => {
    const host = makeHost();
    const outer = host.createMap({
      name: 'o',
      type: 'HASH_OF_MAPS',
      keySize: 4,
      valueSize: 4,
      maxEntries: 4,
      flags: 0,
      inner: HASH,
    });
    const { lockOffset: _lock, ...without } = HASH;
    for (const [spec, gives] of [
      [HASH, 0],
      [without, -EINVAL],
      [{ ...HASH, lockOffset: 8 }, -EINVAL],
    ] as const) {
      const inner = host.createMap(spec);
      expect(outer.updateInner(u32(1), inner)).toBe(gives);
      inner.close();
    }
    outer.close();
  });
});

describe.each(['HASH', 'ARRAY'] as const)('a lock of a %s that a program holds', (type) => {
  const spec = { ...HASH, type };

  function hold() {
    const arena = newArena();
    const maps = new ArenaMaps(arena);
    const map = maps.createMap(spec);
    expect(map.update(u32(1), filled(spec, 1))).toBe(0);
    const { exports } = instantiateRuntime(arena.memory, 0);
    const scratch = arena.block(0) + CPU_SCRATCH;
    arena.u32[scratch / 4] = 1;
    const value = exports.bpf_map_lookup_elem(BigInt(map.info.descriptor), BigInt(scratch));
    const lock = value + BigInt(spec.lockOffset ?? 0);
    const { bpf_spin_lock, bpf_spin_unlock } = exports as unknown as Record<string, (at: bigint) => bigint>;
    expect(bpf_spin_lock!(lock)).toBe(0n);
    return { arena, maps, map, word: Number(lock) / 4, unlock: () => bpf_spin_unlock!(lock) };
  }

  it('keeps out who asks for it, until it is given back', () => {
    const { map, unlock } = hold();
    expect(map.update(u32(1), filled(spec, 2), BPF_F_LOCK)).toBe(-EBUSY);
    expect(map.lookup(u32(1), BPF_F_LOCK)).toBeUndefined();
    // Who does not ask for it is not kept out.
    expect(map.lookup(u32(1))).toEqual(filled(spec, 1, true));
    expect(unlock()).toBe(0n);
    expect(map.update(u32(1), filled(spec, 2), BPF_F_LOCK)).toBe(0);
    expect(map.lookup(u32(1), BPF_F_LOCK)).toEqual(filled(spec, 2, true));
  });

  it('is not written by an update', () => {
    const { arena, map, word } = hold();
    expect(arena.u32[word]).toBe(1);
    expect(map.update(u32(1), filled(spec, 9))).toBe(0);
    expect(arena.u32[word]).toBe(1);
  });

  it('is opened when its CPU is recovered, and not when another is', () => {
    const { arena, maps, map, word } = hold();
    maps.recover(1);
    expect(arena.u32[word]).toBe(1);
    maps.recover(0);
    expect(arena.u32[word]).toBe(0);
    expect(map.update(u32(1), filled(spec, 2), BPF_F_LOCK)).toBe(0);
  });
});
