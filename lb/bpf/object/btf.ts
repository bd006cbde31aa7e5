import { ObjectError, type ObjectFault } from './fault.js';
import { Reader } from './reader.js';

// BPF Type Format (Linux Documentation/bpf/btf.rst, §2; struct btf_header and btf_type of uapi/linux/btf.h).
export const BTF_MAGIC = 0xeb9f;
const BTF_VERSION = 1;
const HEADER_BYTES = 24;
const TYPE_BYTES = 12;
/** The kernel's MAX_RESOLVE_DEPTH: a longer chain of types is refused. */
const MAX_DEPTH = 32;
/** Bound on the members that one struct layout walks through: a damaged type can contain itself. */
const MAX_FIELDS = 4096;
const MAX_SIZE_BYTES = 0xffff_ffff;
const POINTER_BYTES = 8;

/** Kinds by number (btf.rst §2.2). */
export const BTF_KINDS = {
  int: 1,
  ptr: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  fwd: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  func: 12,
  'func-proto': 13,
  var: 14,
  datasec: 15,
  float: 16,
  'decl-tag': 17,
  'type-tag': 18,
  enum64: 19,
} as const;
export type BtfKind = keyof typeof BTF_KINDS;
const KIND_OF_CODE = new Map<number, BtfKind>(
  Object.entries(BTF_KINDS).map(([name, code]) => [code, name as BtfKind]),
);

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** Bits of a bit field, 0 for an ordinary member. */
  readonly bitSize: number;
}

export interface BtfVarPlace {
  readonly type: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** A type. `id` is its number (0 is void), `at` its place in the type section, bytes; other types are named by id. */
export type BtfType = { readonly id: number; readonly at: number; readonly name: string } & (
  | { readonly kind: 'void' }
  | {
      readonly kind: 'int';
      readonly sizeBytes: number;
      readonly bits: number;
      readonly bitOffset: number;
      readonly encoding: number;
    }
  | {
      readonly kind: 'ptr' | 'typedef' | 'volatile' | 'const' | 'restrict' | 'type-tag';
      readonly type: number;
    }
  | { readonly kind: 'array'; readonly type: number; readonly indexType: number; readonly count: number }
  | { readonly kind: 'struct' | 'union'; readonly sizeBytes: number; readonly members: readonly BtfMember[] }
  | {
      readonly kind: 'enum' | 'enum64';
      readonly sizeBytes: number;
      readonly signed: boolean;
      readonly values: readonly { readonly name: string; readonly value: bigint }[];
    }
  | { readonly kind: 'fwd'; readonly of: 'struct' | 'union' }
  | { readonly kind: 'func'; readonly type: number; readonly linkage: number }
  | {
      readonly kind: 'func-proto';
      readonly type: number;
      readonly params: readonly { readonly name: string; readonly type: number }[];
    }
  | { readonly kind: 'var'; readonly type: number; readonly linkage: number }
  | { readonly kind: 'datasec'; readonly sizeBytes: number; readonly vars: readonly BtfVarPlace[] }
  | { readonly kind: 'float'; readonly sizeBytes: number }
  | { readonly kind: 'decl-tag'; readonly type: number; readonly component: number }
);
type Having<T, K> = T extends { readonly kind: unknown }
  ? [K & T['kind']] extends [never]
    ? never
    : T
  : never;
/** The type of one kind (or of a kind that shares its shape). */
export type BtfOf<K extends BtfType['kind']> = Having<BtfType, K>;

/** A field of a C struct: where it stands and how long it is; bits where it is a bit field. */
export interface FieldLayout {
  readonly offset: number;
  readonly sizeBytes: number;
  readonly type: number;
  readonly bits?: { readonly offset: number; readonly size: number };
}
export interface StructLayout {
  readonly sizeBytes: number;
  /** By name, in the order of the source; members of anonymous structs and unions stand among them, as in C. */
  readonly fields: ReadonlyMap<string, FieldLayout>;
}

export interface BtfFault extends ObjectFault {
  readonly code:
    | 'BTF_TRUNCATED'
    | 'BTF_HEADER'
    | 'BTF_KIND'
    | 'BTF_TYPE'
    | 'BTF_STRING'
    | 'BTF_SIZE'
    | 'BTF_DEPTH'
    | 'BTF_MISSING'
    | 'BTF_EXT';
  readonly stage: 'btf';
}
/** The types of an object are damaged, or a type that was asked for is not there. */
export class BtfError extends ObjectError<BtfFault> {}

export function btfFail(code: BtfFault['code'], offset: number, message: string, section = '.BTF'): never {
  throw new BtfError({ code, stage: 'btf', section, offset }, message);
}

export function btfReader(bytes: Uint8Array, section = '.BTF'): Reader {
  return new Reader(bytes, (offset, needBytes) =>
    btfFail('BTF_TRUNCATED', offset, `${needBytes} bytes are needed, ${bytes.length} are there`, section),
  );
}

/** The types of one object, read-only. */
export class Btf {
  /** The section's bytes, as BPF_BTF_LOAD takes them. */
  readonly bytes: Uint8Array;
  /** By id; entry 0 is void. */
  readonly types: readonly BtfType[];
  readonly #strings: Reader;
  // Source lines are asked for once a program; a damaged file may name one long string very often.
  readonly #cut = new Map<number, string>();

