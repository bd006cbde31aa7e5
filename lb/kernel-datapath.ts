import type { Adopted } from './balancer/adopted.js';
import { EventReader, type EventSource } from './balancer/events.js';
import { type BalancerOptions, type MapSizes, withOptions } from './balancer/object.js';
import { OPTION_NAMES } from './balancer/options.js';
import { EVENTS_MAP } from './balancer/schema.js';
import type { BalancerTables } from './balancer/tables.js';
import {
  DatapathError,
  type DatapathLink,
  type DatapathMode,
  withLink,
  withSizes,
} from './datapath-program.js';
import { attach } from './engine/attach.js';
import { findEngineLink } from './engine/engine.js';
import { InterfaceClaim } from './engine/interface-claim.js';
import { PinError } from './engine/pins.js';
import { ReceiveOffloads } from './engine/receive-offloads.js';
import { undoAll } from './engine/undo.js';
import { BpfInspector, type ProgramStatus } from './inspector.js';
import { LAYOUT, type Manifest } from './kernel-datapath-manifest.js';
import { adoptedMaps, type BalancerMaps, freshMaps } from './kernel-datapath-maps.js';
import { ownNamespace, PinDirectory, type Pinned } from './kernel-datapath-pins.js';
import {
  closeAll,
  infoOf,
  type Loaded,
  load,
  type ReadObject,
  readObject,
  unload,
} from './kernel-datapath-program.js';
import type { IpAddress } from './net/address.js';
import { FlowSimulator, type Simulation } from './simulate.js';
import { possibleCpus, RingConsumer, type XdpLink } from './sys/bpf.js';
import { type NextHop, NextHops } from './sys/netlink.js';
import type { PoolLog, WorkerStatus } from './worker/pool.js';

export interface KernelDatapathOptions {
  /** Interface that packets come in and leave by. */
  readonly interface: string;
  /** Entries of each CPU's connection table. */
  readonly connectionTableEntries: number;
  /** Object file to run in the place of the one that is shipped. */
  readonly object?: Uint8Array;
  /**
   * Options of the program; what is absent is the object's own, the longest frame the link's. Undefined at a take-over: those
   * that it ran with.
   */
  readonly options?: BalancerOptions;
  /** Entries of each CPU's table of global flows; undefined: the CPUs have none. */
  readonly globalFlowEntries?: number | undefined;
  /** Entries of maps: the kernel takes memory for all of them at once, 268 MB for the rings alone. */
  readonly sizes?: MapSizes;
  /** Tables of options that are off have their room too, so that setOptions can turn them on. */
  readonly reservesOptions?: boolean;
  /**
   * Directory of a bpffs (see defaultPinDirectory) where program, link and maps have names, so that forwarding goes on
   * without this process, and the next one takes it over. Undefined: it ends with this process.
   */
  readonly pin?: string | undefined;
  readonly log: PoolLog;
}

/** A program on its interface. */
interface Attached {
  readonly xdp: XdpLink;
  readonly mode: 'xdp_native' | 'xdp_generic';
}

interface Parts extends Attached, BalancerMaps {
  readonly claim: InterfaceClaim;
  readonly offloads: ReceiveOffloads;
  readonly link: DatapathLink;
  readonly pins: PinDirectory | undefined;
  readonly log: PoolLog;
}

/**
 * The balancer as an XDP program of the kernel: the same object, the same tables, no worker threads. It runs in the
 * driver where the driver can, else behind it (generic mode), and goes with this process unless it is pinned. XDP_PASS
 * leaves a packet to the host, so that nothing has to be kept from it.
 */
export class KernelDatapath {
  readonly tables: BalancerTables;
  readonly inspector: BpfInspector;
  readonly mode: DatapathMode;
  /** What the tables held at a take-over of what another process left pinned; undefined on a fresh start. */
  readonly adopted: Adopted | undefined;
  readonly #parts: Parts;
  readonly #nextHops: NextHops;
  #loaded: Loaded;
  #events: { readonly consumer: RingConsumer; readonly reader: EventReader } | undefined;
  #simulator: { readonly flows: FlowSimulator; readonly loaded: Loaded; readonly of: Loaded } | undefined;

