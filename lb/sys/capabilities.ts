import { readFileSync } from 'node:fs';
import { CodedError } from '../errors.js';
import { inAllThreads, type ThreadCall } from './all-threads.js';

/** Names of capabilities, in the order of their numbers (uapi/linux/capability.h). */
export const CAPABILITIES = [
  ...['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_KILL'],
  ...['CAP_SETGID', 'CAP_SETUID', 'CAP_SETPCAP', 'CAP_LINUX_IMMUTABLE', 'CAP_NET_BIND_SERVICE'],
  ...['CAP_NET_BROADCAST', 'CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_IPC_LOCK', 'CAP_IPC_OWNER'],
  ...['CAP_SYS_MODULE', 'CAP_SYS_RAWIO', 'CAP_SYS_CHROOT', 'CAP_SYS_PTRACE', 'CAP_SYS_PACCT'],
  ...['CAP_SYS_ADMIN', 'CAP_SYS_BOOT', 'CAP_SYS_NICE', 'CAP_SYS_RESOURCE', 'CAP_SYS_TIME'],
  ...['CAP_SYS_TTY_CONFIG', 'CAP_MKNOD', 'CAP_LEASE', 'CAP_AUDIT_WRITE', 'CAP_AUDIT_CONTROL'],
  ...['CAP_SETFCAP', 'CAP_MAC_OVERRIDE', 'CAP_MAC_ADMIN', 'CAP_SYSLOG', 'CAP_WAKE_ALARM'],
  ...['CAP_BLOCK_SUSPEND', 'CAP_AUDIT_READ', 'CAP_PERFMON', 'CAP_BPF', 'CAP_CHECKPOINT_RESTORE'],
] as const;
export type Capability = (typeof CAPABILITIES)[number];

export type CapabilitiesFault = {
  readonly code: 'CAPABILITIES_THREADS';
  /** Threads that still have what they should have lost. */
  readonly threads: readonly number[];
};

/** Capabilities could not be given up everywhere: the process should not go on. */
export class CapabilitiesError extends CodedError<CapabilitiesFault> {}

/** Capabilities of a thread, as bits (proc_pid_status(5)). */
interface ThreadSets {
  readonly inheritable: bigint;
  readonly permitted: bigint;
  readonly effective: bigint;
  readonly bounding: bigint;
  readonly noNewPrivileges: boolean;
}

/** What was given up, and what is left, in the order of their numbers. */
export interface CapabilityDrop {
  readonly dropped: readonly Capability[];
  readonly kept: readonly Capability[];
  /** Those asked for that the process has not had. */
  readonly missing: readonly Capability[];
}

const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
/** _LINUX_CAPABILITY_VERSION_3 (uapi/linux/capability.h). */
const CAPABILITY_VERSION = 0x20080522;
/** Threads are asleep, or in a system call that a signal ends. */
const TIMEOUT_MS = 5_000;

const bitOf = (capability: Capability) => 1n << BigInt(CAPABILITIES.indexOf(capability));
const namesOf = (bits: bigint) => CAPABILITIES.filter((capability) => (bits & bitOf(capability)) !== 0n);
/** Numbers of the bits, those included that are newer than the names. */
const numbersOf = (bits: bigint) =>
  Array.from({ length: 64 }, (_, number) => number).filter(
    (number) => ((bits >> BigInt(number)) & 1n) === 1n,
  );

/** undefined: the thread is gone. */
function setsOf(tid: number | 'self'): ThreadSets | undefined {
  let text: string;
  try {
    text = readFileSync(
      tid === 'self' ? '/proc/thread-self/status' : `/proc/self/task/${tid}/status`,
      'latin1',
    );
  } catch {
    return undefined;
  }
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\w+)$`, 'm').exec(text)?.[1] ?? '0';
  const bits = (name: string) => BigInt(`0x${field(name)}`);
  return {
    inheritable: bits('CapInh'),
    permitted: bits('CapPrm'),
    effective: bits('CapEff'),
    bounding: bits('CapBnd'),
    noNewPrivileges: field('NoNewPrivs') === '1',
  };
}

/** Capabilities that the calling thread can use. */
export function effectiveCapabilities(): readonly Capability[] {
  return namesOf(setsOf('self')?.effective ?? 0n);
}

/**
 * Give up all capabilities but some, in every thread of the process, for good: they leave the bounding set too, and
 * no program that is started from now on gets any back (no_new_privs). Threads that are started later have no more than
 * the one that starts them. A process that keeps the user id 0 has no power over files of other users after it.
 * @throws ThreadsError: nothing is changed; CapabilitiesError: something is, and not everywhere
 */
export function dropCapabilities(keep: readonly Capability[]): CapabilityDrop {
  const before = setsOf('self');
  if (before === undefined) throw new Error('a thread cannot read its own status');
  const wanted = keep.reduce((bits, capability) => bits | bitOf(capability), 0n);
  const kept = before.permitted & wanted;
  const header = new Uint8Array(8);
  new DataView(header.buffer).setUint32(0, CAPABILITY_VERSION, true);
  const data = capabilityData(kept, before.inheritable & kept);
  const canBound = (before.effective & bitOf('CAP_SETPCAP')) !== 0n;
  const toBound = canBound ? before.bounding & ~wanted : 0n;
  const calls: ThreadCall[] = [
    ...numbersOf(toBound).map((number): ThreadCall => ({ name: 'prctl', args: [PR_CAPBSET_DROP, number] })),
    { name: 'prctl', args: [PR_SET_NO_NEW_PRIVS, 1] },
    // The last: who has lost capabilities has made all calls.
    { name: 'capset', args: [header, data] },
  ];
  const late = inAllThreads(
    calls,
    (tid) => {
      const sets = setsOf(tid);
      if (sets === undefined) return true;
      const { bounding, effective, inheritable, permitted, noNewPrivileges } = sets;
      const held = effective | permitted | inheritable | (canBound ? bounding & ~wanted : 0n);
      return noNewPrivileges && (held & ~kept) === 0n;
    },
    TIMEOUT_MS,
  );
  if (late.length > 0) {
    throw new CapabilitiesError(
      { code: 'CAPABILITIES_THREADS', threads: late },
      `threads ${late.join(', ')} still have capabilities that they should have lost`,
    );
  }
  return {
    dropped: namesOf(before.permitted & ~kept),
    kept: namesOf(kept),
    missing: namesOf(wanted & ~kept),
  };
}

/** Two records of effective, permitted and inheritable bits: for capabilities from 0 on, and from 32 on. */
function capabilityData(kept: bigint, inheritable: bigint): Uint8Array {
  const data = new Uint32Array(6);
  for (const half of [0, 1]) {
    const part = (bits: bigint) => Number((bits >> BigInt(32 * half)) & 0xffff_ffffn);
    data.set([part(kept), part(kept), part(inheritable)], 3 * half);
  }
  return new Uint8Array(data.buffer);
}
