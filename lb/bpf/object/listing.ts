import { helperById } from '../helpers/prototypes.js';
import { decodeProgram } from '../isa/codec.js';
import type { Instruction } from '../isa/instruction.js';
import { formatInstruction, type Names } from '../isa/text.js';
import type { LineSpec, ObjectSpec, ProgramSpec } from './spec.js';

export interface ListingOptions {
  /** Source lines in front of their instructions. */
  readonly lines?: boolean;
  /** What stands behind an instruction, as a comment. */
  readonly note?: (instruction: Instruction) => string | undefined;
}

const SLOT_WIDTH = 6;
/** Where a note begins, counted from the start of the instruction. */
const NOTE_COLUMN = 48;

/** Names of what a program's instructions refer to: helpers, maps, functions and labels. */
export function namesOf(
  program: Pick<ProgramSpec, 'functions'>,
  object: Pick<ObjectSpec, 'maps'>,
  instructions: readonly Instruction[],
): Required<Names> {
  const functions = new Map(program.functions.map(({ name, start }) => [start, name]));
  const labels = labelsOf(instructions);
  return {
    helper: (id) => `${helperById(id)?.name ?? 'unknown'}#${id}`,
    map: (index) => object.maps[index]?.name ?? `${index}`,
    function: (slot) => functions.get(slot) ?? `${slot}`,
    label: (slot) => labels.get(slot) ?? `${slot}`,
  };
}

/** Targets of jumps, numbered in order of their slots. */
function labelsOf(instructions: readonly Instruction[]): ReadonlyMap<number, string> {
  const targets = new Set<number>();
  for (const instruction of instructions) {
    if (instruction.kind === 'jump' || instruction.kind === 'branch') targets.add(instruction.target);
  }
  return new Map([...targets].sort((a, b) => a - b).map((slot, index) => [slot, `L${index + 1}`]));
}

/** "; text @ file:line", as the kernel's log writes it. */
export function formatLine({ text, file, line }: LineSpec): string {
  return `; ${text} @ ${file.slice(file.lastIndexOf('/') + 1)}:${line}`;
}

/**
 * A program as text: functions and jump targets as labels, helpers and maps by name, the source lines between. The
 * form of an instruction is formatInstruction's.
 * @throws IsaError where the code does not decode
 */
export function formatListing(
  program: Pick<ProgramSpec, 'code' | 'functions' | 'lines'>,
  object: Pick<ObjectSpec, 'maps'>,
  { lines = true, note }: ListingOptions = {},
): string {
  const instructions = decodeProgram(program.code);
  const names = namesOf(program, object, instructions);
  const labels = labelsOf(instructions);
  const functions = new Map(program.functions.map(({ name, start }) => [start, name]));
  const sources = new Map(lines ? program.lines.map((line) => [line.slot, line]) : []);
  const out: string[] = [];
  // clang gives one line to several runs of instructions, one behind the other.
  let written = '';
  for (const instruction of instructions) {
    const { slot } = instruction;
    const name = functions.get(slot);
    if (name !== undefined) out.push(...(out.length > 0 ? [''] : []), `${name}:`);
    const label = labels.get(slot);
    if (label !== undefined) out.push(`${label}:`);
    const source = sources.get(slot);
    const line = source === undefined ? written : formatLine(source);
    if (line !== written || (source !== undefined && label !== undefined)) out.push(line);
    written = line;
    const text = formatInstruction(instruction, names);
    const comment = note?.(instruction);
    const body = comment === undefined ? text : `${text.padEnd(NOTE_COLUMN)} ; ${comment}`;
    out.push(`${String(slot).padStart(SLOT_WIDTH)}: ${body}`);
  }
  return out.join('\n');
}
