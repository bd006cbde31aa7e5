import koffi from 'koffi';
import { lastErrno, libc } from './libc.js';

/** Numbers of the bare system calls that have no function in libc (asm/unistd.h). */
const NUMBERS = {
  x64: { bpf: 321 },
  arm64: { bpf: 280 },
} as const;
export type SyscallName = keyof (typeof NUMBERS)['x64'];

/** Outcome of a call: its result, or -1 and errno. */
export interface SyscallResult {
  readonly result: number;
  readonly errno: number;
}

/**
 * A system call of the shape (int, buffer, length), as bpf(2) is; the kernel may write to the buffer.
 * @returns result -1 with errno ENOSYS on an architecture or a system that has no such call
 */
export function syscall(name: SyscallName, a: number, buffer: Uint8Array): SyscallResult {
  const numbers = process.platform === 'linux' ? NUMBERS[process.arch as keyof typeof NUMBERS] : undefined;
  if (numbers === undefined) return { result: -1, errno: koffi.os.errno.ENOSYS ?? 38 };
  const result = libc().syscallOnBuffer(numbers[name], a, buffer, buffer.length);
  return { result, errno: result < 0 ? lastErrno() : 0 };
}

/** Close a file descriptor; a fault is of no use to anybody here. */
export function closeFd(fd: number): void {
  libc().close(fd);
}

/** Address of a buffer's first byte. The buffer must be kept alive, and its memory not be resized, while it is used. */
export function addressOf(buffer: Uint8Array): bigint {
  return buffer.length === 0 ? 0n : koffi.address(buffer);
}
