import { type CorePlace, coreFail } from './core-kinds.js';
import { POISON_HELPER } from './spec.js';

// Encodings that a CO-RE relocation changes (RFC 9669 §3, §4.1, §5).
const SLOT_BYTES = 8;
const CLASS_MASK = 0x07;
const CLASS_LDX = 1;
const CLASS_ST = 2;
const CLASS_STX = 3;
const CLASS_ALU = 4;
const CLASS_ALU64 = 7;
const SOURCE_REGISTER = 0x08;
const SIZE_MASK = 0x18;
const OP_LD_IMM64 = 0x18;
const OP_CALL = 0x85;
const BYTES_OF_SIZE: Readonly<Record<number, number>> = { 0: 4, 8: 2, 16: 1, 24: 8 };
const SIZE_OF_BYTES = new Map(Object.entries(BYTES_OF_SIZE).map(([code, bytes]) => [bytes, Number(code)]));
const MAX_OFFSET = 0x7fff;

/** What an instruction has to hold in the place of what it holds. */
export interface CorePatch {
  /** What clang put there, as far as it must be compared. */
  readonly original?: bigint;
  readonly value: bigint;
  /** A load or store of another size than it was compiled with. */
  readonly resize?: { readonly fromBytes: number; readonly toBytes: number };
}

/**
 * Put a value into an instruction: the immediate of an ALU operation or of a 64-bit load, the offset (and the size) of
 * a load or store.
 * @param code a function, 8 bytes a slot; changed in place
 * @param at offset of the instruction in it, bytes
 * @throws CoreError CORE_INSTRUCTION where the instruction is of another kind, or holds something else
 */
export function applyPatch(code: DataView, at: number, patch: CorePatch, place: CorePlace): void {
  const opcode = code.getUint8(at);
  const group = opcode & CLASS_MASK;
  if (opcode === OP_LD_IMM64) {
    patchWide(code, at, patch, place);
  } else if (group === CLASS_ALU || group === CLASS_ALU64) {
    if ((opcode & SOURCE_REGISTER) !== 0)
      coreFail('CORE_INSTRUCTION', place, `opcode 0x${opcode.toString(16)} has no immediate`);
    compare(BigInt(code.getInt32(at + 4, true)), patch, 32, place);
    if (patch.value > 0xffff_ffffn || patch.value < -0x8000_0000n)
      coreFail('CORE_INSTRUCTION', place, `${patch.value} is no immediate of 32 bits`);
    code.setInt32(at + 4, Number(BigInt.asIntN(32, patch.value)), true);
  } else if (group === CLASS_LDX || group === CLASS_ST || group === CLASS_STX) {
    compare(BigInt(code.getInt16(at + 2, true)), patch, 16, place);
    if (patch.value > BigInt(MAX_OFFSET))
      coreFail('CORE_INSTRUCTION', place, `offset ${patch.value} is beyond ${MAX_OFFSET}`);
    code.setInt16(at + 2, Number(patch.value), true);
    if (patch.resize !== undefined) resize(code, at, opcode, patch.resize, place);
  } else {
    coreFail('CORE_INSTRUCTION', place, `opcode 0x${opcode.toString(16)} cannot be relocated`);
  }
}

function patchWide(code: DataView, at: number, patch: CorePatch, place: CorePlace): void {
  if (at + 2 * SLOT_BYTES > code.byteLength || code.getUint8(at + 1) >> 4 !== 0)
    coreFail('CORE_INSTRUCTION', place, 'not a 64-bit constant');
  const low = BigInt(code.getUint32(at + 4, true));
  const high = BigInt(code.getUint32(at + SLOT_BYTES + 4, true));
  compare(low | (high << 32n), patch, 64, place);
  code.setUint32(at + 4, Number(BigInt.asUintN(32, patch.value)), true);
  code.setUint32(at + SLOT_BYTES + 4, Number(BigInt.asUintN(32, patch.value >> 32n)), true);
}

function compare(held: bigint, { original }: CorePatch, bits: number, place: CorePlace): void {
  if (original === undefined || BigInt.asUintN(bits, held) === BigInt.asUintN(bits, original)) return;
  coreFail('CORE_INSTRUCTION', place, `the instruction holds ${held}, its relocation says ${original}`);
}

function resize(
  code: DataView,
  at: number,
  opcode: number,
  { fromBytes, toBytes }: NonNullable<CorePatch['resize']>,
  place: CorePlace,
): void {
  const held = BYTES_OF_SIZE[opcode & SIZE_MASK];
  const size = SIZE_OF_BYTES.get(toBytes);
  if (held !== fromBytes || size === undefined)
    coreFail('CORE_INSTRUCTION', place, `access of ${held} bytes to a field of ${fromBytes}, now ${toBytes}`);
  code.setUint8(at, (opcode & ~SIZE_MASK) | size);
}

/**
 * Replace an instruction by a call that is refused wherever a path leads to it.
 * @returns how many slots were replaced: 2 for a 64-bit immediate
 */
export function poison(code: DataView, at: number): number {
  const slots = code.getUint8(at) === OP_LD_IMM64 && at + 2 * SLOT_BYTES <= code.byteLength ? 2 : 1;
  for (let slot = 0; slot < slots; slot++) poisonSlot(code, at + slot * SLOT_BYTES);
  return slots;
}

/** One slot becomes `call POISON_HELPER`. */
function poisonSlot(code: DataView, at: number): void {
  code.setUint8(at, OP_CALL);
  code.setUint8(at + 1, 0);
  code.setUint16(at + 2, 0, true);
  code.setInt32(at + 4, POISON_HELPER, true);
}
