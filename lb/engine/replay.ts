import type { Executable } from '../bpf/engine/context.js';
import { interpret } from '../bpf/engine/interpreter.js';
import { compileProgram, instantiateProgram } from '../bpf/jit/compile.js';
import type { BpfMap, MapSpec } from '../bpf/maps/map.js';
import { type ArenaMap, ArenaMaps, mapBytes } from '../bpf/maps/registry.js';
import { instantiateRuntime, type Runtime } from '../bpf/maps/runtime.js';
import { Arena } from '../bpf/memory/arena.js';
import {
  CPU_CLOCK_NS,
  CPU_XDP_MD,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_EGRESS_IFINDEX,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
  XDP_MD_INGRESS_IFINDEX,
  XDP_MD_RX_QUEUE_INDEX,
} from '../bpf/memory/layout.js';
import { createMaps } from '../bpf/object/create-maps.js';
import type { ObjectSpec, ProgramSpec } from '../bpf/object/spec.js';
import { admitProgram } from '../bpf/verifier/admit.js';
import { CodedError } from '../errors.js';

/** Room before a frame, bytes: the kernel's XDP_PACKET_HEADROOM. */
export const REPLAY_HEADROOM_BYTES = 256;
/** Longest frame that is replayed, bytes. */
export const REPLAY_MAX_FRAME_BYTES = 65535;
/** Room behind the longest frame for adjust_tail, bytes. */
const TAILROOM_BYTES = 257;
/** The one worker's CPU; the other one is the control plane's. */
const CPU = 0;
/** BPF_PROG_TEST_RUN without a context runs as if on the loopback interface; so does a replay. */
const IFINDEX = 1;
/** Room for maps that are created beside the object's own; memory that is not written takes no page. */
const SPARE_MAPS_BYTES = 64 * 2 ** 20;
const LRU_TYPES: ReadonlySet<string> = new Set(['LRU_HASH', 'LRU_PERCPU_HASH']);

type ReplayFault =
  | { readonly code: 'REPLAY_PROGRAM'; readonly program: string; readonly programs: readonly string[] }
  | { readonly code: 'REPLAY_FRAME'; readonly bytes: number; readonly maxBytes: number };
/** The object has no such program, or a frame is too long. */
export class ReplayError extends CodedError<ReplayFault> {}

export interface ReplayOptions {
  readonly object: ObjectSpec;
  /** Name of the program (its C function). */
  readonly program: string;
  readonly engine: 'jit' | 'interpreter';
  /** Upper bound on the entries of each LRU map of the object: production sizes would take production memory. */
  readonly lruEntries?: number;
}

export interface ReplayResult {
  /** What the program returned (an XDP verdict, see VERDICT_NAMES). */
  readonly verdict: number;
  /** The frame as the program left it: a copy. */
  readonly frame: Uint8Array;
}

/**
 * Runs one XDP program over frames, offline: an arena of its own, one worker's CPU, no privileges.
 * Maps keep their content from frame to frame, as on an interface.
 */
export class Replay {
  /** The object's maps by name. */
  readonly maps: ReadonlyMap<string, BpfMap>;
  /** To create further maps beside them (inner maps of a map of maps). */
  readonly host: ArenaMaps;
  /** CPUs that programs see copies of per-CPU values for; the program runs on CPU 0. */
  readonly cpus: number;
  readonly #arena: Arena;
  readonly #executable: Executable;
  readonly #view: DataView;
  readonly #context: number;

