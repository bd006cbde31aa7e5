import { buildRing } from '../control-plane/maglev/ring.js';
import { objectBytes, withOptions } from '../lb/balancer/object.js';
import { RING_SIZE, VIP_FLAGS } from '../lb/balancer/schema.js';
import { BalancerTables } from '../lb/balancer/tables.js';
import { type Executable, XDP_PASS } from '../lb/bpf/engine/context.js';
import { interpret } from '../lb/bpf/engine/interpreter.js';
import { decodeProgram } from '../lb/bpf/isa/codec.js';
import { type CompileOptions, compileProgram, instantiateProgram } from '../lb/bpf/jit/compile.js';
import type { ArenaMap } from '../lb/bpf/maps/arena-map.js';
import type { BpfMap, MapHost, MapSpec } from '../lb/bpf/maps/map.js';
import { ArenaMaps, mapBytes } from '../lb/bpf/maps/registry.js';
import { instantiateRuntime, type Runtime } from '../lb/bpf/maps/runtime.js';
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
import { KernelMaps, loadKernelProgram } from '../lb/sys/bpf.js';
import { preferHugePages } from '../lb/sys/memory-advice.js';
import { PORTS, type Scenario, SERVER_ID, VIP, VIP_6 } from './scenarios.js';

/** Each family has a ring, by its place here. */
const BACKENDS = [
  ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
  ['fc00::1', 'fc00::2', 'fc00::3'],
];
/** Rings that exist: the kernel takes 256 KiB of memory for each. */
const RINGS = BACKENDS.length;
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

/** How long a run took, and what the last one gave. */
export interface Timed {
  readonly ns: number;
  readonly verdict: number;
}

/** A way to run the wrapped balancer and the empty program: ns a run over `repeat` runs on one frame in place. */
export interface Contender {
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly tables: BalancerTables;
  readonly run: (program: 'balancer' | 'empty', frame: Uint8Array, repeat: number) => Timed;
  /** Gives back the kernel's maps; the arena goes with the object. Idempotent. */
  readonly close: () => void;
}

/** How many connection tables there are, from CPU 0 on, and how large each is. */
export interface ConnectionRoom {
  readonly cpus: number;
  readonly entries: number;
}

const adjust = (spec: MapSpec): MapSpec =>
  spec.name === 'ch_rings' ? { ...spec, maxEntries: RINGS * RING_SIZE } : spec;

/** The balancer under the wrapper that puts the frame back. */
export const benchObject = (): ObjectSpec =>
  withOptions(loadObject(objectBytes('bench')), { newConnectionsPerSecond: UNLIMITED });

function configure(
  maps: ReadonlyMap<string, BpfMap>,
  host: MapHost,
  { cpus, entries }: ConnectionRoom,
): BalancerTables {
  const tables = new BalancerTables(maps);
  tables.attachConnectionTables(host, cpus, entries);
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
  return tables;
}

function balancerOf(object: ObjectSpec): ProgramSpec {
  const program = object.programs.find(({ name }) => name === 'bench_ingress');
  if (!program) throw new Error('the object of the benchmark has no program bench_ingress');
  return program;
}

export function inKernel(object: ObjectSpec, room: ConnectionRoom): Contender {
  const host = new KernelMaps();
  const maps = createMaps(object, host, adjust);
  const tables = configure(maps, host, room);
  const programs = {
    balancer: loadKernelProgram(balancerOf(object), [...maps.values()], object.license, object.btf),
    empty: loadKernelProgram(EMPTY_PROGRAM, [], object.license),
  };
  return {
    maps,
    tables,
    run: (program, frame, repeat) => {
      const { durationNs, verdict } = programs[program].testRun(frame, repeat);
      return { ns: durationNs, verdict };
    },
    close: () => {
      for (const program of Object.values(programs)) program.close();
      tables.close();
      for (const map of maps.values()) map.close();
    },
  };
}

/** The arena's side: one set of maps, under as many compilations of the balancer as are asked for. */
export class ArenaRig {
  readonly maps: ReadonlyMap<string, ArenaMap>;
  readonly tables: BalancerTables;
  readonly #object: ObjectSpec;
  readonly #arena: Arena;
  readonly #runtime: Runtime;

