import { afterEach, beforeEach, expect, it } from 'vitest';
import { formatIp } from '../lb/index.js';
import { createBackend, createPool, createVip } from '../test/support/changes.js';
import { type MemoryDatapath, macOf } from '../test/support/memory-datapath.js';
import { metricsBed } from '../test/support/metrics-bed.js';
import {
  ETHERTYPE,
  ethernet,
  frameOf,
  fromHex,
  ipv4,
  mac,
  PROTOCOL,
  TCP_FLAGS,
  tcp,
  tcpFrame,
} from '../test/support/packets.js';
import { type Metrics, MetricsServer } from './metrics.js';
import { effectiveWeight } from './reconcile/image.js';
import type { Reconciler } from './reconcile/reconciler.js';

const VIP = '192.0.2.1';
/** An ICMP echo request (RFC 792), id and number 0. */
const icmpEcho = (dst: string) =>
  frameOf(ipv4({ src: '198.51.100.7', dst, protocol: PROTOCOL.icmp }, fromHex('0800f7ff00000000')));
let datapath: MemoryDatapath;
let reconciler: Reconciler;
let metrics: Metrics;
let server: MetricsServer;

const scrape = async (path = '/metrics') => {
  if (server.address.kind !== 'tcp') throw new Error('not TCP');
  return fetch(`http://127.0.0.1:${server.address.port}${path}`);
};
/** Series of the project's own metrics: name and labels → value. */
async function series(): Promise<Map<string, number>> {
  const text = await (await scrape()).text();
  const lines = text.split('\n').filter((line) => line.startsWith('waggle_'));
  return new Map(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(' ')),
      Number(line.slice(line.lastIndexOf(' ') + 1)),
    ]),
  );
}

beforeEach(async () => {
  ({ datapath, reconciler, metrics } = metricsBed());
  server = await MetricsServer.start({ kind: 'tcp', host: '127.0.0.1', port: 0 }, metrics);
  await reconciler.change(createPool());
  await reconciler.change(createBackend({ weight: 4 }));
  await reconciler.change(createVip({ address: VIP }));
});
afterEach(() => server.stop());

it('what the tables count is there under names with units', async () => {
  const ends = { src: '198.51.100.7', dst: VIP, sport: 1000, dport: 80 };
  const packet = ipv4({ src: ends.src, dst: VIP, protocol: PROTOCOL.tcp }, tcp(ends, TCP_FLAGS.syn));
  const frame = ethernet(mac('02:00:00:00:00:01'), mac('02:00:00:00:00:02'), ETHERTYPE.ipv4, packet);
  for (let i = 0; i < 3; i++) datapath.run(frame);
  const fragment = ipv4(
    { src: ends.src, dst: VIP, protocol: PROTOCOL.tcp, fragment: 0x2000 },
    tcp(ends, TCP_FLAGS.ack),
  );
  datapath.run(ethernet(mac('02:00:00:00:00:01'), mac('02:00:00:00:00:02'), ETHERTYPE.ipv4, fragment));
  const found = await series();
  const expected: Record<string, number> = {
    'waggle_vip_packets_total{vip="web"}': 3,
    'waggle_vip_bytes_total{vip="web"}': 3 * packet.length,
    'waggle_vip_new_connections_total{vip="web"}': 3,
    'waggle_backend_new_connections_total{pool="web",backend="a"}': 3,
    'waggle_backend_packets_total{pool="web",backend="a"}': 3,
    'waggle_backend_bytes_total{pool="web",backend="a"}': 3 * packet.length,
    'waggle_drops_total{vip="",reason="fragment"}': 1,
    'waggle_connections_tracked{pool="web",backend="a"}': 1,
    waggle_connection_lookups_total: 3,
    'waggle_connection_misses_total{kind="syn"}': 3,
    waggle_config_revision: 3,
    waggle_config_active_revision: 3,
    'waggle_backend_weight{pool="web",backend="a"}': 4,
    'waggle_backend_ring_share_ratio{pool="web",backend="a"}': 1,
    'waggle_worker_received_frames_total{worker="0"}': 10,
    'waggle_worker_frames_total{worker="1",outcome="transmitted"}': 9,
    'waggle_worker_up{worker="0"}': 1,
    'waggle_worker_restarts_total{worker="0"}': 0,
    'waggle_info{version="1.2.3"}': 1,
    waggle_start_time_seconds: 5,
  };
  for (const [name, value] of Object.entries(expected))
    expect([name, found.get(name)]).toEqual([name, value]);
});

