import type { BalancerTables } from '../lb/index.js';
import type { ApiContext } from './grpc/context.js';
import type { Families, Row } from './metrics-family.js';

/** A family that is read from the balancer's counters alone; its only label, if it has one, is `label`. */
interface CounterFamily {
  readonly name: string;
  readonly help: string;
  readonly label?: string;
  /** Value of each label; the one value without a label is under ''. */
  readonly read: (tables: BalancerTables) => Readonly<Record<string, bigint>>;
}

const FAMILIES: readonly CounterFamily[] = [
  {
    name: 'waggle_connection_ring_choices_total',
    help: 'Packets for a VIP whose backend the ring gave.',
    read: (tables) => ({ '': tables.counters().lru.v2 }),
  },
  {
    name: 'waggle_connection_fallback_total',
    help: 'Packets for a VIP on a CPU without a connection table of its own.',
    read: (tables) => ({ '': tables.counters().fallback_lru.v1 }),
  },
  {
    name: 'waggle_global_table_packets_total',
    help: 'Packets that a table of flows from outside routed, and look-ups on a CPU that has none.',
    label: 'result',
    read: (tables) => {
      const { v1, v2 } = tables.counters().global_lru;
      return { routed: v2, no_table: v1 };
    },
  },
  {
    name: 'waggle_source_route_lookups_total',
    help: 'New flows of VIPs with source routes: those that a route took, and the others.',
    label: 'result',
    read: (tables) => {
      const { v1, v2 } = tables.counters().source_route;
      return { hit: v2, miss: v1 };
    },
  },
  {
    name: 'waggle_migrated_packets_total',
    help: 'UDP packets taken from a backend that is down.',
    read: (tables) => ({ '': tables.counters().flow_migrated.v1 }),
  },
  {
    name: 'waggle_encapsulation_failures_total',
    help: 'Packets that had no room for the outer header, by its family.',
    label: 'outer',
    read: (tables) => byFamily(tables.counters().encap_fail),
  },
  {
    name: 'waggle_tunnel_packets_total',
    help: 'Tunnel packets for a tunnel destination.',
    read: (tables) => ({ '': tables.counters().remote_decap.v1 }),
  },
  {
    name: 'waggle_decapsulations_total',
    help: 'Outer headers taken off, by their family.',
    label: 'outer',
    read: (tables) => byFamily(tables.counters().decap),
  },
  {
    name: 'waggle_rebalanced_packets_total',
    help: 'Packets that came out of a tunnel and were balanced, by their family.',
    label: 'inner',
    read: (tables) => byFamily(tables.counters().rebalanced),
  },
  {
    name: 'waggle_egress_decapsulations_total',
    help: 'Packets that came out of a tunnel and were sent back out, by their family.',
    label: 'inner',
    read: (tables) => byFamily(tables.counters().egress_decap),
  },
  {
    name: 'waggle_too_big_sent_total',
    help: 'ICMP "fragmentation needed" and "packet too big" that the balancer sent.',
    label: 'family',
    read: (tables) => byFamily(tables.counters().too_big_sent),
  },
  {
    name: 'waggle_too_big_received_total',
    help: 'ICMP "fragmentation needed" and "packet too big" that came for VIPs.',
    label: 'family',
    read: (tables) => {
      const { too_big_seen_ipv4, too_big_seen_ipv6 } = tables.counters();
      return { ipv4: too_big_seen_ipv4.v1, ipv6: too_big_seen_ipv6.v1 };
    },
  },
  {
    name: 'waggle_too_big_small_mtu_total',
    help: 'Those of them that name an MTU below 1280.',
    label: 'family',
    read: (tables) => {
      const { too_big_seen_ipv4, too_big_seen_ipv6 } = tables.counters();
      return { ipv4: too_big_seen_ipv4.v2, ipv6: too_big_seen_ipv6.v2 };
    },
  },
  {
    name: 'waggle_quic_icmp_errors_total',
    help: 'ICMP errors for QUIC VIPs: those with a code that clients may ignore, and the others.',
    label: 'kind',
    read: (tables) => {
      const { v1, v2 } = tables.counters().quic_icmp;
      return { ignorable: v2, other: v1 - v2 };
    },
  },
  {
    name: 'waggle_quic_packets_total',
    help: 'Packets for QUIC VIPs by what their connection id decided.',
    label: 'result',
    read: (tables) => {
      const { cid_initial, cid_routed, ch_routed, cid_unknown_real_dropped } = tables.quicStats();
      return {
        initial: cid_initial,
        routed: cid_routed,
        no_server_id: ch_routed,
        unknown_backend: cid_unknown_real_dropped,
      };
    },
  },
  {
    name: 'waggle_quic_server_ids_total',
    help: 'Packets for QUIC VIPs with a server id, by version of the connection id.',
    label: 'version',
    read: (tables) => {
      const { cid_v0, cid_v1, cid_v2, cid_v3 } = tables.quicStats();
      return { 0: cid_v0, 1: cid_v1, 2: cid_v2, 3: cid_v3 };
    },
  },
  {
    name: 'waggle_quic_unmapped_server_ids_total',
    help: 'Packets for QUIC VIPs whose server id is not mapped to a backend.',
    read: (tables) => ({ '': tables.quicStats().cid_invalid_server_id }),
  },
  {
    name: 'waggle_quic_connection_checks_total',
    help: 'Packets that a server id routed: whether the connection table held the same backend.',
    label: 'result',
    read: (tables) => {
      const { dst_match_in_lru, dst_mismatch_in_lru, dst_not_found_in_lru } = tables.quicStats();
      return { match: dst_match_in_lru, mismatch: dst_mismatch_in_lru, absent: dst_not_found_in_lru };
    },
  },
  {
    name: 'waggle_tcp_server_id_packets_total',
    help: 'TCP packets by what their server id option decided.',
    label: 'result',
    read: (tables) => {
      const { tcp_syn, sid_routed, ch_routed } = tables.tcpServerIdStats();
      return { syn: tcp_syn, routed: sid_routed, no_server_id: ch_routed };
    },
  },
  {
    name: 'waggle_tcp_server_id_mismatches_total',
    help: 'TCP packets whose server id was of another backend than the connection table held.',
    read: (tables) => ({ '': tables.tcpServerIdStats().dst_mismatch_in_lru }),
  },
  {
    name: 'waggle_udp_server_id_packets_total',
    help: 'Packets for VIPs of stable routing by what their header decided.',
    label: 'result',
    read: (tables) => {
      const { cid_routed, ch_routed, cid_unknown_real_dropped } = tables.stableRoutingStats();
      return { routed: cid_routed, no_server_id: ch_routed, unknown_backend: cid_unknown_real_dropped };
    },
  },
  {
    name: 'waggle_udp_unmapped_server_ids_total',
    help: 'Packets for VIPs of stable routing whose server id is not mapped to a backend.',
    read: (tables) => ({ '': tables.stableRoutingStats().cid_invalid_server_id }),
  },
  {
    name: 'waggle_udp_without_header_total',
    help: 'Packets for VIPs of stable routing that do not have its header.',
    read: (tables) => ({ '': tables.stableRoutingStats().invalid_packet_type }),
  },
];

