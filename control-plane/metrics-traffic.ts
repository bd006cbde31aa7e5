import { type BalancerTables, REASONS, type ReasonKind } from '../lb/index.js';
import type { Families, Row } from './metrics-family.js';
import type { Sweep } from './metrics-sweep.js';
import { type Backend, idOf } from './state/model.js';

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

/** Labels of a backend. */
export const backendLabels = ({ pool, name }: Backend) => ({ pool: idOf(pool), backend: idOf(name) });
export const BACKEND_LABELS = ['pool', 'backend'] as const;

const BY_ADDRESS = 'Counted by address: pools that share one show the same figures.';

/** Traffic of VIPs and backends, and what did not become traffic. */
export function trafficFamilies(families: Families, sweep: Sweep): void {
  families.counter(
    {
      name: 'waggle_vip_packets_total',
      help: 'Packets for a VIP that were sent on to backends.',
      labelNames: ['vip'],
    },
    () => sweep.vips.map(({ vip, packets }): Row => [{ vip: idOf(vip.name) }, packets.packets]),
  );
  families.counter(
    {
      name: 'waggle_vip_bytes_total',
      help: 'IP bytes of those packets, without the outer header.',
      labelNames: ['vip'],
    },
    () => sweep.vips.map(({ vip, packets }): Row => [{ vip: idOf(vip.name) }, packets.bytes]),
  );
  families.counter(
    {
      name: 'waggle_vip_new_connections_total',
      help: 'New connections of a VIP: TCP packets that open one, and UDP packets that no table knows.',
      labelNames: ['vip'],
    },
    () => sweep.vips.map(({ vip, newConnections }): Row => [{ vip: idOf(vip.name) }, newConnections]),
  );
  families.counter(
    {
      name: 'waggle_backend_packets_total',
      help: `Packets sent on to a backend. ${BY_ADDRESS}`,
      labelNames: BACKEND_LABELS,
    },
    () => sweep.backends.map(({ backend, packets }): Row => [backendLabels(backend), packets.packets]),
  );
  families.counter(
    {
      name: 'waggle_backend_bytes_total',
      help: `IP bytes of those packets, without the outer header. ${BY_ADDRESS}`,
      labelNames: BACKEND_LABELS,
    },
    () => sweep.backends.map(({ backend, packets }): Row => [backendLabels(backend), packets.bytes]),
  );
  families.counter(
    {
      name: 'waggle_backend_new_connections_total',
      help: `New connections that went to a backend. ${BY_ADDRESS}`,
      labelNames: BACKEND_LABELS,
    },
    () => sweep.backends.map(({ backend, newConnections }): Row => [backendLabels(backend), newConnections]),
  );
  for (const { name, help, kind } of REASON_FAMILIES) {
    families.counter({ name, help, labelNames: ['vip', 'reason'] }, function* () {
      const all = [
        { vip: '', reasons: sweep.noVip },
        ...sweep.vips.map(({ vip, reasons }) => ({ vip: idOf(vip.name), reasons })),
      ];
      for (const { vip, reasons } of all) {
        for (const [reason, packets] of reasons)
          if (REASONS[reason].kind === kind) yield [{ vip, reason }, packets];
      }
    });
  }
}

/** Server ids and tunnels of a VIP; one without packets of the kind has no series. */
export function vipFamilies(families: Families, sweep: Sweep): void {
  const rows = [
    {
      name: 'waggle_vip_without_server_id_packets_total',
      help: 'Packets for a VIP that could not have a server id yet: QUIC Initial and 0-RTT, TCP SYN.',
      read: (counts: Sweep['vips'][number]) => counts.serverIds.withoutId,
    },
    {
      name: 'waggle_vip_server_id_mismatches_total',
      help: 'Packets for a VIP whose server id was of another backend than the connection table held.',
      read: (counts: Sweep['vips'][number]) => counts.serverIds.mismatches,
    },
    {
      name: 'waggle_vip_tunnel_packets_total',
      help: 'Packets for a VIP that came in a tunnel for this host.',
      read: (counts: Sweep['vips'][number]) => counts.tunnelPackets,
    },
  ];
  for (const { name, help, read } of rows) {
    families.counter({ name, help, labelNames: ['vip'] }, () =>
      sweep.vips.flatMap((counts): Row[] => {
        const value = read(counts);
        return value > 0n ? [[{ vip: idOf(counts.vip.name) }, value]] : [];
      }),
    );
  }
}

/** The connection tables. */
export function connectionFamilies(families: Families, sweep: Sweep, tables: BalancerTables): void {
  families.gauge(
    {
      name: 'waggle_connections_tracked',
      help: 'Entries of the connection tables, by backend: an upper bound of its connections. Counted at intervals.',
      labelNames: BACKEND_LABELS,
    },
    () => sweep.backends.map(({ backend, trackedFlows }): Row => [backendLabels(backend), trackedFlows]),
  );
  families.gauge(
    {
      name: 'waggle_connection_table_entries',
      help: 'Entries of the connection tables. Counted at intervals.',
      labelNames: [],
    },
    () => [[{}, sweep.trackedFlows]],
  );
  families.gauge(
    {
      name: 'waggle_connection_table_max_entries',
      help: 'Entries that the connection tables have room for; when they are full the oldest go.',
      labelNames: [],
    },
    () => [[{}, tables.connectionTableEntries]],
  );
  families.counter(
    {
      name: 'waggle_connection_lookups_total',
      help: 'Packets for a VIP: each is one look-up of its connection.',
      labelNames: [],
    },
    () => [[{}, tables.counters().lru.v1]],
  );
  families.counter(
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
