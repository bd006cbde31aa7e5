import type { Instruction, Of } from '../isa/instruction.js';
import { CALLS_BACK } from './cfg.js';
import type { Environment } from './environment.js';
import { opcodeText } from './log-step.js';
import { subprogramAt } from './program.js';
import type { HistoryEntry, Linked } from './state.js';

const FRAMES = 8;
const FRAME_POINTER = 10;
/** r1 to r5. */
const ARGUMENTS = 0b11_1110;

/** How a step back went: on with the search, or the way is lost and everything must be taken for precise. */
export type Outcome = 'on' | 'lost';

/** Registers and stack slots whose numbers are looked for, by frame. */
export class Backtrack {
  frame = 0;
  readonly #registers = new Int32Array(FRAMES);
  readonly #slotsLo = new Int32Array(FRAMES);
  readonly #slotsHi = new Int32Array(FRAMES);

  /** Begin a search in a frame: nothing is wanted. */
  begin(frame: number): void {
    this.frame = frame;
    this.#registers.fill(0);
    this.#slotsLo.fill(0);
    this.#slotsHi.fill(0);
  }

  get isEmpty(): boolean {
    let any = 0;
    for (let index = 0; index <= this.frame; index++)
      any |= this.#registers[index]! | this.#slotsLo[index]! | this.#slotsHi[index]!;
    return any === 0;
  }

  /** Registers of the frame that is searched in, as bits. */
  get registers(): number {
    return this.#registers[this.frame]!;
  }

