import type { ResultKind } from '../helpers/prototypes.js';
import { helperById } from '../helpers/prototypes.js';
import { FOR_EACH_MAP_ELEM, LOOP, TAIL_CALL, USER_RINGBUF_DRAIN } from '../isa/builtins.js';
import type { Of } from '../isa/instruction.js';
import { type Call, checkArgument } from './arguments.js';
import { followDrain, followForEach, followLoop } from './callbacks.js';
import { releaseDynptr } from './dynptr.js';
import type { Environment } from './environment.js';
import { checkFormat } from './format-string.js';
import { fill } from './helper-memory.js';
import { ALWAYS_HAS, CAN_BE_WALKED, checkMapAndHelper, checkMapChange } from './map-helpers.js';
import { dropPacketPointers, setRegister } from './operands.js';
import { markPrecise } from './precision.js';
import { acquire, checkNothingHeld, release } from './references.js';
import { refuse } from './refusal.js';
import { MAYBE_NULL, mayBeNull, NOT_INIT, RECORD, Register, TYPE, typeName } from './register.js';
import { syncBounds } from './scalar-sync.js';
import { helperText } from './step-text.js';

const MAP_LOOKUP = 1;
const PROCESSOR = 8;
const UNLOCK = 94;
const SNPRINTF = 165;
const DYNPTR_FROM_MEM = 197;
const DYNPTR_DATA = 203;
const RESERVE = 131;
/** sk_lookup_tcp, sk_lookup_udp, skc_lookup_tcp: what they find must be given back. */
const FIND_SOCKETS: ReadonlySet<number> = new Set([84, 85, 99]);
/** sk_fullsock, tcp_sock and their like: the same socket under another type. */
const CAST_SOCKETS: ReadonlySet<number> = new Set([95, 96, 136, 137, 138, 139, 140, 178]);

/** copy_from_user and copy_from_user_task: programs over packets do not sleep. */
const SLEEPS: ReadonlySet<number> = new Set([148, 191]);

const LAST_ARGUMENT = 5;

/** What a call leaves: r1 to r5 are gone. */
export function clobber(env: Environment): void {
  for (let number = 0; number <= LAST_ARGUMENT; number++) {
    env.frame.registers[number] = NOT_INIT;
    env.log.touch(number);
  }
}

/**
 * Follow a call of a helper (Linux 6.18, kernel/bpf/verifier.c, check_helper_call).
 * @throws Refusal
 */
export function followHelper(env: Environment, step: Of<'call-helper'>): void {
  const { id } = step;
  if (env.state.locks > 0 && id !== UNLOCK)
    refuse('VERIFY_LOCK', 'EINVAL', 'function calls are not allowed while holding a lock');
  const helper = helperById(id);
  if (helper === undefined) {
    const line =
      id === 0 ? 'program of this type cannot use helper bpf_unspec#0' : `invalid func ${helperText(id)}`;
    refuse('VERIFY_HELPER', 'EINVAL', line);
    return;
  }
  if (env.user === undefined || !helper.users.includes(env.user))
    refuse('VERIFY_HELPER', 'EINVAL', `program of this type cannot use helper ${helperText(id)}`);
  if (helper.gplOnly === true && env.options.gpl === false) {
    refuse('VERIFY_LICENCE', 'EINVAL', 'cannot call GPL-restricted function from non-GPL compatible program');
  }
  if (SLEEPS.has(id)) refuse('VERIFY_HELPER', 'EINVAL', 'helper call might sleep in a non-sleepable prog');
  const call: Call = {
    helper,
    map: undefined,
    key: undefined,
    reference: 0,
    released: 0,
    resultBytes: 0,
    filled: undefined,
    callback: -1,
    dynptr: 0,
    dynptrReference: 0,
  };
  for (let index = 0; index < helper.args.length; index++) checkArgument(env, call, index);
  if (call.map !== undefined) {
    checkMapChange(call.map, id);
    const index = env.maps.indexOf(call.map);
    env.facts.noteCall(env.slot, index < 0 ? undefined : index, call.key);
  }
  if (id === TAIL_CALL) followTailCall(env, call);
  if (call.filled !== undefined) fill(env, call.filled);
  if (call.released !== 0) giveBack(env, call, id);
  followSpecial(env, step, call);
  clobber(env);
  setRegister(env, 0, resultOf(env, call));
  if (call.map !== undefined) checkMapAndHelper(call.map, id);
  if (helper.movesPacket === true) dropPacketPointers(env);
}

const TAIL_CALL_INDEX = 3;

