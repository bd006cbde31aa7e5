import { foldArithmetic, foldBranch } from '../isa/fold.js';
import { type AccessBytes, calledFunction, type Instruction, type Of } from '../isa/instruction.js';
import { REGISTERS } from '../isa/opcodes.js';
import { writtenRegister } from '../isa/registers.js';

/** What is known of a register: a number, or a place in the value of a map whose content never changes. */
type Known = bigint | { readonly map: number; readonly offset: number } | undefined;
type Registers = readonly Known[];

/** A map as far as constants go: the content of one that is frozen and read-only. */
export interface ConstantMap {
  readonly constants?: Uint8Array;
}

const UNKNOWN: Registers = new Array<Known>(REGISTERS).fill(undefined);

function same(a: Known, b: Known): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  return a.map === b.map && a.offset === b.offset;
}

const READ: Record<AccessBytes, (view: DataView, at: number) => bigint> = {
  1: (view, at) => BigInt(view.getUint8(at)),
  2: (view, at) => BigInt(view.getUint16(at, true)),
  4: (view, at) => BigInt(view.getUint32(at, true)),
  8: (view, at) => view.getBigUint64(at, true),
};

function loaded(instruction: Of<'load'>, registers: Registers, maps: readonly ConstantMap[]): Known {
  const { src, off, bytes, signed } = instruction;
  const base = registers[src];
  if (typeof base !== 'object') return undefined;
  const constants = maps[base.map]?.constants;
  const at = base.offset + off;
  if (constants === undefined || at < 0 || at + bytes > constants.length) return undefined;
  const view = new DataView(constants.buffer, constants.byteOffset, constants.byteLength);
  const value = READ[bytes](view, at);
  return signed ? BigInt.asUintN(64, BigInt.asIntN(8 * bytes, value)) : value;
}

const numberIn = (registers: Registers) => (register: number) => {
  const known = registers[register];
  return typeof known === 'bigint' ? known : undefined;
};

function result(instruction: Instruction, registers: Registers, maps: readonly ConstantMap[]): Known {
  switch (instruction.kind) {
    case 'imm64': {
      const { imm } = instruction;
      if (imm.kind === 'value') return imm.value;
      return imm.kind === 'map-value' ? { map: imm.map, offset: imm.offset } : undefined;
    }
    case 'load':
      return loaded(instruction, registers, maps);
    case 'alu': {
      const { op, width, src } = instruction;
      const from = src.kind === 'reg' ? registers[src.reg] : undefined;
      if (op === 'mov' && width === 64 && typeof from === 'object') return from;
      return foldArithmetic(instruction, numberIn(registers));
    }
    default:
      return foldArithmetic(instruction, numberIn(registers));
  }
}

const LAST_CLOBBERED_REGISTER = 5;

function after(instruction: Instruction, before: Registers, maps: readonly ConstantMap[]): Registers {
  const registers = [...before];
  if (
    instruction.kind === 'call-helper' ||
    instruction.kind === 'call-local' ||
    instruction.kind === 'packet-load'
  ) {
    return registers.fill(undefined, 0, LAST_CLOBBERED_REGISTER + 1);
  }
  const written = writtenRegister(instruction);
  if (written !== undefined) registers[written] = result(instruction, before, maps);
  return registers;
}

/** Slots that control can go to next, within the function. */
function nextSlots(instruction: Instruction, next: number, registers: Registers): number[] {
  switch (instruction.kind) {
    case 'exit':
      return [];
    case 'jump':
      return [instruction.target];
    case 'branch': {
      const isTaken = foldBranch(instruction, numberIn(registers));
      if (isTaken === undefined) return [next, instruction.target];
      return [isTaken ? instruction.target : next];
    }
    default:
      return [next];
  }
}

/**
 * The instructions that control can get to, as far as constants in registers and in frozen maps tell: what a
 * program guards by a question that was answered when it was loaded is not among them.
 * @param instructions jumps and calls go to instructions
 * @returns their slots
 */
export function liveSlots(
  instructions: readonly Instruction[],
  maps: readonly ConstantMap[] = [],
): ReadonlySet<number> {
  const indexOf = new Map(instructions.map(({ slot }, index) => [slot, index]));
  const known: (Registers | undefined)[] = new Array<Registers | undefined>(instructions.length);
  const due: number[] = [];
  const reach = (slot: number, registers: Registers) => {
    const index = indexOf.get(slot)!;
    const before = known[index];
    const joined = before?.map((each, i) => (same(each, registers[i]) ? each : undefined));
    if (before !== undefined && joined?.every((each, i) => same(each, before[i]))) return;
    known[index] = joined ?? registers;
    due.push(index);
  };
  reach(instructions[0]!.slot, UNKNOWN);
  for (let index = due.pop(); index !== undefined; index = due.pop()) {
    const instruction = instructions[index]!;
    const before = known[index]!;
    const called = calledFunction(instruction);
    if (called !== undefined) reach(called, UNKNOWN);
    const registers = after(instruction, before, maps);
    const next = instructions[index + 1]?.slot ?? -1;
    for (const slot of nextSlots(instruction, next, before)) if (slot >= 0) reach(slot, registers);
  }
  return new Set(instructions.flatMap(({ slot }, index) => (known[index] === undefined ? [] : [slot])));
}
