import type { Command } from 'commander';
import type { BackendStats__Output } from '../grpc/generated/waggle/v1/BackendStats.js';
import type { StatsSample__Output } from '../grpc/generated/waggle/v1/StatsSample.js';
import type { VipStats__Output } from '../grpc/generated/waggle/v1/VipStats.js';
import { backendName, shortName, vipName } from './arguments.js';
import { durationOf } from './duration.js';
import { bytes, type Column, count, timeText } from './format.js';
import { printEach, untilStopped } from './lines.js';
import { type GlobalOptions, type Session, withSession } from './session.js';
import { intervalOption } from './top/top.js';

interface StatsOptions extends GlobalOptions {
  readonly watch?: boolean;
  readonly deltas?: boolean;
  readonly interval: number;
}

const dropsText = (drops: Readonly<Record<string, string>>): string =>
  Object.entries(drops)
    .map(([reason, packets]) => `${reason} ${count(packets)}`)
    .join(', ');

const VIP_STATS: readonly Column<VipStats__Output>[] = [
  { title: 'VIP', value: ({ vip }) => shortName(vip) },
  { title: 'PACKETS', value: ({ packets }) => count(packets), align: 'right' },
  { title: 'BYTES', value: (row) => bytes(row.bytes), align: 'right' },
  { title: 'NEW', value: ({ newConnections }) => count(newConnections), align: 'right' },
  {
    title: 'DROPS',
    value: ({ drops }) => dropsText(drops),
    tone: ({ drops }) => (Object.keys(drops).length > 0 ? 'warn' : undefined),
  },
];

const BACKEND_STATS: readonly Column<BackendStats__Output>[] = [
  { title: 'BACKEND', value: ({ backend }) => shortName(backend) },
  { title: 'PACKETS', value: ({ packets }) => count(packets), align: 'right' },
  { title: 'BYTES', value: (row) => bytes(row.bytes), align: 'right' },
  { title: 'NEW', value: ({ newConnections }) => count(newConnections), align: 'right' },
  { title: 'FLOWS', value: ({ trackedFlows }) => count(trackedFlows), align: 'right' },
];

/** A sample for a person. */
function sampleText(session: Session, sample: StatsSample__Output): string {
  const { connections, drops } = sample;
  const lines = [
    ...(sample.vips.length > 0 ? [session.table(VIP_STATS, sample.vips), ''] : []),
    ...(sample.backends.length > 0 ? [session.table(BACKEND_STATS, sample.backends), ''] : []),
  ];
  if (connections)
    lines.push(
      `for VIPs: ${count(connections.packets)} packets; the ring chose for ${count(connections.tableMisses)}, of these ${count(connections.tcpSynMisses)} SYN and ${count(connections.tcpOtherMisses)} other TCP; ${count(connections.trackedFlows)} flows tracked`,
    );
  if (Object.keys(drops).length > 0) lines.push(`dropped before their VIP was known: ${dropsText(drops)}`);
  return lines.join('\n');
}

/** Names of VIPs and backends: what has a slash is a backend. */
const resourceOf = (text: string) =>
  text.startsWith('vips/') || !text.includes('/') ? vipName(text) : backendName(text);

async function stats(session: Session, names: readonly string[], options: StatsOptions): Promise<void> {
  const { client } = session;
  const resources = names.map(resourceOf);
  if (!options.watch) {
    const sample = await client.ask<StatsSample__Output>((call, done) =>
      client.stats.GetStats({ resources }, call, done),
    );
    session.print(sample, () => sampleText(session, sample));
    return;
  }
  const request = { resources, interval: durationOf(options.interval), deltas: options.deltas === true };
  await untilStopped(async (signal) => {
    for await (const sample of client.stream((call) => client.stats.WatchStats(request, call), signal))
      printEach(session, sample, () => `${timeText(sample.time)} UTC\n${sampleText(session, sample)}\n`);
  });
}

export function addStats(program: Command): void {
  const command = program.command('stats');
  command
    .description('counters of VIPs and backends since each was made')
    .argument('[name...]', 'VIP, or POOL/BACKEND; all of them without a name')
    .option('--watch', 'again and again, until Ctrl-C')
    .option('--deltas', 'with --watch: what was added since the sample before')
    .addOption(intervalOption())
    .action((names: readonly string[]) => {
      const options = command.optsWithGlobals<StatsOptions>();
      return withSession(options, (session) => stats(session, names, options));
    });
}
