import { describe, expect, it } from 'vitest';
import { Random } from '../../../test/conformance/generate.js';
import { missingRoot } from '../../../test/support/capabilities.js';
import { askKernel, stateLines } from '../../../test/support/verifier-log.js';
import { encodeProgram, slotsOf } from '../isa/codec.js';
import type { Instruction, Operand, Width } from '../isa/instruction.js';
import { ALU, type AluName, JUMP, type JumpName } from '../isa/opcodes.js';
import { formatInstruction } from '../isa/text.js';
import { formatScalar } from './format-scalar.js';
import { Scalar } from './scalar.js';
import { aluScalar, forkOf, type ScalarOp, swapScalar } from './scalar-alu.js';
import { branchTaken } from './scalar-branch.js';
import { signExtend32, signExtend64, truncateScalar, widenLoad } from './scalar-cast.js';
import { refineBranch } from './scalar-refine.js';

// The live kernel is the judge: at log level 2 it prints what it knows of a register after every instruction.
// Random straight lines of arithmetic and comparisons go through both.

const PROGRAMS = Number(process.env.SCALAR_PROGRAMS ?? 300);
const SEED = Number(process.env.SCALAR_SEED ?? Date.now() % 1_000_000);
const STEPS = 24;
const KTIME_GET_NS = 5;
const REGISTERS = [6, 7, 8, 9] as const;
const FRAME = 10;

type WithoutSlot<T> = T extends unknown ? Omit<T, 'slot'> : never;
type Step = WithoutSlot<Instruction>;

/** States that the kernel should print: register → text, by slot, or on the arm that leaves at a slot. */
interface Expected {
  readonly after: Map<number, Map<number, string>>;
  readonly arms: Map<number, Map<number, string>>;
}

interface Case {
  readonly instructions: Instruction[];
  readonly expected: Expected;
}

const ALU_NAMES = Object.keys(ALU) as AluName[];
const JUMP_NAMES = Object.keys(JUMP) as JumpName[];
const INTERESTING = [
  0, 1, -1, 2, 3, 7, 8, 15, 31, 32, 33, 63, 64, 127, 128, 255, 256, 0x7fff, 0xffff, -128, -129,
];
const EDGES = [0x7fff_ffff, -0x8000_0000, 0x1_0000, -0x1_0000, -0x8000, 0x4000_0000];

const shiftCounts = (width: Width) => [...Array(width).keys()];
const divisors = () => [1, 2, 3, -1, 7, 0x7fff_ffff, -0x8000_0000];
/** Immediates of operations that do not take all. */
const OPERAND_LIMITS: Partial<Record<AluName, (width: Width) => readonly number[]>> = {
  lsh: shiftCounts,
  rsh: shiftCounts,
  arsh: shiftCounts,
  div: divisors,
  mod: divisors,
  sdiv: divisors,
  smod: divisors,
};

function immediate(random: Random): number {
  switch (random.below(5)) {
    case 0:
      return random.u32() | 0;
    case 1:
      return 1 << random.below(32);
    case 2:
      return (random.pick(EDGES) + random.below(5) - 2) | 0;
    default:
      return random.pick(INTERESTING);
  }
}

class Builder {
  readonly instructions: Instruction[] = [];
  readonly expected: Expected = { after: new Map(), arms: new Map() };
  readonly #random: Random;
  readonly #state = new Map<number, Scalar>();
  /** Branches whose taken arm goes to a block of its own, by index in `instructions`. */
  readonly #pending: { index: number; state: Map<number, string> }[] = [];
  #slot = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  build(): Case {
    for (const reg of REGISTERS) {
      this.#emit({ kind: 'call-helper', id: KTIME_GET_NS });
      this.#emit({ kind: 'alu', op: 'mov', width: 64, dst: reg, src: { kind: 'reg', reg: 0 } });
      this.#state.set(reg, new Scalar());
    }
    this.#emit({ kind: 'alu', op: 'mov', width: 64, dst: 0, src: { kind: 'imm', value: 0 } });
    for (const reg of REGISTERS) {
      if (this.#random.below(4) > 0) this.#load(reg);
    }
    for (let step = 0; step < STEPS; step++) this.#step();
    this.#emit({ kind: 'exit' });
    for (const { index, state } of this.#pending) {
      const branch = this.instructions[index]!;
      if (branch.kind !== 'branch') throw new Error('a pending branch is a branch');
      this.instructions[index] = { ...branch, target: this.#slot };
      this.expected.arms.set(branch.slot, state);
      // The block reads all registers, so that all are live and printed.
      for (const reg of REGISTERS) {
        this.#emit({ kind: 'alu', op: 'add', width: 64, dst: 0, src: { kind: 'reg', reg } });
      }
      this.#emit({ kind: 'exit' });
    }
    return this;
  }

  #emit(step: Step): number {
    const instruction = { ...step, slot: this.#slot } as Instruction;
    this.instructions.push(instruction);
    this.#slot += slotsOf(instruction);
    return instruction.slot;
  }

  #of(reg: number): Scalar {
    const scalar = this.#state.get(reg);
    if (scalar === undefined) throw new Error(`r${reg} is not modelled`);
    return scalar;
  }

