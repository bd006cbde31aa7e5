import { readdirSync } from 'node:fs';
import koffi from 'koffi';
import { CodedError } from '../errors.js';
import { errnoName } from './errno.js';
import { lastErrno, libc } from './libc.js';

export type ThreadsFault =
  | { readonly code: 'THREADS_ARCH'; readonly arch: string }
  | { readonly code: 'THREADS_CALL'; readonly call: string; readonly errno: string };

/** System calls cannot be made in all threads. */
export class ThreadsError extends CodedError<ThreadsFault> {}

/** A system call: its name, and at most five arguments; bytes are given by their address, and what is written there is lost. */
export interface ThreadCall {
  readonly name: 'prctl' | 'capset';
  readonly args: readonly (number | Uint8Array)[];
}

interface Machine {
  /** Numbers of the system calls (asm/unistd.h). */
  readonly numbers: Readonly<Record<ThreadCall['name'] | 'rt_sigaction' | 'tgkill' | 'mprotect', number>>;
  /** A signal handler that makes the calls of a table: number and five arguments each, -1 at the end. */
  readonly code: readonly number[];
  /** Where in it the table's address stands. */
  readonly tableAt: number;
  /** Where in it is what a handler returns to; undefined: the kernel has its own. */
  readonly restorerAt: number | undefined;
}

const MACHINES: Readonly<Record<string, Machine>> = {
  x64: {
    numbers: { prctl: 157, capset: 126, rt_sigaction: 13, tgkill: 234, mprotect: 10 },
    tableAt: 2,
    restorerAt: 0x30,
    // biome-ignore format: an instruction a line
    code: [
      0x49, 0xb9, 0, 0, 0, 0, 0, 0, 0, 0, //    mov r9, table
      0x49, 0x8b, 0x01, //                   1: mov rax, [r9]
      0x48, 0x83, 0xf8, 0xff, //                cmp rax, -1
      0x74, 0x1c, //                            je 2
      0x49, 0x8b, 0x79, 0x08, //                mov rdi, [r9 + 8]
      0x49, 0x8b, 0x71, 0x10, //                mov rsi, [r9 + 16]
      0x49, 0x8b, 0x51, 0x18, //                mov rdx, [r9 + 24]
      0x4d, 0x8b, 0x51, 0x20, //                mov r10, [r9 + 32]
      0x4d, 0x8b, 0x41, 0x28, //                mov r8, [r9 + 40]
      0x0f, 0x05, //                            syscall
      0x49, 0x83, 0xc1, 0x30, //                add r9, 48
      0xeb, 0xdb, //                            jmp 1
      0xc3, //                               2: ret
      0xb8, 0x0f, 0x00, 0x00, 0x00, //          mov eax, 15 (rt_sigreturn)
      0x0f, 0x05, //                            syscall
    ],
  },
  arm64: {
    numbers: { prctl: 167, capset: 91, rt_sigaction: 134, tgkill: 131, mprotect: 226 },
    tableAt: 0x30,
    restorerAt: undefined,
    // biome-ignore format: an instruction a line
    code: [
      0x89, 0x01, 0x00, 0x58, //                ldr x9, table
      0x28, 0x01, 0x40, 0xf9, //             1: ldr x8, [x9]
      0x1f, 0x05, 0x00, 0xb1, //                cmn x8, #1
      0xe0, 0x00, 0x00, 0x54, //                b.eq 2
      0x20, 0x85, 0x40, 0xa9, //                ldp x0, x1, [x9, #8]
      0x22, 0x8d, 0x41, 0xa9, //                ldp x2, x3, [x9, #24]
      0x24, 0x15, 0x40, 0xf9, //                ldr x4, [x9, #40]
      0x01, 0x00, 0x00, 0xd4, //                svc #0
      0x29, 0xc1, 0x00, 0x91, //                add x9, x9, #48
      0xf8, 0xff, 0xff, 0x17, //                b 1
      0xc0, 0x03, 0x5f, 0xd6, //             2: ret
      0x1f, 0x20, 0x03, 0xd5, //                nop
      0, 0, 0, 0, 0, 0, 0, 0, //                table
    ],
  },
};

/**
 * The signal by which the C library makes set*id calls in all threads: no thread can have it blocked (nptl(7)). It is
 * borrowed, and given back.
 */
const SIGNAL = 33;
const SA_RESTORER = 0x04000000n;
const SA_RESTART = 0x10000000n;
const PAGE = 4096;
const CODE_AT = PAGE;
const TABLE_ENTRY_BYTES = 48;
const PROT_READ_WRITE = 3;
const PROT_READ_EXEC = 5;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** Threads of this process, by their ids. */
function threadIds(): number[] {
  return readdirSync('/proc/self/task').map(Number);
}

