import { expect, it } from 'vitest';
import { runOnAllCpus, type ThreadWork } from '../../../test/support/map-threads.js';
import { Arena } from '../memory/arena.js';
import type { MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';

const INNER: MapSpec = { name: 'i', type: 'ARRAY', keySize: 4, valueSize: 8, maxEntries: 2, flags: 0 };
const KEYS = 16;
const OUTER = {
  HASH_OF_MAPS: {
    name: 'o',
    type: 'HASH_OF_MAPS',
    keySize: 4,
    valueSize: 4,
    maxEntries: KEYS,
    flags: 0,
    inner: INNER,
  },
  ARRAY_OF_MAPS: {
    name: 'o',
    type: 'ARRAY_OF_MAPS',
    keySize: 4,
    valueSize: 4,
    maxEntries: KEYS,
    flags: 0,
    inner: INNER,
  },
} as const satisfies Record<string, MapSpec>;

interface Outcome {
  readonly wrong: number;
  readonly lost: number;
  readonly found: number;
}

/**
 * Programs that look the inner map up and then an element of it. Its value says of which key it is. Odd keys come and
 * go; even ones are always there, with one map or another.
 */
const workAsPrograms: ThreadWork<Outcome> = (words, exports, { cpu, map, scratch, numbers }) => {
  const { keys = 0, done = 0 } = numbers;
  const outcome = { wrong: 0, lost: 0, found: 0 };
  const key = BigInt(scratch);
  for (let turn = cpu; Atomics.load(words, done / 4) === 0; turn++) {
    const k = (turn * 7) % keys;
    words[scratch / 4] = k;
    const inner = exports.bpf_map_lookup_elem(BigInt(map), key);
    if (inner === 0n) {
      if (k % 2 === 0) outcome.lost++;
      continue;
    }
    words[scratch / 4] = turn % 2;
    const value = exports.bpf_map_lookup_elem(inner, key);
    if (value === 0n || words[Number(value) / 4] !== k) outcome.wrong++;
    outcome.found++;
  }
  return outcome;
};

it.each(['HASH_OF_MAPS', 'ARRAY_OF_MAPS'] as const)(
  '%s: programs find one inner map or the other while they are exchanged',
  async (type) => {
    const arena = Arena.create({ workers: 2, mapsBytes: 1 << 20, ringsBytes: 0 });
    const maps = new ArenaMaps(arena);
    const outer = maps.createMap(OUTER[type]);
    const keyOf = (k: number) => new Uint8Array(Uint32Array.of(k).buffer);
    const innerOf = (k: number) => {
      const inner = maps.createMap(INNER);
      for (const slot of [0, 1])
        inner.update(keyOf(slot), new Uint8Array(BigUint64Array.of(BigInt(k)).buffer));
      return inner;
    };
    const pairs = Array.from({ length: KEYS }, (_, k) => [innerOf(k), innerOf(k)] as const);
    for (const [k, [first]] of pairs.entries()) expect(outer.updateInner(keyOf(k), first)).toBe(0);
    // A word that nothing else uses: of the control plane's scratch, behind what its maps take.
    const done = arena.block(arena.controlCpu) + 8;
    Atomics.store(arena.u32, done / 4, 0);
    const exchange = (): Outcome => {
      let errors = 0;
      for (let turn = 0; turn < 100_000; turn++) {
        const k = (turn * 5) % KEYS;
        const target = pairs[k]![turn & 1]!;
        if (k % 2 === 1 && turn % 3 === 0) outer.delete(keyOf(k));
        else if (outer.updateInner(keyOf(k), target) !== 0) errors++;
      }
      Atomics.store(arena.u32, done / 4, 1);
      return { wrong: errors, lost: 0, found: 1 };
    };
    const numbers = { keys: KEYS, done };
    const outcomes = await runOnAllCpus(arena, outer.info.descriptor, workAsPrograms, numbers, exchange);

    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ wrong: 0, lost: 0 });
      expect(outcome.found).toBeGreaterThan(0);
    }
    // Every inner map that is in no slot goes with its owner; the others when their slot is emptied.
    for (const pair of pairs) for (const inner of pair) inner.close();
    for (let k = 0; k < KEYS; k++) outer.delete(keyOf(k));
    expect(maps.all).toEqual([outer]);
  },
);
