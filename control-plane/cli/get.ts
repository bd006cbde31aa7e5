import { type Command, Option } from 'commander';
import {
  backendName,
  checkName,
  kindArgument,
  poolName,
  SHOWN_KINDS,
  type ShownKind,
  vipName,
  wholeNumber,
} from './arguments.js';
import { BACKEND_COLUMNS, CHECK_COLUMNS, POOL_COLUMNS, VIP_COLUMNS } from './columns.js';
import { usageError } from './faults.js';
import type { Column } from './format.js';
import {
  FLOW_COLUMNS,
  GLOBAL_FLOW_COLUMNS,
  getNode,
  getNodeConfig,
  listFlows,
  listGlobalFlows,
  listRevisions,
  listServerIds,
  listSourceRoutes,
  NODE_COLUMNS,
  REVISION_COLUMNS,
  SERVER_ID_COLUMNS,
  SOURCE_ROUTE_COLUMNS,
} from './lists.js';
import { OPTION_COLUMNS, optionRows } from './node-options.js';
import { type GlobalOptions, type ListQuery, type Session, withSession } from './session.js';

interface GetOptions extends GlobalOptions, ListQuery {
  readonly limit?: number;
  readonly vip?: string;
  readonly backend?: string;
  readonly client?: string;
}

/** Without a limit a table of millions of connections would be read to its end. */
const FLOW_LIMIT = 1000;
const MAX_LIMIT = 100_000_000;

/** Print one resource, or a list. */
function show<T>(session: Session, columns: readonly Column<T>[], found: T | readonly T[]): void {
  const rows = Array.isArray(found) ? (found as readonly T[]) : [found as T];
  session.print(found, () => session.table(columns, rows));
}

type Show = (session: Session, name: string | undefined, options: GetOptions) => Promise<void>;

/** A list that has no names to ask for. */
const wholeList =
  <T>(
    columns: readonly Column<T>[],
    list: (session: Session, limit?: number) => Promise<readonly T[]>,
  ): Show =>
  async (session, _, { limit }) =>
    show(session, columns, await list(session, limit));

const SHOW: Readonly<Record<ShownKind, Show>> = {
  vip: async (session, name, options) =>
    show(session, VIP_COLUMNS, name ? await session.getVip(vipName(name)) : await session.listVips(options)),
  pool: async (session, name, options) =>
    show(
      session,
      POOL_COLUMNS,
      name ? await session.getPool(poolName(name)) : await session.listPools(options),
    ),
  backend: async (session, name, options) => {
    if (name?.includes('/'))
      return show(session, BACKEND_COLUMNS, await session.getBackend(backendName(name)));
    const parent = name === undefined ? undefined : poolName(name);
    show(session, BACKEND_COLUMNS, await session.listBackends(parent, options));
  },
  'health-check': async (session, name, options) =>
    show(
      session,
      CHECK_COLUMNS,
      name ? await session.getCheck(checkName(name)) : await session.listChecks(options),
    ),
  'server-id': wholeList(SERVER_ID_COLUMNS, listServerIds),
  'source-route': wholeList(SOURCE_ROUTE_COLUMNS, listSourceRoutes),
  'global-flow': wholeList(GLOBAL_FLOW_COLUMNS, listGlobalFlows),
  revision: wholeList(REVISION_COLUMNS, listRevisions),
  flow: async (session, _, { vip, backend, client, limit = FLOW_LIMIT }) => {
    const of = {
      ...(vip !== undefined && { vip: vipName(vip) }),
      ...(backend !== undefined && { backend: backendName(backend) }),
      ...(client !== undefined && { client }),
    };
    show(session, FLOW_COLUMNS, await listFlows(session, of, limit));
  },
  node: async (session) => show(session, NODE_COLUMNS, await getNode(session)),
  option: async (session) => {
    const config = await getNodeConfig(session);
    session.print(config.options, () => session.table(OPTION_COLUMNS, optionRows(config.options)));
  },
};

/** Kinds of which one can be asked for by name. */
const NAMED: readonly ShownKind[] = ['vip', 'pool', 'backend', 'health-check'];

function check(kind: ShownKind, name: string | undefined, options: GetOptions): void {
  if (name !== undefined && !NAMED.includes(kind))
    throw usageError(`name: a ${kind} is not asked for by name`);
  const isList = name === undefined || (kind === 'backend' && !name.includes('/'));
  if (options.filter !== undefined && !(isList && NAMED.includes(kind)))
    throw usageError(`--filter: goes with lists of ${NAMED.join(', ')}`);
  if (options.orderBy !== undefined && !(isList && NAMED.includes(kind)))
    throw usageError(`--order-by: goes with lists of ${NAMED.join(', ')}`);
  for (const flag of ['vip', 'backend', 'client'] as const)
    if (options[flag] !== undefined && kind !== 'flow') throw usageError(`--${flag}: goes with flows`);
  if (options.limit !== undefined && NAMED.includes(kind))
    throw usageError('--limit: goes with lists without names');
}

export function addGet(program: Command): void {
  program
    .command('get')
    .description('show resources of a kind, or one of them')
    .addArgument(kindArgument(SHOWN_KINDS))
    .argument('[name]', 'one of them; POOL/BACKEND for a backend, POOL for those of a pool')
    .option(
      '--filter <expression>',
      "those that match (AIP-160), as 'protocol = PROTOCOL_TCP AND port < 1024'",
    )
    .option('--order-by <fields>', "in this order, as 'port desc, name'")
    .addOption(
      new Option(
        '--limit <n>',
        `flows and the like: no more than this many (flows: ${FLOW_LIMIT})`,
      ).argParser(wholeNumber(1, MAX_LIMIT)),
    )
    .option('--vip <vip>', 'flows: of this VIP')
    .option('--backend <pool/backend>', 'flows: of this backend')
    .option('--client <prefix>', 'flows: of this client, an address or a prefix')
    .action((kind: ShownKind, name: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<GetOptions>();
      check(kind, name, options);
      return withSession(options, (session) => SHOW[kind](session, name, options));
    });
}
