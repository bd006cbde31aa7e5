import { decodeProgram, encodeProgram } from '../../../lb/bpf/isa/codec.js';
import type { Instruction } from '../../../lb/bpf/isa/instruction.js';
import { ALU, type AluName, JUMP, type JumpName } from '../../../lb/bpf/isa/opcodes.js';
import type { Random } from '../../conformance/generate.js';
import type { Candidate } from './scene.js';

const SLOT_BYTES = 8;
const NUMBERS = [
  0, 1, 2, 4, 7, 8, 14, 16, 20, 31, 32, 63, 64, 255, 1500, 0x7fff, 0xffff, -1, -2, -8, 0x7fffffff,
] as const;
const HELPERS = [1, 2, 3, 5, 7, 8, 12, 25, 28, 44, 51, 54, 65, 87, 93, 94, 130, 131, 132, 133, 189] as const;
const ALUS = Object.keys(ALU) as AluName[];
const JUMPS = Object.keys(JUMP) as JumpName[];

/** A program with one to three instructions changed, taken out or in another place; slots stay where they are. */
export function mutate(base: Candidate, random: Random): Candidate {
  const code = Uint8Array.from(base.code);
  for (let left = 1 + random.below(3); left > 0; left--) mutateOnce(code, random);
  return { ...base, origin: `mutated ${base.origin}`, code };
}

function mutateOnce(code: Uint8Array, random: Random): void {
  const instructions = decodeProgram(code);
  const index = random.below(instructions.length);
  const instruction = instructions[index]!;
  const put = (at: number, bytes: Uint8Array) => code.set(bytes, at * SLOT_BYTES);
  const { slot } = instruction;
  const next = instructions[index + 1];
  if (instruction.kind === 'imm64') return;
  switch (random.below(12)) {
    case 0:
      put(slot, encodeAt({ slot, kind: 'jump', target: slot + 1 }));
      return;
    case 1:
      if (next === undefined || next.kind === 'imm64') return;
      put(slot, encodeAt(moved(next, slot)));
      put(next.slot, encodeAt(moved(instruction, next.slot)));
      return;
    default:
      put(slot, encodeAt(changed(instruction, random, code.length / SLOT_BYTES)));
  }
}

/** Distances of jumps are kept. */
function moved(instruction: Instruction, slot: number): Instruction {
  if (!('target' in instruction)) return { ...instruction, slot };
  return { ...instruction, slot, target: instruction.target + slot - instruction.slot };
}

function encodeAt(instruction: Instruction): Uint8Array {
  return encodeProgram([moved(instruction, 0)]);
}

function changed(instruction: Instruction, random: Random, slots: number): Instruction {
  const register = () => random.below(10 + Number(random.below(8) === 0));
  const shifted = (value: number) =>
    random.below(3) === 0 ? random.pick(NUMBERS) : value + random.pick([-8, -4, -2, -1, 1, 2, 4, 8]);
  const src = (): { src: { kind: 'reg'; reg: number } | { kind: 'imm'; value: number } } => {
    const old = 'src' in instruction && typeof instruction.src === 'object' ? instruction.src : undefined;
    if (old?.kind === 'imm' && random.below(4) > 0)
      return { src: { kind: 'imm', value: Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, shifted(old.value))) } };
    return random.below(3) > 0
      ? { src: { kind: 'reg', reg: register() } }
      : { src: { kind: 'imm', value: random.pick(NUMBERS) } };
  };
  const off = (old: number) => Math.max(-0x8000, Math.min(0x7fff, shifted(old)));
  switch (instruction.kind) {
    case 'alu':
      return random.pick([
        () => ({ ...instruction, op: random.pick(ALUS) }),
        () => ({ ...instruction, width: instruction.width === 64 ? (32 as const) : (64 as const) }),
        () => ({ ...instruction, dst: register() }),
        () => ({ ...instruction, ...src() }),
      ])();
    case 'branch':
      return random.pick([
        () => ({ ...instruction, op: random.pick(JUMPS) }),
        () => ({ ...instruction, width: instruction.width === 64 ? (32 as const) : (64 as const) }),
        () => ({ ...instruction, dst: register() }),
        () => ({ ...instruction, ...src() }),
        () => ({ ...instruction, target: target(instruction.target, random, slots) }),
      ])();
    case 'jump':
      return { ...instruction, target: target(instruction.target, random, slots) };
    case 'load':
      return random.pick([
        () => ({ ...instruction, bytes: random.pick([1, 2, 4, 8] as const), signed: false }),
        () => ({ ...instruction, signed: instruction.bytes < 8 && !instruction.signed }),
        () => ({ ...instruction, dst: register() }),
        () => ({ ...instruction, src: register() }),
        () => ({ ...instruction, off: off(instruction.off) }),
      ])();
    case 'store':
      return random.pick([
        () => ({ ...instruction, bytes: random.pick([1, 2, 4, 8] as const) }),
        () => ({ ...instruction, dst: register() }),
        () => ({ ...instruction, ...src() }),
        () => ({ ...instruction, off: off(instruction.off) }),
      ])();
    case 'atomic':
      return random.pick([
        () => ({ ...instruction, bytes: random.pick([4, 8] as const) }),
        () => ({ ...instruction, dst: register() }),
        () => ({ ...instruction, src: register() }),
        () => ({ ...instruction, off: off(instruction.off) }),
      ])();
    case 'call-helper':
      return { ...instruction, id: random.pick(HELPERS) };
    case 'neg':
    case 'swap':
    case 'movsx':
      return { ...instruction, dst: register() };
    default:
      return instruction;
  }
}

/** Anywhere, or one beside. */
function target(old: number, random: Random, slots: number): number {
  return random.below(2) === 0 ? old + random.pick([-1, 1]) : random.below(slots);
}
