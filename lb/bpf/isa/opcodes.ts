// RFC 9669 as tables. Decoder, checks, interpreter, JIT and disassembler all read these; nothing else
// knows an opcode's number.

/** Instruction class: the low three bits of the opcode (RFC 9669 §3.3). */
export const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, JMP32: 6, ALU64: 7 } as const;

/** Bit 3 of ALU and JMP opcodes: second operand is a register (RFC 9669 §4, "source"). */
export const SOURCE_REGISTER = 0x08;

/** Version of the instruction set that brought an instruction, as clang's -mcpu counts. */
export type CpuVersion = 1 | 2 | 3 | 4;

/** Version of what has no row of its own below. */
export const CPU_OF = {
  jump32: 3,
  fetch: 3,
  gotol: 4,
  movsx: 4,
  loadSigned: 4,
  bswap: 4,
  ordered: 4,
} as const satisfies Record<string, CpuVersion>;

/** Conformance groups (RFC 9669 §2.4). */
export type Group = 'base32' | 'base64' | 'atomic32' | 'atomic64' | 'divmul32' | 'divmul64' | 'packet';

interface AluRow {
  /** Bits 4–7 of the opcode. */
  readonly code: number;
  /** Group without the width. */
  readonly group: 'base' | 'divmul';
  /** What `offset` must be: 1 tells the signed forms apart. */
  readonly offset: 0 | 1;
  /** C operator, for text. */
  readonly sign: string;
  readonly cpu: CpuVersion;
}

/** Two-operand arithmetic (RFC 9669 §4.1). MOVSX is `mov` with an offset, and a kind of its own. */
export const ALU = {
  add: { code: 0x00, group: 'base', offset: 0, sign: '+=', cpu: 1 },
  sub: { code: 0x10, group: 'base', offset: 0, sign: '-=', cpu: 1 },
  mul: { code: 0x20, group: 'divmul', offset: 0, sign: '*=', cpu: 1 },
  div: { code: 0x30, group: 'divmul', offset: 0, sign: '/=', cpu: 1 },
  sdiv: { code: 0x30, group: 'divmul', offset: 1, sign: 's/=', cpu: 4 },
  or: { code: 0x40, group: 'base', offset: 0, sign: '|=', cpu: 1 },
  and: { code: 0x50, group: 'base', offset: 0, sign: '&=', cpu: 1 },
  lsh: { code: 0x60, group: 'base', offset: 0, sign: '<<=', cpu: 1 },
  rsh: { code: 0x70, group: 'base', offset: 0, sign: '>>=', cpu: 1 },
  mod: { code: 0x90, group: 'divmul', offset: 0, sign: '%=', cpu: 1 },
  smod: { code: 0x90, group: 'divmul', offset: 1, sign: 's%=', cpu: 4 },
  xor: { code: 0xa0, group: 'base', offset: 0, sign: '^=', cpu: 1 },
  mov: { code: 0xb0, group: 'base', offset: 0, sign: '=', cpu: 1 },
  arsh: { code: 0xc0, group: 'base', offset: 0, sign: 's>>=', cpu: 1 },
} as const satisfies Record<string, AluRow>;
export type AluName = keyof typeof ALU;

/** One-operand arithmetic (RFC 9669 §4.1, §4.2). */
export const ALU_NEG = 0x80;
export const ALU_END = 0xd0;

interface JumpRow {
  readonly code: number;
  readonly sign: string;
  /** Compares as two's complement. */
  readonly signed: boolean;
  /** Of the 64-bit form; every 32-bit form is of CPU_OF.jump32. */
  readonly cpu: CpuVersion;
}