/** A known index lets the kernel jump straight to the program: paths with others are no more the same. */
function followTailCall(env: Environment, { map }: Call): void {
  const index = env.frame.registers[TAIL_CALL_INDEX]!;
  if (map?.type !== 'PROG_ARRAY') {
    refuse('VERIFY_TAIL_CALL', 'EINVAL', 'expected prog array map for tail call');
    return;
  }
  if (!index.isScalar || !index.isConst()) return;
  if (index.uminNumber < map.maxEntries) markPrecise(env, TAIL_CALL_INDEX);
}

function giveBack(env: Environment, { released, reference }: Call, id: number): void {
  const register = env.frame.registers[released]!;
  const isDone =
    register.type === TYPE.STACK
      ? releaseDynptr(env, register)
      : reference === 0
        ? register.isNull
        : release(env, reference);
  if (!isDone) {
    refuse(
      'VERIFY_REFERENCE',
      'EINVAL',
      `func ${helperText(id)} reference has not been acquired before`,
      released,
    );
  }
}

function followSpecial(env: Environment, step: Of<'call-helper'>, call: Call): void {
  const first = env.frame.registers[1]!;
  switch (step.id) {
    case TAIL_CALL:
      checkNothingHeld(env, 'tail_call', true);
      return;
    case FOR_EACH_MAP_ELEM:
      if (call.map !== undefined && !CAN_BE_WALKED.has(call.map.type))
        refuse('VERIFY_MAP_TYPE', 'ENOTSUPP', 'callback function not allowed for map', 1);
      followForEach(env, step, call.callback);
      return;
    case USER_RINGBUF_DRAIN:
      followDrain(env, step, call.callback);
      return;
    case LOOP:
      markPrecise(env, 1);
      followLoop(env, step, call.callback);
      return;
    case SNPRINTF:
      checkFormat(env);
      return;
    case DYNPTR_FROM_MEM:
      if (first.type === TYPE.MAP_VALUE) return;
      refuse(
        'VERIFY_DYNPTR',
        'EACCES',
        `Unsupported reg type ${typeName(first.type)} for bpf_dynptr_from_mem data`,
        1,
      );
  }
}

/** What a pointer that a helper returns points to. */
const RESULT_TYPES: Readonly<Record<Exclude<ResultKind, 'integer' | 'void' | 'kernel-object'>, number>> = {
  'map-value-or-null': TYPE.MAP_VALUE | MAYBE_NULL,
  'record-or-null': TYPE.MEMORY | RECORD | MAYBE_NULL,
  'dynptr-memory-or-null': TYPE.MEMORY | MAYBE_NULL,
  'socket-or-null': TYPE.SOCKET | MAYBE_NULL,
  'socket-common-or-null': TYPE.SOCKET_COMMON | MAYBE_NULL,
  'tcp-socket-or-null': TYPE.TCP_SOCKET | MAYBE_NULL,
};

function resultOf(env: Environment, call: Call): Register {
  const { helper, map } = call;
  switch (helper.result) {
    case 'void':
      return NOT_INIT;
    case 'integer':
    case 'kernel-object':
      return numberOf(env, helper.id);
  }
  const pointer = Register.pointer(RESULT_TYPES[helper.result]);
  if (helper.result === 'map-value-or-null') {
    pointer.map = map;
    if (isSurelyThere(call)) {
      pointer.type &= ~MAYBE_NULL;
      if (map?.lockOffset !== undefined) pointer.id = env.newId();
    }
  } else pointer.extent = call.resultBytes;
  if (mayBeNull(pointer.type)) pointer.id = env.newId();
  if (helper.id === DYNPTR_DATA) {
    pointer.place = call.dynptr;
    pointer.reference = call.dynptrReference;
  } else if (CAST_SOCKETS.has(helper.id)) pointer.reference = call.reference;
  else if (helper.id === RESERVE || FIND_SOCKETS.has(helper.id)) {
    pointer.id = acquire(env);
    pointer.reference = pointer.id;
  }
  return pointer;
}

/** An array has a value for each index below its length. */
const isSurelyThere = ({ helper, map, key }: Call) =>
  helper.id === MAP_LOOKUP &&
  map !== undefined &&
  ALWAYS_HAS.has(map.type) &&
  key !== undefined &&
  key >= 0 &&
  key < map.maxEntries;

function numberOf({ options }: Environment, id: number): Register {
  const number = Register.unknown();
  if (id === PROCESSOR && options.cpus !== undefined) {
    number.raiseUmin(0, 0);
    number.lowerUmax(0, options.cpus - 1);
    number.boundSigned(0, options.cpus - 1);
    number.raiseU32Min(0);
    number.lowerU32Max(options.cpus - 1);
    syncBounds(number);
  }
  return number;
}
