import { createInterface } from 'node:readline';
import { type VerifyOptions, type VerifyResult, verifierMapOf, verifyCode } from '../../../lb/bpf/index.js';
import { usageError } from '../faults.js';
import { bytesOf } from './hex.js';
import { mapOfWords } from './map-words.js';
import { PROGRAM_TYPES } from './run-object.js';

/** A program as bytecode, with what is to be known of it. */
export interface CodeQuestion {
  readonly hex: string;
  /** 'xdp' or 'tc'. */
  readonly type: string;
  /** By the index that LD_IMM64 has in imm; see mapOfWords. */
  readonly maps: readonly string[];
  /** prog_flags of BPF_PROG_LOAD. */
  readonly flags?: number;
  /** Prove as for a loader without CAP_PERFMON. */
  readonly unprivileged?: boolean;
}

const isKnownType = (type: string): type is keyof typeof PROGRAM_TYPES => Object.hasOwn(PROGRAM_TYPES, type);

/** Prove bytecode. @throws CliError where the question makes no sense */
export function verifyHex(question: CodeQuestion, log: NonNullable<VerifyOptions['log']> = 0): VerifyResult {
  const { hex, type, maps, flags = 0, unprivileged = false } = question;
  if (!isKnownType(type)) throw usageError(`type "${type}" is to be xdp or tc`);
  return verifyCode(bytesOf('program', hex), {
    type: PROGRAM_TYPES[type],
    maps: maps.map((text, index) => verifierMapOf(mapOfWords(text, `map${index}`))),
    flags,
    unprivileged,
    log,
  });
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');

/** The fields of a line, each of the type that it is to have. */
function questionOf(value: object): CodeQuestion {
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const { hex, type = 'xdp', maps = [], flags = 0, unprivileged = false } = fields;
  if (typeof hex !== 'string') throw usageError('"hex" is to be hexadecimal digits');
  if (typeof type !== 'string') throw usageError('"type" is to be "xdp" or "tc"');
  if (!isTexts(maps)) throw usageError('"maps" is to be a list of "type,key size,value size,entries"');
  if (typeof flags !== 'number' || !Number.isInteger(flags)) throw usageError('"flags" is to be a number');
  if (typeof unprivileged !== 'boolean') throw usageError('"unprivileged" is to be true or false');
  return { hex, type, maps, flags, unprivileged };
}

function answer(line: string): object {
  let name: unknown;
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw usageError('a line is to be an object with "hex"');
    name = 'name' in value ? value.name : undefined;
    const question = questionOf(value);
    if (!isKnownType(question.type)) {
      const message = `programs of type ${question.type} are not offered: xdp and tc are`;
      return { name, accepted: false, message, processed: 0 };
    }
    const result = verifyHex(question);
    const message = result.accepted ? '' : result.message;
    return { name, accepted: result.accepted, message, processed: result.processed };
  } catch (error) {
    // A line that cannot be understood does not end the others.
    const message = error instanceof Error ? error.message : String(error);
    return { name, accepted: false, message, processed: 0, error: message };
  }
}

/** One answer a line, in the order of the questions. */
export async function verifyLines(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() !== '') console.log(JSON.stringify(answer(line)));
  }
}
