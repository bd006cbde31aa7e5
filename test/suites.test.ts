import { describe, expect, it } from 'vitest';
import config from '../vitest.config.js';
import { missingRoot } from './support/capabilities.js';
import { importsOf } from './support/import-graph.js';
import { CALM, LIVE, OVER_DATAPATH, TESTS } from './support/suites.js';

/** Imports of tests, and of what supports them, that need cores of their own. */
const LIVELY =
  /^(node:(child_process|dgram|http|https|http2|net|tls|worker_threads)|demo\/.*|test\/support\/namespace)$/;

/** Chain of imports from a test, by way of other files for tests, to something lively. */
function livelyPath(file: string, seen = new Set<string>()): string | undefined {
  for (const { target } of importsOf(file)) {
    if (LIVELY.test(target)) return `${file} → ${target}`;
    const next = `${target}.ts`;
    if (!next.startsWith('test/') || seen.has(next)) continue;
    seen.add(next);
    const path = livelyPath(next, seen);
    if (path !== undefined) return `${file} → ${path}`;
  }
  return undefined;
}

describe('tests over a datapath run on both engines', () => {
  it.each([
    ['with a datapath of its own', 'control-plane/reconcile/adopt.test.ts', true],
    ['by way of a bed', 'control-plane/grpc/services.test.ts', true],
    ['outside of the control plane', 'test/security/access.test.ts', true],
    ['with a server from a script', 'control-plane/cli/scripted-server.test.ts', false],
    ['of a pure function', 'control-plane/reconcile/plan.test.ts', false],
  ])('%s', (_rule, file, is) => {
    expect(TESTS).toContain(file);
    expect(OVER_DATAPATH.includes(file)).toBe(is);
    expect(LIVE).not.toContain(file);
  });

  it.skipIf(missingRoot)(`the kernel's maps are one of them${missingRoot ? ` (${missingRoot})` : ''}`, () => {
    expect(config.test?.projects).toContainEqual(
      expect.objectContaining({
        test: expect.objectContaining({
          include: OVER_DATAPATH,
          env: { WAGGLE_TEST_DATAPATH: 'kernel' },
        }) as object,
      }),
    );
  });
});

describe('tests that run two at a time', () => {
  it.each(CALM)('%s touches no link, socket, process or thread', (file) => {
    expect(TESTS).toContain(file);
    expect(livelyPath(file)).toBeUndefined();
  });

  it('what does is found', () => {
    expect(livelyPath('lb/engine/interface-claim.test.ts')).toMatch(/\.test\.ts → node:/);
    expect(livelyPath('test/e2e/traffic.test.ts')).toMatch(/bed\.ts → node:child_process$/);
    expect(LIVE).toContain('test/e2e/traffic.test.ts');
  });
});
