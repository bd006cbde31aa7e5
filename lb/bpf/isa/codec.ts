import { helperInRegister } from './call-register.js';
import type { Slot } from './encode.js';
import { IsaError } from './fault.js';
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
  CALL_KERNEL,
  CALL_LOCAL,
  CLASS,
  IMM64,
  JUMP,
  JUMP_ALWAYS,
  JUMP_CALL,
  JUMP_CALL_REGISTER,
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

export { encodeProgram, slotsOf } from './encode.js';
export { IsaError, type IsaFault } from './fault.js';

const byCode = <T extends { readonly code: number }, N extends string>(table: Record<N, T>) =>
  Object.entries(table) as [N, T][];
const JUMP_NAMES: ReadonlyMap<number, JumpName> = new Map(
  byCode(JUMP).map(([name, row]) => [row.code, name]),
);
const ATOMIC_NAMES: ReadonlyMap<number, AtomicName> = new Map(
  byCode(ATOMIC).map(([name, row]) => [row.code, name]),
);
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

/** A field that the instruction does not use is not 0, or has a value that RFC 9669 gives no meaning. */
function reserved(slot: number, field: string, value: number): never {
  throw new IsaError(
    { code: 'ISA_RESERVED', slot, field, value },
    `instruction ${slot}: ${field} = ${value} is reserved`,
  );
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
  throw new IsaError(
    { code: 'ISA_REGISTER', slot, register },
    `instruction ${slot}: register r${register} does not exist`,
  );
}

/**
 * Decode a program, every reserved field checked. A call through a register (opcode 0x8d) that holds a constant
 * becomes the call of that helper; any other is refused.
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
  const callsByRegister: { readonly index: number; readonly at: Slot }[] = [];
  for (let slot = 0; slot < slots; slot++) {
    const at = readSlot(view, slot);
    checkRegister(slot, at.dst);
    if (at.opcode === (CLASS.LD | MODE.IMM | SIZE_CODES[8])) {
      if (slot + 1 >= slots) {
        throw new IsaError(
          { code: 'ISA_TRUNCATED', slot },
          `instruction ${slot}: LD_IMM64 has no second half`,
        );
      }
      instructions.push(decodeImm64(at, readSlot(view, slot + 1)));
      slot += 1;
    } else {
      checkRegister(slot, at.src);
      if (at.opcode === (CLASS.JMP | JUMP_CALL_REGISTER))
        callsByRegister.push({ index: instructions.length, at });
      instructions.push(decodeSlot(at));
    }
  }
  // Only now are all jumps known, and with them where a register still holds what was just put into it.
  for (const { index, at } of callsByRegister) instructions[index] = resolveCall(instructions, index, at);
  return instructions;
}

/** Helper numbers are positive: what stands in an instruction's place until all are decoded. */
const UNRESOLVED_HELPER = -1;

function resolveCall(instructions: readonly Instruction[], index: number, { slot, dst }: Slot): Instruction {
  const id = helperInRegister(instructions, index, dst);
  if (id !== undefined) return { slot, kind: 'call-helper', id };
  throw new IsaError(
    { code: 'ISA_CALL_REGISTER', slot, register: dst },
    `instruction ${slot}: call through r${dst}, which is not set to a constant just before`,
  );
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
  if (at.opcode === (CLASS.JMP | JUMP_CALL_REGISTER)) {
    unused(at, 'src', 'off', 'imm');
    return { slot, kind: 'call-helper', id: UNRESOLVED_HELPER };
  }
  if (code === JUMP_CALL || code === JUMP_EXIT) {
    if (width === 32 || at.opcode & SOURCE_REGISTER) badOpcode(at);
    if (code === JUMP_EXIT) {
      unused(at, 'dst', 'src', 'off', 'imm');
      return { slot, kind: 'exit' };
    }
    if (at.src === CALL_KERNEL) {
      throw new IsaError(
        { code: 'ISA_CALL_KERNEL', slot, btfId: imm },
        `instruction ${slot}: call of the kernel's function with BTF id ${imm}: there is no kernel here to call`,
      );
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
  return {
    slot: at.slot,
    kind: 'packet-load',
    bytes,
    mode: mode === MODE.ABS ? 'abs' : 'ind',
    src: at.src,
    imm: at.imm,
  };
}

function decodeLoad(at: Slot): Instruction {
  const mode = at.opcode & 0xe0;
  const bytes = BYTES_OF_SIZE.get(at.opcode & 0x18)!;
  if (mode !== MODE.MEM && (mode !== MODE.MEMSX || bytes === 8)) badOpcode(at);
  unused(at, 'imm');
  return {
    slot: at.slot,
    kind: 'load',
    bytes,
    signed: mode === MODE.MEMSX,
    dst: at.dst,
    src: at.src,
    off: at.off,
  };
}

function decodeStoreImmediate(at: Slot): Instruction {
  if ((at.opcode & 0xe0) !== MODE.MEM) badOpcode(at);
  unused(at, 'src');
  const bytes = BYTES_OF_SIZE.get(at.opcode & 0x18)!;
  return {
    slot: at.slot,
    kind: 'store',
    bytes,
    dst: at.dst,
    off: at.off,
    src: { kind: 'imm', value: at.imm },
  };
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
