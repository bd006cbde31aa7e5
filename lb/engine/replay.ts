import { PacketContext } from '../bpf/context/packet.js';
import type { Executable } from '../bpf/engine/context.js';
import { InterpreterError } from '../bpf/engine/interpreter.js';
import type { HelperUser } from '../bpf/helpers/prototypes.js';
import { LoadedProgram } from '../bpf/machine/loaded.js';
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
import type { ObjectSpec } from '../bpf/object/spec.js';
import {
  boundLru,
  checkFrame,
  findReplayProgram,
  noWorker,
  type ReplayEngine,
  ReplayError,
  type ReplayOptions,
  type ReplayResult,
  type ReplayRun,
  replayType,
} from './replay-engine.js';

export {
  ReplayError,
  type ReplayFault,
  type ReplayOptions,
  type ReplayResult,
  type ReplayRun,
} from './replay-engine.js';

/** Room before a frame, bytes: the kernel's XDP_PACKET_HEADROOM. */
export const REPLAY_HEADROOM_BYTES = 256;
/** Longest frame that is replayed, bytes. */
export const REPLAY_MAX_FRAME_BYTES = 65535;
/** Room behind the longest frame for adjust_tail, bytes. */
const TAILROOM_BYTES = 257;
/** TC programs get no shorter frame: the kernel would have dropped it. */
const ETHERNET_BYTES = 14;
/** BPF_PROG_TEST_RUN without a context runs as if on the loopback interface; so does a replay. */
const IFINDEX = 1;
/** Room for maps that are created beside the object's own; memory that is not written takes no page. */
const SPARE_MAPS_BYTES = 64 * 2 ** 20;

/** One CPU: where its context and clock are, and the program on it. */
interface Cpu {
  readonly executable: Executable;
  /** Arena offset of its xdp_md. */
  readonly context: number;
  readonly clock: number;
  readonly skb: PacketContext;
}

/**
 * Runs one XDP or TC program over frames, offline: an arena of its own, a CPU for each worker, no privileges. Programs
 * that the object's PROG_ARRAYs name are there for tail calls. One frame at a time, whatever the worker.
 */
export class Replay implements ReplayEngine {
  readonly type: HelperUser;
  readonly maps: ReadonlyMap<string, ArenaMap>;
  readonly host: ArenaMaps;
  /** CPUs that programs see copies of per-CPU values for: the workers' and the control plane's. */
  readonly cpus: number;
  readonly workers: number;
  readonly minFrameBytes: number;
  readonly maxFrameBytes = REPLAY_MAX_FRAME_BYTES;
  readonly #program: string;
  readonly #arena: Arena;
  readonly #cpus: readonly Cpu[];
  readonly #view: DataView;
  #closed = false;

