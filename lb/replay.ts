import { setFlagsFromString } from 'node:v8';
import {
  type CompanionConfig,
  companionProgram,
  configureCompanion,
  withCompanionOptions,
} from './balancer/companions/config.js';
import { connectionTableSpec } from './balancer/connections.js';
import {
  BALANCER_PROGRAM,
  type BalancerOptions,
  balancerObject,
  type MapSizes,
  sizedObject,
  withOptions,
} from './balancer/object.js';
import { encode, MAX_CPUS, U32 } from './balancer/schema.js';
import { BalancerTables } from './balancer/tables.js';
import { TC_ACT_OK, TC_ACT_REDIRECT, TC_ACTION_NAMES, VERDICT_NAMES, XDP_TX } from './bpf/engine/context.js';
import type { BpfMap, MapHost } from './bpf/maps/map.js';
import { loadObject } from './bpf/object/load.js';
import type { ObjectSpec } from './bpf/object/spec.js';
import { Replay } from './engine/replay.js';
import { findReplayProgram, type ReplayEngine, type ReplayEngineName } from './engine/replay-engine.js';
import { KernelReplay } from './engine/replay-kernel.js';
import { balancerCounters, type CounterGroup, companionGroup } from './replay-counters.js';
import {
  type DecisionReader,
  decisionReader,
  type RawDecision,
  reasonName,
  tableName,
  vipOf,
} from './replay-decisions.js';
import { ReplayNames } from './replay-names.js';
import { CounterReasons } from './replay-reasons.js';
import { FlowSimulator } from './simulate.js';

/** How a replay is set up. */
export interface PacketReplayOptions {
  readonly engine: ReplayEngineName;
  /** The object; the balancer that is shipped unless given. */
  readonly object?: ObjectSpec;
  /** Which program of it: its C function or its section; the first XDP or TC program unless given. */
  readonly section?: string;
  /** CPUs that frames are spread over; 1 unless given. */
  readonly workers?: number;
  /** Of a companion's object: the sections of a configuration file that are for it. */
  readonly companion?: CompanionConfig;
  /** Of a balancer's object. */
  readonly options?: BalancerOptions;
  readonly sizes?: MapSizes;
  /** Entries of each worker's connection table. */
  readonly connections?: number;
  /** Entries of each worker's table of flows from outside, with the option globalLru. */
  readonly globalFlows?: number;
  /** Say why each packet went where it went: costs a little time for each. True unless given. */
  readonly explain?: boolean;
}

/** What became of a packet. Packets of one fate have the same object: there are few, whatever the number of packets. */
export interface PacketFate {
  /** XDP_TX, TC_ACT_SHOT …; the number where it has no name. */
  readonly verdict: string;
  /** Why, one word; without `explain` an empty text. */
  readonly reason: string;
  /** `10.200.1.1:80/tcp`; null for none. */
  readonly vip: string | null;
  /** Its address; null for none. */
  readonly backend: string | null;
  /** Who chose the backend; null for none. */
  readonly table: string | null;
  /** Whether it leaves: XDP_TX, TC_ACT_OK, TC_ACT_REDIRECT. */
  readonly leaves: boolean;
}

export interface PacketOutcome {
  readonly fate: PacketFate;
  /** The frame as the program left it. */
  readonly frame: Uint8Array;
}

export interface PacketRun {
  readonly worker?: number;
  readonly mark?: number;
}

const CONNECTIONS = 65_536;
const GLOBAL_FLOWS = 65_536;

/** Whether an object's maps are those of a balancer. */
export const isBalancerObject = (object: ObjectSpec): boolean =>
  object.maps.some(({ name }) => name === 'vip_map') && object.maps.some(({ name }) => name === 'ch_rings');

/** An object file, read; without bytes the balancer that is shipped. @throws ObjectError */
export function replayObject(bytes?: Uint8Array): ObjectSpec {
  return bytes === undefined ? balancerObject() : loadObject(bytes);
}

/**
 * Have V8 compile wasm to optimised code at once: a replay of many packets must not wait for the warming up. To be
 * called before anything is compiled; it holds for the whole process.
 */
