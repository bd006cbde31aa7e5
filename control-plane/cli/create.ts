import type { Command } from 'commander';
import type { Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { Pool__Output } from '../grpc/generated/waggle/v1/Pool.js';
import type { Vip__Output } from '../grpc/generated/waggle/v1/Vip.js';
import { backendName, parsePort, parseWeight, poolName, splitName } from './arguments.js';
import { type ChangeOptions, dryRunOption, report } from './report.js';
import { requiredOption } from './required.js';
import { withSession } from './session.js';

interface VipOptions extends ChangeOptions {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly pool: string;
  readonly displayName: string;
}

function addCreateVip(create: Command): void {
  create
    .command('vip')
    .alias('vips')
    .description('add a virtual service')
    .argument('<id>', 'id of the new VIP')
    .addOption(requiredOption('--address <ip>', 'IPv4 or IPv6 address'))
    .addOption(requiredOption('--port <n>', 'port; 0 is every port').argParser(parsePort))
    .addOption(requiredOption('--protocol <name>', 'protocol').choices(['tcp', 'udp']))
    .addOption(requiredOption('--pool <id>', 'pool that serves it'))
    .option('--display-name <text>', 'text for people', '')
    .addOption(dryRunOption())
    .action((id: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<VipOptions>();
      return withSession(options, async (session) => {
        const vip = {
          address: options.address,
          port: options.port,
          protocol: options.protocol === 'tcp' ? ('PROTOCOL_TCP' as const) : ('PROTOCOL_UDP' as const),
          pool: poolName(options.pool),
          displayName: options.displayName,
        };
        const request = { vip, vipId: id, validateOnly: options.dryRun };
        const created = await session.client.ask<Vip__Output>((call, done) =>
          session.client.vips.CreateVip(request, call, done),
        );
        report(session, options, created, `vip ${id} created`);
      });
    });
}

function addCreatePool(create: Command): void {
  create
    .command('pool')
    .alias('pools')
    .description('add a pool, without backends')
    .argument('<id>', 'id of the new pool')
    .option('--display-name <text>', 'text for people', '')
    .addOption(dryRunOption())
    .action((id: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<ChangeOptions & { displayName: string }>();
      return withSession(options, async (session) => {
        const request = {
          pool: { displayName: options.displayName },
          poolId: id,
          validateOnly: options.dryRun,
        };
        const created = await session.client.ask<Pool__Output>((call, done) =>
          session.client.pools.CreatePool(request, call, done),
        );
        report(session, options, created, `pool ${id} created`);
      });
    });
}

/** A backend takes no connections before its next hop is known: not to be found out by waiting. */
function waitingFor({ status }: Backend__Output): string {
  if (status?.nextHop?.state === 'STATE_PENDING') return '; it takes connections once its next hop answers';
  if (status?.nextHop?.state !== 'STATE_UNREACHABLE') return '';
  return `; it takes no connections: its next hop is unreachable, ${status.nextHop.reason}`;
}

function addCreateBackend(create: Command): void {
  create
    .command('backend')
    .alias('backends')
    .description('add a backend to a pool')
    .argument('<pool/id>', 'pool, and id of the new backend')
    .addOption(requiredOption('--address <ip>', "IPv4 or IPv6 address of the tunnel's end"))
    .option('--weight <n>', 'share of new connections, 0 to 65535', parseWeight, 1)
    .addOption(dryRunOption())
    .action((name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<ChangeOptions & { address: string; weight: number }>();
      const { parent, id } = splitName(backendName(name));
      return withSession(options, async (session) => {
        const backend = { address: options.address, weight: options.weight };
        const request = { parent, backend, backendId: id, validateOnly: options.dryRun };
        const created = await session.client.ask<Backend__Output>((call, done) =>
          session.client.pools.CreateBackend(request, call, done),
        );
        report(session, options, created, `backend ${name} created${waitingFor(created)}`);
      });
    });
}

export function addCreate(program: Command): void {
  const create = program.command('create').description('add a VIP, a pool or a backend');
  addCreateVip(create);
  addCreatePool(create);
  addCreateBackend(create);
}
