import { buildRing } from '../control-plane/maglev/ring.js';
import { objectBytes, withOptions } from '../lb/balancer/object.js';
import { RING_SIZE, VIP_FLAGS } from '../lb/balancer/schema.js';
import { BalancerTables } from '../lb/balancer/tables.js';
import { XDP_PASS, XDP_TX } from '../lb/bpf/engine/context.js';
import { interpret } from '../lb/bpf/engine/interpreter.js';
import { decodeProgram } from '../lb/bpf/isa/codec.js';
import { compileProgram, instantiateProgram } from '../lb/bpf/jit/compile.js';
import type { BpfMap, MapHost, MapSpec } from '../lb/bpf/maps/map.js';
import { ArenaMaps, mapBytes } from '../lb/bpf/maps/registry.js';
import { instantiateRuntime } from '../lb/bpf/maps/runtime.js';
import { Arena } from '../lb/bpf/memory/arena.js';
import {
  CPU_CLOCK_NS,
  CPU_XDP_MD,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
} from '../lb/bpf/memory/layout.js';
import { createMaps } from '../lb/bpf/object/create-maps.js';
import { loadObject } from '../lb/bpf/object/load.js';
import type { ObjectSpec, ProgramSpec } from '../lb/bpf/object/spec.js';
import { parseIp, parseMac } from '../lb/net/address.js';
import { KernelMaps, loadKernelProgram, possibleCpus } from '../lb/sys/bpf.js';
import { clientFrame, type Ends, quicShortHeader, unreachableFrame } from './frames.js';
import { type Comparison, interleave } from './report.js';

const VIP = parseIp('192.0.2.80');
const NOT_A_VIP = parseIp('192.0.2.81');
const VIP_6 = parseIp('2001:db8::80');
const PORTS = { web: 80, dns: 53, quic: 443 } as const;
/** Each family has a ring, by its place here. */
const BACKENDS = [
  ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
  ['fc00::1', 'fc00::2', 'fc00::3'],
];
/** Rings that exist: the kernel takes 256 KiB of memory for each. */
const RINGS = BACKENDS.length;
const SERVER_ID = 1022;
/** Entries of a connection table: new connections fill it, and so most of them evict one. */
const CONNECTIONS = 65_536;
const UNLIMITED = 2 ** 40;
const HEADROOM_BYTES = 256;
const FRAME_ROOM_BYTES = 2048;
const CPU = 0;

/** r0 = XDP_PASS; exit: what it costs to run a program at all. */
const EMPTY_PROGRAM: ProgramSpec = {
  name: 'empty',
  section: 'xdp',
  type: 'xdp',
  code: Uint8Array.of(0xb7, 0, 0, 0, XDP_PASS, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0),
  functions: [],
  lines: [],
};

/** A way to run the wrapped balancer and the empty program: ns a run over `repeat` runs on one frame in place. */
interface Contender {
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly run: (
    program: 'balancer' | 'empty',
    frame: Uint8Array,
    repeat: number,
  ) => { ns: number; verdict: number };
}

const adjust = (spec: MapSpec): MapSpec =>
  spec.name === 'ch_rings' ? { ...spec, maxEntries: RINGS * RING_SIZE } : spec;

function configure(maps: ReadonlyMap<string, BpfMap>, host: MapHost, cpus: number): void {
  const tables = new BalancerTables(maps);
  tables.attachConnectionTables(host, cpus, CONNECTIONS);
  tables.setRouterMac(parseMac('02:00:00:00:00:fe'));
  for (const [ring, addresses] of BACKENDS.entries()) {
    const reals = addresses.map((text, i) => ({
      index: ring * 8 + i + 1,
      address: parseIp(text),
      weight: 1,
    }));
    for (const { index, address } of reals) tables.putReal(index, address);
    tables.putRing(ring, buildRing(reals.map((real) => ({ ...real, address: real.address.bytes }))));
  }
  tables.putServerId(SERVER_ID, 1);
  const vips = [
    { vip: { address: VIP, port: PORTS.web, protocol: 'tcp' }, ring: 0, flags: 0 },
    { vip: { address: VIP, port: PORTS.dns, protocol: 'udp' }, ring: 0, flags: 0 },
    { vip: { address: VIP, port: PORTS.quic, protocol: 'udp' }, ring: 0, flags: VIP_FLAGS.QUIC_VIP },
    { vip: { address: VIP_6, port: PORTS.web, protocol: 'tcp' }, ring: 1, flags: 0 },
  ] as const;
  for (const [number, { vip, ring, flags }] of vips.entries()) {
    tables.putVip(vip, { flags, number });
    tables.putVipRing(number, ring);
  }
}

function balancerOf(object: ObjectSpec): ProgramSpec {
  const program = object.programs.find(({ name }) => name === 'bench_ingress');
  if (!program) throw new Error('the object of the benchmark has no program bench_ingress');
  return program;
}

function inKernel(object: ObjectSpec): Contender {
  const host = new KernelMaps();
  const maps = createMaps(object, host, adjust);
  configure(maps, host, possibleCpus());
  const programs = {
    balancer: loadKernelProgram(balancerOf(object), [...maps.values()], object.license, object.btf),
    empty: loadKernelProgram(EMPTY_PROGRAM, [], object.license),
  };
  return {
    maps,
    run: (program, frame, repeat) => {
      const { durationNs, verdict } = programs[program].testRun(frame, repeat);
      return { ns: durationNs, verdict };
    },
  };
}

