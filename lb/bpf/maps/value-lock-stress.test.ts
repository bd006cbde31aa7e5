import { expect, it } from 'vitest';
import { runOnAllCpus, type ThreadWork } from '../../../test/support/map-threads.js';
import { Arena } from '../memory/arena.js';
import type { MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';

const KEYS = 4;
const LOCK = 8;
const SPEC = {
  name: 'l',
  keySize: 4,
  valueSize: 128,
  maxEntries: KEYS + 1,
  flags: 0,
  lockOffset: LOCK,
} as const;

interface Outcome {
  readonly torn: number;
  readonly errors: number;
  readonly added: number;
}

/**
 * All words of a value are equal whenever nobody holds its lock. Key 0 is only counted up, by programs; the others are
 * also written and read whole with BPF_F_LOCK.
 */
const workUnderLock: ThreadWork<Outcome> = (words, exports, { cpu, map, scratch, numbers }) => {
  const { keys = 0, operations = 0, lock = 0, flag = 0 } = numbers;
  const [key, value, out] = [scratch, scratch + 64, scratch + 512];
  const VALUE_WORDS = 32;
  const lockWord = lock / 4;
  let state = 4242 + cpu * 7;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const outcome = { torn: 0, errors: 0, added: 0 };
  const isWhole = (at: number) => {
    for (let i = 1; i < VALUE_WORDS; i++) if (i !== lockWord && words[at + i] !== words[at]) return false;
    return true;
  };
  for (let turn = 0; turn < operations; turn++) {
    const k = random() % (keys + 1);
    words[key / 4] = k;
    const what = random() % 4;
    if (k === 0 || what < 2) {
      const at = exports.bpf_map_lookup_elem(BigInt(map), BigInt(key));
      if (at === 0n) {
        outcome.errors++;
        continue;
      }
      const held = at + BigInt(lock);
      const word = Number(at) / 4;
      exports.bpf_spin_lock(held);
      if (!isWhole(word)) outcome.torn++;
      for (let i = 0; i < VALUE_WORDS; i++) if (i !== lockWord) words[word + i]!++;
      exports.bpf_spin_unlock(held);
      if (k === 0) outcome.added++;
    } else if (what === 2) {
      const fresh = random();
      for (let i = 0; i < VALUE_WORDS; i++) words[value / 4 + i] = fresh;
      if (exports.map_update(map, key, value, flag) !== 0) outcome.errors++;
    } else if (exports.map_lookup(map, key, out, flag) !== 0) outcome.errors++;
    else if (!isWhole(out / 4) || words[out / 4 + lockWord] !== 0) outcome.torn++;
  }
  return outcome;
};

it.each(['HASH', 'ARRAY'] as const)(
  '%s: no value is torn under its lock, and no addition lost',
  async (type) => {
    const arena = Arena.create({ workers: 2, mapsBytes: 1 << 20, ringsBytes: 0 });
    const spec: MapSpec = { ...SPEC, type };
    const map = new ArenaMaps(arena).createMap(spec);
    const keyOf = (k: number) => new Uint8Array(Uint32Array.of(k).buffer);
    for (let k = 0; k <= KEYS; k++) expect(map.update(keyOf(k), new Uint8Array(spec.valueSize))).toBe(0);
    const numbers = { keys: KEYS, operations: 150_000, lock: LOCK, flag: 4 };
    const outcomes = await runOnAllCpus(arena, map.info.descriptor, workUnderLock, numbers);

    for (const outcome of outcomes) expect(outcome).toMatchObject({ torn: 0, errors: 0 });
    const total = outcomes.reduce((sum, { added }) => sum + added, 0);
    expect(new DataView(map.lookup(keyOf(0))!.buffer).getUint32(0, true)).toBe(total);
  },
);
