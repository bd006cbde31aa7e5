import type { CallOptions, requestCallback } from '@grpc/grpc-js';
import type { Command } from 'commander';
import type { Backend, Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { HealthCheck, HealthCheck__Output } from '../grpc/generated/waggle/v1/HealthCheck.js';
import type { Pool, Pool__Output } from '../grpc/generated/waggle/v1/Pool.js';
import type { Vip, Vip__Output } from '../grpc/generated/waggle/v1/Vip.js';
import { backendName, splitName } from './arguments.js';
import { createOptions, readFields } from './fields.js';
import { BACKEND_FIELDS } from './fields-backend.js';
import { CHECK_FIELDS, PROBE_FIELDS, readProbe } from './fields-health-check.js';
import { POOL_FIELDS } from './fields-pool.js';
import { VIP_FIELDS } from './fields-vip.js';
import { type ChangeOptions, dryRunOption, report } from './report.js';
import { type Session, withSession } from './session.js';

/** Make the call, and say that the resource is there. */
async function make<Response>(
  session: Session,
  options: ChangeOptions,
  what: string,
  start: (call: CallOptions, done: requestCallback<Response>) => unknown,
  more: (created: Response) => string = () => '',
): Promise<void> {
  const created = await session.client.ask<Response>(start);
  report(session, options, created, `${what} created${more(created)}`);
}

function addCreateVip(create: Command): void {
  const command = create.command('vip').alias('vips').description('add a virtual service');
  createOptions(command.argument('<id>', 'id of the new VIP'), VIP_FIELDS)
    .addOption(dryRunOption())
    .action((vipId: string) => {
      const options = command.optsWithGlobals<ChangeOptions>();
      const { resource: vip } = readFields<Vip>(VIP_FIELDS, options);
      const request = { vip, vipId, validateOnly: options.dryRun };
      return withSession(options, (session) =>
        make<Vip__Output>(session, options, `vip ${vipId}`, (call, done) =>
          session.client.vips.CreateVip(request, call, done),
        ),
      );
    });
}

function addCreatePool(create: Command): void {
  const command = create.command('pool').alias('pools').description('add a pool, without backends');
  createOptions(command.argument('<id>', 'id of the new pool'), POOL_FIELDS)
    .addOption(dryRunOption())
    .action((poolId: string) => {
      const options = command.optsWithGlobals<ChangeOptions>();
      const { resource: pool } = readFields<Pool>(POOL_FIELDS, options);
      const request = { pool, poolId, validateOnly: options.dryRun };
      return withSession(options, (session) =>
        make<Pool__Output>(session, options, `pool ${poolId}`, (call, done) =>
          session.client.pools.CreatePool(request, call, done),
        ),
      );
    });
}

/** A backend takes no connections before its next hop is known: not to be found out by waiting. */
function waitingFor({ status }: Backend__Output): string {
  if (status?.nextHop?.state === 'STATE_PENDING') return '; it takes connections once its next hop answers';
  if (status?.nextHop?.state !== 'STATE_UNREACHABLE') return '';
  return `; it takes no connections: its next hop is unreachable, ${status.nextHop.reason}`;
}

function addCreateBackend(create: Command): void {
  const command = create.command('backend').alias('backends').description('add a backend to a pool');
  createOptions(command.argument('<pool/id>', 'pool, and id of the new backend'), BACKEND_FIELDS)
    .addOption(dryRunOption())
    .action((name: string) => {
      const options = command.optsWithGlobals<ChangeOptions>();
      const { parent, id: backendId } = splitName(backendName(name));
      const { resource: backend } = readFields<Backend>(BACKEND_FIELDS, options);
      const request = { parent, backend, backendId, validateOnly: options.dryRun };
      return withSession(options, (session) =>
        make<Backend__Output>(
          session,
          options,
          `backend ${name}`,
          (call, done) => session.client.pools.CreateBackend(request, call, done),
          waitingFor,
        ),
      );
    });
}

function addCreateCheck(create: Command): void {
  const command = create
    .command('health-check')
    .alias('hc')
    .description('add a way to check backends, which pools then name')
    .argument('<id>', 'id of the new check');
  createOptions(command, PROBE_FIELDS);
  createOptions(command, CHECK_FIELDS)
    .addOption(dryRunOption())
    .action((healthCheckId: string) => {
      const options = command.optsWithGlobals<ChangeOptions>();
      const { resource } = readFields<HealthCheck>(CHECK_FIELDS, options);
      const healthCheck = { ...resource, ...readProbe(options)?.resource };
      const request = { healthCheck, healthCheckId, validateOnly: options.dryRun };
      return withSession(options, (session) =>
        make<HealthCheck__Output>(session, options, `health check ${healthCheckId}`, (call, done) =>
          session.client.checks.CreateHealthCheck(request, call, done),
        ),
      );
    });
}

export function addCreate(program: Command): void {
  const create = program.command('create').description('add a VIP, a pool, a backend or a health check');
  for (const add of [addCreateVip, addCreatePool, addCreateBackend, addCreateCheck]) add(create);
}
