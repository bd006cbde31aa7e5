import { fromLibc } from '../../lb/sys/libc.js';

/** Bytes of a set of CPUs, as glibc has it (cpu_set_t): a bit each. */
const CPU_SET_BYTES = 128;

type Affinity = (thread: number, bytes: number, set: Uint8Array) => number;
const get = fromLibc<Affinity>('int sched_getaffinity(int thread, size_t bytes, _Out_ void *set)');
const set = fromLibc<Affinity>('int sched_setaffinity(int thread, size_t bytes, _In_ void *set)');

function call(name: string, affinity: Affinity, cpus: Uint8Array): void {
  if (affinity(0, cpus.length, cpus) !== 0) throw new Error(`${name} failed`);
}

/**
 * Run something with this thread on one CPU, and let it go where it went before. A test run of a program is on the CPU of
 * who asks for it: runs on several CPUs would each leave something in their own copies of per-CPU values.
 */
export function onOneCpu<T>(run: () => T): T {
  const allowed = new Uint8Array(CPU_SET_BYTES);
  call('sched_getaffinity', get, allowed);
  const byte = allowed.findIndex((bits) => bits !== 0);
  const one = new Uint8Array(CPU_SET_BYTES);
  one[byte] = allowed[byte]! & -allowed[byte]!;
  call('sched_setaffinity', set, one);
  try {
    return run();
  } finally {
    call('sched_setaffinity', set, allowed);
  }
}
