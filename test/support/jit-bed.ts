import { compileProgram, instantiateProgram } from '../../lb/bpf/jit/compile.js';
import type { MapSpec } from '../../lb/bpf/maps/map.js';
import { type ArenaMap, ArenaMaps } from '../../lb/bpf/maps/registry.js';
import { instantiateRuntime, type Runtime } from '../../lb/bpf/maps/runtime.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import { CPU_SCRATCH } from '../../lb/bpf/memory/layout.js';
import { assemble } from './assembler.js';

export const MAP: Omit<MapSpec, 'name' | 'type'> = { keySize: 4, valueSize: 8, maxEntries: 4, flags: 0 };
export const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
export const u64 = (...values: bigint[]) => new Uint8Array(BigUint64Array.from(values).buffer);

/** An arena of two workers with maps, and programs on its CPUs. */
export class Bed {
  readonly arena = Arena.create({ workers: 2, mapsBytes: 1 << 20, ringsBytes: 65536 });
  readonly maps: ArenaMap[];
  readonly runtimes: readonly Runtime[];
  readonly host = new ArenaMaps(this.arena);
  readonly view = new DataView(this.arena.u8.buffer);

  constructor(...specs: Omit<MapSpec, 'name'>[]) {
    this.maps = specs.map((spec, index) => this.host.createMap({ ...spec, name: `map${index}` }));
    this.runtimes = [0, 1].map((cpu) => instantiateRuntime(this.arena.memory, cpu));
  }

  compile(text: string): WebAssembly.Module {
    const { wasm } = compileProgram(
      assemble(text),
      this.maps.map(({ info }) => info),
    );
    return new WebAssembly.Module(wasm);
  }

  program(text: string, cpu = 0) {
    return instantiateProgram(this.compile(text), this.runtimes[cpu]!);
  }

  /** r0 of a program whose r1 is the CPU's scratch. */
  run(text: string, r2 = 0n, cpu = 0): bigint {
    const scratch = BigInt(this.arena.block(cpu) + CPU_SCRATCH);
    return BigInt.asUintN(64, this.program(text, cpu).call(scratch, r2));
  }
}

/** What a module imports, as "from.name". */
export const importsOf = (module: WebAssembly.Module) =>
  WebAssembly.Module.imports(module)
    .map(({ module: from, name }) => `${from}.${name}`)
    .sort();
