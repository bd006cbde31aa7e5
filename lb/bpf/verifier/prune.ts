import type { Environment } from './environment.js';
import { sameCallSites, statesEqual } from './equal.js';
import type { Visit } from './kept-states.js';
import { markFrame, propagatePrecision } from './precision.js';
import { MARK } from './program.js';
import { Refusal } from './refusal.js';
import { NOT_INIT, sameContent } from './register.js';
import { REGISTER_COUNT, type State } from './state.js';

/** A state is kept where so many jumps and instructions were walked since the last; in a loop, more. */
const KEEP_AFTER = { jumps: 2, instructions: 8 } as const;
const KEEP_AFTER_IN_LOOP = { jumps: 20, instructions: 100 } as const;
const MAX_HISTORY = 40;
const MAX_BACK_EDGE_ROUNDS = 64;
/** A kept state that is compared in vain more often than so many times its hits is let go. */
const MISSES_PER_HIT = 3;
const MISSES_PER_HIT_IN_LOOP = 64;

/**
 * Whether a state that was kept here stands for what is known now, so that the path is at its end; where none does,
 * keep this one from time to time (Linux 6.18, kernel/bpf/verifier.c, is_state_visited).
 * @throws Refusal on a loop that makes no progress
 */
export function isVisited(env: Environment): boolean {
  const { state, slot, program } = env;
  const marks = program.marks[slot]!;
  const isForced =
    env.keepsEveryState || (marks & MARK.CHECKPOINT) !== 0 || state.history.length > MAX_HISTORY;
  const jumps = env.jumps - env.jumpsThen;
  const instructions = env.processed - env.processedThen;
  let adds = isForced || (jumps >= KEEP_AFTER.jumps && instructions >= KEEP_AFTER.instructions);
  const isAgain = jumps < KEEP_AFTER_IN_LOOP.jumps && instructions < KEEP_AFTER_IN_LOOP.instructions;
  const kept = env.kept.at(slot, state.frame);
  for (const old of kept) clean(env, old, state);
  let looked = 0;
  const missed: State[] = [];
  for (const old of kept) {
    looked += 1;
    const isSameChain = sameCallSites(old, state);
    let isLoop = false;
    let isHit = false;
    if (old.branches > 0) {
      if ((marks & MARK.CALLBACK) !== 0) {
        isLoop = true;
        isHit = isSameChain && statesEqual(env, old, state, 'within');
      } else if (isSameChain) checkProgress(env, old, state);
      if (!isHit && !isForced && isAgain) adds = false;
    } else if (isSameChain) {
      isLoop = hasBackEdges(env, old);
      isHit = statesEqual(env, old, state, isLoop ? 'within' : 'covered');
    }
    if (isHit) {
      old.hits += 1;
      if ((marks & MARK.JUMP) !== 0) env.note();
      propagatePrecision(env, old, state);
      if (isLoop) visitOf(env, old)?.backEdges.push({ old, now: state.clone() });
      letGo(env, missed);
      return true;
    }
    if (!adds) continue;
    old.misses += 1;
    const perHit =
      (marks & MARK.CHECKPOINT) !== 0 && old.branches > 0 ? MISSES_PER_HIT_IN_LOOP : MISSES_PER_HIT;
    if (old.misses > old.hits * perHit + perHit) missed.push(old);
  }
  letGo(env, missed);
  env.statesPerSlot = Math.max(env.statesPerSlot, looked);
  if (adds) keep(env);
  return false;
}

function letGo(env: Environment, states: readonly State[]): void {
  for (const state of states) {
    env.kept.remove(state);
    state.isEvicted = true;
    if (state.branches === 0) env.statesNow -= 1;
  }
}

function keep(env: Environment): void {
  const { state, slot } = env;
  env.states += 1;
  env.statesNow += 1;
  env.peakStates = Math.max(env.peakStates, env.statesNow);
  env.jumpsThen = env.jumps;
  env.processedThen = env.processed;
  for (const frame of state.frames) {
    frame.preciseRegisters = 0;
    frame.preciseSlotsLo = 0;
    frame.preciseSlotsHi = 0;
  }
  const kept = state.clone();
  enterLoop(env, kept);
  env.kept.add(kept);
  state.parent = kept;
  state.first = slot;
  state.depth = kept.depth + 1;
  state.history = [];
}

/** The path is at its end: so may be what was kept on the way, with all paths from there. */
export function endPath(env: Environment): void {
  for (let state: State | undefined = env.state; state !== undefined; state = state.parent) {
    state.branches -= 1;
    if (state.branches > 0) return;
    leaveLoop(env, state);
    if (state.isEvicted) env.statesNow -= 1;
  }
}

