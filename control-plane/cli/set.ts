import type { Command } from 'commander';
import type { Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { Pool__Output } from '../grpc/generated/waggle/v1/Pool.js';
import type { Vip__Output } from '../grpc/generated/waggle/v1/Vip.js';
import { backendName, parseWeight, poolName, vipName } from './arguments.js';
import { usageError } from './faults.js';
import { type ChangeOptions, dryRunOption, report } from './report.js';
import { requiredOption } from './required.js';
import { withSession } from './session.js';

function addSetVip(set: Command): void {
  set
    .command('vip')
    .alias('vips')
    .description('change a VIP')
    .argument('<id>', 'the VIP')
    .option('--pool <id>', 'have another pool serve it; connections stay where they are')
    .option('--display-name <text>', 'text for people')
    .addOption(dryRunOption())
    .action((id: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<ChangeOptions & { pool?: string; displayName?: string }>();
      const { pool, displayName } = options;
      const paths = [
        ...(pool === undefined ? [] : ['pool']),
        ...(displayName === undefined ? [] : ['display_name']),
      ];
      if (paths.length === 0) throw usageError('nothing to set: give --pool or --display-name');
      return withSession(options, async (session) => {
        const vip = {
          name: vipName(id),
          ...(pool !== undefined && { pool: poolName(pool) }),
          ...(displayName !== undefined && { displayName }),
        };
        const request = { vip, updateMask: { paths }, validateOnly: options.dryRun };
        const changed = await session.client.ask<Vip__Output>((call, done) =>
          session.client.vips.UpdateVip(request, call, done),
        );
        report(session, options, changed, `vip ${id} set`);
      });
    });
}

function addSetPool(set: Command): void {
  set
    .command('pool')
    .alias('pools')
    .description('change a pool')
    .argument('<id>', 'the pool')
    .addOption(requiredOption('--display-name <text>', 'text for people'))
    .addOption(dryRunOption())
    .action((id: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<ChangeOptions & { displayName: string }>();
      return withSession(options, async (session) => {
        const pool = { name: poolName(id), displayName: options.displayName };
        const request = { pool, updateMask: { paths: ['display_name'] }, validateOnly: options.dryRun };
        const changed = await session.client.ask<Pool__Output>((call, done) =>
          session.client.pools.UpdatePool(request, call, done),
        );
        report(session, options, changed, `pool ${id} set`);
      });
    });
}

function setWeight(name: string, weight: number, options: ChangeOptions): Promise<void> {
  const backend = { name: backendName(name), weight };
  const request = { backend, updateMask: { paths: ['weight'] }, validateOnly: options.dryRun };
  return withSession(options, async (session) => {
    const changed = await session.client.ask<Backend__Output>((call, done) =>
      session.client.pools.UpdateBackend(request, call, done),
    );
    report(session, options, changed, `backend ${name} has weight ${weight}`);
  });
}

export function addSet(program: Command): void {
  const set = program.command('set').description('change a VIP, a pool or a backend');
  addSetVip(set);
  addSetPool(set);
  set
    .command('backend')
    .alias('backends')
    .description('change a backend')
    .argument('<pool/id>', 'the backend')
    .addOption(
      requiredOption(
        '--weight <n>',
        'share of new connections, 0 to 65535; connections stay where they are',
      ).argParser(parseWeight),
    )
    .addOption(dryRunOption())
    .action((name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<ChangeOptions & { weight: number }>();
      return setWeight(name, options.weight, options);
    });
  program
    .command('weight')
    .description("set a backend's weight")
    .argument('<pool/id>', 'the backend')
    .argument('<weight>', 'share of new connections, 0 to 65535', parseWeight)
    .addOption(dryRunOption())
    .action((name: string, weight: number, _: unknown, command: Command) =>
      setWeight(name, weight, command.optsWithGlobals<ChangeOptions>()),
    );
}