  constructor(object: ObjectSpec, room: ConnectionRoom) {
    const tableBytes = room.cpus * (room.entries + 1024) * 128;
    const mapsBytes = object.maps.reduce((sum, spec) => sum + mapBytes(adjust(spec), 2), tableBytes);
    this.#object = object;
    this.#arena = Arena.create({ workers: 1, mapsBytes, ringsBytes: FRAME_ROOM_BYTES });
    // As a datapath does.
    preferHugePages(this.#arena.memory, this.#arena.maps);
    const host = new ArenaMaps(this.#arena);
    this.maps = createMaps(object, host, adjust);
    this.tables = configure(this.maps, host, room);
    this.#runtime = instantiateRuntime(this.#arena.memory, CPU);
  }

  get #infos() {
    return [...this.maps.values()].map(({ info }) => info);
  }

  /** The module of the balancer, or of the empty program. */
  compile(program: 'balancer' | 'empty', options: CompileOptions = {}): Uint8Array<ArrayBuffer> {
    const { code } = program === 'balancer' ? balancerOf(this.#object) : EMPTY_PROGRAM;
    return compileProgram(decodeProgram(code), this.#infos, options).wasm;
  }

  /** A module that has been compiled, ready to run. */
  instantiate(module: WebAssembly.Module): Executable {
    return instantiateProgram(module, this.#runtime);
  }

  contender(engine: 'jit' | 'interpreter', options: CompileOptions = {}): Contender {
    const prepare = (program: 'balancer' | 'empty'): Executable => {
      if (engine === 'jit') return this.instantiate(new WebAssembly.Module(this.compile(program, options)));
      const { code } = program === 'balancer' ? balancerOf(this.#object) : EMPTY_PROGRAM;
      return interpret(decodeProgram(code), { runtime: this.#runtime, maps: this.#infos });
    };
    const programs = { balancer: prepare('balancer'), empty: prepare('empty') };
    return {
      maps: this.maps,
      tables: this.tables,
      run: (name, frame, repeat) => this.run(programs[name], frame, repeat),
      close: () => {},
    };
  }

  /** Put a frame into place, and run a program on it. */
  run(program: Executable, frame: Uint8Array, repeat: number): Timed {
    const context = this.#place(frame);
    let verdict = 0;
    const start = process.hrtime.bigint();
    for (let i = 0; i < repeat; i++) verdict = program.run(context);
    return { ns: Number(process.hrtime.bigint() - start) / repeat, verdict };
  }

  /** Where the frame and its headroom are. */
  get room(): Uint8Array {
    const { offset } = this.#arena.rings;
    return this.#arena.u8.subarray(offset, offset + FRAME_ROOM_BYTES);
  }

  #place(frame: Uint8Array): number {
    const arena = this.#arena;
    const view = new DataView(arena.memory.buffer);
    const block = arena.block(CPU);
    const context = block + CPU_XDP_MD;
    const data = arena.rings.offset + HEADROOM_BYTES;
    arena.u8.set(frame, data);
    view.setUint32(context + XDP_MD_DATA, data, true);
    view.setUint32(context + XDP_MD_DATA_META, data, true);
    view.setUint32(context + XDP_MD_DATA_END, data + frame.length, true);
    view.setUint32(context + XDP_MD_HARD_START, arena.rings.offset, true);
    view.setUint32(context + XDP_MD_HARD_END, arena.rings.offset + FRAME_ROOM_BYTES, true);
    view.setBigUint64(block + CPU_CLOCK_NS, process.hrtime.bigint(), true);
    return context;
  }
}

const FIRST = new Uint8Array(4);

/**
 * Tell the wrapper whether each run is of another client.
 * @param clients before the first comes again, from the first on; 0: each is one that was not there, after those before
 */
export function setClients({ maps }: Pick<Contender, 'maps'>, areNew: boolean, clients = 0): void {
  const control = maps.get('bench_control');
  const before = control?.lookup(FIRST);
  if (!control || !before) throw new Error('the object of the benchmark has no map bench_control');
  const runs = clients > 0 ? 0 : new DataView(before.buffer, before.byteOffset).getUint32(4, true);
  const words = Uint32Array.of(areNew ? 1 : 0, runs, clients);
  control.update(FIRST, new Uint8Array(words.buffer));
}

/** ns a packet of a scenario, less those of an empty program. @throws Error for another verdict than the scenario's */
export function netNs(contender: Contender, name: string, scenario: Scenario, repeat: number): number {
  setClients(contender, scenario.newConnections);
  const empty = contender.run('empty', scenario.frame, repeat);
  const balancer = contender.run('balancer', scenario.frame, repeat);
  if (balancer.verdict !== scenario.verdict)
    throw new Error(`${name}, ${scenario.name}: verdict ${balancer.verdict}, not ${scenario.verdict}`);
  return balancer.ns - empty.ns;
}
