import { describe, expect, it } from 'vitest';
import { Random } from '../../../test/conformance/generate.js';
import type { Width } from '../isa/instruction.js';
import { ALU, type AluName, JUMP, type JumpName } from '../isa/opcodes.js';
import { ALU_RESULTS, JUMP_CONDITIONS } from '../isa/semantics.js';
import { formatScalar } from './format-scalar.js';
import { Scalar } from './scalar.js';
import { aluOffset, aluScalar, forkOf, type ScalarOp, setForked, swapScalar } from './scalar-alu.js';
import { branchTaken } from './scalar-branch.js';
import { signExtend32, signExtend64, truncateScalar, widenLoad } from './scalar-cast.js';
import { refineBranch } from './scalar-refine.js';
import { checkInvariants, syncBounds } from './scalar-sync.js';

const SEED = Number(process.env.SCALAR_SEED ?? Date.now() % 1_000_000);
const PROGRAMS = Number(process.env.SCALAR_PROGRAMS ?? 1_500);

const u64 = (value: bigint) => BigInt.asUintN(64, value);
const s64 = (value: bigint) => BigInt.asIntN(64, value);
const u32 = (value: bigint) => BigInt.asUintN(32, value);
const s32 = (value: bigint) => Number(BigInt.asIntN(32, value));

/** Why a number is not a member, or undefined when it is. */
function missing(s: Scalar, number: bigint): string | undefined {
  const value = u64(number);
  if ((value & ~s.mask) !== s.value) return 'bits';
  if (value < s.umin || value > s.umax) return 'u64';
  if (s64(value) < s.smin || s64(value) > s.smax) return 's64';
  if (u32(value) < BigInt(s.u32Min >>> 0) || u32(value) > BigInt(s.u32Max >>> 0)) return 'u32';
  if (s32(value) < s.s32Min || s32(value) > s.s32Max) return 's32';
  return undefined;
}

const INTERESTING = [0n, 1n, 2n, 7n, 31n, 32n, 63n, 64n, 255n, 256n, 0x7fffn, 0x8000n, 0xffffn, 0x7fff_ffffn];
const LONG = [
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  1n << 63n,
  (1n << 63n) - 1n,
  0x1234_5678_9abc_def0n,
];

function randomNumber(random: Random): bigint {
  const wide = (BigInt(random.u32()) << 32n) | BigInt(random.u32());
  switch (random.below(5)) {
    case 0:
      return wide;
    case 1:
      return wide >> BigInt(random.below(64));
    case 2:
      return u64(random.pick(LONG) + BigInt(random.below(5) - 2));
    case 3:
      return u64(-random.pick(INTERESTING));
    default:
      return random.pick(INTERESTING);
  }
}

function concreteAlu(op: ScalarOp, width: Width, a: bigint, b: bigint): bigint {
  const cut = (value: bigint) => BigInt.asUintN(width, value);
  return op === 'neg' ? cut(-a) : cut(ALU_RESULTS[op](cut(a), cut(b), width));
}

function concreteSwap(op: 'le' | 'be' | 'bswap', bits: 16 | 32 | 64, value: bigint): bigint {
  let result = 0n;
  for (let at = 0; at < bits; at += 8) {
    const byte = (value >> BigInt(at)) & 0xffn;
    result |= byte << BigInt(op === 'le' ? at : bits - 8 - at);
  }
  return result;
}

const OPS = [...(Object.keys(ALU) as AluName[]), 'neg'] as const;
const JUMPS = Object.keys(JUMP) as JumpName[];
const LANES = 12;
const REGISTERS = 4;
const STEPS = 20;

interface Register {
  scalar: Scalar;
  /** The number that each run of the program has. */
  lanes: bigint[];
}

/** A random program: on what is known, and on some runs of it, which must agree. */
class Machine {
  registers: Register[];
  readonly #random: Random;
  /** What was done, for the message. */
  readonly #trace: string[] = [];

  constructor(random: Random) {
    this.#random = random;
    this.registers = Array.from({ length: REGISTERS }, () => {
      const bytes = random.pick([1, 2, 4, 8] as const);
      const scalar = new Scalar();
      widenLoad(scalar, bytes, false);
      const cut = BigInt(bytes * 8);
      const lanes = Array.from({ length: LANES }, () => BigInt.asUintN(Number(cut), randomNumber(random)));
      return { scalar, lanes };
    });
  }

  step(): void {
    const dst = this.#random.pick(this.registers);
    const kind = this.#random.below(16);
    if (kind < 8) this.#alu(dst);
    else if (kind < 13) this.#branch(dst);
    else if (kind === 13) this.#cast(dst);
    else if (kind === 14) this.#swap(dst);
    else this.#reload(dst);
    for (const register of this.registers) {
      for (const lane of register.lanes) {
        const why = missing(register.scalar, lane);
        if (why !== undefined) {
          const known = formatScalar(register.scalar);
          expect.fail(`${why}: 0x${lane.toString(16)} is not in ${known} after\n${this.#trace.join('\n')}`);
        }
      }
    }
  }