/** Take out of a state, all paths from which are at their ends, what none of them read. */
function clean(env: Environment, old: State, now: State): void {
  if (old.isCleaned || old.branches > 0 || !sameCallSites(old, now) || hasBackEdges(env, old)) return;
  old.isCleaned = true;
  for (const frame of old.frames) {
    const at = old.slotOfFrame(frame.index);
    const live = env.program.liveRegisters[at]!;
    for (let number = 0; number < REGISTER_COUNT - 1; number++) {
      if ((live & (1 << number)) === 0) frame.registers[number] = NOT_INIT;
    }
    const lo = liveSlots(old, frame.index, 0);
    const hi = liveSlots(old, frame.index, 1);
    for (let slot = 0; slot < frame.kinds.length; slot++) {
      if (frame.kinds[slot] === 0 || ((slot < 32 ? lo : hi) & (1 << (slot & 31))) !== 0) continue;
      frame.kinds[slot] = 0;
      frame.kept[slot] = undefined;
    }
  }
}

/** Slots of a frame that a path from a state reads: in the function that runs, or in those that it returns to. */
function liveSlots(state: State, index: number, part: 0 | 1): number {
  const { frames } = state;
  let live = state.frame.uses.liveAt(state.slot, index, part);
  for (let caller = index; caller + 1 < frames.length; caller++) {
    const { uses } = frames[caller]!;
    const { callSite, callback } = frames[caller + 1]!;
    // A callback returns to its call, which may make another round.
    live |=
      callback === undefined ? uses.liveBehind(callSite, index, part) : uses.liveAt(callSite, index, part);
  }
  return live;
}

/** A state that comes back to itself goes on for ever. */
function checkProgress(env: Environment, old: State, now: State): void {
  if (old.callbackUnroll !== now.callbackUnroll || !looksTheSame(old, now)) return;
  if (!statesEqual(env, old, now, 'same')) return;
  const refusal = new Refusal('VERIFY_LOOP', 'EINVAL', [`infinite loop detected at insn ${env.slot}`]);
  refusal.states = [
    ['cur state:', now],
    ['old state:', old],
  ];
  throw refusal;
}

/** Registers of the running function, dead ones and ids included. */
function looksTheSame(old: State, now: State): boolean {
  const before = old.frame.registers;
  const after = now.frame.registers;
  for (let number = 0; number < REGISTER_COUNT; number++) {
    const a = before[number]!;
    const b = after[number]!;
    if (!sameContent(a, b) || a.id !== b.id || a.reference !== b.reference) return false;
  }
  return true;
}

// A callback's rounds end at a state that stands for the next round while it is itself still explored: what it will
// find to matter must then also be marked on the way to the end of the round. Such ends are kept, by loop, until all
// paths through the loop are followed.

/** The loop that a state is in, by the calls that lead to it: the outermost frame that is in one decides. */
function loopOf({ program }: Environment, state: State): string | undefined {
  let calls = '';
  for (const { index } of state.frames) {
    const at = state.slotOfFrame(index);
    const loop = program.loops[at]!;
    if (loop !== 0) return `${calls}${loop}`;
    calls += `${at} `;
  }
  return undefined;
}

function visitOf(env: Environment, state: State): Visit | undefined {
  const loop = loopOf(env, state);
  return loop === undefined ? undefined : env.kept.visits.get(loop);
}

const hasBackEdges = (env: Environment, state: State) =>
  env.kept.visits.size > 0 && (visitOf(env, state)?.backEdges.length ?? 0) > 0;

function enterLoop(env: Environment, state: State): void {
  const loop = loopOf(env, state);
  if (loop === undefined) return;
  const visit = env.kept.visits.get(loop);
  if (visit === undefined) env.kept.visits.set(loop, { entry: state, backEdges: [] });
  else visit.entry ??= state;
}

function leaveLoop(env: Environment, state: State): void {
  if (env.kept.visits.size === 0) return;
  const visit = visitOf(env, state);
  if (visit?.entry !== state) return;
  visit.entry = undefined;
  for (let round = 0, again = true; again; round++) {
    again = false;
    for (const { old, now } of visit.backEdges) {
      if (round < MAX_BACK_EDGE_ROUNDS) again = propagatePrecision(env, old, now) || again;
      else for (const frame of now.frames) markFrame(frame);
    }
  }
  visit.backEdges = [];
}
