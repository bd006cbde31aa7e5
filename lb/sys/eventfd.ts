import { checked, libc } from './libc.js';

const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;

/**
 * Open a descriptor by which one thread wakes another out of poll(2) (eventfd(2)): 8 bytes that are written make it
 * readable, 8 bytes that are read make it unreadable again. Neither waits.
 * @throws SysError SYS_CALL
 */
export function openEventfd(): number {
  return checked('eventfd', libc().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}
