import type { CallOptions, requestCallback } from '@grpc/grpc-js';
import { type Command, Option } from 'commander';
import type { Empty__Output } from '../grpc/generated/google/protobuf/Empty.js';
import { KINDS, type Kind, kindArgument, nameOf } from './arguments.js';
import { durationOf, msText, parseSpan } from './duration.js';
import { usageError } from './faults.js';
import { parseFlowText } from './flow-text.js';
import { counted } from './format.js';
import { type ChangeOptions, dryRunOption, etagOption, report } from './report.js';
import { type Session, withSession } from './session.js';
import { parseServerId } from './set-routing.js';

const ROUTING_KINDS = ['server-id', 'source-route', 'global-flow'] as const;
type RoutingKind = (typeof ROUTING_KINDS)[number];
const DELETED_KINDS = [...KINDS, ...ROUTING_KINDS] as const;

interface DeleteOptions extends ChangeOptions {
  readonly force: boolean;
  /** Milliseconds. */
  readonly drain?: number;
}

type Call = (options: CallOptions, done: requestCallback<Empty__Output>) => unknown;

function callOf({ client }: Session, kind: Kind, name: string, options: DeleteOptions): Call {
  const { dryRun, force, etag = '', drain } = options;
  const request = { name, etag, validateOnly: dryRun };
  const drainTimeout = drain === undefined ? null : durationOf(drain);
  const calls: Readonly<Record<Kind, Call>> = {
    vip: (call, done) => client.vips.DeleteVip(request, call, done),
    pool: (call, done) => client.pools.DeletePool({ ...request, force }, call, done),
    backend: (call, done) => client.pools.DeleteBackend({ ...request, drainTimeout }, call, done),
    'health-check': (call, done) => client.checks.DeleteHealthCheck(request, call, done),
  };
  return calls[kind];
}

function deletedText(kind: Kind, name: string, { drain }: DeleteOptions): string {
  const what = `${kind.replace('-', ' ')} ${name}`;
  if (drain === undefined || drain === 0) return `${what} deleted`;
  return `${what} is draining, and deleted when its connections have ended, after ${msText(drain)} at the latest`;
}

async function deleteNamed(session: Session, kind: Kind, names: readonly string[], options: DeleteOptions) {
  // One after another: what a refusal leaves undone is then what was not said to be deleted.
  for (const name of names) {
    const resource = nameOf(kind, name);
    await session.client.ask(callOf(session, kind, resource, options));
    report(session, options, { name: resource }, deletedText(kind, name, options));
  }
}

async function deleteRouting(
  session: Session,
  kind: RoutingKind,
  names: readonly string[],
  options: DeleteOptions,
) {
  const { client } = session;
  const validateOnly = options.dryRun;
  type Answer = requestCallback<{ total: number }>;
  const calls: Readonly<Record<RoutingKind, (call: CallOptions, done: Answer) => unknown>> = {
    'server-id': (call, done) =>
      client.routing.UpdateServerIds({ delete: names.map(parseServerId), validateOnly }, call, done),
    'source-route': (call, done) =>
      client.routing.UpdateSourceRoutes({ delete: [...names], validateOnly }, call, done),
    'global-flow': (call, done) =>
      client.routing.UpdateGlobalFlows({ delete: names.map(parseFlowText), validateOnly }, call, done),
  };
  const { total } = await client.ask<{ total: number }>(calls[kind]);
  report(
    session,
    options,
    { total },
    `${counted(names.length, kind.replace('-', ' '))} deleted, ${total} left`,
  );
}

function check(kind: Kind | RoutingKind, names: readonly string[], options: DeleteOptions): void {
  if (options.force && kind !== 'pool')
    throw usageError(`--force is for pools: a ${kind} is deleted without it`);
  if (options.drain !== undefined && kind !== 'backend')
    throw usageError(`--drain is for backends, not for a ${kind}`);
  const isRouting = ROUTING_KINDS.some((one) => one === kind);
  if (options.etag !== undefined && (isRouting || names.length > 1))
    throw usageError('--etag: goes with one resource that has an etag');
}

export function addDelete(program: Command): void {
  const command = program.command('delete');
  command
    .description('remove resources; drain a backend to keep its connections')
    .addArgument(kindArgument(DELETED_KINDS))
    .argument('<name...>', 'their names; POOL/BACKEND for a backend')
    .addOption(
      new Option('--force', 'with a pool: its backends and the VIPs that it serves, too').default(false),
    )
    .addOption(
      new Option(
        '--drain <span>',
        'with a backend: drain it first, for so long at most, as 10m; it goes when its connections have ended',
      ).argParser(parseSpan),
    )
    .addOption(etagOption())
    .addOption(dryRunOption())
    .action((kind: Kind | RoutingKind, names: readonly string[]) => {
      const options = command.optsWithGlobals<DeleteOptions>();
      check(kind, names, options);
      const named = KINDS.find((one) => one === kind);
      const routing = ROUTING_KINDS.find((one) => one === kind);
      if (named !== undefined) for (const name of names) nameOf(named, name);
      return withSession(options, async (session) => {
        if (named !== undefined) await deleteNamed(session, named, names, options);
        if (routing !== undefined) await deleteRouting(session, routing, names, options);
      });
    });
}
