import type { Of } from '../isa/instruction.js';
import { DYNPTR_KIND, FIRST_SLOT } from './dynptr-slots.js';
import { type Environment, LIMITS } from './environment.js';
import { refuse } from './refusal.js';
import { NOT_INIT, Register, TYPE, typeName, UNKNOWN } from './register.js';
import { Frame, type State } from './state.js';

/** What the function that a helper calls back has in r1 to r5, from what the helper was given. */
type Arguments = (caller: Frame, env: Environment) => readonly Register[];

const INDEX_CONTEXT: Arguments = ({ registers }) => [UNKNOWN, registers[3]!];

const KEY_VALUE_CONTEXT: Arguments = ({ registers }) => {
  const map = registers[1]!;
  const key = Register.pointer(TYPE.MAP_KEY);
  const value = Register.pointer(TYPE.MAP_VALUE);
  key.map = map.map;
  value.map = map.map;
  return [map, key, value, registers[3]!];
};

/** A sample that is only there for the length of the call. */
function sampleAndContext({ registers }: Frame, env: Environment): readonly Register[] {
  const sample = Register.pointer(TYPE.DYNPTR);
  sample.id = env.newId();
  sample.place = DYNPTR_KIND.LOCAL | FIRST_SLOT;
  return [sample, registers[3]!];
}

/** A callback goes on with 0 and stops with 1. */
const RESULT = { min: 0, max: 1 } as const;

/** A frame on top of those of a state. @throws Refusal where there are too many */
export function enterFunction(state: State, index: number, callSite: number): Frame {
  const depth = state.frames.length;
  if (depth >= LIMITS.frames)
    refuse('VERIFY_CALL_DEPTH', 'E2BIG', `the call stack of ${depth + 1} frames is too deep`);
  const frame = Frame.entry(depth, callSite, index, state.frame.uses.callee(callSite, index));
  state.frames.push(frame);
  return frame;
}

/**
 * A helper calls a function back, perhaps: follow it later, from a frame of its own. When it returns, the call is
 * come to again, and may make another round.
 */
function callBack(env: Environment, step: Of<'call-helper'>, index: number, give: Arguments): void {
  const caller = env.frame;
  const state = env.push(env.program.subprograms[index]!.start, step.slot);
  const calling = state.frame;
  calling.callbackDepth += 1;
  const frame = enterFunction(state, index, step.slot);
  env.log.touchAll();
  for (const [at, register] of give(caller, env).entries()) frame.registers[at + 1] = register;
  frame.registers[5] = NOT_INIT;
  frame.callback = RESULT;
  state.callbackUnroll += 1;
  caller.callbackDepth = 0;
}

/** bpf_for_each_map_elem(map, function, context, flags) calls function(map, key, value, context). */
export function followForEach(env: Environment, step: Of<'call-helper'>, index: number): void {
  callBack(env, step, index, KEY_VALUE_CONTEXT);
}

/** bpf_user_ringbuf_drain(map, function, context, flags) calls function(dynptr, context). */
export function followDrain(env: Environment, step: Of<'call-helper'>, index: number): void {
  callBack(env, step, index, sampleAndContext);
}

/** bpf_loop(rounds, function, context, flags) calls function(index, context), as often as r1 may say. */
export function followLoop(env: Environment, step: Of<'call-helper'>, index: number): void {
  const { frame } = env;
  const rounds = frame.registers[1]!;
  // The kernel takes the address of anything for a number of 0: what runs here is not to rely on that.
  if (!rounds.isScalar)
    refuse('VERIFY_ARGUMENT', 'EACCES', `R1 type=${typeName(rounds.type)} expected=scalar`, 1);
  if (frame.callbackDepth < rounds.umaxNumber) {
    callBack(env, step, index, INDEX_CONTEXT);
    return;
  }
  frame.callbackDepth = 0;
  if (env.log.level === 2) env.log.write(`frame${frame.index} bpf_loop iteration limit reached`);
}
