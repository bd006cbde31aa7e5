// Our side of the forwarding benchmark, in the namespace of the interface: `forwarding-worker INTERFACE swap|balancer`.
// Prints "ready", forwards until a SIGTERM, and then prints what it counted as one line of JSON.
import { setFlagsFromString } from 'node:v8';
import { RING_SIZE } from '../lb/balancer/schema.js';
import { XDP_ABORTED, XDP_TX } from '../lb/bpf/engine/context.js';
import { decodeProgram, encodeProgram } from '../lb/bpf/isa/codec.js';
import type { Instruction } from '../lb/bpf/isa/instruction.js';
import { compileProgram } from '../lb/bpf/jit/compile.js';
import { Arena } from '../lb/bpf/memory/arena.js';
import { checkStructure } from '../lb/bpf/verifier/structural.js';
import { Datapath } from '../lb/datapath.js';
import { AfPacketEngine } from '../lb/engine/af-packet.js';
import { parseIp, parseMac } from '../lb/net/address.js';
import type { PoolLog, WorkerStatus } from '../lb/worker/pool.js';
import { BACKEND, BACKEND_MAC, VIP, VIP_PORT, type WorkerReport } from './forwarding-traffic.js';

/** What a running contender can be asked. */
interface Running {
  workers(): WorkerStatus[];
  /** Packets whose backend did not come out of the connection table. */
  misses(): bigint;
  stop(): Promise<void>;
}

const log: PoolLog = (level, message, fields) => console.error(level, message, JSON.stringify(fields));

/** r1: the context. Swaps the two MAC addresses word by word (6 + 6 bytes) and sends the frame back. */
function swapProgram(): Instruction[] {
  const reg = (r: number) => ({ kind: 'reg', reg: r }) as const;
  const imm = (value: number) => ({ kind: 'imm', value }) as const;
  const load = (slot: number, bytes: 2 | 4, dst: number, src: number, off: number): Instruction => ({
    slot,
    kind: 'load',
    bytes,
    signed: false,
    dst,
    src,
    off,
  });
  const store = (slot: number, bytes: 2 | 4, off: number, src: number): Instruction => ({
    slot,
    kind: 'store',
    bytes,
    dst: 2,
    off,
    src: reg(src),
  });
  const ETHERNET_BYTES = 14;
  return [
    load(0, 4, 2, 1, 0),
    load(1, 4, 3, 1, 4),
    { slot: 2, kind: 'alu', op: 'mov', width: 64, dst: 0, src: imm(XDP_ABORTED) },
    { slot: 3, kind: 'alu', op: 'mov', width: 64, dst: 4, src: reg(2) },
    { slot: 4, kind: 'alu', op: 'add', width: 64, dst: 4, src: imm(ETHERNET_BYTES) },
    { slot: 5, kind: 'branch', op: 'jgt', width: 64, dst: 4, src: reg(3), target: 15 },
    load(6, 4, 4, 2, 0),
    load(7, 2, 5, 2, 4),
    load(8, 4, 6, 2, 6),
    load(9, 2, 7, 2, 10),
    store(10, 4, 0, 6),
    store(11, 2, 4, 7),
    store(12, 4, 6, 4),
    store(13, 2, 10, 5),
    { slot: 14, kind: 'alu', op: 'mov', width: 64, dst: 0, src: imm(XDP_TX) },
    { slot: 15, kind: 'exit' },
  ];
}

/** The pump and the pool of the appliance around a program that does next to nothing. */
async function startSwap(device: string): Promise<Running> {
  const workers = 1;
  const link = AfPacketEngine.findLink(device);
  const arena = Arena.create({ workers, mapsBytes: 0, ringsBytes: AfPacketEngine.ringsBytes(link, workers) });
  // Through the bytes and back: what the codec reads is what an object file would hold.
  const instructions = decodeProgram(encodeProgram(swapProgram()));
  checkStructure(instructions);
  // As the datapath compiles its own.
  setFlagsFromString('--no-liftoff');
  setFlagsFromString('--no-wasm-lazy-compilation');
  const program = { entry: new WebAssembly.Module(compileProgram(instructions, []).wasm), targets: [] };
  const engine = await AfPacketEngine.start({ arena, link, workers, program, recover: () => {}, log });
  return { workers: () => engine.workers(), misses: () => 0n, stop: () => engine.stop() };
}

async function startBalancer(device: string): Promise<Running> {
  const datapath = await Datapath.start({
    interface: device,
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

const [device, kind] = process.argv.slice(2);
if (device === undefined || (kind !== 'swap' && kind !== 'balancer')) {
  console.error('usage: forwarding-worker INTERFACE swap|balancer');
  process.exit(2);
}
const running = await (kind === 'swap' ? startSwap(device) : startBalancer(device));
// Without this nothing but the worker's thread would keep the process.
const alive = setInterval(() => {}, 2 ** 30);
process.once('SIGTERM', async () => {
  const [status] = running.workers();
  const report: WorkerReport = {
    counters: Object.fromEntries(
      Object.entries(status?.counters ?? {}).map(([name, value]) => [name, Number(value)]),
    ),
    misses: Number(running.misses()),
  };
  await running.stop();
  console.log(JSON.stringify(report));
  clearInterval(alive);
});
console.log('ready');
