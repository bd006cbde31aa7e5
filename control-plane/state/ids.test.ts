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
    numbers.release('a');
    numbers.release('a');
    expect(numbers.get('a')).toBeUndefined();
    expect(numbers.acquire('d')).toBe(0);
  });

  it('numbers may have gaps, and a key may bring its own', () => {
    const numbers = new Numbers('VIPs', 4, (place) => (place < 2 ? place : place + 10));
    numbers.adopt('old', 1);
    expect(['a', 'b', 'old', 'c'].map((key) => numbers.acquire(key))).toEqual([0, 12, 1, 13]);
    expect(() => numbers.acquire('d')).toThrow(expect.objectContaining({ code: 'IDS_NUMBERS' }));
    numbers.release('b');
    expect(numbers.acquire('d')).toBe(12);
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
    reals.release('a');
    expect(reals.acquire('b', unasked)).toBe(2);
    expect(reals.acquire('c', unasked)).toBe(3);
  });

  it('an address that comes back gets the row that its flows still name', () => {
    const reals = new RealIndices(3);
    reals.acquire('a', unasked);
    reals.acquire('b', unasked);
    reals.release('a');
    expect(reals.get('a')).toBeUndefined();
    expect(reals.acquire('a', unasked)).toBe(1);
  });

  it('a row rests while flows point at it; the one at rest longest is given first', () => {
    const reals = new RealIndices(3);
    for (const key of ['a', 'b', 'c']) reals.acquire(key, unasked);
    reals.release('b');
    reals.release('a');
    // b (row 2) rests longest, but has a flow; then a (row 1).
    expect(reals.acquire('d', () => new Map([[2, 1]]))).toBe(1);
    expect(() => reals.acquire('e', () => new Map([[2, 1]]))).toThrow(
      expect.objectContaining({ fault: { code: 'IDS_REALS', limit: 3, resting: 1 } }),
    );
    expect(reals.acquire('e', NO_FLOWS)).toBe(2);
  });

  it('rows that tables had before keep their addresses, and those that flows point at rest', () => {
    const reals = new RealIndices(4);
    reals.adopt('a', 2);
    reals.adoptResting(1);
    expect(['a', 'b', 'c'].map((key) => reals.acquire(key, unasked))).toEqual([2, 3, 4]);
    expect(() => reals.acquire('d', () => new Map([[1, 5]]))).toThrow(
      expect.objectContaining({ fault: { code: 'IDS_REALS', limit: 4, resting: 1 } }),
    );
    expect(reals.acquire('d', NO_FLOWS)).toBe(1);
  });

  it('a row that was given on is not given back to its old address', () => {
    const reals = new RealIndices(1);
    reals.acquire('a', unasked);
    reals.release('a');
    expect(reals.acquire('b', NO_FLOWS)).toBe(1);
    expect(() => reals.acquire('a', NO_FLOWS)).toThrow(expect.objectContaining({ code: 'IDS_REALS' }));
  });
});
