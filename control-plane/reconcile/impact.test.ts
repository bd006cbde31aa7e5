import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIp, parseMac, RING_SIZE } from '../../lb/index.js';
import { createBackend, createPool, createVip } from '../../test/support/changes.js';
import type { Change } from '../state/changes.js';
import { Store } from '../state/store.js';
import { slotsOf } from './apply.js';
import type { RingImage } from './image.js';
import { type ImpactFacts, impactOf, type TableImpact, tableImpacts } from './impact.js';

const ring = (indices: readonly number[], weight: (index: number) => number = () => 1): RingImage => ({
  members: indices.map((index) => ({
    index,
    address: parseIp(`10.0.${index >> 8}.${index & 255}`),
    weight: weight(index),
  })),
  algorithm: 'v2',
});
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe('what a change of a ring moves', () => {
  it('nothing changes: nothing moves', () => {
    const impact = impactOf(ring([1, 2, 3]), ring([1, 2, 3]));
    expect(new Set(Object.values(impact))).toEqual(new Set([0]));
  });

  it('one of two goes: its half moves, and nothing else', () => {
    const { leftRatio, ...rest } = impactOf(ring([1, 2]), ring([1]));
    expect(leftRatio).toBeCloseTo(0.5, 4);
    expect(rest).toEqual({
      movedRatio: leftRatio,
      minimumRatio: leftRatio,
      joinedRatio: 0,
      shuffledRatio: 0,
    });
  });

  it('the last one goes: all slots are empty', () => {
    expect(impactOf(ring([1]), ring([]))).toMatchObject({ movedRatio: 1, minimumRatio: 1, leftRatio: 1 });
  });

  // The paper's own measure (NSDI '16, section 5.3, table 65,537), with room for the draw of addresses.
  it.each([
    [4, 0.01],
    [10, 0.012],
    [100, 0.012],
    [1000, 0.012],
  ])('one of %i more or less moves what it must, and at most %f besides', (count, besides) => {
    const [all, less] = [ring(upTo(count)), ring(upTo(count - 1))];
    for (const [before, after] of [
      [all, less],
      [less, all],
    ] as const) {
      const { movedRatio, minimumRatio, leftRatio, joinedRatio, shuffledRatio } = impactOf(before, after);
      expect(minimumRatio).toBeCloseTo(1 / count, 2);
      expect(movedRatio).toBeGreaterThanOrEqual(minimumRatio);
      expect(movedRatio).toBeLessThanOrEqual(minimumRatio + besides);
      expect(movedRatio).toBeCloseTo(leftRatio + joinedRatio + shuffledRatio, 10);
    }
  });

  it('is what the slots say', () => {
    const rings = fc
      .uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 6 })
      .map((list) => ring(list, (n) => n));
    fc.assert(
      fc.property(rings, rings, (before, after) => {
        const [a, b] = [slotsOf(before), slotsOf(after)];
        const moved = a.reduce((sum, owner, slot) => sum + (owner === b[slot] ? 0 : 1), 0);
        expect(impactOf(before, after).movedRatio).toBe(moved / RING_SIZE);
        expect(impactOf(before, after).minimumRatio).toBeLessThanOrEqual(moved / RING_SIZE);
      }),
      { numRuns: 20 },
    );
  });

  it('a factor that all weights have moves nothing under v2, which slow starts rest on', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 2, max: 100 }),
        (indices, factor) => {
          const plain = slotsOf(ring(indices, (index) => index));
          expect(slotsOf(ring(indices, (index) => index * factor))).toEqual(plain);
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe('what a change of the configuration does', () => {
  const base: readonly Change[] = [
    createPool(),
    createPool('other'),
    ...['a', 'b', 'c', 'd'].map((id, i) => createBackend({ id, address: `10.0.0.${i + 1}` })),
    ...[80, 81].map((port) => createVip({ id: `v${port}`, port })),
  ];
  const NAME = 'pools/web/backends/a';
  const facts: ImpactFacts = {
    mac: (key) => (key.startsWith('10.0.0.') ? parseMac('02:00:00:00:00:01') : undefined),
    share: () => 100,
    flows: (key) => Number(key.slice(7)) * 10,
  };
  const impacts = (...changes: readonly Change[]): TableImpact[] => {
    const store = new Store({ nowMs: () => 0, epoch: 'e' });
    const before = store.draftAll(base);
    store.record(before);
    store.commit(before);
    return tableImpacts(before, store.draftAll(changes), facts);
  };
  const backend = (id: string, address: string) => createBackend({ id, address });

  it('a backend is deleted: its quarter moves, its flows break, the others stay', () => {
    const [impact, ...rest] = impacts({ kind: 'delete-backend', name: NAME, etag: '' });
    expect(rest).toEqual([]);
    expect(impact).toMatchObject({ pool: 'pools/web', vips: ['vips/v80', 'vips/v81'] });
    expect(impact).toMatchObject({ flowsBroken: 10, flowsKept: 90 });
    expect(impact?.minimumRatio).toBeCloseTo(0.25, 2);
  });

  it('a backend is drained: its quarter moves, and no flow breaks', () => {
    const [impact] = impacts({ kind: 'drain-backend', name: NAME, etag: '' });
    expect(impact).toMatchObject({ flowsBroken: 0, flowsKept: 100 });
    expect(impact?.minimumRatio).toBeCloseTo(0.25, 2);
  });

  it('a backend comes that nobody has looked for yet: it is taken to be reachable', () => {
    const [impact] = impacts(backend('e', '10.9.9.9'));
    expect(impact).toMatchObject({ flowsBroken: 0, flowsKept: 100 });
    expect(impact?.joinedRatio).toBeCloseTo(0.2, 2);
  });

  it('one that comes and goes within the change is nothing, nor is a new VIP, nor a name', () => {
    expect(
      impacts(
        backend('e', '10.0.0.9'),
        { kind: 'delete-backend', name: 'pools/web/backends/e', etag: '' },
        createVip({ id: 'new', address: '192.0.2.9', port: 1 }),
        { kind: 'update-vip', name: 'vips/v80', etag: '', fields: { displayName: 'x' } },
      ),
    ).toEqual([]);
  });

  it('a VIP goes to an empty pool: all of it moves, and the other VIP stays', () => {
    const [impact, ...rest] = impacts({
      kind: 'update-vip',
      name: 'vips/v81',
      etag: '',
      fields: { pool: 'pools/other' },
    });
    expect(rest).toEqual([]);
    expect(impact).toMatchObject({ pool: 'pools/other', vips: ['vips/v81'], movedRatio: 1, flowsBroken: 0 });
  });
});