  /** @throws ReplayError REPLAY_PROGRAM; what decoding, checking, compiling and map creation throw */
  constructor({ object, program, engine, lruEntries }: ReplayOptions) {
    const spec = object.programs.find(({ name }) => name === program);
    if (spec === undefined) throw noProgram(object, program);
    const size = (map: MapSpec): MapSpec =>
      lruEntries !== undefined && LRU_TYPES.has(map.type) && map.maxEntries > lruEntries
        ? { ...map, maxEntries: lruEntries }
        : map;
    const adjust = (map: MapSpec): MapSpec =>
      size(map.inner === undefined ? map : { ...map, inner: size(map.inner) });

    const workers = 1;
    const mapsBytes = object.maps.reduce(
      (sum, map) => sum + mapBytes(adjust(map), workers + 1),
      SPARE_MAPS_BYTES,
    );
    const ringsBytes = REPLAY_HEADROOM_BYTES + REPLAY_MAX_FRAME_BYTES + TAILROOM_BYTES;
    const arena = Arena.create({ workers, mapsBytes, ringsBytes });
    const host = new ArenaMaps(arena);
    const maps = createMaps<ArenaMap>(object, host, adjust);
    const runtime = instantiateRuntime(arena.memory, CPU);
    this.#arena = arena;
    this.maps = maps;
    this.host = host;
    this.cpus = arena.cpus;
    this.#view = new DataView(arena.u8.buffer);
    this.#context = arena.block(CPU) + CPU_XDP_MD;
    this.#executable = prepare(object, spec, [...maps.values()], engine, runtime);
  }

  /**
   * Run the program over one frame.
   * @param frame from the Ethernet header on; it is copied
   * @param clockNs what bpf_ktime_get_ns gives; without it the clock stays where it was (0 at first)
   * @throws ReplayError REPLAY_FRAME for a frame over REPLAY_MAX_FRAME_BYTES
   */
  run(frame: Uint8Array, clockNs?: bigint): ReplayResult {
    if (frame.length > REPLAY_MAX_FRAME_BYTES) {
      const fault = { code: 'REPLAY_FRAME', bytes: frame.length, maxBytes: REPLAY_MAX_FRAME_BYTES } as const;
      throw new ReplayError(
        fault,
        `frame of ${frame.length} bytes: at most ${REPLAY_MAX_FRAME_BYTES} are possible`,
      );
    }
    const arena = this.#arena;
    if (clockNs !== undefined) this.#view.setBigUint64(arena.block(CPU) + CPU_CLOCK_NS, clockNs, true);

    const start = arena.rings.offset;
    const data = start + REPLAY_HEADROOM_BYTES;
    const end = start + REPLAY_HEADROOM_BYTES + REPLAY_MAX_FRAME_BYTES + TAILROOM_BYTES;
    // What the last frame left around this one must not show: the same frame gives the same result.
    arena.u8.fill(0, start, data);
    arena.u8.set(frame, data);
    this.#set(XDP_MD_DATA, data);
    this.#set(XDP_MD_DATA_END, data + frame.length);
    this.#set(XDP_MD_DATA_META, data);
    this.#set(XDP_MD_INGRESS_IFINDEX, IFINDEX);
    this.#set(XDP_MD_RX_QUEUE_INDEX, 0);
    this.#set(XDP_MD_EGRESS_IFINDEX, 0);
    this.#set(XDP_MD_HARD_START, start);
    this.#set(XDP_MD_HARD_END, end);

    const verdict = this.#executable.run(this.#context) >>> 0;
    return { verdict, frame: arena.u8.slice(this.#get(XDP_MD_DATA), this.#get(XDP_MD_DATA_END)) };
  }

  #set(field: number, value: number): void {
    this.#view.setUint32(this.#context + field, value, true);
  }

  #get(field: number): number {
    return this.#view.getUint32(this.#context + field, true);
  }
}

function noProgram(object: ObjectSpec, program: string): ReplayError {
  const programs = object.programs.map(({ name }) => name);
  const fault = { code: 'REPLAY_PROGRAM', program, programs } as const;
  return new ReplayError(fault, `no program ${program}; the object has ${programs.join(', ') || 'none'}`);
}

function prepare(
  object: ObjectSpec,
  spec: ProgramSpec,
  maps: readonly ArenaMap[],
  engine: 'jit' | 'interpreter',
  runtime: Runtime,
): Executable {
  const instructions = admitProgram(spec, object, { type: 'xdp', maps: maps.map((map) => map.spec) });
  const infos = maps.map((map) => map.info);
  if (engine === 'interpreter') return interpret(instructions, { runtime, maps: infos });
  const { wasm } = compileProgram(instructions, infos);
  return instantiateProgram(new WebAssembly.Module(wasm), runtime);
}
