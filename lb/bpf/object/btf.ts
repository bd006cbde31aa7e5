import { KIND_PARSERS } from './btf-kinds.js';
import {
  BTF_MAGIC,
  type BtfKind,
  type BtfOf,
  type BtfType,
  btfFail,
  btfReader,
  type FieldLayout,
  KIND_OF_CODE,
  type StructLayout,
} from './btf-types.js';
import type { Reader } from './reader.js';

export * from './btf-types.js';

const BTF_VERSION = 1;
const HEADER_BYTES = 24;
const TYPE_BYTES = 12;
/** The kernel's MAX_RESOLVE_DEPTH: a longer chain of types is refused. */
const MAX_DEPTH = 32;
/** Bound on the members that one struct layout walks through: a damaged type can contain itself. */
const MAX_FIELDS = 4096;
const MAX_SIZE_BYTES = 0xffff_ffff;
const POINTER_BYTES = 8;
/** The kernel's BTF_MAX_TYPE. */
const MAX_TYPES = 0x000f_ffff;
/** Bound on the text of names, for each byte of the section: names may overlap in a damaged one. */
const NAME_BYTES_PER_BYTE = 16;
const NAME_BYTES_FREE = 1 << 20;

/** Types that are read when they are asked for: BTF of a whole kernel has more than a hundred thousand. */
export interface TypeSource {
  readonly count: number;
  /** By place among the types of this source. */
  at(index: number): BtfType;
  kindAt(index: number): BtfType['kind'];
  nameAt(index: number): string;
}

/** The types of one object, or of a kernel, read-only. */
export class Btf {
  /** The section's bytes, as BPF_BTF_LOAD takes them. */
  readonly bytes: Uint8Array;
  /** What a split BTF is split from (btf.rst §4.3): its types and strings count on from the base's. */
  readonly base: Btf | undefined;
  readonly #source: TypeSource;
  readonly #strings: Reader;
  readonly #firstId: number;
  #types: readonly BtfType[] | undefined;
  // Source lines are asked for once a program; a damaged file may name one long string very often.
  readonly #cut = new Map<number, string>();

  /** @param types by id from 0 (void) on; with a base, from the base's count on */
  constructor(bytes: Uint8Array, types: readonly BtfType[] | TypeSource, strings: Reader, base?: Btf) {
    this.bytes = bytes;
    this.base = base;
    this.#firstId = base?.count ?? 0;
    this.#strings = strings;
    if ('kindAt' in types) {
      this.#source = types;
    } else {
      this.#types = base === undefined ? types : [...base.types, ...types];
      this.#source = arraySource(types);
    }
  }

  /** Number of types, void and the base's included: the first id that is none. */
  get count(): number {
    return this.#firstId + this.#source.count;
  }

  /** Bytes of strings, the base's included: where the strings of a BTF split from this one begin. */
  get stringBytes(): number {
    return (this.base?.stringBytes ?? 0) + this.#strings.length;
  }

