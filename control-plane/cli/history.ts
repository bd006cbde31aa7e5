import { type Command, Option } from 'commander';
import type { ApplySnapshotResponse__Output } from '../grpc/generated/waggle/v1/ApplySnapshotResponse.js';
import { wholeNumber } from './arguments.js';
import { changesText } from './changes-text.js';
import { listRevisions, REVISION_COLUMNS } from './lists.js';
import { type ChangeOptions, dryRunOption } from './report.js';
import { type GlobalOptions, withSession } from './session.js';

const DEFAULT_LIMIT = 20;
const DEADLINE_MS = 60_000;
const parseRevision = wholeNumber(0, Number.MAX_SAFE_INTEGER);

export function addHistory(program: Command): void {
  const history = program.command('history');
  history
    .description('changes that were made, newest first: who, when, what, why')
    .addOption(
      new Option('--limit <n>', 'no more than this many')
        .argParser(wholeNumber(1, 1_000_000))
        .default(DEFAULT_LIMIT),
    )
    .action(() => {
      const options = history.optsWithGlobals<GlobalOptions & { limit: number }>();
      return withSession(options, async (session) => {
        const revisions = await listRevisions(session, options.limit);
        const columns = REVISION_COLUMNS.map(({ wide: _, ...column }) => column);
        session.print(revisions, () => session.table(columns, revisions));
      });
    });

  const rollback = program.command('rollback');
  rollback
    .description('make the configuration what it was at a revision, as a new revision')
    .argument('<revision>', 'one of waggle history', parseRevision)
    .option('--comment <text>', 'why, for the history')
    .addOption(dryRunOption())
    .action((revision: number) => {
      const options = rollback.optsWithGlobals<ChangeOptions & { comment?: string }>();
      const { dryRun, comment } = options;
      const request = {
        revision: String(revision),
        validateOnly: dryRun,
        ...(comment !== undefined && { comment }),
      };
      return withSession(options, async (session) => {
        const response = await session.client.ask<ApplySnapshotResponse__Output>(
          (call, done) => session.client.config.RollbackRevision(request, call, done),
          DEADLINE_MS,
        );
        session.print(response, () => {
          const done = dryRun
            ? 'dry run: nothing was changed'
            : `revision ${response.snapshot?.revision} is what revision ${revision} was`;
          return `${changesText(session, response)}\n${done}`;
        });
      });
    });
}
