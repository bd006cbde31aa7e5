import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import { decodeProgram, ENGINES, type EngineName, Sandbox } from '../../../lb/bpf/index.js';
import { usageError } from '../faults.js';
import { bytesOf } from './hex.js';
import { targetBtfOption } from './object.js';
import { PROGRAM_TYPES, type RunObjectOptions, runObject } from './run-object.js';

interface RunOptions extends RunObjectOptions {
  readonly memory: string;
  readonly jsonl: boolean;
  readonly verify: boolean;
}

/** One program of `--jsonl`. */
interface RunRequest {
  readonly program: string;
  readonly memory: string;
}

function requestOf(line: string): RunRequest {
  const value: unknown = JSON.parse(line);
  if (
    typeof value !== 'object' ||
    value === null ||
    !('program' in value) ||
    typeof value.program !== 'string'
  ) {
    throw usageError('a line is to be an object with "program", hexadecimal digits');
  }
  const memory = 'memory' in value ? value.memory : '';
  if (typeof memory !== 'string') throw usageError('"memory" is to be hexadecimal digits');
  return { program: value.program, memory };
}

function runOne(sandbox: Sandbox, engine: EngineName, { program, memory }: RunRequest): string {
  const instructions = decodeProgram(bytesOf('program', program));
  return sandbox.run(engine, instructions, bytesOf('memory', memory)).r0.toString(16);
}

/** One answer a line, in the order of the questions; a fault is an answer. */
async function runLines(sandbox: Sandbox, engine: EngineName): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === '') continue;
    let answer: { r0: string } | { error: string };
    try {
      answer = { r0: runOne(sandbox, engine, requestOf(line)) };
    } catch (error) {
      answer = { error: error instanceof Error ? error.message : String(error) };
    }
    console.log(JSON.stringify(answer));
  }
}

async function runHex({ engine, memory, jsonl, verify }: RunOptions): Promise<void> {
  if (verify)
    throw usageError(
      'a program on bare memory has no context to be proved in: --no-verify runs it behind the structural check alone',
    );
  const sandbox = new Sandbox();
  if (jsonl) await runLines(sandbox, engine);
  else console.log(runOne(sandbox, engine, { program: await text(process.stdin), memory }));
}

/** Add to the values that an option was given before. */
export const several = (value: string, before: readonly string[]) => [...before, value];

export function addRun(bpf: Command): void {
  bpf
    .command('run')
    .description(
      'run a program over packets; without a file: hexadecimal on standard input, r1 is the address of the memory, r2 its length, and r0 is printed',
    )
    .argument('[file]', 'object file')
    .addOption(new Option('--engine <name>', 'what runs it').choices(ENGINES).default('jit'))
    .option('--program <name>', 'which program of the file, where it has several')
    .addOption(
      new Option('--type <type>', "what the program is, where its section's name does not say it").choices(
        Object.keys(PROGRAM_TYPES),
      ),
    )
    .option('--packet <hex>', 'a packet, from the Ethernet header on')
    .option('--pcap <file>', 'packets of a capture (pcap or pcapng), at the time that each has')
    .option('--out <file>', 'where to write the packets as the program left them (pcapng)')
    .option('--json', 'one object a packet, a line each', false)
    .option(
      '--set <name=value>',
      'a global variable before the start; may be given several times',
      several,
      [],
    )
    .option(
      '--map <name=file>',
      'entries of a map, as "map dump -o json" writes them; may be given several times',
      several,
      [],
    )
    .option('--show <map>', 'print the entries of a map at the end; may be given several times', several, [])
    .addOption(targetBtfOption())
    .option('--memory <hex>', 'without a file: memory that the program works on', '')
    .option(
      '--jsonl',
      'without a file: one object a line in, {"program", "memory"}, one a line out, {"r0"} or {"error"}',
      false,
    )
    .option('--no-verify', 'do not prove the program first: the structural check alone')
    .action((file: string | undefined, options: RunOptions) =>
      file === undefined ? runHex(options) : runObject(file, options),
    );
}