  constructor(bytes: Uint8Array, types: readonly BtfType[], strings: Reader) {
    this.bytes = bytes;
    this.types = types;
    this.#strings = strings;
  }

  /** @throws BtfError BTF_TYPE when there is no type of that number */
  type(id: number): BtfType {
    return this.types[id] ?? btfFail('BTF_TYPE', 0, `type ${id} does not exist`);
  }

  /** The string at an offset of the string section, cut at MAX_STRING_BYTES. */
  string(offset: number): string {
    const known = this.#cut.get(offset);
    if (known !== undefined) return known;
    const text = this.#strings.string(offset, true) ?? '';
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
    return this.types.find((type): type is BtfOf<K> => type.kind === kind && type.name === name);
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

  /** Values of an enum by its C tag, or of the enum that holds the constant `name` (for enums without a tag). @throws BtfError BTF_MISSING */
  enumValues(name: string): ReadonlyMap<string, bigint> {
    const enums = this.types.flatMap((type) =>
      type.kind === 'enum' || type.kind === 'enum64' ? [type] : [],
    );
    const found =
      enums.find((type) => type.name === name) ??
      enums.find((type) => type.values.some((value) => value.name === name));
    if (found === undefined) return btfFail('BTF_MISSING', 0, `no enum ${name}`);
    return new Map(found.values.map((value) => [value.name, value.value]));
  }
}

interface TypeHead {
  readonly id: number;
  readonly at: number;
  readonly name: string;
  readonly vlen: number;
  /** The `kind_flag` bit. */
  readonly flag: boolean;
  /** `size` or `type`, whichever the kind has. */
  readonly word: number;
}

interface KindParser {
  /** Bytes that follow struct btf_type, given its vlen. */
  readonly tailBytes: (vlen: number) => number;
  readonly parse: (head: TypeHead, r: Reader, tail: number, name: (offset: number) => string) => BtfType;
}

const base = ({ id, at, name }: TypeHead) => ({ id, at, name });
const list = <T>(count: number, item: (index: number) => T): readonly T[] =>
  Array.from({ length: count }, (_, i) => item(i));
const none = () => 0;

const reference = (kind: 'ptr' | 'typedef' | 'volatile' | 'const' | 'restrict' | 'type-tag'): KindParser => ({
  tailBytes: none,
  parse: (head) => ({ ...base(head), kind, type: head.word }),
});

const composite = (kind: 'struct' | 'union'): KindParser => ({
  tailBytes: (vlen) => vlen * 12,
  parse: (head, r, tail, name) => ({
    ...base(head),
    kind,
    sizeBytes: head.word,
    members: list(head.vlen, (i) => {
      const at = tail + i * 12;
      const offset = r.u32(at + 8);
      return {
        name: name(r.u32(at)),
        type: r.u32(at + 4),
        // With kind_flag the offset word is bitfield_size:8, bit_offset:24 (btf.rst §2.2.4).
        bitOffset: head.flag ? offset & 0xff_ffff : offset,
        bitSize: head.flag ? offset >>> 24 : 0,
      };
    }),
  }),
});

const enumeration = (kind: 'enum' | 'enum64', entryBytes: number): KindParser => ({
  tailBytes: (vlen) => vlen * entryBytes,
  parse: (head, r, tail, name) => ({
    ...base(head),
    kind,
    sizeBytes: head.word,
    signed: head.flag,
    values: list(head.vlen, (i) => {
      const at = tail + i * entryBytes;
      const bits =
        kind === 'enum' ? BigInt(r.u32(at + 4)) : BigInt(r.u32(at + 4)) | (BigInt(r.u32(at + 8)) << 32n);
      const width = kind === 'enum' ? 32 : 64;
      return { name: name(r.u32(at)), value: head.flag ? BigInt.asIntN(width, bits) : bits };
    }),
  }),
});

// btf.rst §2.2.1–§2.2.19; one row a kind, so that a forgotten one does not compile.
const PARSERS: Record<BtfKind, KindParser> = {
  int: {
    tailBytes: () => 4,
    parse: (head, r, tail) => {
      const data = r.u32(tail);
      const place = { bits: data & 0xff, bitOffset: (data >>> 16) & 0xff, encoding: (data >>> 24) & 0xf };
      return { ...base(head), kind: 'int', sizeBytes: head.word, ...place };
    },
  },
  ptr: reference('ptr'),
  array: {
    tailBytes: () => 12,
    parse: (head, r, tail) => ({
      ...base(head),
      kind: 'array',
      type: r.u32(tail),
      indexType: r.u32(tail + 4),
      count: r.u32(tail + 8),
    }),
  },
  struct: composite('struct'),
  union: composite('union'),
  enum: enumeration('enum', 8),
  fwd: {
    tailBytes: none,
    parse: (head) => ({ ...base(head), kind: 'fwd', of: head.flag ? 'union' : 'struct' }),
  },
  typedef: reference('typedef'),
  volatile: reference('volatile'),
  const: reference('const'),
  restrict: reference('restrict'),
  func: {
    tailBytes: none,
    parse: (head) => ({ ...base(head), kind: 'func', type: head.word, linkage: head.vlen }),
  },
  'func-proto': {
    tailBytes: (vlen) => vlen * 8,
    parse: (head, r, tail, name) => ({
      ...base(head),
      kind: 'func-proto',
      type: head.word,
      params: list(head.vlen, (i) => ({ name: name(r.u32(tail + i * 8)), type: r.u32(tail + i * 8 + 4) })),
    }),
  },
  var: {
    tailBytes: () => 4,
    parse: (head, r, tail) => ({ ...base(head), kind: 'var', type: head.word, linkage: r.u32(tail) }),
  },
  datasec: {
    tailBytes: (vlen) => vlen * 12,
    parse: (head, r, tail) => ({
      ...base(head),
      kind: 'datasec',
      sizeBytes: head.word,
      vars: list(head.vlen, (i) => {
        const at = tail + i * 12;
        return { type: r.u32(at), offset: r.u32(at + 4), sizeBytes: r.u32(at + 8) };
      }),
    }),
  },
  float: { tailBytes: none, parse: (head) => ({ ...base(head), kind: 'float', sizeBytes: head.word }) },
  'decl-tag': {
    tailBytes: () => 4,
    parse: (head, r, tail) => ({ ...base(head), kind: 'decl-tag', type: head.word, component: r.i32(tail) }),
  },
  'type-tag': reference('type-tag'),
  enum64: enumeration('enum64', 12),
};

/**
 * Parse a .BTF section of little-endian types.
 * @throws BtfError with the offset in the section
 */
export function parseBtf(bytes: Uint8Array): Btf {
  const r = btfReader(bytes);
  if (r.u16(0) !== BTF_MAGIC) btfFail('BTF_HEADER', 0, 'bad magic');
  if (r.u8(2) !== BTF_VERSION || r.u8(3) !== 0)
    btfFail('BTF_HEADER', 2, `version ${r.u8(2)}, flags ${r.u8(3)}`);
  const headerBytes = r.u32(4);
  if (headerBytes < HEADER_BYTES) btfFail('BTF_HEADER', 4, `header of ${headerBytes} bytes`);
  const typesAt = headerBytes + r.u32(8);
  const typeSection = r.slice(typesAt, r.u32(12));
  const strings = btfReader(r.slice(headerBytes + r.u32(16), r.u32(20)));
  if (strings.length === 0 || strings.u8(0) !== 0)
    btfFail('BTF_STRING', 16, 'string section does not begin with an empty string');

  const name = (offset: number): string =>
    strings.string(offset) ?? btfFail('BTF_STRING', offset, 'string has no end');
  const t = btfReader(typeSection);
  const types: BtfType[] = [{ id: 0, at: 0, name: '', kind: 'void' }];
  for (let at = 0; at < typeSection.length; ) {
    const info = t.u32(at + 4);
    const kind = KIND_OF_CODE.get((info >>> 24) & 0x1f);
    if (kind === undefined)
      return btfFail('BTF_KIND', typesAt + at, `kind ${(info >>> 24) & 0x1f} is unknown`);
    const parser = PARSERS[kind];
    const vlen = info & 0xffff;
    const tail = at + TYPE_BYTES;
    const head = {
      id: types.length,
      at: typesAt + at,
      name: name(t.u32(at)),
      vlen,
      flag: info >>> 31 === 1,
      word: t.u32(at + 8),
    };
    t.need(tail, parser.tailBytes(vlen));
    types.push(parser.parse(head, t, tail, name));
    at = tail + parser.tailBytes(vlen);
  }
  return new Btf(bytes, types, strings);
}
