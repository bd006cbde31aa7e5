import { isDeepStrictEqual } from 'node:util';
import type { Executable } from '../../lb/bpf/engine/context.js';
import { interpret } from '../../lb/bpf/engine/interpreter.js';
import { encodeProgram } from '../../lb/bpf/isa/codec.js';
import type { Instruction } from '../../lb/bpf/isa/instruction.js';
import { compileProgram, instantiateProgram } from '../../lb/bpf/jit/compile.js';
import type { BpfMap, MapSpec } from '../../lb/bpf/maps/map.js';
import { type ArenaMap, ArenaMaps } from '../../lb/bpf/maps/registry.js';
import { instantiateRuntime } from '../../lb/bpf/maps/runtime.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import {
  CPU_STACK,
  CPU_STACK_END,
  CPU_XDP_MD,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
} from '../../lb/bpf/memory/layout.js';
import { BpfError, KernelMaps, loadKernelProgram } from '../../lb/sys/bpf.js';
import { ARRAY_ENTRIES, VALUE_BYTES } from './generate.js';

/** The maps that generated programs name by index. */
const MAPS: readonly MapSpec[] = (
  [
    ['array', 'ARRAY', ARRAY_ENTRIES],
    ['hash', 'HASH', 6],
    ['percpu', 'PERCPU_ARRAY', ARRAY_ENTRIES],
    // Large enough that nothing is evicted: whom the kernel evicts depends on its CPUs.
    ['lru', 'LRU_HASH', 64],
  ] as const
).map(([name, type, maxEntries]) => ({
  name,
  type,
  keySize: 4,
  valueSize: VALUE_BYTES,
  maxEntries,
  flags: 0,
}));

/** Entries of the hashes when a program starts. */
const KEYS = [0, 2, 5] as const;
const HEADROOM_BYTES = 256;
const TAILROOM_BYTES = 512;
const CPU = 0;

/** What a run left: the program's number, the packet, and each map's content as text. */
export interface Effect {
  readonly result: number;
  readonly packet: string;
  readonly maps: readonly string[];
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const keyOf = (key: number) => new Uint8Array(Uint32Array.of(key).buffer);

/** The same content at the start of every run, in the arena and in the kernel, and on every CPU of it. */
function reset(maps: readonly BpfMap[]): void {
  for (const map of maps) {
    const value = Uint8Array.from(
      { length: map.valueBytes },
      (_, i) => ((i % VALUE_BYTES) * 37 + map.spec.name.length) & 0xff,
    );
    if (map.spec.type.endsWith('ARRAY')) {
      for (let key = 0; key < map.spec.maxEntries; key++) map.update(keyOf(key), value);
      continue;
    }
    const old: Uint8Array[] = [];
    map.forEach((key) => {
      old.push(Uint8Array.from(key));
    });
    for (const key of old) map.delete(key);
    for (const key of KEYS) map.update(keyOf(key), value);
  }
}

/** Every entry, in order of its key. */
function contents(maps: readonly BpfMap[]): string[] {
  return maps.map((map) => {
    const entries: string[] = [];
    map.forEach((key, value) => {
      // Which CPU a run of the kernel's was on is not ours to choose: the copies in order of their content.
      const copies = Array.from({ length: map.cpus }, (_, cpu) =>
        hex(value.subarray(cpu * VALUE_BYTES, (cpu + 1) * VALUE_BYTES)),
      );
      entries.push(`${hex(key)}=${[...new Set(copies)].sort().join('|')}`);
    });
    return entries.sort().join('\n');
  });
}

/** An arena with the maps, for many programs. */
class ArenaBed {
  readonly #arena = Arena.create({ workers: 1, mapsBytes: 1 << 20, ringsBytes: 8192 });
  readonly #runtime = instantiateRuntime(this.#arena.memory, CPU);
  readonly #maps: readonly ArenaMap[];
  readonly #shift: number;
  readonly #fill: number;

