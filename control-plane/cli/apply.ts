import { type Command, Option } from 'commander';
import type { ApplySnapshotResponse__Output } from '../grpc/generated/waggle/v1/ApplySnapshotResponse.js';
import type { ConfigSnapshot } from '../grpc/generated/waggle/v1/ConfigSnapshot.js';
import { changesText } from './changes-text.js';
import { CliError, EXIT, reasonOf } from './faults.js';
import { type ChangeOptions, dryRunOption } from './report.js';
import { requiredOption } from './required.js';
import { type GlobalOptions, type Session, withSession } from './session.js';

interface FileOptions extends GlobalOptions {
  readonly file: string;
  readonly prune: boolean;
}

interface ApplyOptions extends FileOptions, ChangeOptions {
  readonly comment?: string;
}

/** 10,000 VIPs and as many backends take some seconds. */
const APPLY_DEADLINE_MS = 60_000;

const fileOption = () => requiredOption('-f, --file <file>', 'YAML file; - for standard input');
const pruneOption = () =>
  new Option('--prune', 'delete what the file lacks; without it that stays as it is').default(false);

async function read({ file, prune }: FileOptions): Promise<ConfigSnapshot> {
  // Only here: the other commands need neither the schema nor the datapath's own checks.
  const { readSnapshot } = await import('./snapshot-file.js');
  return readSnapshot(file, prune);
}

function ask(
  { client }: Session,
  request: {
    readonly snapshot: ConfigSnapshot;
    readonly prune: boolean;
    readonly validateOnly: boolean;
    readonly comment?: string;
  },
): Promise<ApplySnapshotResponse__Output> {
  return client.ask<ApplySnapshotResponse__Output>(
    (call, done) => client.config.ApplySnapshot(request, call, done),
    APPLY_DEADLINE_MS,
  );
}

async function apply(options: ApplyOptions): Promise<void> {
  const { prune, dryRun, comment, etag } = options;
  const snapshot = await read(options);
  await withSession(options, async (session) => {
    const response = await ask(session, {
      snapshot: { ...snapshot, ...(etag !== undefined && { etag }) },
      prune,
      validateOnly: dryRun,
      ...(comment !== undefined && { comment }),
    });
    session.print(response, () => {
      if (response.changes.length === 0) return 'nothing differs: nothing was changed';
      const done = dryRun
        ? 'dry run: nothing was changed'
        : `applied as revision ${response.snapshot?.revision}`;
      return `${changesText(session, response)}\n${done}`;
    });
  });
}

/** What would change. Its exit status is that of diff(1): 0 the same, 1 differs, 2 a fault of any kind. */
async function diff(options: FileOptions): Promise<void> {
  try {
    const snapshot = await read(options);
    await withSession(options, async (session) => {
      const response = await ask(session, { snapshot, prune: options.prune, validateOnly: true });
      session.print(response, () => changesText(session, response));
      if (response.changes.length > 0) process.exitCode = EXIT.refused;
    });
  } catch (error) {
    // 1 says that something differs: no fault may, whatever it is and whoever threw it.
    const message = error instanceof Error ? error.message : String(error);
    throw new CliError(EXIT.usage, message, reasonOf(error));
  }
}

export function addApply(program: Command): void {
  const applied = program.command('apply');
  applied
    .description('make the configuration what a file says, all of it or nothing')
    .addOption(fileOption())
    .addOption(pruneOption())
    .option('--comment <text>', 'why, for the history')
    .option('--etag <etag>', 'refuse when the configuration has changed: its etag is another one')
    .addOption(dryRunOption())
    .action(() => apply(applied.optsWithGlobals<ApplyOptions>()));
  const compared = program.command('diff');
  compared
    .description(
      'what a file would change: resources, fields, and the share of new flows that moves; exit status 0: nothing, 1: something, 2: a fault',
    )
    .addOption(fileOption())
    .addOption(pruneOption())
    .action(() => diff(compared.optsWithGlobals<FileOptions>()));
}
