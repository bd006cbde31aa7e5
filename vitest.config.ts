import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { missingRoot } from './test/support/capabilities.js';
import { LIVE, OVER_DATAPATH } from './test/support/suites.js';

const [FIRST, THEN] = [{ groupOrder: 0 }, { groupOrder: 1 }];

/** Without the rights the kernel's maps are not to be had; test/suites.test.ts says so in its place. */
const KERNEL: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'kernel',
    include: [...OVER_DATAPATH],
    env: { WAGGLE_TEST_DATAPATH: 'kernel' },
    setupFiles: ['test/support/close-datapaths.ts'],
    maxWorkers: 2,
    isolate: false,
    sequence: FIRST,
  },
};

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default'],
    projects: [
      {
        extends: true,
        test: {
          name: 'parts',
          include: ['{lb,control-plane,programs,bench,test}/**/*.test.ts'],
          exclude: ['**/node_modules/**', ...LIVE],
          maxWorkers: 2,
          // Files share what they import: a third of the time is reading it. They leave nothing else behind.
          isolate: false,
          sequence: FIRST,
        },
      },
      ...(missingRoot === undefined ? [KERNEL] : []),
      {
        extends: true,
        // Two cores are theirs alone, so that their timing is honest.
        test: { name: 'live', include: [...LIVE], fileParallelism: false, sequence: THEN },
      },
    ],
  },
});
