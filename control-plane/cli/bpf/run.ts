import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import { decodeProgram, ENGINES, type EngineName, Sandbox } from '../../lb/bpf/index.js';
import { CliError, EXIT, usageError } from './faults.js';

interface RunOptions {
  readonly engine: EngineName;
  readonly memory: string;
  readonly jsonl: boolean;
  readonly verify: boolean;
}

/** One program of `--jsonl`. */
interface RunRequest {
  readonly program: string;
  readonly memory: string;
}

/** Bytes of hexadecimal digits; white space between them does not count. */
function bytesOf(what: string, hex: string): Uint8Array {
  const digits = hex.replace(/\s/g, '');
  if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) {
    const start = `${digits.slice(0, 32)}${digits.length > 32 ? '…' : ''}`;
    throw new CliError(EXIT.refused, `${what}: "${start}" is not an even number of hexadecimal digits`);
  }
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
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

async function run({ engine, memory, jsonl, verify }: RunOptions): Promise<void> {
  if (verify)
    throw usageError(
      'there is no verifier yet: --no-verify runs a program behind the structural check alone',
    );
  const sandbox = new Sandbox();
  if (jsonl) await runLines(sandbox, engine);
  else console.log(runOne(sandbox, engine, { program: await text(process.stdin), memory }));
}

export function addBpf(program: Command): void {
  program
    .command('bpf')
    .description('the eBPF runtime by itself')
    .command('run')
    .description(
      'run a program, hexadecimal on standard input, and print r0; r1 is the address of the memory, r2 its length',
    )
    .addOption(new Option('--engine <name>', 'what runs it').choices(ENGINES).default('jit'))
    .option('--memory <hex>', 'memory that the program works on', '')
    .option(
      '--jsonl',
      'one object a line in, {"program", "memory"}, one a line out, {"r0"} or {"error"}',
      false,
    )
    .option('--no-verify', 'the structural check alone')
    .action((options: RunOptions) => run(options));
}
