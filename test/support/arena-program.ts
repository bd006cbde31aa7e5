/** One XDP program in an arena of its own, its instructions as they are in the object: neither checked nor folded. */
import type { Executable } from '../../lb/bpf/engine/context.js';
import { interpret, type StepListener } from '../../lb/bpf/engine/interpreter.js';
import { decodeProgram } from '../../lb/bpf/isa/codec.js';
import type { Instruction } from '../../lb/bpf/isa/instruction.js';
import { compileProgram, instantiateProgram } from '../../lb/bpf/jit/compile.js';
import { type ArenaMap, ArenaMaps, mapBytes } from '../../lb/bpf/maps/registry.js';
import { instantiateRuntime } from '../../lb/bpf/maps/runtime.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import {
  CPU_CLOCK_NS,
  CPU_XDP_MD,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
} from '../../lb/bpf/memory/layout.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import type { ObjectSpec, ProgramSpec } from '../../lb/bpf/object/spec.js';

const SPARE_BYTES = 2 ** 22;
const RING_BYTES = 131_072;
const TAILROOM_BYTES = 256;

export class ArenaProgram {
  readonly maps: ReadonlyMap<string, ArenaMap>;
  readonly host: ArenaMaps;
  readonly spec: ProgramSpec;
  readonly instructions: readonly Instruction[];
  readonly cpus: number;
  readonly #arena: Arena;
  readonly #executable: Executable;

  constructor(object: ObjectSpec, name: string, engine: 'interpreter' | 'jit', onStep?: StepListener) {
    const mapsBytes = object.maps.reduce((sum, map) => sum + mapBytes(map, 2), SPARE_BYTES);
    const arena = Arena.create({ workers: 1, mapsBytes, ringsBytes: RING_BYTES });
    this.#arena = arena;
    this.host = new ArenaMaps(arena);
    this.maps = createMaps<ArenaMap>(object, this.host);
    this.cpus = arena.cpus;
    const spec = object.programs.find((program) => program.name === name);
    if (spec === undefined) throw new Error(`no program ${name}`);
    this.spec = spec;
    this.instructions = decodeProgram(spec.code);
    const infos = [...this.maps.values()].map(({ info }) => info);
    const runtime = instantiateRuntime(arena.memory, 0);
    this.#executable =
      engine === 'interpreter'
        ? interpret(this.instructions, {
            runtime,
            maps: infos,
            ...(onStep === undefined ? {} : { onStep }),
          })
        : instantiateProgram(new WebAssembly.Module(compileProgram(this.instructions, infos).wasm), runtime);
  }

  /** Run on CPU 0 over a frame with `headroomBytes` in front of it. */
  run(
    frame: Uint8Array,
    headroomBytes: number,
    clockNs: bigint,
  ): { readonly verdict: number; readonly frame: Uint8Array } {
    const arena = this.#arena;
    const view = new DataView(arena.u8.buffer);
    const start = arena.rings.offset;
    const data = start + headroomBytes;
    const end = data + frame.length;
    const context = arena.block(0) + CPU_XDP_MD;
    arena.u8.fill(0, start, data);
    arena.u8.set(frame, data);
    view.setBigUint64(arena.block(0) + CPU_CLOCK_NS, clockNs, true);
    for (const [field, value] of [
      [XDP_MD_DATA, data],
      [XDP_MD_DATA_END, end],
      [XDP_MD_DATA_META, data],
      [XDP_MD_HARD_START, start],
      [XDP_MD_HARD_END, end + TAILROOM_BYTES],
    ] as const) {
      view.setUint32(context + field, value, true);
    }
    const verdict = this.#executable.run(context);
    const at = (field: number): number => view.getUint32(context + field, true);
    return { verdict, frame: arena.u8.slice(at(XDP_MD_DATA), at(XDP_MD_DATA_END)) };
  }
}
