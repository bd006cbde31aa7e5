import type { Of } from '../isa/instruction.js';
import { enterFunction } from './callbacks.js';
import type { Environment } from './environment.js';
import { checkGlobalCall } from './global-functions.js';
import { clobber } from './helper-call.js';
import { dropPacketPointers, mayNotLeak, readRegister, setRegister, setUnknown } from './operands.js';
import { markPrecise } from './precision.js';
import { subprogramAt } from './program.js';
import { checkNothingHeld } from './references.js';
import { refuse } from './refusal.js';
import { type Register, TYPE, typeName, ZERO } from './register.js';
import type { CallbackResult } from './state.js';
import { widenNumbers } from './widen.js';

const ARGUMENTS = [1, 2, 3, 4, 5] as const;

/**
 * Follow a call of a function of the program: a static one is walked from here, a global one is proved by itself
 * (Linux 6.18, kernel/bpf/verifier.c, check_func_call).
 * @returns the slot to go on from
 * @throws Refusal
 */
export function followCall(env: Environment, { slot, target }: Of<'call-local'>): number {
  const { program, state, log } = env;
  const index = subprogramAt(program.subprograms, target);
  const callee = program.subprograms[index]!;
  if (callee.linkage === 'global') {
    if (state.locks > 0) {
      refuse(
        'VERIFY_LOCK',
        'EINVAL',
        'global function calls are not allowed while holding a lock,\nuse static function instead',
      );
    }
    checkGlobalCall(env, index);
    log.write(`Func#${index} ('${callee.name}') is global and assumed valid.`);
    if (callee.movesPacket) dropPacketPointers(env);
    callee.isCalled = true;
    clobber(env);
    setUnknown(env, 0);
    return slot + 1;
  }
  const caller = state.frame;
  const frame = enterFunction(state, index, slot);
  log.touchAll();
  for (const number of ARGUMENTS) frame.registers[number] = caller.registers[number]!;
  clobberCaller(env, caller.registers);
  log.write('caller:');
  log.writeFrame('', state, caller);
  log.write('callee:');
  log.writeFrame('', state, frame);
  return callee.start;
}

function clobberCaller(env: Environment, registers: Register[]): void {
  const callee = env.state.frames.pop()!;
  clobber(env);
  env.state.frames.push(callee);
  registers[0] = env.state.frames.at(-2)!.registers[0]!;
}

/**
 * Follow an exit: out of the program, out of a function, or out of a callback, back to the helper's call.
 * @returns the slot to go on from; undefined where the program ends
 * @throws Refusal
 */
export function followExit(env: Environment): number | undefined {
  const { state } = env;
  checkNothingHeld(env, 'BPF_EXIT instruction in main prog', state.frames.length === 1);
  if (state.frames.length > 1) return leaveFunction(env);
  const result = readRegister(env, 0);
  if (mayNotLeak(env, result)) refuse('VERIFY_LEAK', 'EACCES', 'R0 leaks addr as return value', 0);
  if (state.frame.subprogram > 0 && !result.isScalar) {
    refuse(
      'VERIFY_RETURN',
      'EINVAL',
      `At subprogram exit the register R0 is not a scalar value (${typeName(result.type)})`,
      0,
    );
  }
  return undefined;
}

/**
 * A tail call that works does not come back: out of a function, the other program returns to the caller, and may have
 * moved the packet. One that does not work goes on behind the call.
 * @returns the slot to go on from
 */
export function afterTailCall(env: Environment, slot: number): number {
  if (env.state.frames.length === 1) return slot + 1;
  env.push(slot + 1, slot);
  dropPacketPointers(env);
  setUnknown(env, 0);
  return leaveFunction(env);
}

/**
 * LD_ABS and LD_IND leave where the packet is too short: a function returns 0 then.
 * @returns the slot to go on from
 */
export function afterPacketLoad(env: Environment, slot: number): number {
  if (env.state.frames.length === 1) return slot + 1;
  env.push(slot + 1, slot);
  setRegister(env, 0, ZERO);
  return leaveFunction(env);
}

/** Linux 6.18, kernel/bpf/verifier.c, prepare_func_exit. */
function leaveFunction(env: Environment): number {
  const { state, log } = env;
  const callee = state.frame;
  const caller = state.frames[callee.index - 1]!;
  const result = callee.registers[0]!;
  if (result.type === TYPE.STACK)
    refuse('VERIFY_RETURN', 'EINVAL', 'cannot return stack pointer to the caller', 0);
  if (callee.callback === undefined) caller.registers[0] = result;
  else {
    if (!result.isScalar) refuse('VERIFY_RETURN', 'EACCES', 'R0 not a scalar value', 0);
    markPrecise(env, 0);
    checkCallbackResult(result, callee.callback);
  }
  const next = callee.callback === undefined ? callee.callSite + 1 : callee.callSite;
  log.write('returning from callee:');
  log.writeFrame('', state, callee);
  log.write(`to caller at ${next}:`);
  log.writeFrame('', state, caller);
  state.frames.pop();
  if (callee.callback !== undefined) widenNumbers(env, next);
  return next;
}

const SIGNED_MIN = -(2n ** 63n);
const SIGNED_MAX = 2n ** 63n - 1n;

function checkCallbackResult(result: Register, { min, max }: CallbackResult): void {
  const { smin, smax } = result;
  if (smin >= BigInt(min) && smax <= BigInt(max)) return;
  const isUnknown = smin === SIGNED_MIN && smax === SIGNED_MAX;
  const known = `${smin > SIGNED_MIN ? ` smin=${smin}` : ''}${smax < SIGNED_MAX ? ` smax=${smax}` : ''}`;
  refuse(
    'VERIFY_CALLBACK',
    'EINVAL',
    `At callback return the register R0 has${isUnknown ? ' unknown scalar value' : known} should have been in [${min}, ${max}]`,
    0,
  );
}
