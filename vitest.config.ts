import { defineConfig } from 'vitest/config';

/** Tests of real sockets, links and processes: two cores are theirs alone, so that their timing is honest. */
const LIVE = [
  'lb/*.test.ts',
  'lb/{engine,io,sys,worker}/**/*.test.ts',
  'test/{companions,crash,docs,e2e,health,security}/**/*.test.ts',
  'demo/**/*.test.ts',
];

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
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'live', include: LIVE, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
