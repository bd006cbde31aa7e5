import { expect, it } from 'vitest';
import { runOnAllCpus, type ThreadWork } from '../../../test/support/map-threads.js';
import { Arena } from '../memory/arena.js';
import { TRIE_FREES, TRIE_RESTING } from '../memory/layout.js';
import { auditTrie } from './audit-trie.js';
import type { MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';

const SPEC: MapSpec = { name: 't', type: 'LPM_TRIE', keySize: 8, valueSize: 0, maxEntries: 0, flags: 1 };

interface Outcome {
  readonly torn: number;
  readonly lost: number;
  readonly wrong: number;
  readonly errors: number;
  readonly present: number;
}

/**
 * Two prefixes are always there: 10.0.0.0/8 and 10.1.0.0/16. Under them each CPU puts and deletes its own (k % cpus) of
 * 10.1.k.0/20 to /27: they lie above each other, and part in many places. A lookup never finds nothing, and what it
 * finds is whole, and of a prefix that the address has.
 */
const workOnTrie: ThreadWork<Outcome> = (words, exports, { cpu, cpus, map, scratch, numbers }) => {
  const { keys = 0, operations = 0, valueWords = 0 } = numbers;
  const [key, next, out] = [scratch, scratch + 64, scratch + 128];
  const [one, other] = [out + valueWords * 4, out + valueWords * 8];
  let state = 999 + cpu * 31;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const has = new Uint8Array(keys);
  const outcome = { torn: 0, lost: 0, wrong: 0, errors: 0, present: 0 };
  /** Bits of the prefix k, and its address as a number. */
  const bitsOf = (k: number) => 20 + (k & 7);
  const addressOf = (k: number) => 0x0a01_0000 + ((k >> 3) << 10) + ((k * 37) & 0x3ff);
  const maskOf = (bits: number) => (bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0);
  const swap = (word: number) =>
    (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
  const setKey = (address: number, bits: number) => {
    words[key / 4] = bits;
    words[key / 4 + 1] = swap(address);
  };
  /** Value: bits, address under its mask, a number, and then their sum with the place added. */
  const check = (address: number, at: number) => {
    const [bits, prefix, number] = [words[at / 4]!, words[at / 4 + 1]!, words[at / 4 + 2]!];
    const sum = bits + prefix + number;
    for (let i = 3; i < valueWords; i++) {
      if (words[at / 4 + i] !== (sum + i) >>> 0) {
        outcome.torn++;
        break;
      }
    }
    if ((address & maskOf(bits)) >>> 0 !== prefix) outcome.wrong++;
    return bits;
  };
  for (let turn = 0; turn < operations; turn++) {
    const any = random() % keys;
    if (turn % 4 !== 1) {
      const address = addressOf(any) + (random() & 0xf);
      setKey(address, 32);
      if (exports.bpf_map_lookup_elem(BigInt(map), BigInt(key)) === 0n) outcome.lost++;
      if (exports.map_lookup(map, key, out) !== 0) outcome.lost++;
      else if (check(address, out) < 16) outcome.wrong++;
      continue;
    }
    const k = any - (any % cpus) + cpu;
    if (k >= keys) continue;
    const bits = bitsOf(k);
    const prefix = (addressOf(k) & maskOf(bits)) >>> 0;
    // Several k have one prefix: the lowest is responsible for it.
    let isFirst = true;
    for (let other = k - 8; other >= 0 && other > k - 64; other -= 8) {
      if ((addressOf(other) & maskOf(bits)) >>> 0 === prefix) isFirst = false;
    }
    if (!isFirst) continue;
    setKey(prefix, bits);
    if (random() % 2 === 0) {
      const result = exports.map_delete(map, key);
      if (result !== (has[k] === 1 ? 0 : -2)) outcome.errors++;
      has[k] = 0;
    } else {
      for (const [number, value] of [one, other].entries()) {
        words[value / 4] = bits;
        words[value / 4 + 1] = prefix;
        words[value / 4 + 2] = number;
        for (let i = 3; i < valueWords; i++) words[value / 4 + i] = bits + prefix + number + i;
      }
      // BPF_EXIST or BPF_NOEXIST, as it should be; then again and again, so that nodes are used again at once.
      if (exports.map_update(map, key, one, has[k] === 1 ? 2 : 1) !== 0) outcome.errors++;
      for (let i = 0; i < 8; i++) {
        if (exports.map_update(map, key, i % 2 === 0 ? other : one, 2) !== 0) outcome.errors++;
      }
      has[k] = 1;
      if (exports.map_lookup(map, key, out) !== 0 || words[out / 4] !== bits) outcome.lost++;
    }
    if (turn % 8 === 1 && exports.map_next_key(map, key, next) === 0) {
      const isKnown = words[next / 4]! >= 8 && words[next / 4]! <= 27 && (words[next / 4 + 1]! & 0xff) === 10;
      if (!isKnown) outcome.wrong++;
    }
  }
  for (let k = 0; k < keys; k++) outcome.present += has[k]!;
  return outcome;
};

// Few prefixes with long values are read while they are written; many make all shapes of a trie.
it.each([
  { keys: 512, valueWords: 8, operations: 300_000 },
  { keys: 8, valueWords: 512, operations: 200_000 },
])(
  'LPM_TRIE of $keys: no prefix is lost and no value torn while three CPUs put and delete',
  async (numbers) => {
    const { keys, valueWords } = numbers;
    const arena = Arena.create({ workers: 2, mapsBytes: 8 << 20, ringsBytes: 0 });
    const spec = { ...SPEC, valueSize: valueWords * 4, maxEntries: keys + 2 };
    const map = new ArenaMaps(arena).createMap(spec);
    for (const [bits, address] of [
      [8, 0x0a00_0000],
      [16, 0x0a01_0000],
    ] as const) {
      const key = new Uint8Array(8);
      const view = new DataView(key.buffer);
      view.setUint32(0, bits, true);
      view.setUint32(4, address);
      const words = Uint32Array.from({ length: valueWords }, (_, i) => bits + address + i);
      words.set([bits, address, 0]);
      expect(map.update(key, new Uint8Array(words.buffer))).toBe(0);
    }
    const outcomes = await runOnAllCpus(arena, map.info.descriptor, workOnTrie, numbers);

    for (const outcome of outcomes) expect(outcome).toMatchObject({ torn: 0, lost: 0, wrong: 0, errors: 0 });
    const audit = auditTrie(arena, map.info);
    expect(audit.faults).toEqual([]);
    expect(audit.entries).toBe(2 + outcomes.reduce((sum, { present }) => sum + present, 0));
    // Otherwise no node was used twice, and the test shows nothing.
    expect(arena.u32[(map.info.descriptor + TRIE_FREES) / 4]).toBeGreaterThan(10 * TRIE_RESTING);
  },
);
