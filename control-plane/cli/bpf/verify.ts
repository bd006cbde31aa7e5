import { text } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import {
  type Accepted,
  type ObjectSpec,
  type ProgramSpec,
  type RefusedProgram,
  type VerifyResult,
  verifyCode,
  verifyOptionsOf,
} from '../../../lb/bpf/index.js';
import { CliError, EXIT, usageError } from '../faults.js';
import { count } from '../format.js';
import { programsOf, readObject, targetBtfOption } from './object.js';
import { several } from './run.js';
import { PROGRAM_TYPES } from './run-object.js';
import { verifyHex, verifyLines } from './verify-lines.js';

const LOG_LEVELS = { '0': 0, '1': 1, '2': 2 } as const;

interface VerifyCommandOptions {
  readonly program?: string;
  readonly type?: keyof typeof PROGRAM_TYPES;
  readonly log: keyof typeof LOG_LEVELS;
  readonly json: boolean;
  readonly hex: boolean;
  readonly jsonl: boolean;
  readonly map: readonly string[];
  readonly targetBtf?: string;
}

/** What came of one program, and how long it took. */
interface Finding {
  readonly program: string;
  readonly result: VerifyResult;
  readonly ms: number;
}

function timed(program: string, verify: () => VerifyResult): Finding {
  const start = performance.now();
  const result = verify();
  return { program, result, ms: performance.now() - start };
}

const TYPES: ReadonlySet<string> = new Set(Object.values(PROGRAM_TYPES));

function verifyOne(spec: ProgramSpec, object: ObjectSpec, options: VerifyCommandOptions): Finding {
  const type = options.type === undefined ? spec.type : PROGRAM_TYPES[options.type];
  if (!TYPES.has(type)) {
    const why = spec.type === 'unspec' ? 'names no type' : `is for type ${spec.type}`;
    const message = `program ${spec.name}: section ${spec.section} ${why}; --type says xdp or tc`;
    throw new CliError(EXIT.refused, message);
  }
  const log = LOG_LEVELS[options.log];
  return timed(spec.name, () => verifyCode(spec.code, { ...verifyOptionsOf(spec, object, type), log }));
}

function jsonOf({ program, result, ms }: Finding): string {
  const { accepted, processed } = result;
  const rounded = Math.round(ms * 1000) / 1000;
  if (result.accepted) {
    const { states } = result;
    return JSON.stringify({
      program,
      accepted,
      message: '',
      insn: null,
      line: null,
      processed,
      states,
      ms: rounded,
    });
  }
  const { message, fault, line, states } = result;
  return JSON.stringify({
    program,
    accepted,
    message,
    insn: fault.slot < 0 ? null : fault.slot,
    line: line?.line ?? null,
    processed,
    states,
    ms: rounded,
  });
}

function safeText(
  program: string,
  { processed, states, peakStates, stackDepth }: Accepted,
  ms: number,
): string {
  return `${program}: safe; ${count(processed)} instructions processed, ${count(states)} states (peak ${count(peakStates)}), ${stackDepth} bytes of stack, ${ms.toFixed(1)} ms`;
}

/** Results on standard output, what is refused on standard error. @returns whether it was accepted */
function tell(finding: Finding, { json, log }: VerifyCommandOptions): boolean {
  const { program, result } = finding;
  if (json) console.log(jsonOf(finding));
  else if (!result.accepted) {
    console.error(`${program}: ${result.explanation}`);
    const rest = log === '0' ? result.message.replaceAll(' | ', '\n') : result.log.trimEnd();
    if (rest !== '') console.error(rest);
  } else {
    console.log(safeText(finding.program, result, finding.ms));
    if (log === '2') process.stderr.write(result.log);
  }
  return result.accepted;
}

/** The same for a program that could not be linked. */
function tellUnlinked({ name, error }: RefusedProgram, { json }: VerifyCommandOptions): void {
  const { message } = error;
  const nothing = { insn: null, line: null, processed: 0, states: 0, ms: 0 };
  if (json) console.log(JSON.stringify({ program: name, accepted: false, message, ...nothing }));
  else console.error(`${name}: cannot be linked: ${message}`);
}

/** @throws CliError where any was refused: the command fails */
function endWith(programs: number, refused: number): void {
  if (refused === 0) return;
  throw new CliError(
    EXIT.refused,
    programs === 1 ? 'the program is refused' : `${refused} of ${programs} programs are refused`,
  );
}

function verifyFile(path: string, options: VerifyCommandOptions): void {
  const { program, targetBtf } = options;
  const object = readObject(path, targetBtf === undefined ? {} : { targetBtf });
  const specs = programsOf(object, path, program);
  const unlinked = program === undefined ? (object.refused ?? []) : [];
  const programs = specs.length + unlinked.length;
  if (programs === 0) throw new CliError(EXIT.refused, `${path}: there is no program in it`);
  const refused = specs.filter((spec) => !tell(verifyOne(spec, object, options), options));
  for (const each of unlinked) tellUnlinked(each, options);
  endWith(programs, refused.length + unlinked.length);
}

async function verifyInput(options: VerifyCommandOptions): Promise<void> {
  const { hex, jsonl, type, map, log, program = 'program' } = options;
  if (hex === jsonl) throw usageError('a file, --hex or --jsonl says what is to be verified');
  if (jsonl) {
    await verifyLines();
    return;
  }
  if (type === undefined) throw usageError('--hex needs --type xdp or --type tc');
  const question = { hex: await text(process.stdin), type, maps: map };
  const finding = timed(program, () => verifyHex(question, LOG_LEVELS[log]));
  endWith(1, tell(finding, options) ? 0 : 1);
}

export function addVerify(bpf: Command): void {
  bpf
    .command('verify')
    .description('prove that programs are safe, as the kernel does before it runs one')
    .argument('[file]', 'object file')
    .option('--program <name>', 'which program of the file; all unless given')
    .addOption(
      new Option('--type <type>', "what the program is, where its section's name does not say it").choices(
        Object.keys(PROGRAM_TYPES),
      ),
    )
    .addOption(
      new Option('--log <level>', '0: the message alone; 1: the path that is refused; 2: every path')
        .choices(Object.keys(LOG_LEVELS))
        .default('1'),
    )
    .option('--json', 'one object a program, a line each', false)
    .option('--hex', 'without a file: bytecode in hexadecimal digits on standard input', false)
    .option(
      '--map <type,key,value,entries>',
      'with --hex: a map, by the index that LD_IMM64 has; may be given several times',
      several,
      [],
    )
    .option(
      '--jsonl',
      'without a file: one object a line in, {"name", "hex", "type", "maps", "flags", "unprivileged"}, one a line out, {"name", "accepted", "message", "processed"} with "error" where the line makes no sense',
      false,
    )
    .addOption(targetBtfOption())
    .action((file: string | undefined, options: VerifyCommandOptions) => {
      if (file === undefined) return verifyInput(options);
      if (options.hex || options.jsonl) throw usageError('--hex and --jsonl are for programs without a file');
      return verifyFile(file, options);
    });
}
