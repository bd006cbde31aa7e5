import type { Of } from '../isa/instruction.js';
import type { JumpName } from '../isa/opcodes.js';
import { type Environment, LIMITS } from './environment.js';
import { collectLinked, spreadToLinked } from './linked.js';
import { mayNotLeak, readRegister } from './operands.js';
import { notNull } from './pointers.js';
import { markPrecise } from './precision.js';
import { releaseById } from './references.js';
import { refuse } from './refusal.js';
import { AT_END, BEYOND_END, baseType, mayBeNull, Register, TYPE, ZERO } from './register.js';
import { branchTaken } from './scalar-branch.js';
import { refineBranch } from './scalar-refine.js';
import type { State } from './state.js';

/**
 * Follow a conditional jump: where what is known decides it, one arm; else the one that falls through, and the other
 * later (Linux 6.18, kernel/bpf/verifier.c, check_cond_jmp_op).
 * @returns the slot to go on from
 * @throws Refusal
 */
export function followBranch(env: Environment, step: Of<'branch'>): number {
  const { op, width, dst, src, slot, target } = step;
  const source = src.kind === 'reg' ? src.reg : undefined;
  readRegister(env, dst);
  if (source !== undefined) checkComparison(env, dst, source);
  const before = operandsOf(env, step);
  const targetIsStack = before.left.type === TYPE.STACK;
  const sourceIsStack = before.right.type === TYPE.STACK;
  if (targetIsStack || sourceIsStack) {
    const entry = env.note();
    entry.targetIsStack = targetIsStack;
    entry.sourceIsStack = sourceIsStack;
  }
  const isTaken = decide(step, before.left, before.right);
  env.facts.noteJump(slot, isTaken);
  if (isTaken !== undefined) {
    markPrecise(env, dst);
    if (source !== undefined) markPrecise(env, source);
    env.log.writeChanges(env.state, slot);
    return isTaken ? target : slot + 1;
  }
  const linked = collectLinked(env, source === undefined ? undefined : before.right, before.left);
  if (linked.length > 1) env.note().linked = linked;
  const { left, right } = operandsOf(env, step);
  const other = env.push(target, slot);
  if (left.isScalar && right.isScalar) {
    for (const [state, taken] of [
      [env.state, false],
      [other, true],
    ] as const) {
      refine(state, step, left, right, taken);
      if (source !== undefined && right.id !== 0) spreadToLinked(state, linked, source);
      if (left.id !== 0) spreadToLinked(state, linked, dst);
    }
  }
  if (width === 64 && source !== undefined) liftDoubt(env.state, other, step, left, right);
  const isNullCheck =
    width === 64 &&
    src.kind === 'imm' &&
    src.value === 0 &&
    (op === 'jeq' || op === 'jne') &&
    mayBeNull(left.type);
  if (isNullCheck) {
    settleNull(env.state, dst, op === 'jne');
    settleNull(other, dst, op === 'jeq');
  } else if (!comparePacket(env.state, other, step, left, right) && mayNotLeak(env, left)) {
    refuse('VERIFY_LEAK', 'EACCES', `R${dst} pointer comparison prohibited`, dst);
  }
  env.log.writeChanges(env.state, slot);
  return slot + 1;
}

function checkComparison(env: Environment, dst: number, source: number): void {
  const right = readRegister(env, source);
  if (env.frame.registers[dst]!.isPacketOrEnd && right.isPacketOrEnd) return;
  if (mayNotLeak(env, right))
    refuse('VERIFY_LEAK', 'EACCES', `R${source} pointer comparison prohibited`, source);
}

interface Operands {
  readonly left: Register;
  readonly right: Register;
}

function operandsOf({ frame }: Environment, { dst, src }: Of<'branch'>): Operands {
  const right =
    src.kind === 'reg' ? frame.registers[src.reg]! : Register.constant(src.value >> 31, src.value);
  return { left: frame.registers[dst]!, right };
}

/** What each comparison is with its operands in the other order. */
const FLIPPED: Readonly<Partial<Record<JumpName, JumpName>>> = {
  jgt: 'jlt',
  jlt: 'jgt',
  jge: 'jle',
  jle: 'jge',
};

/** Pointers that surely are not NULL. */
const NEVER_NULL: ReadonlySet<number> = new Set([
  TYPE.SOCKET,
  TYPE.SOCKET_COMMON,
  TYPE.TCP_SOCKET,
  TYPE.MAP_VALUE,
  TYPE.MAP_KEY,
  TYPE.MEMORY,
  TYPE.MAP,
]);

const isConstant = (register: Register, width: number) =>
  register.isScalar && (width === 64 ? register.isConst() : register.maskLo === 0);
const isZero = (register: Register, width: number) =>
  register.valueLo === 0 && (width === 32 || register.valueHi === 0);

/** Whether the jump is taken, where that is known. */
function decide({ op, width }: Of<'branch'>, left: Register, right: Register): boolean | undefined {
  if (left.isScalar && right.isScalar) return branchTaken(op, width, left, right);
  if (width === 64 && left.isPacketOrEnd && right.isPacketOrEnd) return decidePacket(op, left, right);
  const [pointer, number] = isConstant(right, width) ? [left, right] : [right, left];
  if (!isConstant(number, width) || !isZero(number, width)) return undefined;
  if (mayBeNull(pointer.type) || !NEVER_NULL.has(baseType(pointer.type))) return undefined;
  if (op === 'jeq') return false;
  return op === 'jne' ? true : undefined;
}

