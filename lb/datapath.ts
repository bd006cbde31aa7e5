import { setFlagsFromString } from 'node:v8';
import { connectionTableSpec } from './balancer/connections.js';
import { balancerObject, sizedObject, withOptions } from './balancer/object.js';
import { BalancerTables, type VipKey } from './balancer/tables.js';
import type { MapSpec } from './bpf/maps/map.js';
import { type ArenaMap, ArenaMaps, mapBytes } from './bpf/maps/registry.js';
import { Arena } from './bpf/memory/arena.js';
import { createMaps } from './bpf/object/create-maps.js';
import { loadObject } from './bpf/object/load.js';
import type { ObjectSpec } from './bpf/object/spec.js';
import {
  type Compiled,
  compile,
  DatapathError,
  type DatapathLink,
  infosOf,
  programOf,
  withLink,
} from './datapath-program.js';
import { AfPacketEngine } from './engine/af-packet.js';
import { BpfInspector, inspectedMaps, type ProgramStatus } from './inspector.js';
import type { IpAddress } from './net/address.js';
import type { FlowSimulator, Simulation } from './simulate.js';
import { arenaSimulator } from './simulate-arena.js';
import { type NextHop, NextHops } from './sys/netlink.js';
import type { PoolLog, WorkerStatus } from './worker/pool.js';

export interface DatapathOptions {
  /** Interface that packets come in and leave by. */
  readonly interface: string;
  /** Worker threads, 1 to 64. */
  readonly workers: number;
  /** Entries of each worker's connection table. */
  readonly connectionTableEntries: number;
  /** Object file to run in the place of the one that is shipped. */
  readonly object?: Uint8Array;
  readonly log: PoolLog;
}

export { DatapathError, type DatapathFault, type DatapathLink } from './datapath-program.js';

export const MAX_WORKERS = 64;
const MAX_CONNECTIONS = 2 ** 26;
/** Room in the arena for the constants of programs that are swapped in. */
const SPARE_MAPS_BYTES = 2 ** 20;

/**
 * Have V8 compile wasm to optimised code at once: a packet that comes early must not pay for the warming up. Before any
 * module is made, the maps' included: workers get the code of one that was compiled here.
 */
function optimiseWasm(): void {
  setFlagsFromString('--no-liftoff');
  setFlagsFromString('--no-wasm-lazy-compilation');
}

/** Bytes that the object's maps and the workers' connection tables take. */
function arenaBytes(object: ObjectSpec, tables: readonly MapSpec[], cpus: number): number {
  return [...object.maps, ...tables].reduce((sum, spec) => sum + mapBytes(spec, cpus), SPARE_MAPS_BYTES);
}

/**
 * The datapath of one interface: the arena with the balancer's maps, the compiled program, and workers that run it
 * on the interface's frames.
 */
export class Datapath {
  readonly tables: BalancerTables;
  /** Programs and maps as they are in memory. */
  readonly inspector: BpfInspector;
  readonly #host: ArenaMaps;
  readonly #maps: ReadonlyMap<string, ArenaMap>;
  readonly #engine: AfPacketEngine;
  readonly #nextHops: NextHops;
  #program: Compiled['status'];
  /** As it was read, before its options were set. */
  #object: ObjectSpec;
  #simulator: FlowSimulator | undefined;

