import { ETHERNET_HEADER_BYTES, packetOffset, SKF_LL_OFF, SKF_NET_OFF } from '../context/packet-load.js';
import { FOR_EACH_MAP_ELEM, LOOP, LOOP_MAX, TAIL_CALL, TAIL_CALLS_MAX } from '../isa/builtins.js';
import type { Of } from '../isa/instruction.js';
import { E2BIG, EINVAL } from '../maps/uapi.js';
import {
  CPU_CURSORS,
  CPU_STACK,
  CPU_STACK_END,
  CPU_TAIL_CALLS,
  CPU_TAIL_CALLS_MISSED,
  CURSOR_BYTES,
  CURSOR_KEY,
  CURSOR_VALUE,
  MAP_DATA,
  MAP_MAX_ENTRIES,
  SKB_DATA,
  SKB_DATA_END,
  STACK_FRAME_BYTES,
  STACK_FRAMES,
} from '../memory/layout.js';
import type { State } from './facts.js';
import type { FunctionCode } from './lower.js';
import { lowerArithmetic } from './lower-alu.js';

/** Leaves r0 on the stack. */
type Builtin = (code: FunctionCode, state: State) => void;

/** Helpers that change where control goes, by id. */
const BUILTINS: ReadonlyMap<number, Builtin> = new Map([
  [TAIL_CALL, lowerTailCall],
  [LOOP, lowerLoop],
  [FOR_EACH_MAP_ELEM, lowerForEach],
]);

/** Writes out a helper that has no body in the runtime; false for the others. */
export function lowerBuiltin(code: FunctionCode, id: number, state: State): boolean {
  const lower = BUILTINS.get(id);
  lower?.(code, state);
  return lower !== undefined;
}

const constantOf = (state: State, register: number): bigint | undefined => {
  const fact = state.registers[register];
  return fact?.kind === 'constant' ? fact.value : undefined;
};

/**
 * bpf_tail_call(ctx, map, index): the wasm function gives its place to the program's, so that any number of calls
 * need no stack; what it gives is given to the caller of this function, as in the kernel.
 */
function lowerTailCall(code: FunctionCode, state: State): void {
  const { w, module } = code;
  const fact = state.registers[2];
  const map = fact?.kind === 'map' ? module.maps[fact.map] : undefined;
  const index = code.scratch('i32', 'index');
  const count = code.scratch('i32', 'count');
  const number = code.scratch('i32', 'number');
  const block = () => w.global(module.block());
  /** A word of the map: of a known one it is a constant. */
  const word = (offset: number, known: number | undefined) => {
    if (known !== undefined) w.i32(known);
    else {
      code.pushRegister32(2);
      w.memory('i32.load', offset);
    }
  };

  w.block();
  const through = w.depth - 1;
  const fallThroughIf = () => w.brIf(w.depth - 1 - through);
  code.pushRegister32(3);
  w.tee(index);
  word(MAP_MAX_ENTRIES, map?.maxEntries);
  w.op('i32.ge_u');
  fallThroughIf();
  block().memory('i32.load', CPU_TAIL_CALLS).tee(count).i32(TAIL_CALLS_MAX).op('i32.ge_u');
  fallThroughIf();
  word(MAP_DATA, map?.data);
  w.get(index).i32(2).op('i32.shl', 'i32.add').memory('i32.atomic.load').tee(number).op('i32.eqz');
  fallThroughIf();

  w.block();
  const missed = w.depth - 1;
  const missIf = () => w.brIf(w.depth - 1 - missed);
  w.get(number).tableSize(module.programs()).op('i32.ge_u');
  missIf();
  w.get(number).tableGet(module.programs()).op('ref.is_null');
  missIf();
  // A program finds all its frames below the first; it has that first one from the function that it replaces.
  w.get(code.locals.frame);
  block()
    .i32(CPU_STACK + STACK_FRAME_BYTES * (STACK_FRAMES - 1))
    .op('i32.add', 'i32.lt_u');
  fallThroughIf();
  block().get(count).i32(1).op('i32.add').memory('i32.store', CPU_TAIL_CALLS);
  code.pushRegister(1);
  w.i64(0n).get(code.locals.frame).get(number).returnCallIndirect(module.mainType(), module.programs());
  w.op('end');
  block();
  block().memory('i32.load', CPU_TAIL_CALLS_MISSED).i32(1).op('i32.add');
  w.memory('i32.store', CPU_TAIL_CALLS_MISSED);
  w.op('end').i64(0n);
}

/** Calls the function that r2 holds, one frame below; the arguments are pushed by `args`, the rest is 0. Leaves its r0. */
function callBack(code: FunctionCode, state: State, args: readonly (() => void)[]): void {
  const { w, module } = code;
  for (let register = 1; register <= 5; register++) {
    const push = args[register - 1];
    if (push) push();
    else w.i64(0n);
  }
  w.get(code.locals.frame).i32(STACK_FRAME_BYTES).op('i32.sub');
  const fact = state.registers[2];
  if (fact?.kind === 'function' && !module.without.has('direct-calls'))
    w.call(module.functionAt(fact.target));
  else {
    code.pushRegister32(2);
    w.call(module.dispatch());
  }
}

/** Opens a block that gives r0, and leaves it with −EINVAL where r4, the flags, is not 0. */
function openChecked(code: FunctionCode, state: State): { readonly outside: number } {
  const { w } = code;
  w.block('i64');
  const outside = w.depth - 1;
  if (constantOf(state, 4) !== 0n) {
    code.pushRegister(4);
    w.i64(0n).op('i64.ne').if();
    w.i64(BigInt(-EINVAL)).br(w.depth - 1 - outside);
    w.op('end');
  }
  return { outside };
}

