import { type Btf, type BtfOf, type BtfType, btfFail } from './btf.js';
import { CLayouts, type LayoutItem } from './btf-c-layout.js';
import { CNames, floatInC, identifier, intInC, tagWord } from './btf-c-names.js';

/** Types that wait for one another; the kernel's own need about 60. */
const MAX_DEPTH = 1000;
/** Declarators around one name (pointer to array of pointer …). */
const MAX_DECLARATORS = 64;
/** Bound on the lines of structs: anonymous types are written wherever they are used, and may be nested. */
const MAX_LINES = 1_000_000;

// Enums that are not as wide as an int (GNU C, machine modes; clang knows them on enums too).
const ENUM_MODES = new Map([
  [1, 'QI'],
  [2, 'HI'],
  [8, 'DI'],
]);

/**
 * Types as C that a C11 compiler with GNU attributes (clang, gcc) takes: each type after those that it needs, sizes and
 * offsets as in the BTF on a 64-bit target. Anonymous structs and unions stand where they are used. What is in the BTF
 * twice under one name is written with `___2` behind it.
 * @param ids types to write, with all that they need; functions, variables and sections too. Without it: every named
 * type, and enums without a name
 * @throws BtfError when the types are damaged: BTF_DEPTH, BTF_SIZE, BTF_KIND, BTF_TYPE
 */
export function formatC(btf: Btf, ids?: readonly number[]): string {
  const writer = new CWriter(btf);
  if (ids !== undefined) for (const id of ids) writer.write(btf.type(id));
  else {
    for (const type of btf.types)
      if (type.kind !== 'func' && type.kind !== 'var' && type.kind !== 'datasec') writer.write(type);
    writer.writeUnusedEnums();
  }
  return writer.text;
}

/** A declaration of one name of one type, such as `const struct pair *(*choose)(int)`; anonymous types in full. */
export function formatCDeclaration(btf: Btf, id: number, name: string): string {
  return new CWriter(btf).declaration(id, name, 0, false);
}

/** Names by BTF: to give them every type has to be looked at. */
const names = new WeakMap<Btf, CNames>();

class CWriter {
  readonly #btf: Btf;
  readonly #names: CNames;
  readonly #layouts: CLayouts;
  readonly #parts: string[] = [];
  /** Types that are written, or, where they have no name, whose parts are. */
  readonly #done = new Set<number>();
  readonly #open = new Set<number>();
  readonly #declared = new Set<number>();
  /** Enums without a name that were written where they are used: their constants must not come twice. */
  readonly #enums = new Set<number>();
  #lines = 0;

  constructor(btf: Btf) {
    this.#btf = btf;
    this.#names = names.get(btf) ?? new CNames(btf);
    names.set(btf, this.#names);
    this.#layouts = new CLayouts(btf);
  }

  get text(): string {
    return this.#parts.join('');
  }

  /** One type and all that it needs, at the top level. */
  write(type: BtfType): void {
    switch (type.kind) {
      case 'func':
      case 'var': {
        this.#need(type.type, type.kind === 'var', false, 0);
        const text = this.declaration(type.type, this.#names.ordinary(type.id), 0, false);
        this.#parts.push(`extern ${text};\n`);
        return;
      }
      case 'datasec':
        for (const { type: id } of type.vars) this.write(this.#variable(type, id));
        return;
      default:
        this.#need(type.id, true, false, 0);
    }
  }

  writeUnusedEnums(): void {
    for (const type of this.#btf.types) {
      if ((type.kind === 'enum' || type.kind === 'enum64') && type.name === '' && !this.#enums.has(type.id))
        this.#parts.push(`${this.#enum(type, 0)};\n\n`);
    }
  }

  #variable(section: BtfOf<'datasec'>, id: number): BtfType {
    const type = this.#btf.type(id);
    return type.kind === 'var' ? type : btfFail('BTF_KIND', section.at, `type ${id} is not a variable`);
  }

  /**
   * Write what has to stand before a use of the type.
   * @param complete its size has to be known; a struct behind a pointer needs no more than its tag
   * @param inPrototype a tag that is first seen among parameters would be another type outside (C11 §6.2.1): declare it
   */
  #need(id: number, complete: boolean, inPrototype: boolean, depth: number): void {
    const type = this.#btf.type(id);
    if (depth > MAX_DEPTH) btfFail('BTF_DEPTH', type.at, `chain of more than ${MAX_DEPTH} types`);
    switch (type.kind) {
      case 'void':
      case 'int':
      case 'float':
      case 'decl-tag':
      case 'datasec':
        return;
      case 'ptr':
        this.#need(type.type, false, inPrototype, depth + 1);
        return;
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type-tag':
        this.#need(type.type, complete, inPrototype, depth + 1);
        return;
      case 'array':
        this.#need(type.type, true, inPrototype, depth + 1);
        return;
      case 'func':
      case 'var':
        this.#need(type.type, type.kind === 'var', inPrototype, depth + 1);
        return;
      case 'func-proto':
        for (const part of [type, ...type.params]) this.#need(part.type, false, true, depth + 1);
        return;
      case 'typedef':
        this.#once(type, () => {
          this.#need(type.type, false, inPrototype, depth + 1);
          const text = this.declaration(type.type, this.#names.ordinary(type.id), 0, false);
          this.#parts.push(`typedef ${text};\n\n`);
        });
        if (complete) this.#need(type.type, true, inPrototype, depth + 1);
        return;
      case 'enum':
      case 'enum64':
        if (type.name !== '') this.#once(type, () => this.#parts.push(`${this.#enum(type, 0)};\n\n`));
        return;
      case 'fwd': {
        const definition = this.#names.definition(type);
        if (definition.kind === 'fwd') this.#declare(definition);
        else this.#need(definition.id, complete, inPrototype, depth + 1);
        return;
      }
      case 'struct':
      case 'union':
        if (type.name === '') this.#once(type, () => this.#members(type, inPrototype, depth));
        else if (complete) this.#define(type, depth);
        else if (inPrototype) this.#declare(type);
    }
  }

  #members(type: BtfOf<'struct' | 'union'>, inPrototype: boolean, depth: number): void {
    for (const member of type.members) this.#need(member.type, true, inPrototype, depth + 1);
  }

