import { assert } from '../../errors.js';
import { pushAll, pushName, pushU32 } from './wasm-bytes.js';
import {
  CodeWriter,
  type FunctionRef,
  type GlobalRef,
  type Signature,
  type TableRef,
  type TypeRef,
} from './wasm-code.js';
import { FUNCREF, VALUE_TYPES, type ValueType } from './wasm-opcodes.js';

/** Section numbers (Core Specification §5.5.2). */
const SECTION = { custom: 0, type: 1, import: 2, function: 3, export: 7, code: 10 } as const;
const KIND = { function: 0, table: 1, memory: 2, global: 3 } as const;
/** Subsections of the name section. */
const NAMES = { functions: 1, locals: 2 } as const;
/** Limits with a maximum, shared (threads proposal). */
const SHARED_LIMITS = 3;

/** Builds one module. Imports may be asked for at any time, and only those that were are in the module. */
export class ModuleBuilder {
  readonly #types: string[] = [];
  readonly #typeBytes: number[][] = [];
  readonly #functionImports = new Map<string, { readonly ref: FunctionRef; readonly bytes: number[] }>();
  readonly #globalImports = new Map<string, { readonly ref: GlobalRef; readonly bytes: number[] }>();
  readonly #tableImports = new Map<string, { readonly ref: TableRef; readonly bytes: number[] }>();
  readonly #memory: number[] = [];
  readonly #functions: { readonly ref: FunctionRef; readonly code: CodeWriter; readonly name: string }[] = [];
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

  /** A table of functions, of any length. */
  importTable(module: string, name: string): TableRef {
    const key = `${module}.${name}`;
    const known = this.#tableImports.get(key);
    if (known) return known.ref;
    const bytes: number[] = [];
    pushName(bytes, module);
    pushName(bytes, name);
    bytes.push(KIND.table, FUNCREF, 0);
    pushU32(bytes, 0);
    const ref = { index: this.#tableImports.size };
    this.#tableImports.set(key, { ref, bytes });
    return ref;
  }

  /** The type of functions of a signature, for indirect calls. */
  typeOf(signature: Signature): TypeRef {
    return { index: this.#type(signature) };
  }

  /** A function to call before its body is written. */
  declare(signature: Signature, name: string): { readonly ref: FunctionRef; readonly code: CodeWriter } {
    const entry = { ref: { signature }, code: new CodeWriter(signature), name };
    this.#functions.push(entry);
    return entry;
  }

  exportFunction(name: string, ref: FunctionRef): void {
    this.#exports.push({ name, ref });
  }

  /** @param names with the names of functions and locals (Core Specification, appendix "Custom Sections") */
  finish({ names = false }: { readonly names?: boolean } = {}): Uint8Array<ArrayBuffer> {
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
    const imports = [this.#functionImports, this.#globalImports, this.#tableImports].flatMap((each) =>
      [...each.values()].map(({ bytes }) => bytes),
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
    if (names) {
      const content = this.#nameSection();
      out.push(SECTION.custom);
      pushU32(out, content.length);
      pushAll(out, content);
    }
    return Uint8Array.from(out);
  }

  #nameSection(): number[] {
    const out: number[] = [];
    pushName(out, 'name');
    const subsection = (id: number, entries: readonly (readonly number[])[]) => {
      const content: number[] = [];
      pushU32(content, entries.length);
      for (const entry of entries) pushAll(content, entry);
      out.push(id);
      pushU32(out, content.length);
      pushAll(out, content);
    };
    const named = (index: number, name: string) => {
      const entry: number[] = [];
      pushU32(entry, index);
      pushName(entry, name);
      return entry;
    };
    const imported = this.#functionImports.size;
    subsection(NAMES.functions, [
      ...[...this.#functionImports.keys()].map((key, index) => named(index, key.slice(key.indexOf('.') + 1))),
      ...this.#functions.map(({ name }, index) => named(imported + index, name)),
    ]);
    subsection(
      NAMES.locals,
      this.#functions.map(({ code }, index) => {
        const entry: number[] = [];
        pushU32(entry, imported + index);
        pushU32(entry, code.names.size);
        for (const [local, name] of [...code.names].sort(([a], [b]) => a - b))
          pushAll(entry, named(local, name));
        return entry;
      }),
    );
    return out;
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
