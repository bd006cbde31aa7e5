import { EventReader, type PacketEvent } from '../../lb/balancer/events.js';
import {
  BALANCER_PROGRAM,
  type BalancerOptions,
  balancerObject,
  withOptions,
} from '../../lb/balancer/object.js';
import { FLOW_KEY, REAL_POS_LRU, RING_SIZE, U32 } from '../../lb/balancer/schema.js';
import { encode } from '../../lb/balancer/structs.js';
import { BalancerTables } from '../../lb/balancer/tables.js';
import type { StepListener } from '../../lb/bpf/engine/interpreter.js';
import type { BpfMap, MapHost, MapSpec } from '../../lb/bpf/maps/map.js';
import type { ArenaMap, ArenaMaps } from '../../lb/bpf/maps/registry.js';
import { RingBufferReader } from '../../lb/bpf/maps/ring-buffer.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import type { ObjectSpec } from '../../lb/bpf/object/spec.js';
import { Replay } from '../../lb/engine/replay.js';
import { type KernelMap, KernelMaps, loadKernelProgram, possibleCpus } from '../../lb/sys/bpf.js';
import { ArenaProgram } from './arena-program.js';
import { missingRoot } from './capabilities.js';
import { onOneCpu } from './one-cpu.js';

/** Rings that the tests use: the object's own 512 would take 256 MiB of the kernel for each test. */
export const TEST_RINGS = 9;
const CONNECTION_ENTRIES = 1000;
/** Entries that are enough for tests, of maps that production sizes at load. */
const TEST_ENTRIES: Readonly<Record<string, number>> = {
  ch_rings: TEST_RINGS * RING_SIZE,
  server_id_map: 1024,
  lpm_src_v4: 64,
  lpm_src_v6: 64,
  fallback_glru: 256,
  events: 65536,
};

/** The compiled balancer on one engine, with its tables. */
export interface BalancerBed {
  readonly engine: 'interpreter' | 'jit' | 'kernel';
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly host: MapHost;
  readonly tables: BalancerTables;
  /** CPUs that the program may run on. */
  readonly cpus: number;
  /** The connection table of every CPU, one for all. */
  readonly connections: BpfMap;
  /** The clock that the program sees, ns. */
  now(): bigint;
  run(frame: Uint8Array): { readonly verdict: number; readonly frame: Uint8Array };
  /** Events since the last call; absent in the kernel, whose ring is not mapped here. */
  readEvents?(): PacketEvent[];
  close(): void;
}

export interface BalancerEngine {
  readonly name: BalancerBed['engine'];
  /** Why it cannot run here. */
  readonly missing?: string;
  make(options?: BedOptions): BalancerBed;
}
export interface BedOptions extends BalancerOptions {
  /** False: the CPUs have no connection table. */
  readonly connectionTable?: boolean;
}

/** The balancer's object with options, and maps of a size for tests. */
export function testObject({ connectionTable: _, ...options }: BedOptions = {}): ObjectSpec {
  const object = withOptions(balancerObject(), options);
  const maps = object.maps.map((map) => {
    const maxEntries = TEST_ENTRIES[map.name];
    return maxEntries === undefined ? map : { ...map, maxEntries };
  });
  return { ...object, maps };
}

/** The spec of a connection table. */
export const CONNECTION_TABLE: MapSpec = {
  name: 'connections',
  type: 'LRU_HASH',
  keySize: FLOW_KEY.sizeBytes,
  valueSize: REAL_POS_LRU.sizeBytes,
  maxEntries: CONNECTION_ENTRIES,
  flags: 0,
};

/** One table for all CPUs: the kernel may run a test on any of them. */
export function attachOneTable(
  host: MapHost,
  maps: ReadonlyMap<string, BpfMap>,
  cpus: number,
  options: BedOptions,
): BpfMap {
  const table = host.createMap(CONNECTION_TABLE);
  if (options.connectionTable === false) return table;
  for (let cpu = 0; cpu < cpus; cpu++) {
    const status = maps.get('lru_mapping')?.updateInner(encode(U32, { value: cpu }), table);
    if (status !== 0) throw new Error(`lru_mapping[${cpu}]: ${status}`);
  }
  return table;
}

