import { assert } from '../../errors.js';
import type { Executable } from '../engine/context.js';
import type { HelperUser } from '../helpers/prototypes.js';
import { TAIL_CALL } from '../isa/builtins.js';
import { calledFunction, type Instruction } from '../isa/instruction.js';
import type { ArenaMapInfo } from '../maps/registry.js';
import type { Runtime } from '../maps/runtime.js';
import { CPU_STACK_END, CPU_TAIL_CALLS, STACK_FRAME_BYTES } from '../memory/layout.js';
import { exportsOf } from '../wasm-exports.js';
import { type AnalysedFunction, analyse } from './analyse.js';
import { splitFunctions } from './cfg.js';
import { wordSources } from './inline-helpers.js';
import { FunctionCode, type ModuleContext, type PlannedFunction } from './lower.js';
import { mergeAccesses } from './merge-accesses.js';
import { type LeftOut, NOTHING_LEFT_OUT } from './optimisations.js';
import { makeReducible } from './reduce.js';
import { CALL, DISPATCH, LOCAL_CALL, MAIN, RUN } from './signatures.js';
import { planSlots } from './slots.js';
import { structure } from './structure.js';
import type { CodeWriter, FunctionRef } from './wasm-code.js';
import { ModuleBuilder } from './wasm-module.js';

/** Pages that the arena's memory has at least; its maximum is not above what 32 bits address. */
const MEMORY_PAGES = { initial: 2, maximum: 65536 } as const;

export interface CompiledProgram {
  /** A module that imports env.memory, env.cpu, env.block, env.programs and, as `runtime`, exports of runtime.wasm. */
  readonly wasm: Uint8Array<ArrayBuffer>;
}

export interface CompileOptions {
  /** Functions and locals have names in the module, for `formatWat`. */
  readonly names?: boolean;
  /** The program's type, which decides between bodies of a helper; XDP unless given. */
  readonly type?: HelperUser;
  /** Optimisations to do without, to measure or test what they do; none unless given. */
  readonly without?: LeftOut;
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
  { names = false, type = 'xdp', without = NOTHING_LEFT_OUT }: CompileOptions = {},
): CompiledProgram {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', MEMORY_PAGES.initial, MEMORY_PAGES.maximum);
  const analysed = analyse(splitFunctions(instructions), maps, without, type);
  const functions = liveFunctions(without.has('merged-accesses') ? analysed : analysed.map(mergeAccesses));
  const [entry] = functions;
  assert(entry !== undefined, 'a program has an instruction');
  const { refs, bodies } = declareFunctions(module, functions);
  const main = module.declare(MAIN, 'tail');
  let dispatch: FunctionRef | undefined;
  const context: ModuleContext = {
    maps,
    without,
    type,
    functionAt: (slot) => refs.get(slot)!,
    runtime: (name, signature) => module.importFunction('runtime', name, signature),
    cpu: () => module.importGlobal('env', 'cpu', 'i32'),
    block: () => module.importGlobal('env', 'block', 'i32'),
    programs: () => module.importTable('env', 'programs'),
    mainType: () => module.typeOf(MAIN),
    dispatch: () => {
      dispatch ??= writeDispatch(module, callbacksOf(functions), refs);
      return dispatch;
    },
  };
  for (const { fn, code } of bodies) writeLocalFunction(code, context, planFunction(fn, context));
  const plan = planFunction(entry, context);
  writeMain(main.code, context, plan);
  const isTailCaller = functions.some((fn) => makesTailCalls(fn));
  const run = module.declare(RUN, 'run');
  // The entry's body once more rather than called: a call costs as much as a map lookup. A program that makes tail
  // calls leaves by them, and what it leaves to gives 64 bits.
  if (isTailCaller) writeRunOfMain(run.code, context, main.ref);
  else writeRun(run.code, context, plan);
  const call = module.declare(CALL, 'call');
  writeCallOfMain(call.code, context, main.ref, isTailCaller);
  module.exportFunction('run', run.ref);
  module.exportFunction('call', call.ref);
  module.exportFunction('tail', main.ref);
  return { wasm: module.finish({ names }) };
}

/** Those that control can get to: the entry first. Calls in code that constants rule out do not count. */
function liveFunctions(functions: readonly AnalysedFunction[]): AnalysedFunction[] {
  const bySlot = new Map(functions.map((fn) => [fn.slot, fn]));
  const live = new Set<AnalysedFunction>(functions.slice(0, 1));
  for (const fn of live) {
    for (const instruction of instructionsOf(fn)) {
      const called = calledFunction(instruction);
      if (called !== undefined) live.add(bySlot.get(called)!);
    }
  }
  return [...live];
}

function* instructionsOf(fn: AnalysedFunction): Generator<Instruction> {
  for (const { instructions } of fn.blocks) yield* instructions;
}

function makesTailCalls(fn: AnalysedFunction): boolean {
  for (const each of instructionsOf(fn))
    if (each.kind === 'call-helper' && each.id === TAIL_CALL) return true;
  return false;
}

/** First slots of the functions whose address is taken. */
function callbacksOf(functions: readonly AnalysedFunction[]): Set<number> {
  const found = new Set<number>();
  for (const fn of functions)
    for (const each of instructionsOf(fn))
      if (each.kind === 'imm64' && each.imm.kind === 'function') found.add(each.imm.target);
  return found;
}

