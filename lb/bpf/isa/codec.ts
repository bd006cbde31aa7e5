import { CodedError } from '../../errors.js';
import type { AccessBytes, Imm64, Instruction, Operand, Width } from './instruction.js';
import {
  ALU,
  ALU_END,
  ALU_NEG,
  type AluName,
  ATOMIC,
  ATOMIC_FETCH,
  type AtomicName,
  CALL_HELPER,
  CALL_LOCAL,
  CLASS,
  IMM64,
  JUMP,
  JUMP_ALWAYS,
  JUMP_CALL,
  JUMP_EXIT,
  type JumpName,
  LOAD_ACQUIRE,
  MODE,
  REGISTERS,
  SIZE_CODES,
  SLOT_BYTES,
  SOURCE_REGISTER,
  STORE_RELEASE,
} from './opcodes.js';

export type IsaFault =
  | { readonly code: 'ISA_LENGTH'; readonly bytes: number }
  | { readonly code: 'ISA_OPCODE'; readonly slot: number; readonly opcode: number }
  | { readonly code: 'ISA_REGISTER'; readonly slot: number; readonly register: number }
  | { readonly code: 'ISA_RESERVED'; readonly slot: number; readonly field: string; readonly value: number }
  | { readonly code: 'ISA_TRUNCATED'; readonly slot: number };

/** A program that is not BPF: unknown opcode, a reserved field in use, a register that does not exist. */
export class IsaError extends CodedError<IsaFault> {}

/** One 8-byte slot, fields as RFC 9669 §3 names them. */
interface Slot {
  readonly slot: number;
  readonly opcode: number;
  readonly dst: number;
  readonly src: number;
  readonly off: number;
  readonly imm: number;
}

const byCode = <T extends { readonly code: number }, N extends string>(table: Record<N, T>) =>
  Object.entries(table) as [N, T][];
const JUMP_NAMES: ReadonlyMap<number, JumpName> = new Map(byCode(JUMP).map(([name, row]) => [row.code, name]));
const ATOMIC_NAMES: ReadonlyMap<number, AtomicName> = new Map(byCode(ATOMIC).map(([name, row]) => [row.code, name]));
const ALU_NAMES: ReadonlyMap<number, AluName> = new Map(
  byCode(ALU).map(([name, row]) => [row.code | (row.offset << 8), name]),
);
const BYTES_OF_SIZE: ReadonlyMap<number, AccessBytes> = new Map(
  ([1, 2, 4, 8] as const).map((bytes) => [SIZE_CODES[bytes], bytes]),
);

function badOpcode({ slot, opcode }: Slot): never {
  throw new IsaError(
    { code: 'ISA_OPCODE', slot, opcode },
    `instruction ${slot}: opcode 0x${opcode.toString(16).padStart(2, '0')} is not known`,
  );
}

function reserved(slot: number, field: string, value: number): never {
  throw new IsaError({ code: 'ISA_RESERVED', slot, field, value }, `instruction ${slot}: reserved field ${field} is ${value}, not 0`);
}

/** Each named field must be 0: RFC 9669 §3.1 reserves what an instruction does not use. */
function unused(at: Slot, ...fields: readonly ('dst' | 'src' | 'off' | 'imm')[]): void {
  for (const field of fields) if (at[field] !== 0) reserved(at.slot, field, at[field]);
}

function readSlot(view: DataView, slot: number): Slot {
  const at = slot * SLOT_BYTES;
  const registers = view.getUint8(at + 1);
  return {
    slot,
    opcode: view.getUint8(at),
    dst: registers & 0x0f,
    src: registers >> 4,
    off: view.getInt16(at + 2, true),
    imm: view.getInt32(at + 4, true),
  };
}

function checkRegister(slot: number, register: number): void {
  if (register < REGISTERS) return;
  throw new IsaError({ code: 'ISA_REGISTER', slot, register }, `instruction ${slot}: register r${register} does not exist`);
}

/**
 * Decode a program, every reserved field checked.
 * @param code 8 bytes a slot, little endian (RFC 9669 §3)
 * @returns one entry an instruction, in order of slots
 * @throws IsaError
 */
export function decodeProgram(code: Uint8Array): Instruction[] {
  if (code.length === 0 || code.length % SLOT_BYTES !== 0) {
    throw new IsaError(
      { code: 'ISA_LENGTH', bytes: code.length },
      `a program of ${code.length} bytes: the length is to be a multiple of ${SLOT_BYTES}, and not 0`,
    );
  }
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const slots = code.length / SLOT_BYTES;
  const instructions: Instruction[] = [];
  for (let slot = 0; slot < slots; slot++) {
    const at = readSlot(view, slot);
    checkRegister(slot, at.dst);
    if (at.opcode === (CLASS.LD | MODE.IMM | SIZE_CODES[8])) {
      if (slot + 1 >= slots) {
        throw new IsaError({ code: 'ISA_TRUNCATED', slot }, `instruction ${slot}: LD_IMM64 has no second half`);
      }
      instructions.push(decodeImm64(at, readSlot(view, slot + 1)));
      slot += 1;
    } else {
      checkRegister(slot, at.src);
      instructions.push(decodeSlot(at));
    }
  }
  return instructions;
}