  /** @throws ReplayError REPLAY_PROGRAM; what decoding, checking, compiling and map creation throw */
  constructor({ object, program, engine, workers = 1, lruEntries }: ReplayOptions) {
    const spec = findReplayProgram(object, program);
    const type = replayType(spec.type)!;
    const adjust = boundLru(lruEntries);
    const mapsBytes = object.maps.reduce(
      (sum, map) => sum + mapBytes(adjust(map), workers + 1),
      SPARE_MAPS_BYTES,
    );
    const ringsBytes = REPLAY_HEADROOM_BYTES + REPLAY_MAX_FRAME_BYTES + TAILROOM_BYTES;
    const arena = Arena.create({ workers, mapsBytes, ringsBytes });
    this.#arena = arena;
    this.#program = spec.name;
    this.type = type;
    this.host = new ArenaMaps(arena);
    this.maps = createMaps<ArenaMap>(object, this.host, adjust);
    this.cpus = arena.cpus;
    this.workers = workers;
    this.minFrameBytes = type === 'xdp' ? 0 : ETHERNET_BYTES;
    this.#view = new DataView(arena.u8.buffer);

    const runtimes = Array.from({ length: workers }, (_, cpu) => instantiateRuntime(arena.memory, cpu));
    const executables = this.#load(object, spec.name, type, engine, runtimes);
    const room = { offset: arena.rings.offset, bytes: ringsBytes };
    this.#cpus = executables.map((executable, cpu) => ({
      executable,
      context: arena.block(cpu) + CPU_XDP_MD,
      clock: arena.block(cpu) + CPU_CLOCK_NS,
      skb: new PacketContext(arena, { cpu, type: 'sched_cls', room }),
    }));
  }

  /**
   * Without a clock it stays where it was (0 at first).
   * @throws ReplayError REPLAY_FRAME, REPLAY_WORKER, REPLAY_TRAP
   */
  run(frame: Uint8Array, clockNs?: bigint, { worker = 0, mark = 0 }: ReplayRun = {}): ReplayResult {
    checkFrame(this, frame);
    const cpu = this.#cpus[worker];
    if (cpu === undefined) throw noWorker(worker, this.workers);
    if (clockNs !== undefined) this.#view.setBigUint64(cpu.clock, clockNs, true);
    if (this.type === 'sched_cls') {
      cpu.skb.place(frame, { fields: { mark } });
      const verdict = this.#call(cpu.executable, cpu.skb.address) | 0;
      return { verdict, frame: cpu.skb.packet() };
    }
    this.#place(frame, cpu.context);
    const verdict = this.#call(cpu.executable, cpu.context) >>> 0;
    const end = this.#get(cpu.context + XDP_MD_DATA_END);
    return { verdict, frame: this.#arena.u8.slice(this.#get(cpu.context + XDP_MD_DATA), end) };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const map of this.maps.values()) map.close();
  }

  /** The program on each CPU, and what it may tail-call. */
  #load(
    object: ObjectSpec,
    program: string,
    type: HelperUser,
    engine: 'jit' | 'interpreter',
    runtimes: readonly Runtime[],
  ): readonly Executable[] {
    const maps = [...this.maps.values()];
    const slots = object.maps.flatMap(({ name, programs = [] }) =>
      programs.map((slot) => ({ ...slot, map: name })),
    );
    const names = new Set([program, ...slots.map((slot) => slot.program)]);
    const numbers = new Map<string, number>();
    let entry: readonly Executable[] = [];
    for (const spec of object.programs.filter(({ name }) => names.has(name))) {
      const number = this.host.programs.allocate(spec.name);
      const loaded = new LoadedProgram(spec, number, maps, { object, type, engine, verify: true });
      const executables = runtimes.map((runtime) => loaded.instantiate(runtime));
      numbers.set(spec.name, number);
      if (spec.name === program) entry = executables;
    }
    for (const { map, index, program: target } of slots) {
      const words = Uint32Array.of(index, numbers.get(target) ?? 0);
      const bytes = new Uint8Array(words.buffer);
      this.maps.get(map)?.update(bytes.subarray(0, 4), bytes.subarray(4));
    }
    return entry;
  }

  #call(executable: Executable, context: number): number {
    try {
      return executable.run(context);
    } catch (cause) {
      if (!(cause instanceof WebAssembly.RuntimeError) && !(cause instanceof InterpreterError)) throw cause;
      throw new ReplayError(
        { code: 'REPLAY_TRAP', program: this.#program },
        `program ${this.#program} trapped: ${cause.message}`,
        { cause },
      );
    }
  }

  #place(frame: Uint8Array, context: number): void {
    const arena = this.#arena;
    const start = arena.rings.offset;
    const data = start + REPLAY_HEADROOM_BYTES;
    const end = start + REPLAY_HEADROOM_BYTES + REPLAY_MAX_FRAME_BYTES + TAILROOM_BYTES;
    // What the last frame left around this one must not show: the same frame gives the same result.
    arena.u8.fill(0, start, data);
    arena.u8.set(frame, data);
    this.#set(context + XDP_MD_DATA, data);
    this.#set(context + XDP_MD_DATA_END, data + frame.length);
    this.#set(context + XDP_MD_DATA_META, data);
    this.#set(context + XDP_MD_INGRESS_IFINDEX, IFINDEX);
    this.#set(context + XDP_MD_RX_QUEUE_INDEX, 0);
    this.#set(context + XDP_MD_EGRESS_IFINDEX, 0);
    this.#set(context + XDP_MD_HARD_START, start);
    this.#set(context + XDP_MD_HARD_END, end);
  }

  #set(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  #get(at: number): number {
    return this.#view.getUint32(at, true);
  }
}
