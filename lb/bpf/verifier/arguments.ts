import type { ArgumentKind, HelperRow } from '../helpers/prototypes.js';
import { MAP_FLAGS } from '../maps/map.js';
import { checkAccess } from './access.js';
import { checkAlignment, checkUnmoved } from './bounds.js';
import { checkHeldDynptr, checkRoomForDynptr, dynptrAt, makeDynptr } from './dynptr.js';
import { DYNPTR_KIND } from './dynptr-slots.js';
import type { Environment } from './environment.js';
import { checkHelperMemory, checkSized, constantString, type Filled } from './helper-memory.js';
import type { VerifierMap } from './input.js';
import { ALWAYS_HAS } from './map-helpers.js';
import { mayNotLeak, readRegister } from './operands.js';
import { markPrecise, markPreciseSlot } from './precision.js';
import { followLock } from './references.js';
import { refuse } from './refusal.js';
import { baseType, MAYBE_NULL, READ_ONLY, RECORD, type Register, TYPE, typeName } from './register.js';
import { NOTHING } from './stack-access.js';
import { byteIndex, isSpill, KIND, kindAt, slotIndex } from './stack-slot.js';

/** What the arguments of one call have told, for those behind them and for the result. */
export interface Call {
  readonly helper: HelperRow;
  map: VerifierMap | undefined;
  /** Key of a lookup in an array, where it is a constant. */
  key: number | undefined;
  /** Reference that an argument holds; 0: none. */
  reference: number;
  /** Register that gives a reference back; 0: none. */
  released: number;
  /** Length of the memory that the call returns. */
  resultBytes: number;
  filled: Filled | undefined;
  /** Function that is called back, by index. */
  callback: number;
  /** Dynptr that an argument is, by id. */
  dynptr: number;
  dynptrReference: number;
}

interface Expected {
  readonly types: readonly number[];
  /** As the kernel's messages list them, what programs here cannot have included. */
  readonly text: string;
  readonly nullable?: true;
}

const MEMORY: Expected = {
  types: [
    TYPE.STACK,
    TYPE.PACKET,
    TYPE.PACKET_META,
    TYPE.MAP_KEY,
    TYPE.MAP_VALUE,
    TYPE.MEMORY,
    TYPE.MEMORY | RECORD,
  ],
  text: 'fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_',
};
const MEMORY_OR_NULL: Expected = { ...MEMORY, nullable: true };
const SCALAR: Expected = { types: [TYPE.SCALAR], text: 'scalar' };
const CONTEXT: Expected = { types: [TYPE.CONTEXT], text: 'ctx' };
const DYNPTR: Expected = { types: [TYPE.STACK, TYPE.DYNPTR], text: 'fp, dynptr_ptr' };
const OWN_SOCKETS_TEXT = 'sock_common, sock, tcp_sock, xdp_sock';
const SOCKETS: Expected = {
  types: [TYPE.SOCKET_COMMON, TYPE.SOCKET, TYPE.TCP_SOCKET, TYPE.XDP_SOCKET],
  text: `${OWN_SOCKETS_TEXT}, ptr_, trusted_ptr_`,
};

/** Registers that fit an argument (Linux 6.18, kernel/bpf/verifier.c, compatible_reg_types). */
const EXPECTED: Readonly<Record<Exclude<ArgumentName, 'anything' | 'unchecked'>, Expected>> = {
  scalar: SCALAR,
  context: CONTEXT,
  'context-or-null': { ...CONTEXT, nullable: true },
  map: { types: [TYPE.MAP], text: 'map_ptr' },
  'map-key': MEMORY,
  'map-value': MEMORY,
  'map-value-write': MEMORY,
  memory: MEMORY,
  'memory-or-null': MEMORY_OR_NULL,
  'memory-write': MEMORY,
  'memory-write-or-null': MEMORY_OR_NULL,
  'memory-update': MEMORY,
  'fixed-memory': MEMORY,
  size: SCALAR,
  'size-or-zero': SCALAR,
  'alloc-size': SCALAR,
  'constant-string': { types: [TYPE.MAP_VALUE], text: 'map_value' },
  function: { types: [TYPE.FUNCTION], text: 'func' },
  'stack-or-null': { types: [TYPE.STACK], text: 'fp', nullable: true },
  'spin-lock': { types: [TYPE.MAP_VALUE], text: 'map_value, ptr_' },
  timer: { types: [TYPE.MAP_VALUE], text: 'map_value' },
  'record-release': { types: [TYPE.MEMORY | RECORD], text: 'ringbuf_mem' },
  dynptr: DYNPTR,
  'dynptr-new-ringbuf': DYNPTR,
  'dynptr-new-local': DYNPTR,
  'dynptr-release-ringbuf': DYNPTR,
  'socket-common': SOCKETS,
  'socket-release': SOCKETS,
  'kernel-object': { types: [], text: 'ptr_, trusted_ptr_, rcu_ptr_' },
};