export function optimiseReplay(): void {
  setFlagsFromString('--no-liftoff');
}

/**
 * Packets through one program, and what became of each: the balancer with its tables, or any other XDP or TC program.
 * Nothing is opened but, with the engine `kernel`, maps and programs of the kernel.
 */
export class PacketReplay {
  /** The balancer's tables, to be configured; undefined for another program. */
  readonly tables: BalancerTables | undefined;
  readonly program: string;
  readonly workers: number;
  readonly names: ReplayNames;
  readonly #engine: ReplayEngine;
  readonly #decisions: DecisionReader | undefined;
  readonly #reasons: CounterReasons | undefined;
  readonly #selectWorker: ((worker: number) => void) | undefined;
  readonly #workerTables: BpfMap[] = [];
  readonly #fates = new Map<number, PacketFate>();
  readonly #plainFates = new Map<string, PacketFate>();
  #worker = 0;

  /**
   * @throws ReplayError for an object without such a program; OptionsError, TablesError; what loading, checking and
   *   compiling throw; BpfError where the kernel refuses
   */
  constructor(options: PacketReplayOptions) {
    const { engine, workers = 1, explain = true, connections = CONNECTIONS } = options;
    const given = options.object ?? balancerObject();
    const isBalancer = isBalancerObject(given);
    const { companion = {} } = options;
    const object = isBalancer
      ? balancerWith(given, options, explain)
      : withCompanionOptions(given, companion);
    const section = options.section ?? usualProgram(given, isBalancer, companion);
    const program = findReplayProgram(object, section).name;
    this.program = program;
    this.workers = workers;
    this.#engine =
      engine === 'kernel'
        ? new KernelReplay({ object, program, workers })
        : new Replay({ object, program, engine, workers });
    const { maps, host } = this.#engine;
    this.names = new ReplayNames(maps);
    if (isBalancer) {
      const { udpTimeoutNs } = options.options ?? {};
      this.tables = new BalancerTables(maps, { host, udpTimeoutNs });
      if (engine === 'kernel') this.#selectWorker = this.#attachKernelTables(connections);
      else this.tables.attachConnectionTables(host, workers, connections);
      if (options.options?.globalLru === true)
        this.tables.attachGlobalTables(host, this.#cpus(), options.globalFlows ?? GLOBAL_FLOWS);
    }
    if (!isBalancer) configureCompanion(maps, companion);
    const decisions = maps.get('decisions');
    if (!explain) return;
    if (isBalancer && decisions !== undefined) {
      const words = this.#engine instanceof Replay ? this.#engine.host.arena.u32 : undefined;
      this.#decisions = decisionReader(decisions, words);
    } else this.#reasons = new CounterReasons(maps);
  }

  get maps(): ReadonlyMap<string, BpfMap> {
    return this.#engine.maps;
  }

  get host(): MapHost {
    return this.#engine.host;
  }

  /** TC programs have no verdicts of XDP, and see the packet's mark. */
  get type(): 'xdp' | 'sched_cls' {
    return this.#engine.type;
  }

  get minFrameBytes(): number {
    return this.#engine.minFrameBytes;
  }

  get maxFrameBytes(): number {
    return this.#engine.maxFrameBytes;
  }

  /**
   * Run one packet.
   * @param clockNs the program's monotonic clock; the engine `kernel` has its own
   * @throws ReplayError; BpfError
   */
  run(frame: Uint8Array, clockNs: bigint, { worker = 0, mark = 0 }: PacketRun = {}): PacketOutcome {
    if (this.#selectWorker !== undefined && worker !== this.#worker) {
      this.#selectWorker(worker);
      this.#worker = worker;
    }
    this.#decisions?.prepare();
    this.#reasons?.prepare();
    const { verdict, frame: left } = this.#engine.run(frame, clockNs, { worker, mark });
    if (this.#decisions === undefined) return { fate: this.#fateByVerdict(verdict), frame: left };
    return { fate: this.#fateByDecision(verdict, this.#decisions.read(worker)), frame: left };
  }

  /** Run one packet on worker 0, with the clock as it is. @returns the program's result as a number, and the frame */
  runRaw(frame: Uint8Array): { readonly verdict: number; readonly frame: Uint8Array } {
    return this.#engine.run(frame);
  }

  /** Everything that was counted. */
  counters(): CounterGroup {
    return this.tables === undefined
      ? companionGroup(this.maps, this.program)
      : balancerCounters(this.tables, this.names);
  }

  /** Give everything back. Idempotent. */
  close(): void {
    this.tables?.close();
    for (const table of this.#workerTables.splice(0)) table.close();
    this.#engine.close();
  }

  #fateByDecision(verdict: number, decision: RawDecision): PacketFate {
    const { reason, table, vipNumber, real } = decision;
    // Each has its bits: 48 in all, which a number holds.
    const key = (((verdict * 64 + reason) * 8 + table) * 2 ** 16 + vipNumber) * 2 ** 20 + real;
    const known = this.#fates.get(key);
    if (known !== undefined) return known;
    const fate = {
      verdict: this.#verdictName(verdict),
      reason: reasonName(reason),
      vip: this.names.vip(vipOf(decision)),
      backend: this.names.backend(real),
      table: tableName(decision),
      leaves: this.#leaves(verdict),
    };
    this.#fates.set(key, fate);
    return fate;
  }

  #fateByVerdict(verdict: number): PacketFate {
    const name = this.#verdictName(verdict);
    const reason = this.#reasons?.reason(name) ?? '';
    const key = `${name} ${reason}`;
    const known = this.#plainFates.get(key);
    if (known !== undefined) return known;
    const leaves = this.#leaves(verdict);
    const fate = { verdict: name, reason, vip: null, backend: null, table: null, leaves };
    this.#plainFates.set(key, fate);
    return fate;
  }

  #leaves(verdict: number): boolean {
    return this.type === 'xdp' ? verdict === XDP_TX : verdict === TC_ACT_OK || verdict === TC_ACT_REDIRECT;
  }

  #verdictName(verdict: number): string {
    if (this.type === 'xdp') return VERDICT_NAMES[verdict] ?? String(verdict);
    return verdict === -1 ? 'TC_ACT_UNSPEC' : (TC_ACTION_NAMES[verdict] ?? String(verdict));
  }

