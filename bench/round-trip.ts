import { Appliance, built, startDecap } from '../demo/appliance.js';
import { Topology } from '../demo/topology.js';
import type { RoundTrips } from './ask.js';
import { closedAtExit } from './at-exit.js';
import { type Comparison, interleave, type Series } from './report.js';

/** Each engine has a load balancer and a VIP of its own; all lead to one backend. */
const ENGINES = ['af_packet', 'af_xdp', 'xdp'] as const;
const vipOf = (index: number) => `192.0.2.${80 + index}`;
const LB_NUMBER = 2;
const BACKEND = 'a';
const PORT = 7000;
const ASKS = 1000;
/** Long enough that client, balancer and server sleep between two datagrams, as they do at low load. */
const PAUSE_MS = 1;

/** Have a load balancer send the VIP's datagrams to the backend. */
async function serve(lb: Appliance, vip: string, backend: string): Promise<void> {
  const place = ['--address', vip, '--port', String(PORT), '--protocol', 'udp'];
  await lb.must('create', 'pool', 'echo');
  await lb.must('create', 'backend', `echo/${BACKEND}`, '--address', backend);
  await lb.must('create', 'vip', 'echo', ...place, '--pool', 'echo');
}

/**
 * Round trip of a datagram at low load, through a VIP on each engine and straight to the backend: what the way through
 * the load balancer adds, one way, since the answer goes straight back.
 */
export async function benchRoundTrip(rounds: number): Promise<Comparison[]> {
  const vips = ENGINES.map((_, index) => vipOf(index));
  const topology = closedAtExit(
    new Topology(`waggle-bench-${process.pid}`, [
      {
        name: 'client',
        number: 1,
        mtu: 1500,
        routes: Object.fromEntries(vips.map((vip, index) => [`${vip}/32`, LB_NUMBER + index])),
      },
      ...ENGINES.map((engine, index) => ({
        name: engine,
        number: LB_NUMBER + index,
        mtu: 1600,
        sendsByXdp: engine === 'xdp',
      })),
      { name: BACKEND, number: 11, mtu: 1600, loopback: vips },
    ]),
  );
  const appliances: Appliance[] = [];
  try {
    const direct = topology.host(BACKEND).address4;
    await startDecap(topology, BACKEND);
    const echo = topology.spawn(
      BACKEND,
      [process.execPath, built('bench/echo.js'), String(PORT), ...vips, direct],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise((resolve) => echo.stdout?.once('data', resolve));
    for (const [index, engine] of ENGINES.entries()) {
      const lb = await Appliance.start(topology, engine, { workers: 1, flags: ['--engine', engine] });
      appliances.push(lb);
      await serve(lb, vipOf(index), direct);
    }
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
    const ways = [
      ...ENGINES.map((engine, index) => [`through the VIP, ${engine}`, vipOf(index)] as const),
      ['direct', direct] as const,
    ];
    const series = await interleave(
      Object.fromEntries(ways.map(([name, address]) => [name, ask(name, address)])),
      rounds,
    );
    const slow: Series[] = [...p99].map(([name, values]) => ({ name, rounds: values }));
    return [
      { title: 'Round trip of a datagram at low load, median', unit: 'µs', baseline: 'direct', series },
      {
        title: 'Round trip of a datagram at low load, 99th percentile',
        unit: 'µs',
        baseline: 'direct',
        series: slow,
      },
    ];
  } finally {
    for (const lb of appliances) await lb.stop();
    await topology.stop();
  }
}
