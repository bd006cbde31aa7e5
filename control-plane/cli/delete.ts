import type { CallOptions, requestCallback } from '@grpc/grpc-js';
import { type Command, Option } from 'commander';
import type { Empty__Output } from '../grpc/generated/google/protobuf/Empty.js';
import { type Kind, nameOf, parseKind } from './arguments.js';
import { usageError } from './faults.js';
import { type ChangeOptions, dryRunOption, report } from './report.js';
import { type Session, withSession } from './session.js';

interface DeleteOptions extends ChangeOptions {
  readonly force: boolean;
}

type Call = (options: CallOptions, done: requestCallback<Empty__Output>) => unknown;

function callOf({ client }: Session, kind: Kind, name: string, { dryRun, force }: DeleteOptions): Call {
  const request = { name, validateOnly: dryRun };
  const calls: Readonly<Record<Kind, Call>> = {
    vip: (options, done) => client.vips.DeleteVip(request, options, done),
    pool: (options, done) => client.pools.DeletePool({ ...request, force }, options, done),
    backend: (options, done) => client.pools.DeleteBackend(request, options, done),
  };
  return calls[kind];
}

export function addDelete(program: Command): void {
  program
    .command('delete')
    .description('remove a VIP, a pool or a backend; drain a backend first to keep its connections')
    .argument('<kind>', 'vip, pool or backend', parseKind)
    .argument('<name>', 'its name; POOL/BACKEND for a backend')
    .addOption(
      new Option('--force', 'with a pool: its backends and the VIPs that it serves, too').default(false),
    )
    .addOption(dryRunOption())
    .action((kind: Kind, name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<DeleteOptions>();
      if (options.force && kind !== 'pool')
        throw usageError(`--force is for pools: a ${kind} is deleted without it`);
      const resource = nameOf(kind, name);
      return withSession(options, async (session) => {
        await session.client.ask(callOf(session, kind, resource, options));
        report(session, options, { name: resource }, `${kind} ${name} deleted`);
      });
    });
}
