// Binary opcodes of WebAssembly (Core Specification 2.0 §5.4; threads proposal for the 0xfe prefix).
// Only what the compiler emits; names are those of the text format.

/** Types of values and of empty blocks (§5.3.1, §5.4.1). */
export const VALUE_TYPES = { i32: 0x7f, i64: 0x7e } as const;
export type ValueType = keyof typeof VALUE_TYPES;
export const EMPTY_BLOCK = 0x40;
/** References to functions: what tables hold. */
export const FUNCREF = 0x70;

/** Instructions whose immediates the encoder writes itself. */
export const CONTROL = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  call: 0x10,
  /** Tail call proposal; in the standard since 3.0. */
  returnCallIndirect: 0x13,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  tableGet: 0x25,
  i32Const: 0x41,
  i64Const: 0x42,
  /** Prefix of further instructions, of which table.size alone is used. */
  misc: 0xfc,
} as const;

/** table.size, behind its prefix. */
export const TABLE_SIZE = 0x10;

/** Instructions without immediates. */
export const PLAIN = {
  unreachable: 0x00,
  else: 0x05,
  end: 0x0b,
  return: 0x0f,
  drop: 0x1a,
  select: 0x1b,

  'i32.eqz': 0x45,
  'i32.eq': 0x46,
  'i32.ne': 0x47,
  'i32.lt_s': 0x48,
  'i32.lt_u': 0x49,
  'i32.gt_s': 0x4a,
  'i32.gt_u': 0x4b,
  'i32.le_s': 0x4c,
  'i32.le_u': 0x4d,
  'i32.ge_s': 0x4e,
  'i32.ge_u': 0x4f,

  'i64.eqz': 0x50,
  'i64.eq': 0x51,
  'i64.ne': 0x52,
  'i64.lt_s': 0x53,
  'i64.lt_u': 0x54,
  'i64.gt_s': 0x55,
  'i64.gt_u': 0x56,
  'i64.le_s': 0x57,
  'i64.le_u': 0x58,
  'i64.ge_s': 0x59,
  'i64.ge_u': 0x5a,

  'i32.add': 0x6a,
  'i32.sub': 0x6b,
  'i32.mul': 0x6c,
  'i32.div_s': 0x6d,
  'i32.div_u': 0x6e,
  'i32.rem_s': 0x6f,
  'i32.rem_u': 0x70,
  'i32.and': 0x71,
  'i32.or': 0x72,
  'i32.xor': 0x73,
  'i32.shl': 0x74,
  'i32.shr_s': 0x75,
  'i32.shr_u': 0x76,
  'i32.rotl': 0x77,

  'i64.add': 0x7c,
  'i64.sub': 0x7d,
  'i64.mul': 0x7e,
  'i64.div_s': 0x7f,
  'i64.div_u': 0x80,
  'i64.rem_s': 0x81,
  'i64.rem_u': 0x82,
  'i64.and': 0x83,
  'i64.or': 0x84,
  'i64.xor': 0x85,
  'i64.shl': 0x86,
  'i64.shr_s': 0x87,
  'i64.shr_u': 0x88,
  'i64.rotl': 0x89,

  'i32.wrap_i64': 0xa7,
  'i64.extend_i32_u': 0xad,
  'i32.extend8_s': 0xc0,
  'i32.extend16_s': 0xc1,
  'i64.extend8_s': 0xc2,
  'i64.extend16_s': 0xc3,
  'i64.extend32_s': 0xc4,

  'ref.is_null': 0xd1,
} as const;
export type PlainOp = keyof typeof PLAIN;

/** Memory instructions: opcode bytes and log2 of the bytes that they touch, which is the alignment of atomics. */
export const MEMORY = {
  'i32.load': { code: [0x28], log2: 2 },
  'i32.load8_u': { code: [0x2d], log2: 0 },
  'i32.load16_u': { code: [0x2f], log2: 1 },
  'i32.store': { code: [0x36], log2: 2 },
  'i32.store8': { code: [0x3a], log2: 0 },

  'i64.load': { code: [0x29], log2: 3 },
  'i64.load8_s': { code: [0x30], log2: 0 },
  'i64.load8_u': { code: [0x31], log2: 0 },
  'i64.load16_s': { code: [0x32], log2: 1 },
  'i64.load16_u': { code: [0x33], log2: 1 },
  'i64.load32_s': { code: [0x34], log2: 2 },
  'i64.load32_u': { code: [0x35], log2: 2 },
  'i64.store': { code: [0x37], log2: 3 },
  'i64.store8': { code: [0x3c], log2: 0 },
  'i64.store16': { code: [0x3d], log2: 1 },
  'i64.store32': { code: [0x3e], log2: 2 },

  'i32.atomic.load': { code: [0xfe, 0x10], log2: 2 },
  'i64.atomic.load': { code: [0xfe, 0x11], log2: 3 },
  'i64.atomic.load8_u': { code: [0xfe, 0x14], log2: 0 },
  'i64.atomic.load16_u': { code: [0xfe, 0x15], log2: 1 },
  'i64.atomic.load32_u': { code: [0xfe, 0x16], log2: 2 },
  'i64.atomic.store': { code: [0xfe, 0x18], log2: 3 },
  'i64.atomic.store8': { code: [0xfe, 0x1b], log2: 0 },
  'i64.atomic.store16': { code: [0xfe, 0x1c], log2: 1 },
  'i64.atomic.store32': { code: [0xfe, 0x1d], log2: 2 },

  'i32.atomic.rmw.add': { code: [0xfe, 0x1e], log2: 2 },
  'i64.atomic.rmw.add': { code: [0xfe, 0x1f], log2: 3 },
  'i32.atomic.rmw.and': { code: [0xfe, 0x2c], log2: 2 },
  'i64.atomic.rmw.and': { code: [0xfe, 0x2d], log2: 3 },
  'i32.atomic.rmw.or': { code: [0xfe, 0x33], log2: 2 },
  'i64.atomic.rmw.or': { code: [0xfe, 0x34], log2: 3 },
  'i32.atomic.rmw.xor': { code: [0xfe, 0x3a], log2: 2 },
  'i64.atomic.rmw.xor': { code: [0xfe, 0x3b], log2: 3 },
  'i32.atomic.rmw.xchg': { code: [0xfe, 0x41], log2: 2 },
  'i64.atomic.rmw.xchg': { code: [0xfe, 0x42], log2: 3 },
  'i32.atomic.rmw.cmpxchg': { code: [0xfe, 0x48], log2: 2 },
  'i64.atomic.rmw.cmpxchg': { code: [0xfe, 0x49], log2: 3 },
} as const;
export type MemoryOp = keyof typeof MEMORY;
