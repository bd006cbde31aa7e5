import fc from 'fast-check';
import { slotsOf } from '../../lb/bpf/isa/codec.js';
import type { Imm64, Instruction, Operand } from '../../lb/bpf/isa/instruction.js';
import { ALU, type AluName, ATOMIC, type AtomicName, JUMP, type JumpName } from '../../lb/bpf/isa/opcodes.js';

// Object.keys of a table is the list of its names.
const ALU_NAMES = Object.keys(ALU) as AluName[];
const JUMP_NAMES = Object.keys(JUMP) as JumpName[];
const ATOMIC_NAMES = Object.keys(ATOMIC) as AtomicName[];

const reg = fc.integer({ min: 0, max: 10 });
const off = fc.integer({ min: -0x8000, max: 0x7fff });
const imm = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 0x7fff_ffff, -0x8000_0000));
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const width = fc.constantFrom(32 as const, 64 as const);
const bytes = fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const);
const operand: fc.Arbitrary<Operand> = fc.oneof(
  fc.record({ kind: fc.constant('reg' as const), reg }),
  fc.record({ kind: fc.constant('imm' as const), value: imm }),
);
const slot = fc.constant(0);
/** Distances from the next slot; `at` makes targets of them. */
const near = off;
const far = fc.integer({ min: -0x4000_0000, max: 0x3fff_ffff });

const imm64: fc.Arbitrary<Imm64> = fc.oneof(
  fc.record({ kind: fc.constant('value' as const), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  fc.record({ kind: fc.constant('map' as const), map: fc.nat(1000) }),
  fc.record({ kind: fc.constant('map-value' as const), map: fc.nat(1000), offset: u32 }),
  fc.record({ kind: fc.constant('function' as const), target: fc.nat(1_000_000) }),
  fc.record({ kind: fc.constant('variable' as const), id: fc.nat(1_000_000) }),
);

/** Any legal instruction, at slot 0. */
export const anyInstruction: fc.Arbitrary<Instruction> = fc.oneof(
  fc.record({
    slot,
    kind: fc.constant('alu' as const),
    op: fc.constantFrom(...ALU_NAMES),
    width,
    dst: reg,
    src: operand,
  }),
  fc.record({ slot, kind: fc.constant('neg' as const), width, dst: reg }),
  fc.record({
    slot,
    kind: fc.constant('movsx' as const),
    width,
    bits: fc.constantFrom(8 as const, 16 as const),
    dst: reg,
    src: reg,
  }),
  fc.record({
    slot,
    kind: fc.constant('movsx' as const),
    width: fc.constant(64 as const),
    bits: fc.constant(32 as const),
    dst: reg,
    src: reg,
  }),
  fc.record({
    slot,
    kind: fc.constant('swap' as const),
    op: fc.constantFrom('le' as const, 'be' as const, 'bswap' as const),
    bits: fc.constantFrom(16 as const, 32 as const, 64 as const),
    dst: reg,
  }),
  fc.record({ slot, kind: fc.constant('imm64' as const), dst: reg, imm: imm64 }),
  fc.record({
    slot,
    kind: fc.constant('load' as const),
    bytes,
    signed: fc.constant(false),
    dst: reg,
    src: reg,
    off,
  }),
  fc.record({
    slot,
    kind: fc.constant('load' as const),
    bytes: fc.constantFrom(1 as const, 2 as const, 4 as const),
    signed: fc.constant(true),
    dst: reg,
    src: reg,
    off,
  }),
  fc.record({ slot, kind: fc.constant('store' as const), bytes, dst: reg, off, src: operand }),
  fc
    .record({
      slot,
      kind: fc.constant('atomic' as const),
      op: fc.constantFrom(...ATOMIC_NAMES),
      fetch: fc.boolean(),
      bytes: fc.constantFrom(4 as const, 8 as const),
      dst: reg,
      src: reg,
      off,
    })
    .map((each) => (ATOMIC[each.op].fetch === 'always' ? { ...each, fetch: true } : each)),
  fc.record({
    slot,
    kind: fc.constantFrom('load-acquire' as const, 'store-release' as const),
    bytes,
    dst: reg,
    src: reg,
    off,
  }),
  fc
    .record({
      slot,
      kind: fc.constant('packet-load' as const),
      bytes: fc.constantFrom(1 as const, 2 as const, 4 as const),
      mode: fc.constantFrom('abs' as const, 'ind' as const),
      src: reg,
      imm,
    })
    .map((each) => (each.mode === 'abs' ? { ...each, src: 0 } : each)),
  fc.record({ slot, kind: fc.constant('jump' as const), target: fc.oneof(near, far) }),
  fc.record({
    slot,
    kind: fc.constant('branch' as const),
    op: fc.constantFrom(...JUMP_NAMES),
    width,
    dst: reg,
    src: operand,
    target: near,
  }),
  fc.record({ slot, kind: fc.constant('call-helper' as const), id: fc.nat(1_000_000) }),
  fc.record({ slot, kind: fc.constant('call-local' as const), target: far }),
  fc.record({ slot, kind: fc.constant('exit' as const) }),
);

/** Legal instructions one after the other; jumps and calls keep their distances and may lead anywhere. */
export const anyProgram: fc.Arbitrary<Instruction[]> = fc
  .array(anyInstruction, { minLength: 1, maxLength: 40 })
  .map((instructions) => {
    let next = 0;
    return instructions.map((each): Instruction => {
      const at = next;
      next += slotsOf(each);
      if ('target' in each) return { ...each, slot: at, target: at + 1 + each.target };
      return { ...each, slot: at };
    });
  });
