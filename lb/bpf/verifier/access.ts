import { allowedAccess, type ContextBytes } from '../context/fields.js';
import type { AccessBytes, Of } from '../isa/instruction.js';
import {
  checkAlignment,
  checkMapRights,
  checkMapValue,
  checkPacket,
  checkRegion,
  checkUnmoved,
} from './bounds.js';
import type { Environment } from './environment.js';
import { checkTarget, mayNotLeak, readRegister, setRegister, setUnknown } from './operands.js';
import { refuse } from './refusal.js';
import { baseType, MAYBE_NULL, mayBeNull, READ_ONLY, Register, TYPE, typeName } from './register.js';
import { signExtend64, truncateScalar } from './scalar-cast.js';
import { checkSocketAccess } from './socket-fields.js';
import { checkStackBounds, NOTHING, readStack, type Stored, storedBy, writeStack } from './stack-access.js';

/** A load or store that an instruction, or a helper in its name, makes. */
export interface Access {
  /** Register that points to the memory. */
  readonly base: number;
  readonly off: number;
  readonly bytes: AccessBytes;
  readonly isWrite: boolean;
  /** Register that takes what is loaded; -1: none. */
  readonly target: number;
  readonly stored: Stored;
  readonly isSigned: boolean;
  /** Must be aligned whatever the memory: atomic operations. */
  readonly isAligned: boolean;
}

const CANNOT_BE_SPREAD: ReadonlySet<number> = new Set([
  TYPE.CONTEXT,
  TYPE.SOCKET,
  TYPE.SOCKET_COMMON,
  TYPE.TCP_SOCKET,
  TYPE.XDP_SOCKET,
]);

/**
 * Check a load or store, and what the load gives (Linux 6.18, kernel/bpf/verifier.c, check_mem_access).
 * @throws Refusal
 */
export function checkAccess(env: Environment, access: Access): void {
  const register = env.frame.registers[access.base]!;
  const { base, bytes, isWrite, target } = access;
  checkAlignment(env, register, access.off, bytes, access.isAligned);
  const off = access.off + register.off;
  env.facts.noteAccess(env.slot, register, off);
  switch (baseType(register.type)) {
    case TYPE.MAP_KEY:
      if (isWrite) refuse('VERIFY_READ_ONLY', 'EACCES', `write to change key R${base} not allowed`, base);
      checkRegion(register, base, off, bytes, register.map!.keySize);
      break;
    case TYPE.MAP_VALUE:
      if (mayBeNull(register.type)) {
        refuseBase(register, base);
        return;
      }
      if (isWrite) checkLeak(env, access, 'map');
      checkMapRights(register.map!, off, bytes, isWrite);
      checkMapValue(register, base, off, bytes);
      if (!isWrite && target >= 0 && setFromConstants(env, register, off, access)) return;
      break;
    case TYPE.MEMORY:
      if (mayBeNull(register.type)) {
        refuseBase(register, base);
        return;
      }
      if (isWrite && (register.type & READ_ONLY) !== 0) {
        refuse('VERIFY_READ_ONLY', 'EACCES', `R${base} cannot write into ${typeName(register.type)}`, base);
        return;
      }
      if (isWrite) checkLeak(env, access, 'mem');
      checkRegion(register, base, off, bytes, register.extent);
      break;
    case TYPE.CONTEXT: {
      accessContext(env, register, off, access);
      return;
    }
    case TYPE.STACK:
      checkStackBounds(env, register, base, off, bytes, isWrite);
      if (isWrite) writeStack(env, register, off, bytes, access.stored);
      else {
        readStack(env, register, base, off, bytes, target);
        narrow(env, access);
      }
      return;
    case TYPE.PACKET:
    case TYPE.PACKET_META:
      if (isWrite) checkLeak(env, access, 'packet');
      checkPacket(register, base, off, bytes);
      break;
    case TYPE.SOCKET:
    case TYPE.SOCKET_COMMON:
    case TYPE.TCP_SOCKET:
    case TYPE.XDP_SOCKET:
      if (mayBeNull(register.type)) {
        refuseBase(register, base);
        return;
      }
      checkSocketAccess(register, base, off, bytes, isWrite);
      break;
    case TYPE.MAP: {
      refuseMapAccess(register, base, off, isWrite);
      return;
    }
    default: {
      refuseBase(register, base);
      return;
    }
  }
  if (isWrite || target < 0) return;
  setUnknown(env, target);
  narrow(env, access);
}