  private constructor(
    host: ArenaMaps,
    maps: ReadonlyMap<string, ArenaMap>,
    tables: BalancerTables,
    engine: AfPacketEngine,
    object: ObjectSpec,
    program: Compiled['status'],
  ) {
    this.#object = object;
    this.#host = host;
    this.#maps = maps;
    this.tables = tables;
    this.#engine = engine;
    this.#nextHops = new NextHops(engine.link.index);
    this.#program = program;
    this.inspector = new BpfInspector({
      programs: () => [this.#programStatus()],
      maps: () => inspectedMaps(host),
      btf: object.btf,
    });
  }

  /** Runs count since the workers' start, whatever program it was. */
  #programStatus(): ProgramStatus {
    const counters = this.#engine.workers().map((worker) => worker.counters);
    const sum = (name: 'program_runs' | 'program_ns') =>
      counters.reduce((total, each) => total + (each[name] ?? 0n), 0n);
    return { ...this.#program, runs: sum('program_runs'), runNs: sum('program_ns') };
  }

  /**
   * Everything that was acquired is given back when a later step fails.
   * @throws CodedError of the step that failed, in one clear line
   */
  static async start(options: DatapathOptions): Promise<Datapath> {
    const { workers, connectionTableEntries: entries } = options;
    if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) {
      throw new DatapathError(
        { code: 'DATAPATH_WORKERS', workers },
        `workers: ${workers} is not within 1 to ${MAX_WORKERS}`,
      );
    }
    if (!Number.isInteger(entries) || entries < 1 || entries > MAX_CONNECTIONS) {
      throw new DatapathError(
        { code: 'DATAPATH_CONNECTIONS', entries },
        `connections: ${entries} is not within 1 to ${MAX_CONNECTIONS}`,
      );
    }
    const link = AfPacketEngine.findLink(options.interface);
    const object = options.object ? loadObject(options.object) : balancerObject();
    const program = programOf(sizedObject(withLink(object, link)));
    optimiseWasm();
    const perWorker = Array.from({ length: workers }, (_, cpu) => connectionTableSpec(cpu, entries));
    const arena = Arena.create({
      workers,
      mapsBytes: arenaBytes(program.object, perWorker, workers + 1),
      ringsBytes: AfPacketEngine.ringsBytes(link, workers),
    });
    const host = new ArenaMaps(arena);
    const maps = createMaps(program.object, host);
    const tables = new BalancerTables(maps, { host });
    tables.attachConnectionTables(host, workers, entries);
    const { module, status } = compile(program, infosOf(program.object, maps, host));
    const engine = await AfPacketEngine.start({
      arena,
      link,
      workers,
      program: { entry: module, targets: [] },
      recover: (cpu) => host.recover(cpu),
      log: options.log,
    });
    return new Datapath(host, maps, tables, engine, object, status);
  }

  /** Where the program runs. */
  readonly mode = 'af_packet';

  /** The interface. */
  get link(): DatapathLink {
    return this.#engine.link;
  }

  /**
   * Keep the host's stack from answering for a VIP.
   * @throws HostStackError where the VIP is an address of this host, or the drop is refused
   */
  protectVip(vip: VipKey): void {
    this.#engine.protect(vip);
  }

  /** Let the host's stack see what came for a VIP. */
  unprotectVip(vip: VipKey): void {
    this.#engine.unprotect(vip);
  }

  /** Where frames for a backend go. */
  resolveNextHop(address: IpAddress): NextHop {
    return this.#nextHops.find(address);
  }

  workers(): WorkerStatus[] {
    return this.#engine.workers();
  }

  /** Kill a worker's thread; it is replaced on the same sockets and ring. */
  async restartWorker(index: number): Promise<void> {
    await this.#engine.kill(index);
  }

  /**
   * Run another object's program over the maps that are there, from each worker's next batch on.
   * @param validateOnly do all but run it
   * @returns once no worker runs the program before
   * @throws DatapathError where the object's maps are not those that are there, VerifyError where it is not safe, and
   *   what loading and compiling throw; what runs goes on
   */
  async swapProgram(object: Uint8Array, validateOnly = false): Promise<void> {
    const loaded = loadObject(object);
    const program = programOf(withLink(loaded, this.link));
    const { module, status } = compile(program, infosOf(program.object, this.#maps, this.#host));
    if (validateOnly) return;
    await this.#engine.swapProgram({ entry: module, targets: [] });
    this.#program = status;
    this.#object = loaded;
    this.#simulator = undefined;
  }

  /**
   * What the balancer would do with a frame now, and why. Packets go on meanwhile, and nothing changes: the program that
   * answers is built with the options `explain` and `simulate`, the first time that somebody asks.
   * @throws PacketError for a frame that is too short or too long; OptionsError where the object that runs has no such
   *   options
   */
  simulate(frame: Uint8Array): Simulation {
    this.#simulator ??= this.#makeSimulator();
    return this.#simulator.ask(frame);
  }

  #makeSimulator(): FlowSimulator {
    const object = withOptions(withLink(this.#object, this.link), { explain: true, simulate: true });
    return arenaSimulator(this.#host, this.#maps, object, this.#engine.workers().length);
  }

  /** Stop the workers, and give everything back. Idempotent. */
  async stop(): Promise<void> {
    await this.#engine.stop();
    this.tables.close();
  }
}