type ArgumentName = Exclude<ArgumentKind, { readonly kind: string }> | 'fixed-memory';

const RELEASES: ReadonlySet<ArgumentName> = new Set([
  'record-release',
  'socket-release',
  'dynptr-release-ringbuf',
]);

/** Pointers that may be handed on with something added. */
const MAY_BE_MOVED: ReadonlySet<number> = new Set([
  TYPE.SCALAR,
  TYPE.STACK,
  TYPE.PACKET,
  TYPE.PACKET_META,
  TYPE.MAP_KEY,
  TYPE.MAP_VALUE,
  TYPE.MEMORY,
]);

/**
 * Check an argument of a helper call (Linux 6.18, kernel/bpf/verifier.c, check_func_arg).
 * @param index 0 for r1
 * @throws Refusal
 */
export function checkArgument(env: Environment, call: Call, index: number): void {
  const kind = call.helper.args[index]!;
  const number = index + 1;
  if (kind === 'unchecked') return;
  const register = readRegister(env, number);
  if (kind === 'anything') {
    if (mayNotLeak(env, register))
      refuse('VERIFY_LEAK', 'EACCES', `R${number} leaks addr into helper function`, number);
    return;
  }
  if (register.isPacket && call.helper.packetMemory !== true)
    refuse('VERIFY_ARGUMENT', 'EACCES', 'helper access to the packet is not allowed', number);
  const name = typeof kind === 'string' ? kind : kind.kind;
  const { nullable } = EXPECTED[name];
  if (!(nullable === true && register.isNull)) {
    checkType(register, number, name, call.helper.id);
    checkOffset(register, number, name);
  }
  checkReference(env, call, register, number, name);
  checkContent(env, call, register, number, kind);
}

/** sk_fullsock, tcp_sock, get_listener_sock, skc_to_mptcp_sock: the kernel takes no socket of its own types there. */
const OWN_SOCKETS: ReadonlySet<number> = new Set([95, 96, 98, 196]);

function checkType(register: Register, number: number, name: keyof typeof EXPECTED, helper: number): void {
  const { types, nullable } = EXPECTED[name];
  const text = OWN_SOCKETS.has(helper) ? OWN_SOCKETS_TEXT : EXPECTED[name].text;
  let { type } = register;
  if (name === 'memory' || name === 'memory-or-null' || name === 'fixed-memory') type &= ~READ_ONLY;
  if (nullable === true) type &= ~MAYBE_NULL;
  if (types.includes(type)) return;
  refuse('VERIFY_ARGUMENT', 'EACCES', `R${number} type=${typeName(register.type)} expected=${text}`, number);
}

function checkOffset(register: Register, number: number, name: ArgumentName): void {
  if (RELEASES.has(name)) {
    if (name === 'dynptr-release-ringbuf' && register.type === TYPE.STACK) return;
    if (register.off !== 0) {
      refuse(
        'VERIFY_ARGUMENT',
        'EINVAL',
        `R${number} must have zero offset when passed to release func or trusted arg to kfunc`,
        number,
      );
    }
    checkUnmoved(register, number);
    return;
  }
  if (!MAY_BE_MOVED.has(baseType(register.type)) && register.type !== TYPE.DYNPTR)
    checkUnmoved(register, number);
}

function checkReference(
  env: Environment,
  call: Call,
  register: Register,
  number: number,
  name: ArgumentName,
): void {
  if (RELEASES.has(name)) {
    if (name === 'dynptr-release-ringbuf') checkHeldDynptr(env, register, number);
    else if (register.reference === 0 && !register.isNull) {
      refuse(
        'VERIFY_REFERENCE',
        'EINVAL',
        `R${number} must be referenced when passed to release function`,
        number,
      );
    }
    call.released = number;
  }
  if (register.reference !== 0) call.reference = register.reference;
}

