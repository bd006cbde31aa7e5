import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { BpfProgram__Output } from '../../grpc/generated/waggle/v1/BpfProgram.js';
import type { ListBpfProgramsResponse__Output } from '../../grpc/generated/waggle/v1/ListBpfProgramsResponse.js';
import { usageError } from '../faults.js';
import { bytes, type Column, count, table } from '../format.js';
import { type GlobalOptions, type Session, withSession } from '../session.js';

/** Mean time of a run; empty before the first. */
function nsEach({ runCount, runTimeNs }: BpfProgram__Output): string {
  const runs = Number(runCount);
  return runs === 0 ? '' : `${(Number(runTimeNs) / runs).toFixed(0)} ns`;
}

const COLUMNS: readonly Column<BpfProgram__Output>[] = [
  { title: 'NAME', value: ({ name }) => name.replace('programs/', '') },
  { title: 'TYPE', value: ({ type }) => type },
  { title: 'ENGINE', value: ({ engine }) => engine },
  { title: 'INSTRUCTIONS', value: ({ instructions }) => count(instructions), align: 'right' },
  { title: 'CODE', value: ({ codeBytes }) => bytes(codeBytes), align: 'right' },
  { title: 'LOADED IN', value: ({ loadUs }) => `${(Number(loadUs) / 1000).toFixed(1)} ms`, align: 'right' },
  { title: 'RUNS', value: ({ runCount }) => count(runCount), align: 'right' },
  { title: 'TIME', value: ({ runTimeNs }) => `${(Number(runTimeNs) / 1e9).toFixed(3)} s`, align: 'right' },
  { title: 'EACH', value: nsEach, align: 'right' },
];

async function list(session: Session): Promise<void> {
  const { client } = session;
  const { programs } = await client.ask<ListBpfProgramsResponse__Output>((options, done) =>
    client.bpf.ListBpfPrograms({}, options, done),
  );
  session.print(programs, () => table(COLUMNS, programs, session.isColored));
}

async function swap(session: Session, file: string, dryRun: boolean): Promise<void> {
  const { client } = session;
  const object = readObject(file);
  const program = await client.ask<BpfProgram__Output>((options, done) =>
    client.bpf.SwapBpfProgram({ object, validateOnly: dryRun }, options, done),
  );
  const name = program.name.replace('programs/', '');
  session.print(program, () =>
    dryRun
      ? `${file} is safe, and fits the maps; ${name} runs on unchanged`
      : `${name} of ${file} runs, ${count(program.instructions)} instructions`,
  );
}

function readObject(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw usageError(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export function addPrograms(bpf: Command): void {
  const programs = bpf.command('prog').description('programs of a running load balancer');
  programs
    .command('swap')
    .description('run another build of the balancer from the next batch of frames on, once it is proved safe')
    .argument('<file>', 'object file')
    .option('--dry-run', 'prove and compile it, and change nothing', false)
    .action((file: string, { dryRun }: { readonly dryRun: boolean }, command: Command) =>
      withSession(command.optsWithGlobals<GlobalOptions>(), (session) => swap(session, file, dryRun)),
    );
  programs
    .command('list')
    .description('list them, with how often they ran and how long that took')
    .action((_: unknown, command: Command) =>
      withSession(command.optsWithGlobals<GlobalOptions>(), (session) => list(session)),
    );
}