  #operand(): Register {
    if (this.#random.below(2)) return this.#random.pick(this.registers);
    const value = BigInt.asIntN(32, randomNumber(this.#random));
    return { scalar: Scalar.of(value), lanes: Array(this.registers[0]!.lanes.length).fill(u64(value)) };
  }

  #note(what: string, ...operands: readonly Register[]): void {
    this.#trace.push(`${what} of ${operands.map(({ scalar }) => formatScalar(scalar)).join(' and ')}`);
  }

  #alu(dst: Register): void {
    const op = this.#random.pick(OPS);
    const width = this.#random.pick([32, 64] as const);
    const src =
      op.endsWith('sh') && this.#random.below(2) ? constant(this.#random.below(width), dst) : this.#operand();
    this.#note(`${op}${width}`, dst, src);
    const forked = forkOf(op, dst.scalar, src.scalar);
    if (forked !== undefined) {
      const value = this.#random.below(2) ? -1 : 0;
      const stays = dst.lanes.map((lane) => BigInt.asIntN(forked, lane) === BigInt(value));
      if (!stays.includes(true)) return;
      setForked(dst.scalar, forked, value);
      this.#keep(stays, src);
    }
    const results = dst.lanes.map((lane, i) => concreteAlu(op, width, lane, src.lanes[i]!));
    aluScalar(op, width, dst.scalar, src.scalar);
    dst.lanes = results;
  }