function refuseBase(register: Register, base: number): never {
  const code = mayBeNull(register.type) ? 'VERIFY_NULL' : 'VERIFY_DEREFERENCE';
  return refuse(code, 'EACCES', `R${base} invalid mem access '${typeName(register.type)}'`, base);
}

/** The kernel's own struct, by map type, as far as its messages name it. */
const MAP_STRUCTS: Readonly<Record<string, string>> = {
  ARRAY: 'bpf_array',
  PERCPU_ARRAY: 'bpf_array',
  PROG_ARRAY: 'bpf_array',
  PERF_EVENT_ARRAY: 'bpf_array',
  ARRAY_OF_MAPS: 'bpf_array',
  CGROUP_ARRAY: 'bpf_array',
  HASH: 'bpf_htab',
  PERCPU_HASH: 'bpf_htab',
  LRU_HASH: 'bpf_htab',
  LRU_PERCPU_HASH: 'bpf_htab',
  HASH_OF_MAPS: 'bpf_htab',
  LPM_TRIE: 'lpm_trie',
  DEVMAP: 'bpf_dtab',
  DEVMAP_HASH: 'bpf_dtab',
  CPUMAP: 'bpf_cpu_map',
  XSKMAP: 'xsk_map',
  QUEUE: 'bpf_queue_stack',
  STACK: 'bpf_queue_stack',
  RINGBUF: 'bpf_ringbuf_map',
  BLOOM_FILTER: 'bpf_bloom_filter',
};

/** The kernel lets programs look into its own map; here it is no memory at all. */
function refuseMapAccess(register: Register, base: number, off: number, isWrite: boolean): never {
  const struct = MAP_STRUCTS[register.map?.type ?? ''] ?? 'bpf_map';
  if (off < 0) {
    return refuse(
      'VERIFY_DEREFERENCE',
      'EACCES',
      `R${base} is ${struct} invalid negative access: off=${off}`,
      base,
    );
  }
  const line = isWrite
    ? `only read from ${struct} is supported`
    : `R${base} invalid mem access '${typeName(register.type)}'`;
  return refuse('VERIFY_DEREFERENCE', 'EACCES', line, base);
}

function checkLeak(env: Environment, { stored }: Access, into: string): void {
  if (stored.register < 0 || !mayNotLeak(env, env.frame.registers[stored.register]!)) return;
  refuse('VERIFY_LEAK', 'EACCES', `R${stored.register} leaks addr into ${into}`, stored.register);
}

/** A load of fewer than eight bytes cuts, or extends the sign. */
function narrow(env: Environment, { target, bytes, isSigned }: Access): void {
  if (target < 0 || bytes === 8) return;
  const loaded = env.frame.registers[target]!;
  if (!loaded.isScalar) return;
  const result = loaded.copy();
  if (isSigned) signExtend64(result, bytes === 4 ? 32 : bytes === 2 ? 16 : 8);
  else truncateScalar(result, bytes);
  setRegister(env, target, result);
}

/** A load from a map whose content never changes gives a constant. */
function setFromConstants(
  env: Environment,
  register: Register,
  off: number,
  { bytes, target, isSigned }: Access,
): boolean {
  const { constants } = register.map!;
  if (constants === undefined || !register.isConst()) return false;
  const at = off + register.constNumber();
  if (at + bytes > constants.length) return false;
  const view = new DataView(constants.buffer, constants.byteOffset + at, bytes);
  let lo = 0;
  let hi = 0;
  if (bytes === 1) lo = isSigned ? view.getInt8(0) : view.getUint8(0);
  else if (bytes === 2) lo = isSigned ? view.getInt16(0, true) : view.getUint16(0, true);
  else lo = view.getInt32(0, true);
  if (bytes === 8) hi = view.getInt32(4, true);
  else if (isSigned) hi = lo >> 31;
  setRegister(env, target, Register.constant(hi, lo));
  return true;
}

/** What a load of a field of the context gives. */
const FIELD_TYPES = {
  packet: TYPE.PACKET,
  'packet-end': TYPE.PACKET_END,
  'packet-meta': TYPE.PACKET_META,
  'socket-common-or-null': TYPE.SOCKET_COMMON | MAYBE_NULL,
} as const;