/** bpf_loop(nr, callback, context, flags): gives the rounds that were made. */
function lowerLoop(code: FunctionCode, state: State): void {
  const { w } = code;
  const rounds = code.scratch('i64', 'rounds');
  const round = code.scratch('i64', 'round');
  const { outside } = openChecked(code, state);
  code.pushRegister(1);
  w.set(rounds);
  const known = constantOf(state, 1);
  // All 64 bits count, as where the kernel writes the loop out in place of the call.
  if (known === undefined || known > LOOP_MAX) {
    w.get(rounds).i64(BigInt(LOOP_MAX)).op('i64.gt_u').if();
    w.i64(BigInt(-E2BIG)).br(w.depth - 1 - outside);
    w.op('end');
  }
  w.i64(0n).set(round);
  w.block();
  const done = w.depth - 1;
  w.loop();
  const again = w.depth - 1;
  w.get(round).get(rounds).op('i64.ge_u');
  w.brIf(w.depth - 1 - done);
  callBack(code, state, [() => w.get(round), () => code.pushRegister(3)]);
  w.get(round).i64(1n).op('i64.add').set(round);
  w.op('i64.eqz').brIf(w.depth - 1 - again);
  w.op('end', 'end').get(round).op('end');
}

/** bpf_for_each_map_elem(map, callback, context, flags): gives the elements that the callback saw. */
function lowerForEach(code: FunctionCode, state: State): void {
  const { w, module } = code;
  const cursor = code.scratch('i32', 'cursor');
  const found = code.scratch('i32', 'found');
  const seen = code.scratch('i64', 'seen');
  const iterate = module.runtime('map_iterate', { params: ['i32', 'i32'], results: ['i32'] });
  const { outside } = openChecked(code, state);
  // Each frame has a cursor: walks that are nested are frames apart.
  const block = () => w.global(module.block());
  block().i32(CPU_CURSORS).op('i32.add');
  block()
    .i32(CPU_STACK_END - STACK_FRAME_BYTES)
    .op('i32.add');
  w.get(code.locals.frame).op('i32.sub');
  w.i32(Math.log2(STACK_FRAME_BYTES / CURSOR_BYTES))
    .op('i32.shr_u', 'i32.add')
    .set(cursor);
  for (let at = 0; at < CURSOR_BYTES; at += 8) w.get(cursor).i64(0n).memory('i64.store', at);
  w.i64(0n).set(seen);
  w.loop();
  const again = w.depth - 1;
  code.pushRegister32(1);
  w.get(cursor).call(iterate).tee(found).i32(0).op('i32.le_s').if();
  w.get(seen).get(found).op('i64.extend_i32_u', 'i64.extend32_s').get(found).op('i32.eqz', 'select');
  w.br(w.depth - 1 - outside).op('end');
  callBack(code, state, [
    () => code.pushRegister(1),
    () => w.get(cursor).memory('i64.load32_u', CURSOR_KEY),
    () => w.get(cursor).memory('i64.load32_u', CURSOR_VALUE),
    () => code.pushRegister(3),
  ]);
  w.get(seen).i64(1n).op('i64.add').set(seen);
  w.op('i64.eqz').brIf(w.depth - 1 - again);
  w.op('end').get(seen).op('end');
}

const LOAD = { 1: 'i64.load8_u', 2: 'i64.load16_u', 4: 'i64.load32_u' } as const;
/** Past every packet: what an offset that means nothing becomes. */
const NOWHERE = 1n << 40n;

/** LD_ABS, LD_IND: r0 gets the bytes of the packet in network order; out of it the function ends with r0 = 0. */
export function lowerPacketLoad(
  code: FunctionCode,
  { slot, bytes, mode, src, imm }: Of<'packet-load'>,
): void {
  const { w } = code;
  const at = code.scratch('i64', 'at');
  const skb = (field: number) => {
    code.pushRegister32(6);
    w.memory('i64.load32_u', field);
  };
  if (mode === 'abs') w.i64(BigInt(packetOffset(imm) ?? NOWHERE));
  else {
    code.pushRegister32(src);
    w.i32(imm).op('i32.add', 'i64.extend_i32_u', 'i64.extend32_s').tee(at);
    // Moved by where a negative one counts from: see packetOffset.
    w.i64(0n);
    w.i64(BigInt(ETHERNET_HEADER_BYTES - SKF_NET_OFF));
    w.i64(BigInt(-SKF_LL_OFF)).i64(NOWHERE);
    w.get(at).i64(BigInt(SKF_LL_OFF)).op('i64.ge_s', 'select');
    w.get(at).i64(BigInt(SKF_NET_OFF)).op('i64.ge_s', 'select');
    w.get(at).i64(0n).op('i64.ge_s', 'select', 'i64.add');
  }
  skb(SKB_DATA);
  w.op('i64.add').tee(at).i64(BigInt(bytes)).op('i64.add');
  skb(SKB_DATA_END);
  w.op('i64.gt_u').if();
  w.i64(0n);
  code.setRegister(0);
  code.leave();
  w.op('end').get(at).op('i32.wrap_i64').memory(LOAD[bytes]);
  code.setRegister(0);
  if (bytes > 1) lowerArithmetic(code, { slot, kind: 'swap', op: 'be', bits: bytes === 2 ? 16 : 32, dst: 0 });
}