  /** CPUs that the program may find itself on. */
  #cpus(): number {
    const copies = this.maps.get('stats')?.cpus ?? this.workers;
    return this.#engine instanceof Replay ? this.workers : Math.min(copies, MAX_CPUS);
  }

  /**
   * The kernel runs on whatever CPU it likes: each worker has a table, and all CPUs are pointed at that of the worker
   * in hand.
   */
  #attachKernelTables(entries: number): (worker: number) => void {
    const mapping = this.maps.get('lru_mapping');
    for (let worker = 0; worker < this.workers; worker++)
      this.#workerTables.push(this.host.createMap(connectionTableSpec(worker, entries)));
    const cpus = this.#cpus();
    const select = (worker: number) => {
      const table = this.#workerTables[worker]!;
      for (let cpu = 0; cpu < cpus; cpu++) mapping?.updateInner(encode(U32, { value: cpu }), table);
    };
    select(0);
    return select;
  }
}

/** The program that an object is there for, where it is known; else undefined. */
function usualProgram(
  object: ObjectSpec,
  isBalancer: boolean,
  companion: CompanionConfig,
): string | undefined {
  if (!isBalancer) return companionProgram(object, companion);
  return object.programs.some(({ name }) => name === BALANCER_PROGRAM) ? BALANCER_PROGRAM : undefined;
}

/** The object with its options, and maps of the sizes that are asked for. */
function balancerWith(
  object: ObjectSpec,
  { options = {}, sizes = {} }: PacketReplayOptions,
  explain: boolean,
): ObjectSpec {
  return sizedObject(withOptions(object, { ...options, ...(explain ? { explain } : {}) }), sizes);
}

/** A replay of a balancer with the option `simulate`, to be asked about packets. */
export function simulatorOf(replay: PacketReplay): FlowSimulator {
  return new FlowSimulator({
    maps: replay.maps,
    workers: replay.workers,
    names: replay.names,
    run: (frame) => replay.runRaw(frame),
  });
}
