import { checkMapRights, checkMapValue, checkPacket, checkRegion } from './bounds.js';
import { type Environment, LIMITS } from './environment.js';
import { markPrecise } from './precision.js';
import { Refusal, refuse } from './refusal.js';
import { baseType, mayBeNull, READ_ONLY, type Register, TYPE, typeName } from './register.js';
import {
  checkInitialised,
  checkStackBounds,
  frameOf,
  NOTHING,
  refuseVariable,
  writeStack,
} from './stack-access.js';
import { byteIndex, KIND, kindAt, slotIndex } from './stack-slot.js';

/** How a helper uses the memory that an argument points to. */
export interface HelperMemory {
  /** Register that points to it. */
  readonly number: number;
  /** Bytes, at most. */
  readonly size: number;
  readonly isWrite: boolean;
  /** It need not be initialised: the helper fills all of it. */
  readonly isFilled: boolean;
  readonly zeroAllowed: boolean;
}

/** A part of the stack that a helper fills. */
export interface Filled {
  readonly register: Register;
  readonly size: number;
}

/**
 * That a helper may use so much memory (Linux 6.18, kernel/bpf/verifier.c, check_helper_mem_access).
 * @returns the part of the stack that it fills, to be marked as written once all arguments are checked
 * @throws Refusal
 */
export function checkHelperMemory(env: Environment, memory: HelperMemory): Filled | undefined {
  const { number, size, isWrite, zeroAllowed } = memory;
  const register = env.frame.registers[number]!;
  const { off, type } = register;
  if (mayBeNull(type)) return refuseType(register, memory);
  switch (baseType(type)) {
    case TYPE.PACKET:
    case TYPE.PACKET_META:
      checkPacket(register, number, off, size, zeroAllowed);
      return undefined;
    case TYPE.MAP_KEY:
      if (isWrite) refuseWrite(register, number);
      checkRegion(register, number, off, size, register.map!.keySize);
      return undefined;
    case TYPE.MAP_VALUE:
      checkMapRights(register.map!, off, size, isWrite);
      checkMapValue(register, number, off, size, zeroAllowed);
      return undefined;
    case TYPE.MEMORY:
      if (isWrite && (type & READ_ONLY) !== 0) refuseWrite(register, number);
      checkRegion(register, number, off, size, register.extent, zeroAllowed);
      return undefined;
    case TYPE.STACK:
      return checkStack(env, register, memory);
    default:
      return refuseType(register, memory);
  }
}

function refuseWrite(register: Register, number: number): never {
  return refuse(
    'VERIFY_READ_ONLY',
    'EACCES',
    `R${number} cannot write into ${typeName(register.type)}`,
    number,
  );
}

/** NULL will do where nothing is read. */
function refuseType(register: Register, { number, size, zeroAllowed }: HelperMemory): undefined {
  if (zeroAllowed && size === 0 && register.isNull) return undefined;
  return refuse(
    'VERIFY_ARGUMENT',
    'EACCES',
    `R${number} type=${typeName(register.type)} expected=fp`,
    number,
  );
}

function checkStack(env: Environment, register: Register, memory: HelperMemory): Filled | undefined {
  const { number, size, isWrite, isFilled, zeroAllowed } = memory;
  const { off } = register;
  if (size === 0 && !zeroAllowed) refuse('VERIFY_SIZE', 'EACCES', 'invalid zero-sized read', number);
  checkStackBounds(env, register, number, off, size, isWrite);
  if (register.isConst()) {
    const min = register.constNumber() + off;
    if (!isFilled) {
      checkInitialised(env, register, number, min, min + size, size, isWrite);
      return undefined;
    }
    const { kinds } = frameOf(env, register);
    for (let at = min; at < min + size; at++) {
      if (kindAt(kinds[slotIndex(at)]!, byteIndex(at)) === KIND.DYNPTR)
        refuse('VERIFY_DYNPTR', 'EACCES', `potential write to dynptr at off=${at} disallowed`, number);
    }
    return { register, size };
  }
  refuseVariable(env, register, number);
  // Which bytes it fills is not known: all must have been written before.
  checkInitialised(
    env,
    register,
    number,
    register.sminNumber + off,
    register.smaxNumber + off + size,
    size,
    isWrite,
  );
  return undefined;
}

/** What a helper fills is of unknown content afterwards. */
export function fill(env: Environment, { register, size }: Filled): void {
  for (let at = 0; at < size; at++) writeStack(env, register, register.off + at, 1, NOTHING);
}

/**
 * That a length, and the memory in the argument before it, fit (Linux 6.18, kernel/bpf/verifier.c, check_mem_size_reg).
 * @param number register of the length
 * @throws Refusal
 */
export function checkSized(
  env: Environment,
  number: number,
  memory: Pick<HelperMemory, 'isWrite' | 'isFilled' | 'zeroAllowed'>,
): Filled | undefined {
  const length = env.frame.registers[number]!;
  if (length.sminNumber < 0) {
    refuse(
      'VERIFY_SIZE',
      'EACCES',
      `R${number} min value is negative, either use unsigned or 'var &= const'`,
      number,
    );
  }
  if (length.uminNumber === 0 && !memory.zeroAllowed) {
    refuse(
      'VERIFY_SIZE',
      'EACCES',
      `R${number} invalid zero-sized read: u64=[${length.umin},${length.umax}]`,
      number,
    );
  }
  if (length.umaxNumber >= LIMITS.offset) {
    refuse(
      'VERIFY_SIZE',
      'EACCES',
      `R${number} unbounded memory access, use 'var &= const' or 'if (var < const)'`,
      number,
    );
  }
  const filled = checkHelperMemory(env, {
    number: number - 1,
    size: length.umaxNumber,
    isWrite: memory.isWrite,
    // Of a part that may be shorter, the rest must have been written.
    isFilled: memory.isFilled && length.isConst(),
    zeroAllowed: memory.zeroAllowed,
  });
  markPrecise(env, number);
  return filled;
}

/** That an argument points to a constant string. @returns its text @throws Refusal */
export function constantString(env: Environment, number: number): Uint8Array {
  const register = env.frame.registers[number]!;
  const { map } = register;
  const reject = (line: string, code: 'EACCES' | 'EINVAL' = 'EACCES'): never => {
    throw new Refusal('VERIFY_STRING', code, [line], number);
  };
  if (map?.constants === undefined) return reject(`R${number} does not point to a readonly map'`);
  if (!register.isConst()) return reject(`R${number} is not a constant address'`);
  const at = register.off + register.constNumber();
  checkMapValue(register, number, register.off, map.valueSize - register.off);
  const end = map.constants.indexOf(0, at);
  if (end < 0) return reject('string is not zero-terminated', 'EINVAL');
  return map.constants.subarray(at, end);
}
