import type { Command } from 'commander';
import type { Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { BackendStats__Output } from '../grpc/generated/waggle/v1/BackendStats.js';
import type { Node__Output } from '../grpc/generated/waggle/v1/Node.js';
import type { StatsSample__Output } from '../grpc/generated/waggle/v1/StatsSample.js';
import type { Vip__Output } from '../grpc/generated/waggle/v1/Vip.js';
import type { VipStats__Output } from '../grpc/generated/waggle/v1/VipStats.js';
import type { Worker__Output } from '../grpc/generated/waggle/v1/Worker.js';
import { BACKEND_COLUMNS, stateTone, VIP_COLUMNS } from './columns.js';
import { bytes, type Column, count, counted, enumText, span, toned } from './format.js';
import { getNode, modeText } from './lists.js';
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

/** Counters that the table has columns for, and those that say nothing of frames that were lost. */
const SHOWN: ReadonlySet<string> = new Set([
  'received',
  'received_bytes',
  'transmitted',
  'transmitted_bytes',
  'passed',
  'dropped',
  'batches',
  'wakeups',
  'program_runs',
  'program_ns',
]);

/** The other counters that count, which mostly are trouble: waggle explain knows each. */
const others = ({ counters }: Worker__Output): string =>
  Object.entries(counters)
    .filter(([name, value]) => value !== '0' && !SHOWN.has(name))
    .map(([name, value]) => `${name} ${count(value)}`)
    .join(', ');

const workerState = ({ state }: Worker__Output) => enumText(state, 'STATE_');

const WORKER_STATUS: readonly Column<Worker__Output>[] = [
  { title: 'WORKER', value: ({ worker }) => String(worker) },
  { title: 'STATE', value: workerState, tone: (worker) => stateTone(workerState(worker)) },
  { title: 'RESTARTS', value: ({ restarts }) => count(restarts), align: 'right' },
  { title: 'RECEIVED', value: counter('received'), align: 'right' },
  { title: 'TRANSMITTED', value: counter('transmitted'), align: 'right' },
  { title: 'PASSED', value: counter('passed'), align: 'right' },
  { title: 'DROPPED', value: counter('dropped'), align: 'right' },
  { title: 'OTHER', value: others, wide: true },
  { title: 'LAST FAULT', value: ({ lastFault }) => lastFault, tone: () => 'warn' },
];

function headline(node: Node__Output, nowMs: number, isColored: boolean): string {
  const up = span(nowMs / 1000 - Number(node.startTime?.seconds ?? 0));
  const state = enumText(node.state, 'STATE_');
  return `waggle ${node.version} on ${node.interface} (${modeText(node)}, ${counted(node.workers.length, 'worker')}): ${toned(state, stateTone(state), isColored)}, revision ${node.activeRevision}, up ${up}`;
}

/** Resources with their counters. */
function withStats<R extends { readonly name: string }, S>(
  resources: readonly R[],
  stats: readonly S[],
  nameOf: (row: S) => string,
): (R & { readonly stats: S | undefined })[] {
  const byName = new Map(stats.map((row) => [nameOf(row), row]));
  return resources.map((resource) => ({ ...resource, stats: byName.get(resource.name) }));
}

/** Packets that were dropped before their VIP was known, by reason. */
function dropLines({ drops }: StatsSample__Output): string[] {
  const reasons = Object.entries(drops).map(([reason, packets]) => `${reason} ${count(packets)}`);
  return reasons.length === 0 ? [] : [`dropped before their VIP was known: ${reasons.join(', ')}`];
}

async function status(session: Session): Promise<void> {
  const { client } = session;
  const [node, stats, vips, backends] = await Promise.all([
    getNode(session),
    client.ask<StatsSample__Output>((options, done) => client.stats.GetStats({}, options, done)),
    session.listVips(),
    session.listBackends(),
  ]);
  session.print({ node, vips, backends, stats }, () =>
    [
      headline(node, Date.now(), session.isColored),
      vips.length > 0
        ? session.table(
            VIP_STATUS,
            withStats(vips, stats.vips, ({ vip }) => vip),
          )
        : 'no VIPs: see waggle create vip --help',
      ...(backends.length > 0
        ? [
            session.table(
              BACKEND_STATUS,
              withStats(backends, stats.backends, ({ backend }) => backend),
            ),
          ]
        : []),
      session.table(WORKER_STATUS, node.workers),
      ...dropLines(stats),
    ].join('\n\n'),
  );
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .description('show the load balancer, its VIPs, backends and workers')
    .action((_: unknown, command: Command) => withSession(command.optsWithGlobals<GlobalOptions>(), status));
}
