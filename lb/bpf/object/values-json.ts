import type { Btf } from './btf.js';
import { valueFail } from './value-fault.js';
import { valueShape } from './value-shape.js';
import { type BtfValue, decodeValue, encodeValue } from './values.js';

/** What JSON.parse gives. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/**
 * A value as JSON can hold it: as decodeValue gives it, but bytes as hexadecimal digits behind "0x", and integers over
 * 2^53 as decimal strings.
 */
export function toJson(btf: Btf, typeId: number, bytes: Uint8Array): Json {
  return jsonOf(decodeValue(btf, typeId, bytes));
}

function jsonOf(value: BtfValue): Json {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (value instanceof Uint8Array)
    return `0x${[...value].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  if (Array.isArray(value)) return value.map(jsonOf);
  if (typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, jsonOf(field)]));
  return value;
}

/**
 * The bytes of a value that `toJson` wrote, or that a person wrote like it.
 * @throws ValueError with the path of the field
 */
export function fromJson(btf: Btf, typeId: number, json: unknown): Uint8Array {
  return encodeValue(btf, typeId, prepared(btf, typeId, json, ''));
}

/** Strings become what stands behind them: integers, and bytes. All else is encodeValue's to check. */
function prepared(btf: Btf, typeId: number, json: unknown, path: string): unknown {
  const shape = valueShape(btf, typeId);
  switch (shape?.kind) {
    case 'int':
    case 'pointer':
      if (typeof json !== 'string') return json;
      if (/^-?(\d+|0x[0-9a-f]+)$/i.test(json))
        return json.startsWith('-') ? -BigInt(json.slice(1)) : BigInt(json);
      return json;
    case 'bytes':
      if (typeof json !== 'string') return json;
      return hexBytes(json, path);
    case 'array':
      if (typeof json === 'string') return hexBytes(json, path);
      if (!Array.isArray(json)) return json;
      return json.map((each, index) => prepared(btf, shape.element, each, `${path}[${index}]`));
    case 'fields': {
      if (typeof json === 'string') return hexBytes(json, path);
      if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
      const types = new Map(shape.fields.map(({ name, type }) => [name, type]));
      return Object.fromEntries(
        Object.entries(json).map(([name, field]) => {
          const type = types.get(name);
          return [
            name,
            type === undefined ? field : prepared(btf, type, field, path === '' ? name : `${path}.${name}`),
          ];
        }),
      );
    }
    default:
      return json;
  }
}

function hexBytes(text: string, path: string): Uint8Array {
  const digits = text.replace(/^0x/i, '');
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits))
    valueFail('VALUE_TYPE', path, 'bytes are an even number of hexadecimal digits behind 0x', text);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