function eventsOf(host: ArenaMaps, maps: ReadonlyMap<string, ArenaMap>): () => PacketEvent[] {
  const reader = new EventReader(new RingBufferReader(host, maps.get('events')!));
  return () => reader.read();
}

/** Far from 0, so that a flow can be older than its timeout. */
const START_NS = 1_000_000_000_000n;

function replayBed(engine: 'interpreter' | 'jit', options: BedOptions): BalancerBed {
  const replay = new Replay({ object: testObject(options), program: BALANCER_PROGRAM, engine });
  return {
    engine,
    maps: replay.maps,
    host: replay.host,
    tables: new BalancerTables(replay.maps, { host: replay.host }),
    cpus: replay.cpus,
    connections: attachOneTable(replay.host, replay.maps, replay.cpus, options),
    now: () => START_NS,
    run: (frame) => replay.run(frame, START_NS),
    readEvents: eventsOf(replay.host, replay.maps),
    close: () => replay.close(),
  };
}

function kernelBed(options: BedOptions): BalancerBed {
  const object = testObject(options);
  const host = new KernelMaps();
  const maps = createMaps<KernelMap>(object, host);
  const spec = object.programs.find(({ name }) => name === BALANCER_PROGRAM);
  if (spec === undefined) throw new Error(`no program ${BALANCER_PROGRAM}`);
  const program = loadKernelProgram(spec, [...maps.values()], object.license, object.btf);
  const cpus = possibleCpus();
  const connections = attachOneTable(host, maps, cpus, options);
  return {
    engine: 'kernel',
    maps,
    host,
    tables: new BalancerTables(maps, { host: host }),
    cpus,
    connections,
    now: () => process.hrtime.bigint(),
    run(frame) {
      const { verdict, packet } = onOneCpu(() => program.testRun(frame));
      return { verdict, frame: packet };
    },
    close() {
      program.close();
      connections.close();
      for (const map of maps.values()) map.close();
    },
  };
}

export interface ArenaBedOptions extends BedOptions {
  /** Room in front of a frame, bytes; as the kernel has it unless given. */
  readonly headroomBytes?: number;
  /** Of the interpreter. */
  readonly onStep?: StepListener;
}
/** A bed whose instructions and headroom a test has in its hands: neither checked nor folded before it runs. */
export interface ArenaBed extends BalancerBed {
  readonly program: ArenaProgram;
  run(frame: Uint8Array, headroomBytes?: number): { readonly verdict: number; readonly frame: Uint8Array };
}

export function makeArenaBed(
  engine: 'interpreter' | 'jit',
  { headroomBytes = 256, onStep, ...options }: ArenaBedOptions = {},
): ArenaBed {
  const program = new ArenaProgram(testObject(options), BALANCER_PROGRAM, engine, onStep);
  const { maps, host, cpus } = program;
  return {
    engine,
    program,
    maps,
    host,
    tables: new BalancerTables(maps, { host: host }),
    cpus,
    connections: attachOneTable(host, maps, cpus, options),
    now: () => START_NS,
    run: (frame, headroom = headroomBytes) => program.run(frame, headroom, START_NS),
    readEvents: eventsOf(host, maps),
    close: () => {},
  };
}

/** Every engine that runs the object. */
export const BALANCER_ENGINES: readonly BalancerEngine[] = [
  { name: 'interpreter', make: (options = {}) => replayBed('interpreter', options) },
  { name: 'jit', make: (options = {}) => replayBed('jit', options) },
  {
    name: 'kernel',
    ...(missingRoot === undefined ? {} : { missing: missingRoot }),
    make: (options = {}) => kernelBed(options),
  },
];
