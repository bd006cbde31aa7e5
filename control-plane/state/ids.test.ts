import { describe, expect, it } from 'vitest';
import { Numbers, RealIndices } from './ids.js';

const NO_FLOWS = () => new Map<number, number>();
const unasked = () => {
  throw new Error('flows were counted for nothing');
};

describe('Numbers', () => {
  it('a key keeps its number, and a new one gets the lowest that is free', () => {
    const numbers = new Numbers('rings', 3);
    expect(['a', 'b', 'a', 'c'].map((key) => numbers.acquire(key))).toEqual([0, 1, 0, 2]);
    numbers.retain(new Set(['b', 'c']));
    expect(numbers.get('a')).toBeUndefined();
    expect(numbers.acquire('d')).toBe(0);
  });

  it('refuses when none is free', () => {
    const numbers = new Numbers('rings', 1);
    numbers.acquire('a');
    expect(() => numbers.acquire('b')).toThrow(expect.objectContaining({ code: 'IDS_NUMBERS' }));
  });
});

describe('RealIndices', () => {
  it('row 0 is never given; rows that were never used come first', () => {
    const reals = new RealIndices(3);
    expect(reals.acquire('a', unasked)).toBe(1);
    reals.retain(new Set());
    expect(reals.acquire('b', unasked)).toBe(2);
    expect(reals.acquire('c', unasked)).toBe(3);
  });

  it('an address that comes back gets the row that its flows still name', () => {
    const reals = new RealIndices(3);
    reals.acquire('a', unasked);
    reals.acquire('b', unasked);
    reals.retain(new Set(['b']));
    expect(reals.get('a')).toBeUndefined();
    expect(reals.acquire('a', unasked)).toBe(1);
  });

  it('a row rests while flows point at it; the one at rest longest is given first', () => {
    const reals = new RealIndices(3);
    for (const key of ['a', 'b', 'c']) reals.acquire(key, unasked);
    reals.retain(new Set(['a', 'c']));
    reals.retain(new Set(['c']));
    // b (row 2) rests longest, but has a flow; then a (row 1).
    expect(reals.acquire('d', () => new Map([[2, 1]]))).toBe(1);
    expect(() => reals.acquire('e', () => new Map([[2, 1]]))).toThrow(
      expect.objectContaining({ fault: { code: 'IDS_REALS', limit: 3, resting: 1 } }),
    );
    expect(reals.acquire('e', NO_FLOWS)).toBe(2);
  });

  it('a row that was given on is not given back to its old address', () => {
    const reals = new RealIndices(1);
    reals.acquire('a', unasked);
    reals.retain(new Set());
    expect(reals.acquire('b', NO_FLOWS)).toBe(1);
    expect(() => reals.acquire('a', NO_FLOWS)).toThrow(expect.objectContaining({ code: 'IDS_REALS' }));
  });
});
