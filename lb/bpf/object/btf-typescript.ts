import { type Btf, btfFail } from './btf.js';
import { type ValueField, type ValueShape, valueShape } from './value-shape.js';

/** Arrays up to this many elements are written as tuples, so that their length is checked. */
const MAX_TUPLE = 8;
/** Types in types, by value. */
const MAX_NESTING = 64;
/** Bound on the fields that are written: types without a name are written wherever they are used. */
const MAX_FIELDS = 100_000;
/** Names of TypeScript that what is written uses, or that cannot be the name of a type. */
const RESERVED = (
  'Uint8Array any bigint boolean never null number object string symbol undefined unknown void ' +
  'Array Boolean Number Object String Symbol'
).split(' ');

/**
 * Types as TypeScript: what `decodeValue` gives for them, and `encodeValue` takes. A struct is an interface, a union
 * one whose members are optional, an enum a union of the names of its constants (or a number, where none has the
 * value), in names of types `flow_key` is FlowKey; names of fields stay as in C.
 * @param ids types to write, with all that they contain
 * @returns a module of exported types
 * @throws BtfError for damaged types and for what has no values (BTF_KIND)
 */
export function formatTypeScript(btf: Btf, ids: readonly number[]): string {
  const writer = new TypeWriter(btf);
  for (const id of ids) writer.need(id);
  return writer.text;
}

class TypeWriter {
  readonly #btf: Btf;
  readonly #parts: string[] = [];
  /** Names of types by the id of the type that they stand for. */
  readonly #names = new Map<number, string>();
  readonly #taken = new Set(RESERVED);
  #fields = 0;

  constructor(btf: Btf) {
    this.#btf = btf;
  }

  get text(): string {
    return this.#parts.join('\n');
  }

  /** Write a type that was asked for; a plain one under its own name, so that there is something to import. */
  need(id: number): void {
    const type = this.#btf.type(id);
    const text = this.#typeOf(id, '', 0);
    if (type.name === '' || this.#names.has(id) || this.#names.has(this.#btf.resolve(id).id)) return;
    const name = this.#claim(type.name);
    this.#names.set(id, name);
    this.#parts.push(`export type ${name} = ${text};\n`);
  }

  #claim(cName: string): string {
    const words = cName.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
    const plain = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
    const base = /^[A-Za-z]/.test(plain) ? plain : `Type${plain}`;
    let name = base;
    for (let count = 2; this.#taken.has(name); count++) name = `${base}${count}`;
    this.#taken.add(name);
    return name;
  }

  /** The TypeScript for a type in the place of a field. */
  #typeOf(id: number, indent: string, depth: number): string {
    const target = this.#btf.resolve(id);
    const known = this.#names.get(target.id);
    if (known !== undefined) return known;
    if (depth > MAX_NESTING)
      return btfFail('BTF_DEPTH', target.at, `types nested more than ${MAX_NESTING} deep`);
    const shape = valueShape(this.#btf, target.id);
    if (shape === undefined) return btfFail('BTF_KIND', target.at, `a ${target.kind} has no values`);
    switch (shape.kind) {
      case 'int':
        return shape.isBool ? 'boolean' : shape.sizeBytes > 4 ? 'bigint' : 'number';
      case 'float':
        return 'number';
      case 'pointer':
        return 'bigint';
      case 'text':
        return 'string';
      case 'bytes':
        return 'Uint8Array';
      case 'array':
        return this.#array(shape, indent, depth);
      case 'enum':
        return this.#enum(id, shape);
      case 'fields':
        return this.#fieldsOf(id, shape, indent, depth);
    }
  }

  #array(shape: Extract<ValueShape, { kind: 'array' }>, indent: string, depth: number): string {
    const element = this.#typeOf(shape.element, indent, depth + 1);
    if (shape.count <= MAX_TUPLE) return `readonly [${Array(shape.count).fill(element).join(', ')}]`;
    return /^[A-Za-z0-9]+$/.test(element) ? `readonly ${element}[]` : `readonly (${element})[]`;
  }

  #enum(id: number, shape: Extract<ValueShape, { kind: 'enum' }>): string {
    const seen = new Set<bigint>();
    const names = shape.values.flatMap(({ name, value }) => {
      // The second name of a value is taken but never read.
      if (seen.has(value)) return [];
      seen.add(value);
      return [JSON.stringify(name).replace(/^"|"$/g, "'")];
    });
    const text = [...names, shape.sizeBytes > 4 ? 'bigint' : 'number'].join(' | ');
    const name = this.#nameOf(id);
    if (name === undefined) return text;
    this.#parts.push(`export type ${name} = ${text};\n`);
    return name;
  }

  #fieldsOf(
    id: number,
    shape: Extract<ValueShape, { kind: 'fields' }>,
    indent: string,
    depth: number,
  ): string {
    const name = this.#nameOf(id);
    const inner = name === undefined ? `${indent}  ` : '  ';
    this.#fields += shape.fields.length + 1;
    if (this.#fields > MAX_FIELDS)
      return btfFail('BTF_DEPTH', this.#btf.type(id).at, `more than ${MAX_FIELDS} fields`);
    const rows = shape.fields.map((field) => `${inner}${this.#field(field, inner, depth)}`);
    const body = rows.length === 0 ? '{}' : `{\n${rows.join('\n')}\n${name === undefined ? indent : ''}}`;
    if (name === undefined) return body;
    // An empty interface would take anything.
    this.#parts.push(
      rows.length === 0
        ? `export type ${name} = Record<string, never>;\n`
        : `export interface ${name} ${body}\n`,
    );
    return name;
  }

  #field({ name, type, isChoice }: ValueField, indent: string, depth: number): string {
    const key = /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(name) ? name : JSON.stringify(name);
    return `readonly ${key}${isChoice ? '?' : ''}: ${this.#typeOf(type, indent, depth + 1)};`;
  }

  /** A name for a struct or enum: its tag, or the name of the typedef by which it is used. */
  #nameOf(id: number): string | undefined {
    const target = this.#btf.resolve(id);
    let cName = target.name;
    for (let type = this.#btf.type(id); cName === '' && type.id !== target.id; ) {
      if (type.kind === 'typedef') cName = type.name;
      if (!('type' in type)) break;
      type = this.#btf.type(type.type);
    }
    if (cName === '') return undefined;
    const name = this.#claim(cName);
    this.#names.set(target.id, name);
    return name;
  }
}
