import { checked, libc } from './libc.js';

/** CPUs that a mask has room for (cpu_set_t). */
const MASK_BYTES = 128;

/**
 * Run something on one CPU: the calling thread is moved there, and may go anywhere it could before afterwards.
 * @throws SysError SYS_CALL, EINVAL for a CPU that it may not run on
 */
export function onCpu<T>(cpu: number, run: () => T): T {
  const { schedGetaffinity, schedSetaffinity } = libc();
  const before = new Uint8Array(MASK_BYTES);
  checked('sched_getaffinity', schedGetaffinity(0, MASK_BYTES, before));
  const only = new Uint8Array(MASK_BYTES);
  only[cpu >> 3] = 1 << (cpu & 7);
  checked('sched_setaffinity', schedSetaffinity(0, MASK_BYTES, only));
  try {
    return run();
  } finally {
    checked('sched_setaffinity', schedSetaffinity(0, MASK_BYTES, before));
  }
}
