import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type PacketStats,
  WORKER_COUNTER_NAMES,
  type WorkerCounter,
  type WorkerStatus,
} from '../../lb/index.js';
import { fieldError } from '../state/faults.js';
import { type DesiredState, NAME_FORMS } from '../state/model.js';
import { find } from '../state/validate.js';
import type { ApiContext } from './context.js';
import { durationOf, timestampOf } from './convert-values.js';
import type { StatsSample as ProtoSample } from './generated/waggle/v1/StatsSample.js';
import { workerToProto } from './node.js';

/** Packets dropped by reason; reasons without a packet are left out. */
type Drops = Readonly<Record<string, bigint>>;

interface VipCounters extends PacketStats {
  readonly newConnections: bigint;
  readonly drops: Drops;
}
interface BackendCounters extends PacketStats {
  readonly newConnections: bigint;
  readonly trackedFlows: number;
}

/** What was counted until a moment. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** By name. */
  readonly vips: ReadonlyMap<string, VipCounters>;
  readonly backends: ReadonlyMap<string, BackendCounters>;
  readonly connections: Readonly<
    Record<'packets' | 'tableMisses' | 'tcpSynMisses' | 'tcpOtherMisses', bigint>
  >;
  readonly trackedFlows: number;
  readonly drops: Drops;
  readonly workers: readonly WorkerStatus[];
}

/** Names of the VIPs and backends that are asked for; undefined: all of a kind. */
export interface Asked {
  readonly vips: readonly string[] | undefined;
  readonly backends: readonly string[] | undefined;
}

/** What a request asks for by `resources`. @throws StateError STATE_FIELDS, STATE_NOT_FOUND */
export function askedFor(resources: readonly string[], state: DesiredState): Asked {
  if (resources.length === 0) return { vips: undefined, backends: undefined };
  const { vip, backend } = NAME_FORMS;
  const names = [...new Set(resources)];
  const vips = names.filter((name) => vip.pattern.test(name));
  const backends = names.filter((name) => backend.pattern.test(name));
  const wrong = names.find((name) => !vip.pattern.test(name) && !backend.pattern.test(name));
  if (wrong !== undefined)
    throw fieldError('resources', `"${wrong}" is neither of the form ${vip.form} nor ${backend.form}`);
  for (const name of vips) find(state.vips, 'vip', name);
  for (const name of backends) find(state.backends, 'backend', name);
  return { vips, backends };
}

const NO_PACKETS: PacketStats = { packets: 0n, bytes: 0n };

/** Resources that are read before others get their turn. */
const SLICE = 200;

/** Counters as they are now; resources that are gone are left out. @param nowMs milliseconds since 1970 */
export async function takeSample(
  { reconciler, datapath }: ApiContext,
  asked: Asked,
  nowMs: () => number,
): Promise<Sample> {
  const { tables } = datapath;
  const { state } = reconciler.store;
  const vips = new Map<string, VipCounters>();
  for (const name of asked.vips ?? state.vips.keys()) {
    if (!state.vips.has(name)) continue;
    const number = reconciler.vipNumber(name);
    const packets = number === undefined ? NO_PACKETS : tables.vipStats(number);
    vips.set(name, {
      ...packets,
      newConnections: number === undefined ? 0n : tables.vipNewFlows(number),
      drops: number === undefined ? {} : dropsOf(tables.dropStats(number)),
    });
    if (vips.size % SLICE === 0) await nextTurn();
  }
  const flows = reconciler.flows.recent();
  const backends = new Map<string, BackendCounters>();
  for (const name of asked.backends ?? state.backends.keys()) {
    const backend = state.backends.get(name);
    if (backend === undefined) continue;
    const index = reconciler.realIndex(backend);
    const packets = index === undefined ? NO_PACKETS : tables.realStats(index);
    backends.set(name, {
      ...packets,
      newConnections: index === undefined ? 0n : tables.realNewFlows(index),
      trackedFlows: index === undefined ? 0 : (flows.get(index) ?? 0),
    });
    if (backends.size % SLICE === 0) await nextTurn();
  }
  const { lru, lru_miss } = tables.counters();
  return {
    timeMs: nowMs(),
    vips,
    backends,
    connections: {
      packets: lru.v1,
      tableMisses: lru.v2,
      tcpSynMisses: lru_miss.v1,
      tcpOtherMisses: lru_miss.v2,
    },
    trackedFlows: [...flows.values()].reduce((sum, count) => sum + count, 0),
    drops: dropsOf(tables.dropStats('none')),
    workers: datapath.workers(),
  };
}