function decodeSlot(at: Slot): Instruction {
  switch (at.opcode & 0x07) {
    case CLASS.ALU:
      return decodeAlu(at, 32);
    case CLASS.ALU64:
      return decodeAlu(at, 64);
    case CLASS.JMP:
      return decodeJump(at, 64);
    case CLASS.JMP32:
      return decodeJump(at, 32);
    case CLASS.LD:
      return decodePacketLoad(at);
    case CLASS.LDX:
      return decodeLoad(at);
    case CLASS.ST:
      return decodeStoreImmediate(at);
    default:
      return decodeStoreRegister(at);
  }
}

/** Second operand of ALU and JMP; the field that it does not use is reserved. */
function operandOf(at: Slot): Operand {
  if (at.opcode & SOURCE_REGISTER) {
    unused(at, 'imm');
    return { kind: 'reg', reg: at.src };
  }
  unused(at, 'src');
  return { kind: 'imm', value: at.imm };
}

function decodeAlu(at: Slot, width: Width): Instruction {
  const { slot, dst, off } = at;
  const code = at.opcode & 0xf0;
  if (code === ALU_NEG) {
    if (at.opcode & SOURCE_REGISTER) badOpcode(at);
    unused(at, 'src', 'off', 'imm');
    return { slot, kind: 'neg', width, dst };
  }
  if (code === ALU_END) return decodeSwap(at, width);
  if (code === ALU.mov.code && off !== 0) return decodeMovsx(at, width);
  const op = ALU_NAMES.get(code | (off << 8));
  if (op === undefined) {
    if (ALU_NAMES.has(code)) reserved(slot, 'off', off);
    badOpcode(at);
  }
  return { slot, kind: 'alu', op, width, dst, src: operandOf(at) };
}

function decodeSwap(at: Slot, width: Width): Instruction {
  unused(at, 'src', 'off');
  const big = (at.opcode & SOURCE_REGISTER) !== 0;
  if (width === 64 && big) badOpcode(at);
  const bits = at.imm;
  if (bits !== 16 && bits !== 32 && bits !== 64) reserved(at.slot, 'imm', bits);
  return { slot: at.slot, kind: 'swap', op: width === 64 ? 'bswap' : big ? 'be' : 'le', bits, dst: at.dst };
}

function decodeMovsx(at: Slot, width: Width): Instruction {
  const { slot, dst, src, off: bits } = at;
  if (!(at.opcode & SOURCE_REGISTER)) reserved(slot, 'off', bits);
  unused(at, 'imm');
  if (bits !== 8 && bits !== 16 && !(bits === 32 && width === 64)) reserved(slot, 'off', bits);
  return { slot, kind: 'movsx', width, bits, dst, src };
}

function decodeJump(at: Slot, width: Width): Instruction {
  const { slot, dst, off, imm } = at;
  const code = at.opcode & 0xf0;
  if (code === JUMP_ALWAYS) {
    if (at.opcode & SOURCE_REGISTER) badOpcode(at);
    unused(at, 'dst', 'src', width === 64 ? 'imm' : 'off');
    return { slot, kind: 'jump', target: slot + 1 + (width === 64 ? off : imm) };
  }
  if (code === JUMP_CALL || code === JUMP_EXIT) {
    if (width === 32 || at.opcode & SOURCE_REGISTER) badOpcode(at);
    if (code === JUMP_EXIT) {
      unused(at, 'dst', 'src', 'off', 'imm');
      return { slot, kind: 'exit' };
    }
    unused(at, 'dst', 'off');
    if (at.src === CALL_HELPER) return { slot, kind: 'call-helper', id: imm };
    if (at.src === CALL_LOCAL) return { slot, kind: 'call-local', target: slot + 1 + imm };
    reserved(slot, 'src', at.src);
  }
  const op = JUMP_NAMES.get(code) ?? badOpcode(at);
  return { slot, kind: 'branch', op, width, dst, src: operandOf(at), target: slot + 1 + off };
}

function decodePacketLoad(at: Slot): Instruction {
  const mode = at.opcode & 0xe0;
  const bytes = BYTES_OF_SIZE.get(at.opcode & 0x18)!;
  if ((mode !== MODE.ABS && mode !== MODE.IND) || bytes === 8) badOpcode(at);
  unused(at, 'dst', 'off');
  if (mode === MODE.ABS) unused(at, 'src');
  return { slot: at.slot, kind: 'packet-load', bytes, mode: mode === MODE.ABS ? 'abs' : 'ind', src: at.src, imm: at.imm };
}