function byFamily({
  v1,
  v2,
}: {
  readonly v1: bigint;
  readonly v2: bigint;
}): Readonly<Record<string, bigint>> {
  return { ipv4: v1, ipv6: v2 };
}

/** Frames that the program saw, by worker. */
const FRAME_FAMILIES = [
  {
    name: 'waggle_program_frames_total',
    help: "Frames by the program's verdict.",
    field: 'packets',
  },
  {
    name: 'waggle_program_frame_bytes_total',
    help: 'Bytes of those frames, as they were received.',
    field: 'bytes',
  },
] as const;

/** How full the maps are that the configuration fills. */
const OCCUPANCY_FAMILIES = [
  { name: 'waggle_map_entries', help: 'Entries of a map that the configuration fills.', field: 'entries' },
  { name: 'waggle_map_max_entries', help: 'Entries that such a map has room for.', field: 'maxEntries' },
] as const;

/** What the balancer's program counts besides the traffic of VIPs and backends. */
export function balancerFamilies(families: Families, { datapath }: ApiContext): void {
  const { tables } = datapath;
  for (const { name, help, label, read } of FAMILIES) {
    families.counter({ name, help, labelNames: label === undefined ? [] : [label] }, () =>
      Object.entries(read(tables)).map(
        ([text, value]): Row => [label === undefined ? {} : { [label]: text }, value],
      ),
    );
  }
  for (const { name, help, field } of FRAME_FAMILIES) {
    families.counter({ name, help, labelNames: ['worker', 'verdict'] }, function* () {
      const frames = tables.frames();
      for (const { index } of datapath.workers()) {
        const { tx, drop, pass } = frames[index] ?? {};
        for (const [verdict, stats] of Object.entries({ tx, drop, pass }))
          if (stats !== undefined) yield [{ worker: String(index), verdict }, stats[field]];
      }
    });
  }
  for (const { name, help, field } of OCCUPANCY_FAMILIES) {
    families.gauge({ name, help, labelNames: ['map'] }, () =>
      tables.occupancy().map((one): Row => [{ map: one.map }, one[field]]),
    );
  }
}