  get hasSlots(): boolean {
    return (this.#slotsLo[this.frame]! | this.#slotsHi[this.frame]!) !== 0;
  }

  hasRegister(frame: number, register: number): boolean {
    return (this.#registers[frame]! & (1 << register)) !== 0;
  }

  setRegister(frame: number, register: number): void {
    this.#registers[frame]! |= 1 << register;
  }

  clearRegister(frame: number, register: number): void {
    this.#registers[frame]! &= ~(1 << register);
  }

  has(register: number): boolean {
    return this.hasRegister(this.frame, register);
  }

  /** The frame pointer is no number. */
  set(register: number): void {
    if (register !== FRAME_POINTER) this.setRegister(this.frame, register);
  }

  clear(register: number): void {
    this.clearRegister(this.frame, register);
  }

  #slots(slot: number): Int32Array {
    return slot < 32 ? this.#slotsLo : this.#slotsHi;
  }

  hasSlot(frame: number, slot: number): boolean {
    return (this.#slots(slot)[frame]! & (1 << (slot & 31))) !== 0;
  }

  setSlot(frame: number, slot: number): void {
    this.#slots(slot)[frame]! |= 1 << (slot & 31);
  }

  clearSlot(frame: number, slot: number): void {
    this.#slots(slot)[frame]! &= ~(1 << (slot & 31));
  }

  forEachRegister(frame: number, visit: (register: number) => void): void {
    const set = this.#registers[frame]!;
    for (let register = 0; set >>> register !== 0; register++) if ((set >>> register) & 1) visit(register);
  }

  forEachSlot(frame: number, visit: (slot: number) => void): void {
    const lo = this.#slotsLo[frame]!;
    const hi = this.#slotsHi[frame]!;
    if ((lo | hi) === 0) return;
    for (let slot = 0; slot < 64; slot++) {
      if (((slot < 32 ? lo : hi) >>> (slot & 31)) & 1) visit(slot);
    }
  }

  /** Go back out of a function, to where it was called. */
  leave(): boolean {
    if (this.frame === 0) return false;
    this.frame -= 1;
    return true;
  }

  /** Go back into a function, from where it returned to. */
  enter(): boolean {
    if (this.frame === FRAMES - 1) return false;
    this.frame += 1;
    return true;
  }

  registerText(frame: number): string {
    const names: string[] = [];
    this.forEachRegister(frame, (register) => names.push(`r${register}`));
    return names.join(',');
  }

  slotText(frame: number): string {
    const places: string[] = [];
    this.forEachSlot(frame, (slot) => places.push(`${-(slot + 1) * 8}`));
    return places.join(',');
  }

  #hasLinked({ isRegister, frame, number }: Linked): boolean {
    return isRegister ? this.hasRegister(frame, number) : this.hasSlot(frame, number);
  }

  /** Registers that learned from each other at a comparison: one is wanted, all are. */
  spread(entry: HistoryEntry | undefined): void {
    const linked = entry?.linked;
    if (linked === undefined || !linked.some((each) => this.#hasLinked(each))) return;
    for (const { isRegister, frame, number } of linked) {
      if (isRegister) this.setRegister(frame, number);
      else this.setSlot(frame, number);
    }
  }
}

/**
 * Go back over an instruction: what is wanted after it becomes what is wanted before it.
 * @param after slot that was walked after it
 * @param entry what was noted of it
 */
export function stepBack(
  env: Environment,
  slot: number,
  after: number,
  entry: HistoryEntry | undefined,
  wanted: Backtrack,
): Outcome {
  const step = env.program.steps[slot];
  if (step === undefined) return 'on';
  if (env.log.level === 2) {
    const { frame } = wanted;
    env.log.write(
      `mark_precise: frame${frame}: regs=${wanted.registerText(frame)} stack=${wanted.slotText(frame)} before ${slot}: ${opcodeText(env, step)}`,
    );
  }
  wanted.spread(entry);
  const outcome = backOver(env, step, after, entry, wanted);
  wanted.spread(entry);
  return outcome;
}

function backOver(
  env: Environment,
  step: Instruction,
  after: number,
  entry: HistoryEntry | undefined,
  wanted: Backtrack,
): Outcome {
  switch (step.kind) {
    case 'alu':
      backOverArithmetic(step, wanted);
      return 'on';
    case 'neg':
    case 'swap':
    case 'jump':
      return 'on';
    case 'movsx':
      if (!wanted.has(step.dst)) return 'on';
      wanted.clear(step.dst);
      wanted.set(step.src);
      return 'on';
    case 'imm64':
      wanted.clear(step.dst);
      return 'on';
    case 'load':
    case 'load-acquire':
      if (wanted.has(step.dst)) backOverLoad(step.dst, entry, wanted);
      return 'on';
    case 'store':
      return backOverStore(step.dst, step.src.kind === 'reg' ? step.src.reg : undefined, entry, wanted);
    case 'store-release':
      return backOverStore(step.dst, step.src, entry, wanted);
    case 'atomic':
      return backOverAtomic(step, entry, wanted);
    case 'packet-load':
      if (!wanted.has(0)) return 'on';
      wanted.clear(0);
      return 'lost';
    case 'branch':
      backOverBranch(step, entry, wanted);
      return 'on';
    case 'call-local':
      return backOverCall(env, step.target, wanted);
    case 'call-helper':
      // Out of a callback, to the call that made it.
      if (CALLS_BACK.has(step.id) && step.slot !== after - 1) {
        if ((wanted.registers & ~ARGUMENTS) !== 0 || wanted.hasSlots) return 'lost';
        for (let register = 1; register <= 5; register++) wanted.clear(register);
        return wanted.leave() ? 'on' : 'lost';
      }
      wanted.clear(0);
      return (wanted.registers & ARGUMENTS) === 0 ? 'on' : 'lost';
    case 'exit':
      return backIntoFunction(env, after, wanted);
  }
}

function backOverArithmetic({ op, dst, src }: Of<'alu'>, wanted: Backtrack): void {
  if (!wanted.has(dst)) return;
  if (op === 'mov') wanted.clear(dst);
  if (src.kind === 'reg') wanted.set(src.reg);
}

/** The number came from the stack, if it was filled from there; else from memory, where nothing is known of it. */
function backOverLoad(register: number, entry: HistoryEntry | undefined, wanted: Backtrack): void {
  wanted.clear(register);
  if (entry !== undefined && entry.stackSlot >= 0) wanted.setSlot(entry.stackFrame, entry.stackSlot);
}

function backOverStore(
  base: number,
  source: number | undefined,
  entry: HistoryEntry | undefined,
  wanted: Backtrack,
): Outcome {
  // The base is wanted as a number: pointers were subtracted.
  if (wanted.has(base)) return 'lost';
  if (entry === undefined || entry.stackSlot < 0) return 'on';
  if (!wanted.hasSlot(entry.stackFrame, entry.stackSlot)) return 'on';
  wanted.clearSlot(entry.stackFrame, entry.stackSlot);
  if (source !== undefined) wanted.set(source);
  return 'on';
}

/** It reads, and then writes a number of which nothing is known. */
function backOverAtomic(step: Of<'atomic'>, entry: HistoryEntry | undefined, wanted: Backtrack): Outcome {
  if (wanted.has(step.dst)) return 'lost';
  if (entry !== undefined && entry.stackSlot >= 0) wanted.clearSlot(entry.stackFrame, entry.stackSlot);
  if (!step.fetch) return 'on';
  const loaded = step.op === 'cmpxchg' ? 0 : step.src;
  if (wanted.has(loaded)) backOverLoad(loaded, entry, wanted);
  return 'on';
}

function backOverBranch(
  { dst, src }: Of<'branch'>,
  entry: HistoryEntry | undefined,
  wanted: Backtrack,
): void {
  if (src.kind !== 'reg') return;
  if (!wanted.has(dst) && !wanted.has(src.reg)) return;
  if (entry?.sourceIsStack !== true) wanted.set(src.reg);
  if (entry?.targetIsStack !== true) wanted.set(dst);
}

function backOverCall({ program }: Environment, target: number, wanted: Backtrack): Outcome {
  const callee = program.subprograms[subprogramAt(program.subprograms, target)]!;
  if (callee.linkage === 'global') {
    if ((wanted.registers & ARGUMENTS) !== 0) return 'lost';
    wanted.clear(0);
    return 'on';
  }
  // At the callee's first instruction: only its arguments can be wanted, which are the caller's.
  if ((wanted.registers & ~ARGUMENTS) !== 0 || wanted.hasSlots) return 'lost';
  const callerFrame = wanted.frame - 1;
  if (callerFrame < 0) return 'lost';
  for (let register = 1; register <= 5; register++) {
    if (!wanted.has(register)) continue;
    wanted.clear(register);
    wanted.setRegister(callerFrame, register);
  }
  return wanted.leave() ? 'on' : 'lost';
}

function backIntoFunction({ program }: Environment, after: number, wanted: Backtrack): Outcome {
  const returnedTo = after >= 0 ? program.steps[after] : undefined;
  if (returnedTo?.kind === 'call-helper' && CALLS_BACK.has(returnedTo.id)) {
    // The helper has set r1 to r5 of the callback.
    for (let register = 1; register <= 5; register++) wanted.clear(register);
  }
  if ((wanted.registers & ARGUMENTS) !== 0) return 'lost';
  const isResult = after > 0 && program.steps[after - 1]?.kind === 'call-local' && wanted.has(0);
  wanted.clear(0);
  if (!wanted.enter()) return 'lost';
  if (isResult) wanted.set(0);
  return 'on';
}
