import { assert } from '../../errors.js';
import type { Signature } from './wasm-code.js';
import { VALUE_TYPES, type ValueType } from './wasm-opcodes.js';

/** What a module imports, in order. */
export type ModuleImport = { readonly module: string; readonly name: string } & (
  | { readonly kind: 'function'; readonly type: number }
  | { readonly kind: 'table'; readonly min: number }
  | {
      readonly kind: 'memory';
      readonly min: number;
      readonly max: number | undefined;
      readonly shared: boolean;
    }
  | { readonly kind: 'global'; readonly type: ValueType; readonly mutable: boolean }
);

/** A function with a body. */
export interface ModuleFunction {
  readonly type: number;
  readonly locals: readonly ValueType[];
  /** Instructions, with the `end` of the function. */
  readonly code: Uint8Array;
}

/** A module as far as the compiler writes any: no data, no elements, no start. */
export interface ModuleContent {
  readonly types: readonly Signature[];
  readonly imports: readonly ModuleImport[];
  readonly functions: readonly ModuleFunction[];
  /** Names of exported functions by index. */
  readonly exports: ReadonlyMap<number, string>;
  /** Name section: of functions by index, of their locals by index of function and local. */
  readonly functionNames: ReadonlyMap<number, string>;
  readonly localNames: ReadonlyMap<number, ReadonlyMap<number, string>>;
}

const TYPE_NAMES: ReadonlyMap<number, ValueType> = new Map(
  (Object.entries(VALUE_TYPES) as [ValueType, number][]).map(([name, code]) => [code, name]),
);

/** Reads the encodings of the binary format (Core Specification §5.2). */
export class WasmReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    assert(byte !== undefined, 'the module goes on');
    return byte;
  }

  bytes(count: number): Uint8Array {
    assert(this.#at + count <= this.#bytes.length, 'the module goes on');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  u32(): number {
    return Number(this.#leb(false));
  }

  signed(): bigint {
    return this.#leb(true);
  }

  name(): string {
    return new TextDecoder().decode(this.bytes(this.u32()));
  }

  valueType(): ValueType {
    const type = TYPE_NAMES.get(this.byte());
    assert(type !== undefined, 'the compiler uses i32 and i64');
    return type;
  }

  vector<T>(read: () => T): T[] {
    return Array.from({ length: this.u32() }, read);
  }

  #leb(isSigned: boolean): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte & 0x80) continue;
      return isSigned && byte & 0x40 ? value - (1n << (shift + 7n)) : value;
    }
  }
}

const SECTIONS = { 0: 'custom', 1: 'type', 2: 'import', 3: 'function', 7: 'export', 10: 'code' } as const;
const IMPORT_KINDS = ['function', 'table', 'memory', 'global'] as const;
const HEADER_BYTES = 8;
const HAS_MAXIMUM = 1;
const IS_SHARED = 2;

function readImport(reader: WasmReader): ModuleImport {
  const module = reader.name();
  const name = reader.name();
  const kind = IMPORT_KINDS[reader.byte()];
  switch (kind) {
    case 'function':
      return { module, name, kind, type: reader.u32() };
    case 'table':
      reader.bytes(2);
      return { module, name, kind, min: reader.u32() };
    case 'memory': {
      const flags = reader.byte();
      const min = reader.u32();
      const max = flags & HAS_MAXIMUM ? reader.u32() : undefined;
      return { module, name, kind, min, max, shared: (flags & IS_SHARED) !== 0 };
    }
    case 'global':
      return { module, name, kind, type: reader.valueType(), mutable: reader.byte() === 1 };
    default:
      throw new Error('unreachable: an import of no kind');
  }
}

function readBody(reader: WasmReader): Omit<ModuleFunction, 'type'> {
  const body = new WasmReader(reader.bytes(reader.u32()));
  const locals = body
    .vector(() => ({ count: body.u32(), type: body.valueType() }))
    .flatMap(({ count, type }) => new Array<ValueType>(count).fill(type));
  const code: number[] = [];
  while (!body.isAtEnd) code.push(body.byte());
  return { locals, code: Uint8Array.from(code) };
}

/** Reads a module that ModuleBuilder wrote; anything else is a bug here. */
export function readModule(wasm: Uint8Array): ModuleContent {
  const reader = new WasmReader(wasm);
  reader.bytes(HEADER_BYTES);
  let types: Signature[] = [];
  let imports: ModuleImport[] = [];
  let functionTypes: number[] = [];
  let bodies: Omit<ModuleFunction, 'type'>[] = [];
  const exports = new Map<number, string>();
  const functionNames = new Map<number, string>();
  const localNames = new Map<number, Map<number, string>>();
  while (!reader.isAtEnd) {
    const section = SECTIONS[reader.byte() as keyof typeof SECTIONS];
    const content = new WasmReader(reader.bytes(reader.u32()));
    switch (section) {
      case 'type':
        types = content.vector(() => {
          content.byte();
          const params = content.vector(() => content.valueType());
          return { params, results: content.vector(() => content.valueType()) };
        });
        break;
      case 'import':
        imports = content.vector(() => readImport(content));
        break;
      case 'function':
        functionTypes = content.vector(() => content.u32());
        break;
      case 'export':
        content.vector(() => {
          const name = content.name();
          content.byte();
          exports.set(content.u32(), name);
        });
        break;
      case 'code':
        bodies = content.vector(() => readBody(content));
        break;
      case 'custom':
        if (content.name() === 'name') readNames(content, functionNames, localNames);
        break;
      default:
        throw new Error('unreachable: a section that the compiler does not write');
    }
  }
  const functions = bodies.map((body, index) => ({ ...body, type: functionTypes[index]! }));
  return { types, imports, functions, exports, functionNames, localNames };
}

const FUNCTION_NAMES = 1;
const LOCAL_NAMES = 2;

function readNames(
  reader: WasmReader,
  functions: Map<number, string>,
  locals: Map<number, Map<number, string>>,
): void {
  while (!reader.isAtEnd) {
    const subsection = reader.byte();
    const content = new WasmReader(reader.bytes(reader.u32()));
    if (subsection === FUNCTION_NAMES) content.vector(() => functions.set(content.u32(), content.name()));
    if (subsection !== LOCAL_NAMES) continue;
    content.vector(() => {
      const names = new Map<number, string>();
      locals.set(content.u32(), names);
      content.vector(() => names.set(content.u32(), content.name()));
    });
  }
}