function inArena(object: ObjectSpec, engine: 'jit' | 'interpreter'): Contender {
  const tables = (CONNECTIONS + 1024) * 128;
  const mapsBytes = object.maps.reduce((sum, spec) => sum + mapBytes(adjust(spec), 2), tables);
  const arena = Arena.create({ workers: 1, mapsBytes, ringsBytes: FRAME_ROOM_BYTES });
  const host = new ArenaMaps(arena);
  const maps = createMaps(object, host, adjust);
  configure(maps, host, 1);
  const runtime = instantiateRuntime(arena.memory, CPU);
  const infos = [...maps.values()].map(({ info }) => info);
  const prepare = ({ code }: ProgramSpec) => {
    const instructions = decodeProgram(code);
    if (engine === 'interpreter') return interpret(instructions, { runtime, maps: infos });
    return instantiateProgram(new WebAssembly.Module(compileProgram(instructions, infos).wasm), runtime);
  };
  const programs = { balancer: prepare(balancerOf(object)), empty: prepare(EMPTY_PROGRAM) };
  const view = new DataView(arena.memory.buffer);
  const block = arena.block(CPU);
  const context = block + CPU_XDP_MD;
  const data = arena.rings.offset + HEADROOM_BYTES;
  return {
    maps,
    run: (name, frame, repeat) => {
      arena.u8.set(frame, data);
      view.setUint32(context + XDP_MD_DATA, data, true);
      view.setUint32(context + XDP_MD_DATA_META, data, true);
      view.setUint32(context + XDP_MD_DATA_END, data + frame.length, true);
      view.setUint32(context + XDP_MD_HARD_START, arena.rings.offset, true);
      view.setUint32(context + XDP_MD_HARD_END, arena.rings.offset + FRAME_ROOM_BYTES, true);
      view.setBigUint64(block + CPU_CLOCK_NS, process.hrtime.bigint(), true);
      const { run } = programs[name];
      let verdict = 0;
      const start = process.hrtime.bigint();
      for (let i = 0; i < repeat; i++) verdict = run(context);
      return { ns: Number(process.hrtime.bigint() - start) / repeat, verdict };
    },
  };
}

interface Scenario {
  readonly name: string;
  readonly frame: Uint8Array;
  readonly newConnections: boolean;
  readonly verdict: number;
}

const ends = (vip: typeof VIP, vipPort: number): Ends => ({
  client: parseIp(vip.family === 4 ? '198.18.0.1' : '2001:db8:1::1'),
  clientPort: 40_000,
  vip,
  vipPort,
});
const REQUEST = new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n');
const toWeb = clientFrame(ends(VIP, PORTS.web), 'tcp', REQUEST);
const sent = (name: string, frame: Uint8Array, newConnections = false): Scenario => ({
  name,
  frame,
  newConnections,
  verdict: XDP_TX,
});
const SCENARIOS: readonly Scenario[] = [
  sent('connection hit', toWeb),
  sent('new connection', toWeb, true),
  sent('UDP', clientFrame(ends(VIP, PORTS.dns), 'udp', REQUEST)),
  sent('QUIC', clientFrame(ends(VIP, PORTS.quic), 'udp', quicShortHeader(SERVER_ID))),
  sent('IPv6', clientFrame(ends(VIP_6, PORTS.web), 'tcp', REQUEST)),
  sent('ICMP error', unreachableFrame(ends(VIP, PORTS.web), parseIp('198.18.255.1'))),
  {
    name: 'not a VIP',
    frame: clientFrame(ends(NOT_A_VIP, PORTS.web), 'tcp', REQUEST),
    newConnections: false,
    verdict: XDP_PASS,
  },
];

/**
 * ns a packet of the balancer on one object and the same packets: our JIT, our interpreter, the kernel's JIT. What an
 * empty program costs on the same engine (the call, BPF_PROG_TEST_RUN) is measured beside it and taken off.
 */
export async function benchProgram(rounds: number): Promise<Comparison[]> {
  const object = withOptions(loadObject(objectBytes('bench')), { newConnectionsPerSecond: UNLIMITED });
  const contenders = {
    "the kernel's JIT": inKernel(object),
    JIT: inArena(object, 'jit'),
    interpreter: inArena(object, 'interpreter'),
  };
  const repeats: Record<keyof typeof contenders, number> = {
    "the kernel's JIT": 500_000,
    JIT: 500_000,
    interpreter: 2_000,
  };
  const comparisons: Comparison[] = [];
  for (const scenario of SCENARIOS) {
    const measure = (name: keyof typeof contenders) => () => {
      const { run, maps } = contenders[name];
      const repeat = repeats[name];
      const control = new Uint8Array(Uint32Array.of(scenario.newConnections ? 1 : 0, 0).buffer);
      if (scenario.newConnections)
        control.set(maps.get('bench_control')!.lookup(new Uint8Array(4))!.subarray(4), 4);
      maps.get('bench_control')!.update(new Uint8Array(4), control);
      const empty = run('empty', scenario.frame, repeat);
      const balancer = run('balancer', scenario.frame, repeat);
      if (balancer.verdict !== scenario.verdict)
        throw new Error(`${name}, ${scenario.name}: verdict ${balancer.verdict}`);
      return balancer.ns - empty.ns;
    };
    const names = Object.keys(contenders) as (keyof typeof contenders)[];
    const runs = Object.fromEntries(names.map((name) => [name, measure(name)]));
    // Warm: the table filled, the code optimised.
    for (const run of Object.values(runs)) run();
    comparisons.push({
      title: `Balancer, ${scenario.name}, net of an empty program`,
      unit: 'ns a packet',
      baseline: "the kernel's JIT",
      aim: 'JIT at most 0.5',
      series: await interleave(runs, rounds),
    });
  }
  return comparisons;
}
