import type { Command } from 'commander';
import type { BpfProgram__Output } from '../../grpc/generated/waggle/v1/BpfProgram.js';
import type { ListBpfProgramsResponse__Output } from '../../grpc/generated/waggle/v1/ListBpfProgramsResponse.js';
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

export function addPrograms(bpf: Command): void {
  bpf
    .command('prog')
    .description('programs of a running load balancer')
    .command('list')
    .description('list them, with how often they ran and how long that took')
    .action((_: unknown, command: Command) =>
      withSession(command.optsWithGlobals<GlobalOptions>(), (session) => list(session)),
    );
}