/** Set a row of one of the balancer's maps of counters, on the first worker: words of eight bytes. */
function count(map: string, index: number, words: readonly number[]): void {
  const copies = new Uint8Array(datapath.replay.maps.get(map)?.valueBytes ?? 0);
  for (const [i, word] of words.entries())
    new DataView(copies.buffer).setBigUint64(8 * i, BigInt(word), true);
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, index, true);
  expect(datapath.replay.maps.get(map)?.update(key, copies)).toBe(0);
}

it('what the program counts besides has series of its own', async () => {
  // Slots of programs/include/consts.h; fields of structs.h in their order.
  count('stats', 512, [10, 4]);
  count('stats', 512 + 4, [1, 2]);
  count('stats', 512 + 11, [5, 3]);
  count('stats', 512 + 12, [6, 7]);
  count('stats', 512 + 13, [8, 9]);
  count('stats', 512 + 17, [21, 2100]);
  count('quic_stats_map', 0, [1, 2, 3, 999, 5, 6, 0, 8, 9, 10, 11, 12, 13]);
  count('tpr_stats_map', 0, [1, 2, 3, 4]);
  count('stable_rt_stats', 0, [1, 2, 3, 4, 5]);
  count('server_id_stats', 0, [6, 7]);
  const found = await series();
  const expected: Record<string, number> = {
    waggle_connection_ring_choices_total: 4,
    'waggle_too_big_sent_total{family="ipv4"}': 1,
    'waggle_too_big_sent_total{family="ipv6"}': 2,
    'waggle_quic_icmp_errors_total{kind="ignorable"}': 3,
    'waggle_quic_icmp_errors_total{kind="other"}': 2,
    'waggle_too_big_received_total{family="ipv6"}': 6,
    'waggle_too_big_small_mtu_total{family="ipv4"}': 9,
    'waggle_program_frames_total{worker="0",verdict="tx"}': 21,
    'waggle_program_frame_bytes_total{worker="0",verdict="tx"}': 2100,
    'waggle_quic_packets_total{result="no_server_id"}': 1,
    'waggle_quic_packets_total{result="initial"}': 2,
    'waggle_quic_packets_total{result="routed"}': 5,
    'waggle_quic_packets_total{result="unknown_backend"}': 6,
    'waggle_quic_server_ids_total{version="1"}': 8,
    waggle_quic_unmapped_server_ids_total: 3,
    'waggle_quic_connection_checks_total{result="mismatch"}': 12,
    'waggle_tcp_server_id_packets_total{result="routed"}': 3,
    'waggle_tcp_server_id_packets_total{result="syn"}': 4,
    waggle_tcp_server_id_mismatches_total: 2,
    'waggle_udp_server_id_packets_total{result="routed"}': 2,
    waggle_udp_without_header_total: 5,
    'waggle_vip_without_server_id_packets_total{vip="web"}': 6,
    'waggle_vip_server_id_mismatches_total{vip="web"}': 7,
    'waggle_map_entries{map="vip_map"}': 1,
    'waggle_map_entries{map="reals"}': 1,
    'waggle_map_max_entries{map="vip_map"}': 512,
  };
  for (const [name, value] of Object.entries(expected))
    expect([name, found.get(name)]).toEqual([name, value]);
  // A VIP or a reason that has no packets has no series.
  expect([...found.keys()].filter((name) => /vip_tunnel|_drops_|_passes_|_answers_/.test(name))).toEqual([]);
});

