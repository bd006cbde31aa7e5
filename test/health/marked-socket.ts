import { checked, libc } from '../../lb/sys/libc.js';

const AF = { 4: 2, 6: 10 } as const;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_MARK = 36;

/** A TCP socket that does not block and has a mark, as `Tunnel` wants it. */
export function openMarked(family: 4 | 6, mark: number): number {
  const fd = checked('socket', libc().socket(AF[family], SOCK_STREAM_NONBLOCK_CLOEXEC, 0));
  const value = new Uint8Array(Uint32Array.of(mark).buffer);
  checked('setsockopt', libc().setsockopt(fd, SOL_SOCKET, SO_MARK, value, value.length));
  return fd;
}