  #expect(slot: number, ...registers: number[]): void {
    this.expected.after.set(slot, new Map(registers.map((reg) => [reg, formatScalar(this.#of(reg))])));
  }

  /** @param values what the kernel takes as immediate, all unless given */
  #operand(dst: number, values?: readonly number[]): { src: Operand; scalar: Scalar } {
    const random = this.#random;
    if (random.below(2) === 0) {
      const others = random.below(16) === 0 ? REGISTERS : REGISTERS.filter((reg) => reg !== dst);
      const reg = random.pick(others);
      return { src: { kind: 'reg', reg }, scalar: this.#of(reg) };
    }
    const value = values === undefined ? immediate(random) : random.pick(values);
    return { src: { kind: 'imm', value }, scalar: Scalar.of(BigInt(value)) };
  }

  #step(): void {
    const dst = this.#random.pick(REGISTERS);
    const kind = this.#random.below(20);
    if (kind < 9) this.#alu(dst);
    else if (kind < 16) this.#branch(dst);
    else if (kind === 16) this.#move(dst);
    else if (kind === 17) this.#load(dst);
    else if (kind === 18) this.#negate(dst);
    else this.#swap(dst);
  }

  #alu(dst: number, width: Width = this.#random.below(2) ? 64 : 32): void {
    const random = this.#random;
    const op = random.pick(ALU_NAMES.filter((name) => name !== 'mov'));
    const { src, scalar } = this.#operand(dst, OPERAND_LIMITS[op]?.(width));
    if (forkOf(op, this.#of(dst), scalar) !== undefined) return;
    const slot = this.#emit({ kind: 'alu', op, width, dst, src });
    aluScalar(op, width, this.#of(dst), scalar);
    this.#expect(slot, dst);
  }

  #negate(dst: number): void {
    const width = this.#random.below(2) ? 64 : 32;
    const slot = this.#emit({ kind: 'neg', width, dst });
    aluScalar('neg' satisfies ScalarOp, width, this.#of(dst), this.#of(dst));
    this.#expect(slot, dst);
  }

  #swap(dst: number): void {
    const op = this.#random.pick(['le', 'be', 'bswap'] as const);
    const bits = this.#random.pick([16, 32, 64] as const);
    const slot = this.#emit({ kind: 'swap', op, bits, dst });
    swapScalar(op, bits, this.#of(dst));
    this.#expect(slot, dst);
  }

  /** A copy shares what is learned later; the operation after it parts the two. */
  #move(dst: number): void {
    const random = this.#random;
    const src = random.pick(REGISTERS);
    const to = this.#of(dst);
    const width: Width = random.below(2) ? 64 : 32;
    if (random.below(2) === 0) {
      const bits = random.pick(width === 64 ? ([8, 16, 32] as const) : ([8, 16] as const));
      const slot = this.#emit({ kind: 'movsx', width, bits, dst, src });
      to.copyFrom(this.#of(src));
      if (width === 64) signExtend64(to, bits);
      else if (bits !== 32) signExtend32(to, bits);
      this.#expect(slot, dst);
    } else {
      const slot = this.#emit({ kind: 'alu', op: 'mov', width, dst, src: { kind: 'reg', reg: src } });
      aluScalar('mov', width, to, this.#of(src));
      this.#expect(slot, dst);
    }
    const op = 'xor';
    const value = immediate(random);
    const slot = this.#emit({ kind: 'alu', op, width: 64, dst, src: { kind: 'imm', value } });
    aluScalar(op, 64, to, Scalar.of(BigInt(value)));
    this.#expect(slot, dst);
  }

  /** A narrow load: from the context, of which nothing is known, or of a spilled register. */
  #load(dst: number): void {
    const random = this.#random;
    const bytes = random.pick([1, 2, 4] as const);
    const signed = random.below(3) === 0;
    const to = this.#of(dst);
    if (random.below(2) === 0) {
      // A byte written into a spilled number makes the others bytes of which nothing is known.
      this.#emit({ kind: 'call-helper', id: KTIME_GET_NS });
      this.#emit({ kind: 'store', bytes: 8, dst: FRAME, off: -16, src: { kind: 'reg', reg: 0 } });
      this.#emit({ kind: 'store', bytes: 1, dst: FRAME, off: -9, src: { kind: 'imm', value: 1 } });
      const slot = this.#emit({ kind: 'load', bytes, signed, dst, src: FRAME, off: -16 });
      widenLoad(to, bytes, signed);
      this.#expect(slot, dst);
      return;
    }
    const src = random.pick(REGISTERS);
    const from = this.#of(src);
    this.#emit({ kind: 'store', bytes: 8, dst: FRAME, off: -8, src: { kind: 'reg', reg: src } });
    const slot = this.#emit({ kind: 'load', bytes, signed, dst, src: FRAME, off: -8 });
    to.copyFrom(from);
    if (signed) signExtend64(to, (bytes * 8) as 8 | 16 | 32);
    else truncateScalar(to, bytes);
    this.#expect(slot, dst);
    const value = immediate(random);
    const parted = this.#emit({ kind: 'alu', op: 'xor', width: 64, dst, src: { kind: 'imm', value } });
    aluScalar('xor', 64, to, Scalar.of(BigInt(value)));
    this.#expect(parted, dst);
  }

  #branch(dst: number): void {
    const random = this.#random;
    const op = random.pick(JUMP_NAMES);
    const width: Width = random.below(2) ? 64 : 32;
    const { src, scalar } = this.#operand(dst);
    const a = this.#of(dst);
    const registers = src.kind === 'reg' ? [dst, src.reg] : [dst];
    const decision = branchTaken(op, width, a, scalar);
    const index = this.instructions.length;
    // A jump that is always taken goes to the next instruction, to go on from there.
    const slot = this.#emit({ kind: 'branch', op, width, dst, src, target: this.#slot + 1 });
    if (decision !== undefined) return;
    const taken = new Map([...this.#state].map(([reg, state]) => [reg, state.clone()]));
    const other = src.kind === 'reg' ? taken.get(src.reg)! : scalar.clone();
    refineBranch(op, width, true, taken.get(dst)!, other);
    this.#pending.push({
      index,
      state: new Map([...taken].map(([reg, state]) => [reg, formatScalar(state)])),
    });
    refineBranch(op, width, false, a, scalar);
    this.#expect(slot, ...registers);
  }
}

/** What differs between the kernel's log and the model, one line each. */
function differences({ instructions, expected }: Case, text: string): string[] {
  const found: string[] = [];
  const compare = (where: string, want: Map<number, string>, got: ReadonlyMap<number, string>) => {
    for (const [reg, state] of want) {
      if (got.get(reg) !== state)
        found.push(`${where}: r${reg}\n  kernel ${got.get(reg)}\n  ours   ${state}`);
    }
  };
  const seen = new Set<number>();
  const arms = new Set<number>();
  for (const line of stateLines(text)) {
    if (line.kind === 'after') {
      if (seen.has(line.slot)) continue;
      seen.add(line.slot);
      compare(`after ${line.slot}`, expected.after.get(line.slot) ?? new Map(), line.registers);
    } else {
      arms.add(line.from);
      const want = expected.arms.get(line.from);
      if (want === undefined) found.push(`the kernel follows both arms of ${line.from}`);
      else compare(`from ${line.from} to ${line.to}`, want, line.registers);
    }
  }
  for (const slot of expected.arms.keys()) {
    if (!arms.has(slot)) found.push(`the kernel follows one arm of ${slot}`);
  }
  for (const { slot } of instructions) {
    if (expected.after.has(slot) && !seen.has(slot)) found.push(`the kernel does not reach ${slot}`);
  }
  return found;
}

function check(program: Case, name: string): void {
  const { result, log } = askKernel(encodeProgram(program.instructions));
  const found = result < 0 ? [`the kernel refuses it: ${result}`] : differences(program, log);
  if (found.length === 0) return;
  const listing = program.instructions.map((each) => `${each.slot}: ${formatInstruction(each)}`);
  expect.fail(`${name}\n${found.slice(0, 3).join('\n')}\n${listing.join('\n')}\n${log}`);
}

describe.skipIf(missingRoot !== undefined)(`beside the live kernel (seed ${SEED})`, () => {
  it(`knows of every register what the kernel knows (${PROGRAMS} programs)`, () => {
    const random = new Random(SEED);
    let states = 0;
    for (let i = 0; i < PROGRAMS; i++) {
      const program = new Builder(random).build();
      states += program.expected.after.size + program.expected.arms.size;
      check(program, `program ${i}`);
    }
    expect(states).toBeGreaterThan(PROGRAMS * STEPS);
  });
});
