import { describe, expect, it } from 'vitest';
import {
  type Halves,
  Tnum,
  tnumAdd,
  tnumAnd,
  tnumHas,
  tnumIntersect,
  tnumMeetRange,
  tnumMul,
  tnumNext,
  tnumOr,
  tnumOverlap,
  tnumShiftLeft,
  tnumShiftRight,
  tnumShiftRightSigned,
  tnumSub,
  tnumSwapBytes,
  tnumUnion,
  tnumWithin,
  tnumXor,
} from './tnum.js';

const BITS = 4;
const ALL = (1n << 64n) - 1n;

function tnum(value: bigint, mask: bigint): Tnum {
  const made = new Tnum();
  made.setTnum(
    Number(BigInt.asIntN(32, value >> 32n)),
    Number(BigInt.asIntN(32, value)),
    Number(BigInt.asIntN(32, mask >> 32n)),
    Number(BigInt.asIntN(32, mask)),
  );
  return made;
}

interface Sample {
  readonly tnum: Tnum;
  readonly members: readonly bigint[];
}

/** Every set of numbers of four bits that bits can describe, those bits standing at `shift`. */
function samples(shift: bigint): Sample[] {
  const found: Sample[] = [];
  for (let value = 0n; value < 1n << BigInt(BITS); value++) {
    for (let mask = 0n; mask < 1n << BigInt(BITS); mask++) {
      if (value & mask) continue;
      const members: bigint[] = [];
      for (let bits = 0n; bits <= mask; bits++) {
        if ((bits & ~mask) === 0n) members.push((value | bits) << shift);
      }
      found.push({ tnum: tnum(value << shift, mask << shift), members });
    }
  }
  return found;
}

/** The least set that bits can describe, of some numbers. */
function best(numbers: readonly bigint[]): { value: bigint; mask: bigint } {
  let ones = ALL;
  let zeros = ALL;
  for (const each of numbers) {
    ones &= BigInt.asUintN(64, each);
    zeros &= ~BigInt.asUintN(64, each) & ALL;
  }
  return { value: ones, mask: ALL & ~ones & ~zeros };
}

const has = (set: Tnum, number: bigint) => (number & ALL & ~set.mask) === set.value;

type Binary = (out: Tnum, a: Tnum, b: Tnum) => void;
const BINARY: readonly [string, Binary, (a: bigint, b: bigint) => bigint, 'exact' | 'sound'][] = [
  ['add', tnumAdd, (a, b) => a + b, 'exact'],
  ['sub', tnumSub, (a, b) => a - b, 'exact'],
  ['and', tnumAnd, (a, b) => a & b, 'exact'],
  ['or', tnumOr, (a, b) => a | b, 'exact'],
  ['xor', tnumXor, (a, b) => a ^ b, 'exact'],
  ['mul', tnumMul, (a, b) => a * b, 'sound'],
];

// The carry between the halves is in the second and third place.
describe.each([0n, 30n, 31n, 60n])('sets of four bits at bit %s', (shift) => {
  const all = samples(shift);

  it.each(BINARY)('%s holds every result', (_name, apply, run, how) => {
    const out = new Tnum();
    for (const a of all) {
      for (const b of all) {
        apply(out, a.tnum, b.tnum);
        const results = a.members.flatMap((x) => b.members.map((y) => run(x, y)));
        const want = best(results);
        const unsound = results.find((result) => !has(out, result));
        if (unsound !== undefined)
          expect.fail(`${a.tnum.value}/${a.tnum.mask} ${b.tnum.value}/${b.tnum.mask}`);
        if (how === 'exact') expect([out.value, out.mask]).toEqual([want.value, want.mask]);
      }
    }
  });

  it('union, intersection, overlap and inclusion are those of sets', () => {
    const out = new Tnum();
    for (const a of all) {
      for (const b of all) {
        tnumUnion(out, a.tnum, b.tnum);
        const union = best([...a.members, ...b.members]);
        expect([out.value, out.mask]).toEqual([union.value, union.mask]);
        const common = a.members.filter((each) => b.members.includes(each));
        expect(tnumOverlap(a.tnum, b.tnum)).toBe(common.length > 0);
        expect(tnumWithin(a.tnum, b.tnum)).toBe(common.length === b.members.length);
        if (common.length === 0) continue;
        tnumIntersect(out, a.tnum, b.tnum);
        expect([out.value, out.mask]).toEqual([best(common).value, best(common).mask]);
      }
    }
  });

  it('the next member is the least above, or the greatest', () => {
    const next: Halves = { hi: 0, lo: 0 };
    for (const { tnum: set, members } of all) {
      for (let at = 0n; at < 1n << BigInt(BITS); at++) {
        for (const number of [at << shift, (at << shift) | 1n]) {
          const hi = Number(BigInt.asIntN(32, number >> 32n));
          const lo = Number(BigInt.asIntN(32, number));
          tnumNext(next, set, hi, lo);
          const want = members.find((each) => each > number) ?? members[members.length - 1]!;
          expect((BigInt(next.hi >>> 0) << 32n) | BigInt(next.lo >>> 0)).toBe(want);
          expect(tnumHas(set, hi, lo)).toBe(members.includes(number));
        }
      }
    }
  });
});

it('shifts move value and mask, the sign as bit or as unknown bit', () => {
  const rows = [
    [0x8000_0000_0000_0001n, 0x10n],
    [0x1n, 0x8000_0000_0000_0000n],
    [0x1234_5678_9abc_0000n, 0x5432n],
  ] as const;
  for (const [value, mask] of rows) {
    for (let count = 0; count < 64; count++) {
      const by = BigInt(count);
      const out = new Tnum();
      tnumShiftLeft(out, tnum(value, mask), count);
      expect([out.value, out.mask]).toEqual([(value << by) & ALL, (mask << by) & ALL]);
      tnumShiftRight(out, tnum(value, mask), count);
      expect([out.value, out.mask]).toEqual([value >> by, mask >> by]);
      tnumShiftRightSigned(out, tnum(value, mask), count);
      const signed = (x: bigint) => BigInt.asUintN(64, BigInt.asIntN(64, x) >> by);
      expect([out.value, out.mask]).toEqual([signed(value), signed(mask)]);
    }
  }
});

it.each([
  [16, 0x8877n, 0x11n << 8n],
  [32, 0x8877_6655n, 0x11n << 24n],
  [64, 0x8877_6655_4433_2200n, 0x11n],
] as const)('a swap of %i bits reverses its bytes and clears the rest', (bits, value, mask) => {
  const out = new Tnum();
  const low = bits === 64 ? 56n : 0n;
  tnumSwapBytes(out, tnum(0x0022_3344_5566_7788n, 0x11n << low), bits);
  expect(out.value).toBe(value);
  expect(out.mask).toBe(mask);
});

it.each([
  ['the common high bits', 0x100n, 0x10fn, 0x100n, 0xfn],
  ['across the halves', 0xffff_fff0n, 0x1_0000_000fn, 0n, 0x1_ffff_ffffn],
  ['a single number', 5n, 5n, 5n, 0n],
  ['both signs: nothing', 0n, ALL, 0n, ALL],
])('a range gives %s', (_name, min, max, value, mask) => {
  const set = new Tnum();
  const [low, high] = [tnum(min, 0n), tnum(max, 0n)];
  tnumMeetRange(set, low.valueHi, low.valueLo, high.valueHi, high.valueLo);
  expect([set.value, set.mask]).toEqual([value, mask]);
});
