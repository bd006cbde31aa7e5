import type { Executable } from '../engine/context.js';
import type { Instruction } from '../isa/instruction.js';
import type { ArenaMapInfo } from '../maps/registry.js';
import type { Runtime } from '../maps/runtime.js';
import { CPU_STACK_END, STACK_FRAME_BYTES } from '../memory/layout.js';
import { type AnalysedFunction, analyse } from './analyse.js';
import { splitFunctions } from './cfg.js';
import { keySources } from './inline-maps.js';
import { FunctionCode, type ModuleContext } from './lower.js';
import { makeReducible } from './reduce.js';
import { planSlots } from './slots.js';
import { structure } from './structure.js';
import { type CodeWriter, type FunctionRef, ModuleBuilder, type Signature } from './wasm-module.js';

/** Pages that the arena's memory has at least; its maximum is not above what 32 bits address. */
const MEMORY_PAGES = { initial: 2, maximum: 65536 } as const;

/** A BPF function that another calls: r1 to r5, and the lowest address of its frame. */
const LOCAL_CALL: Signature = { params: ['i64', 'i64', 'i64', 'i64', 'i64', 'i32'], results: ['i64'] };
const RUN: Signature = { params: ['i32'], results: ['i32'] };
const CALL: Signature = { params: ['i64', 'i64'], results: ['i64'] };

export interface CompiledProgram {
  /** A module that imports env.memory, env.cpu, env.block and, as `runtime`, exports of runtime.wasm. */
  readonly wasm: Uint8Array<ArrayBuffer>;
}

/**
 * Translate a verified program to WebAssembly. Offsets of the maps are constants of the module: it fits the
 * arena in which they live, and every CPU of it.
 *
 * V8 starts a module in its baseline compiler, several times slower than its optimised code. Before the module
 * is made, in the thread that makes it: `v8.setFlagsFromString('--no-liftoff')`; then each function is optimised
 * at its first call, and `--no-wasm-lazy-compilation` moves that to the module's creation. A module posted to a
 * worker takes its code along.
 * @param maps by the index that the program's map references have
 * @throws JitError JIT_UNSUPPORTED, JIT_HELPER, JIT_MAP
 */
export function compileProgram(
  instructions: readonly Instruction[],
  maps: readonly ArenaMapInfo[],
): CompiledProgram {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', MEMORY_PAGES.initial, MEMORY_PAGES.maximum);
  const functions = analyse(splitFunctions(instructions), maps);
  const called = new Set(instructions.flatMap((each) => (each.kind === 'call-local' ? [each.target] : [])));
  const refs = new Map<number, FunctionRef>();
  const context: ModuleContext = {
    maps,
    functionAt: (slot) => refs.get(slot)!,
    runtime: (name, signature) => module.importFunction('runtime', name, signature),
    cpu: () => module.importGlobal('env', 'cpu', 'i32'),
    block: () => module.importGlobal('env', 'block', 'i32'),
  };

  const [entry] = functions;
  const bodies = functions
    .filter((fn) => called.has(fn.slot))
    .map((fn) => {
      const { ref, code } = module.declare(LOCAL_CALL);
      refs.set(fn.slot, ref);
      return { fn, code };
    });
  for (const { fn, code } of bodies) writeLocalFunction(code, context, fn);
  if (entry !== undefined) {
    // The entry's body twice rather than called: a call costs as much as a map lookup.
    const run = module.declare(RUN);
    writeRun(run.code, context, entry);
    module.exportFunction('run', run.ref);
    const call = module.declare(CALL);
    writeCall(call.code, context, entry);
    module.exportFunction('call', call.ref);
  }
  return { wasm: module.finish() };
}

function write(
  code: CodeWriter,
  context: ModuleContext,
  fn: AnalysedFunction,
  registers: readonly number[],
  frame: number,
  leave: (code: FunctionCode) => void,
): void {
  const { graph, sets } = makeReducible(fn.blocks.map(({ terminator }) => terminator));
  const slots = planSlots(fn, (instruction, state) => keySources(instruction, state, context.maps));
  new FunctionCode(code, context, { registers, frame }, fn, sets, slots, leave).shapes(structure(graph));
}

/** r10 is one past the frame's highest byte. */
function setFramePointer(code: CodeWriter, frame: number, r10: number): void {
  code.get(frame).i32(STACK_FRAME_BYTES).op('i32.add', 'i64.extend_i32_u').set(r10);
}

function writeLocalFunction(code: CodeWriter, context: ModuleContext, fn: AnalysedFunction): void {
  const frame = 5;
  const others = [0, 6, 7, 8, 9, 10].map((register) => [register, code.local('i64')] as const);
  const locals = new Map([
    ...others,
    ...[1, 2, 3, 4, 5].map((register) => [register, register - 1] as const),
  ]);
  const registers = Array.from({ length: 11 }, (_, register) => locals.get(register)!);
  setFramePointer(code, frame, registers[10]!);
  write(code, context, fn, registers, frame, (body) => body.pushRegister(0));
}

/** Frame 0 is the highest of the CPU's stack. */
function enterFirstFrame(code: CodeWriter, context: ModuleContext, r10: number): number {
  const frame = code.local('i32');
  code
    .global(context.block())
    .i32(CPU_STACK_END - STACK_FRAME_BYTES)
    .op('i32.add')
    .set(frame);
  setFramePointer(code, frame, r10);
  return frame;
}

function writeRun(code: CodeWriter, context: ModuleContext, fn: AnalysedFunction): void {
  const registers = Array.from({ length: 11 }, () => code.local('i64'));
  code.get(0).op('i64.extend_i32_u').set(registers[1]!);
  const frame = enterFirstFrame(code, context, registers[10]!);
  write(code, context, fn, registers, frame, (body) => body.pushRegister32(0));
}

function writeCall(code: CodeWriter, context: ModuleContext, fn: AnalysedFunction): void {
  const registers = Array.from({ length: 11 }, (_, register) =>
    register === 1 || register === 2 ? register - 1 : code.local('i64'),
  );
  const frame = enterFirstFrame(code, context, registers[10]!);
  write(code, context, fn, registers, frame, (body) => body.pushRegister(0));
}

/** What a program's module exports. */
export interface ProgramExports {
  run(context: number): number;
  call(r1: bigint, r2: bigint): bigint;
}

/**
 * Make a compiled program ready to run on the runtime's CPU.
 * @throws WebAssembly.LinkError where the runtime lacks a helper that the program imports
 */
export function instantiateProgram(
  module: WebAssembly.Module,
  runtime: Runtime,
): Executable & { readonly exports: ProgramExports } {
  const instance = new WebAssembly.Instance(module, {
    env: { ...runtime.env },
    runtime: { ...runtime.exports },
  });
  const exports = instance.exports as unknown as ProgramExports;
  return { exports, run: exports.run, call: exports.call };
}
