import { Appliance, built, startDecap } from '../demo/appliance.js';
import { readJsonLines, tailOfErrors } from '../demo/lines.js';
import type { LoadResult, LoadSample } from '../demo/load.js';
import { Topology } from '../demo/topology.js';
import { type Comparison, interleave } from './report.js';

const VIP = '192.0.2.80';
const PORT = 80;
const CONNECTIONS = 32;
const REQUESTS_A_CONNECTION = 1000;

/** Requests a second that one client gets from `address`. */
function load(topology: Topology, address: string, seconds: number): Promise<number> {
  const child = topology.spawn(
    'client',
    [
      process.execPath,
      built('demo/load.js'),
      `http://${address}:${PORT}/`,
      ...[seconds, CONNECTIONS, REQUESTS_A_CONNECTION].map(String),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const errors = tailOfErrors(child);
  return new Promise((resolve, reject) => {
    let result: LoadResult | undefined;
    readJsonLines<LoadSample | LoadResult>(
      child,
      (sample) => {
        if ('done' in sample) result = sample;
      },
      () => {},
    );
    child.once('close', () => {
      if (!result) reject(new Error(`the load generator said nothing: ${errors()}`));
      else if (result.failed > 0)
        reject(new Error(`${result.failed} requests to ${address} failed: ${JSON.stringify(result.faults)}`));
      else resolve(result.requestsPerSecond);
    });
  });
}

/** HTTP requests a second through the VIP against the same backend asked directly. */
export async function benchHttp(rounds: number, seconds: number): Promise<Comparison> {
  const topology = new Topology(`waggle-bench-${process.pid}`, [
    { name: 'client', number: 1, mtu: 1500, routes: { [`${VIP}/32`]: 2 } },
    { name: 'lb', number: 2, mtu: 1600 },
    { name: 'a', number: 11, mtu: 1600, loopback: [VIP] },
  ]);
  try {
    const lb = await Appliance.start(topology, 'lb', { workers: 1 });
    try {
      await startDecap(topology, 'a');
      const server = topology.spawn(
        'a',
        [process.execPath, built('demo/backend-server.js'), 'a', String(PORT)],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      await new Promise((resolve) => server.stdout?.once('data', resolve));
      await lb.must('create', 'pool', 'web');
      await lb.must('create', 'backend', 'web/a', '--address', topology.host('a').address4);
      await lb.must(
        'create',
        'vip',
        'web',
        '--address',
        VIP,
        '--port',
        String(PORT),
        '--protocol',
        'tcp',
        '--pool',
        'web',
      );
      const series = await interleave(
        {
          'through the VIP': () => load(topology, VIP, seconds),
          direct: () => load(topology, topology.host('a').address4, seconds),
        },
        rounds,
      );
      return { title: 'HTTP, one backend, keep-alive', unit: 'requests/s', baseline: 'direct', series };
    } finally {
      await lb.stop();
    }
  } finally {
    await topology.stop();
  }
}
