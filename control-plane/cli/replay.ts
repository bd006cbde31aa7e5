import { statSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { REPLAY_ENGINES, type ReplayEngineName } from '../../lb/index.js';
import { usageError } from './faults.js';
import { parseMark } from './replay-input.js';
import { requiredOption } from './required.js';

/** What the command line says of a replay. */
export interface ReplayCommand {
  readonly config?: string;
  readonly in: string;
  readonly out?: string;
  readonly program?: string;
  readonly section?: string;
  readonly engine: ReplayEngineName;
  readonly json: boolean;
  readonly counters: boolean;
  readonly quiet: boolean;
  readonly mark: number;
}

function markValue(text: string): number {
  const mark = parseMark(text);
  if (mark === undefined) throw new InvalidArgumentError('It is a number of 32 bits: 17 or 0x11.');
  return mark;
}

/** Whether two paths lead to one file. */
function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return a?.isFile() === true && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/** @throws CliError of wrong usage */
function check({ config, program, section, in: input, out, json }: ReplayCommand): void {
  if (config === undefined && program === undefined)
    throw usageError('--config says what is balanced; without it --program names an object to run');
  if (section !== undefined && program === undefined) throw usageError('--section goes with --program');
  if (out === '-' && json) throw usageError('--out - and --json would both write to standard output');
  if (out !== undefined && out !== '-' && input !== '-' && isSameFile(input, out))
    throw usageError(`--out: ${out} is the file that is read`);
}

async function replay(options: ReplayCommand): Promise<void> {
  check(options);
  // Only here: the other commands start faster without the datapath.
  const { runReplay } = await import('./replay-run.js');
  await runReplay(options);
}

export function addReplay(program: Command): void {
  program
    .command('replay')
    .description(
      'run the packets of a capture through the load balancer, offline: what becomes of each, and why',
    )
    .option('--config <file>', 'what is balanced (YAML)')
    .addOption(requiredOption('--in <file>', 'capture with packets (pcap or pcapng); - for standard input'))
    .option(
      '--out <file>',
      'where the packets that leave go: pcap, or pcapng where the name ends in .pcapng; - for standard output',
    )
    .option('--program <object>', "another object file's program, in the place of the one that is shipped")
    .option(
      '--section <name>',
      'with --program: which program of it, by function or section (default: the first)',
    )
    .addOption(
      new Option('--engine <name>', 'what runs the program; kernel needs root')
        .choices(REPLAY_ENGINES)
        .default('jit'),
    )
    .option('--json', 'one object a packet, a line each', false)
    .option('--counters', 'print all counters at the end', false)
    .option('-q, --quiet', 'no line for each packet, the summary alone', false)
    .option(
      '--mark <number>',
      'TC programs: mark of packets whose comment in the capture (pcapng) gives none as mark=NUMBER',
      markValue,
      0,
    )
    .action((options: ReplayCommand) => replay(options));
}
