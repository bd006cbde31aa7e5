import koffi from 'koffi';
import { CodedError } from '../errors.js';
import { errnoName } from './errno.js';

export type SysFault = { readonly code: 'SYS_CALL'; readonly call: string; readonly errno: string };

/** A system call failed. */
export class SysError extends CodedError<SysFault> {}

/**
 * Functions of libc that work on addresses or plain numbers. Addresses are bigints made once, of memory that is
 * never freed while it is in use (the arena): a call allocates nothing.
 */
interface Libc {
  readonly poll: (pollfds: bigint, count: number, timeoutMs: number) => number;
  readonly sendmmsg: (fd: number, messages: bigint, count: number, flags: number) => number;
  /** read(2) and write(2) at an address. */
  readonly readAt: (fd: number, address: bigint, bytes: number) => number;
  readonly writeAt: (fd: number, address: bigint, bytes: number) => number;
  readonly eventfd: (count: number, flags: number) => number;
  readonly clockGettime: (clock: number, timespec: bigint) => number;
  readonly schedGetcpu: () => number;
  readonly mmap: (
    address: bigint,
    bytes: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number,
  ) => number | bigint;
  readonly munmap: (address: bigint, bytes: number) => number;
  readonly madvise: (address: bigint, bytes: number, advice: number) => number;
  readonly flock: (fd: number, operation: number) => number;
  readonly socket: (family: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: Uint8Array, bytes: number) => number;
  readonly setsockopt: (
    fd: number,
    level: number,
    option: number,
    value: Uint8Array,
    bytes: number,
  ) => number;
  readonly getsockopt: (
    fd: number,
    level: number,
    option: number,
    value: Uint8Array,
    bytes: Uint8Array,
  ) => number;
  readonly ioctl: (fd: number, request: number, argument: Uint8Array) => number;
  readonly send: (fd: number, bytes: Uint8Array, length: number, flags: number) => number;
  readonly recv: (fd: number, bytes: Uint8Array, length: number, flags: number) => number;
  /** send(2) and recv(2) of nothing: calls an AF_XDP socket's sending or receiving side. */
  readonly kickSend: (fd: number, none: bigint, bytes: number, flags: number) => number;
  readonly kickReceive: (fd: number, none: bigint, bytes: number, flags: number) => number;
  readonly close: (fd: number) => number;
  /** syscall(2) of four whole numbers or addresses at most. */
  readonly syscall: (
    number: number,
    a: number | bigint,
    b: number | bigint,
    c: number | bigint,
    d: number | bigint,
  ) => number | bigint;
  /** syscall(2) of the shape (int, buffer, length); the kernel may write to the buffer. */
  readonly syscallOnBuffer: (number: number, a: number, buffer: Uint8Array, bytes: number) => number;
  /** syscall(2) of perf_event_open(2). */
  readonly perfEventOpen: (
    number: number,
    attr: Uint8Array,
    pid: number,
    cpu: number,
    group: number,
    flags: number,
  ) => number;
}

/**
 * A function of libc by its prototype in C (koffi's notation), as the type that the caller knows it to have: the one place
 * where the two meet.
 */
export function fromLibc<T>(prototype: string): T {
  return koffi.load(null).func(prototype) as unknown as T;
}

let loaded: Libc | undefined;

/** libc's functions, bound at the first call: importing this module asks nothing of the system. */
export function libc(): Libc {
  if (loaded === undefined) {
    loaded = {
      poll: fromLibc('int poll(uintptr_t fds, ulong count, int timeout)'),
      sendmmsg: fromLibc('int sendmmsg(int fd, uintptr_t messages, uint count, int flags)'),
      readAt: fromLibc('long read(int fd, uintptr_t address, size_t bytes)'),
      writeAt: fromLibc('long write(int fd, uintptr_t address, size_t bytes)'),
      eventfd: fromLibc('int eventfd(uint count, int flags)'),
      clockGettime: fromLibc('int clock_gettime(int clock, uintptr_t timespec)'),
      schedGetcpu: fromLibc('int sched_getcpu()'),
      mmap: fromLibc(
        'intptr_t mmap(uintptr_t address, size_t bytes, int protection, int flags, int fd, int64 offset)',
      ),
      munmap: fromLibc('int munmap(uintptr_t address, size_t bytes)'),
      flock: fromLibc('int flock(int fd, int operation)'),
      madvise: fromLibc('int madvise(uintptr_t address, size_t bytes, int advice)'),
      socket: fromLibc('int socket(int family, int type, int protocol)'),
      bind: fromLibc('int bind(int fd, _In_ void *address, uint bytes)'),
      setsockopt: fromLibc('int setsockopt(int fd, int level, int option, _In_ void *value, uint bytes)'),
      getsockopt: fromLibc(
        'int getsockopt(int fd, int level, int option, _Out_ void *value, _Inout_ void *bytes)',
      ),
      ioctl: fromLibc('int ioctl(int fd, ulong request, _Inout_ void *argument)'),
      send: fromLibc('long send(int fd, _In_ void *bytes, size_t length, int flags)'),
      recv: fromLibc('long recv(int fd, _Out_ void *bytes, size_t length, int flags)'),
      kickSend: fromLibc('long send(int fd, uintptr_t none, size_t bytes, int flags)'),
      kickReceive: fromLibc('long recv(int fd, uintptr_t none, size_t bytes, int flags)'),
      close: fromLibc('int close(int fd)'),
      // Integer arguments only: a variadic function takes them in the same registers.
      syscall: fromLibc('long syscall(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)'),
      syscallOnBuffer: fromLibc('long syscall(long number, int a, _Inout_ void *b, uint c)'),
      perfEventOpen: fromLibc(
        'long syscall(long number, _In_ void *attr, int pid, int cpu, int group, ulong flags)',
      ),
    };
  }
  return loaded;
}

/** errno of the call just made. */
export function lastErrno(): number {
  return koffi.errno();
}

/** Result of a call, or SysError where it is negative. */
export function checked(call: string, result: number): number {
  if (result >= 0) return result;
  const errno = errnoName(lastErrno());
  throw new SysError({ code: 'SYS_CALL', call, errno }, `${call} failed: ${errno}`);
}

export const CLOCK_MONOTONIC = 1;
export const CLOCK_BOOTTIME = 7;
export const CLOCK_TAI = 11;
export const EINTR = 4;
export const EAGAIN = 11;
export const EBUSY = 16;
export const EMSGSIZE = 90;
export const ENOBUFS = 105;
export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
export const MSG_DONTWAIT = 0x40;
