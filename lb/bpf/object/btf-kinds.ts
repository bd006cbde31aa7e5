import type { BtfKind, BtfType } from './btf-types.js';
import type { Reader } from './reader.js';

/** The words of a struct btf_type. */
export interface TypeHead {
  readonly id: number;
  readonly at: number;
  readonly name: string;
  readonly vlen: number;
  /** The `kind_flag` bit. */
  readonly flag: boolean;
  /** `size` or `type`, whichever the kind has. */
  readonly word: number;
}

/** How the types of one kind are read. */
export interface KindParser {
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

/** By kind (btf.rst §2.2.1–§2.2.19); one row each, so that a forgotten one does not compile. */
export const KIND_PARSERS: Record<BtfKind, KindParser> = {
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
