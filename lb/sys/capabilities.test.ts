import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../test/support/capabilities.js';
import { CAPABILITIES, type Capability, effectiveCapabilities } from './capabilities.js';

/**
 * A process that has threads of every kind, gives capabilities up, starts another thread and another process, and says
 * what each thread has. A process of its own: what is given up does not come back.
 */
const script = (keep: readonly Capability[], after: string) => `
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { dropCapabilities } from ${JSON.stringify(fileURLToPath(new URL('../../dist/lb/sys/capabilities.js', import.meta.url)))};

const worker = () => new Promise((resolve) => {
  const thread = new Worker('setInterval(() => {}, 1000)', { eval: true });
  thread.once('online', resolve);
});
// The thread pool has its threads only once it was used.
await Promise.all(Array.from({ length: 8 }, () => readFile('/proc/self/stat')));
await worker();
const busy = new Worker('for (;;) {}', { eval: true });
await new Promise((resolve) => busy.once('online', resolve));
const report = dropCapabilities(${JSON.stringify(keep)});
await worker();
const statusOf = (text) => Object.fromEntries(text.split('\\n').map((line) => line.split(/:\\s*/)));
const threads = readdirSync('/proc/self/task').map((tid) => {
  const { CapInh, CapPrm, CapEff, CapBnd, CapAmb, NoNewPrivs } = statusOf(readFileSync('/proc/self/task/' + tid + '/status', 'utf8'));
  return { CapInh, CapPrm, CapEff, CapBnd, CapAmb, NoNewPrivs };
});
const child = statusOf(spawnSync('cat', ['/proc/self/status'], { encoding: 'utf8' }).stdout);
const after = await (async () => { ${after} })();
console.log(JSON.stringify({ report, threads, child: child.CapEff, after }));
process.exit(0);
`;

interface Outcome {
  readonly report: { readonly dropped: string[]; readonly kept: string[]; readonly missing: string[] };
  readonly threads: Readonly<Record<string, string>>[];
  readonly child: string;
  readonly after: unknown;
}

function run(keep: readonly Capability[], after = ''): Outcome {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', script(keep, after)],
    {
      encoding: 'utf8',
      timeout: 20_000,
    },
  );
  if (status !== 0) throw new Error(`status ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

const hex = (names: readonly Capability[]) =>
  names
    .reduce((bits, name) => bits | (1n << BigInt(CAPABILITIES.indexOf(name))), 0n)
    .toString(16)
    .padStart(16, '0');

it.skipIf(missingRoot)(`knows what a thread has${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  expect(effectiveCapabilities()).toContain('CAP_NET_ADMIN');
});

describe.skipIf(missingRoot)(`capabilities that are dropped${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  for (const keep of [['CAP_NET_ADMIN', 'CAP_NET_RAW'], ['CAP_BPF'], []] as const) {
    it(`but ${keep.join(' and ') || 'none'} are gone from every thread, and from what it starts`, () => {
      const { report, threads, child } = run(keep);
      expect(report.kept).toEqual(
        [...keep].sort((a, b) => CAPABILITIES.indexOf(a) - CAPABILITIES.indexOf(b)),
      );
      expect(report.dropped).toContain('CAP_SYS_ADMIN');
      // Main thread, platform, thread pool, two workers and their own, and the one that came later.
      expect(threads.length).toBeGreaterThan(12);
      for (const thread of threads) {
        expect(thread).toEqual({
          CapInh: hex([]),
          CapPrm: hex(keep),
          CapEff: hex(keep),
          CapBnd: hex(keep),
          CapAmb: hex([]),
          NoNewPrivs: '1',
        });
      }
      expect(child).toBe(hex(keep));
    });
  }

  it('do not come back, and can be dropped further', () => {
    const { after } = run(
      ['CAP_NET_ADMIN', 'CAP_NET_RAW'],
      `const again = dropCapabilities(['CAP_NET_RAW', 'CAP_SYS_ADMIN']);
       let chown;
       try { process.setuid(1234); chown = 'allowed'; } catch (error) { chown = error.code; }
       return { again, chown };`,
    );
    expect(after).toEqual({
      again: { dropped: ['CAP_NET_ADMIN'], kept: ['CAP_NET_RAW'], missing: ['CAP_SYS_ADMIN'] },
      chown: 'EPERM',
    });
  });

  it('leave the set*id calls of the C library as they were', () => {
    const { after } = run(
      ['CAP_SETUID'],
      `process.setuid(1234);
       const uids = readdirSync('/proc/self/task').map((tid) =>
         statusOf(readFileSync('/proc/self/task/' + tid + '/status', 'utf8')).Uid.split('\\t')[0]);
       return [...new Set(uids)];`,
    );
    expect(after).toEqual(['1234']);
  });
});
