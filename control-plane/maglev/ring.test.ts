import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseIp } from '../../lb/net/address.js';
import { hashAddress, permutationOf } from './hash.js';
import { buildRing, RING_SIZE, type RingAlgorithm, RingError, type RingReal } from './ring.js';

const { WAGGLE_CORPUS: corpus } = process.env;
const SKIP = corpus === undefined ? ' (skipped: WAGGLE_CORPUS is not set)' : '';

interface Golden {
  readonly ip_hash: Readonly<Record<string, string>>;
  readonly permutation: Readonly<Record<string, readonly [number, number]>>;
  readonly rings: readonly {
    readonly name: string;
    readonly algo: 'Maglev' | 'MaglevV2';
    readonly reals: readonly { readonly num: number; readonly address: string; readonly weight: number }[];
    readonly counts: Readonly<Record<string, number>>;
    readonly first32: readonly number[];
    readonly sha256_le_u32: string;
  }[];
}
const golden = (): Golden => JSON.parse(readFileSync(`${corpus}/balancer/golden.json`, 'utf8')) as Golden;

/** `count` backends in 10.1.0.0/16, numbered from 1, in the order of their numbers. */
const backends = (count: number, weight: (i: number) => number = () => 1): RingReal[] =>
  Array.from({ length: count }, (_, i) => ({
    index: i + 1,
    address: Uint8Array.of(10, 1, (i + 1) >> 8, (i + 1) & 0xff),
    weight: weight(i),
  }));

function countsOf(ring: Uint32Array): Map<number, number> {
  const counts = new Map<number, number>();
  for (const index of ring) counts.set(index, (counts.get(index) ?? 0) + 1);
  return counts;
}

const changed = (a: Uint32Array, b: Uint32Array): number =>
  a.reduce((sum, real, i) => sum + (real === b[i] ? 0 : 1), 0);

describe('vectors of a fleet that is compatible', () => {
  it.skipIf(!corpus)(`address hashes and permutations${SKIP}`, () => {
    const { ip_hash, permutation } = golden();
    const hashes = Object.keys(ip_hash).map((text) => [text, hashAddress(parseIp(text).bytes)] as const);
    expect(
      Object.fromEntries(hashes.map(([text, hash]) => [text, hash.toString(16).padStart(16, '0')])),
    ).toEqual(ip_hash);
    const permutations = hashes.map(([text, hash]) => {
      const { offset, skip } = permutationOf(hash);
      return [text, [offset, skip]];
    });
    expect(Object.fromEntries(permutations)).toEqual(permutation);
    expect(hashes.length).toBeGreaterThan(10);
  });

  it.skipIf(!corpus)(`rings by SHA-256${SKIP}`, () => {
    const { rings } = golden();
    expect(rings.length).toBeGreaterThan(3);
    for (const { name, algo, reals, counts, first32, sha256_le_u32 } of rings) {
      const ring = buildRing(
        reals.map(({ num, address, weight }) => ({ index: num, address: parseIp(address).bytes, weight })),
        algo === 'Maglev' ? 'v1' : 'v2',
      );
      const bytes = new Uint8Array(ring.buffer);
      expect([...ring.subarray(0, 32)], `${name} ${algo}`).toEqual(first32);
      expect(createHash('sha256').update(bytes).digest('hex'), `${name} ${algo}`).toBe(sha256_le_u32);
      expect(Object.fromEntries(countsOf(ring)), `${name} ${algo}`).toEqual(counts);
    }
  });

  it('an IPv4-mapped IPv6 address has the hash of its IPv4 address, and another IPv6 address has not', () => {
    expect(hashAddress(parseIp('::ffff:10.0.0.1').bytes)).toBe(hashAddress(parseIp('10.0.0.1').bytes));
    expect(hashAddress(parseIp('::10.0.0.1').bytes)).not.toBe(hashAddress(parseIp('10.0.0.1').bytes));
    // A view into a larger buffer hashes as its bytes do.
    const large = new Uint8Array(40).fill(7);
    large.set(parseIp('fc00::1').bytes, 3);
    expect(hashAddress(large.subarray(3, 19))).toBe(hashAddress(parseIp('fc00::1').bytes));
  });
});

