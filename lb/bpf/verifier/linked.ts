import type { Environment } from './environment.js';
import { PLUS_32, PLUS_CONSTANT, Register } from './register.js';
import { aluScalar } from './scalar-alu.js';
import { zeroExtend } from './scalar-cast.js';
import { syncBounds } from './scalar-sync.js';
import { isSpill } from './stack-slot.js';
import type { Linked, State } from './state.js';

/** The kernel follows so many links at one comparison; more lose theirs. */
const MAX_LINKED = 6;
const FRAME_POINTER = 10;

const operand = new Register();

/**
 * Registers and stack slots that hold the same number as an operand of a comparison, or one at a constant distance
 * (Linux 6.18, kernel/bpf/verifier.c, collect_linked_regs). What is not read any more is left out.
 */
export function collectLinked(env: Environment, right: Register | undefined, left: Register): Linked[] {
  const found: Linked[] = [];
  if (right?.isScalar === true && right.id !== 0) collect(env, right.root, found);
  if (left.isScalar && left.id !== 0) collect(env, left.root, found);
  return found;
}

function collect({ state, program, slot }: Environment, root: number, found: Linked[]): void {
  const add = (register: Register, linked: Linked): Register => {
    if (!register.isScalar || register.root !== root) return register;
    if (found.length < MAX_LINKED) {
      found.push(linked);
      return register;
    }
    const copy = register.copy();
    copy.id = 0;
    return copy;
  };
  for (let index = state.frames.length - 1; index >= 0; index--) {
    const frame = state.frames[index]!;
    const live = program.liveRegisters[state.frames[index + 1]?.callSite ?? slot]!;
    for (let number = 0; number < FRAME_POINTER; number++) {
      if ((live & (1 << number)) === 0) continue;
      const register = frame.registers[number]!;
      frame.registers[number] = add(register, { frame: index, isRegister: true, number });
    }
    for (let number = 0; number < frame.kinds.length; number++) {
      const register = frame.kept[number];
      if (register === undefined || !isSpill(frame.kinds[number]!)) continue;
      frame.kept[number] = add(register, { frame: index, isRegister: false, number });
    }
  }
}

/** What was learned of a register of the running function holds for those that are linked to it. */
export function spreadToLinked(state: State, linked: readonly Linked[], number: number): void {
  const current = state.frames.length - 1;
  const known = state.frame.registers[number]!;
  for (const each of linked) {
    const frame = state.frames[each.frame]!;
    const register = each.isRegister ? frame.registers[each.number]! : frame.kept[each.number]!;
    if (each.isRegister && each.frame === current && each.number === number) continue;
    if (!register.isScalar || register.root !== known.root) continue;
    const updated = relatedTo(register, known);
    if (each.isRegister) frame.registers[each.number] = updated;
    else frame.kept[each.number] = updated;
  }
}

function relatedTo(register: Register, known: Register): Register {
  const marks = register.id & PLUS_CONSTANT;
  const knownMarks = known.id & PLUS_CONSTANT;
  // A sum that was cut to 32 bits says nothing of one that was not.
  if (marks !== 0 && knownMarks !== 0 && marks !== knownMarks) return register;
  if ((marks | knownMarks) === 0 || register.off === known.off) return known;
  const updated = known.copy();
  updated.off = register.off;
  updated.id = register.id;
  const distance = register.off - known.off;
  operand.setConstHalves(distance < 0 ? -1 : 0, distance | 0);
  aluScalar('add', 64, updated, operand);
  if (((marks | knownMarks) & PLUS_32) !== 0) {
    zeroExtend(updated);
    syncBounds(updated);
  }
  return updated;
}
