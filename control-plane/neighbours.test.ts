import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { formatMac, type IpAddress, type Mac, parseIp, parseMac } from '../lb/index.js';
import { Neighbours, type NeighboursOptions } from './neighbours.js';

const A = parseMac('02:00:00:00:00:0a');
const B = parseMac('02:00:00:00:00:0b');

let answers: Map<string, ReturnType<NeighboursOptions['resolve']>>;
let asked: number;
let changes: number;
let logged: string[];
let turns: string[];
let neighbours: Neighbours;

const at = (mac: Mac) => ({ mac, via: parseIp('10.0.0.1') });
const pending = { pending: true, via: parseIp('10.0.0.1') } as const;
const backends = (...texts: string[]) =>
  new Map<string, IpAddress>(texts.map((text) => [text, parseIp(text)]));

beforeEach(() => {
  vi.useFakeTimers();
  answers = new Map();
  asked = 0;
  changes = 0;
  logged = [];
  turns = [];
  neighbours = new Neighbours({
    resolve: (address) => {
      asked++;
      return answers.get(address.bytes.join('.')) ?? pending;
    },
    onChange: () => changes++,
    onTurn: (key, turn, { mac, reason }) => turns.push([key, turn, mac && formatMac(mac), reason].join(' ')),
    log: (level, message) => logged.push(`${level}: ${message}`),
    nowMs: () => Date.now(),
  });
  neighbours.start();
});
afterEach(() => {
  neighbours.stop();
  vi.useRealTimers();
});

it('an address that the host knows is there at once', async () => {
  answers.set('10.0.0.1', at(A));
  await neighbours.watch(backends('10.0.0.1'));
  expect(neighbours.status('10.0.0.1')).toEqual({ state: 'resolved', mac: A, reason: '' });
  expect(logged).toEqual(['info: next hop found']);
});

it('what another process used is good until there is another answer', async () => {
  neighbours.stop();
  neighbours = new Neighbours({
    resolve: (address) => answers.get(address.bytes.join('.')) ?? pending,
    onChange: () => changes++,
    log: (level, message) => logged.push(`${level}: ${message}`),
    nowMs: () => Date.now(),
    remembered: new Map([['10.0.0.1', A]]),
  });
  neighbours.start();
  const watching = neighbours.watch(backends('10.0.0.1', '10.0.0.2'));
  expect([neighbours.mac('10.0.0.1'), neighbours.mac('10.0.0.2')]).toEqual([A, undefined]);
  await vi.advanceTimersByTimeAsync(400);
  await watching;
  expect(neighbours.status('10.0.0.1')).toEqual({ state: 'pending', mac: A, reason: '' });
  expect(logged).toEqual(['warn: next hop not found yet: the backend takes no connections until then']);
  answers.set('10.0.0.1', at(B));
  await vi.advanceTimersByTimeAsync(400);
  expect([neighbours.mac('10.0.0.1'), changes]).toEqual([B, 1]);
});

it('an answer that comes while a change waits is in time for it', async () => {
  const watching = neighbours.watch(backends('10.0.0.1'));
  await vi.advanceTimersByTimeAsync(20);
  answers.set('10.0.0.1', at(A));
  await vi.advanceTimersByTimeAsync(100);
  await watching;
  expect(neighbours.mac('10.0.0.1')).toBe(A);
});

it('silence holds a change up for a moment only, is told once, and is asked about again', async () => {
  const watching = neighbours.watch(backends('10.0.0.1'));
  await vi.advanceTimersByTimeAsync(400);
  await watching;
  expect(neighbours.status('10.0.0.1')).toEqual({ state: 'pending', mac: undefined, reason: '' });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(logged).toEqual(['warn: next hop not found yet: the backend takes no connections until then']);
  expect(changes).toBe(0);
  answers.set('10.0.0.1', at(A));
  await vi.advanceTimersByTimeAsync(2_200);
  expect(neighbours.mac('10.0.0.1')).toBe(A);
  expect(changes).toBe(1);
});

