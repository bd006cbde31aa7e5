import { IsaError } from './fault.js';
import type { AccessBytes, Imm64, Instruction, Operand, Width } from './instruction.js';
import {
  ALU,
  ALU_END,
  ALU_NEG,
  ATOMIC,
  ATOMIC_FETCH,
  CALL_HELPER,
  CALL_LOCAL,
  CLASS,
  IMM64,
  JUMP,
  JUMP_ALWAYS,
  JUMP_CALL,
  JUMP_EXIT,
  LOAD_ACQUIRE,
  MODE,
  REGISTERS,
  SIZE_CODES,
  SLOT_BYTES,
  SOURCE_REGISTER,
  STORE_RELEASE,
} from './opcodes.js';

/** One 8-byte slot, fields as RFC 9669 §3 names them. */
export interface Slot {
  readonly slot: number;
  readonly opcode: number;
  readonly dst: number;
  readonly src: number;
  readonly off: number;
  readonly imm: number;
}

/** Slots that an instruction takes. */
export function slotsOf(instruction: Instruction): 1 | 2 {
  return instruction.kind === 'imm64' ? 2 : 1;
}

/**
 * Encode instructions, each at its `slot`; the inverse of decodeProgram. Map references take the forms of
 * src_reg 1 and 2; a jump is JA where its distance fits 16 bits, else JMP32 | JA.
 * @returns 8 bytes a slot, little endian
 * @throws IsaError ISA_RANGE where a distance, an immediate or a register does not fit its field
 */
export function encodeProgram(instructions: readonly Instruction[]): Uint8Array {
  const end = Math.max(0, ...instructions.map((instruction) => instruction.slot + slotsOf(instruction)));
  const code = new Uint8Array(end * SLOT_BYTES);
  const view = new DataView(code.buffer);
  for (const instruction of instructions) {
    const [first, second] = encodeInstruction(instruction);
    writeSlot(view, instruction.slot, first);
    if (second) writeSlot(view, instruction.slot + 1, second);
  }
  return code;
}

type Fields = Partial<Omit<Slot, 'slot'>>;

function writeSlot(
  view: DataView,
  slot: number,
  { opcode = 0, dst = 0, src = 0, off = 0, imm = 0 }: Fields,
): void {
  const at = slot * SLOT_BYTES;
  const fits = (field: string, value: number, low: number, high: number) => {
    if (Number.isInteger(value) && value >= low && value <= high) return;
    throw new IsaError(
      { code: 'ISA_RANGE', slot, field, value },
      `instruction ${slot}: ${field} = ${value} is not within ${low} to ${high}`,
    );
  };
  fits('dst', dst, 0, REGISTERS - 1);
  fits('src', src, 0, REGISTERS - 1);
  fits('off', off, -0x8000, 0x7fff);
  fits('imm', imm, -0x8000_0000, 0x7fff_ffff);
  view.setUint8(at, opcode);
  view.setUint8(at + 1, dst | (src << 4));
  view.setInt16(at + 2, off, true);
  view.setInt32(at + 4, imm, true);
}

/** Opcode bits and fields of a second operand. */
const operandFields = (src: Operand) =>
  src.kind === 'reg' ? { bit: SOURCE_REGISTER, src: src.reg } : { bit: 0, imm: src.value };