it('each reason is in the family of what became of the packet', async () => {
  const ends = { src: '198.51.100.7', dst: '203.0.113.9', sport: 1000, dport: 80 };
  datapath.run(tcpFrame(ends));
  datapath.run(icmpEcho(VIP));
  const found = await series();
  expect(found.get('waggle_passes_total{vip="",reason="no_vip"}')).toBe(1);
  expect(found.get('waggle_answers_total{vip="",reason="echo_reply"}')).toBe(1);
});

it('a scrape counts nothing twice', async () => {
  const once = await series();
  expect(await series()).toEqual(once);
});

it('series go with their resource', async () => {
  await reconciler.change({ kind: 'delete-pool', name: 'pools/web', etag: '', force: true });
  const names = [...(await series()).keys()];
  expect(names.filter((name) => /vip="web"|backend="a"/.test(name))).toEqual([]);
  expect(names).toContain('waggle_config_revision');
});

it('a backend that drains shows weight 0', async () => {
  await reconciler.change({ kind: 'drain-backend', name: 'pools/web/backends/a', etag: '' });
  expect((await series()).get('waggle_backend_weight{pool="web",backend="a"}')).toBe(0);
  const backend = reconciler.store.state.backends.get('pools/web/backends/a');
  expect(backend && effectiveWeight(backend, macOf(backend.address))).toBe(0);
  expect(backend && formatIp(backend.address)).toBe('10.0.0.1');
});

it('calls of the API are in a histogram by method and status', async () => {
  metrics.observeRpc('GetVip', 'NOT_FOUND', 0.003);
  const found = await series();
  expect(found.get('waggle_rpc_duration_seconds_count{method="GetVip",status="NOT_FOUND"}')).toBe(1);
  expect(
    found.get('waggle_rpc_duration_seconds_bucket{le="0.0025",method="GetVip",status="NOT_FOUND"}'),
  ).toBe(0);
  expect(found.get('waggle_rpc_duration_seconds_bucket{le="0.005",method="GetVip",status="NOT_FOUND"}')).toBe(
    1,
  );
});

/** Prometheus has base units alone; these are what else people write. */
const OTHER_UNITS =
  /_(ms|milliseconds|us|microseconds|ns|nanoseconds|minutes|hours|days|kb|kilobytes|mb|bits|percent)(_|$)/;
const OWN_SUFFIXES = /_(count|sum|bucket)$/;

it('names follow the rules of Prometheus', async () => {
  const text = await (await scrape()).text();
  const printed = [...text.matchAll(/^# TYPE (waggle_\S+) (\S+)$/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  expect(printed.sort()).toEqual(metrics.families.map(({ name, type }) => `${name} ${type}`).sort());
  for (const { name, type, help, labelNames } of metrics.families) {
    expect(name).toMatch(/^waggle(_[a-z]+)+$/);
    expect(name).not.toMatch(OTHER_UNITS);
    expect(name).not.toMatch(OWN_SUFFIXES);
    // Counters end in _total, and nothing else does; what is measured in time says so.
    expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
    if (type === 'histogram') expect(name).toMatch(/_seconds$/);
    if (name.includes('timestamp')) expect(name).toMatch(/_timestamp_seconds$/);
    expect(help).toMatch(/^[A-Z0-9].*\.$/);
    for (const label of labelNames) {
      expect(label).toMatch(/^[a-z]+(_[a-z]+)*$/);
      // A label is not said twice, nor does it hide one of Prometheus' own.
      expect(['le', 'quantile', 'job', 'instance']).not.toContain(label);
      expect(name.split('_')).not.toContain(`by${label}`);
    }
  }
});

it('GET /metrics is all that is served', async () => {
  const answer = await scrape();
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  expect((await scrape('/')).status).toBe(404);
});

it('a port in use is one clear error', async () => {
  await expect(MetricsServer.start(server.address, metrics)).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
});
