// `waggle up` on a pair of interfaces of its own, asked for everything that takes a capability; prints what came of it as
// JSON. Arguments: engine. Runs as root in a network namespace of its own.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { credentials } from '@grpc/grpc-js';
import { loadApi } from '../../dist/control-plane/grpc/proto.js';

const [engine] = process.argv.slice(2);
const sh = (command) => execFileSync('sh', ['-c', command], { encoding: 'utf8' });
const folder = mkdtempSync(join(tmpdir(), 'waggle-confined-'));
const socket = join(folder, 'api.sock');

sh(
  'ip link set lo up; ip link add v0 mtu 1600 type veth peer name v1 mtu 1600; ip addr add 10.0.0.1/24 dev v0; ip link set v0 up; ip link set v1 up; ip route add 192.0.2.0/24 via 10.0.0.9; ethtool -K v0 gro on',
);
const offloads = () => sh('ethtool -k v0 | grep generic-receive-offload');
const before = offloads();
const WAGGLE = fileURLToPath(new URL('../../dist/control-plane/cli/main.js', import.meta.url));
const flags = ['--interface', 'v0', '--engine', engine, '--listen', `unix:${socket}`];
const up = spawn(
  process.execPath,
  [WAGGLE, 'up', ...flags, '--workers', '2', '--connections', '4096', '--state', join(folder, 'state')],
  { stdio: ['ignore', 'inherit', 'pipe'] },
);
let log = '';
up.stderr.on('data', (chunk) => {
  log += chunk;
});
const ended = new Promise((resolve) => up.once('exit', resolve));
const isReady = () => log.includes('"msg":"ready"');
while (!isReady() && up.exitCode === null) await delay(20);
if (!existsSync(socket)) throw new Error(log);

const { v1 } = loadApi();
const failed = [];
const ask = (service, method, request) =>
  new Promise((resolve) => {
    const client = new v1[service](`unix:${socket}`, credentials.createInsecure());
    client[method](request, { deadline: Date.now() + 5000 }, (error, response) => {
      if (error) failed.push(`${method}: ${error.details}`);
      client.close();
      resolve(response);
    });
  });
// Once it has answered, it has given up what it does not need.
await ask('NodeService', 'GetNode', { name: 'nodes/self' });
await delay(100);
const threads = readdirSync(`/proc/${up.pid}/task`).map((tid) => {
  const text = readFileSync(`/proc/${up.pid}/task/${tid}/status`, 'utf8');
  return ['CapPrm', 'CapEff', 'CapBnd']
    .map((name) => new RegExp(`^${name}:\\s*(\\w+)$`, 'm').exec(text)[1])
    .join();
});

const timeout = { nanos: 200_000_000 };
const checks = { ping: { icmp: {}, timeout }, tunnel: { tcp: {}, path: 'PATH_TUNNEL', timeout } };
for (const [healthCheckId, healthCheck] of Object.entries(checks))
  await ask('HealthCheckService', 'CreateHealthCheck', { healthCheckId, healthCheck });
const healthChecks = Object.keys(checks).map((id) => `healthChecks/${id}`);
await ask('PoolService', 'CreatePool', { pool: { healthChecks }, poolId: 'web' });
const backend = { address: '10.0.0.9' };
await ask('PoolService', 'CreateBackend', { parent: 'pools/web', backendId: 'b1', backend });
const vip = { address: '192.0.2.1', port: 80, protocol: 'PROTOCOL_TCP', pool: 'pools/web' };
await ask('VipService', 'CreateVip', { vipId: 'web', vip });
const isGuarded = sh('nft list ruleset').includes('192.0.2.1');
const probed = await ask('HealthCheckService', 'ProbeBackend', { backend: 'pools/web/backends/b1' });
if (engine !== 'xdp') await ask('NodeService', 'RestartWorker', { name: 'nodes/self', worker: 0 });
const object = readFileSync(new URL('../../dist/programs/build/balancer.bpf.o', import.meta.url));
await ask('BpfService', 'SwapBpfProgram', { object });
const ports = { sourcePort: 5, destinationPort: 80, protocol: 'PROTOCOL_TCP' };
const tuple = { sourceAddress: '10.0.0.5', destinationAddress: '192.0.2.1', ...ports };
await ask('DiagnosticsService', 'SimulateFlow', { tuple });
await ask('BpfService', 'ListBpfMapEntries', { map: 'maps/vip_map' });
up.kill('SIGTERM');
const status = await ended;
const left = {
  nft: sh('nft list ruleset').trim(),
  xdp: /prog\/xdp/.test(sh('ip link show v0')),
  offloads: offloads() === before,
};
rmSync(folder, { recursive: true });
const details = probed?.outcomes.map(({ detail }) => detail) ?? [];
const refused = [...details, log].filter((text) => /EPERM|EACCES/.test(text));
console.log(
  JSON.stringify({
    threads: [...new Set(threads)],
    failed,
    probes: details.length,
    refused,
    isGuarded,
    status,
    left,
  }),
);
