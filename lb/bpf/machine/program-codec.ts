import type { ProgramNumbers } from '../maps/program-numbers.js';
import { valueFail } from '../object/value-fault.js';
import type { ValueCodec } from '../object/values.js';

/**
 * Values of a PROG_ARRAY: a program by its name, in the place of the number that the slot holds.
 * @param numberOf throws for a name that no program has
 */
export function programCodec(programs: ProgramNumbers, numberOf: (name: string) => number): ValueCodec {
  return {
    sizeBytes: 4,
    encode(value, into = new Uint8Array(4)) {
      const number = typeof value === 'string' ? numberOf(value) : value;
      if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > 0xffff_ffff)
        return valueFail('VALUE_TYPE', '', 'the name of a program is wanted', value ?? null);
      new DataView(into.buffer, into.byteOffset, into.byteLength).setUint32(0, number, true);
      return into;
    },
    decode(bytes) {
      const number = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
      return programs.nameOf(number) ?? number;
    },
  };
}
