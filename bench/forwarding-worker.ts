// Our side of the forwarding benchmark, in the namespace of the interface: `forwarding-worker INTERFACE swap|balancer
// af_packet|af_xdp`.
// Prints "ready", forwards until a SIGTERM, and then prints what it counted as one line of JSON.
import { setFlagsFromString } from 'node:v8';
import { balancerObject } from '../lb/balancer/object.js';
import { RING_SIZE } from '../lb/balancer/schema.js';
import { exactVipBytes } from '../lb/balancer/vip-key.js';
import { decodeProgram } from '../lb/bpf/isa/codec.js';
import { compileProgram } from '../lb/bpf/jit/compile.js';
import { ArenaMaps, mapBytes } from '../lb/bpf/maps/registry.js';
import { Arena } from '../lb/bpf/memory/arena.js';
import { checkStructure } from '../lb/bpf/verifier/structural.js';
import { Datapath } from '../lb/datapath.js';
import { AfPacketEngine } from '../lb/engine/af-packet.js';
import { AfXdpEngine } from '../lb/engine/af-xdp.js';
import {
  findEngineLink,
  WORKER_ENGINES,
  type WorkerEngine,
  type WorkerEngineName,
} from '../lb/engine/engine.js';
import { Steering } from '../lb/engine/steering.js';
import { parseIp, parseMac } from '../lb/net/address.js';
import { steerObject } from '../lb/steer-object.js';
import type { PoolLog, WorkerStatus } from '../lb/worker/pool.js';
import { BACKEND, BACKEND_MAC, VIP, VIP_PORT, type WorkerReport } from './forwarding-traffic.js';
import { swapProgram } from './swap-program.js';

/** What a running contender can be asked. */
interface Running {
  workers(): WorkerStatus[];
  /** Packets whose backend did not come out of the connection table. */
  misses(): bigint;
  stop(): Promise<void>;
}

const log: PoolLog = (level, message, fields) => console.error(level, message, JSON.stringify(fields));

/** The pump and the pool of the appliance around a program that does next to nothing. */
async function startSwap(device: string, engineName: WorkerEngineName): Promise<Running> {
  const link = findEngineLink(device);
  const xdpPlan = engineName === 'af_xdp' ? AfXdpEngine.plan(link, 1, log) : undefined;
  const { workers, ringsBytes } = xdpPlan ?? AfPacketEngine.plan(link, 1);
  const steered = steerObject(balancerObject());
  const vips = steered.maps.find(({ name }) => name === 'vip_map');
  if (!vips) throw new Error('nothing to steer by');
  const mapsBytes = mapBytes(vips, workers + 1);
  const arena = Arena.create({ workers, mapsBytes, ringsBytes });
  const instructions = decodeProgram(swapProgram());
  checkStructure(instructions);
  // As the datapath compiles its own.
  setFlagsFromString('--no-liftoff');
  setFlagsFromString('--no-wasm-lazy-compilation');
  const program = { entry: new WebAssembly.Module(compileProgram(instructions, []).wasm), targets: [] };
  const common = { arena, link, program, recover: () => {}, log };
  if (!xdpPlan) return running(await AfPacketEngine.start({ ...common, workers }));
  const steering = Steering.load(steered);
  const mirrored = steering.mirror(new Map([[vips.name, new ArenaMaps(arena).createMap(vips)]]));
  const vip = exactVipBytes({ address: parseIp(VIP), port: VIP_PORT, protocol: 'tcp' });
  mirrored.get(vips.name)?.update(vip, new Uint8Array(vips.valueSize));
  return running(await AfXdpEngine.start({ ...common, plan: xdpPlan, steering }));
}

function running(engine: WorkerEngine): Running {
  return { workers: () => engine.workers(), misses: () => 0n, stop: () => engine.stop() };
}

async function startBalancer(device: string, engine: WorkerEngineName): Promise<Running> {
  const datapath = await Datapath.start({
    interface: device,
    engine,
    workers: 1,
    connectionTableEntries: 2 ** 20,
    log,
  });
  const { tables } = datapath;
  tables.putReal(1, parseIp(BACKEND));
  tables.putNextHop(1, parseMac(BACKEND_MAC));
  tables.putRing(0, new Uint32Array(RING_SIZE).fill(1));
  tables.putVipRing(0, 0);
  tables.putVip({ address: parseIp(VIP), port: VIP_PORT, protocol: 'tcp' }, { flags: 0, number: 0 });
  return {
    workers: () => datapath.workers(),
    misses: () => tables.counters().lru.v2,
    stop: () => datapath.stop(),
  };
}

const [device, kind, name] = process.argv.slice(2);
const engineName = WORKER_ENGINES.find((known) => known === name);
if (device === undefined || engineName === undefined || (kind !== 'swap' && kind !== 'balancer')) {
  console.error('usage: forwarding-worker INTERFACE swap|balancer af_packet|af_xdp');
  process.exit(2);
}
const contender = await (kind === 'swap' ? startSwap(device, engineName) : startBalancer(device, engineName));
// Without this nothing but the worker's thread would keep the process.
const alive = setInterval(() => {}, 2 ** 30);
process.once('SIGTERM', async () => {
  const [status] = contender.workers();
  const report: WorkerReport = {
    counters: Object.fromEntries(
      Object.entries(status?.counters ?? {}).map(([name, value]) => [name, Number(value)]),
    ),
    misses: Number(contender.misses()),
  };
  await contender.stop();
  console.log(JSON.stringify(report));
  clearInterval(alive);
});
console.log('ready');
