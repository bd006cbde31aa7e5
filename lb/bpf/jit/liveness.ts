import type { Instruction, Operand } from '../isa/instruction.js';
import { writtenRegister } from '../isa/registers.js';
import { type BasicBlock, type BpfFunction, reversePostorder, successors } from './cfg.js';

/** r0 to r5: what a call may change, of which it reads all but r0. */
const CALL_ARGUMENTS: readonly number[] = [1, 2, 3, 4, 5];
const CALL_CHANGES: readonly number[] = [0, ...CALL_ARGUMENTS];

const inOperand = (operand: Operand): number[] => (operand.kind === 'reg' ? [operand.reg] : []);

/** Registers that an instruction may read. */
function readRegisters(instruction: Instruction): readonly number[] {
  switch (instruction.kind) {
    case 'alu':
      return [...(instruction.op === 'mov' ? [] : [instruction.dst]), ...inOperand(instruction.src)];
    case 'neg':
    case 'swap':
      return [instruction.dst];
    case 'movsx':
    case 'load':
    case 'load-acquire':
      return [instruction.src];
    case 'store':
      return [instruction.dst, ...inOperand(instruction.src)];
    case 'store-release':
      return [instruction.dst, instruction.src];
    case 'atomic':
      return [0, instruction.dst, instruction.src];
    case 'branch':
      return [instruction.dst, ...inOperand(instruction.src)];
    case 'packet-load':
      return [6, instruction.src];
    case 'call-helper':
    case 'call-local':
      return CALL_ARGUMENTS;
    case 'exit':
      return [0];
    case 'imm64':
    case 'jump':
      return [];
  }
}

/** Registers that certainly hold something else behind an instruction. */
function replacedRegisters(instruction: Instruction): readonly number[] {
  switch (instruction.kind) {
    case 'call-helper':
    case 'call-local':
      return CALL_CHANGES;
    // Fetched or not: that it may be read is enough.
    case 'atomic':
      return [];
    // Out of the packet the function ends, and r0 is what it gives then.
    case 'packet-load':
      return CALL_CHANGES;
    default: {
      const written = writtenRegister(instruction);
      return written === undefined ? [] : [written];
    }
  }
}

const bit = (register: number): number => 1 << register;

/** Registers that are read at a block's end, or by what follows it, before they are replaced; bit n is rn. */
function liveAtStart(block: BasicBlock, liveAtEnd: number): number {
  let live = liveAtEnd;
  for (let at = block.instructions.length - 1; at >= 0; at--) {
    const instruction = block.instructions[at]!;
    for (const register of replacedRegisters(instruction)) live &= ~bit(register);
    for (const register of readRegisters(instruction)) live |= bit(register);
  }
  return live;
}

/**
 * Registers whose value some path from each block's end still reads, its branch's own among them; bit n is rn.
 * Those of a block that nothing reaches are none.
 */
export function liveAtEnds({ blocks }: BpfFunction): number[] {
  const ends = new Array<number>(blocks.length).fill(0);
  const starts = new Array<number>(blocks.length).fill(0);
  const order = reversePostorder(blocks.map(({ terminator }) => terminator)).reverse();
  for (let changed = true; changed; ) {
    changed = false;
    for (const index of order) {
      const block = blocks[index]!;
      let live = block.terminator.kind === 'exit' ? bit(0) : 0;
      for (const to of successors(block.terminator)) live |= starts[to]!;
      if (block.branch) for (const register of readRegisters(block.branch)) live |= bit(register);
      ends[index] = live;
      const start = liveAtStart(block, live);
      if (start === starts[index]) continue;
      starts[index] = start;
      changed = true;
    }
  }
  return ends;
}

/** Whether all that an instruction does is to give its register a value. A load that is proven does not trap. */
function isPure({ kind }: Instruction): boolean {
  return (
    kind === 'alu' ||
    kind === 'neg' ||
    kind === 'movsx' ||
    kind === 'swap' ||
    kind === 'imm64' ||
    kind === 'load'
  );
}

/**
 * Leaves out what gives values that nothing reads.
 * @param liveAtEnd of r0 to r10, see `liveAtEnds`; registers above are of no use behind the end
 */
export function withoutDead(instructions: readonly Instruction[], liveAtEnd: number): Instruction[] {
  const live = new Set<number>();
  for (let register = 0; register <= 10; register++) if (liveAtEnd & bit(register)) live.add(register);
  const kept: Instruction[] = [];
  for (let at = instructions.length - 1; at >= 0; at--) {
    const instruction = instructions[at]!;
    const written = writtenRegister(instruction);
    if (isPure(instruction) && written !== undefined && !live.has(written)) continue;
    for (const register of replacedRegisters(instruction)) live.delete(register);
    for (const register of readRegisters(instruction)) live.add(register);
    kept.push(instruction);
  }
  return kept.reverse();
}
