import { valueFail } from '../object/value-fault.js';
import type { ValueCodec } from '../object/values.js';

/**
 * Keys and values of which no type is known: 4 bytes are a number, 8 a bigint (both unsigned, little endian), anything
 * else a Uint8Array. Bytes, or a list of them, are taken for each.
 */
export function plainCodec(sizeBytes: number): ValueCodec {
  return {
    sizeBytes,
    encode(value, into = new Uint8Array(sizeBytes)) {
      const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
      if (value instanceof Uint8Array) {
        if (value.length !== sizeBytes) valueFail('VALUE_LENGTH', '', `${sizeBytes} bytes are wanted`, value);
        into.set(value);
      } else if (Array.isArray(value)) {
        if (value.length !== sizeBytes) valueFail('VALUE_LENGTH', '', `${sizeBytes} bytes are wanted`, value);
        for (const [index, byte] of value.entries()) into[index] = Number(unsigned(byte, 8));
      } else if (sizeBytes === 4) view.setUint32(0, Number(unsigned(value, 32)), true);
      else if (sizeBytes === 8) view.setBigUint64(0, unsigned(value, 64), true);
      else valueFail('VALUE_TYPE', '', `${sizeBytes} bytes are wanted`, value ?? null);
      return into;
    },
    decode(bytes) {
      if (bytes.length !== sizeBytes) valueFail('VALUE_LENGTH', '', `${sizeBytes} bytes are wanted`, bytes);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (sizeBytes === 4) return view.getUint32(0, true);
      return sizeBytes === 8 ? view.getBigUint64(0, true) : bytes.slice();
    },
  };
}

function unsigned(value: unknown, bits: number): bigint {
  if (typeof value !== 'bigint' && !(typeof value === 'number' && Number.isInteger(value)))
    return valueFail('VALUE_TYPE', '', 'a whole number is wanted', value ?? null);
  const number = BigInt(value);
  if (number < 0n || number >> BigInt(bits) !== 0n)
    return valueFail('VALUE_RANGE', '', `0 to ${(1n << BigInt(bits)) - 1n} is possible`, value);
  return number;
}
