import type { Of } from '../isa/instruction.js';
import { ALU } from '../isa/opcodes.js';
import { type Environment, LIMITS } from './environment.js';
import { checkMovedBounds } from './moved-bounds.js';
import { setRegister, setUnknown } from './operands.js';
import { refuse } from './refusal.js';
import { baseType, mayBeNull, type Register, TYPE, typeName } from './register.js';
import type { Scalar } from './scalar.js';
import { aluOffset } from './scalar-alu.js';
import { syncBounds } from './scalar-sync.js';
import { SIGN_BIT } from './scalar-words.js';

/** Pointers to which something may be added. */
const MOVABLE: ReadonlySet<number> = new Set([
  TYPE.CONTEXT,
  TYPE.MAP_VALUE,
  TYPE.MAP_KEY,
  TYPE.STACK,
  TYPE.PACKET,
  TYPE.PACKET_META,
  TYPE.MEMORY,
  TYPE.FUNCTION,
  TYPE.DYNPTR,
]);

const SIGNED_32_MAX = 0x7fff_ffff;
const fitsInt32 = (value: number) => value >= -SIGNED_32_MAX - 1 && value <= SIGNED_32_MAX;

/** Knowledge that contradicts itself: a branch that cannot be taken. */
function isImpossible(s: Scalar): boolean {
  return s.isConst()
    ? s.sminNumber !== s.smaxNumber || s.uminNumber !== s.umaxNumber
    : s.sminNumber > s.smaxNumber || s.uminNumber > s.umaxNumber;
}

/**
 * pointer += number or pointer -= number (Linux 6.18, kernel/bpf/verifier.c, adjust_ptr_min_max_vals).
 * @param isReversed the number is the target: number += pointer
 * @throws Refusal
 */
export function movePointer(
  env: Environment,
  { op, width, dst }: Of<'alu'>,
  pointer: Register,
  by: Register,
  isReversed: boolean,
): void {
  if (isImpossible(by)) {
    setUnknown(env, dst);
    return;
  }
  if (width !== 64) {
    // What is left of a pointer is a number, which only those may have who may see pointers.
    if (op === 'sub' && !env.isUnprivileged) {
      setUnknown(env, dst);
      return;
    }
    refuse('VERIFY_POINTER_ARITHMETIC', 'EACCES', `R${dst} 32-bit pointer arithmetic prohibited`, dst);
    return;
  }
  checkMovable(pointer, by, op, dst);
  checkOffset(by, pointer.type);
  checkOffset(pointer, pointer.type);
  switch (op) {
    case 'add':
      setMoved(env, dst, added(env, pointer, by));
      return;
    case 'sub':
      if (isReversed) {
        refuse('VERIFY_POINTER_ARITHMETIC', 'EACCES', `R${dst} tried to subtract pointer from scalar`, dst);
        return;
      }
      if (pointer.type === TYPE.STACK) {
        refuse(
          'VERIFY_POINTER_ARITHMETIC',
          'EACCES',
          `R${dst} subtraction from stack pointer prohibited`,
          dst,
        );
        return;
      }
      setMoved(env, dst, subtracted(env, pointer, by));
      return;
    case 'and':
    case 'or':
    case 'xor': {
      refuse(
        'VERIFY_POINTER_ARITHMETIC',
        'EACCES',
        `R${dst} bitwise operator ${ALU[op].sign} on pointer prohibited`,
        dst,
      );
      return;
    }
    default: {
      refuse(
        'VERIFY_POINTER_ARITHMETIC',
        'EACCES',
        // The kernel's message does not tell signed division from unsigned.
        `R${dst} pointer arithmetic with ${ALU[op].sign.replace(/^s([/%])/, '$1')} operator prohibited`,
        dst,
      );
      return;
    }
  }
}

function checkMovable(pointer: Register, by: Register, op: string, dst: number): void {
  if (mayBeNull(pointer.type)) {
    refuse(
      'VERIFY_NULL',
      'EACCES',
      `R${dst} pointer arithmetic on ${typeName(pointer.type)} prohibited, null-check it first`,
      dst,
    );
  }
  if (MOVABLE.has(baseType(pointer.type))) return;
  if (pointer.type === TYPE.MAP && op === 'add' && by.isZero()) return;
  refuse(
    'VERIFY_POINTER_ARITHMETIC',
    'EACCES',
    `R${dst} pointer arithmetic on ${typeName(pointer.type)} prohibited`,
    dst,
  );
}

/** That fixed and variable offsets are far from wrapping. */
function checkOffset(register: Register, type: number): void {
  const name = typeName(type);
  const reject = (text: string) => refuse('VERIFY_POINTER_OFFSET', 'EINVAL', text);
  if (register.isConst() && Math.abs(register.constNumber()) >= LIMITS.offset) {
    const value = BigInt.asIntN(64, register.constValue());
    reject(`math between ${name} pointer and ${value} is not allowed`);
  }
  if (Math.abs(register.off) >= LIMITS.offset)
    reject(`${name} pointer offset ${register.off} is not allowed`);
  if (register.sminHi === SIGN_BIT && register.sminLo === 0)
    reject(`math between ${name} pointer and register with unbounded min value is not allowed`);
  if (Math.abs(register.sminNumber) >= LIMITS.offset)
    reject(`value ${register.smin} makes ${name} pointer be out of bounds`);
}

function setMoved(env: Environment, dst: number, moved: Register): void {
  checkOffset(moved, moved.type);
  checkMovedBounds(env, dst, moved);
  setRegister(env, dst, moved);
}

function added(env: Environment, pointer: Register, by: Register): Register {
  const moved = pointer.copy();
  if (by.isConst() && fitsInt32(pointer.off + by.sminNumber)) {
    moved.unbound32();
    moved.off = pointer.off + by.sminNumber;
    syncBounds(moved);
    return moved;
  }
  aluOffset('add', moved, by);
  if (pointer.isPacket) {
    // Elsewhere in the packet: nobody has compared this place with the end.
    moved.id = env.newId();
    moved.extent = 0;
  }
  return moved;
}

function subtracted(env: Environment, pointer: Register, by: Register): Register {
  const moved = pointer.copy();
  if (by.isConst() && fitsInt32(pointer.off - by.sminNumber)) {
    moved.unbound32();
    moved.off = pointer.off - by.sminNumber;
    syncBounds(moved);
    return moved;
  }
  aluOffset('sub', moved, by);
  if (pointer.isPacket) {
    moved.id = env.newId();
    // Towards the start, what was proven of the place holds all the more.
    if (by.sminNumber < 0) moved.extent = 0;
  }
  return moved;
}