const isRunning = (tid: number) => threadIds().includes(tid);

/**
 * Have every thread of the process make system calls that change the state of a thread, as the C library does for
 * setuid(2): the kernel keeps credentials for each thread, and a runtime has threads that it does not tell of. What the
 * calls answer is not known; `isDone` looks at their effect. Threads that are started meanwhile are found too.
 * @param isDone whether a thread has made all calls; one that is gone has
 * @param timeoutMs how long threads may take
 * @returns ids of threads that have not made them in time; none: all have
 * @throws ThreadsError; no thread has made a call then
 */
export function inAllThreads(
  calls: readonly ThreadCall[],
  isDone: (tid: number) => boolean,
  timeoutMs: number,
): number[] {
  const machine = MACHINES[process.arch];
  if (machine === undefined) {
    const { arch } = process;
    throw new ThreadsError({ code: 'THREADS_ARCH', arch }, `system calls in all threads: not on ${arch}`);
  }
  const call = (name: keyof Machine['numbers'], ...args: readonly (number | bigint)[]): number => {
    const [a = 0, b = 0, c = 0, d = 0] = args;
    return Number(libc().syscall(machine.numbers[name], a, b, c, d));
  };
  const must = (name: keyof Machine['numbers'], ...args: readonly (number | bigint)[]): void => {
    if (call(name, ...args) >= 0) return;
    const errno = errnoName(lastErrno());
    throw new ThreadsError({ code: 'THREADS_CALL', call: name, errno }, `${name} failed: ${errno}`);
  };
  // Never unmapped: a thread may be about to return from the handler.
  const base = mapPages(2);
  writeTable(base, machine, calls);
  writeHandler(base, machine);
  must('mprotect', base + BigInt(CODE_AT), PAGE, PROT_READ_EXEC);
  const before = new BigUint64Array(4);
  const action = new BigUint64Array(4);
  const { restorerAt } = machine;
  action[0] = base + BigInt(CODE_AT);
  action[1] = SA_RESTART | (restorerAt === undefined ? 0n : SA_RESTORER);
  action[2] = restorerAt === undefined ? 0n : base + BigInt(CODE_AT + restorerAt);
  action[3] = ~0n;
  must('rt_sigaction', SIGNAL, koffi.address(action), koffi.address(before), 8);
  const told = new Set<number>();
  const late = tellUntilDone(
    (tid) => {
      if (!told.has(tid) && call('tgkill', process.pid, tid, SIGNAL) === 0) told.add(tid);
    },
    isDone,
    timeoutMs,
  );
  // While a signal is on its way, the handler has to be ours.
  if (late.length === 0) must('rt_sigaction', SIGNAL, koffi.address(before), 0, 8);
  return late;
}

/** Tell every thread, those that come to be as well, until all have done it. Gives those that have not in time. */
function tellUntilDone(
  tell: (tid: number) => void,
  isDone: (tid: number) => boolean,
  timeoutMs: number,
): number[] {
  const deadline = performance.now() + timeoutMs;
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    const waiting = threadIds().filter((tid) => !isDone(tid) && isRunning(tid));
    if (waiting.length === 0) return [];
    if (performance.now() > deadline) return waiting;
    for (const tid of waiting) tell(tid);
    Atomics.wait(nothing, 0, 0, 1);
  }
}

function mapPages(count: number): bigint {
  const mapped = libc().mmap(0n, count * PAGE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if (BigInt(mapped) !== -1n) return BigInt(mapped);
  const errno = errnoName(lastErrno());
  throw new ThreadsError({ code: 'THREADS_CALL', call: 'mmap', errno }, `mmap failed: ${errno}`);
}

function writeTable(base: bigint, { numbers }: Machine, calls: readonly ThreadCall[]): void {
  const page = koffi.view(base, PAGE);
  const words = new BigInt64Array(page);
  let end = (calls.length + 1) * TABLE_ENTRY_BYTES;
  const place = (bytes: Uint8Array): bigint => {
    const at = end;
    end += (bytes.length + 7) & ~7;
    new Uint8Array(page).set(bytes, at);
    return base + BigInt(at);
  };
  for (const [i, { name, args }] of calls.entries()) {
    const given = args.map((arg) => (typeof arg === 'number' ? BigInt(arg) : place(arg)));
    words.set([BigInt(numbers[name]), ...given], (i * TABLE_ENTRY_BYTES) / 8);
  }
  words[(calls.length * TABLE_ENTRY_BYTES) / 8] = -1n;
}

function writeHandler(base: bigint, { code, tableAt }: Machine): void {
  const bytes = new Uint8Array(koffi.view(base + BigInt(CODE_AT), PAGE));
  bytes.set(code);
  new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(tableAt, base, true);
}