/** What others call has a wasm function of its own; an entry that nothing calls has none. */
function declareFunctions(module: ModuleBuilder, functions: readonly AnalysedFunction[]) {
  const called = new Set(functions.flatMap((fn) => [...instructionsOf(fn)].map(calledFunction)));
  const refs = new Map<number, FunctionRef>();
  const bodies = functions
    .filter((fn) => called.has(fn.slot))
    .map((fn) => {
      const { ref, code } = module.declare(LOCAL_CALL, `function@${fn.slot}`);
      refs.set(fn.slot, ref);
      return { fn, code };
    });
  return { refs, bodies };
}

/** Calls the callback at the address that is the last argument. */
function writeDispatch(
  module: ModuleBuilder,
  callbacks: ReadonlySet<number>,
  refs: ReadonlyMap<number, FunctionRef>,
): FunctionRef {
  const { ref, code } = module.declare(DISPATCH, 'dispatch');
  const address = DISPATCH.params.length - 1;
  for (const slot of callbacks) {
    code.get(address).i32(slot).op('i32.eq').if();
    for (const param of LOCAL_CALL.params.keys()) code.get(param);
    code.call(refs.get(slot)!).op('return', 'end');
  }
  code.op('unreachable');
  return ref;
}

/** A function, and how its body is laid out. */
function planFunction(
  fn: AnalysedFunction,
  context: Pick<ModuleContext, 'maps' | 'without'>,
): PlannedFunction {
  const { graph, sets } = makeReducible(fn.blocks.map(({ terminator }) => terminator));
  const slots = planSlots(fn, (instruction, state) => wordSources(instruction, state, context));
  return { fn, sets, slots, shapes: structure(graph) };
}

/** r10 is one past the frame's highest byte. */
function setFramePointer(code: CodeWriter, frame: number, r10: number): void {
  code.get(frame).i32(STACK_FRAME_BYTES).op('i32.add', 'i64.extend_i32_u').set(r10);
}

function writeLocalFunction(code: CodeWriter, context: ModuleContext, plan: PlannedFunction): void {
  const frame = code.name(5, 'frame');
  const others = [0, 6, 7, 8, 9, 10].map(
    (register) => [register, code.local('i64', `r${register}`)] as const,
  );
  const locals = new Map([
    ...others,
    ...[1, 2, 3, 4, 5].map((register) => [register, code.name(register - 1, `r${register}`)] as const),
  ]);
  const registers = Array.from({ length: 11 }, (_, register) => locals.get(register)!);
  setFramePointer(code, frame, registers[10]!);
  new FunctionCode(code, context, { registers, frame }, plan, (body) => body.pushRegister(0)).write();
}

/** Puts the lowest address of frame 0, the highest of the CPU's stack, on the wasm stack. */
function pushFirstFrame(code: CodeWriter, context: ModuleContext): void {
  code
    .global(context.block())
    .i32(CPU_STACK_END - STACK_FRAME_BYTES)
    .op('i32.add');
}

function writeRun(code: CodeWriter, context: ModuleContext, plan: PlannedFunction): void {
  code.name(0, 'context');
  const registers = Array.from({ length: 11 }, (_, register) => code.local('i64', `r${register}`));
  code.get(0).op('i64.extend_i32_u').set(registers[1]!);
  const frame = code.local('i32', 'frame');
  pushFirstFrame(code, context);
  code.set(frame);
  setFramePointer(code, frame, registers[10]!);
  new FunctionCode(code, context, { registers, frame }, plan, (body) => body.pushRegister32(0)).write();
}

function writeMain(code: CodeWriter, context: ModuleContext, plan: PlannedFunction): void {
  const registers = Array.from({ length: 11 }, (_, register) =>
    register === 1 || register === 2
      ? code.name(register - 1, `r${register}`)
      : code.local('i64', `r${register}`),
  );
  const frame = code.name(2, 'frame');
  setFramePointer(code, frame, registers[10]!);
  new FunctionCode(code, context, { registers, frame }, plan, (body) => body.pushRegister(0)).write();
}

function countTailCalls(code: CodeWriter, context: ModuleContext): void {
  code.global(context.block()).i32(0).memory('i32.store', CPU_TAIL_CALLS);
}

function writeRunOfMain(code: CodeWriter, context: ModuleContext, main: FunctionRef): void {
  countTailCalls(code, context);
  code.get(0).op('i64.extend_i32_u').i64(0n);
  pushFirstFrame(code, context);
  code.call(main).op('i32.wrap_i64');
}

function writeCallOfMain(
  code: CodeWriter,
  context: ModuleContext,
  main: FunctionRef,
  isTailCaller: boolean,
): void {
  if (isTailCaller) countTailCalls(code, context);
  code.get(0).get(1);
  pushFirstFrame(code, context);
  code.call(main);
}

/** What a program's module exports. */
export interface ProgramExports {
  run(context: number): number;
  call(r1: bigint, r2: bigint): bigint;
  /** The entry of tail calls; the frame is the lowest address of its first frame. */
  tail(r1: bigint, r2: bigint, frame: number): bigint;
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
  const exports = exportsOf<ProgramExports>(instance);
  return { exports, run: exports.run, call: exports.call, target: { engine: 'jit', tail: exports.tail } };
}
