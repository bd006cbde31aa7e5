import type { Command } from 'commander';
import type { StatsSample__Output } from '../grpc/generated/waggle/v1/StatsSample.js';
import { type Kind, nameOf, parseKind, poolName } from './arguments.js';
import { BACKEND_COLUMNS, POOL_COLUMNS, VIP_COLUMNS } from './columns.js';
import { usageError } from './faults.js';
import { type Column, structured, table } from './format.js';
import { type GlobalOptions, type Session, withSession } from './session.js';

/** Print one resource, or a list. */
function show<T>(session: Session, columns: readonly Column<T>[], found: T | readonly T[]): void {
  const rows = Array.isArray(found) ? (found as readonly T[]) : [found as T];
  session.print(found, () => table(columns, rows, session.isColored));
}

async function get(session: Session, kind: Kind, name: string | undefined): Promise<void> {
  if (kind === 'vip') {
    show(
      session,
      VIP_COLUMNS,
      name === undefined ? await session.listVips() : await session.getVip(nameOf(kind, name)),
    );
  } else if (kind === 'pool') {
    show(
      session,
      POOL_COLUMNS,
      name === undefined ? await session.listPools() : await session.getPool(nameOf(kind, name)),
    );
  } else if (name === undefined || !name.includes('/')) {
    show(
      session,
      BACKEND_COLUMNS,
      await session.listBackends(name === undefined ? undefined : poolName(name)),
    );
  } else {
    show(session, BACKEND_COLUMNS, await session.getBackend(nameOf(kind, name)));
  }
}

async function describe(session: Session, kind: Kind, name: string): Promise<void> {
  const resource = nameOf(kind, name);
  const read = {
    vip: () => session.getVip(resource),
    pool: () => session.getPool(resource),
    backend: () => session.getBackend(resource),
  };
  const found = await read[kind]();
  if (kind === 'pool') {
    const described = { ...found, backends: await session.listBackends(resource) };
    return session.print(described, () => structured(described, 'yaml'));
  }
  const { client } = session;
  const sample = await client.ask<StatsSample__Output>((options, done) =>
    client.stats.GetStats({ resources: [resource] }, options, done),
  );
  const described = { ...found, stats: sample.vips[0] ?? sample.backends[0] };
  session.print(described, () => structured(described, 'yaml'));
}

export function addGet(program: Command): void {
  program
    .command('get')
    .description('show VIPs, pools or backends')
    .argument('<kind>', 'vip, pool or backend', parseKind)
    .argument('[name]', 'one of them; POOL/BACKEND for a backend, POOL for those of a pool')
    .action((kind: Kind, name: string | undefined, _: unknown, command: Command) =>
      withSession(command.optsWithGlobals<GlobalOptions>(), (session) => get(session, kind, name)),
    );
  program
    .command('describe')
    .description('show all that is known of a VIP, pool or backend')
    .argument('<kind>', 'vip, pool or backend', parseKind)
    .argument('<name>', 'its name; POOL/BACKEND for a backend')
    .action((kind: Kind, name: string, _: unknown, command: Command) => {
      if (kind === 'backend' && !name.includes('/'))
        throw usageError(`backend: "${name}" is not of the form POOL/BACKEND`);
      return withSession(command.optsWithGlobals<GlobalOptions>(), (session) =>
        describe(session, kind, name),
      );
    });
}
