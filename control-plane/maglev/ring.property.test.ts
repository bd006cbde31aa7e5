import fc from 'fast-check';
import { expect, it } from 'vitest';
import { buildRing, RING_SIZE, type RingReal } from './ring.js';

/** Distinct IPv4 or IPv6 addresses, with rows from 1 in the order of the list. */
const addresses = (maxLength: number) =>
  fc.uniqueArray(
    fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })),
    { minLength: 2, maxLength, selector: (bytes) => bytes.join() },
  );
const reals = (list: readonly Uint8Array[], weightOf: (i: number) => number = () => 1): RingReal[] =>
  list.map((address, i) => ({ index: i + 1, address, weight: weightOf(i) }));
const algorithms = fc.constantFrom('v1', 'v2');

function countsOf(ring: Uint32Array, rows: number): number[] {
  const counts = new Array<number>(rows + 1).fill(0);
  for (const index of ring) counts[index] = (counts[index] ?? 0) + 1;
  return counts;
}
const changed = (a: Uint32Array, b: Uint32Array): number =>
  a.reduce((sum, real, i) => sum + (real === b[i] ? 0 : 1), 0) / RING_SIZE;

it('every slot is taken, and shares of equal backends differ by one slot at most', () => {
  fc.assert(
    fc.property(addresses(200), algorithms, (list, algorithm) => {
      const [empty, ...counts] = countsOf(buildRing(reals(list), algorithm), list.length);
      expect(empty).toBe(0);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }),
    { numRuns: 60 },
  );
});

it('the order of the input and the numbers of the rows have no effect on which backend has a slot', () => {
  fc.assert(
    fc.property(
      addresses(30),
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 30 }),
      fc.nat(),
      algorithms,
      (list, weights, turn, algorithm) => {
        const here = reals(list, (i) => weights[i]!);
        // Another node knows the same backends in another order, and so by other rows.
        const there = [...here.slice(turn % list.length), ...here.slice(0, turn % list.length)]
          .reverse()
          .map((real, i) => ({ ...real, index: i + 100 }));
        const nameOf = (all: readonly RingReal[]) =>
          new Map(all.map(({ index, address }) => [index, address.join()]));
        const [ours, theirs] = [nameOf(here), nameOf(there)];
        const [a, b] = [buildRing(here, algorithm), buildRing(there, algorithm)];
        expect(a.every((index, slot) => ours.get(index) === theirs.get(b[slot]!))).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

it('v2 shares are in proportion to weights, but for what rounding makes of it', () => {
  fc.assert(
    fc.property(
      addresses(40),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 40 }),
      (list, weights) => {
        const used = weights.slice(0, list.length);
        const total = used.reduce((sum, weight) => sum + weight, 0);
        const [, ...counts] = countsOf(buildRing(reals(list, (i) => weights[i]!)), list.length);
        for (const [i, count] of counts.entries()) {
          // After r rounds a backend has floor(r·w/max) slots, and the last round is not whole: the floors of all n
          // backends make the rounds more by n·max/total at most.
          const ideal = (RING_SIZE * used[i]!) / total;
          expect(count).toBeGreaterThanOrEqual(ideal - 2);
          expect(count).toBeLessThanOrEqual(ideal + (list.length * used[i]!) / total + 1);
        }
      },
    ),
    { numRuns: 300 },
  );
});

it('weights 1,1,1,1,2,2,4,4 give 6.25, 12.5 and 25 %, whoever has them', () => {
  const weights = [1, 1, 1, 1, 2, 2, 4, 4];
  fc.assert(
    fc.property(
      addresses(8).filter((list) => list.length === 8),
      (list) => {
        const [, ...counts] = countsOf(buildRing(reals(list, (i) => weights[i]!)), 8);
        const percent = counts.map((count) => Number(((100 * count) / RING_SIZE).toFixed(2)));
        expect(percent).toEqual(weights.map((weight) => (100 * weight) / 16));
      },
    ),
    { numRuns: 20 },
  );
});

// Share of all slots that change when k of N equal backends go, the mean of many draws (Maglev, NSDI '16, §5.3).
it.each([
  [1, 4, 0.2504],
  [1, 10, 0.1022],
  [1, 30, 0.0371],
  [1, 100, 0.0158],
])('disruption: %i of %i go', (gone, count, mean) => {
  const draws = 24;
  const shares = fc
    .sample(
      fc.uniqueArray(fc.uint8Array({ minLength: 4, maxLength: 4 }), {
        minLength: count,
        maxLength: count,
        selector: (bytes) => bytes.join(),
      }),
      { numRuns: draws, seed: 65_537 },
    )
    .map((list) => {
      const full = buildRing(reals(list));
      return changed(full, buildRing(reals(list).slice(gone)));
    });
  const average = shares.reduce((sum, share) => sum + share, 0) / draws;
  const spread = Math.sqrt(shares.reduce((sum, share) => sum + (share - average) ** 2, 0) / (draws - 1));
  // Four standard errors of the mean, and what the figure itself is rounded by.
  expect(Math.abs(average - mean)).toBeLessThan((4 * spread) / Math.sqrt(draws) + 0.0005);
  expect(Math.min(...shares)).toBeGreaterThanOrEqual((gone / count) * 0.99);
});

it('a 4 that becomes a 3 of 1,1,1,1,2,2,4,4 moves 5.15 % of the slots', () => {
  const weights = [1, 1, 1, 1, 2, 2, 4, 4];
  const draws = 24;
  const lists = fc.sample(
    fc.uniqueArray(fc.uint8Array({ minLength: 4, maxLength: 4 }), {
      minLength: 8,
      maxLength: 8,
      selector: (bytes) => bytes.join(),
    }),
    { numRuns: draws, seed: 65_537 },
  );
  const shares = lists.map((list) =>
    changed(
      buildRing(reals(list, (i) => weights[i]!)),
      buildRing(reals(list, (i) => (i === 7 ? 3 : weights[i]!))),
    ),
  );
  const average = shares.reduce((sum, share) => sum + share, 0) / draws;
  expect(Math.abs(average - 0.0515)).toBeLessThan(0.004);
  expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.049);
});
