import { type Btf, type BtfOf, type BtfType, btfFail } from './btf.js';
import { memberBits } from './btf-c-layout.js';

const INT_SIGNED = 1;
const INT_BOOL = 4;
/** Structs in structs by value, and arrays in arrays. */
const MAX_NESTING = 64;
/** Fields of one struct, those of its anonymous members among them. */
const MAX_FIELDS = 4096;

/** A member as TypeScript sees it: members of anonymous structs and unions stand among those around them, as in C. */
export interface ValueField {
  readonly name: string;
  readonly type: number;
  /** From the beginning of the struct. */
  readonly bitOffset: number;
  /** Bits of a bit field, 0 for an ordinary member. */
  readonly bitSize: number;
  /** Member of a union: others share its bytes. */
  readonly isChoice: boolean;
}

/** What values of a type are in TypeScript. */
export type ValueShape =
  /** `number` up to 4 bytes, `bigint` beyond; `boolean` where C has _Bool. */
  | { readonly kind: 'int'; readonly sizeBytes: number; readonly signed: boolean; readonly isBool: boolean }
  /** `number`. */
  | { readonly kind: 'float'; readonly sizeBytes: number }
  /** `bigint`: the address, or whatever number stands there. */
  | { readonly kind: 'pointer' }
  /** The constant's name; its number (`bigint` at 8 bytes) where none has that value. */
  | {
      readonly kind: 'enum';
      readonly sizeBytes: number;
      readonly signed: boolean;
      readonly values: BtfOf<'enum'>['values'];
    }
  /** Array of `char`: a `string`, UTF-8 up to the first NUL. */
  | { readonly kind: 'text'; readonly count: number }
  /** Array of `unsigned char` (`__u8`): a `Uint8Array`. */
  | { readonly kind: 'bytes'; readonly count: number }
  /** Any other array: an array. */
  | { readonly kind: 'array'; readonly element: number; readonly count: number }
  /** An object by names of fields; of a union, and of a data section, too. */
  | {
      readonly kind: 'fields';
      readonly of: 'struct' | 'union' | 'datasec';
      readonly sizeBytes: number;
      readonly fields: readonly ValueField[];
    };

const isComposite = (type: BtfType): type is BtfOf<'struct' | 'union'> =>
  type.kind === 'struct' || type.kind === 'union';

/**
 * What the values of a type are; undefined for what has none (void, functions, types that are only declared).
 * @throws BtfError BTF_SIZE when a member leaves its struct, BTF_DEPTH when the type has no end
 */
export function valueShape(btf: Btf, id: number): ValueShape | undefined {
  const type = btf.resolve(id);
  switch (type.kind) {
    case 'int': {
      const isBool = (type.encoding & INT_BOOL) !== 0;
      return { kind: 'int', sizeBytes: type.sizeBytes, signed: (type.encoding & INT_SIGNED) !== 0, isBool };
    }
    case 'float':
      return { kind: 'float', sizeBytes: type.sizeBytes };
    case 'ptr':
      return { kind: 'pointer' };
    case 'enum':
    case 'enum64':
      return { kind: 'enum', sizeBytes: type.sizeBytes, signed: type.signed, values: type.values };
    case 'array':
      return arrayShape(btf, type);
    case 'struct':
    case 'union':
      return { kind: 'fields', of: type.kind, sizeBytes: type.sizeBytes, fields: flatten(btf, type) };
    case 'datasec':
      return { kind: 'fields', of: 'datasec', sizeBytes: type.sizeBytes, fields: variables(btf, type) };
    case 'var':
      return valueShape(btf, type.type);
    default:
      return undefined;
  }
}

function arrayShape(btf: Btf, { type: element, count }: BtfOf<'array'>): ValueShape {
  const inner = btf.resolve(element);
  if (inner.kind === 'int' && inner.sizeBytes === 1 && (inner.encoding & INT_BOOL) === 0) {
    if (inner.name === 'char') return { kind: 'text', count };
    if ((inner.encoding & INT_SIGNED) === 0) return { kind: 'bytes', count };
  }
  return { kind: 'array', element, count };
}

function flatten(btf: Btf, struct: BtfOf<'struct' | 'union'>): readonly ValueField[] {
  const fields: ValueField[] = [];
  let visits = 0;
  const visit = (type: BtfOf<'struct' | 'union'>, base: number, isChoice: boolean, depth: number): void => {
    visits += type.members.length + 1;
    if (visits > MAX_FIELDS || depth > MAX_NESTING)
      btfFail('BTF_DEPTH', struct.at, `${struct.name} has more than ${MAX_FIELDS} fields`);
    for (const member of type.members) {
      const bits = memberBits(btf, member);
      const inner = btf.resolve(member.type);
      const end = bits.offset + (bits.size || btf.sizeOf(member.type) * 8);
      if (end > type.sizeBytes * 8) btfFail('BTF_SIZE', type.at, `${member.name} is outside of ${type.name}`);
      const bitOffset = base + bits.offset;
      const shares = isChoice || type.kind === 'union';
      if (member.name === '' && isComposite(inner)) visit(inner, bitOffset, shares, depth + 1);
      else if (bits.size === 0 && bitOffset % 8 !== 0)
        btfFail('BTF_SIZE', type.at, `${member.name} does not begin with a byte`);
      else
        fields.push({
          name: member.name,
          type: member.type,
          bitOffset,
          bitSize: bits.size,
          isChoice: shares,
        });
    }
  };
  visit(struct, 0, false, 0);
  return fields;
}

function variables(btf: Btf, section: BtfOf<'datasec'>): readonly ValueField[] {
  return section.vars.map((place) => {
    if (place.offset + place.sizeBytes > section.sizeBytes)
      btfFail('BTF_SIZE', section.at, `a variable is outside of ${section.name}`);
    const variable = btf.type(place.type);
    const { name } = variable;
    const type = variable.kind === 'var' ? variable.type : place.type;
    return { name, type, bitOffset: place.offset * 8, bitSize: 0, isChoice: false };
  });
}
