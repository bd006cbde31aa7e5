import type { Command } from 'commander';
import type { GetTableResponse__Output } from '../grpc/generated/waggle/v1/GetTableResponse.js';
import type { TableShare__Output } from '../grpc/generated/waggle/v1/TableShare.js';
import { shortName, vipName } from './arguments.js';
import { ringText } from './columns.js';
import { type Column, count, counted, percent } from './format.js';
import { type GlobalOptions, withSession } from './session.js';

const BAR_WIDTH = 30;

/** A share as a bar. */
const bar = (share: number) => '█'.repeat(Math.round(share * BAR_WIDTH)) || (share > 0 ? '▏' : '');

const columns = (size: number): readonly Column<TableShare__Output>[] => [
  { title: 'BACKEND', value: ({ backend, backendAddress }) => shortName(backend) || backendAddress },
  { title: 'ADDRESS', value: ({ backendAddress }) => backendAddress },
  { title: 'WEIGHT', value: ({ effectiveWeight }) => String(effectiveWeight), align: 'right' },
  { title: 'SLOTS', value: ({ slots }) => count(slots), align: 'right' },
  { title: 'SHARE', value: ({ slots }) => percent(slots / Math.max(1, size)), align: 'right' },
  { title: '', value: ({ slots }) => bar(slots / Math.max(1, size)) || ' ' },
];

export function addRingTable(program: Command): void {
  const command = program.command('table');
  command
    .description("a VIP's ring: which backend has how much of it, and its fingerprint")
    .argument('<vip>', 'the VIP')
    .option('--slots', 'every slot too (with -o json or yaml)')
    .action((vip: string) => {
      const options = command.optsWithGlobals<GlobalOptions & { slots?: boolean }>();
      const request = { vip: vipName(vip), includeSlots: options.slots === true };
      return withSession(options, async (session) => {
        const response = await session.client.ask<GetTableResponse__Output>((call, done) =>
          session.client.diagnostics.GetTable(request, call, done),
        );
        const { size, fingerprint, algorithm, shares } = response;
        session.print(response, () =>
          [
            `ring of ${vip}: ${counted(size, 'slot')}, ${ringText(algorithm) || 'maglev-v2'}, fingerprint ${fingerprint}`,
            shares.length > 0 ? session.table(columns(size), shares) : 'no backend takes new connections',
          ].join('\n'),
        );
      });
    });
}