function encodeInstruction(instruction: Instruction): [Fields, Fields?] {
  const { slot } = instruction;
  switch (instruction.kind) {
    case 'alu': {
      const row = ALU[instruction.op];
      const { bit, ...fields } = operandFields(instruction.src);
      return [
        {
          opcode: aluClass(instruction.width) | row.code | bit,
          dst: instruction.dst,
          off: row.offset,
          ...fields,
        },
      ];
    }
    case 'neg':
      return [{ opcode: aluClass(instruction.width) | ALU_NEG, dst: instruction.dst }];
    case 'movsx': {
      const { dst, src, bits } = instruction;
      return [{ opcode: aluClass(instruction.width) | ALU.mov.code | SOURCE_REGISTER, dst, src, off: bits }];
    }
    case 'swap': {
      const { op, dst, bits } = instruction;
      const opcode =
        ALU_END | (op === 'bswap' ? CLASS.ALU64 : CLASS.ALU) | (op === 'be' ? SOURCE_REGISTER : 0);
      return [{ opcode, dst, imm: bits }];
    }
    case 'imm64':
      return encodeImm64(slot, instruction.dst, instruction.imm);
    case 'load': {
      const { dst, src, off } = instruction;
      const mode = instruction.signed ? MODE.MEMSX : MODE.MEM;
      return [{ opcode: CLASS.LDX | mode | SIZE_CODES[instruction.bytes], dst, src, off }];
    }
    case 'store': {
      const { dst, off, src } = instruction;
      const size = SIZE_CODES[instruction.bytes] | MODE.MEM;
      if (src.kind === 'imm') return [{ opcode: CLASS.ST | size, dst, off, imm: src.value }];
      return [{ opcode: CLASS.STX | size, dst, off, src: src.reg }];
    }
    case 'atomic': {
      const imm = ATOMIC[instruction.op].code | (instruction.fetch ? ATOMIC_FETCH : 0);
      return [atomicFields(instruction, imm)];
    }
    case 'load-acquire':
      return [atomicFields(instruction, LOAD_ACQUIRE)];
    case 'store-release':
      return [atomicFields(instruction, STORE_RELEASE)];
    case 'packet-load': {
      const { src, imm } = instruction;
      const mode = instruction.mode === 'abs' ? MODE.ABS : MODE.IND;
      return [{ opcode: CLASS.LD | mode | SIZE_CODES[instruction.bytes], src, imm }];
    }
    case 'jump': {
      // The short form where the distance fits its 16 bits, gotol (cpu v4) past it.
      const distance = instruction.target - slot - 1;
      if (distance === (distance << 16) >> 16) return [{ opcode: CLASS.JMP | JUMP_ALWAYS, off: distance }];
      return [{ opcode: CLASS.JMP32 | JUMP_ALWAYS, imm: distance }];
    }
    case 'branch': {
      const { bit, ...fields } = operandFields(instruction.src);
      const opcode = (instruction.width === 64 ? CLASS.JMP : CLASS.JMP32) | JUMP[instruction.op].code | bit;
      return [{ opcode, dst: instruction.dst, off: instruction.target - slot - 1, ...fields }];
    }
    case 'call-helper':
      return [{ opcode: CLASS.JMP | JUMP_CALL, src: CALL_HELPER, imm: instruction.id }];
    case 'call-local':
      return [{ opcode: CLASS.JMP | JUMP_CALL, src: CALL_LOCAL, imm: instruction.target - slot - 1 }];
    case 'exit':
      return [{ opcode: CLASS.JMP | JUMP_EXIT }];
  }
}

const aluClass = (width: Width) => (width === 64 ? CLASS.ALU64 : CLASS.ALU);

function atomicFields(
  at: { bytes: AccessBytes; dst: number; src: number; off: number },
  imm: number,
): Fields {
  return {
    opcode: CLASS.STX | MODE.ATOMIC | SIZE_CODES[at.bytes],
    dst: at.dst,
    src: at.src,
    off: at.off,
    imm,
  };
}

function encodeImm64(slot: number, dst: number, imm: Imm64): [Fields, Fields] {
  const opcode = CLASS.LD | MODE.IMM | SIZE_CODES[8];
  switch (imm.kind) {
    case 'value':
      return [
        { opcode, dst, imm: Number(BigInt.asIntN(32, imm.value)) },
        { imm: Number(BigInt.asIntN(32, imm.value >> 32n)) },
      ];
    case 'map':
      return [{ opcode, dst, src: IMM64.MAP, imm: imm.map }, {}];
    case 'map-value':
      return [{ opcode, dst, src: IMM64.MAP_VALUE, imm: imm.map }, { imm: imm.offset | 0 }];
    case 'variable':
      return [{ opcode, dst, src: IMM64.VARIABLE, imm: imm.id }, {}];
    case 'function':
      return [{ opcode, dst, src: IMM64.FUNCTION, imm: imm.target - slot - 1 }, {}];
  }
}
