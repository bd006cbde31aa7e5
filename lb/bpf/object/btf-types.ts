import { ObjectError, type ObjectFault } from './fault.js';
import { Reader } from './reader.js';

// What BTF says, as data (Linux Documentation/bpf/btf.rst, §2; struct btf_header and btf_type of uapi/linux/btf.h).

/** First two bytes of a .BTF and of a .BTF.ext section. */
export const BTF_MAGIC = 0xeb9f;

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
export const KIND_OF_CODE = new Map<number, BtfKind>(
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
