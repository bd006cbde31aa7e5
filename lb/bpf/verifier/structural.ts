import { CodedError } from '../../errors.js';
import { contextUser } from '../context/fields.js';
import { type HelperPrototype, helperById } from '../helpers/prototypes.js';
import { slotsOf } from '../isa/codec.js';
import { calledFunction, type Instruction } from '../isa/instruction.js';
import { FRAME_POINTER, POISON_HELPER } from '../isa/opcodes.js';
import { writtenRegister } from '../isa/registers.js';
import { type ConstantMap, liveSlots } from './live.js';

export type StructureFault =
  | { readonly code: 'STRUCTURE_EMPTY' }
  | { readonly code: 'STRUCTURE_JUMP'; readonly slot: number; readonly target: number }
  | { readonly code: 'STRUCTURE_FALL_THROUGH'; readonly slot: number }
  | { readonly code: 'STRUCTURE_FRAME_POINTER'; readonly slot: number }
  /** No helper has the number. */
  | { readonly code: 'STRUCTURE_HELPER'; readonly slot: number; readonly helper: number }
  /** A helper of the kernel that programs cannot have here, or not programs of this type. */
  | { readonly code: 'STRUCTURE_HELPER_NOT_OFFERED'; readonly slot: number; readonly helper: string }
  | {
      readonly code: 'STRUCTURE_HELPER_TYPE';
      readonly slot: number;
      readonly helper: string;
      readonly programType: string;
    }
  /** What a CO-RE relocation left that found nothing. */
  | { readonly code: 'STRUCTURE_POISON'; readonly slot: number }
  | {
      readonly code: 'STRUCTURE_PACKET_LOAD';
      readonly slot: number;
      readonly programType: string | undefined;
    }
  | { readonly code: 'STRUCTURE_FUNCTION'; readonly slot: number; readonly target: number }
  | { readonly code: 'STRUCTURE_HOLE'; readonly slot: number; readonly expected: number }
  | { readonly code: 'STRUCTURE_CALL_DEPTH'; readonly slot: number; readonly frames: number };

/** A program whose instructions are legal one by one, and do not make a program together. */
export class StructureError extends CodedError<StructureFault> {}

/** Frames that a program may have at once: the kernel's MAX_CALL_FRAMES, and the room of the arena's stacks. */
export const MAX_FRAMES = 8;

export interface StructureOptions {
  /** The kernel's name of the program's type (ObjectSpec's ProgramType); helpers of any type pass where it is not given. */
  readonly programType?: string;
  /** Helpers by number; the runtime's own unless given. */
  readonly helper?: (id: number) => HelperPrototype | undefined;
  /** By the index that map references have: what frozen maps hold decides what code is live. */
  readonly maps?: readonly ConstantMap[];
  /** Slots that a proof found no path to; without it, what constants tell. */
  readonly dead?: ReadonlySet<number>;
  /** Why a relocation found nothing (ProgramSpec.poisoned). */
  readonly poisoned?: readonly { readonly slot: number; readonly why: string }[];
}

/**
 * What must hold before a program can be translated at all: each jump goes to an instruction of its own
 * function, each call to the start of a function that is there, control never runs past an end, no chain of
 * calls and callbacks needs more than MAX_FRAMES frames, r10 is not written. Helpers that do not exist or are not
 * offered, and loads of a socket buffer in programs that have none, must be in code that nothing leads to, as far
 * as constants tell. That a program is *safe* is the verifier's to say.
 * @param instructions as decodeProgram gives them: in order of slots, registers legal
 * @throws StructureError naming the slot
 */
export function checkStructure(instructions: readonly Instruction[], options: StructureOptions = {}): void {
  if (instructions.length === 0)
    throw new StructureError({ code: 'STRUCTURE_EMPTY' }, 'the program has no instruction');
  const starts = new Set(instructions.map(({ slot }) => slot));
  const functionStarts = functionStartsOf(instructions);
  for (const target of functionStarts.keys()) {
    if (!starts.has(target)) badFunction(functionStarts.get(target) ?? 0, target);
  }
  const bounds = [...functionStarts.keys()].sort((a, b) => a - b);
  let current = -1;
  for (const [index, instruction] of instructions.entries()) {
    const { slot } = instruction;
    if (functionStarts.has(slot)) current = bounds.indexOf(slot);
    const from = bounds[current] ?? 0;
    const to = bounds[current + 1] ?? Number.POSITIVE_INFINITY;
    if (writtenRegister(instruction) === FRAME_POINTER) {
      throw new StructureError(
        { code: 'STRUCTURE_FRAME_POINTER', slot },
        `instruction ${slot}: the frame pointer r10 is read only`,
      );
    }
    if (instruction.kind === 'jump' || instruction.kind === 'branch') {
      const { target } = instruction;
      if (!starts.has(target) || target < from || target >= to) {
        throw new StructureError(
          { code: 'STRUCTURE_JUMP', slot, target },
          `instruction ${slot}: jump to ${target}, which is no instruction of this function`,
        );
      }
    }
    const next = instructions[index + 1];
    const isLast = next === undefined || functionStarts.has(next.slot);
    if (isLast && instruction.kind !== 'exit' && instruction.kind !== 'jump') {
      throw new StructureError(
        { code: 'STRUCTURE_FALL_THROUGH', slot },
        `instruction ${slot}: control runs past the end of the function`,
      );
    }
    const expected = slot + slotsOf(instruction);
    if (next !== undefined && next.slot !== expected) {
      throw new StructureError(
        { code: 'STRUCTURE_HOLE', slot: next.slot, expected },
        `instruction ${next.slot}: the one before it ends at slot ${expected}`,
      );
    }
  }
  checkCallDepth(instructions, bounds);
  checkOffered(instructions, options);
}

