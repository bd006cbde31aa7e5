import { expect, it } from 'vitest';
import { runOnAllCpus, type ThreadWork } from '../../../test/support/map-threads.js';
import { Arena } from '../memory/arena.js';
import { auditHash } from './audit.js';
import { MAP_FLAGS, type MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';

const WORKERS = 2;
const SPEC: MapSpec = { name: 's', type: 'HASH', keySize: 16, valueSize: 64, maxEntries: 0, flags: 0 };
const LRU: MapSpec = { ...SPEC, type: 'LRU_HASH' };

interface Outcome {
  readonly torn: number;
  readonly wrong: number;
  readonly errors: number;
  readonly present: number;
}

/**
 * Update, delete and look up at random. A CPU writes its own keys only (key % cpus), so that it knows at
 * each moment which of them are there; it reads all keys, and each value carries its key and a checksum.
 */
const workOnValues: ThreadWork<Outcome> = (words, exports, { cpu, cpus, map, scratch, numbers }) => {
  const { keys = 0, operations = 0, isLru = 0 } = numbers;
  const [key, value, out] = [scratch, scratch + 64, scratch + 256];
  const VALUE_WORDS = 16;
  let state = 12345 + cpu * 7;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const has = new Uint8Array(keys);
  const outcome = { torn: 0, wrong: 0, errors: 0, present: 0 };
  const setKey = (k: number) => {
    for (let i = 0; i < 4; i++) words[key / 4 + i] = k * (i + 1);
  };
  const check = (k: number) => {
    const missing = exports.map_lookup(map, key, out) !== 0;
    const mine = k % cpus === cpu;
    if (mine && !isLru && missing === (has[k] === 1)) outcome.wrong++;
    if (missing) return;
    if (mine && has[k] === 0) outcome.wrong++;
    let sum = 0;
    for (let i = 0; i < VALUE_WORDS - 1; i++) sum = (sum + words[out / 4 + i]! * (i + 1)) >>> 0;
    if (words[out / 4] !== k || sum !== words[out / 4 + VALUE_WORDS - 1]) outcome.torn++;
  };
  for (let turn = 0; turn < operations; turn++) {
    const any = random() % keys;
    if (random() % 2 === 0) {
      setKey(any);
      if (isLru) exports.bpf_map_lookup_elem(BigInt(map), BigInt(key));
      check(any);
      continue;
    }
    const k = any - (any % cpus) + cpu;
    if (k >= keys) continue;
    setKey(k);
    if (random() % 3 === 0) {
      const result = exports.map_delete(map, key);
      const evicted = isLru && result === -2;
      if (!evicted && result !== (has[k] === 1 ? 0 : -2)) outcome.errors++;
      has[k] = 0;
    } else {
      let sum = 0;
      for (let i = 0; i < VALUE_WORDS - 1; i++) {
        const word = i === 0 ? k : random();
        words[value / 4 + i] = word;
        sum = (sum + word * (i + 1)) >>> 0;
      }
      words[value / 4 + VALUE_WORDS - 1] = sum;
      if (exports.map_update(map, key, value, 0) !== 0) outcome.errors++;
      has[k] = 1;
    }
    check(k);
  }
  for (let k = cpu; k < keys; k += cpus) {
    setKey(k);
    check(k);
    outcome.present += has[k]!;
  }
  return outcome;
};

/**
 * The same by programs, whose CPU has its copy of each value. Again a CPU writes its own keys only: of those it finds
 * in its copy what it wrote last, and in the copies of others zeros.
 */
const workOnCopies: ThreadWork<Outcome> = (words, exports, { cpu, cpus, map, scratch, numbers }) => {
  const { keys = 0, operations = 0, isLru = 0 } = numbers;
  const [key, value, out] = [scratch, scratch + 64, scratch + 256];
  const VALUE_WORDS = 16;
  const [mapPointer, keyPointer, valuePointer] = [BigInt(map), BigInt(key), BigInt(value)];
  let state = 54321 + cpu * 7;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const wrote = new Uint32Array(keys);
  const outcome = { torn: 0, wrong: 0, errors: 0, present: 0 };
  const setKey = (k: number) => {
    for (let i = 0; i < 4; i++) words[key / 4 + i] = k * (i + 1);
  };
  const check = (k: number) => {
    const missing = exports.map_lookup(map, key, out) !== 0;
    const owner = k % cpus;
    const mine = owner === cpu;
    if (mine && (isLru ? !missing && wrote[k] === 0 : missing === (wrote[k] !== 0))) outcome.wrong++;
    if (missing) return;
    for (let copy = 0; copy < cpus; copy++) {
      const at = out / 4 + copy * VALUE_WORDS;
      if (copy !== owner) for (let i = 0; i < VALUE_WORDS; i++) if (words[at + i] !== 0) outcome.torn++;
      // Another's copy may be read while its owner writes it.
      if (copy !== owner || !mine) continue;
      for (let i = 0; i < VALUE_WORDS; i++) if (words[at + i] !== wrote[k]! + i * k) outcome.torn++;
    }
  };
  for (let turn = 1; turn <= operations; turn++) {
    const any = random() % keys;
    if (random() % 2 === 0) {
      setKey(any);
      exports.bpf_map_lookup_elem(mapPointer, keyPointer);
      check(any);
      continue;
    }
    const k = any - (any % cpus) + cpu;
    if (k >= keys) continue;
    setKey(k);
    if (random() % 3 === 0) {
      const result = Number(exports.bpf_map_delete_elem(mapPointer, keyPointer));
      const evicted = isLru && result === -2;
      if (!evicted && result !== (wrote[k] !== 0 ? 0 : -2)) outcome.errors++;
      wrote[k] = 0;
    } else {
      for (let i = 0; i < VALUE_WORDS; i++) words[value / 4 + i] = turn + i * k;
      if (exports.bpf_map_update_elem(mapPointer, keyPointer, valuePointer, 0n) !== 0n) outcome.errors++;
      wrote[k] = turn;
    }
    check(k);
  }
  for (let k = cpu; k < keys; k += cpus) {
    setKey(k);
    check(k);
    outcome.present += Number(wrote[k] !== 0);
  }
  return outcome;
};

const NO_COMMON = MAP_FLAGS.BPF_F_NO_COMMON_LRU;

it.each<[string, ThreadWork<Outcome>, MapSpec, number]>([
  ['a roomy hash', workOnValues, { ...SPEC, maxEntries: 6000 }, 6000],
  ['few keys in short chains', workOnValues, { ...SPEC, maxEntries: 24 }, 24],
  ['an LRU with more keys than room', workOnValues, { ...LRU, maxEntries: 1000 }, 3000],
  ['a tiny LRU', workOnValues, { ...LRU, maxEntries: 12 }, 48],
  ['an LRU in parts', workOnValues, { ...LRU, maxEntries: 900, flags: NO_COMMON }, 3000],
  ['a tiny LRU in parts', workOnValues, { ...LRU, maxEntries: 6, flags: NO_COMMON }, 48],
  ['a hash of copies', workOnCopies, { ...SPEC, type: 'PERCPU_HASH', maxEntries: 3000 }, 3000],
  ['few copies', workOnCopies, { ...SPEC, type: 'PERCPU_HASH', maxEntries: 24 }, 24],
  ['an LRU of copies', workOnCopies, { ...SPEC, type: 'LRU_PERCPU_HASH', maxEntries: 600 }, 2000],
  [
    'an LRU of copies in parts',
    workOnCopies,
    { ...SPEC, type: 'LRU_PERCPU_HASH', maxEntries: 60, flags: NO_COMMON },
    200,
  ],
])('%s keeps every element and every value whole under three CPUs', async (_, work, spec, keys) => {
  const arena = Arena.create({ workers: WORKERS, mapsBytes: 4 << 20, ringsBytes: 0 });
  const map = new ArenaMaps(arena).createMap(spec);
  const isLru = spec.type.startsWith('LRU');
  const numbers = { keys, operations: 200_000, isLru: Number(isLru) };
  const outcomes = await runOnAllCpus(arena, map.info.descriptor, work, numbers);

  for (const outcome of outcomes) expect(outcome).toMatchObject({ torn: 0, wrong: 0, errors: 0 });
  const audit = auditHash(arena, map.info);
  expect(audit.faults).toEqual([]);
  if (!isLru) expect(audit.linked).toBe(outcomes.reduce((sum, { present }) => sum + present, 0));
  let walked = 0;
  for (let key = map.nextKey(); key; key = map.nextKey(key)) walked++;
  expect(walked).toBe(audit.linked);
});
