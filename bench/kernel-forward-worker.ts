// Parts of the benchmark of forwarding in the kernel, each in the namespace of its interface:
//   kernel-forward-worker INTERFACE ours     the datapath of `waggle up --engine xdp`
//   kernel-forward-worker INTERFACE plain    the same object, loaded by iproute2 (libbpf) as it is in the file
//   kernel-forward-worker INTERFACE drop     the far end: takes frames, and drops them
//   kernel-forward-worker INTERFACE pass     the far end: takes frames, and hands them to the stack
//   kernel-forward-worker INTERFACE swap     frames go back with their MAC addresses swapped, and nothing else is done
// Prints "ready", and ends by a SIGTERM with what it counted as one line of JSON.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { balancerObject } from '../lb/balancer/object.js';
import { RING_SIZE } from '../lb/balancer/schema.js';
import { BalancerTables } from '../lb/balancer/tables.js';
import { KernelDatapath } from '../lb/kernel-datapath.js';
import { parseIp, parseMac } from '../lb/net/address.js';
import { KernelMap, KernelMaps, kernelMapInfo, loadKernelProgram, possibleCpus } from '../lb/sys/bpf.js';
import { openById, programMapIds } from '../lb/sys/bpf-info.js';
import { findLink } from '../lb/sys/socket.js';
import { closeFd } from '../lb/sys/syscall.js';
import { BACKEND, BACKEND_MAC, VIP, VIP_PORT, type WorkerReport } from './forwarding-traffic.js';
import { swapProgram } from './swap-program.js';

const CONNECTIONS = 2 ** 20;
const OBJECT = fileURLToPath(new URL('../programs/build/balancer.bpf.o', import.meta.url));
/** r0 = XDP_DROP; exit, and the same with XDP_PASS. */
const DROP = new Uint8Array(Buffer.from('b7000000010000009500000000000000', 'hex'));
const PASS = new Uint8Array(Buffer.from('b7000000020000009500000000000000', 'hex'));

/** What runs on the interface. */
interface Running {
  readonly tables: BalancerTables | undefined;
  stop(): Promise<void> | void;
}

function fill(tables: BalancerTables): void {
  tables.putReal(1, parseIp(BACKEND));
  tables.putNextHop(1, parseMac(BACKEND_MAC));
  tables.putRing(0, new Uint32Array(RING_SIZE).fill(1));
  tables.putVipRing(0, 0);
  tables.putVip({ address: parseIp(VIP), port: VIP_PORT, protocol: 'tcp' }, { flags: 0, number: 0 });
}

async function startOurs(device: string): Promise<Running> {
  const datapath = await KernelDatapath.start({
    interface: device,
    connectionTableEntries: CONNECTIONS,
    log: (level, message) => console.error(level, message),
  });
  fill(datapath.tables);
  return { tables: datapath.tables, stop: () => datapath.stop() };
}

/** Nothing of ours but what is written to the maps, found by the number of the program that runs on the interface. */
function startPlain(device: string): Running {
  const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' });
  ip('link', 'set', 'dev', device, 'xdpdrv', 'obj', OBJECT, 'sec', 'xdp');
  const [link] = JSON.parse(ip('-j', 'link', 'show', 'dev', device)) as {
    xdp?: { prog?: { id?: number } };
  }[];
  const program = openById('PROG_GET_FD_BY_ID', link?.xdp?.prog?.id ?? 0, 'the program that ip loaded');
  const specs = new Map(balancerObject().maps.map((spec) => [spec.name.slice(0, 15), spec]));
  const maps = new Map<string, KernelMap>();
  for (const id of programMapIds(program, 'the program that ip loaded')) {
    const fd = openById('MAP_GET_FD_BY_ID', id, `map ${id}`);
    const { name, maxEntries } = kernelMapInfo(fd, `map ${id}`);
    const spec = specs.get(name);
    if (spec === undefined) closeFd(fd);
    else maps.set(spec.name, new KernelMap({ ...spec, maxEntries }, fd));
  }
  closeFd(program);
  const host = new KernelMaps();
  // What an option rules out is not among the program's maps.
  for (const spec of specs.values()) if (!maps.has(spec.name)) maps.set(spec.name, host.createMap(spec));
  const tables = new BalancerTables(maps, { host });
  tables.attachConnectionTables(host, possibleCpus(), CONNECTIONS);
  fill(tables);
  return { tables, stop: () => void ip('link', 'set', 'dev', device, 'xdpdrv', 'off') };
}

const startSmall =
  (name: string, code: Uint8Array) =>
  (device: string): Running => {
    const spec = { name, section: 'xdp', type: 'xdp', code, lines: [] } as const;
    const program = loadKernelProgram({ ...spec, functions: [{ name, start: 0 }] }, [], 'GPL');
    const link = program.attachXdp(findLink(device)?.index ?? 0, 'native');
    return { tables: undefined, stop: () => link.close() };
  };

const KINDS: Readonly<Record<string, (device: string) => Running | Promise<Running>>> = {
  ours: startOurs,
  plain: startPlain,
  drop: startSmall('drop', DROP),
  pass: startSmall('pass', PASS),
  swap: startSmall('swap', swapProgram()),
};

const [device, kind = ''] = process.argv.slice(2);
const start = KINDS[kind];
if (device === undefined || start === undefined) {
  console.error(`usage: kernel-forward-worker INTERFACE ${Object.keys(KINDS).join('|')}`);
  process.exit(2);
}
const running = await start(device);
const alive = setInterval(() => {}, 2 ** 30);
process.once('SIGTERM', async () => {
  const counters = running.tables?.counters();
  const report: WorkerReport = {
    counters: {
      received: Number(counters?.xdp_total.v1 ?? 0),
      transmitted: Number(counters?.xdp_tx.v1 ?? 0),
    },
    misses: Number(counters?.lru.v2 ?? 0),
  };
  await running.stop();
  console.log(JSON.stringify(report));
  clearInterval(alive);
});
console.log('ready');