/** Refuses the first instruction that is not offered and not dead. */
function checkOffered(instructions: readonly Instruction[], options: StructureOptions): void {
  let live: ReadonlySet<number> | undefined;
  for (const instruction of instructions) {
    const error = refusalOf(instruction, options);
    if (error === undefined) continue;
    if (options.dead !== undefined) {
      if (!options.dead.has(instruction.slot)) throw error;
      continue;
    }
    // Only now: most programs ask for nothing that is not there.
    live ??= liveSlots(instructions, options.maps);
    if (live.has(instruction.slot)) throw error;
  }
}

/** Why an instruction cannot be executed here, or undefined. */
function refusalOf(instruction: Instruction, options: StructureOptions): StructureError | undefined {
  const { slot } = instruction;
  const { programType } = options;
  const user = contextUser(programType);
  if (instruction.kind === 'packet-load') {
    if (user === 'sched_cls') return undefined;
    const whose = programType === undefined ? 'this program' : `a program of type ${programType}`;
    return new StructureError(
      { code: 'STRUCTURE_PACKET_LOAD', slot, programType },
      `instruction ${slot}: LD_ABS and LD_IND read a socket buffer, which ${whose} does not have`,
    );
  }
  if (instruction.kind !== 'call-helper') return undefined;
  const { id } = instruction;
  if (id === POISON_HELPER) return poisonRefusal(slot, options);
  const prototype = (options.helper ?? helperById)(id);
  if (prototype === undefined) {
    return new StructureError(
      { code: 'STRUCTURE_HELPER', slot, helper: id },
      `instruction ${slot}: helper ${id} is not known`,
    );
  }
  const { name, notOffered, users } = prototype;
  if (notOffered !== undefined) {
    return new StructureError(
      { code: 'STRUCTURE_HELPER_NOT_OFFERED', slot, helper: name },
      `instruction ${slot}: helper ${name} (${id}) is not offered: ${notOffered}`,
    );
  }
  if (programType === undefined || user === undefined || users.includes(user)) return undefined;
  return new StructureError(
    { code: 'STRUCTURE_HELPER_TYPE', slot, helper: name, programType },
    `instruction ${slot}: programs of type ${programType} cannot call helper ${name} (${id})`,
  );
}

function poisonRefusal(slot: number, { poisoned = [] }: StructureOptions): StructureError {
  const why = poisoned.find((each) => each.slot === slot)?.why;
  return new StructureError(
    { code: 'STRUCTURE_POISON', slot },
    `instruction ${slot}: needs a type or field that the target does not have${why === undefined ? '' : `: ${why}`}`,
  );
}

/** @param bounds starts of the functions, ascending; every call goes to one of them */
function checkCallDepth(instructions: readonly Instruction[], bounds: readonly number[]): void {
  type Call = { readonly slot: number; readonly target: number };
  const callsOf = new Map<number, Call[]>(bounds.map((start) => [start, []]));
  let current: Call[] = [];
  for (const instruction of instructions) {
    current = callsOf.get(instruction.slot) ?? current;
    const target = calledFunction(instruction);
    if (target !== undefined) current.push({ slot: instruction.slot, target });
  }
  // Longest chain from each function on, found once; a chain that comes back to itself is longer than any bound.
  const chains = new Map<number, number>();
  const chainFrom = (start: number, frames: number, slot: number): number => {
    const known = chains.get(start);
    if (frames > MAX_FRAMES || (known !== undefined && frames - 1 + known > MAX_FRAMES)) {
      throw new StructureError(
        { code: 'STRUCTURE_CALL_DEPTH', slot, frames: MAX_FRAMES },
        `instruction ${slot}: the call can need more than ${MAX_FRAMES} frames`,
      );
    }
    if (known !== undefined) return known;
    let longest = 1;
    for (const call of callsOf.get(start) ?? [])
      longest = Math.max(longest, 1 + chainFrom(call.target, frames + 1, call.slot));
    chains.set(start, longest);
    return longest;
  };
  for (const start of bounds) chainFrom(start, 1, start);
}

/** Start of each function → the slot that first refers to it. */
function functionStartsOf(instructions: readonly Instruction[]): Map<number, number> {
  const found = new Map<number, number>([[instructions[0]?.slot ?? 0, 0]]);
  for (const instruction of instructions) {
    const target = calledFunction(instruction);
    if (target !== undefined && !found.has(target)) found.set(target, instruction.slot);
  }
  return found;
}

function badFunction(slot: number, target: number): never {
  throw new StructureError(
    { code: 'STRUCTURE_FUNCTION', slot, target },
    `instruction ${slot}: no function starts at ${target}`,
  );
}
