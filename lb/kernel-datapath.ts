import { readFileSync } from 'node:fs';
import {
  BALANCER_PROGRAM,
  balancerObject,
  type MapSizes,
  sizedObject,
  withOptions,
} from './balancer/object.js';
import { BalancerTables } from './balancer/tables.js';
import { createMaps } from './bpf/object/create-maps.js';
import { loadObject } from './bpf/object/load.js';
import type { ObjectSpec } from './bpf/object/spec.js';
import {
  DatapathError,
  type DatapathLink,
  type DatapathMode,
  liveMaps,
  programOf,
  withLink,
} from './datapath-program.js';
import { AfPacketEngine } from './engine/af-packet.js';
import { InterfaceClaim } from './engine/interface-claim.js';
import { ReceiveOffloads } from './engine/receive-offloads.js';
import { BpfInspector, type ProgramStatus } from './inspector.js';
import type { IpAddress } from './net/address.js';
import { FlowSimulator, type Simulation } from './simulate.js';
import {
  BpfError,
  type KernelMap,
  KernelMaps,
  type KernelProgram,
  loadKernelProgram,
  possibleCpus,
  type XdpLink,
} from './sys/bpf.js';
import { type NextHop, NextHops } from './sys/netlink.js';
import type { PoolLog, WorkerStatus } from './worker/pool.js';

export interface KernelDatapathOptions {
  /** Interface that packets come in and leave by. */
  readonly interface: string;
  /** Entries of each CPU's connection table. */
  readonly connectionTableEntries: number;
  /** Object file to run in the place of the one that is shipped. */
  readonly object?: Uint8Array;
  /** Entries of maps: the kernel takes memory for all of them at once, 268 MB for the rings alone. */
  readonly sizes?: MapSizes;
  readonly log: PoolLog;
}

interface Parts {
  readonly claim: InterfaceClaim;
  readonly offloads: ReceiveOffloads;
  readonly link: DatapathLink;
  readonly host: KernelMaps;
  readonly maps: ReadonlyMap<string, KernelMap>;
  readonly tables: BalancerTables;
  readonly xdp: XdpLink;
  readonly mode: DatapathMode;
}

/** A program that the kernel runs, with the maps that are its own: constants that differ from those before. */
interface Loaded {
  readonly object: ObjectSpec;
  readonly program: KernelProgram;
  readonly constants: readonly KernelMap[];
  readonly status: Omit<ProgramStatus, 'runs' | 'runNs'>;
}

/**
 * The balancer as an XDP program of the kernel: the same object, the same tables, no worker threads. It runs in the
 * driver where the driver can, else behind it (generic mode), and goes with this process. XDP_PASS leaves a packet to
 * the host, so that nothing has to be kept from it.
 */
export class KernelDatapath {
  readonly tables: BalancerTables;
  readonly inspector: BpfInspector;
  readonly mode: DatapathMode;
  readonly #parts: Parts;
  readonly #nextHops: NextHops;
  #loaded: Loaded;
  #simulator: { readonly flows: FlowSimulator; readonly loaded: Loaded } | undefined;

