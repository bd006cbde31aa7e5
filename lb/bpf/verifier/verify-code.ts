import { decodeProgram, IsaError, type IsaFault } from '../isa/codec.js';
import type { Instruction } from '../isa/instruction.js';
import {
  ALU,
  ALU_END,
  ALU_NEG,
  CLASS,
  JUMP_ALWAYS,
  JUMP_CALL,
  JUMP_CALL_REGISTER,
  JUMP_EXIT,
  MODE,
  SIZE_CODES,
  SLOT_BYTES,
} from '../isa/opcodes.js';
import { explain } from './explain.js';
import type { Refused, VerifyOptions, VerifyResult } from './input.js';
import { lineAt } from './lines.js';
import { verifyProgram } from './verify.js';

/**
 * The same for a program that is not decoded yet: what is no BPF is refused in the kernel's words.
 * @param code 8 bytes a slot, little endian (RFC 9669 §3); map references by index among `options.maps`
 */
export function verifyCode(code: Uint8Array, options: VerifyOptions): VerifyResult {
  const mended = Uint8Array.from(code);
  const wrong = new Map<number, string>();
  try {
    checkKnown(code);
    return verifyProgram({ ...options, instructions: decodeMended(mended, wrong), wrong });
  } catch (error) {
    if (error instanceof IsaError) return refused(error, code, options);
    throw error;
  }
}

/** What the kernel does not look at, though it is reserved. */
const isIgnored = (opcode: number, field: string) => opcode === (CLASS.JMP | JUMP_EXIT) && field === 'off';

/** Reserved fields that the kernel looks at only where a path leads. */
const FIELDS: Readonly<Record<string, (code: Uint8Array, at: number) => void>> = {
  dst: (code, at) => {
    code[at + 1]! &= 0xf0;
  },
  src: (code, at) => {
    code[at + 1]! &= 0x0f;
  },
  off: (code, at) => code.fill(0, at + 2, at + 4),
  imm: (code, at) => code.fill(0, at + 4, at + 8),
};

/**
 * Decode a program as if fields that are reserved were 0.
 * @param code is changed
 * @param wrong takes the kernel's message, by the slot of each instruction that has such a field
 * @throws IsaError for what is wrong wherever it stands
 */
function decodeMended(code: Uint8Array, wrong: Map<number, string>): readonly Instruction[] {
  const tried = new Set<string>();
  for (;;) {
    try {
      return decodeProgram(code);
    } catch (error) {
      if (!(error instanceof IsaError) || error.fault.code !== 'ISA_RESERVED') throw error;
      const { slot, field, value } = error.fault;
      const key = `${slot} ${field}`;
      const opcode = code[slot * SLOT_BYTES]!;
      const mend = FIELDS[field];
      const isLoad = (opcode & 0x07) === CLASS.LDX || opcode === LOAD_IMM64;
      if (mend === undefined || isLoad || tried.has(key) || isSecondHalf(code, slot)) throw error;
      tried.add(key);
      if (!isIgnored(opcode, field)) wrong.set(slot, reservedMessage(slot, field, value, code));
      mend(code, slot * SLOT_BYTES);
    }
  }
}

const CALL_REGISTER = CLASS.JMP | JUMP_CALL_REGISTER;
const LOAD_IMM64 = CLASS.LD | MODE.IMM | SIZE_CODES[8];

/** A call through a register is resolved where its value is known; to the kernel it is no instruction. */
function checkKnown(code: Uint8Array): void {
  for (let slot = 0; slot * SLOT_BYTES < code.length; slot++) {
    const opcode = code[slot * SLOT_BYTES]!;
    if (opcode === CALL_REGISTER) throw new IsaError({ code: 'ISA_OPCODE', slot, opcode }, '');
    if (opcode === LOAD_IMM64) slot += 1;
  }
}

function refused(error: IsaError, code: Uint8Array, options: VerifyOptions): Refused {
  const slot = 'slot' in error.fault ? error.fault.slot : -1;
  const line = slot < 0 ? undefined : lineAt(options.lines ?? [], slot);
  const message = messageOf(error.fault, code, error.message);
  return {
    accepted: false,
    fault: { code: 'VERIFY_ENCODING', slot },
    message,
    errno: 'EINVAL',
    explanation: explain('VERIFY_ENCODING', slot, line),
    ...(line !== undefined && { line }),
    log: (options.log ?? 0) > 0 ? message : '',
    processed: 0,
    states: 0,
  };
}

function messageOf(fault: IsaFault, code: Uint8Array, otherwise: string): string {
  switch (fault.code) {
    case 'ISA_OPCODE':
      if (isAtomic(fault.opcode)) return 'invalid atomic operand size';
      return `unknown opcode ${fault.opcode.toString(16).padStart(2, '0')}`;
    case 'ISA_REGISTER':
      return `R${fault.register} is invalid`;
    case 'ISA_TRUNCATED':
      return 'last insn is not an exit or jmp';
    case 'ISA_CALL_KERNEL':
      return fault.btfId === 0 ? 'invalid kernel function call not eliminated in verifier pass' : otherwise;
    case 'ISA_RESERVED':
      return reservedMessage(fault.slot, fault.field, fault.value, code);
    default:
      return otherwise;
  }
}

function reservedMessage(slot: number, field: string, value: number, code: Uint8Array): string {
  const opcode = code[slot * SLOT_BYTES]!;
  if (isSecondHalf(code, slot))
    return field === 'imm' ? 'unrecognized bpf_ld_imm64 insn' : 'invalid bpf_ld_imm64 insn';
  if (opcode === LOAD_IMM64)
    return field === 'off' ? 'BPF_LD_IMM64 uses reserved fields' : 'unrecognized bpf_ld_imm64 insn';
  if (isAtomic(opcode) && field === 'imm')
    return `BPF_ATOMIC uses invalid atomic opcode ${value.toString(16).padStart(2, '0')}`;
  return `${nameOf(opcode)} uses reserved fields`;
}

const isAtomic = (opcode: number) => (opcode & 0x07) === CLASS.STX && (opcode & 0xe0) === MODE.ATOMIC;

/** Whether a slot is the second one of an LD_IMM64. */
function isSecondHalf(code: Uint8Array, wanted: number): boolean {
  let slot = 0;
  while (slot < wanted) slot += code[slot * SLOT_BYTES] === LOAD_IMM64 ? 2 : 1;
  return slot > wanted;
}

/** What the kernel calls a kind of instruction whose fields are wrong. */
function nameOf(opcode: number): string {
  const operation = opcode & 0xf0;
  switch (opcode & 0x07) {
    case CLASS.ALU:
    case CLASS.ALU64:
      if (operation === ALU_NEG) return 'BPF_NEG';
      if (operation === ALU_END) return 'BPF_END';
      return operation === ALU.mov.code ? 'BPF_MOV' : 'BPF_ALU';
    case CLASS.LDX:
      return 'BPF_LDX';
    case CLASS.ST:
      return 'BPF_ST';
    case CLASS.STX:
      return 'BPF_STX';
    case CLASS.LD:
      return 'BPF_LD_[ABS|IND]';
    default:
      if (operation === JUMP_ALWAYS) return 'BPF_JA';
      if (operation === JUMP_CALL) return 'BPF_CALL';
      return operation === JUMP_EXIT ? 'BPF_EXIT' : 'BPF_JMP/JMP32';
  }
}
