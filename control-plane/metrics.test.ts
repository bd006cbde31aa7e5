import { afterEach, beforeEach, expect, it } from 'vitest';
import { formatIp, parseIp } from '../lb/index.js';
import { MemoryDatapath, macOf } from '../test/support/memory-datapath.js';
import { ETHERTYPE, ethernet, ipv4, mac, PROTOCOL, TCP_FLAGS, tcp } from '../test/support/packets.js';
import { createMetrics, type Metrics, MetricsServer } from './metrics.js';
import { effectiveWeight } from './reconcile/image.js';
import { Reconciler } from './reconcile/reconciler.js';
import { Store } from './state/store.js';

const VIP = '192.0.2.1';
let datapath: MemoryDatapath;
let reconciler: Reconciler;
let metrics: Metrics;
let server: MetricsServer;

const hop = (key: string) => ({ state: 'resolved', mac: macOf(parseIp(key)), reason: '' }) as const;
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
  datapath = new MemoryDatapath();
  const nextHops = { mac: (key: string) => hop(key).mac, watch: async () => undefined };
  const store = new Store({ nowMs: () => 0, epoch: 'e' });
  reconciler = new Reconciler({
    store,
    datapath,
    nextHops,
    log: () => undefined,
    nowMs: () => performance.now(),
  });
  metrics = createMetrics({
    reconciler,
    datapath,
    nextHop: hop,
    log: () => undefined,
    version: '1.2.3',
    startTimeMs: 5000,
  });
  server = await MetricsServer.start({ kind: 'tcp', host: '127.0.0.1', port: 0 }, metrics);
  await reconciler.change({ kind: 'create-pool', id: 'web', displayName: '' });
  await reconciler.change({
    kind: 'create-backend',
    pool: 'pools/web',
    id: 'a',
    address: '10.0.0.1',
    weight: 4,
  });
  await reconciler.change({
    kind: 'create-vip',
    id: 'web',
    displayName: '',
    address: VIP,
    port: 80,
    protocol: 'tcp',
    pool: 'pools/web',
  });
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

it('names follow the rules of Prometheus', async () => {
  const text = await (await scrape()).text();
  const families = [...text.matchAll(/^# TYPE (waggle_\S+) (\S+)$/gm)].map(([, name = '', type = '']) => ({
    name,
    type,
  }));
  expect(families.length).toBeGreaterThan(15);
  for (const { name, type } of families) {
    expect(name).toMatch(/^[a-z][a-z_]*$/);
    // Counters end in _total, and nothing else does.
    expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
    expect(text).toMatch(new RegExp(`^# HELP ${name} \\S`, 'm'));
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
