import { foldArithmetic, type KnownRegister } from '../isa/fold.js';
import type { Instruction, Of } from '../isa/instruction.js';
import { constant, type Fact, isStackPointer, type State } from './facts.js';

/** Registers of a state as constant folding reads them. */
export function constantsOf(state: State): KnownRegister {
  return (register) => {
    const fact = state.registers[register];
    return fact?.kind === 'constant' ? fact.value : undefined;
  };
}

function movePointer(pointer: Fact | undefined, by: Fact | undefined, sign: bigint): Fact | undefined {
  if (by?.kind !== 'constant' || (pointer?.kind !== 'frame' && pointer?.kind !== 'argument'))
    return undefined;
  const offset = pointer.offset + Number(BigInt.asIntN(64, sign * by.value));
  // Stacks are smaller by far; what is beyond was no pointer.
  return Math.abs(offset) < 2 ** 31 ? { ...pointer, offset } : undefined;
}

/** Nothing but a number can be added to a pointer into the packet; of two of them the difference is one. */
function movePacket(left: Fact | undefined, right: Fact | undefined, op: 'add' | 'sub'): Fact | undefined {
  if (isStackPointer(left) || isStackPointer(right)) return undefined;
  if (left?.kind === 'packet' && (op === 'add' || right?.kind === 'constant')) return left;
  return right?.kind === 'packet' && op === 'add' ? right : undefined;
}

function pointerResult({ op, dst, src }: Of<'alu'>, state: State): Fact | undefined {
  const left = state.registers[dst];
  const right = src.kind === 'reg' ? state.registers[src.reg] : constant(BigInt(src.value));
  switch (op) {
    case 'mov':
      return right;
    case 'add':
      return movePointer(left, right, 1n) ?? movePointer(right, left, 1n) ?? movePacket(left, right, op);
    case 'sub':
      return movePointer(left, right, -1n) ?? movePacket(left, right, op);
    default:
      return undefined;
  }
}

/**
 * What arithmetic leaves in its register: a pointer plus a constant stays known, and one into the packet plus anything;
 * everything else is a constant or nothing. Undefined for other instructions too.
 */
export function trackedResult(instruction: Instruction, state: State): Fact | undefined {
  const folded = foldArithmetic(instruction, constantsOf(state));
  if (folded !== undefined) return constant(folded);
  return instruction.kind === 'alu' && instruction.width === 64
    ? pointerResult(instruction, state)
    : undefined;
}
