import { type Command, Option } from 'commander';
import type { Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { BackendEvent__Output } from '../grpc/generated/waggle/v1/BackendEvent.js';
import type { EventType__Output } from '../grpc/generated/waggle/v1/EventType.js';
import type { Vip__Output } from '../grpc/generated/waggle/v1/Vip.js';
import type { VipEvent__Output } from '../grpc/generated/waggle/v1/VipEvent.js';
import { kindArgument, poolName, wholeNumber } from './arguments.js';
import { BACKEND_COLUMNS, VIP_COLUMNS } from './columns.js';
import { usageError } from './faults.js';
import { type Column, enumText, isForPeople, type Tone, table, toned } from './format.js';
import { printEach, untilStopped } from './lines.js';
import { type GlobalOptions, type Session, withSession } from './session.js';

const WATCHED_KINDS = ['vip', 'backend'] as const;
type WatchedKind = (typeof WATCHED_KINDS)[number];

interface WatchOptions extends GlobalOptions {
  readonly filter?: string;
  readonly pool?: string;
  readonly status?: boolean;
  readonly after: number;
}

const TONES: Readonly<Partial<Record<EventType__Output, Tone>>> = {
  EVENT_TYPE_ADDED: 'good',
  EVENT_TYPE_MODIFIED: 'warn',
  EVENT_TYPE_DELETED: 'bad',
};

/** One change of one resource. */
interface Change<T> {
  readonly type: EventType__Output;
  readonly revision: string;
  readonly resource: T | null;
}

/** The first set as a table, then a line for each change under its columns. */
async function show<T, Message>(
  session: Session,
  columns: readonly Column<T>[],
  messages: AsyncIterable<Message>,
  changeOf: (message: Message) => Change<T>,
  isResumed: boolean,
): Promise<void> {
  const isWide = session.output === 'wide';
  const first: T[] = [];
  let isSynced = isResumed;
  for await (const message of messages) {
    const { type, revision, resource } = changeOf(message);
    if (!isForPeople(session.output)) {
      printEach(session, message, () => undefined);
      continue;
    }
    if (type === 'EVENT_TYPE_HEARTBEAT') continue;
    if (type === 'EVENT_TYPE_SYNCED') {
      if (!isSynced)
        console.log(`${table(columns, first, session.isColored, isWide)}\nas of revision ${revision}`);
      isSynced = true;
    } else if (resource !== null && !isSynced) first.push(resource);
    else if (resource !== null) {
      const word = toned(enumText(type, 'EVENT_TYPE_').padEnd(8), TONES[type], session.isColored);
      const [, row = ''] = table(columns, [resource], session.isColored, isWide).split('\n');
      console.log(`${word}  ${row}`);
    }
  }
}

async function watch(session: Session, kind: WatchedKind, options: WatchOptions): Promise<void> {
  const { client } = session;
  const { filter = '', pool, status = false, after } = options;
  const request = { filter, resumeRevision: String(after), includeStatus: status };
  await untilStopped(async (signal) => {
    if (kind === 'vip') {
      const messages = client.stream<VipEvent__Output>(
        (call) => client.vips.WatchVips(request, call),
        signal,
      );
      const changeOf = ({ vip, ...event }: VipEvent__Output): Change<Vip__Output> => ({
        ...event,
        resource: vip,
      });
      return show(session, VIP_COLUMNS, messages, changeOf, after > 0);
    }
    const parent = pool === undefined ? 'pools/-' : poolName(pool);
    const messages = client.stream<BackendEvent__Output>(
      (call) => client.pools.WatchBackends({ parent, ...request }, call),
      signal,
    );
    const changeOf = ({ backend, ...event }: BackendEvent__Output): Change<Backend__Output> => ({
      ...event,
      resource: backend,
    });
    return show(session, BACKEND_COLUMNS, messages, changeOf, after > 0);
  });
}

export function addWatch(program: Command): void {
  const command = program.command('watch');
  command
    .description('VIPs or backends as they are, then what becomes of them, until Ctrl-C')
    .addArgument(kindArgument(WATCHED_KINDS))
    .option('--filter <expression>', 'those that match (AIP-160)')
    .option('--pool <pool>', 'backends: of this pool')
    .option('--status', 'changes of what is observed too, as health and shares, not only of what is declared')
    .addOption(
      new Option(
        '--after <revision>',
        'what changed after this revision, instead of what is there; 0: what is there',
      )
        .argParser(wholeNumber(0, Number.MAX_SAFE_INTEGER))
        .default(0),
    )
    .action((kind: WatchedKind) => {
      const options = command.optsWithGlobals<WatchOptions>();
      if (options.pool !== undefined && kind !== 'backend') throw usageError('--pool: goes with backends');
      return withSession(options, (session) => watch(session, kind, options));
    });
}
