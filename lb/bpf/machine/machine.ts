import type { StepListener } from '../engine/interpreter.js';
import type { HelperUser } from '../helpers/prototypes.js';
import { readTraceLog, type TraceLine } from '../helpers/trace-log.js';
import type { MapSpec } from '../maps/map.js';
import { type ArenaMap, ArenaMaps, mapBytes } from '../maps/registry.js';
import { TypedMap } from '../maps/typed-map.js';
import { Arena } from '../memory/arena.js';
import { RING_PAGE_BYTES } from '../memory/layout.js';
import { createMaps } from '../object/create-maps.js';
import { setGlobals } from '../object/globals.js';
import type { ObjectSpec, ProgramSpec } from '../object/spec.js';
import type { BtfValue } from '../object/values.js';
import type { EngineName } from '../sandbox.js';
import type { TraceRegion } from '../trace.js';
import { MachineCpu, PACKET_BYTES } from './cpu.js';
import { Events } from './events.js';
import { MachineError, named } from './fault.js';
import { findGlobal, Global } from './global.js';
import { isRunnable, LoadedProgram } from './loaded.js';
import { OfferedMaps } from './offered-maps.js';
import { MachineProgram } from './program.js';
import { programCodec } from './program-codec.js';
import { regionsOf } from './regions.js';

/** Room for maps that are created beside the object's own, rings of events among them: takes memory as it is written. */
const SPARE_MAPS_BYTES = 64 * 2 ** 20;

export interface MachineOptions {
  /** Unless given, the JIT. */
  readonly engine?: EngineName;
  /** CPUs that programs can run on; 1 unless given. Per-CPU values have one more, the control plane's own. */
  readonly cpus?: number;
  /** Gives the monotonic clock, ns (bpf_ktime_get_ns), before each run. Unless given it stands at 0. */
  readonly clock?: () => bigint;
  /** Initial values of global variables by name, constants too. */
  readonly globals?: Readonly<Record<string, unknown>>;
  /** Entries of maps by name, in the place of what the object says. */
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Types of programs by name whose sections do not say one. */
  readonly types?: Readonly<Record<string, HelperUser>>;
  /** Prove that programs are safe before they run: true unless given. Without it only trusted objects may be run. */
  readonly verify?: boolean;
  /** Sees each instruction; only of the interpreter. */
  readonly onStep?: StepListener;
  /** Where seeds come from; the platform's generator unless given. */
  readonly randomU64?: () => bigint;
}

/**
 * An object that runs: a memory of its own with the object's maps, and each XDP and TC program of it checked and
 * compiled. A program that cannot be loaded does not hinder the others: `program` throws for it, and tail calls to it
 * fall through.
 *
 * All of it belongs to one thread, and programs run one at a time.
 */
export class Machine {
  readonly object: ObjectSpec;
  readonly #arena: Arena;
  readonly #host: ArenaMaps;
  readonly #offered: OfferedMaps;
  /** By name, in the order that programs number them in. */
  readonly #maps: ReadonlyMap<string, ArenaMap>;
  readonly #cpus: readonly MachineCpu[];
  readonly #programs = new Map<string, MachineProgram>();
  readonly #refused = new Map<string, unknown>();
  readonly #typed = new Map<string, TypedMap>();
  readonly #events = new Map<string, Events<unknown>>();
  #closed = false;

  /**
   * @throws GlobalError; MachineError MACHINE_MAP; ArenaError where the maps are too large, MapError for a map that
   *   cannot be created
   */
  static create(object: ObjectSpec, options: MachineOptions = {}): Machine {
    const { globals = {} } = options;
    const maps = setGlobals(object.maps, object.globals, globals, object.btf);
    return new Machine({ ...object, maps }, options);
  }

