import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseCpus } from '../../lb/sys/perf-consumer.js';
import { onOneCpu } from './one-cpu.js';

function allowed(): readonly number[] {
  const [, cpus = ''] =
    /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/thread-self/status', 'utf8')) ?? [];
  return parseCpus(cpus);
}

it('a thread is on one of its CPUs for a while, and has all of them again, whatever happens', () => {
  const before = allowed();
  expect(onOneCpu(allowed)).toEqual([before[0]]);
  expect(allowed()).toEqual(before);
  expect(() =>
    onOneCpu(() => {
      throw new Error('a fault');
    }),
  ).toThrow('a fault');
  expect(allowed()).toEqual(before);
});
