import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { HealthMemory } from './health-memory.js';

const [A, B, C] = ['pools/web/backends/a', 'pools/web/backends/b', 'pools/web/backends/c'] as const;

let folder: string;
let told: string[];
const path = () => join(folder, 'health.json');
const open = (directory: string | undefined = folder) =>
  HealthMemory.open(directory, (level, message) => void told.push(`${level} ${message}`));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'waggle-memory-'));
  told = [];
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

it('what was known is known to the next one, but for backends that are gone and those that are unknown again', async () => {
  const first = await open();
  first.set(A, 'unhealthy');
  first.set(B, 'healthy');
  first.set(C, 'healthy');
  first.keep(new Set([A, B]));
  await first.close();
  const next = await open();
  expect([A, B, C].map((name) => next.health(name))).toEqual(['unhealthy', 'healthy', undefined]);
  next.set(B, 'unknown');
  await next.close();
  const last = await open();
  expect([A, B].map((name) => last.health(name))).toEqual(['unhealthy', undefined]);
  expect(told).toEqual([]);
});

it('many changes are written once, a second after the first of them, and leave nothing behind', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const memory = await open();
  for (let n = 0; n < 10_000; n++) {
    memory.set(`pools/web/backends/b${n}`, 'healthy');
    memory.keep(new Set([A, B, `pools/web/backends/b${n}`]));
    memory.set([A, B][n % 2]!, n % 3 === 0 ? 'unhealthy' : 'healthy');
  }
  memory.keep(new Set([A, B]));
  expect([vi.getTimerCount(), readdirSync(folder)]).toEqual([1, []]);
  vi.advanceTimersByTime(1_000);
  expect(vi.getTimerCount()).toBe(0);
  // Nothing has changed since: it waits for what is being written, and writes nothing more.
  await memory.close();
  expect(JSON.parse(readFileSync(path(), 'utf8'))).toEqual({ [A]: 'healthy', [B]: 'unhealthy' });
  memory.set(A, 'unhealthy');
  await memory.close();
  expect(vi.getTimerCount()).toBe(0);
});

it('is written whole, and for its owner alone', async () => {
  const memory = await open();
  memory.set(A, 'healthy');
  await memory.close();
  expect(readdirSync(folder)).toEqual(['health.json']);
  expect(statSync(path()).mode & 0o777).toBe(0o600);
});

it.each([
  ['nothing', ''],
  ['a part', '{'],
  ['another shape', '[]'],
  ['a health that there is not', JSON.stringify({ [A]: 'odd' })],
])('a file that is damaged is told, and not used: %s', async (_, text) => {
  writeFileSync(path(), text);
  const memory = await open();
  expect(memory.health(A)).toBeUndefined();
  expect(told).toEqual(['warn the health of backends from before is not known']);
  memory.set(A, 'healthy');
  await memory.close();
  expect((await open()).health(A)).toBe('healthy');
});

it('one that cannot be written is told, and nothing else comes of it', async () => {
  const memory = await open();
  rmSync(folder, { recursive: true });
  memory.set(A, 'healthy');
  await memory.close();
  expect(told).toEqual(['warn the health of backends could not be kept']);
  expect(memory.health(A)).toBe('healthy');
});

it('without a directory it is known to this process alone', async () => {
  const memory = await HealthMemory.open(undefined, (_, message) => void told.push(message));
  memory.set(A, 'healthy');
  await memory.close();
  expect(memory.health(A)).toBe('healthy');
  expect([readdirSync(folder), told]).toEqual([[], []]);
});
