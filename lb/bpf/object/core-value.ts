import type { Btf, BtfType } from './btf.js';
import type { Access } from './core-access.js';
import { INT_SIGNED } from './core-compat.js';
import { type CoreKind, type CorePlace, coreFail } from './core-kinds.js';

const BITS_64 = 64;
const MAX_LOAD_BYTES = 8;

/** What a relocation comes to for one BTF. */
export interface CoreValue {
  readonly value: bigint;
  /** False where the compiler's own choice may differ from ours: the instruction's value is not compared. */
  readonly isChecked: boolean;
  /** Byte offset of a whole field: the size of what is loaded there, and its type. */
  readonly loaded?: { readonly bytes: number; readonly type: BtfType };
}

/**
 * Work out a relocation for an access that is there.
 * @throws CoreError CORE_FIELD where a field is of a kind that has no such property; BtfError
 */
export function coreValue(btf: Btf, access: Access, kind: CoreKind, place: CorePlace): CoreValue {
  switch (kind) {
    case 0:
    case 1:
    case 3:
    case 4:
    case 5:
      return fieldValue(btf, access, kind, place);
    case 2:
    case 8:
    case 10:
    case 12:
      return { value: 1n, isChecked: true };
    case 6:
    case 7:
      return { value: BigInt(access.root), isChecked: false };
    case 9:
      return { value: BigInt(btf.sizeOf(access.root)), isChecked: true };
    case 11:
      return { value: enumerator(btf, access, place), isChecked: true };
  }
}

function enumerator(btf: Btf, access: Access, place: CorePlace): bigint {
  const step = access.steps[0];
  const type = btf.type(step?.typeId ?? 0);
  const value =
    type.kind === 'enum' || type.kind === 'enum64' ? type.values[step?.index ?? 0]?.value : undefined;
  return value ?? coreFail('CORE_FIELD', place, 'no enumerator');
}

/** Where the bits of a field are, and the memory that is loaded to get at them. */
interface FieldPlace {
  readonly type: BtfType;
  readonly isBitField: boolean;
  readonly byteOffset: number;
  readonly bytes: number;
  readonly bitOffset: number;
  readonly bits: number;
}

function fieldValue(btf: Btf, access: Access, kind: 0 | 1 | 3 | 4 | 5, place: CorePlace): CoreValue {
  const step = access.steps.at(-1);
  if (step === undefined) return coreFail('CORE_FIELD', place, 'no field');
  if (step.name === undefined) return elementValue(btf, access, step.typeId, kind, place);
  const field = fieldPlace(btf, access, step.typeId, step.index, place);
  const isChecked = !field.isBitField;
  switch (kind) {
    case 0: {
      const value = BigInt(field.byteOffset);
      if (field.isBitField) return { value, isChecked };
      return { value, isChecked, loaded: { bytes: field.bytes, type: field.type } };
    }
    case 1:
      return { value: BigInt(field.bytes), isChecked };
    case 3:
      return { value: isSigned(field.type) ? 1n : 0n, isChecked: true };
    case 4:
      // The field's top bit to the top of 64, as a little-endian load of `bytes` leaves it.
      return {
        value: BigInt(BITS_64 - (field.bitOffset + field.bits - field.byteOffset * 8)),
        isChecked,
      };
    case 5:
      return { value: BigInt(BITS_64 - field.bits), isChecked: true };
  }
}

/** An element of an array: offset and size alone. */
function elementValue(btf: Btf, access: Access, typeId: number, kind: number, place: CorePlace): CoreValue {
  const bytes = btf.sizeOf(typeId);
  if (kind === 0) {
    const value = BigInt(Math.floor(access.bitOffset / 8));
    return { value, isChecked: true, loaded: { bytes, type: btf.resolve(typeId) } };
  }
  if (kind === 1) return { value: BigInt(bytes), isChecked: true };
  return coreFail('CORE_FIELD', place, 'an element of an array has neither sign nor shifts');
}

function fieldPlace(btf: Btf, access: Access, typeId: number, index: number, place: CorePlace): FieldPlace {
  const owner = btf.type(typeId);
  const member = owner.kind === 'struct' || owner.kind === 'union' ? owner.members[index] : undefined;
  if (member === undefined) return coreFail('CORE_FIELD', place, 'no member');
  const type = btf.resolve(member.type);
  const { bitOffset } = access;
  if (member.bitSize === 0) {
    const bytes = btf.sizeOf(member.type);
    const byteOffset = Math.floor(bitOffset / 8);
    return { type, isBitField: false, byteOffset, bytes, bitOffset, bits: bytes * 8 };
  }
  // The smallest aligned load, of the declared type's size or larger, that has all bits of the field in it.
  const bits = member.bitSize;
  let bytes = btf.sizeOf(member.type);
  const startOf = (size: number): number => Math.floor(bitOffset / 8 / size) * size;
  if (bytes < 1) return coreFail('CORE_FIELD', place, `bit field ${member.name} has no size`);
  while (bitOffset + bits > (startOf(bytes) + bytes) * 8) {
    bytes *= 2;
    if (bytes > MAX_LOAD_BYTES)
      return coreFail('CORE_FIELD', place, `bit field ${member.name} is in no load of 8 bytes`);
  }
  return { type, isBitField: true, byteOffset: startOf(bytes), bytes, bitOffset, bits };
}

function isSigned(type: BtfType): boolean {
  if (type.kind === 'int') return (type.encoding & INT_SIGNED) !== 0;
  return (type.kind === 'enum' || type.kind === 'enum64') && type.signed;
}

/**
 * Whether a load may be made with another size than it was compiled with: pointers (32-bit kernels have shorter ones,
 * the load extends them with zeros) and unsigned integers.
 */
export function mayResize(local: BtfType, target: BtfType): boolean {
  if (local.kind === 'ptr' && target.kind === 'ptr') return true;
  return local.kind === 'int' && target.kind === 'int' && !isSigned(local) && !isSigned(target);
}
