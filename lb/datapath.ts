import { setFlagsFromString } from 'node:v8';
import { connectionTableSpec, globalTableSpec } from './balancer/connections.js';
import { downRealsSpec } from './balancer/down-reals.js';
import { EventReader, type EventSource } from './balancer/events.js';
import { type BalancerOptions, balancerObject, type MapSizes, withOptions } from './balancer/object.js';
import { EVENTS_MAP } from './balancer/schema.js';
import { BalancerTables, type VipKey } from './balancer/tables.js';
import type { MapSpec } from './bpf/maps/map.js';
import { type ArenaMap, ArenaMaps, mapBytes } from './bpf/maps/registry.js';
import { RingBufferReader } from './bpf/maps/ring-buffer.js';
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
  withSizes,
} from './datapath-program.js';
import { AfPacketEngine } from './engine/af-packet.js';
import { AfXdpEngine } from './engine/af-xdp.js';
import {
  type EngineMode,
  findEngineLink,
  type WorkerEngine,
  type WorkerEngineName,
} from './engine/engine.js';
import { Steering } from './engine/steering.js';
import { BpfInspector, inspectedMaps, type ProgramStatus } from './inspector.js';
import type { IpAddress } from './net/address.js';
import type { FlowSimulator, Simulation } from './simulate.js';
import { arenaSimulator } from './simulate-arena.js';
import { steerObject } from './steer-object.js';
import { populate, preferHugePages } from './sys/memory-advice.js';
import { type NextHop, NextHops } from './sys/netlink.js';
import type { PoolLog, WorkerStatus } from './worker/pool.js';

export interface DatapathOptions {
  /** Interface that packets come in and leave by. */
  readonly interface: string;
  /** How frames come to the workers: by a tap (af_packet, unless given), or by sockets behind a program of the kernel. */
  readonly engine?: WorkerEngineName;
  /** Worker threads, 1 to 64; over AF_XDP as many as the interface has receive queues at most. */
  readonly workers: number;
  /** Entries of each worker's connection table. */
  readonly connectionTableEntries: number;
  /** Object file to run in the place of the one that is shipped. */
  readonly object?: Uint8Array;
  /** Options of the program; what is absent is the object's own, the longest frame the link's. */
  readonly options?: BalancerOptions;
  /** Entries of maps; what is absent is the object's own. */
  readonly sizes?: MapSizes;
  /** Tables of options that are off have their room too, so that setOptions can turn them on. */
  readonly reservesOptions?: boolean;
  /** Entries of each worker's table of global flows; undefined: the workers have none. */
  readonly globalFlowEntries?: number | undefined;
  readonly log: PoolLog;
}

export { DatapathError, type DatapathFault, type DatapathLink } from './datapath-program.js';

export const MAX_WORKERS = 64;
const MAX_CONNECTIONS = 2 ** 26;
/** Room in the arena for the constants of programs that are swapped in. */
const SPARE_MAPS_BYTES = 2 ** 20;
/** Sets of backends that are down, one a VIP that has any, are made when they are needed: room for so many is kept. */
const RESERVED_DOWN_SETS = 64;
const DOWN_REALS_MAP = 'vip_to_down_reals_map';

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