  /** All, by id; entry 0 is void. Reads every type: for the BTF of a kernel use `type` and `nameOf`. */
  get types(): readonly BtfType[] {
    if (this.#types === undefined) {
      const own = Array.from({ length: this.#source.count }, (_, index) => this.#source.at(index));
      this.#types = this.base === undefined ? own : [...this.base.types, ...own];
    }
    return this.#types;
  }

  /** @throws BtfError BTF_TYPE when there is no type of that number */
  type(id: number): BtfType {
    if (this.base !== undefined && id < this.#firstId) return this.base.type(id);
    const index = id - this.#firstId;
    if (!(index >= 0 && index < this.#source.count)) btfFail('BTF_TYPE', 0, `type ${id} does not exist`);
    return this.#source.at(index);
  }

  /** Kind of a type without reading the rest of it. The id must be one of a type. */
  kindOf(id: number): BtfType['kind'] {
    if (this.base !== undefined && id < this.#firstId) return this.base.kindOf(id);
    return this.#source.kindAt(id - this.#firstId);
  }

  /** Name of a type without reading the rest of it. The id must be one of a type. */
  nameOf(id: number): string {
    if (this.base !== undefined && id < this.#firstId) return this.base.nameOf(id);
    return this.#source.nameAt(id - this.#firstId);
  }

  /** The string at an offset of the string section, cut at MAX_STRING_BYTES. */
  string(offset: number): string {
    const known = this.#cut.get(offset);
    if (known !== undefined) return known;
    const first = this.base?.stringBytes ?? 0;
    const text =
      this.base !== undefined && offset < first
        ? this.base.string(offset)
        : (this.#strings.string(offset - first, true) ?? '');
    this.#cut.set(offset, text);
    return text;
  }

  /** The type behind typedefs, qualifiers and type tags. @throws BtfError BTF_DEPTH on a chain without end */
  resolve(id: number): BtfType {
    let type = this.type(id);
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      switch (type.kind) {
        case 'typedef':
        case 'volatile':
        case 'const':
        case 'restrict':
        case 'type-tag':
          type = this.type(type.type);
          break;
        default:
          return type;
      }
    }
    return btfFail('BTF_DEPTH', type.at, `chain of more than ${MAX_DEPTH} types`);
  }

  /** Bytes of a value of the type. @throws BtfError BTF_SIZE for what has no size (void, functions) */
  sizeOf(id: number): number {
    let count = 1;
    let type = this.resolve(id);
    for (let depth = 0; type.kind === 'array'; depth++) {
      if (depth === MAX_DEPTH) btfFail('BTF_DEPTH', type.at, 'arrays without end');
      count *= type.count;
      type = this.resolve(type.type);
    }
    const size = count * this.#ownSize(type);
    if (size > MAX_SIZE_BYTES) btfFail('BTF_SIZE', type.at, `${size} bytes are too many`);
    return size;
  }

  #ownSize(type: BtfType): number {
    switch (type.kind) {
      case 'int':
      case 'struct':
      case 'union':
      case 'enum':
      case 'enum64':
      case 'float':
      case 'datasec':
        return type.sizeBytes;
      case 'ptr':
        return POINTER_BYTES;
      default:
        return btfFail('BTF_SIZE', type.at, `a ${type.kind} has no size`);
    }
  }

  /** First type of that kind and name. */
  find<K extends BtfType['kind']>(kind: K, name: string): BtfOf<K> | undefined {
    for (let id = 0; id < this.count; id++) {
      if (this.kindOf(id) !== kind || this.nameOf(id) !== name) continue;
      const type = this.type(id);
      const isOfKind = (one: BtfType): one is BtfOf<K> => one.kind === kind;
      if (isOfKind(type)) return type;
    }
    return undefined;
  }

  /**
   * Size and fields of a struct or union by its C tag, or by the name of a typedef of one.
   * @throws BtfError BTF_MISSING, BTF_DEPTH
   */
  structLayout(name: string): StructLayout {
    const named = this.find('struct', name) ?? this.find('union', name) ?? this.find('typedef', name);
    const type = named === undefined ? undefined : this.resolve(named.id);
    if (type?.kind !== 'struct' && type?.kind !== 'union')
      return btfFail('BTF_MISSING', 0, `no struct or union ${name}`);
    const fields = new Map<string, FieldLayout>();
    let visits = 0;
    const lay = (struct: BtfOf<'struct' | 'union'>, baseBits: number): void => {
      visits += struct.members.length + 1;
      if (visits > MAX_FIELDS) btfFail('BTF_DEPTH', struct.at, `${name} has more than ${MAX_FIELDS} fields`);
      for (const member of struct.members) {
        const bitOffset = baseBits + member.bitOffset;
        const inner = this.resolve(member.type);
        if (member.name === '' && (inner.kind === 'struct' || inner.kind === 'union')) {
          lay(inner, bitOffset);
          continue;
        }
        fields.set(member.name, {
          offset: Math.floor(bitOffset / 8),
          sizeBytes: this.sizeOf(member.type),
          type: member.type,
          ...(member.bitSize > 0 ? { bits: { offset: bitOffset, size: member.bitSize } } : {}),
        });
      }
    };
    lay(type, 0);
    return { sizeBytes: type.sizeBytes, fields };
  }

  #enumOf(constant: string): BtfOf<'enum' | 'enum64'> | undefined {
    for (const type of this.types) {
      const isEnum = type.kind === 'enum' || type.kind === 'enum64';
      if (isEnum && type.values.some((value) => value.name === constant)) return type;
    }
    return undefined;
  }

  /** Values of an enum by its C tag, or of the enum that holds the constant `name` (for enums without a tag). @throws BtfError BTF_MISSING */
  enumValues(name: string): ReadonlyMap<string, bigint> {
    const found = this.find('enum', name) ?? this.find('enum64', name) ?? this.#enumOf(name);
    if (found === undefined) return btfFail('BTF_MISSING', 0, `no enum ${name}`);
    return new Map(found.values.map((value) => [value.name, value.value]));
  }
}

function arraySource(types: readonly BtfType[]): TypeSource {
  const at = (index: number): BtfType =>
    types[index] ?? btfFail('BTF_TYPE', 0, `type ${index} does not exist`);
  return {
    count: types.length,
    at,
    kindAt: (index) => at(index).kind,
    nameAt: (index) => at(index).name,
  };
}

export interface ParseBtfOptions {
  /** What a split BTF is split from. */
  readonly base?: Btf;
  /** Read a type when it is asked for; a damaged one is noticed then. */
  readonly isLazy?: boolean;
}

/**
 * Parse a .BTF section of little-endian types, or the BTF of a kernel (/sys/kernel/btf/vmlinux).
 * @throws BtfError with the offset in the section
 */
export function parseBtf(bytes: Uint8Array, options: ParseBtfOptions = {}): Btf {
  const r = btfReader(bytes);
  if (r.u16(0) !== BTF_MAGIC) btfFail('BTF_HEADER', 0, 'bad magic');
  if (r.u8(2) !== BTF_VERSION || r.u8(3) !== 0)
    btfFail('BTF_HEADER', 2, `version ${r.u8(2)}, flags ${r.u8(3)}`);
  const headerBytes = r.u32(4);
  if (headerBytes < HEADER_BYTES) btfFail('BTF_HEADER', 4, `header of ${headerBytes} bytes`);
  const typesAt = headerBytes + r.u32(8);
  const typeSection = r.slice(typesAt, r.u32(12));
  const strings = btfReader(r.slice(headerBytes + r.u32(16), r.u32(20)));
  // Offset 0 is the base's empty string where there is a base.
  if (options.base === undefined && (strings.length === 0 || strings.u8(0) !== 0))
    btfFail('BTF_STRING', 16, 'string section does not begin with an empty string');
  const source = scanTypes(typeSection, typesAt, nameReader(strings, bytes.length, options.base), options);
  const btf = new Btf(bytes, source, strings, options.base);
  if (options.isLazy !== true) for (let index = 0; index < source.count; index++) source.at(index);
  return btf;
}

/** Reads names, each once, within a bound on all of them together. */
function nameReader(strings: Reader, sectionBytes: number, base: Btf | undefined) {
  const known = new Map<number, string>([[0, '']]);
  const first = base?.stringBytes ?? 0;
  let left = sectionBytes * NAME_BYTES_PER_BYTE + NAME_BYTES_FREE;
  return (offset: number): string => {
    const before = known.get(offset);
    if (before !== undefined) return before;
    if (base !== undefined && offset < first) return base.string(offset);
    const name = strings.string(offset - first) ?? btfFail('BTF_STRING', offset - first, 'string has no end');
    left -= name.length;
    if (left < 0) btfFail('BTF_STRING', offset - first, 'names overlap too often');
    known.set(offset, name);
    return name;
  };
}

/** Find where each type begins, and check that its kind is known and that all of it is there. */
function scanTypes(
  section: Uint8Array,
  typesAt: number,
  name: (offset: number) => string,
  { base }: ParseBtfOptions,
): TypeSource {
  const t = btfReader(section);
  const firstId = base?.count ?? 0;
  const starts: number[] = [];
  const kinds: BtfKind[] = [];
  for (let at = 0; at < section.length; ) {
    const info = t.u32(at + 4);
    const kind = KIND_OF_CODE.get((info >>> 24) & 0x1f);
    if (kind === undefined)
      return btfFail('BTF_KIND', typesAt + at, `kind ${(info >>> 24) & 0x1f} is unknown`);
    const tailBytes = KIND_PARSERS[kind].tailBytes(info & 0xffff);
    t.need(at, TYPE_BYTES + tailBytes);
    starts.push(at);
    kinds.push(kind);
    if (firstId + starts.length > MAX_TYPES)
      btfFail('BTF_SIZE', typesAt + at, `more than ${MAX_TYPES} types`);
    at += TYPE_BYTES + tailBytes;
  }
  // Id 0 is void and stands nowhere in the file; in a split BTF it is the base's.
  const voids: readonly BtfType[] = base === undefined ? [{ id: 0, at: 0, name: '', kind: 'void' }] : [];
  const parsed: BtfType[] = [...voids];
  return {
    count: voids.length + starts.length,
    kindAt: (index) => voids[index]?.kind ?? kinds[index - voids.length] ?? 'void',
    nameAt: (index) => voids[index]?.name ?? name(t.u32(starts[index - voids.length] ?? 0)),
    at(index) {
      const known = parsed[index];
      if (known !== undefined) return known;
      const at = starts[index - voids.length];
      const kind = kinds[index - voids.length];
      if (at === undefined || kind === undefined)
        return btfFail('BTF_TYPE', 0, `type ${firstId + index} does not exist`);
      const info = t.u32(at + 4);
      const head = {
        id: firstId + index,
        at: typesAt + at,
        name: name(t.u32(at)),
        vlen: info & 0xffff,
        flag: info >>> 31 === 1,
        word: t.u32(at + 8),
      };
      const type = KIND_PARSERS[kind].parse(head, t, at + TYPE_BYTES, name);
      parsed[index] = type;
      return type;
    },
  };
}
