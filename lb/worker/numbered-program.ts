import { MAIN } from '../bpf/jit/signatures.js';
import { ModuleBuilder } from '../bpf/jit/wasm-module.js';
import type { Runtime } from '../bpf/maps/runtime.js';

/** What `runNumbered` gives where the thread has no program of the number; no program's r0 is cut to it. */
const NO_PROGRAM = 0x7761_6767_0000_0000n;

let compiled: WebAssembly.Module | undefined;

/** A module whose one function goes on in the program of a number, as a tail call does. */
function compile(): WebAssembly.Module {
  const builder = new ModuleBuilder();
  const table = builder.importTable('env', 'programs');
  const { ref, code } = builder.declare({ params: ['i32', 'i64', 'i32'], results: ['i64'] }, 'runNumbered');
  const [number, context, frame] = [0, 1, 2];
  code.block();
  code.get(number).tableSize(table).op('i32.ge_u').brIf(0);
  code.get(number).tableGet(table).op('ref.is_null').brIf(0);
  code.get(context).i64(0n).get(frame).get(number).returnCallIndirect(builder.typeOf(MAIN), table);
  code.op('end').i64(NO_PROGRAM);
  builder.exportFunction('runNumbered', ref);
  return new WebAssembly.Module(builder.finish());
}

/** Number of a program, address of its context, address of its first stack frame → r0. */
export type RunNumbered = (number: number, context: bigint, frame: number) => bigint;

/**
 * What runs programs of a thread by the number that elements of maps hold (DEVMAP, CPUMAP), with no JavaScript between.
 * The caller writes 0 to CPU_TAIL_CALLS before. Gives 0x7761676700000000 where the thread has none of that number.
 */
export function numberedRunner({ env }: Pick<Runtime, 'env'>): RunNumbered {
  compiled ??= compile();
  const instance = new WebAssembly.Instance(compiled, { env: { programs: env.programs } });
  return instance.exports.runNumbered as RunNumbered;
}