it('a next hop that is lost stays in use, and the loss is told once', async () => {
  answers.set('10.0.0.1', at(A));
  await neighbours.watch(backends('10.0.0.1'));
  answers.set('10.0.0.1', { unreachable: true, reason: 'its neighbour does not answer' });
  await vi.advanceTimersByTimeAsync(30_000);
  expect(neighbours.status('10.0.0.1')).toEqual({
    state: 'unreachable',
    mac: A,
    reason: 'its neighbour does not answer',
  });
  expect(changes).toBe(0);
  expect(logged).toEqual(['info: next hop found', 'warn: next hop unreachable']);
});

it('a next hop that moves is noticed', async () => {
  answers.set('10.0.0.1', at(A));
  await neighbours.watch(backends('10.0.0.1'));
  answers.set('10.0.0.1', at(B));
  await vi.advanceTimersByTimeAsync(6_000);
  expect(neighbours.mac('10.0.0.1')).toBe(B);
  expect(changes).toBe(1);
});

it('a look-up that fails is an unreachable next hop, not the end of the server', async () => {
  answers.set('10.0.0.2', at(A));
  neighbours.stop();
  const failing = new Neighbours({
    resolve: () => {
      throw new Error('netlink is gone');
    },
    onChange: () => undefined,
    log: () => undefined,
    nowMs: () => Date.now(),
  });
  await failing.watch(backends('10.0.0.1'));
  expect(failing.status('10.0.0.1')).toEqual({
    state: 'unreachable',
    mac: undefined,
    reason: 'netlink is gone',
  });
});

it('an address that its last backend gave up is not looked for', async () => {
  answers.set('10.0.0.1', at(A));
  await neighbours.watch(backends('10.0.0.1'));
  neighbours.forget(['10.0.0.1']);
  const before = asked;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(asked).toBe(before);
  expect(neighbours.mac('10.0.0.1')).toBeUndefined();
});

it('thousands that are known are looked at again a hundred a second, in turn', async () => {
  const count = 1000;
  const addresses = Array.from({ length: count }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  for (const address of addresses) answers.set(address, at(A));
  await neighbours.watch(backends(...addresses));
  await vi.advanceTimersByTimeAsync(5_000);
  const seen = new Set<string>();
  asked = 0;
  const answer = answers.get.bind(answers);
  answers.get = (key) => {
    seen.add(key);
    return answer(key);
  };
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toBe(1000);
  expect(seen.size).toBe(1000);
});

it.each([
  ['has no route', { unreachable: true, reason: 'no route' } as const, 'no route'],
  ['no longer answers', pending, ''],
])('one that %s is told when it is lost and when it is found again, each once', async (_, answer, reason) => {
  answers.set('10.0.0.1', at(A));
  await neighbours.watch(backends('10.0.0.1'));
  await vi.advanceTimersByTimeAsync(6_000);
  expect(turns).toEqual([]);
  answers.set('10.0.0.1', answer);
  await vi.advanceTimersByTimeAsync(20_000);
  answers.set('10.0.0.1', { unreachable: true, reason: 'another reason' });
  await vi.advanceTimersByTimeAsync(5_000);
  answers.set('10.0.0.1', at(A));
  await vi.advanceTimersByTimeAsync(20_000);
  expect(turns).toEqual([
    `10.0.0.1 lost 02:00:00:00:00:0a ${reason}`,
    '10.0.0.1 found-again 02:00:00:00:00:0a ',
  ]);
});

it('one that moves is told; one that a change brings and that cannot be reached is, once the change is made', async () => {
  answers.set('10.0.0.1', at(A));
  answers.set('10.0.0.2', { unreachable: true, reason: 'no route' });
  await neighbours.watch(backends('10.0.0.1', '10.0.0.2'));
  expect(turns).toEqual([]);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(turns).toEqual(['10.0.0.2 lost  no route']);
  answers.set('10.0.0.1', at(B));
  await vi.advanceTimersByTimeAsync(6_000);
  expect(turns.slice(1)).toEqual(['10.0.0.1 moved 02:00:00:00:00:0b ']);
});