function decidePacket(op: JumpName, left: Register, right: Register): boolean | undefined {
  let pointer = left;
  let comparison: JumpName | undefined = op;
  if (right.type !== TYPE.PACKET_END) {
    if (left.type !== TYPE.PACKET_END) return undefined;
    pointer = right;
    comparison = FLIPPED[op];
  }
  switch (comparison) {
    case 'jle':
    case 'jgt':
      return pointer.extent === BEYOND_END ? comparison === 'jgt' : undefined;
    case 'jlt':
    case 'jge':
      return pointer.extent === BEYOND_END || pointer.extent === AT_END ? comparison === 'jge' : undefined;
    default:
      return undefined;
  }
}

/** Learn from one arm what the numbers can be on it. */
function refine(
  state: State,
  { op, width, dst, src }: Of<'branch'>,
  left: Register,
  right: Register,
  taken: boolean,
): void {
  const { registers } = state.frame;
  const isItself = src.kind === 'reg' && src.reg === dst;
  const a = left.copy();
  const b = isItself ? a : right.copy();
  refineBranch(op, width, taken, a, b);
  registers[dst] = a;
  if (src.kind === 'reg') registers[src.reg] = b;
}

/** Where a pointer equals one that is not NULL, it is not NULL either. */
function liftDoubt(
  here: State,
  other: State,
  { op, dst, src }: Of<'branch'>,
  left: Register,
  right: Register,
): void {
  if (!left.isPointer || !right.isPointer || src.kind !== 'reg') return;
  if (mayBeNull(left.type) === mayBeNull(right.type)) return;
  const equal = op === 'jeq' ? other : op === 'jne' ? here : undefined;
  if (equal === undefined) return;
  const number = mayBeNull(right.type) ? src.reg : dst;
  const { registers } = equal.frame;
  registers[number] = notNull(registers[number]!);
}

/** A pointer was compared with NULL: so were its copies, and what it was to give back is held or not. */
function settleNull(state: State, number: number, isNull: boolean): void {
  const { id, reference } = state.frame.registers[number]!;
  if (isNull && reference !== 0 && reference === id) releaseById(state, id);
  state.changeAll((register) => {
    if (!mayBeNull(register.type) || register.id !== id) return register;
    if (isNull) return ZERO;
    const known = notNull(register);
    // Only a lock is told from others by the id of the value that it is in.
    if (known.type !== TYPE.MAP_VALUE || known.map?.lockOffset === undefined) known.id = 0;
    return known;
  });
}

const isStart = (register: Register) =>
  register.type === TYPE.PACKET && register.id === 0 && register.off === 0 && register.isZero();

/** Whether `pointer` is compared with what bounds it: the packet with its end, the metadata with the packet's start. */
const isBounded = (pointer: Register, by: Register) =>
  (pointer.type === TYPE.PACKET && by.type === TYPE.PACKET_END) ||
  (pointer.type === TYPE.PACKET_META && isStart(by));

/**
 * A pointer into the packet was compared with the end: on one arm the bytes in front of it are there, on the other it
 * is at the end or beyond.
 * @returns whether it was such a comparison
 */
function comparePacket(
  here: State,
  other: State,
  { op, width, dst, src }: Of<'branch'>,
  left: Register,
  right: Register,
): boolean {
  if (src.kind !== 'reg' || width !== 64) return false;
  let comparison: JumpName | undefined = FLIPPED[op];
  if (comparison === undefined) return false;
  let pointer = right;
  let number = src.reg;
  if (isBounded(left, right)) {
    pointer = left;
    number = dst;
    comparison = op;
  } else if (!isBounded(right, left)) return false;
  const falls = comparison === 'jgt' || comparison === 'jge';
  // pointer < end leaves at least one more byte than pointer <= end.
  const isLess = comparison === 'jlt' || comparison === 'jge';
  widenPacket(falls ? here : other, pointer, isLess);
  markEnd(falls ? other : here, number, !isLess);
  return true;
}

/** The bytes up to a pointer into the packet are there, for all that share its start. */
function widenPacket(state: State, pointer: Register, isLess: boolean): void {
  const { off, umaxNumber, type, id } = pointer;
  if (off < 0 || (off === 0 && isLess)) return;
  if (umaxNumber > LIMITS.packetOffset || umaxNumber + off > LIMITS.packetOffset) return;
  const extent = isLess ? off + 1 : off;
  state.changeAll((register) => {
    if (register.type !== type || register.id !== id || register.extent >= extent) return register;
    const copy = register.copy();
    copy.extent = extent;
    return copy;
  });
}

function markEnd({ frame }: State, number: number, isBeyond: boolean): void {
  const register = frame.registers[number]!;
  if (register.type !== TYPE.PACKET) return;
  const copy = register.copy();
  copy.extent = isBeyond ? BEYOND_END : AT_END;
  frame.registers[number] = copy;
}
