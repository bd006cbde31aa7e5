import type { Executable } from '../engine/context.js';
import { interpret, type StepListener } from '../engine/interpreter.js';
import type { HelperUser } from '../helpers/prototypes.js';
import type { Instruction } from '../isa/instruction.js';
import { compileProgram, instantiateProgram } from '../jit/compile.js';
import type { ArenaMap, ArenaMapInfo } from '../maps/registry.js';
import type { Runtime } from '../maps/runtime.js';
import type { ObjectSpec, ProgramSpec } from '../object/spec.js';
import type { EngineName } from '../sandbox.js';
import { admitProgram } from '../verifier/admit.js';

/** Program types that can be run. */
const RUNNABLE: ReadonlySet<string> = new Set<HelperUser>(['xdp', 'sched_cls']);
export const isRunnable = (type: string): type is HelperUser => RUNNABLE.has(type);

/** Where a program comes from, and what it becomes. */
export interface LoadOptions {
  readonly object: ObjectSpec;
  readonly type: HelperUser;
  readonly engine: EngineName;
  /** Prove it before it is compiled. */
  readonly verify: boolean;
}

/** A program that is checked and compiled, once for all CPUs. */
export class LoadedProgram {
  readonly spec: ProgramSpec;
  readonly type: HelperUser;
  /** What slots of a PROG_ARRAY call it. */
  readonly number: number;
  readonly #maps: readonly ArenaMapInfo[];
  /** What the JIT made of it; undefined with the interpreter. */
  readonly wasm: Uint8Array<ArrayBuffer> | undefined;
  readonly #code: readonly Instruction[] | WebAssembly.Module;

  /**
   * @param maps by the index that the program's map references have
   * @throws IsaError, StructureError, VerifyError, JitError
   */
  constructor(
    spec: ProgramSpec,
    number: number,
    maps: readonly ArenaMap[],
    { object, type, engine, verify }: LoadOptions,
  ) {
    this.spec = spec;
    this.type = type;
    this.number = number;
    this.#maps = maps.map(({ info }) => info);
    const specs = maps.map((map) => map.spec);
    const instructions = admitProgram(spec, object, { type, maps: specs, verify });
    this.wasm = engine === 'jit' ? compileProgram(instructions, this.#maps, { type }).wasm : undefined;
    this.#code = this.wasm === undefined ? instructions : new WebAssembly.Module(this.wasm);
  }

  /** The program on one CPU, where tail calls find it from now on. */
  instantiate(runtime: Runtime, onStep?: StepListener): Executable {
    const code = this.#code;
    const executable =
      code instanceof WebAssembly.Module
        ? instantiateProgram(code, runtime)
        : interpret(code, {
            runtime,
            maps: this.#maps,
            type: this.type,
            ...(onStep === undefined ? {} : { onStep }),
          });
    runtime.programs.set(this.number, executable);
    return executable;
  }
}
