import { readFileSync } from 'node:fs';
import { Option } from 'commander';
import { loadObject, type ObjectSpec, type ProgramSpec } from '../../../lb/bpf/index.js';
import { CliError, EXIT } from '../faults.js';

/** Types of the kernel that runs. */
const KERNEL_BTF = '/sys/kernel/btf/vmlinux';

export interface ObjectOptions {
  /** File with the BTF that CO-RE relocations are made for, or 'kernel'; the runtime's own types unless given. */
  readonly targetBtf?: string;
  /** Values of global variables before the object is loaded. */
  readonly globals?: Readonly<Record<string, unknown>>;
}

/** @throws CliError naming the file and what is wrong with it */
export function readFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CliError(EXIT.refused, `${path}: cannot be read (${code})`);
  }
}

/** Load an object file. */
export function readObject(path: string, { targetBtf, globals = {} }: ObjectOptions = {}): ObjectSpec {
  const bytes = readFile(path);
  const target = targetBtf === 'kernel' ? KERNEL_BTF : targetBtf;
  try {
    return loadObject(bytes, {
      globals,
      ...(target === undefined ? {} : { targetBtf: readFile(target) }),
    });
  } catch (error) {
    throw new CliError(EXIT.refused, `${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The programs that are asked for: one by name, or all. */
export function programsOf(object: ObjectSpec, path: string, name?: string): readonly ProgramSpec[] {
  if (name === undefined) return object.programs;
  const found = object.programs.filter((program) => program.name === name || program.section === name);
  if (found.length > 0) return found;
  const refused = object.refused?.find((program) => program.name === name);
  if (refused !== undefined)
    throw new CliError(EXIT.refused, `${path}: program ${name} cannot be loaded: ${refused.error.message}`);
  const names = object.programs.map((program) => program.name).join(', ') || 'none';
  throw new CliError(EXIT.refused, `${path}: there is no program ${name}; there are ${names}`);
}

/** The option that says what CO-RE relocations are made for. */
export const targetBtfOption = () =>
  new Option(
    '--target-btf <file>',
    "types that CO-RE relocations are made for: a file, or 'kernel' for the one that runs; the runtime's own unless given",
  );