function accessContext(env: Environment, register: Register, off: number, access: Access): void {
  const { base, bytes, isWrite, target, isSigned } = access;
  if (isWrite) checkLeak(env, access, 'ctx');
  checkUnmoved(register, base);
  const { attachType } = env.options;
  const field =
    env.user === undefined
      ? undefined
      : allowedAccess(env.user, {
          offset: off,
          bytes: bytes as ContextBytes,
          write: isWrite,
          signed: isSigned,
          ...(attachType !== undefined && { attachType }),
        });
  if (field === undefined) {
    refuse('VERIFY_CONTEXT', 'EACCES', `invalid bpf_context access off=${off} size=${bytes}`, base);
    return;
  }
  if (isWrite || target < 0) return;
  if (field.value === 'scalar') {
    setUnknown(env, target);
    narrow(env, access);
    return;
  }
  const pointer = Register.pointer(FIELD_TYPES[field.value]);
  if (mayBeNull(pointer.type)) pointer.id = env.newId();
  setRegister(env, target, pointer);
}

/** That an instruction always goes through the same kind of pointer, where the kernel rewrites the access. */
function checkSamePointer(env: Environment, type: number): void {
  const { slot, pointerTypes } = env;
  const before = pointerTypes[slot]!;
  if (before === 0) {
    pointerTypes[slot] = type;
    return;
  }
  if (before === type) return;
  if (CANNOT_BE_SPREAD.has(baseType(before)) || CANNOT_BE_SPREAD.has(baseType(type)))
    refuse('VERIFY_DEREFERENCE', 'EINVAL', 'same insn cannot be used with different pointers');
}

export function followLoad(env: Environment, step: Of<'load'> | Of<'load-acquire'>): void {
  const { src, dst, off, bytes } = step;
  const { type } = readRegister(env, src);
  checkTarget(env, dst);
  const isOrdered = step.kind === 'load-acquire';
  checkAccess(env, {
    base: src,
    off,
    bytes,
    isWrite: false,
    target: dst,
    stored: NOTHING,
    isSigned: step.kind === 'load' && step.signed,
    isAligned: isOrdered,
  });
  checkSamePointer(env, type);
  if (isOrdered) checkAtomicPointer(type, src, 'loads from');
}

export function followStore(env: Environment, step: Of<'store'> | Of<'store-release'>): void {
  const { dst, off, bytes } = step;
  const stored = storedBy(step);
  if (stored.register >= 0) readRegister(env, stored.register);
  const { type } = readRegister(env, dst);
  const isOrdered = step.kind === 'store-release';
  env.wroteSlot = -1;
  checkAccess(env, {
    base: dst,
    off,
    bytes,
    isWrite: true,
    target: -1,
    stored,
    isSigned: false,
    isAligned: isOrdered,
  });
  env.frame.uses.noteWrite(env.slot, env.wroteFrame, env.wroteSlot);
  checkSamePointer(env, type);
  if (isOrdered) checkAtomicPointer(type, dst, 'stores into');
}

function checkAtomicPointer(type: number, number: number, what: string): void {
  // What may be null is refused as such, by the access.
  if (mayBeNull(type)) return;
  const base = baseType(type);
  const isRefused =
    base === TYPE.CONTEXT ||
    base === TYPE.PACKET ||
    base === TYPE.PACKET_META ||
    base === TYPE.SOCKET ||
    base === TYPE.SOCKET_COMMON ||
    base === TYPE.TCP_SOCKET ||
    base === TYPE.XDP_SOCKET;
  if (isRefused)
    refuse(
      'VERIFY_ATOMIC',
      'EACCES',
      `BPF_ATOMIC ${what} R${number} ${typeName(type)} is not allowed`,
      number,
    );
}

export function followAtomic(env: Environment, step: Of<'atomic'>): void {
  const { op, fetch, bytes, dst, src, off } = step;
  const value = readRegister(env, src);
  const { type } = readRegister(env, dst);
  if (op === 'cmpxchg' && mayNotLeak(env, readRegister(env, 0)))
    refuse('VERIFY_LEAK', 'EACCES', 'R0 leaks addr into mem', 0);
  if (mayNotLeak(env, value)) refuse('VERIFY_LEAK', 'EACCES', `R${src} leaks addr into mem`, src);
  checkAtomicPointer(type, dst, 'stores into');
  const target = fetch ? (op === 'cmpxchg' ? 0 : src) : -1;
  if (target >= 0) {
    checkTarget(env, target);
    // Also where it is the pointer, which is then none any more.
    setUnknown(env, target);
  }
  const access = { base: dst, off, bytes, stored: NOTHING, isSigned: false, isAligned: true };
  env.wroteSlot = -1;
  checkAccess(env, { ...access, isWrite: false, target: -1 });
  if (target >= 0) checkAccess(env, { ...access, isWrite: false, target });
  checkAccess(env, { ...access, isWrite: true, target: -1 });
  env.frame.uses.noteWrite(env.slot, 0, -1);
  checkSamePointer(env, type);
}
