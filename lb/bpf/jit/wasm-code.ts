import { assert } from '../../errors.js';
import { pushAll, pushS32, pushS64, pushU32 } from './wasm-bytes.js';
import {
  CONTROL,
  EMPTY_BLOCK,
  MEMORY,
  type MemoryOp,
  PLAIN,
  type PlainOp,
  TABLE_SIZE,
  VALUE_TYPES,
  type ValueType,
} from './wasm-opcodes.js';

export interface Signature {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** A function of a module under construction. Its index is known when the module is finished. */
export interface FunctionRef {
  readonly signature: Signature;
}

/** Index of a global in the module. */
export interface GlobalRef {
  readonly index: number;
}

/** Index of a type in the module. */
export interface TypeRef {
  readonly index: number;
}

/** Index of a table in the module. */
export interface TableRef {
  readonly index: number;
}

/** Bytes of a u32 with room for any value: patched in place. */
const PATCH_BYTES = 5;

/** Body of one function. Nothing is checked here: WebAssembly.Module validates types and nesting. */
export class CodeWriter {
  readonly #bytes: number[] = [];
  readonly #params: number;
  readonly #locals: ValueType[] = [];
  readonly #names = new Map<number, string>();
  readonly #calls: { readonly at: number; readonly target: FunctionRef }[] = [];
  #depth = 0;

  constructor(signature: Signature) {
    this.#params = signature.params.length;
  }

  /** Blocks, loops and ifs that are open: `br(depth − d)` leaves (or repeats) the one that was opened at d. */
  get depth(): number {
    return this.#depth;
  }

  /** A new local variable, zero at the start of each call. Parameters are 0, 1, … in order. */
  local(type: ValueType, name: string): number {
    this.#locals.push(type);
    return this.name(this.#params + this.#locals.length - 1, name);
  }

  /** What a parameter or local is called in the module's text; gives its index. */
  name(local: number, name: string): number {
    this.#names.set(local, name);
    return local;
  }

  /** Names by index. */
  get names(): ReadonlyMap<number, string> {
    return this.#names;
  }

  op(...ops: PlainOp[]): this {
    for (const op of ops) {
      if (op === 'end') this.#depth -= 1;
      this.#bytes.push(PLAIN[op]);
    }
    return this;
  }

  /** `offset` bytes are added to the address on the stack without wrapping. */
  memory(op: MemoryOp, offset = 0): this {
    assert(offset >= 0 && offset <= 0xffffffff, `memory offset ${offset}`);
    pushAll(this.#bytes, MEMORY[op].code);
    // Atomics demand their natural alignment, the others take it as a hint: BPF accesses may be unaligned.
    pushU32(this.#bytes, op.includes('atomic') ? MEMORY[op].log2 : 0);
    pushU32(this.#bytes, offset);
    return this;
  }

  i32(value: number): this {
    this.#bytes.push(CONTROL.i32Const);
    pushS32(this.#bytes, value);
    return this;
  }

  i64(value: bigint): this {
    this.#bytes.push(CONTROL.i64Const);
    pushS64(this.#bytes, value);
    return this;
  }

  get(local: number): this {
    return this.#indexed(CONTROL.localGet, local);
  }

  set(local: number): this {
    return this.#indexed(CONTROL.localSet, local);
  }

  tee(local: number): this {
    return this.#indexed(CONTROL.localTee, local);
  }

  global(global: GlobalRef): this {
    return this.#indexed(CONTROL.globalGet, global.index);
  }

  block(result?: ValueType): this {
    return this.#open(CONTROL.block, result);
  }

  loop(): this {
    return this.#open(CONTROL.loop);
  }

  if(result?: ValueType): this {
    return this.#open(CONTROL.if, result);
  }

  br(levels: number): this {
    return this.#indexed(CONTROL.br, levels);
  }

  brIf(levels: number): this {
    return this.#indexed(CONTROL.brIf, levels);
  }

  /** Branches to levels[i] for the i32 i on the stack, to the last for every i beyond. */
  brTable(levels: readonly number[]): this {
    assert(levels.length > 0, 'br_table has a target');
    this.#indexed(CONTROL.brTable, levels.length - 1);
    for (const level of levels) pushU32(this.#bytes, level);
    return this;
  }

  call(target: FunctionRef): this {
    this.#bytes.push(CONTROL.call);
    this.#calls.push({ at: this.#bytes.length, target });
    for (let i = 0; i < PATCH_BYTES; i++) this.#bytes.push(0);
    return this;
  }

  /** The reference at the i32 on the stack. */
  tableGet(table: TableRef): this {
    return this.#indexed(CONTROL.tableGet, table.index);
  }

  tableSize(table: TableRef): this {
    this.#bytes.push(CONTROL.misc);
    this.#bytes.push(TABLE_SIZE);
    pushU32(this.#bytes, table.index);
    return this;
  }

  /** Leaves the function for the one at the i32 on the stack, above its arguments. */
  returnCallIndirect(type: TypeRef, table: TableRef): this {
    this.#indexed(CONTROL.returnCallIndirect, type.index);
    pushU32(this.#bytes, table.index);
    return this;
  }

  /** Body as the code section holds it: locals, instructions, end. */
  finish(indexOf: (target: FunctionRef) => number): number[] {
    assert(this.#depth === 0, `${this.#depth} blocks are left open`);
    for (const { at, target } of this.#calls) {
      let rest = indexOf(target);
      for (let i = 0; i < PATCH_BYTES; i++, rest >>>= 7)
        this.#bytes[at + i] = (rest & 0x7f) | (i < PATCH_BYTES - 1 ? 0x80 : 0);
    }
    const runs: { type: ValueType; count: number }[] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count += 1;
      else runs.push({ type, count: 1 });
    }
    const out: number[] = [];
    pushU32(out, runs.length);
    for (const { type, count } of runs) {
      pushU32(out, count);
      out.push(VALUE_TYPES[type]);
    }
    pushAll(out, this.#bytes);
    out.push(PLAIN.end);
    return out;
  }

  #indexed(code: number, index: number): this {
    this.#bytes.push(code);
    pushU32(this.#bytes, index);
    return this;
  }

  #open(code: number, result?: ValueType): this {
    this.#depth += 1;
    this.#bytes.push(code, result === undefined ? EMPTY_BLOCK : VALUE_TYPES[result]);
    return this;
  }
}
