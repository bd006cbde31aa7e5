import { assert } from '../../errors.js';
import {
  CONTROL,
  EMPTY_BLOCK,
  MEMORY,
  type MemoryOp,
  PLAIN,
  type PlainOp,
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

/** Bytes of a u32 with room for any value: patched in place. */
const PATCH_BYTES = 5;

/** Appends an unsigned LEB128 of up to 32 bits (Core Specification §5.2.2). */
function pushU32(out: number[], value: number): void {
  let rest = value >>> 0;
  while (rest >= 0x80) {
    out.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  out.push(rest);
}

/** Appends a signed LEB128 of up to 64 bits. */
function pushS64(out: number[], value: bigint): void {
  let rest = BigInt.asIntN(64, value);
  for (;;) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0)) {
      out.push(byte);
      return;
    }
    out.push(byte | 0x80);
  }
}

function pushS32(out: number[], value: number): void {
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)) {
      out.push(byte);
      return;
    }
    out.push(byte | 0x80);
  }
}

function pushName(out: number[], name: string): void {
  const bytes = new TextEncoder().encode(name);
  pushU32(out, bytes.length);
  out.push(...bytes);
}

function pushAll(out: number[], bytes: readonly number[]): void {
  for (const byte of bytes) out.push(byte);
}

/** Body of one function. Nothing is checked here: WebAssembly.Module validates types and nesting. */
export class CodeWriter {
  readonly #bytes: number[] = [];
  readonly #params: number;
  readonly #locals: ValueType[] = [];
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
  local(type: ValueType): number {
    this.#locals.push(type);
    return this.#params + this.#locals.length - 1;
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

/** Section numbers (Core Specification §5.5.2). */
const SECTION = { type: 1, import: 2, function: 3, export: 7, code: 10 } as const;
const KIND = { function: 0, memory: 2, global: 3 } as const;
/** Limits with a maximum, shared (threads proposal). */
const SHARED_LIMITS = 3;

/** Builds one module. Imports may be asked for at any time, and only those that were are in the module. */
export class ModuleBuilder {
  readonly #types: string[] = [];
  readonly #typeBytes: number[][] = [];
  readonly #functionImports = new Map<string, { readonly ref: FunctionRef; readonly bytes: number[] }>();
  readonly #globalImports = new Map<string, { readonly ref: GlobalRef; readonly bytes: number[] }>();
  readonly #memory: number[] = [];
  readonly #functions: { readonly ref: FunctionRef; readonly code: CodeWriter }[] = [];
  readonly #exports: { readonly name: string; readonly ref: FunctionRef }[] = [];

  /** The one memory of the module, shared. */
  importMemory(module: string, name: string, initialPages: number, maximumPages: number): void {
    assert(this.#memory.length === 0, 'a module has one memory');
    pushName(this.#memory, module);
    pushName(this.#memory, name);
    this.#memory.push(KIND.memory, SHARED_LIMITS);
    pushU32(this.#memory, initialPages);
    pushU32(this.#memory, maximumPages);
  }

  /** An immutable global. */
  importGlobal(module: string, name: string, type: ValueType): GlobalRef {
    const key = `${module}.${name}`;
    const known = this.#globalImports.get(key);
    if (known) return known.ref;
    const bytes: number[] = [];
    pushName(bytes, module);
    pushName(bytes, name);
    bytes.push(KIND.global, VALUE_TYPES[type], 0);
    const ref = { index: this.#globalImports.size };
    this.#globalImports.set(key, { ref, bytes });
    return ref;
  }

  importFunction(module: string, name: string, signature: Signature): FunctionRef {
    const key = `${module}.${name}`;
    const known = this.#functionImports.get(key);
    if (known) return known.ref;
    const bytes: number[] = [];
    pushName(bytes, module);
    pushName(bytes, name);
    bytes.push(KIND.function);
    pushU32(bytes, this.#type(signature));
    const ref: FunctionRef = { signature };
    this.#functionImports.set(key, { ref, bytes });
    return ref;
  }

  /** A function to call before its body is written. */
  declare(signature: Signature): { readonly ref: FunctionRef; readonly code: CodeWriter } {
    const entry = { ref: { signature }, code: new CodeWriter(signature) };
    this.#functions.push(entry);
    return entry;
  }

  exportFunction(name: string, ref: FunctionRef): void {
    this.#exports.push({ name, ref });
  }

  finish(): Uint8Array<ArrayBuffer> {
    const index = new Map<FunctionRef, number>();
    for (const { ref } of this.#functionImports.values()) index.set(ref, index.size);
    for (const { ref } of this.#functions) index.set(ref, index.size);
    const indexOf = (target: FunctionRef): number => {
      const found = index.get(target);
      assert(found !== undefined, 'the function called belongs to the module');
      return found;
    };

    const functions = this.#functions.map(({ ref }) => {
      const out: number[] = [];
      pushU32(out, this.#type(ref.signature));
      return out;
    });
    const exports = this.#exports.map(({ name, ref }) => {
      const out: number[] = [];
      pushName(out, name);
      out.push(KIND.function);
      pushU32(out, indexOf(ref));
      return out;
    });
    const bodies = this.#functions.map(({ code }) => {
      const body = code.finish(indexOf);
      const out: number[] = [];
      pushU32(out, body.length);
      pushAll(out, body);
      return out;
    });
    const imports = [...this.#functionImports.values(), ...this.#globalImports.values()].map(
      ({ bytes }) => bytes,
    );
    if (this.#memory.length > 0) imports.push(this.#memory);

    const out = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
    const section = (id: number, entries: readonly (readonly number[])[]): void => {
      if (entries.length === 0) return;
      const content: number[] = [];
      pushU32(content, entries.length);
      for (const entry of entries) pushAll(content, entry);
      out.push(id);
      pushU32(out, content.length);
      pushAll(out, content);
    };
    section(SECTION.type, this.#typeBytes);
    section(SECTION.import, imports);
    section(SECTION.function, functions);
    section(SECTION.export, exports);
    section(SECTION.code, bodies);
    return Uint8Array.from(out);
  }

  #type(signature: Signature): number {
    const key = `${signature.params.join()}:${signature.results.join()}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    const bytes = [0x60];
    for (const types of [signature.params, signature.results]) {
      pushU32(bytes, types.length);
      for (const type of types) bytes.push(VALUE_TYPES[type]);
    }
    this.#types.push(key);
    this.#typeBytes.push(bytes);
    return this.#types.length - 1;
  }
}