function checkContent(
  env: Environment,
  call: Call,
  register: Register,
  number: number,
  kind: Exclude<ArgumentKind, 'anything' | 'unchecked'>,
): void {
  if (typeof kind !== 'string') {
    const isWrite = kind.access !== 'read';
    const isFilled = kind.access === 'write';
    hold(call, checkHelperMemory(env, { number, size: kind.bytes, isWrite, isFilled, zeroAllowed: false }));
    if (kind.aligned === true) checkAlignment(env, register, 0, kind.bytes, true);
    return;
  }
  switch (kind) {
    case 'map':
      call.map = register.map;
      return;
    case 'map-key':
      checkKey(env, call, register, number);
      return;
    case 'map-value':
    case 'map-value-write': {
      const size = call.map!.valueSize;
      // What is in a bloom filter is asked for, not handed out.
      const isWrite = kind === 'map-value-write' && call.map!.type !== 'BLOOM_FILTER';
      hold(call, checkHelperMemory(env, { number, size, isWrite, isFilled: isWrite, zeroAllowed: false }));
      return;
    }
    case 'size':
    case 'size-or-zero': {
      const before = call.helper.args[number - 2];
      const isFilled = before === 'memory-write' || before === 'memory-write-or-null';
      const isWrite = isFilled || before === 'memory-update';
      hold(call, checkSized(env, number, { isWrite, isFilled, zeroAllowed: kind === 'size-or-zero' }));
      return;
    }
    case 'alloc-size':
      if (!register.isConst()) refuse('VERIFY_SIZE', 'EACCES', `R${number} is not a known constant'`, number);
      // As the kernel keeps it: what is too large is never reserved.
      call.resultBytes = register.valueLo >>> 0;
      markPrecise(env, number);
      return;
    case 'constant-string':
      constantString(env, number);
      return;
    case 'function':
      call.callback = register.place;
      return;
    case 'spin-lock':
      followLock(env, register, number, call.helper.name === 'bpf_spin_lock');
      return;
    case 'dynptr-new-local':
    case 'dynptr-new-ringbuf':
      checkNewDynptr(env, register, number, kind);
      return;
    case 'dynptr':
    case 'dynptr-release-ringbuf': {
      const isRelease = kind === 'dynptr-release-ringbuf';
      const dynptr = dynptrAt(env, register, number, isRelease ? DYNPTR_KIND.RING_BUFFER : undefined);
      call.dynptr = dynptr.id;
      call.dynptrReference = dynptr.reference;
      return;
    }
    case 'timer':
      refuse(
        'VERIFY_ARGUMENT',
        'EINVAL',
        `map '${register.map?.name ?? ''}' has to have BTF in order to use bpf_timer`,
        number,
      );
  }
}

function hold(call: Call, filled: Filled | undefined): void {
  if (filled !== undefined) call.filled = filled;
}

function checkNewDynptr(
  env: Environment,
  register: Register,
  number: number,
  kind: 'dynptr-new-local' | 'dynptr-new-ringbuf',
): void {
  checkRoomForDynptr(env, register);
  for (const off of [0, 8]) {
    const access = { base: number, off, bytes: 8, isWrite: true, target: -1, stored: NOTHING } as const;
    checkAccess(env, { ...access, isSigned: false, isAligned: false });
  }
  makeDynptr(env, register, kind === 'dynptr-new-local' ? DYNPTR_KIND.LOCAL : DYNPTR_KIND.RING_BUFFER);
}

function checkKey(env: Environment, call: Call, register: Register, number: number): void {
  const { keySize, type, flags } = call.map!;
  hold(
    call,
    checkHelperMemory(env, { number, size: keySize, isWrite: false, isFilled: false, zeroAllowed: false }),
  );
  // In the place of an inner array there may be a shorter one.
  const isSizeKnown = (flags & MAP_FLAGS.BPF_F_INNER_MAP) === 0;
  if (isSizeKnown && ALWAYS_HAS.has(type)) call.key = constantKey(env, register, keySize);
}

/** The key on the stack, where it is a constant: zeros, or a number that was stored whole. */
function constantKey(env: Environment, register: Register, keySize: number): number | undefined {
  if (register.type !== TYPE.STACK || !register.isConst() || env.isUnprivileged) return undefined;
  const frame = env.state.frames[register.place]!;
  const off = register.off + register.constNumber();
  const slot = slotIndex(off);
  const kinds = frame.kinds[slot]!;
  const first = byteIndex(off);
  const run = (kind: number) => {
    let bytes = 0;
    while (first - bytes >= 0 && kindAt(kinds, first - bytes) === kind) bytes++;
    return bytes;
  };
  if (run(KIND.ZERO) >= keySize) return 0;
  const kept = isSpill(kinds) ? frame.kept[slot] : undefined;
  if (kept?.isScalar !== true || run(KIND.SPILL) !== keySize || !kept.isConst()) return undefined;
  markPreciseSlot(env, register.place, slot);
  return kept.constNumber();
}