  private constructor(parts: Parts, loaded: Loaded) {
    this.#parts = parts;
    this.#loaded = loaded;
    this.tables = parts.tables;
    this.mode = parts.mode;
    this.#nextHops = new NextHops(parts.link.index);
    this.inspector = new BpfInspector({
      programs: () => [this.#programStatus()],
      maps: () => [...parts.maps.values()].map((map) => ({ map, ...infoOf(map) })),
      btf: loaded.object.btf,
    });
  }

  /**
   * Everything that was acquired is given back when a later step fails.
   * @throws CodedError of the step that failed: BpfError with the kernel's log where it refuses the program
   */
  static async start(options: KernelDatapathOptions): Promise<KernelDatapath> {
    const { connectionTableEntries, log } = options;
    const link = AfPacketEngine.findLink(options.interface);
    const object = options.object ? loadObject(options.object) : balancerObject();
    const undo: (() => void | Promise<void>)[] = [];
    try {
      const claim = await InterfaceClaim.take(link.name);
      undo.push(() => claim.release());
      const sized = sizedObject(withLink(object, link), options.sizes);
      const host = new KernelMaps();
      const maps = createMaps<KernelMap>(sized, host);
      undo.push(() => closeAll(maps.values()));
      const tables = new BalancerTables(maps, { host });
      undo.push(() => tables.close());
      tables.attachConnectionTables(host, possibleCpus(), connectionTableEntries);
      const loaded = load(object, sized, maps, host);
      undo.push(() => unload(loaded));
      const offloads = new ReceiveOffloads(link.name);
      undo.push(() => offloads.restore());
      const { xdp, mode } = attach(loaded.program, link, log);
      return new KernelDatapath({ claim, offloads, link, host, maps, tables, xdp, mode }, loaded);
    } catch (error) {
      for (const step of undo.reverse()) await step();
      throw error;
    }
  }

  get link(): DatapathLink {
    return this.#parts.link;
  }

  /** Nothing to do: the host sees what the program passes, and nothing else. */
  protectVip(): void {}

  unprotectVip(): void {}

  /** Where frames for a backend go. */
  resolveNextHop(address: IpAddress): NextHop {
    return this.#nextHops.find(address);
  }

  /** The CPUs that packets came to, as the program counts them. */
  workers(): WorkerStatus[] {
    return this.tables.frames().map(({ total, tx, drop, pass }, index) => ({
      index,
      state: 'running',
      restarts: 0,
      lastFault: undefined,
      counters: {
        received: total.packets,
        received_bytes: total.bytes,
        transmitted: tx.packets,
        dropped: drop.packets,
        passed: pass.packets,
        program_runs: total.packets,
      },
    }));
  }

  /** @throws DatapathError DATAPATH_NO_WORKERS: the kernel runs the program, there is no thread to restart */
  restartWorker(): Promise<void> {
    const message = 'the kernel runs the program: there is no worker to restart';
    return Promise.reject(new DatapathError({ code: 'DATAPATH_NO_WORKERS' }, message));
  }

  /**
   * Run another object's program over the maps that are there, from the next packet on.
   * @param validateOnly load it, and do not run it
   * @throws DatapathError where the object's maps are not those that are there, BpfError where the kernel refuses it; what
   *   runs goes on
   */
  async swapProgram(object: Uint8Array, validateOnly = false): Promise<void> {
    const { maps, host, xdp, link } = this.#parts;
    const read = loadObject(object);
    const next = load(read, withLink(read, link), maps, host);
    try {
      if (!validateOnly) xdp.replace(next.program);
    } catch (error) {
      unload(next);
      throw error;
    }
    if (validateOnly) {
      unload(next);
      return;
    }
    const before = this.#loaded;
    this.#loaded = next;
    unload(before);
  }

  /**
   * What the balancer would do with a frame now, and why. Packets go on meanwhile, and nothing changes.
   * @throws BpfError for a frame that the kernel's test run does not take (14 to some 3,500 bytes)
   */
  simulate(frame: Uint8Array): Simulation {
    if (this.#simulator?.loaded.object !== this.#loaded.object) this.#makeSimulator();
    return this.#simulator!.flows.ask(frame);
  }

  #makeSimulator(): void {
    const { maps, host, link } = this.#parts;
    if (this.#simulator) unload(this.#simulator.loaded);
    const { object } = this.#loaded;
    const asking = withOptions(withLink(object, link), { explain: true, simulate: true });
    const loaded = load(object, asking, maps, host);
    const run = (frame: Uint8Array) => {
      const { verdict, packet } = loaded.program.testRun(frame);
      return { verdict, frame: packet };
    };
    const flows = new FlowSimulator({ maps, workers: possibleCpus(), run });
    this.#simulator = { flows, loaded };
  }

  /** Detach, and give everything back. Idempotent. */
  async stop(): Promise<void> {
    const { claim, offloads, maps, tables, xdp } = this.#parts;
    xdp.close();
    offloads.restore();
    unload(this.#loaded);
    if (this.#simulator) unload(this.#simulator.loaded);
    this.#simulator = undefined;
    tables.close();
    closeAll(maps.values());
    await claim.release();
  }

  #programStatus(): ProgramStatus {
    const runs = this.tables.frames().reduce((sum, { total }) => sum + total.packets, 0n);
    return { ...this.#loaded.status, runs, runNs: 0n };
  }
}

function attach(program: KernelProgram, { name, index }: DatapathLink, log: PoolLog) {
  try {
    return { xdp: program.attachXdp(index, 'native'), mode: 'xdp_native' } as const;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const xdp = program.attachXdp(index, 'generic');
    log(
      'warn',
      'the driver runs no XDP programs: the program runs behind it (generic mode), which is slower',
      {
        interface: name,
        reason: error.message,
      },
    );
    return { xdp, mode: 'xdp_generic' } as const;
  }
}

/**
 * @param given as it was read
 * @param object with its options set
 */
function load(
  given: ObjectSpec,
  object: ObjectSpec,
  maps: ReadonlyMap<string, KernelMap>,
  host: KernelMaps,
): Loaded {
  const start = performance.now();
  const { spec } = programOf(object);
  const constants: KernelMap[] = [];
  try {
    const live = liveMaps(object, maps, (own) => {
      const map = host.createMap(own);
      constants.push(map);
      return map;
    });
    const program = loadKernelProgram(spec, live, object.license, object.btf);
    const status = {
      name: BALANCER_PROGRAM,
      type: 'xdp',
      engine: 'kernel',
      instructions: spec.code.length / 8,
      codeBytes: Number(/^xlated_prog_len:\s*(\d+)/m.exec(fdInfo(program.fd))?.[1] ?? spec.code.length),
      loadedAtMs: Date.now(),
      loadUs: Math.round((performance.now() - start) * 1000),
      maps: object.maps.map(({ name }) => name),
    } as const;
    return { object: given, program, constants, status };
  } catch (error) {
    closeAll(constants);
    throw error;
  }
}

function unload({ program, constants }: Loaded): void {
  program.close();
  closeAll(constants);
}

function closeAll(maps: Iterable<KernelMap>): void {
  for (const map of maps) map.close();
}

const fdInfo = (fd: number): string => readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');

/** Number and memory of a map, as the kernel tells them of its descriptor. */
function infoOf({ fd }: KernelMap): { readonly id: number; readonly memoryBytes: number } {
  const text = fdInfo(fd);
  const read = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return { id: read('map_id'), memoryBytes: read('memlock') };
}