describe.each(['v1', 'v2'] as const)('ring %s', (algorithm: RingAlgorithm) => {
  it('has 65537 slots, and no backend means 0 in each', () => {
    const ring = buildRing([], algorithm);
    expect(ring.length).toBe(65537);
    expect(RING_SIZE).toBe(65537);
    expect(countsOf(ring)).toEqual(new Map([[0, 65537]]));
    expect(
      countsOf(
        buildRing(
          backends(3, () => 0),
          algorithm,
        ),
      ),
    ).toEqual(new Map([[0, 65537]]));
  });

  it('one backend takes all slots', () => {
    expect(countsOf(buildRing(backends(1), algorithm))).toEqual(new Map([[1, 65537]]));
  });

  it.each([2, 3, 10, 100, 1000, 4095])('%i equal backends: shares differ by one slot at most', (count) => {
    const counts = [...countsOf(buildRing(backends(count), algorithm)).values()];
    expect(counts.length).toBe(count);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  });

  it('the order of the input has no effect', () => {
    const reals = backends(50, (i) => 1 + (i % 3));
    const shuffled = [...reals].sort((a, b) => ((a.index * 7919) % 50) - ((b.index * 7919) % 50));
    expect(shuffled).not.toEqual(reals);
    expect(buildRing(shuffled, algorithm)).toEqual(buildRing(reals, algorithm));
  });

  it('weight 0 takes no slot, and the ring is that of the others alone', () => {
    const reals = backends(5, (i) => (i === 2 ? 0 : 1));
    const ring = buildRing(reals, algorithm);
    expect(countsOf(ring).has(3)).toBe(false);
    expect(ring).toEqual(
      buildRing(
        reals.filter(({ index }) => index !== 3),
        algorithm,
      ),
    );
  });

  it.each([
    [{ index: 0 }, { code: 'RING_INDEX', index: 0 }],
    [{ weight: -1 }, { code: 'RING_WEIGHT', index: 1, weight: -1 }],
    [{ weight: 0.5 }, { code: 'RING_WEIGHT', index: 1, weight: 0.5 }],
    [{ address: new Uint8Array(6) }, { code: 'RING_ADDRESS', index: 1, bytes: 6 }],
    [{ address: Uint8Array.of(10, 1, 0, 2) }, { code: 'RING_DUPLICATE', index: 2, other: 1 }],
  ])('refuses %o', (patch, fault) => {
    const reals = backends(2).map((real) => (real.index === 1 ? { ...real, ...patch } : real));
    let caught: unknown;
    try {
      buildRing(reals, algorithm);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(RingError);
    expect((caught as RingError).fault).toEqual(fault);
  });
});

describe('weights (v2)', () => {
  it('1,1,1,1,2,2,4,4 give 6.25, 12.5 and 25 %', () => {
    const weights = [1, 1, 1, 1, 2, 2, 4, 4];
    const counts = countsOf(buildRing(backends(8, (i) => weights[i]!)));
    for (const [i, weight] of weights.entries()) {
      expect(Math.abs(counts.get(i + 1)! - (RING_SIZE * weight) / 16)).toBeLessThanOrEqual(2);
    }
  });

  it('a 4 that becomes a 3 moves hardly more slots than it must', () => {
    const weights = [1, 1, 1, 1, 2, 2, 4, 4];
    const before = buildRing(backends(8, (i) => weights[i]!));
    const after = buildRing(backends(8, (i) => (i === 7 ? 3 : weights[i]!)));
    const share = changed(before, after) / RING_SIZE;
    expect(share).toBeGreaterThan(0.049);
    expect(share).toBeLessThan(0.06);
  });

  it('v1 does not spread small weights: they hardly count', () => {
    const counts = countsOf(
      buildRing(
        backends(2, (i) => (i === 0 ? 1 : 3)),
        'v1',
      ),
    );
    expect(counts.get(2)! - counts.get(1)!).toBeLessThanOrEqual(3);
  });
});

describe('disruption (Maglev, NSDI 2016, section 5.3)', () => {
  // Share of all slots that change when k of N equal backends go; bounds around the means of many draws.
  it.each([
    [1, 4, 0.2504],
    [1, 10, 0.1022],
    [1, 30, 0.0371],
    [1, 100, 0.0158],
    [1, 1000, 0.0069],
    [10, 1000, 0.0337],
    [50, 1000, 0.0829],
  ])('%i of %i', (gone, count, mean) => {
    const reals = backends(count);
    const full = buildRing(reals);
    // Several draws, spread over the backends.
    const draws = count >= 1000 ? 4 : 8;
    let sum = 0;
    for (let draw = 0; draw < draws; draw++) {
      const first = Math.floor((draw * count) / draws);
      const out = new Set(Array.from({ length: gone }, (_, i) => ((first + i * 13) % count) + 1));
      expect(out.size).toBe(gone);
      sum += changed(full, buildRing(reals.filter(({ index }) => !out.has(index)))) / RING_SIZE;
    }
    expect(sum / draws).toBeGreaterThan(mean * 0.85);
    expect(sum / draws).toBeLessThan(mean * 1.2);
  });
});