  #branch(a: Register): void {
    const op = this.#random.pick(JUMPS);
    const width = this.#random.pick([32, 64] as const);
    const b = this.#operand();
    this.#note(`${op}${width}`, a, b);
    const cut = (value: bigint) => BigInt.asUintN(width, value);
    const outcomes = a.lanes.map((lane, i) => JUMP_CONDITIONS[op](cut(lane), cut(b.lanes[i]!), width));
    const decided = branchTaken(op, width, a.scalar, b.scalar);
    if (decided !== undefined) {
      if (outcomes.includes(!decided)) expect.fail(`decided ${decided}:\n${this.#trace.join('\n')}`);
      return;
    }
    const taken = this.#random.pick(outcomes);
    const consistent = refineBranch(op, width, taken, a.scalar, b.scalar);
    if (!consistent) expect.fail(`no contradiction on an arm that is reached:\n${this.#trace.join('\n')}`);
    this.#keep(
      outcomes.map((outcome) => outcome === taken),
      b,
    );
  }

  /** Go on with some of the runs only. */
  #keep(stays: readonly boolean[], operand: Register): void {
    for (const register of new Set([...this.registers, operand])) {
      register.lanes = register.lanes.filter((_, i) => stays[i]);
    }
  }

  #cast(dst: Register): void {
    const random = this.#random;
    const bits = random.pick([8, 16, 32] as const);
    this.#note(`cast ${bits}`, dst);
    const width = bits === 32 ? 64 : random.pick([32, 64] as const);
    if (random.below(2)) {
      truncateScalar(dst.scalar, (bits / 8) as 1 | 2 | 4);
      dst.lanes = dst.lanes.map((lane) => BigInt.asUintN(bits, lane));
    } else {
      if (width === 64) signExtend64(dst.scalar, bits);
      else if (bits !== 32) signExtend32(dst.scalar, bits);
      dst.lanes = dst.lanes.map((lane) => BigInt.asUintN(width, BigInt.asIntN(bits, lane)));
    }
  }

  #swap(dst: Register): void {
    const op = this.#random.pick(['le', 'be', 'bswap'] as const);
    const bits = this.#random.pick([16, 32, 64] as const);
    this.#note(`${op}${bits}`, dst);
    swapScalar(op, bits, dst.scalar);
    dst.lanes = dst.lanes.map((lane) => concreteSwap(op, bits, lane));
  }

  #reload(dst: Register): void {
    const bytes = this.#random.pick([1, 2, 4, 8] as const);
    const signed = this.#random.below(2) === 0;
    widenLoad(dst.scalar, bytes, signed);
    const read = signed ? BigInt.asIntN : BigInt.asUintN;
    dst.lanes = dst.lanes.map(() => u64(read(bytes * 8, randomNumber(this.#random))));
  }
}

const constant = (value: number, like: Register): Register => {
  return { scalar: Scalar.of(BigInt(value)), lanes: like.lanes.map(() => BigInt(value)) };
};

it(`what a program computes is in what is known of it (${PROGRAMS} programs, seed ${SEED})`, () => {
  const random = new Random(SEED);
  for (let i = 0; i < PROGRAMS; i++) {
    const machine = new Machine(random);
    for (let step = 0; step < STEPS; step++) machine.step();
  }
});

const known = (...steps: readonly ((s: Scalar) => void)[]): string => {
  const s = new Scalar();
  for (const step of steps) step(s);
  return formatScalar(s);
};
const alu =
  (op: ScalarOp, width: Width, value: bigint) =>
  (s: Scalar): void => {
    aluScalar(op, width, s, Scalar.of(value));
  };
const branch =
  (op: JumpName, width: Width, taken: boolean, value: bigint) =>
  (s: Scalar): void => {
    refineBranch(op, width, taken, s, Scalar.of(value));
  };

describe('rules', () => {
  it.each([
    ['nothing is known of a fresh register', [], 'scalar()'],
    [
      'a mask bounds',
      [alu('and', 64, 0xffn)],
      'scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))',
    ],
    [
      'a branch bounds, and the bound gives bits',
      [branch('jgt', 64, false, 60n)],
      'scalar(smin=smin32=0,smax=umax=smax32=umax32=60,var_off=(0x0; 0x3f))',
    ],
    [
      'an unsigned bound below 2^63 decides the sign',
      [branch('jlt', 64, true, 1n << 40n)],
      'scalar(smin=0,smax=umax=0xffffffffff,var_off=(0x0; 0xffffffffff))',
    ],
    ['equality makes a constant', [branch('jeq', 64, true, 42n)], '42'],
    [
      'a decided bit is known',
      [branch('jset', 64, true, 8n)],
      'scalar(smin=0x8000000000000008,umin=umin32=8,smin32=0x80000008,var_off=(0x8; 0xfffffffffffffff7))',
    ],
    [
      'bits and range with one common member make a constant',
      [alu('and', 64, 0x10n), branch('jgt', 64, true, 3n)],
      '16',
    ],
    [
      'a 32-bit move clears the upper half',
      [alu('lsh', 64, 32n), (s: Scalar) => aluScalar('mov', 32, s, s)],
      '0',
    ],
    ['a constant shift by the width gives nothing', [alu('and', 64, 0xfn), alu('lsh', 32, 33n)], 'scalar()'],
    ['a division gives nothing', [alu('and', 64, 0xfn), alu('div', 64, 3n)], 'scalar()'],
    ['arithmetic on constants is exact', [alu('mov', 64, 6n), alu('mul', 64, 7n), alu('neg', 64, 0n)], '-42'],
    ['a 32-bit sum wraps', [alu('mov', 64, 0xffff_ffffn), alu('add', 32, 2n)], '1'],
    ['large numbers are hexadecimal', [alu('mov', 64, -0x8001n)], '0xffffffffffff7fff'],
  ])('%s', (_rule, steps, text) => {
    expect(known(...steps)).toBe(text);
  });

  it('a range that is contradicted is forgotten, its bits are not', () => {
    const s = new Scalar();
    alu('and', 64, 0xf0n)(s);
    s.raiseUmin(0, 0x100);
    expect(checkInvariants(s)).toBe(false);
    expect([s.umin, s.umax, s.mask]).toEqual([0n, (1n << 64n) - 1n, 0xf0n]);
    syncBounds(s);
    expect(checkInvariants(s)).toBe(true);
    expect(s.umax).toBe(0xf0n);
  });

  it('an arm that cannot be reached is told, where the ranges show it', () => {
    const s = new Scalar();
    const edge = 0x8000_0000n;
    branch('jge', 64, true, edge)(s);
    branch('jsge', 32, true, 3n)(s);
    expect(branchTaken('jle', 64, s, Scalar.of(edge))).toBe(undefined);
    expect(refineBranch('jle', 64, true, s, Scalar.of(edge))).toBe(false);
  });

  it('an offset keeps no bound that wraps', () => {
    const offset = Scalar.of(8n);
    const unknown = new Scalar();
    aluOffset('add', offset, unknown);
    expect(offset.isUnknown()).toBe(true);
    const small = Scalar.of(8n);
    const byte = new Scalar();
    widenLoad(byte, 1, false);
    aluOffset('add', small, byte);
    expect([small.uminNumber, small.umaxNumber, small.sminNumber, small.smaxNumber]).toEqual([
      8, 263, 8, 263,
    ]);
    aluOffset('sub', small, byte);
    expect([small.sminNumber, small.smaxNumber, small.umax]).toEqual([-247, 263, (1n << 64n) - 1n]);
  });

  it('numbers tell bounds where they are exact, and order where they are not', () => {
    const s = new Scalar();
    expect(s.umaxNumber).toBeGreaterThan(2 ** 63);
    expect(s.sminNumber).toBeLessThan(-(2 ** 62));
    s.setConst(-5n);
    expect([s.constNumber(), s.constValue(), s.smin]).toEqual([-5, (1n << 64n) - 5n, -5n]);
    s.setConstInt32(-0x8000_0000);
    expect(s.smin).toBe(-0x8000_0000n);
  });
});
