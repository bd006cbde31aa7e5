import { type Command, Option } from 'commander';
import {
  type Btf,
  decodeProgram,
  formatC,
  formatListing,
  formatTypeScript,
  formatWat,
  Machine,
  type ObjectSpec,
  type ProgramSpec,
} from '../../../lb/bpf/index.js';
import { CliError, EXIT } from '../faults.js';
import type { GlobalOptions } from '../session.js';
import { programsOf, readObject, targetBtfOption } from './object.js';

const FORMS = ['asm', 'wat', 'c', 'ts', 'json'] as const;

interface DumpOptions extends GlobalOptions {
  readonly program?: string;
  readonly as: (typeof FORMS)[number];
  readonly source: boolean;
  readonly targetBtf?: string;
}

/** What the object holds, in comment lines that stand above the listing. */
function heading(object: ObjectSpec): string[] {
  const maps = object.maps.map(
    ({ name, type, keySize, valueSize, maxEntries }) =>
      `; map ${name}: ${type}, key ${keySize} bytes, value ${valueSize} bytes, ${maxEntries} entries`,
  );
  const refused = (object.refused ?? []).map(
    ({ name, section, error }) => `; program ${name} (section ${section}) cannot be loaded: ${error.message}`,
  );
  return [`; license ${object.license || '(none)'}`, ...maps, ...refused];
}

function listing(program: ProgramSpec, object: ObjectSpec, lines: boolean): string {
  const count = decodeProgram(program.code).length;
  return [
    `; program ${program.name}: ${program.type}, section ${program.section}, ${count} instructions`,
    formatListing(program, object, { lines }),
  ].join('\n');
}

/** Plain data for `-o json` readers. */
function summary(object: ObjectSpec, programs: readonly ProgramSpec[]) {
  return {
    license: object.license,
    programs: programs.map(({ name, section, type, code, functions }) => ({
      name,
      section,
      type,
      instructions: decodeProgram(code).length,
      bytes: code.length,
      functions: functions.map((fn) => fn.name),
    })),
    refused: (object.refused ?? []).map(({ name, section, error }) => ({
      name,
      section,
      why: error.message,
    })),
    maps: object.maps.map(({ name, type, keySize, valueSize, maxEntries, flags }) => ({
      name,
      type,
      keySize,
      valueSize,
      maxEntries,
      flags,
    })),
    globals: object.globals.map(({ name, map, offset, bytes }) => ({ name, map, offset, bytes })),
  };
}

function typesOf(object: ObjectSpec, path: string): Btf {
  if (object.btf !== undefined) return object.btf;
  throw new CliError(EXIT.refused, `${path}: there are no types in it: build with -g`);
}

/** Types of the maps' keys and values and of the global variables. */
function keysAndValues(object: ObjectSpec): number[] {
  const ids = [
    ...object.maps.flatMap(({ keyTypeId, valueTypeId }) => [keyTypeId, valueTypeId]),
    ...object.globals.map(({ typeId }) => typeId),
  ];
  return [...new Set(ids.filter((id) => id !== undefined))];
}

function dump(path: string, { program, as, source, targetBtf }: DumpOptions): void {
  const object = readObject(path, targetBtf === undefined ? {} : { targetBtf });
  const programs = programsOf(object, path, program);
  switch (as) {
    case 'asm':
      console.log(
        [...heading(object), ...programs.map((each) => `\n${listing(each, object, source)}`)].join('\n'),
      );
      break;
    case 'wat': {
      using machine = Machine.create(object, { engine: 'jit' });
      for (const { name } of programs) {
        const { wasm } = machine.program(name);
        if (wasm !== undefined) console.log(`;; program ${name}\n${formatWat(wasm)}`);
      }
      break;
    }
    case 'c':
      console.log(formatC(typesOf(object, path)).trimEnd());
      break;
    case 'ts':
      console.log(formatTypeScript(typesOf(object, path), keysAndValues(object)).trimEnd());
      break;
    case 'json':
      console.log(JSON.stringify(summary(object, programs), undefined, 2));
      break;
  }
}

export function addDump(bpf: Command): void {
  bpf
    .command('dump')
    .description('show what an object file holds: the instructions with labels, names and source lines')
    .argument('<file>', 'object file as clang builds it')
    .option('--program <name>', 'this program alone')
    .addOption(
      new Option(
        '--as <form>',
        'asm: instructions; wat: the text of the WebAssembly; c, ts: types as C or TypeScript; json: what there is',
      )
        .choices(FORMS)
        .default('asm'),
    )
    .option('--no-source', 'leave the source lines out')
    .addOption(targetBtfOption())
    .action((path: string, options: DumpOptions) => dump(path, options));
}
