import type { Command } from 'commander';
import type { Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { BackendStats__Output } from '../grpc/generated/waggle/v1/BackendStats.js';
import type { Node__Output } from '../grpc/generated/waggle/v1/Node.js';
import type { StatsSample__Output } from '../grpc/generated/waggle/v1/StatsSample.js';
import type { Vip__Output } from '../grpc/generated/waggle/v1/Vip.js';
import type { VipStats__Output } from '../grpc/generated/waggle/v1/VipStats.js';
import type { Worker__Output } from '../grpc/generated/waggle/v1/Worker.js';
import { BACKEND_COLUMNS, VIP_COLUMNS } from './columns.js';
import { bytes, type Column, count, enumText, span, table } from './format.js';
import { type GlobalOptions, type Session, withSession } from './session.js';

type VipRow = Vip__Output & { readonly stats: VipStats__Output | undefined };
type BackendRow = Backend__Output & { readonly stats: BackendStats__Output | undefined };

const sum = (values: Readonly<Record<string, string>> | undefined) =>
  Object.values(values ?? {}).reduce((total, value) => total + BigInt(value), 0n);

const VIP_STATUS: readonly Column<VipRow>[] = [
  ...VIP_COLUMNS,
  { title: 'PACKETS', value: ({ stats }) => count(stats?.packets), align: 'right' },
  { title: 'BYTES', value: ({ stats }) => bytes(stats?.bytes), align: 'right' },
  { title: 'DROPS', value: ({ stats }) => count(String(sum(stats?.drops))), align: 'right' },
];

const BACKEND_STATUS: readonly Column<BackendRow>[] = [
  ...BACKEND_COLUMNS.filter(({ title }) => title !== 'NEXT HOP'),
  { title: 'PACKETS', value: ({ stats }) => count(stats?.packets), align: 'right' },
  { title: 'BYTES', value: ({ stats }) => bytes(stats?.bytes), align: 'right' },
  ...BACKEND_COLUMNS.filter(({ title }) => title === 'NEXT HOP'),
];

const counter = (name: string) => (worker: Worker__Output) => count(worker.counters[name]);

const WORKER_STATUS: readonly Column<Worker__Output>[] = [
  { title: 'WORKER', value: ({ worker }) => String(worker) },
  { title: 'STATE', value: ({ state }) => enumText(state, 'STATE_') },
  { title: 'RESTARTS', value: ({ restarts }) => count(restarts), align: 'right' },
  { title: 'RECEIVED', value: counter('received'), align: 'right' },
  { title: 'TRANSMITTED', value: counter('transmitted'), align: 'right' },
  { title: 'PASSED', value: counter('passed'), align: 'right' },
  { title: 'DROPPED', value: counter('dropped'), align: 'right' },
  { title: 'LAST FAULT', value: ({ lastFault }) => lastFault },
];

function headline(node: Node__Output, nowMs: number): string {
  const mode = node.dataplaneMode.replace('DATAPLANE_MODE_', '').toLowerCase();
  const up = span(nowMs / 1000 - Number(node.startTime?.seconds ?? 0));
  const workers = `${node.workers.length} worker${node.workers.length === 1 ? '' : 's'}`;
  return `waggle ${node.version} on ${node.interface} (${mode}, ${workers}): ${enumText(node.state, 'STATE_')}, revision ${node.activeRevision}, up ${up}`;
}

async function status(session: Session): Promise<void> {
  const { client } = session;
  const [node, stats, vips, backends] = await Promise.all([
    client.ask<Node__Output>((options, done) => client.nodes.GetNode({ name: 'nodes/self' }, options, done)),
    client.ask<StatsSample__Output>((options, done) => client.stats.GetStats({}, options, done)),
    session.listVips(),
    session.listBackends(),
  ]);
  const vipRows = vips.map((vip) => ({ ...vip, stats: stats.vips.find((row) => row.vip === vip.name) }));
  const backendRows = backends.map((backend) => ({
    ...backend,
    stats: stats.backends.find((row) => row.backend === backend.name),
  }));
  session.print({ node, vips, backends, stats }, () =>
    [
      headline(node, Date.now()),
      ...(vips.length > 0
        ? [table(VIP_STATUS, vipRows, session.isColored)]
        : ['no VIPs: see waggle create vip --help']),
      ...(backends.length > 0 ? [table(BACKEND_STATUS, backendRows, session.isColored)] : []),
      table(WORKER_STATUS, node.workers, session.isColored),
    ].join('\n\n'),
  );
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .description('show the load balancer, its VIPs, backends and workers')
    .action((_: unknown, command: Command) => withSession(command.optsWithGlobals<GlobalOptions>(), status));
}
