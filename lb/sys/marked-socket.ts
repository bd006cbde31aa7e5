import { checked, libc } from './libc.js';
import { closeFd } from './syscall.js';

const AF = { 4: 2, 6: 10 } as const;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_MARK = 36;

/**
 * A TCP socket that does not block and whose packets have a mark (SO_MARK, needs CAP_NET_ADMIN), not connected yet.
 * @returns its descriptor, which belongs to the caller
 * @throws SysError
 */
export function openMarked(family: 4 | 6, mark: number): number {
  const fd = checked('socket', libc().socket(AF[family], SOCK_STREAM_NONBLOCK_CLOEXEC, 0));
  try {
    const value = new Uint8Array(Uint32Array.of(mark).buffer);
    checked('setsockopt', libc().setsockopt(fd, SOL_SOCKET, SO_MARK, value, value.length));
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return fd;
}
