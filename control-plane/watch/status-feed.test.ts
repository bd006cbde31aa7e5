import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { StatusFeed } from './status-feed.js';
import { Wake } from './wake.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A feed over statuses that a test sets; `looks` counts how often they were read. */
function feedOf(statuses: Map<string, string>) {
  const seen = { looks: 0, errors: 0 };
  const feed = new StatusFeed({
    everyMs: 1000,
    read: () => {
      seen.looks++;
      if (statuses.has('broken')) throw new Error('broken');
      return statuses;
    },
    onError: () => {
      seen.errors++;
    },
  });
  return { feed, seen };
}
const second = () => vi.advanceTimersByTimeAsync(1000);

it('says once a second whose status has changed', async () => {
  const statuses = new Map([
    ['a', '1'],
    ['b', '1'],
  ]);
  const { feed } = feedOf(statuses);
  const heard: (readonly string[])[] = [];
  const end = feed.subscribe((names) => heard.push(names));
  await second();
  statuses.set('a', '2').set('c', '1');
  await second();
  await second();
  end();
  expect(heard).toEqual([['a', 'c']]);
});

it('looks at nothing while nobody listens, and once for all who do', async () => {
  const { feed, seen } = feedOf(new Map());
  await second();
  expect(seen.looks).toBe(0);
  const ends = [feed.subscribe(() => undefined), feed.subscribe(() => undefined)];
  await second();
  expect(seen.looks).toBe(2);
  for (const end of ends) end();
  await second();
  expect(seen.looks).toBe(2);
});

it('goes on after a fault', async () => {
  const statuses = new Map([
    ['a', '1'],
    ['b', '1'],
  ]);
  const { feed, seen } = feedOf(statuses);
  const heard: string[] = [];
  feed.subscribe((names) => heard.push(...names));
  statuses.set('broken', '');
  await second();
  statuses.delete('broken');
  statuses.set('a', '2');
  await second();
  expect([seen.errors, heard]).toEqual([1, ['a']]);
});

it('a wait ends by its time, by who wakes, or by who stops', async () => {
  const wake = new Wake();
  const stop = new AbortController();
  const timed = wake.wait(500, stop.signal);
  await second();
  expect(await timed).toBe(false);
  const woken = wake.wait(500, stop.signal);
  wake.wake();
  expect(await woken).toBe(true);
  // Who woke while nobody waited is not forgotten.
  wake.wake();
  expect(await wake.wait(Number.POSITIVE_INFINITY, stop.signal)).toBe(true);
  const stopped = wake.wait(Number.POSITIVE_INFINITY, stop.signal);
  stop.abort();
  expect(await stopped).toBe(false);
  expect(await wake.wait(Number.POSITIVE_INFINITY, stop.signal)).toBe(false);
});
