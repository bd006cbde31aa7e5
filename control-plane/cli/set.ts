import type { CallOptions, requestCallback } from '@grpc/grpc-js';
import type { Command } from 'commander';
import type { Backend, Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { HealthCheck, HealthCheck__Output } from '../grpc/generated/waggle/v1/HealthCheck.js';
import type { Pool, Pool__Output } from '../grpc/generated/waggle/v1/Pool.js';
import type { Vip, Vip__Output } from '../grpc/generated/waggle/v1/Vip.js';
import { backendName, checkName, parseWeight, poolName, vipName } from './arguments.js';
import { checkAny, type Field, flagsOf, readFields, setOptions } from './fields.js';
import { BACKEND_FIELDS } from './fields-backend.js';
import { CHECK_FIELDS, PROBE_FIELDS, readProbe } from './fields-health-check.js';
import { POOL_FIELDS } from './fields-pool.js';
import { VIP_FIELDS } from './fields-vip.js';
import { type ChangeOptions, dryRunOption, etagOption, report } from './report.js';
import { type Session, withSession } from './session.js';
import { addSetNode } from './set-node.js';
import { addSetRouting } from './set-routing.js';

/** Make the call, and say that the resource was changed. */
async function change<Response>(
  session: Session,
  options: ChangeOptions,
  done: string,
  start: (call: CallOptions, answer: requestCallback<Response>) => unknown,
): Promise<void> {
  report(session, options, await session.client.ask<Response>(start), done);
}

/** What flags change of a resource: with its name, and the etag that it must have. */
function changes<R extends object>(fields: readonly Field<Partial<R>>[], options: ChangeOptions) {
  const { resource, paths } = readFields<R>(fields, options);
  return { resource: { ...resource, ...(options.etag !== undefined && { etag: options.etag }) }, paths };
}

function addSetVip(set: Command): void {
  const command = set.command('vip').alias('vips').description('change a VIP').argument('<vip>', 'the VIP');
  setOptions(command, VIP_FIELDS)
    .addOption(etagOption())
    .addOption(dryRunOption())
    .action((id: string) => {
      const options = command.optsWithGlobals<ChangeOptions>();
      const { resource, paths } = changes<Vip>(VIP_FIELDS, options);
      checkAny(flagsOf(VIP_FIELDS), paths);
      const request = {
        vip: { ...resource, name: vipName(id) },
        updateMask: { paths },
        validateOnly: options.dryRun,
      };
      return withSession(options, (session) =>
        change<Vip__Output>(session, options, `vip ${id} set`, (call, done) =>
          session.client.vips.UpdateVip(request, call, done),
        ),
      );
    });
}

function addSetPool(set: Command): void {
  const command = set
    .command('pool')
    .alias('pools')
    .description('change a pool')
    .argument('<pool>', 'the pool');
  setOptions(command, POOL_FIELDS)
    .addOption(etagOption())
    .addOption(dryRunOption())
    .action((id: string) => {
      const options = command.optsWithGlobals<ChangeOptions>();
      const { resource, paths } = changes<Pool>(POOL_FIELDS, options);
      checkAny(flagsOf(POOL_FIELDS), paths);
      const request = {
        pool: { ...resource, name: poolName(id) },
        updateMask: { paths },
        validateOnly: options.dryRun,
      };
      return withSession(options, (session) =>
        change<Pool__Output>(session, options, `pool ${id} set`, (call, done) =>
          session.client.pools.UpdatePool(request, call, done),
        ),
      );
    });
}

function setBackend(
  name: string,
  backend: Partial<Backend>,
  paths: string[],
  done: string,
  options: ChangeOptions,
): Promise<void> {
  const request = {
    backend: { ...backend, name: backendName(name) },
    updateMask: { paths },
    validateOnly: options.dryRun,
  };
  return withSession(options, (session) =>
    change<Backend__Output>(session, options, done, (call, answer) =>
      session.client.pools.UpdateBackend(request, call, answer),
    ),
  );
}

function addSetBackend(set: Command): void {
  const command = set
    .command('backend')
    .alias('backends')
    .description('change a backend')
    .argument('<pool/backend>', 'the backend');
  setOptions(command, BACKEND_FIELDS)
    .addOption(etagOption())
    .addOption(dryRunOption())
    .action((name: string) => {
      const options = command.optsWithGlobals<ChangeOptions>();
      const { resource, paths } = changes<Backend>(BACKEND_FIELDS, options);
      checkAny(flagsOf(BACKEND_FIELDS), paths);
      const isWeight = paths.length === 1 && paths[0] === 'weight';
      const done = isWeight ? `backend ${name} has weight ${resource.weight}` : `backend ${name} set`;
      return setBackend(name, resource, paths, done, options);
    });
}

function addSetCheck(set: Command): void {
  const command = set
    .command('health-check')
    .alias('hc')
    .description('change a health check; backends keep their health until probes of the new kind decide')
    .argument('<check>', 'the check');
  setOptions(command, PROBE_FIELDS);
  setOptions(command, CHECK_FIELDS)
    .addOption(etagOption())
    .addOption(dryRunOption())
    .action((id: string) => {
      const options = command.optsWithGlobals<ChangeOptions>();
      const { resource, paths } = changes<HealthCheck>(CHECK_FIELDS, options);
      const probe = readProbe(options);
      if (probe !== undefined) paths.push(probe.path);
      checkAny([...flagsOf(CHECK_FIELDS), '--probe'], paths);
      const request = {
        healthCheck: { ...resource, ...probe?.resource, name: checkName(id) },
        updateMask: { paths },
        validateOnly: options.dryRun,
      };
      return withSession(options, (session) =>
        change<HealthCheck__Output>(session, options, `health check ${id} set`, (call, done) =>
          session.client.checks.UpdateHealthCheck(request, call, done),
        ),
      );
    });
}

function addWeight(program: Command): void {
  const command = program.command('weight');
  command
    .description("set a backend's weight")
    .argument('<pool/backend>', 'the backend')
    .argument('<weight>', 'share of new connections, 0 to 65535', parseWeight)
    .addOption(dryRunOption())
    .action((name: string, weight: number) =>
      setBackend(
        name,
        { weight },
        ['weight'],
        `backend ${name} has weight ${weight}`,
        command.optsWithGlobals<ChangeOptions>(),
      ),
    );
}

export function addSet(program: Command): void {
  const set = program.command('set').description('change a resource');
  for (const add of [addSetVip, addSetPool, addSetBackend, addSetCheck, addSetRouting, addSetNode]) add(set);
  addWeight(program);
}
