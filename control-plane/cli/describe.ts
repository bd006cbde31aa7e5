import type { Command } from 'commander';
import type { StatsSample__Output } from '../grpc/generated/waggle/v1/StatsSample.js';
import { backendName, checkName, KINDS, kindArgument, poolName, vipName } from './arguments.js';
import { structured } from './format.js';
import { getNode, getNodeConfig } from './lists.js';
import { type GlobalOptions, type Session, withSession } from './session.js';

const DESCRIBED_KINDS = [...KINDS, 'node'] as const;
type DescribedKind = (typeof DESCRIBED_KINDS)[number];

/** Counters of one VIP or backend. */
async function statsOf({ client }: Session, resource: string) {
  const sample = await client.ask<StatsSample__Output>((options, done) =>
    client.stats.GetStats({ resources: [resource] }, options, done),
  );
  return sample.vips[0] ?? sample.backends[0];
}

/** All that is known of a resource: itself, what belongs to it, and its counters. */
const DESCRIBE: Readonly<Record<DescribedKind, (session: Session, name: string) => Promise<unknown>>> = {
  vip: async (session, name) => ({
    ...(await session.getVip(vipName(name))),
    stats: await statsOf(session, vipName(name)),
  }),
  pool: async (session, name) => ({
    ...(await session.getPool(poolName(name))),
    backends: await session.listBackends(poolName(name)),
  }),
  backend: async (session, name) => ({
    ...(await session.getBackend(backendName(name))),
    stats: await statsOf(session, backendName(name)),
  }),
  'health-check': async (session, name) => {
    const check = await session.getCheck(checkName(name));
    const pools = await session.listPools();
    return {
      ...check,
      pools: pools.filter(({ healthChecks }) => healthChecks.includes(check.name)).map((pool) => pool.name),
    };
  },
  node: async (session) => ({ ...(await getNode(session)), config: await getNodeConfig(session) }),
};

export function addDescribe(program: Command): void {
  program
    .command('describe')
    .description('show all that is known of a resource, with its counters')
    .addArgument(kindArgument(DESCRIBED_KINDS))
    .argument('[name]', 'its name; POOL/BACKEND for a backend, none for the node')
    .action((kind: DescribedKind, name: string | undefined, _: unknown, command: Command) => {
      if (name === undefined && kind !== 'node') command.error("error: missing required argument 'name'");
      // A name that has not the form of its kind is wrong whether a server is there or not.
      if (kind === 'backend') backendName(name ?? '');
      return withSession(command.optsWithGlobals<GlobalOptions>(), async (session) => {
        const described = await DESCRIBE[kind](session, name ?? '');
        session.print(described, () => structured(described, 'yaml'));
      });
    });
}
