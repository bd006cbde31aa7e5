import type { Instruction, Of } from '../isa/instruction.js';
import { ALU } from '../isa/opcodes.js';
import type { Environment } from './environment.js';
import {
  checkTarget,
  mayNotLeak,
  readRegister,
  setRegister,
  setUnknown,
  withId,
  withoutId,
} from './operands.js';
import { movePointer } from './pointer.js';
import { markPrecise } from './precision.js';
import { refuse } from './refusal.js';
import { PLUS_32, PLUS_64, PLUS_CONSTANT, Register, UNKNOWN } from './register.js';
import { aluScalar, forkOf, setForked, swapScalar } from './scalar-alu.js';
import { signExtend32, signExtend64 } from './scalar-cast.js';

type Arithmetic = Extract<Instruction, { kind: 'alu' | 'neg' | 'swap' | 'movsx' }>;

/** Follow an arithmetic instruction. @throws Refusal */
export function followArithmetic(env: Environment, step: Arithmetic): void {
  switch (step.kind) {
    case 'neg':
    case 'swap': {
      followOneOperand(env, step);
      return;
    }
    case 'movsx': {
      followSignExtension(env, step);
      return;
    }
    case 'alu':
      if (step.op === 'mov') followMove(env, step);
      else followTwoOperands(env, step);
  }
}

function followOneOperand(env: Environment, step: Of<'neg' | 'swap'>): void {
  const { dst } = step;
  const register = readRegister(env, dst);
  if (mayNotLeak(env, register))
    refuse('VERIFY_LEAK', 'EACCES', `R${dst} pointer arithmetic prohibited`, dst);
  checkTarget(env, dst);
  if (!register.isScalar) {
    setUnknown(env, dst);
    return;
  }
  // All 64 bits as they are, memory being little endian: it is still the same number.
  const isKept = step.kind === 'swap' && step.op === 'le' && step.bits === 64;
  const result = (isKept ? register : withoutId(register)).copy();
  if (step.kind === 'neg') aluScalar('neg', step.width, result, result);
  else swapScalar(step.op, step.bits, result);
  setRegister(env, dst, result);
}

function followMove(env: Environment, { width, dst, src }: Of<'alu'>): void {
  if (src.kind === 'imm') {
    checkTarget(env, dst);
    setRegister(env, dst, Register.constant(width === 64 ? src.value >> 31 : 0, src.value));
    return;
  }
  const from = readRegister(env, src.reg);
  checkTarget(env, dst);
  if (width === 64) {
    const shared = withId(env, from);
    setRegister(env, src.reg, shared);
    setRegister(env, dst, shared);
    return;
  }
  if (mayNotLeak(env, from)) refuse('VERIFY_LEAK', 'EACCES', `R${src.reg} partial copy of pointer`, src.reg);
  const fits = from.isScalar && from.fitsU32();
  const source = fits ? withId(env, from) : from;
  if (fits) setRegister(env, src.reg, source);
  const result = from.isScalar ? (fits ? source : withoutId(source)).copy() : UNKNOWN.copy();
  aluScalar('mov', 32, result, result);
  setRegister(env, dst, result);
}

function followSignExtension(env: Environment, { width, bits, dst, src }: Of<'movsx'>): void {
  const from = readRegister(env, src);
  checkTarget(env, dst);
  if (mayNotLeak(env, from)) {
    const what = width === 64 ? 'sign-extension part' : 'partial copy';
    refuse('VERIFY_LEAK', 'EACCES', `R${src} ${what} of pointer`, src);
  }
  if (!from.isScalar) {
    if (width === 64) setUnknown(env, dst);
    else {
      const low = UNKNOWN.copy();
      aluScalar('mov', 32, low, low);
      setRegister(env, dst, low);
    }
    return;
  }
  // A number whose sign bit is surely clear stays the same number.
  const isSame = from.umaxNumber < 2 ** (bits - 1);
  const source = isSame ? withId(env, from) : from;
  if (isSame) setRegister(env, src, source);
  const result = (isSame ? source : withoutId(source)).copy();
  if (width === 64) signExtend64(result, bits);
  else signExtend32(result, bits === 32 ? 16 : bits);
  setRegister(env, dst, result);
}

const SHIFTS: ReadonlySet<string> = new Set(['lsh', 'rsh', 'arsh']);
const DIVISIONS: ReadonlySet<string> = new Set(['div', 'mod', 'sdiv', 'smod']);

function followTwoOperands(env: Environment, step: Of<'alu'>): void {
  const { op, width, dst, src } = step;
  const source = src.kind === 'reg' ? readRegister(env, src.reg) : undefined;
  const target = readRegister(env, dst);
  if (src.kind === 'imm') {
    if (DIVISIONS.has(op) && src.value === 0) refuse('VERIFY_ARITHMETIC', 'EINVAL', 'div by zero', dst);
    if (SHIFTS.has(op) && (src.value < 0 || src.value >= width))
      refuse('VERIFY_ARITHMETIC', 'EINVAL', `invalid shift ${src.value}`, dst);
  }
  checkTarget(env, dst);
  if (source?.isPointer === true) {
    if (target.isPointer) {
      if (op === 'sub' && !env.isUnprivileged) {
        setUnknown(env, dst);
        return;
      }
      refuse(
        'VERIFY_POINTER_ARITHMETIC',
        'EACCES',
        `R${dst} pointer ${ALU[op].sign.replace(/^s([/%])/, '$1')} pointer prohibited`,
        dst,
      );
      return;
    }
    markPrecise(env, dst);
    movePointer(env, step, source, target, true);
    return;
  }
  const operand =
    source ??
    Register.constant((src.kind === 'imm' ? src.value : 0) >> 31, src.kind === 'imm' ? src.value : 0);
  if (target.isPointer) {
    if (src.kind === 'reg') markPrecise(env, src.reg);
    movePointer(env, step, target, operand, false);
    return;
  }
  followNumbers(env, step, target, operand);
}

function followNumbers(env: Environment, step: Of<'alu'>, target: Register, operand: Register): void {
  const { op, width, dst, src } = step;
  const result = target.copy();
  const fork = forkOf(op, result, operand);
  if (fork !== undefined) {
    const other = env.push(step.slot, step.slot);
    const zero = withoutId(target).copy();
    setForked(zero, fork, 0);
    other.frame.registers[dst] = zero;
    setForked(result, fork, -1);
  }
  aluScalar(op, width, result, operand);
  link(step, target, operand, result, src.kind === 'reg' && src.reg === dst);
  setRegister(env, dst, result);
}

const INT32_MAX = 0x7fff_ffff;

/** `r1 = r2; r1 += 4`: r1 stays linked to r2, at a distance. Anything else makes a number of its own. */
function link(
  { op, width }: Of<'alu'>,
  target: Register,
  operand: Register,
  result: Register,
  isItself: boolean,
): void {
  result.id = 0;
  result.off = 0;
  if ((op !== 'add' && op !== 'sub') || isItself) return;
  if (target.id === 0 || (target.id & PLUS_CONSTANT) !== 0) return;
  if (width === 64 ? !operand.isConst() : operand.maskLo !== 0 || !target.fitsU32()) return;
  const value = width === 64 ? operand.constNumber() : operand.valueLo;
  const delta = op === 'add' ? value : -value;
  if (delta > INT32_MAX || delta < -INT32_MAX - 1) return;
  result.id = target.id | (width === 64 ? PLUS_64 : PLUS_32);
  result.off = delta;
}