  private constructor(object: ObjectSpec, options: MachineOptions) {
    const { cpus = 1, maxEntries = {}, randomU64 } = options;
    for (const name of Object.keys(maxEntries)) this.#checkMap(object, name);
    const adjust = (spec: MapSpec): MapSpec => {
      const entries = maxEntries[spec.name] ?? entriesOf(spec, cpus);
      return entries === spec.maxEntries ? spec : { ...spec, maxEntries: entries };
    };
    const random = randomU64 === undefined ? {} : { randomU64 };
    this.object = object;
    this.#offered = new OfferedMaps(object);
    const placed = this.#offered.placed(object);
    this.#arena = Arena.create({
      workers: cpus,
      mapsBytes: placed.maps.reduce((sum, spec) => sum + mapBytes(adjust(spec), cpus + 1), SPARE_MAPS_BYTES),
      ringsBytes: cpus * PACKET_BYTES,
      ...random,
    });
    this.#host = new ArenaMaps(this.#arena, random);
    this.#maps = createMaps(placed, this.#host, adjust);
    const { clock = () => 0n } = options;
    this.#cpus = Array.from({ length: cpus }, (_, cpu) => new MachineCpu(this.#arena, cpu, clock));
    for (const spec of object.programs) {
      const type = options.types?.[spec.name] ?? spec.type;
      if (isRunnable(type)) this.#load(spec, type, options);
    }
    for (const { name, error } of object.refused ?? []) this.#refused.set(name, error);
    this.#fillProgramArrays();
  }

  /** Names of the programs that can be run. */
  get programs(): readonly string[] {
    return [...this.#programs.keys()];
  }

  /** Programs that cannot be linked, checked or compiled, and why. */
  get refused(): ReadonlyMap<string, unknown> {
    return this.#refused;
  }

  /** Names of the maps, data sections among them; without those whose types are not offered. */
  get maps(): readonly string[] {
    return [...this.#maps.keys()].filter((name) => this.#offered.has(name));
  }

  /** The maps below, to create further ones (inner maps of a map of maps). */
  get host(): ArenaMaps {
    return this.#host;
  }

  /** @throws MachineError MACHINE_PROGRAM, MACHINE_LOAD with the reason as `cause`, MACHINE_CLOSED */
  program(name: string): MachineProgram {
    this.#checkOpen();
    const program = this.#programs.get(name);
    if (program !== undefined) return program;
    const cause = this.#refused.get(name);
    if (cause !== undefined) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new MachineError(
        { code: 'MACHINE_LOAD', program: name },
        `program ${name} cannot be loaded: ${why}`,
        { cause },
      );
    }
    const fault = { code: 'MACHINE_PROGRAM', program: name, programs: this.programs } as const;
    const other = this.object.programs.find((spec) => spec.name === name);
    if (other !== undefined) {
      const what = other.type === 'unspec' ? 'a section that names no type' : `type ${other.type}`;
      const message = `program ${name} is of ${what} (${other.section}); only xdp and sched_cls (TC) programs run here`;
      throw new MachineError(fault, message);
    }
    throw new MachineError(fault, `no program ${name} that can be run; there are ${named(this.programs)}`);
  }

  /** A map, by the C types of its keys and values. @throws MachineError MACHINE_MAP, MACHINE_MAP_TYPE, MACHINE_CLOSED */
  map<K = BtfValue, V = BtfValue>(name: string): TypedMap<K, V> {
    const map = this.#arenaMap(name);
    const typed = this.#typed.get(name) ?? this.typed(map);
    this.#typed.set(name, typed);
    return typed as unknown as TypedMap<K, V>;
  }

  /** A map of this machine's `host`, such as a new inner map, by the types of this object. */
  typed<K = BtfValue, V = BtfValue>(map: ArenaMap): TypedMap<K, V> {
    if (map.info.type !== 'PROG_ARRAY') return new TypedMap(map, { btf: this.object.btf });
    const codec = programCodec(this.#host.programs, (name) => this.program(name).number);
    return new TypedMap(map, { btf: this.object.btf, value: codec });
  }

  /**
   * A global variable of the object. @throws MachineError MACHINE_GLOBAL, MACHINE_CLOSED
   */
  global<V = BtfValue>(name: string): Global<V> {
    const spec = findGlobal(this.object, name);
    return new Global<V>(this.object, spec, this.#arenaMap(spec.map));
  }

  /**
   * What programs send through a RINGBUF or PERF_EVENT_ARRAY from now on; there is one consumer for each map. Before
   * the first call, a PERF_EVENT_ARRAY has no rings and programs get -ENOENT.
   * @param type C type of an event; without it events are bytes
   * @throws MachineError MACHINE_MAP, MACHINE_TYPE, MACHINE_CLOSED; MapError MAP_TYPE
   */
  events<T = Uint8Array>(name: string, type?: string): Events<T> {
    const map = this.#arenaMap(name);
    const events =
      this.#events.get(name) ??
      new Events<unknown>(this.#host, map, this.#cpus.length, this.object.btf, type);
    this.#events.set(name, events);
    return events as Events<T>;
  }

  /** What programs printed (bpf_printk) since the last call, CPU by CPU. */
  traceLog(): TraceLine[] {
    const lines: TraceLine[] = [];
    for (const cpu of this.#cpus.keys()) readTraceLog(this.#arena, cpu, (line) => lines.push(line));
    return lines;
  }

  /** What pointers of a program lead to now on its CPU: context, packet, stack, maps. */
  regions(program: MachineProgram, cpu = 0): readonly TraceRegion[] {
    return regionsOf(this.#arena, cpu, program.type, this.#maps);
  }

  /** Idempotent. Nothing of the machine can be used any more; its memory goes when nothing refers to it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const map of this.#maps.values()) map.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #load(spec: ProgramSpec, type: HelperUser, options: MachineOptions): void {
    const { programs } = this.#host;
    const number = programs.allocate(spec.name);
    try {
      this.#offered.checkProgram(spec);
      const maps = [...this.#maps.values()];
      const { engine = 'jit', verify = true } = options;
      const loaded = new LoadedProgram(spec, number, maps, { object: this.object, type, engine, verify });
      const executables = this.#cpus.map(({ runtime }) => loaded.instantiate(runtime, options.onStep));
      this.#programs.set(
        spec.name,
        new MachineProgram(loaded, this.#cpus, executables, (at) => this.#mapAt(at)),
      );
    } catch (error) {
      programs.release(number);
      this.#refused.set(spec.name, error);
    }
  }

  #fillProgramArrays(): void {
    for (const { name, programs = [] } of this.object.maps) {
      for (const { index, program } of programs) {
        // A slot without its program is empty: a tail call through it falls through.
        if (this.#programs.has(program)) this.map(name).set(index, program);
      }
    }
  }

  #arenaMap(name: string): ArenaMap {
    this.#checkOpen();
    this.#checkMap(this.object, name);
    this.#offered.check(name);
    return this.#maps.get(name)!;
  }

  #checkMap(object: ObjectSpec, name: string): void {
    const maps = object.maps.map((spec) => spec.name);
    if (maps.includes(name)) return;
    throw new MachineError(
      { code: 'MACHINE_MAP', map: name, maps },
      `no map ${name}; there are ${named(maps)}`,
    );
  }

  /** Name of the map that lies at an offset. */
  #mapAt(descriptor: number): string | undefined {
    return this.#host.all.find(({ info }) => info.descriptor === descriptor)?.spec.name;
  }

  #checkOpen(): void {
    if (this.#closed) throw new MachineError({ code: 'MACHINE_CLOSED' }, 'the machine is closed');
  }
}

/** As libbpf has it: a perf array of no size has a slot for each CPU, a ring buffer is made of whole pages. */
function entriesOf({ type, maxEntries }: MapSpec, cpus: number): number {
  if (type === 'PERF_EVENT_ARRAY' && maxEntries === 0) return cpus;
  if (type !== 'RINGBUF' || maxEntries === 0) return maxEntries;
  return 2 ** Math.ceil(Math.log2(Math.max(maxEntries, RING_PAGE_BYTES)));
}