/** Conditional jumps (RFC 9669 §4.3). */
export const JUMP = {
  jeq: { code: 0x10, sign: '==', signed: false, cpu: 1 },
  jgt: { code: 0x20, sign: '>', signed: false, cpu: 1 },
  jge: { code: 0x30, sign: '>=', signed: false, cpu: 1 },
  jset: { code: 0x40, sign: '&', signed: false, cpu: 1 },
  jne: { code: 0x50, sign: '!=', signed: false, cpu: 1 },
  jsgt: { code: 0x60, sign: 's>', signed: true, cpu: 1 },
  jsge: { code: 0x70, sign: 's>=', signed: true, cpu: 1 },
  jlt: { code: 0xa0, sign: '<', signed: false, cpu: 2 },
  jle: { code: 0xb0, sign: '<=', signed: false, cpu: 2 },
  jslt: { code: 0xc0, sign: 's<', signed: true, cpu: 2 },
  jsle: { code: 0xd0, sign: 's<=', signed: true, cpu: 2 },
} as const satisfies Record<string, JumpRow>;
export type JumpName = keyof typeof JUMP;

/** The other jumps: JA (JMP: offset, JMP32: imm), CALL, EXIT (RFC 9669 §4.3). */
export const JUMP_ALWAYS = 0x00;
export const JUMP_CALL = 0x80;
export const JUMP_EXIT = 0x90;

/**
 * CALL with the register bit: the helper whose number is in dst_reg. LLVM writes it at -O0; neither RFC 9669
 * nor the kernel has it.
 */
export const JUMP_CALL_REGISTER = JUMP_CALL | SOURCE_REGISTER;

/** src_reg of a CALL (RFC 9669 §4.3.1, §4.3.2). 2, a function of the kernel by BTF id, is refused by name. */
export const CALL_HELPER = 0;
export const CALL_LOCAL = 1;
export const CALL_KERNEL = 2;

/**
 * Number of no helper: what a CO-RE relocation that found nothing puts in its instruction's place. The path that
 * leads there is dead in a program that asked first whether the field exists.
 */
export const POISON_HELPER = 195896080;

/** Bits 3–4 of loads and stores: bytes moved (RFC 9669 §5). */
export const SIZE_CODES = { 4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18 } as const satisfies Record<
  1 | 2 | 4 | 8,
  number
>;

/** Bits 5–7 of loads and stores (RFC 9669 §5). */
export const MODE = { IMM: 0x00, ABS: 0x20, IND: 0x40, MEM: 0x60, MEMSX: 0x80, ATOMIC: 0xc0 } as const;

interface AtomicRow {
  /** imm, without FETCH. */
  readonly code: number;
  /** 'either': with and without FETCH; 'always': only with. */
  readonly fetch: 'either' | 'always';
  readonly sign: string;
  /** Of the form without FETCH where there is one; every form with it is of CPU_OF.fetch. */
  readonly cpu: CpuVersion;
}

export const ATOMIC_FETCH = 0x01;

/** Atomic operations: imm of STX | ATOMIC (RFC 9669 §5.3). */
export const ATOMIC = {
  add: { code: 0x00, fetch: 'either', sign: '+=', cpu: 1 },
  or: { code: 0x40, fetch: 'either', sign: '|=', cpu: 3 },
  and: { code: 0x50, fetch: 'either', sign: '&=', cpu: 3 },
  xor: { code: 0xa0, fetch: 'either', sign: '^=', cpu: 3 },
  xchg: { code: 0xe0, fetch: 'always', sign: 'xchg', cpu: 3 },
  cmpxchg: { code: 0xf0, fetch: 'always', sign: 'cmpxchg', cpu: 3 },
} as const satisfies Record<string, AtomicRow>;
export type AtomicName = keyof typeof ATOMIC;

/** imm of STX | ATOMIC for the ordered accesses (Linux 6.14 and later; all four sizes). */
export const LOAD_ACQUIRE = 0x100;
export const STORE_RELEASE = 0x110;

/** src_reg of LD_IMM64 (RFC 9669 §5.4). By index (5, 6) is what the loader has made into map references. */
export const IMM64 = {
  VALUE: 0,
  MAP: 1,
  MAP_VALUE: 2,
  VARIABLE: 3,
  FUNCTION: 4,
  MAP_BY_INDEX: 5,
  MAP_VALUE_BY_INDEX: 6,
} as const;

export const REGISTERS = 11;
/** Frame pointer: read-only. */
export const FRAME_POINTER = 10;
export const SLOT_BYTES = 8;