function decodeLoad(at: Slot): Instruction {
  const mode = at.opcode & 0xe0;
  const bytes = BYTES_OF_SIZE.get(at.opcode & 0x18)!;
  if (mode !== MODE.MEM && (mode !== MODE.MEMSX || bytes === 8)) badOpcode(at);
  unused(at, 'imm');
  return { slot: at.slot, kind: 'load', bytes, signed: mode === MODE.MEMSX, dst: at.dst, src: at.src, off: at.off };
}

function decodeStoreImmediate(at: Slot): Instruction {
  if ((at.opcode & 0xe0) !== MODE.MEM) badOpcode(at);
  unused(at, 'src');
  const bytes = BYTES_OF_SIZE.get(at.opcode & 0x18)!;
  return { slot: at.slot, kind: 'store', bytes, dst: at.dst, off: at.off, src: { kind: 'imm', value: at.imm } };
}

function decodeStoreRegister(at: Slot): Instruction {
  const { slot, dst, src, off } = at;
  const mode = at.opcode & 0xe0;
  const bytes = BYTES_OF_SIZE.get(at.opcode & 0x18)!;
  if (mode === MODE.ATOMIC) return decodeAtomic(at, bytes);
  if (mode !== MODE.MEM) badOpcode(at);
  unused(at, 'imm');
  return { slot, kind: 'store', bytes, dst, off, src: { kind: 'reg', reg: src } };
}

function decodeAtomic(at: Slot, bytes: AccessBytes): Instruction {
  const { slot, dst, src, off, imm } = at;
  if (imm === LOAD_ACQUIRE) return { slot, kind: 'load-acquire', bytes, dst, src, off };
  if (imm === STORE_RELEASE) return { slot, kind: 'store-release', bytes, dst, src, off };
  if (bytes !== 4 && bytes !== 8) badOpcode(at);
  const fetch = (imm & ATOMIC_FETCH) !== 0;
  const op = ATOMIC_NAMES.get(imm & ~ATOMIC_FETCH) ?? reserved(slot, 'imm', imm);
  if (!fetch && ATOMIC[op].fetch === 'always') reserved(slot, 'imm', imm);
  return { slot, kind: 'atomic', op, fetch, bytes, dst, src, off };
}

function decodeImm64(first: Slot, second: Slot): Instruction {
  const { slot, dst } = first;
  unused(first, 'off');
  if (second.opcode !== 0) reserved(second.slot, 'opcode', second.opcode);
  unused(second, 'dst', 'src', 'off');
  return { slot, kind: 'imm64', dst, imm: imm64Of(first, second) };
}

function imm64Of(first: Slot, second: Slot): Imm64 {
  const { slot, src, imm } = first;
  switch (src) {
    case IMM64.VALUE:
      return { kind: 'value', value: (BigInt(second.imm >>> 0) << 32n) | BigInt(imm >>> 0) };
    case IMM64.MAP_VALUE:
    case IMM64.MAP_VALUE_BY_INDEX:
      return { kind: 'map-value', map: imm, offset: second.imm >>> 0 };
    case IMM64.MAP:
    case IMM64.MAP_BY_INDEX:
      unused(second, 'imm');
      return { kind: 'map', map: imm };
    case IMM64.VARIABLE:
      unused(second, 'imm');
      return { kind: 'variable', id: imm };
    case IMM64.FUNCTION:
      unused(second, 'imm');
      return { kind: 'function', target: slot + 1 + imm };
    default:
      return reserved(slot, 'src', src);
  }
}

/** Slots that an instruction takes. */
export function slotsOf(instruction: Instruction): 1 | 2 {
  return instruction.kind === 'imm64' ? 2 : 1;
}

/**
 * Encode instructions, each at its `slot`; the inverse of decodeProgram.
 * @returns 8 bytes a slot, little endian
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

function writeSlot(view: DataView, slot: number, { opcode = 0, dst = 0, src = 0, off = 0, imm = 0 }: Fields): void {
  const at = slot * SLOT_BYTES;
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
      return [{ opcode: aluClass(instruction.width) | row.code | bit, dst: instruction.dst, off: row.offset, ...fields }];
    }
    case 'neg':
      return [{ opcode: aluClass(instruction.width) | ALU_NEG, dst: instruction.dst }];
    case 'movsx': {
      const { dst, src, bits } = instruction;
      return [{ opcode: aluClass(instruction.width) | ALU.mov.code | SOURCE_REGISTER, dst, src, off: bits }];
    }
    case 'swap': {
      const { op, dst, bits } = instruction;
      const opcode = ALU_END | (op === 'bswap' ? CLASS.ALU64 : CLASS.ALU) | (op === 'be' ? SOURCE_REGISTER : 0);
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

function atomicFields(at: { bytes: AccessBytes; dst: number; src: number; off: number }, imm: number): Fields {
  return { opcode: CLASS.STX | MODE.ATOMIC | SIZE_CODES[at.bytes], dst: at.dst, src: at.src, off: at.off, imm };
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