  private constructor(parts: Parts, loaded: Loaded) {
    this.#parts = parts;
    this.#loaded = loaded;
    this.tables = parts.tables;
    this.mode = parts.mode;
    this.adopted = parts.adopted;
    this.#nextHops = new NextHops(parts.link.index);
    this.inspector = new BpfInspector({
      programs: () => [this.#programStatus()],
      maps: () => [...parts.maps.values()].map((map) => ({ map, ...infoOf(map) })),
      btf: loaded.object.spec.btf,
    });
  }

  /**
   * Everything that was acquired is given back when a later step fails; what was pinned before goes on then.
   * @throws CodedError of the step that failed: BpfError with the kernel's log where it refuses the program, PinError
   */
  static async start(options: KernelDatapathOptions): Promise<KernelDatapath> {
    const { log } = options;
    const link = findEngineLink(options.interface);
    const object = readObject(options.object);
    const undo: (() => unknown)[] = [];
    try {
      const claim = await InterfaceClaim.take(link.name);
      undo.push(() => claim.release());
      const pins = options.pin === undefined ? undefined : PinDirectory.open(options.pin);
      undo.push(() => pins?.release());
      const held = pins && takeOver(pins, link);
      undo.push(() => (held === undefined ? pins?.clear() : held.link.close()));
      const programOptions = options.options ?? heldOptions(held);
      const linked = withLink(object.spec, link, programOptions);
      const sized = withSizes(linked, options.sizes, options.reservesOptions ?? false);
      const wanted = {
        object: sized,
        connectionTableEntries: options.connectionTableEntries,
        globalFlowEntries: options.globalFlowEntries,
        log,
      };
      const balancer = held === undefined ? freshMaps(wanted) : adoptedMaps(pins!, wanted);
      undo.push(() => {
        balancer.tables.close();
        closeAll(balancer.maps.values());
      });
      const loaded = load(object, programOptions, sized, balancer.maps);
      undo.push(() => unload(loaded));
      const runs = held !== undefined && held.link.ifindex !== 0;
      if (held !== undefined && !runs) leave(held, log);
      const offloads = new ReceiveOffloads(link.name, runs ? held.manifest.turnedOff : []);
      if (!runs) undo.push(() => offloads.restore());
      const attached = runs ? goOn(held, loaded) : attachAnew(loaded, link, log);
      undo.push(() => attached.xdp.close());
      balancer.settle();
      const parts = { ...attached, ...balancer, claim, offloads, link, pins, log };
      pins?.write({
        maps: balancer.maps,
        program: loaded.program,
        link: attached.xdp,
        manifest: manifestOf(parts, loaded),
      });
      return new KernelDatapath(parts, loaded);
    } catch (error) {
      await undoAll(undo, log);
      throw error;
    }
  }

  /** Whether forwarding goes on when this is stopped. */
  get isPinned(): boolean {
    return this.#parts.pins !== undefined;
  }

  get link(): DatapathLink {
    return this.#parts.link;
  }

  /** Nothing to do: the host sees what the program passes, and nothing else. */
  async protectVips(): Promise<void> {}

  async unprotectVips(): Promise<void> {}

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
  swapProgram(object: Uint8Array, validateOnly = false): Promise<void> {
    return this.#run(readObject(object), this.#loaded.options, validateOnly);
  }

  /**
   * Run the program with other options, from the next packet on; what is absent is the object's own.
   * @param validateOnly load it, and do not run it
   * @throws OptionsError, BpfError where the kernel refuses it; what runs goes on
   */
  setOptions(options: BalancerOptions, validateOnly = false): Promise<void> {
    return this.#run(this.#loaded.object, options, validateOnly);
  }

  async #run(object: ReadObject, options: BalancerOptions, validateOnly: boolean): Promise<void> {
    const { maps, xdp, link, pins } = this.#parts;
    const next = load(object, options, withLink(object.spec, link, options), maps);
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
    pins?.writeProgram(next.program, manifestOf(this.#parts, next));
  }

  /**
   * What the balancer would do with a frame now, and why. Packets go on meanwhile, and nothing changes.
   * @throws BpfError for a frame that the kernel's test run does not take (14 to some 3,500 bytes)
   */
  simulate(frame: Uint8Array): Simulation {
    if (this.#simulator?.of !== this.#loaded) this.#makeSimulator();
    return this.#simulator!.flows.ask(frame);
  }

  #makeSimulator(): void {
    const { maps, link } = this.#parts;
    if (this.#simulator) unload(this.#simulator.loaded);
    const of = this.#loaded;
    const asking = withOptions(withLink(of.object.spec, link, of.options), { explain: true, simulate: true });
    const loaded = load(of.object, of.options, asking, maps);
    const run = (frame: Uint8Array) => {
      const { verdict, packet } = loaded.program.testRun(frame);
      return { verdict, frame: packet };
    };
    const flows = new FlowSimulator({ maps, workers: possibleCpus(), run });
    this.#simulator = { flows, loaded, of };
  }

  /**
   * Packets that the program reports: with the option `eventsEnabled`, while `tables.setEvents` has them on. The same source
   * at each call: there is one consumer.
   * @throws SysError where the ring cannot be mapped
   */
  events(): EventSource {
    if (this.#events === undefined) {
      const consumer = new RingConsumer(this.#parts.maps.get(EVENTS_MAP)!);
      const reader = new EventReader(consumer, () => this.tables.counters().events_lost.v1);
      this.#events = { consumer, reader };
    }
    return this.#events.reader;
  }

  /** Detach, unless it is pinned, and give everything back. Idempotent. */
  async stop(): Promise<void> {
    const { claim, offloads, maps, tables, xdp, pins, link, log } = this.#parts;
    if (pins === undefined) offloads.restore();
    else if (xdp.fd >= 0) log('info', 'forwarding goes on', { interface: link.name, pins: pins.path });
    xdp.close();
    unload(this.#loaded);
    if (this.#simulator) unload(this.#simulator.loaded);
    this.#simulator = undefined;
    this.#events?.consumer.close();
    tables.close();
    closeAll(maps.values());
    pins?.release();
    await claim.release();
  }

  #programStatus(): ProgramStatus {
    const runs = this.tables.frames().reduce((sum, { total }) => sum + total.packets, 0n);
    return { ...this.#loaded.status, runs, runNs: 0n };
  }
}

/**
 * What is pinned, where it is this interface's.
 * @throws PinError PINS_INTERFACE, PINS_BROKEN
 */
function takeOver(pins: PinDirectory, { name, index }: DatapathLink): Pinned | undefined {
  const held = pins.read();
  if (held === undefined) return undefined;
  const { manifest, link } = held;
  const isGone = link.ifindex === 0;
  if (isGone || (link.ifindex === index && manifest.namespace === ownNamespace())) return held;
  link.close();
  throw new PinError(
    { code: 'PINS_INTERFACE', directory: pins.path, interface: manifest.interface },
    `pin: what is pinned at ${pins.path} runs on interface ${manifest.interface} (number ${manifest.ifindex} in ${manifest.namespace}), which is not ${name} (number ${index} in ${ownNamespace()}): choose another directory, or remove it with 'waggle down'`,
  );
}

/** What the program ran with, as far as this version knows it: packets meet no other program until somebody asks for one. */
function heldOptions(held: Pinned | undefined): BalancerOptions {
  const known = Object.entries(held?.manifest.options ?? {}).filter(([name]) =>
    OPTION_NAMES.some((option) => option === name),
  );
  return Object.fromEntries(known);
}

/** Run the new program where the pinned one runs, from the next packet on. */
function goOn({ link, manifest }: Pinned, loaded: Loaded): Attached {
  link.replace(loaded.program);
  return { xdp: link, mode: manifest.mode };
}

function attachAnew({ program }: Loaded, link: DatapathLink, log: PoolLog): Attached {
  const { xdp, mode } = attach(program, link, log, 'the program runs behind it (generic mode)');
  return { xdp, mode: `xdp_${mode}` };
}

/** A link whose interface is gone runs nothing: what takes its place is attached anew. */
function leave({ link, manifest }: Pinned, log: PoolLog): void {
  const message = 'the interface that the pinned program ran on is gone: it is attached anew';
  log('warn', message, { interface: manifest.interface });
  link.close();
}

function manifestOf(
  { link, mode, offloads }: Pick<Parts, 'link' | 'mode' | 'offloads'>,
  loaded: Loaded,
): Manifest {
  return {
    layout: LAYOUT,
    interface: link.name,
    ifindex: link.index,
    namespace: ownNamespace(),
    mode,
    object: loaded.object.sha256,
    options: loaded.options,
    turnedOff: offloads.turnedOff,
  };
}