/** The tables that packets write to have their memory before packets come. */
function populateTables({ arena, all }: ArenaMaps, log: PoolLog): void {
  for (const { spec, info } of all) {
    if (!spec.type.startsWith('LRU_')) continue;
    const region = { offset: info.descriptor, bytes: mapBytes(spec, arena.cpus) };
    const refused = populate(arena.memory, region);
    if (refused === undefined) continue;
    log('info', 'memory of tables is not made beforehand: the first packets wait for it', {
      map: spec.name,
      errno: refused,
    });
    return;
  }
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
  readonly #engine: WorkerEngine;
  /** Of af_xdp: what decides which frames come here. The engine closes it. */
  readonly #steering: Steering | undefined;
  readonly #nextHops: NextHops;
  #program: Compiled['status'];
  /** As it was read, before its options were set. */
  #object: ObjectSpec;
  #options: BalancerOptions;
  #simulator: FlowSimulator | undefined;
  #events: EventReader | undefined;

  private constructor(
    host: ArenaMaps,
    maps: ReadonlyMap<string, ArenaMap>,
    tables: BalancerTables,
    engine: WorkerEngine,
    steering: Steering | undefined,
    object: ObjectSpec,
    options: BalancerOptions,
    program: Compiled['status'],
  ) {
    this.#object = object;
    this.#options = options;
    this.#host = host;
    this.#maps = maps;
    this.tables = tables;
    this.#engine = engine;
    this.#steering = steering;
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
    const { workers: wanted, connectionTableEntries: entries, log } = options;
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_WORKERS) {
      throw new DatapathError(
        { code: 'DATAPATH_WORKERS', workers: wanted },
        `workers: ${wanted} is not within 1 to ${MAX_WORKERS}`,
      );
    }
    if (!Number.isInteger(entries) || entries < 1 || entries > MAX_CONNECTIONS) {
      throw new DatapathError(
        { code: 'DATAPATH_CONNECTIONS', entries },
        `connections: ${entries} is not within 1 to ${MAX_CONNECTIONS}`,
      );
    }
    const link = findEngineLink(options.interface);
    const plan = options.engine === 'af_xdp' ? AfXdpEngine.plan(link, wanted, log) : undefined;
    const { workers, ringsBytes } = plan ?? AfPacketEngine.plan(link, wanted);
    const object = options.object ? loadObject(options.object) : balancerObject();
    const { sizes, reservesOptions = false } = options;
    const program = programOf(withSizes(withLink(object, link, options.options), sizes, reservesOptions));
    optimiseWasm();
    const perWorker = Array.from({ length: workers }, (_, cpu) => [
      connectionTableSpec(cpu, entries),
      ...(options.globalFlowEntries ? [globalTableSpec(cpu, options.globalFlowEntries)] : []),
    ]).flat();
    const downSets = program.object.maps.find(({ name }) => name === DOWN_REALS_MAP)?.maxEntries ?? 0;
    const spare = Array.from({ length: Math.min(downSets, RESERVED_DOWN_SETS) }, downRealsSpec);
    const arena = Arena.create({
      workers,
      mapsBytes: arenaBytes(program.object, [...perWorker, ...spare], workers + 1),
      ringsBytes,
    });
    const refused = preferHugePages(arena.memory, arena.maps);
    if (refused !== undefined)
      log('info', 'no huge pages for the maps: packets wait longer for large tables', { errno: refused });
    const host = new ArenaMaps(arena);
    const maps = createMaps(program.object, host);
    const steering = plan && Steering.load(steerObject(program.object));
    try {
      const tables = new BalancerTables(steering?.mirror(maps) ?? maps, { host });
      tables.attachConnectionTables(host, workers, entries);
      if (options.globalFlowEntries) tables.attachGlobalTables(host, workers, options.globalFlowEntries);
      populateTables(host, log);
      const { module, status } = compile(program, infosOf(program.object, maps, host));
      const common = {
        arena,
        link,
        program: { entry: module, targets: [] },
        recover: (cpu: number) => host.recover(cpu),
        log,
      };
      const engine =
        plan && steering
          ? await AfXdpEngine.start({ ...common, plan, steering })
          : await AfPacketEngine.start({ ...common, workers });
      return new Datapath(host, maps, tables, engine, steering, object, options.options ?? {}, status);
    } catch (error) {
      steering?.close();
      throw error;
    }
  }

  /** Where the program runs. */
  get mode(): EngineMode {
    return this.#engine.mode;
  }

  /** The interface. */
  get link(): DatapathLink {
    return this.#engine.link;
  }

  /**
   * Keep the host's stack from answering for VIPs: for all of them, or for none.
   * @throws HostStackError where one is an address of this host, or the drop is refused
   */
  async protectVips(vips: readonly VipKey[]): Promise<void> {
    await this.#engine.protect(vips);
  }

  /** Let the host's stack see what came for VIPs. */
  async unprotectVips(vips: readonly VipKey[]): Promise<void> {
    await this.#engine.unprotect(vips);
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
    await this.#run(loadObject(object), this.#options, validateOnly);
  }

  /**
   * Run the program with other options, from each worker's next batch on; what is absent is the object's own.
   * @param validateOnly do all but run it
   * @throws OptionsError, VerifyError; what runs goes on
   */
  async setOptions(options: BalancerOptions, validateOnly = false): Promise<void> {
    await this.#run(this.#object, options, validateOnly);
  }

  async #run(object: ObjectSpec, options: BalancerOptions, validateOnly: boolean): Promise<void> {
    const program = programOf(withLink(object, this.link, options));
    const { module, status } = compile(program, infosOf(program.object, this.#maps, this.#host));
    if (validateOnly) return;
    const swap = () => this.#engine.swapProgram({ entry: module, targets: [] });
    const before = withLink(this.#object, this.link, this.#options);
    const steer = (other?: ObjectSpec) => steerObject(program.object, other);
    await (this.#steering?.replace(steer(before), steer(), swap) ?? swap());
    this.#program = status;
    this.#object = object;
    this.#options = options;
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

  /**
   * Packets that the program reports: with the option `eventsEnabled`, while `tables.setEvents` has them on. The same source
   * at each call: there is one consumer.
   */
  events(): EventSource {
    this.#events ??= new EventReader(
      new RingBufferReader(this.#host, this.#maps.get(EVENTS_MAP)!),
      () => this.tables.counters().events_lost.v1,
    );
    return this.#events;
  }

  #makeSimulator(): FlowSimulator {
    const asked = withLink(this.#object, this.link, this.#options);
    const object = withOptions(asked, { explain: true, simulate: true });
    return arenaSimulator(this.#host, this.#maps, object, this.#engine.workers().length);
  }

  /** Stop the workers, and give everything back. Idempotent. */
  async stop(): Promise<void> {
    await this.#engine.stop();
    this.tables.close();
  }
}
