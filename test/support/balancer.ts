import {
  BALANCER_PROGRAM,
  type BalancerOptions,
  balancerObject,
  withOptions,
} from '../../lb/balancer/object.js';
import { encode, FLOW_KEY, REAL_POS_LRU, RING_SIZE, U32 } from '../../lb/balancer/schema.js';
import { BalancerTables } from '../../lb/balancer/tables.js';
import type { BpfMap, MapHost } from '../../lb/bpf/maps/map.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import type { ObjectSpec } from '../../lb/bpf/object/spec.js';
import { Replay } from '../../lb/engine/replay.js';
import { type KernelMap, KernelMaps, loadKernelProgram, possibleCpus } from '../../lb/sys/bpf.js';
import { missingRoot } from './capabilities.js';

/** Rings that the tests use: the object's own 512 would take 256 MiB of the kernel for each test. */
export const TEST_RINGS = 8;
const CONNECTION_ENTRIES = 1000;

/** The compiled balancer on one engine, with its tables. */
export interface BalancerBed {
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly tables: BalancerTables;
  /** The connection table of every CPU. */
  readonly connections: BpfMap;
  /** The clock that the program sees, ns. */
  now(): bigint;
  run(frame: Uint8Array): { readonly verdict: number; readonly frame: Uint8Array };
  close(): void;
}

export interface BalancerEngine {
  readonly name: 'interpreter' | 'jit' | 'kernel';
  /** Why it cannot run here. */
  readonly missing?: string;
  make(options?: BedOptions): BalancerBed;
}
export interface BedOptions extends BalancerOptions {
  /** False: the CPUs have no connection table. */
  readonly connectionTable?: boolean;
}

function objectFor(options: BedOptions): ObjectSpec {
  const object = withOptions(balancerObject(), options);
  const maps = object.maps.map((map) =>
    map.name === 'ch_rings' ? { ...map, maxEntries: TEST_RINGS * RING_SIZE } : map,
  );
  return { ...object, maps };
}

/** One table for all CPUs: the kernel may run a test on any of them. */
function attachOneTable(
  host: MapHost,
  maps: ReadonlyMap<string, BpfMap>,
  cpus: number,
  options: BedOptions,
): BpfMap {
  const table = host.createMap({
    name: 'connections',
    type: 'LRU_HASH',
    keySize: FLOW_KEY.sizeBytes,
    valueSize: REAL_POS_LRU.sizeBytes,
    maxEntries: CONNECTION_ENTRIES,
    flags: 0,
  });
  if (options.connectionTable === false) return table;
  for (let cpu = 0; cpu < cpus; cpu++) {
    const status = maps.get('lru_mapping')?.updateInner(encode(U32, { value: cpu }), table);
    if (status !== 0) throw new Error(`lru_mapping[${cpu}]: ${status}`);
  }
  return table;
}

function replayBed(engine: 'interpreter' | 'jit', options: BedOptions): BalancerBed {
  const replay = new Replay({ object: objectFor(options), program: BALANCER_PROGRAM, engine });
  // Far from 0, so that a flow can be older than its timeout.
  const clock = 1_000_000_000_000n;
  return {
    maps: replay.maps,
    tables: new BalancerTables(replay.maps),
    connections: attachOneTable(replay.host, replay.maps, replay.cpus, options),
    now: () => clock,
    run: (frame) => replay.run(frame, clock),
    close: () => {},
  };
}

function kernelBed(options: BedOptions): BalancerBed {
  const object = objectFor(options);
  const host = new KernelMaps();
  const maps = createMaps<KernelMap>(object, host);
  const spec = object.programs.find(({ name }) => name === BALANCER_PROGRAM);
  if (spec === undefined) throw new Error(`no program ${BALANCER_PROGRAM}`);
  const program = loadKernelProgram(spec, [...maps.values()], object.license);
  const connections = attachOneTable(host, maps, possibleCpus(), options);
  return {
    maps,
    tables: new BalancerTables(maps),
    connections,
    now: () => process.hrtime.bigint(),
    run(frame) {
      const { verdict, packet } = program.testRun(frame);
      return { verdict, frame: packet };
    },
    close() {
      program.close();
      connections.close();
      for (const map of maps.values()) map.close();
    },
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