  /**
   * @param shift by how much packet and maps are further on, bytes
   * @param fill  what the stack holds before a run
   */
  constructor(shift: number, fill: number) {
    const host = new ArenaMaps(this.#arena);
    if (shift > 0) host.createMap({ ...MAPS[0]!, name: 'shift', maxEntries: shift });
    this.#maps = MAPS.map((spec) => host.createMap(spec));
    this.#shift = shift;
    this.#fill = fill;
  }

  get #infos() {
    return this.#maps.map(({ info }) => info);
  }

  interpret(instructions: readonly Instruction[], packets: readonly Uint8Array[]): Effect[] {
    return this.#run(interpret(instructions, { runtime: this.#runtime, maps: this.#infos }), packets);
  }

  compile(instructions: readonly Instruction[], packets: readonly Uint8Array[]): Effect[] {
    const { wasm } = compileProgram(instructions, this.#infos);
    return this.#run(instantiateProgram(new WebAssembly.Module(wasm), this.#runtime), packets);
  }

  #run(executable: Executable, packets: readonly Uint8Array[]): Effect[] {
    const { u8, u32, rings } = this.#arena;
    const block = this.#arena.block(CPU);
    const context = block + CPU_XDP_MD;
    const word = (field: number) => (context + field) >>> 2;
    return packets.map((packet) => {
      reset(this.#maps);
      u8.fill(this.#fill, block + CPU_STACK, block + CPU_STACK_END);
      const start = rings.offset + this.#shift;
      const data = start + HEADROOM_BYTES;
      u8.fill(0, start, data + packet.length + TAILROOM_BYTES);
      u8.set(packet, data);
      u32[word(XDP_MD_DATA)] = data;
      u32[word(XDP_MD_DATA_END)] = data + packet.length;
      u32[word(XDP_MD_DATA_META)] = data;
      u32[word(XDP_MD_HARD_START)] = start;
      u32[word(XDP_MD_HARD_END)] = data + packet.length + TAILROOM_BYTES;
      const result = executable.run(context) >>> 0;
      const out = u8.slice(u32[word(XDP_MD_DATA)], u32[word(XDP_MD_DATA_END)]);
      return { result, packet: hex(out), maps: contents(this.#maps) };
    });
  }
}

/** Two arenas in which all lies elsewhere, and the maps in the kernel, for many programs. */
export class DifferentialBed {
  readonly #here = new ArenaBed(0, 0);
  readonly #elsewhere = new ArenaBed(48, 0xa5);
  readonly #kernelMaps;

  constructor() {
    const kernel = new KernelMaps();
    this.#kernelMaps = MAPS.map((spec) => kernel.createMap(spec));
  }

  close(): void {
    for (const map of this.#kernelMaps) map.close();
  }

  interpret(instructions: readonly Instruction[], packets: readonly Uint8Array[]): Effect[] {
    return this.#here.interpret(instructions, packets);
  }

  compile(instructions: readonly Instruction[], packets: readonly Uint8Array[]): Effect[] {
    return this.#here.compile(instructions, packets);
  }

  /** True where what the program does depends on addresses, or on what was not written: engines need not agree then. */
  isArbitrary(instructions: readonly Instruction[], packets: readonly Uint8Array[]): boolean {
    const [here, elsewhere] = [this.#here, this.#elsewhere].map((bed) =>
      bed.interpret(instructions, packets),
    );
    return !isDeepStrictEqual(here, elsewhere);
  }

  /** Undefined where the kernel refuses the program: `why` is told its last word. */
  kernel(
    instructions: readonly Instruction[],
    packets: readonly Uint8Array[],
    why: (message: string) => void,
  ): Effect[] | undefined {
    let program: ReturnType<typeof loadKernelProgram>;
    try {
      const code = encodeProgram(instructions);
      const spec = {
        name: 'differential',
        section: 'xdp',
        type: 'xdp' as const,
        code,
        functions: [],
        lines: [],
      };
      program = loadKernelProgram(spec, this.#kernelMaps, 'GPL');
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      why(error.message);
      return undefined;
    }
    try {
      return packets.map((packet) => {
        reset(this.#kernelMaps);
        const { verdict, packet: out } = program.testRun(packet);
        return { result: verdict, packet: hex(out), maps: contents(this.#kernelMaps) };
      });
    } finally {
      program.close();
    }
  }
}
