import type { Registry } from 'prom-client';
import { REASONS, type Reason, type ReasonKind } from '../lb/index.js';
import type { ApiContext } from './grpc/context.js';
import { family, type Row } from './metrics-family.js';
import { idOf } from './state/model.js';

const BY_REASON = 'by reason; only reasons with packets; an empty vip: before the VIP was known.';
/** What became of packets that did not go to backends. */
const REASON_FAMILIES: readonly {
  readonly name: string;
  readonly help: string;
  readonly kind: ReasonKind;
}[] = [
  { name: 'waggle_drops_total', kind: 'drop', help: `Packets dropped by the balancer, ${BY_REASON}` },
  { name: 'waggle_passes_total', kind: 'pass', help: `Packets left to the host, ${BY_REASON}` },
  {
    name: 'waggle_answers_total',
    kind: 'answer',
    help: `Packets that the balancer answered or sent back itself, ${BY_REASON}`,
  },
];

/** Traffic of VIPs and backends, and what did not become traffic. */
export function trafficFamilies(registry: Registry, { reconciler, datapath: { tables } }: ApiContext): void {
  const vipRows = function* (field: 'packets' | 'bytes'): Iterable<Row> {
    for (const { name } of reconciler.store.state.vips.values()) {
      const number = reconciler.vipNumber(name);
      if (number !== undefined) yield [{ vip: idOf(name) }, tables.vipStats(number)[field]];
    }
  };
  const backendRows = function* (field: 'packets' | 'bytes'): Iterable<Row> {
    for (const backend of reconciler.store.state.backends.values()) {
      const index = reconciler.realIndex(backend);
      if (index === undefined) continue;
      yield [{ pool: idOf(backend.pool), backend: idOf(backend.name) }, tables.realStats(index)[field]];
    }
  };
  const byAddress = 'Counted by address: pools that share one show the same figures.';
  family(
    registry,
    'counter',
    {
      name: 'waggle_vip_packets_total',
      help: 'Packets for a VIP that were sent on to backends.',
      labelNames: ['vip'],
    },
    () => vipRows('packets'),
  );
  family(
    registry,
    'counter',
    {
      name: 'waggle_vip_bytes_total',
      help: 'IP bytes of those packets, without the outer header.',
      labelNames: ['vip'],
    },
    () => vipRows('bytes'),
  );
  family(
    registry,
    'counter',
    {
      name: 'waggle_backend_packets_total',
      help: `Packets sent on to a backend. ${byAddress}`,
      labelNames: ['pool', 'backend'],
    },
    () => backendRows('packets'),
  );
  family(
    registry,
    'counter',
    {
      name: 'waggle_backend_bytes_total',
      help: `IP bytes of those packets, without the outer header. ${byAddress}`,
      labelNames: ['pool', 'backend'],
    },
    () => backendRows('bytes'),
  );
  for (const { name, help, kind } of REASON_FAMILIES) {
    family(registry, 'counter', { name, help, labelNames: ['vip', 'reason'] }, function* () {
      const slots = [...reconciler.store.state.vips.keys()].map(
        (vip) => [idOf(vip), reconciler.vipNumber(vip)] as const,
      );
      for (const [vip, slot] of [['', 'none'] as const, ...slots]) {
        if (slot === undefined) continue;
        for (const [reason, { packets }] of Object.entries(tables.reasonStats(slot)))
          if (packets > 0n && REASONS[reason as Reason].kind === kind) yield [{ vip, reason }, packets];
      }
    });
  }
}

/** The connection tables. */
export function connectionFamilies(
  registry: Registry,
  { reconciler, datapath: { tables } }: ApiContext,
): void {
  family(
    registry,
    'gauge',
    {
      name: 'waggle_connections_tracked',
      help: 'Entries of the connection tables, by backend: an upper bound of its connections. Counted at intervals.',
      labelNames: ['pool', 'backend'],
    },
    function* () {
      const flows = reconciler.flows.recent();
      for (const backend of reconciler.store.state.backends.values()) {
        const index = reconciler.realIndex(backend);
        if (index === undefined) continue;
        yield [{ pool: idOf(backend.pool), backend: idOf(backend.name) }, flows.get(index) ?? 0];
      }
    },
  );
  family(
    registry,
    'counter',
    {
      name: 'waggle_connection_lookups_total',
      help: 'Packets for a VIP: each is one look-up of its connection.',
      labelNames: [],
    },
    () => [[{}, tables.counters().lru.v1]],
  );
  family(
    registry,
    'counter',
    {
      name: 'waggle_connection_misses_total',
      help: 'TCP packets whose connection no table held: syn opens one, other is from another node or was evicted.',
      labelNames: ['kind'],
    },
    () => {
      const { v1, v2 } = tables.counters().lru_miss;
      return [
        [{ kind: 'syn' }, v1],
        [{ kind: 'other' }, v2],
      ];
    },
  );
}