function dropsOf(stats: Readonly<Record<string, PacketStats>>): Drops {
  return Object.fromEntries(
    Object.entries(stats).flatMap(([reason, { packets }]) => (packets > 0n ? [[reason, packets]] : [])),
  );
}

/** What was counted from a sample to a later one; what is no count is as in the later one. */
export function between(before: Sample, after: Sample): Sample {
  return {
    ...after,
    vips: mapValues(after.vips, (vip, name) => {
      const was = before.vips.get(name);
      return {
        ...packetsSince(was, vip),
        newConnections: since(was?.newConnections ?? 0n, vip.newConnections),
        drops: countsSince(was?.drops ?? {}, vip.drops),
      };
    }),
    backends: mapValues(after.backends, (backend, name) => ({
      ...packetsSince(before.backends.get(name), backend),
      newConnections: since(before.backends.get(name)?.newConnections ?? 0n, backend.newConnections),
      trackedFlows: backend.trackedFlows,
    })),
    connections: {
      packets: since(before.connections.packets, after.connections.packets),
      tableMisses: since(before.connections.tableMisses, after.connections.tableMisses),
      tcpSynMisses: since(before.connections.tcpSynMisses, after.connections.tcpSynMisses),
      tcpOtherMisses: since(before.connections.tcpOtherMisses, after.connections.tcpOtherMisses),
    },
    drops: countsSince(before.drops, after.drops),
    workers: after.workers.map((worker) => {
      const was = before.workers.find(({ index }) => index === worker.index);
      return { ...worker, counters: workerCountersSince(was?.counters ?? {}, worker.counters) };
    }),
  };
}

/** A counter that went back is of another resource of the name: all of it is new. */
const since = (before: bigint, after: bigint): bigint => (after < before ? after : after - before);

const packetsSince = (before: PacketStats | undefined, after: PacketStats): PacketStats =>
  // Packets decide for both: the bytes of another resource may be more.
  before === undefined || after.packets < before.packets
    ? { packets: after.packets, bytes: after.bytes }
    : { packets: after.packets - before.packets, bytes: since(before.bytes, after.bytes) };

function countsSince(before: Drops, after: Drops): Drops {
  return Object.fromEntries(
    Object.entries(after).map(([name, count]) => [name, since(before[name] ?? 0n, count)]),
  );
}

type WorkerCounters = WorkerStatus['counters'];

function workerCountersSince(before: WorkerCounters, after: WorkerCounters): WorkerCounters {
  const counters: Partial<Record<WorkerCounter, bigint>> = {};
  for (const name of WORKER_COUNTER_NAMES) {
    const count = after[name];
    if (count !== undefined) counters[name] = since(before[name] ?? 0n, count);
  }
  return counters;
}

function mapValues<T, U>(map: ReadonlyMap<string, T>, change: (value: T, name: string) => U): Map<string, U> {
  return new Map(Array.from(map, ([name, value]) => [name, change(value, name)] as const));
}

/** What was counted, as the API has it. @param periodMs since the sample before; undefined where there is none */
export function sampleToProto(sample: Sample, periodMs?: number): ProtoSample {
  const { connections } = sample;
  return {
    time: timestampOf(sample.timeMs),
    ...(periodMs !== undefined && { period: durationOf(periodMs) }),
    vips: Array.from(sample.vips, ([vip, { packets, bytes, newConnections, drops }]) => ({
      vip,
      packets: String(packets),
      bytes: String(bytes),
      newConnections: String(newConnections),
      drops: texts(drops),
    })),
    backends: Array.from(sample.backends, ([backend, { packets, bytes, newConnections, trackedFlows }]) => ({
      backend,
      packets: String(packets),
      bytes: String(bytes),
      newConnections: String(newConnections),
      trackedFlows: String(trackedFlows),
    })),
    workers: sample.workers.map(workerToProto),
    connections: {
      packets: String(connections.packets),
      tableMisses: String(connections.tableMisses),
      tcpSynMisses: String(connections.tcpSynMisses),
      tcpOtherMisses: String(connections.tcpOtherMisses),
      trackedFlows: String(sample.trackedFlows),
    },
    drops: texts(sample.drops),
  };
}

/** Reasons that have packets, with their number. */
function texts(counts: Drops): Record<string, string> {
  return Object.fromEntries(
    Object.entries(counts).flatMap(([name, count]) => (count > 0n ? [[name, String(count)]] : [])),
  );
}
