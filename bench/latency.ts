import { Appliance, built, startDecap } from '../demo/appliance.js';
import { Topology } from '../demo/topology.js';
import type { RoundTrips } from './ask.js';
import { type Comparison, interleave, type Series } from './report.js';

const VIP = '192.0.2.80';
const PORT = 7000;
const ASKS = 1000;
/** Long enough that client, balancer and server sleep between two datagrams, as they do at low load. */
const PAUSE_MS = 1;

/**
 * Round trip of a datagram at low load, through the VIP and straight to the backend: what the way through the load
 * balancer adds, one way, since the answer goes straight back.
 */
export async function benchLatency(rounds: number): Promise<Comparison[]> {
  const topology = new Topology(`waggle-bench-${process.pid}`, [
    { name: 'client', number: 1, mtu: 1500, routes: { [`${VIP}/32`]: 2 } },
    { name: 'lb', number: 2, mtu: 1600 },
    { name: 'a', number: 11, mtu: 1600, loopback: [VIP] },
  ]);
  try {
    const lb = await Appliance.start(topology, 'lb', { workers: 1 });
    try {
      const direct = topology.host('a').address4;
      await startDecap(topology, 'a');
      const echo = topology.spawn(
        'a',
        [process.execPath, built('bench/echo.js'), String(PORT), VIP, direct],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      await new Promise((resolve) => echo.stdout?.once('data', resolve));
      await lb.must('create', 'pool', 'echo');
      await lb.must('create', 'backend', 'echo/a', '--address', direct);
      await lb.must(
        'create',
        'vip',
        'echo',
        '--address',
        VIP,
        '--port',
        String(PORT),
        '--protocol',
        'udp',
        '--pool',
        'echo',
      );
      const p99 = new Map<string, number[]>();
      const ask = (name: string, address: string) => async () => {
        const command = [
          process.execPath,
          built('bench/ask.js'),
          address,
          ...[PORT, ASKS, PAUSE_MS].map(String),
        ];
        const trips = JSON.parse(topology.run('client', command)) as RoundTrips;
        if (trips.lost > 0) throw new Error(`${trips.lost} datagrams to ${address} had no answer`);
        p99.set(name, [...(p99.get(name) ?? []), trips.p99]);
        return trips.p50;
      };
      const names = { 'through the VIP': VIP, direct };
      const series = await interleave(
        Object.fromEntries(Object.entries(names).map(([name, address]) => [name, ask(name, address)])),
        rounds,
      );
      const slow: Series[] = [...p99].map(([name, values]) => ({ name, rounds: values }));
      return [
        { title: 'Round trip of a datagram at low load, median', unit: 'µs', baseline: 'direct', series },
        { title: 'The same, 99th percentile', unit: 'µs', baseline: 'direct', series: slow },
      ];
    } finally {
      await lb.stop();
    }
  } finally {
    await topology.stop();
  }
}
