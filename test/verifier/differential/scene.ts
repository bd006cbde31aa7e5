import { decodeProgram, encodeProgram } from '../../../lb/bpf/isa/codec.js';
import type { Instruction } from '../../../lb/bpf/isa/instruction.js';
import { formatInstruction } from '../../../lb/bpf/isa/text.js';
import type { MapSpec } from '../../../lb/bpf/maps/map.js';
import type { Btf } from '../../../lb/bpf/object/btf.js';
import type { AttachType, FunctionSpec } from '../../../lb/bpf/object/spec.js';
import { assemble } from '../../support/assembler.js';
import { functionTypes, STATIC_FUNCTION } from './function-types.js';

/** What programs are loaded with: one object's maps and types, or the generated programs' common ones. */
export interface Scene {
  readonly name: string;
  readonly maps: readonly MapSpec[];
  readonly btf?: Btf;
  readonly license: string;
}

/** A program to be judged. */
export interface Candidate {
  /** How it was made: the generator, or the program that it is a mutation of. */
  readonly origin: string;
  readonly scene: Scene;
  readonly type: 'xdp' | 'sched_cls';
  readonly attachType?: AttachType;
  /** 8 bytes a slot, map references by index. */
  readonly code: Uint8Array;
  readonly functions: readonly FunctionSpec[];
}

export const VALUE_BYTES = 64;
export const LOCK_OFFSET = 8;
/** Maps of generated programs by index. */
export const MAP = {
  array: 0,
  hash: 1,
  percpu: 2,
  lru: 3,
  ring: 4,
  lock: 5,
  small: 6,
  programs: 7,
  one: 8,
} as const;

const map = (
  name: keyof typeof MAP,
  type: MapSpec['type'],
  keySize: number,
  valueSize: number,
  maxEntries: number,
): MapSpec => ({ name, type, keySize, valueSize, maxEntries, flags: 0 });

export const GENERATED_MAPS: readonly MapSpec[] = [
  map('array', 'ARRAY', 4, VALUE_BYTES, 4),
  map('hash', 'HASH', 4, VALUE_BYTES, 6),
  map('percpu', 'PERCPU_ARRAY', 4, VALUE_BYTES, 4),
  map('lru', 'LRU_HASH', 8, 24, 16),
  map('ring', 'RINGBUF', 0, 0, 4096),
  { ...map('lock', 'ARRAY', 4, 32, 2), lockOffset: LOCK_OFFSET },
  map('small', 'HASH', 12, 5, 4),
  map('programs', 'PROG_ARRAY', 4, 4, 4),
  map('one', 'ARRAY', 4, 16, 1),
];

const plain: Scene = { name: 'generated', maps: GENERATED_MAPS, license: 'GPL' };
const typed: Scene = { ...plain, name: 'generated, with types', btf: functionTypes() };

/** Slots at which functions start, the entry's first. */
function functionStarts(instructions: readonly Instruction[]): number[] {
  const starts = new Set([0]);
  for (const instruction of instructions) {
    if (instruction.kind === 'call-local') starts.add(instruction.target);
    if (instruction.kind === 'imm64' && instruction.imm.kind === 'function')
      starts.add(instruction.imm.target);
  }
  return [...starts].sort((a, b) => a - b);
}

/** A generated program from its text; where it has callbacks, with types for its functions. */
export function candidateOf(origin: string, text: string): Candidate {
  const instructions = assemble(text);
  const hasCallback = instructions.some((each) => each.kind === 'imm64' && each.imm.kind === 'function');
  const functions = functionStarts(instructions).map((start, index) => ({
    name: index === 0 ? 'entry' : `f${index}`,
    start,
    ...(hasCallback && { typeId: STATIC_FUNCTION }),
  }));
  return {
    origin,
    scene: hasCallback ? typed : plain,
    type: 'xdp',
    code: encodeProgram(instructions),
    functions,
  };
}

/** The program as text, without what does nothing; hex where it is no BPF. */
export function listing({ code }: Pick<Candidate, 'code'>): string {
  try {
    const instructions = decodeProgram(code);
    return instructions
      .filter(({ kind, slot }, at) => !(kind === 'jump' && isNothing(instructions[at]!, slot)))
      .map(
        (each) =>
          `${String(each.slot).padStart(5)}: ${formatInstruction(each, { label: String, function: String })}`,
      )
      .join('\n');
  } catch {
    return Buffer.from(code).toString('hex');
  }
}

const isNothing = (instruction: Instruction, slot: number) =>
  instruction.kind === 'jump' && instruction.target === slot + 1;