  #define(type: BtfOf<'struct' | 'union'>, depth: number): void {
    this.#once(type, () => {
      this.#members(type, false, depth);
      this.#parts.push(`${this.#composite(type, 0, false)};\n\n`);
    });
  }

  #declare(type: BtfOf<'struct' | 'union' | 'fwd'>): void {
    if (this.#declared.has(type.id) || this.#done.has(type.id)) return;
    this.#declared.add(type.id);
    this.#parts.push(`${tagWord(type)} ${this.#names.tag(type)};\n\n`);
  }

  #once(type: BtfType, write: () => void): void {
    if (this.#done.has(type.id)) return;
    if (this.#open.has(type.id)) btfFail('BTF_DEPTH', type.at, `type ${type.id} needs itself`);
    this.#open.add(type.id);
    write();
    this.#open.delete(type.id);
    this.#done.add(type.id);
  }

  /** A type around a name, inside out as C has it: what stands nearest to the name is said first. */
  declaration(id: number, name: string, indent: number, inPrototype: boolean): string {
    let inner = name;
    let qualifiers = '';
    let type = this.#btf.type(id);
    for (let depth = 0; depth < MAX_DECLARATORS; depth++) {
      switch (type.kind) {
        case 'const':
        case 'volatile':
          qualifiers = `${type.kind} ${qualifiers}`;
          break;
        case 'restrict':
          // Only a pointer can be it; in the language's own words it is no keyword before C99.
          qualifiers = `__restrict ${qualifiers}`;
          break;
        case 'type-tag':
          break;
        case 'ptr':
          inner = `*${qualifiers}${inner}`.trimEnd();
          qualifiers = '';
          break;
        case 'array':
          inner = `${inner.startsWith('*') ? `(${inner})` : inner}[${type.count}]`;
          break;
        case 'func-proto':
          inner = `${inner.startsWith('*') ? `(${inner})` : inner}(${this.#parameters(type, indent)})`;
          qualifiers = '';
          break;
        default: {
          const base = this.#base(type, indent, inPrototype);
          return `${qualifiers.replace('__restrict ', '')}${base}${inner === '' ? '' : ` ${inner}`}`;
        }
      }
      type = this.#btf.type(type.type);
    }
    return btfFail('BTF_DEPTH', type.at, `more than ${MAX_DECLARATORS} declarators around a name`);
  }

  #parameters(type: BtfOf<'func-proto'>, indent: number): string {
    if (type.params.length === 0) return 'void';
    // A last parameter of no type stands for the variable ones (btf.rst §2.2.13); alone, it is what C calls ().
    if (type.params.length === 1 && type.params[0]?.type === 0) return '';
    return type.params
      .map((param, index) => {
        if (param.type === 0 && index === type.params.length - 1) return '...';
        return this.declaration(param.type, param.name === '' ? '' : identifier(param.name), indent, true);
      })
      .join(', ');
  }

  #base(type: BtfType, indent: number, inPrototype: boolean): string {
    switch (type.kind) {
      case 'void':
        return 'void';
      case 'int':
        return intInC(type) ?? btfFail('BTF_SIZE', type.at, `no C type of ${type.sizeBytes} bytes`);
      case 'float':
        return floatInC(type) ?? btfFail('BTF_SIZE', type.at, `no floating point of ${type.sizeBytes} bytes`);
      case 'typedef':
        return this.#names.ordinary(type.id);
      case 'fwd':
        return `${type.of} ${this.#names.tag(type)}`;
      case 'struct':
      case 'union':
        return type.name === ''
          ? this.#composite(type, indent, inPrototype)
          : `${type.kind} ${this.#names.tag(type)}`;
      case 'enum':
      case 'enum64':
        if (type.name !== '') return `enum ${this.#names.tag(type)}`;
        if (!inPrototype && !this.#enums.has(type.id)) return this.#enum(type, indent);
        return (
          intInC({ ...type, kind: 'int', bits: 0, bitOffset: 0, encoding: type.signed ? 1 : 0 }) ?? 'int'
        );
      default:
        return btfFail('BTF_KIND', type.at, `a ${type.kind} is not a type of C`);
    }
  }

  #enum(type: BtfOf<'enum' | 'enum64'>, indent: number): string {
    this.#enums.add(type.id);
    const tabs = '\t'.repeat(indent);
    const constants = this.#names.enumerators(type.id);
    // C has no enum without a constant; clang describes one that is only declared so.
    const rows =
      type.values.length === 0
        ? [`${tabs}\t__no_constant_${type.id},`]
        : type.values.map(({ value }, index) => `${tabs}\t${constants[index]} = ${constant(value)},`);
    this.#count(rows.length, type);
    const mode = ENUM_MODES.get(type.sizeBytes);
    const tag = this.#names.tag(type);
    return [
      `enum ${tag === '' ? '' : `${tag} `}{`,
      ...rows,
      `${tabs}}${mode === undefined ? '' : ` __attribute__((mode(${mode})))`}`,
    ].join('\n');
  }

  #composite(type: BtfOf<'struct' | 'union'>, indent: number, inPrototype: boolean): string {
    const layout = this.#layouts.of(type);
    this.#count(layout.items.length + 1, type);
    const tabs = '\t'.repeat(indent);
    const tag = this.#names.tag(type);
    const taken = new Set(type.members.map(({ name }) => name));
    const rows = layout.items.map((item) => `${tabs}\t${this.#item(item, indent + 1, taken, inPrototype)};`);
    const attributes = [
      ...(layout.packed ? ['packed'] : []),
      ...(layout.aligned === undefined ? [] : [`aligned(${layout.aligned})`]),
    ];
    const end = attributes.length === 0 ? '' : ` __attribute__((${attributes.join(', ')}))`;
    const head = `${type.kind} ${tag === '' ? '' : `${tag} `}{`;
    return rows.length === 0 ? `${head}}${end}` : [head, ...rows, `${tabs}}${end}`].join('\n');
  }

  #item(item: LayoutItem, indent: number, taken: Set<string>, inPrototype: boolean): string {
    switch (item.kind) {
      case 'member': {
        const { member, bits, align } = item;
        const name = member.name === '' ? '' : identifier(member.name);
        const text = this.declaration(member.type, name, indent, inPrototype);
        const end = align === undefined ? '' : ` __attribute__((aligned(${align})))`;
        return `${text}${bits === 0 ? '' : ` : ${bits}`}${end}`;
      }
      case 'bits': {
        const type =
          item.type === undefined ? 'unsigned char' : this.declaration(item.type, '', indent, true);
        return `${type} : ${item.bits}`;
      }
      case 'bytes': {
        let name = `__pad_${item.offset}`;
        while (taken.has(name)) name += '_';
        return `unsigned char ${name}[${item.bytes}]`;
      }
    }
  }

  #count(lines: number, type: BtfType): void {
    this.#lines += lines;
    if (this.#lines > MAX_LINES) btfFail('BTF_DEPTH', type.at, `more than ${MAX_LINES} lines of C`);
  }
}

/** A constant as C has it: the suffix where the value is wider than an int, and no literal for the least value. */
function constant(value: bigint): string {
  if (value === -(2n ** 63n)) return '(-9223372036854775807LL - 1)';
  if (value > 0x7fff_ffff_ffff_ffffn) return `${value}ULL`;
  return value > 0xffff_ffffn || value < -0x8000_0000n ? `${value}LL` : `${value}`;
}
