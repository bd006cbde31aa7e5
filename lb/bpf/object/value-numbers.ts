import { valueFail } from './value-fault.js';
import type { ValueShape } from './value-shape.js';
import type { BtfValue } from './value-types.js';

/** Writes and reads values of one type at a place in memory. */
export interface Codec {
  readonly sizeBytes: number;
  /** Numbers in a value; a damaged type may name more than its size has room for. */
  readonly leaves: number;
  /** How the number is read, where the value is one. */
  readonly scalar?: Scalar;
  /** The bytes are 0 before, but for what another member of a union wrote. */
  write(view: DataView, at: number, value: unknown, path: string): void;
  read(view: DataView, at: number): BtfValue;
}

export const INT_SIZES: ReadonlySet<number> = new Set([1, 2, 4, 8, 16]);

/** How a number is read out of its bits: what an int, an enum and a pointer have in common. */
export interface Scalar {
  readonly sizeBytes: number;
  readonly signed: boolean;
  readonly isBool: boolean;
  readonly names?: ReadonlyMap<string, bigint>;
  readonly byValue?: ReadonlyMap<bigint, string>;
}

export function scalarOf(shape: Extract<ValueShape, { kind: 'int' | 'enum' | 'pointer' }>): Scalar {
  if (shape.kind === 'pointer') return { sizeBytes: 8, signed: false, isBool: false };
  if (shape.kind === 'int') return shape;
  const { sizeBytes, signed, values } = shape;
  return {
    sizeBytes,
    signed,
    isBool: false,
    names: new Map(values.map(({ name, value }) => [name, value])),
    // Of names for one value the first counts.
    byValue: new Map(values.map(({ name, value }) => [value, name] as const).reverse()),
  };
}

/** A value of TypeScript as the number that it stands for. */
function toBits(scalar: Scalar, bits: number, value: unknown, path: string): bigint {
  let number: bigint;
  if (typeof value === 'bigint') number = value;
  else if (typeof value === 'number' && Number.isInteger(value)) number = BigInt(value);
  else if (typeof value === 'boolean' && scalar.isBool) number = value ? 1n : 0n;
  else if (typeof value === 'string' && scalar.names !== undefined) {
    number = scalar.names.get(value) ?? valueFail('VALUE_ENUM', path, constants(scalar.names), value);
  } else {
    const wanted = scalar.isBool ? 'a boolean' : scalar.names ? 'a number or the name of one' : 'an integer';
    return valueFail('VALUE_TYPE', path, `${wanted} is wanted`, value ?? null);
  }
  const width = scalar.isBool ? 1 : bits;
  const min = scalar.signed ? -(1n << BigInt(width - 1)) : 0n;
  const max = scalar.signed ? (1n << BigInt(width - 1)) - 1n : (1n << BigInt(width)) - 1n;
  if (number < min || number > max) valueFail('VALUE_RANGE', path, `${min} to ${max} is possible`, value);
  return number;
}

function constants(names: ReadonlyMap<string, bigint>): string {
  const list = [...names.keys()];
  return `one of ${list.slice(0, 8).join(', ')}${list.length > 8 ? ', …' : ''} is wanted`;
}

/** The number as TypeScript has it: boolean, name of a constant, number up to 4 bytes, else bigint. */
function fromBits(scalar: Scalar, number: bigint): BtfValue {
  if (scalar.isBool) return number !== 0n;
  const name = scalar.byValue?.get(number);
  if (name !== undefined) return name;
  return scalar.sizeBytes > 4 ? number : Number(number);
}

export function intCodec(scalar: Scalar): Codec {
  const { sizeBytes, signed } = scalar;
  const width = sizeBytes * 8;
  const slow: Codec = {
    sizeBytes,
    leaves: 1,
    scalar,
    write: (view, at, value, path) => writeBits(view, at * 8, width, toBits(scalar, width, value, path)),
    read: (view, at) => fromBits(scalar, readBits(view, at * 8, width, signed)),
  };
  // Most fields are plain ints of 4 bytes, and a map may have a million of them: those need no bigint.
  if (sizeBytes !== 4 || scalar.names !== undefined) return slow;
  return {
    ...slow,
    write(view, at, value, path) {
      if (typeof value !== 'number' || value !== (signed ? value | 0 : value >>> 0))
        return slow.write(view, at, value, path);
      view.setUint32(at, value, true);
    },
    read: (view, at) => (signed ? view.getInt32(at, true) : view.getUint32(at, true)),
  };
}

export function bitFieldCodec(scalar: Scalar, bits: number, shift: number): Codec {
  return {
    sizeBytes: Math.ceil((shift + bits) / 8),
    leaves: 1,
    write: (view, at, value, path) =>
      writeBits(view, at * 8 + shift, bits, toBits(scalar, bits, value, path)),
    read: (view, at) => fromBits(scalar, readBits(view, at * 8 + shift, bits, scalar.signed)),
  };
}

function readBits(view: DataView, bitOffset: number, bits: number, signed: boolean): bigint {
  const at = Math.floor(bitOffset / 8);
  if (bitOffset % 8 === 0 && (bits === 32 || bits === 64)) {
    if (bits === 64) return signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
    return BigInt(signed ? view.getInt32(at, true) : view.getUint32(at, true));
  }
  const shift = bitOffset % 8;
  let word = 0n;
  for (let i = Math.ceil((shift + bits) / 8) - 1; i >= 0; i--)
    word = (word << 8n) | BigInt(view.getUint8(at + i));
  const value = word >> BigInt(shift);
  return signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
}

function writeBits(view: DataView, bitOffset: number, bits: number, value: bigint): void {
  const at = Math.floor(bitOffset / 8);
  const shift = bitOffset % 8;
  let mask = ((1n << BigInt(bits)) - 1n) << BigInt(shift);
  let word = BigInt.asUintN(bits, value) << BigInt(shift);
  for (let i = 0; mask > 0n; i++, mask >>= 8n, word >>= 8n) {
    const keep = view.getUint8(at + i) & ~Number(mask & 0xffn);
    view.setUint8(at + i, keep | Number(word & 0xffn));
  }
}

export function floatCodec(sizeBytes: 4 | 8): Codec {
  return {
    sizeBytes,
    leaves: 1,
    write(view, at, value, path) {
      if (typeof value !== 'number')
        return valueFail('VALUE_TYPE', path, 'a number is wanted', value ?? null);
      if (sizeBytes === 4) view.setFloat32(at, value, true);
      else view.setFloat64(at, value, true);
    },
    read: (view, at) => (sizeBytes === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true)),
  };
}
