import { Backtrack, type Outcome, stepBack } from './backtrack.js';
import type { Environment } from './environment.js';
import { TYPE } from './register.js';
import { type Frame, type HistoryEntry, REGISTER_COUNT, type State } from './state.js';

// Which numbers mattered. A kept state stands for others that differ in numbers, unless one of these decided what
// happened after it: then it is marked precise, back along the path to where it was made (Linux 6.18,
// kernel/bpf/verifier.c, mark_chain_precision and what stands above it).

const FRAME_POINTER = 10;

/** One search at a time. */
const wanted = new Backtrack();

/** The number in a register of the running function decides something: what it came from must be precise. */
export function markPrecise(env: Environment, register: number): void {
  const { state } = env;
  if (!state.frame.registers[register]!.isScalar) return;
  wanted.begin(state.frames.length - 1);
  wanted.setRegister(wanted.frame, register);
  markChain(env, state);
}

/** The same for the number that a stack slot keeps. */
export function markPreciseSlot(env: Environment, frame: number, slot: number): void {
  wanted.begin(env.state.frames.length - 1);
  wanted.setSlot(frame, slot);
  markChain(env, env.state);
}

/**
 * A path ends at a state that `old` stands for: what mattered behind `old` matters behind `now`.
 * @returns whether that was news to a state behind `now`
 */
export function propagatePrecision(env: Environment, old: State, now: State): boolean {
  wanted.begin(now.frames.length - 1);
  for (const frame of old.frames) {
    for (let register = 0; register < FRAME_POINTER; register++) {
      if (frame.isPreciseRegister(register) && frame.registers[register]!.isScalar)
        wanted.setRegister(frame.index, register);
    }
    for (let slot = 0; slot < frame.kinds.length; slot++) {
      if (frame.isPreciseSlot(slot) && frame.spilled(slot)?.isScalar === true)
        wanted.setSlot(frame.index, slot);
    }
  }
  return markChain(env, now);
}

/** @returns whether a kept state has marks that it did not have before */
function markChain(env: Environment, from: State): boolean {
  if (wanted.isEmpty) return false;
  let isNews = false;
  let state = from;
  let { first } = from;
  let last = from.slot;
  let after = -1;
  let isFirstStep = true;
  const isVerbose = env.log.level === 2;
  for (;;) {
    if (isVerbose) {
      const { frame } = wanted;
      env.log.write(`mark_precise: frame${frame}: last_idx ${last} first_idx ${first} subseq_idx ${after} `);
    }
    // Before the first instruction of a global function: its arguments.
    if (last < 0) {
      markArguments(state);
      return isNews;
    }
    const outcome = backThrough(env, state, { first, last, after, isFirstStep });
    isFirstStep = false;
    if (outcome === 'found') return isNews;
    if (outcome === 'lost') {
      markAllPrecise(from);
      return true;
    }
    const { parent } = state;
    if (parent === undefined) break;
    isNews = markState(env, parent) || isNews;
    if (wanted.isEmpty) return isNews;
    after = first;
    // What was walked before the parent was kept stands in the parent.
    ({ first, last } = parent);
    state = parent;
  }
  if (wanted.isEmpty) return isNews;
  markAllPrecise(from);
  return true;
}

interface Stretch {
  readonly first: number;
  readonly last: number;
  readonly after: number;
  readonly isFirstStep: boolean;
}

/** Go back over the instructions since a state was kept. */
function backThrough(
  env: Environment,
  state: State,
  { first, last, after, isFirstStep }: Stretch,
): Outcome | 'found' {
  const { history } = state;
  let left = history.length;
  let slot = last;
  let next = after;
  let skip = isFirstStep;
  for (;;) {
    if (skip) skip = false;
    else {
      const entry: HistoryEntry | undefined = left > 0 ? history[left - 1] : undefined;
      const outcome = stepBack(env, slot, next, entry?.slot === slot ? entry : undefined, wanted);
      if (outcome === 'lost') return outcome;
    }
    if (wanted.isEmpty) return 'found';
    next = slot;
    if (slot === first && (left === 0 || (left === 1 && history[0]!.slot === slot))) return 'on';
    if (left > 0 && history[left - 1]!.slot === slot) {
      slot = history[left - 1]!.previous;
      left -= 1;
    } else slot -= 1;
    if (slot < 0) return 'lost';
  }
}

/** Mark what is wanted in a kept state; what was marked before needs no further search. */
function markState(env: Environment, state: State): boolean {
  let isNews = false;
  for (let index = wanted.frame; index >= 0; index--) {
    const frame = state.frames[index];
    if (frame === undefined) continue;
    wanted.forEachRegister(index, (register) => {
      if (!frame.registers[register]!.isScalar || frame.isPreciseRegister(register))
        wanted.clearRegister(index, register);
      else {
        frame.preciseRegisters |= 1 << register;
        isNews = true;
      }
    });
    wanted.forEachSlot(index, (slot) => {
      if (frame.spilled(slot)?.isScalar !== true || frame.isPreciseSlot(slot)) wanted.clearSlot(index, slot);
      else {
        frame.markPreciseSlot(slot);
        isNews = true;
      }
    });
    if (env.log.level === 2) {
      const prefix = `mark_precise: frame${index}: parent state regs=${wanted.registerText(index)} stack=${wanted.slotText(index)}: `;
      env.log.writeFrame(prefix, state, frame);
    }
  }
  return isNews;
}

function markArguments({ frames }: State): void {
  const frame = frames[0]!;
  wanted.forEachRegister(0, (register) => {
    if (frame.registers[register]!.type === TYPE.SCALAR) frame.preciseRegisters |= 1 << register;
  });
}

/** The search has lost its way: take all numbers on the path for decisive. */
function markAllPrecise(from: State): void {
  for (let state = from.parent; state !== undefined; state = state.parent) {
    for (const frame of state.frames) markFrame(frame);
  }
}

/** All numbers of a frame. */
export function markFrame(frame: Frame): void {
  for (let register = 0; register < REGISTER_COUNT - 1; register++) {
    if (frame.registers[register]!.isScalar) frame.preciseRegisters |= 1 << register;
  }
  for (let slot = 0; slot < frame.kinds.length; slot++) {
    if (frame.spilled(slot)?.isScalar === true) frame.markPreciseSlot(slot);
  }
}
