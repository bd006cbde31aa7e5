import { companionCounters } from './balancer/companions/config.js';
import { HealthcheckTables } from './balancer/companions/healthcheck.js';
import { COMPANION_PROGRAMS } from './balancer/companions/object.js';
import { REASON_NAMES } from './balancer/reasons.js';
import type { PacketStats } from './balancer/stats.js';
import type { BalancerTables } from './balancer/tables.js';
import { formatVip } from './balancer/tables.js';
import type { BpfMap } from './bpf/maps/map.js';
import { formatIp } from './net/address.js';
import type { ReplayNames } from './replay-names.js';

/** Counters by name, in groups: numbers, or words of several. */
export type CounterGroup = { readonly [name: string]: bigint | CounterGroup };

type Row = readonly [string, bigint | CounterGroup];

const group = (rows: Iterable<Row>): CounterGroup => Object.fromEntries(rows);
const plain = (stats: object): CounterGroup => ({ ...stats }) as CounterGroup;
const packets = ({ packets: count, bytes }: PacketStats): CounterGroup => ({ packets: count, bytes });

/** Reasons with packets, of a VIP or of none. */
function reasonsOf(tables: BalancerTables, vip: number | 'none'): CounterGroup {
  const stats = tables.reasonStats(vip);
  return group(
    REASON_NAMES.filter((name) => stats[name].packets > 0n).map((name) => [name, packets(stats[name])]),
  );
}

/** Everything that the balancer counts; per VIP and backend under their names. */
export function balancerCounters(tables: BalancerTables, names: ReplayNames): CounterGroup {
  const vips = names.vips().map(({ number, vip }) => ({ number, name: formatVip(vip) }));
  const backends = names.backends();
  const global = Object.entries(tables.counters()).map(([name, value]): Row => [name, plain(value)]);
  const workers = tables
    .frames()
    .map(
      (frames, cpu): Row => [
        String(cpu),
        group(Object.entries(frames).map(([what, stats]) => [what, packets(stats)])),
      ],
    )
    .filter(([, frames]) => Object.values(frames).some((stats) => stats.packets > 0n));
  const none = reasonsOf(tables, 'none');
  return {
    global: group(global),
    vips: group(
      vips.map(({ number, name }) => [
        name,
        {
          ...packets(tables.vipStats(number)),
          server_ids: plain({
            without_id: tables.serverIdStats(number).withoutId,
            mismatches: tables.serverIdStats(number).mismatches,
          }),
        },
      ]),
    ),
    backends: group(
      backends.map(({ index, address }) => [
        address,
        { ...packets(tables.realStats(index)), new_connections: BigInt(tables.missesOf(index)) },
      ]),
    ),
    workers: group(workers),
    reasons: group([
      ...(Object.keys(none).length > 0 ? [['none', none] as const] : []),
      ...vips
        .map(({ number, name }): Row => [name, reasonsOf(tables, number)])
        .filter(([, reasons]) => Object.keys(reasons).length > 0),
    ]),
    quic: plain(tables.quicStats()),
    tcp_server_ids: plain(tables.tcpServerIdStats()),
    stable_routing: plain(tables.stableRoutingStats()),
    decap: group(vips.map(({ number, name }) => [name, { packets: tables.decapVipPackets(number) }])),
  };
}

/** Counters of a companion, told by its maps; empty for an object that is none. */
export function companionGroup(maps: ReadonlyMap<string, BpfMap>, program: string): CounterGroup {
  const counters = companionCounters(maps);
  if (counters === undefined) return {};
  if (!maps.has('hc_reals_map')) return { decap: counters };
  const isTunnel = program === COMPANION_PROGRAMS.healthcheckTunnel;
  const tables = new HealthcheckTables(maps, isTunnel ? 'tunnel' : 'direct');
  const keys = tables.keyStats().map(({ key, packets: count }): Row => {
    const host = key.address.family === 6 ? `[${formatIp(key.address)}]` : formatIp(key.address);
    return [`${host}:${key.port}/${key.protocol}`, count];
  });
  return { healthcheck: { ...counters, keys: group(keys) } };
}
