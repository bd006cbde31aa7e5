import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{lb,control-plane,programs,bench,test,demo}/**/*.test.ts'],
    // Two cores, and the namespace tests move real traffic: files in turn keep their timing honest.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default'],
  },
});
