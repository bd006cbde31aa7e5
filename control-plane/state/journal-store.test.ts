import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseIp, parseMac } from '../../lb/index.js';
import type { Probe } from '../health/types.js';
import type { Change } from './changes.js';
import { stateCodec, stateText } from './journal-codec.js';
import { DirectoryLock } from './journal-lock.js';
import { headerBytes } from './journal-record.js';
import {
  type Backend,
  type CheckResource,
  type DesiredState,
  EMPTY_STATE,
  type Pool,
  type Vip,
} from './model.js';
import { Store } from './store.js';

let directory: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'waggle-state-')), 'new', 'state');
});
afterEach(() => rmSync(join(directory, '..', '..'), { recursive: true, force: true }));

const pool = (id: string): Change => ({ kind: 'create-pool', id, displayName: '' });
const open = (journalLimitBytes = 4096, nowMs = () => 1000) =>
  Store.open(directory, { nowMs, epoch: 'e', journalLimitBytes });
async function make(store: Store, ...changes: Change[]): Promise<void> {
  const draft = store.draftAll(changes, 'ops');
  await store.record(draft);
  store.commit(draft);
}

const VERSION = { etag: 'e-7', revision: 7, createTimeMs: 5, updateTimeMs: 6 };
const TLS = { port: 443, tls: true, insecureSkipVerify: true, host: 'example.net', reuseConnection: true };
/** Every field that a probe can have, set; and a kind without those that may be absent. */
const PROBES: readonly Probe[] = [
  { kind: 'tcp', port: 25, send: Uint8Array.of(0, 255), expect: Uint8Array.of(50) },
  {
    kind: 'http',
    ...TLS,
    path: '/é?a=b',
    method: 'HEAD',
    expectedStatuses: [{ from: 200, to: 299 }],
    expectBody: 'ok',
  },
  { kind: 'grpc', ...TLS, service: 's' },
  { kind: 'icmp', payloadBytes: 56 },
  { kind: 'udp', port: 53, send: Uint8Array.of(1) },
];
const checkOf = (probe: Probe): CheckResource => ({
  name: `healthChecks/${probe.kind}`,
  displayName: 'd',
  check: {
    name: probe.kind,
    probe,
    path: probe.kind === 'http' ? 'tunnel' : 'direct',
    intervalMs: 1000,
    timeoutMs: 500,
    rise: 2,
    fall: 3,
    jitterPercent: 10,
    fastIntervalMs: 200,
    initialDelayMs: 50,
    firstResultDecides: true,
  },
  ...VERSION,
});
/** Every field that a state can have, set. */
const FULL: DesiredState = {
  revision: 9,
  vips: new Map<string, Vip>([
    [
      'vips/v',
      {
        name: 'vips/v',
        displayName: 'é "quoted"',
        key: { address: parseIp('fc00::'), port: 0, protocol: 'udp', prefixBits: 64 },
        pool: 'pools/p',
        flags: 0x1ff,
        ringAlgorithm: 'v1',
        downBackends: [parseIp('10.0.0.9'), parseIp('fc00::9')],
        ...VERSION,
      },
    ],
  ]),
  pools: new Map<string, Pool>([
    [
      'pools/p',
      {
        name: 'pools/p',
        displayName: '',
        ringAlgorithm: 'v1',
        healthChecks: ['healthChecks/tcp'],
        panicPercent: 50,
        belowFloor: 'drop',
        slowStart: { windowMs: 60_000, minPercent: 10, steps: 6 },
        drainTimeoutMs: 30_000,
        ...VERSION,
      },
    ],
  ]),
  backends: new Map<string, Backend>([
    [
      'pools/p/backends/b',
      {
        name: 'pools/p/backends/b',
        pool: 'pools/p',
        address: parseIp('fc00::1'),
        addressKey: 'fc00::1',
        weight: 65535,
        drainStartMs: 12.5,
        drainDeadlineMs: 99.5,
        leaves: true,
        mac: parseMac('02:00:00:00:00:01'),
        isLocal: true,
        isDown: true,
        ...VERSION,
      },
    ],
    [
      'pools/p/backends/c',
      {
        name: 'pools/p/backends/c',
        pool: 'pools/p',
        address: parseIp('10.0.0.1'),
        addressKey: '10.0.0.1',
        weight: 0,
        drainStartMs: undefined,
        drainDeadlineMs: undefined,
        leaves: false,
        mac: undefined,
        isLocal: false,
        isDown: false,
        ...VERSION,
      },
    ],
  ]),
  healthChecks: new Map(PROBES.map((probe) => [`healthChecks/${probe.kind}`, checkOf(probe)])),
  node: {
    routerMac: parseMac('02:00:00:00:00:02'),
    ownAddresses: [parseIp('10.0.0.2')],
    decapDestinations: [{ address: parseIp('10.0.0.3'), egress: true }],
    watchedVip: 'vips/v',
    options: { gue: true, guePort: 1, maxFrameBytes: 9000 },
    etag: 'e-8',
    revision: 8,
  },
  serverIds: [{ id: 4_294_967_295, backend: parseIp('10.0.0.1') }],
  sourceRoutes: [{ prefix: { address: parseIp('198.51.100.0'), bits: 24 }, backend: parseIp('10.0.0.1') }],
  globalFlows: [
    {
      flow: { src: parseIp('1.2.3.4'), dst: parseIp('5.6.7.8'), sport: 1, dport: 65535, protocol: 'tcp' },
      backend: parseIp('10.0.0.1'),
    },
  ],
};

const textOf = (state: DesiredState): string => [...stateText(state)].join('');

describe('what is written is what is read', () => {
  it.each([
    ['a state with every field', FULL],
    ['the empty state', EMPTY_STATE],
  ])('%s', (_, state) => {
    const text = textOf(state);
    const read = stateCodec.parse(JSON.parse(text));
    expect(read).toStrictEqual(state);
    expect(textOf(read)).toBe(text);
  });

  it('checks of before there was word of kept connections keep none', () => {
    const healthChecks = new Map(
      PROBES.map((probe) => [`healthChecks/${probe.kind}`, checkOf(probe)] as const),
    );
    const before = textOf({ ...EMPTY_STATE, healthChecks }).replaceAll(',"reuseConnection":true', '');
    expect(before).not.toContain('reuse');
    const read = stateCodec.parse(JSON.parse(before)).healthChecks;
    for (const probe of PROBES) {
      const kept = 'reuseConnection' in probe ? { ...probe, reuseConnection: false } : probe;
      expect(read.get(`healthChecks/${probe.kind}`)).toStrictEqual(checkOf(kept));
    }
  });

  it('state, versions, order and history are there after a restart, past snapshots', async () => {
    const store = await open(1000);
    for (let i = 0; i < 30; i++) await make(store, pool(`p${i}`));
    await make(store, { kind: 'delete-pool', name: 'pools/p3', etag: '', force: false }, pool('p3'));
    const { state, history } = store;
    await store.close();
    const kept = readdirSync(directory).filter((name) => name.startsWith('snapshot-'));
    expect(kept.length).toBe(2);
    expect(statSync(directory).mode & 0o077).toBe(0);
    const again = await open();
    expect(again.state).toStrictEqual(state);
    expect([...again.state.pools.keys()]).toEqual([...state.pools.keys()]);
    expect(again.history).toStrictEqual(history);
    expect(again.recovery).toMatchObject({ revision: 31, notes: [] });
    await again.close();
  });

  it('a change that was not recorded cannot be committed, and a closed store takes none', async () => {
    const store = await open();
    const draft = store.draft(pool('a'));
    expect(() => store.commit(draft)).toThrow(/not recorded/);
    await store.close();
    await store.close();
    await expect(store.record(store.draft(pool('a')))).rejects.toMatchObject({ code: 'JOURNAL_CLOSED' });
  });

  it('a format that is not known is refused, and left as it is', async () => {
    await (await open()).close();
    const path = join(directory, 'journal-00000001');
    const header = Buffer.from(headerBytes({ kind: 'journal', generation: 1, baseRevision: 0, timeMs: 0 }));
    header.writeUInt32LE(2, 8);
    const { crc32 } = await import('node:zlib');
    header.writeUInt32LE(crc32(header.subarray(0, 32)), 32);
    writeFileSync(path, header);
    await expect(open()).rejects.toMatchObject({ fault: { code: 'JOURNAL_FORMAT', version: 2 } });
    expect(readFileSync(path)).toEqual(header);
    expect(existsSync(join(directory, 'lock'))).toBe(false);
  });

  it('a directory that cannot be made is named', async () => {
    writeFileSync(join(directory, '..', '..', 'file'), '');
    const below = join(directory, '..', '..', 'file', 'state');
    const fault = { code: 'JOURNAL_IO', operation: 'create', file: below, errno: 'ENOTDIR' };
    await expect(Store.open(below, { nowMs: () => 0, epoch: 'e' })).rejects.toMatchObject({ fault });
  });
});

describe('one process has a directory', () => {
  it('a second one is refused, and told by whom', async () => {
    const store = await open();
    const fault = { code: 'JOURNAL_LOCKED', directory, pid: process.pid };
    await expect(open()).rejects.toMatchObject({ fault });
    await store.close();
    await (await open()).close();
    expect(readdirSync(directory).filter((name) => name.startsWith('lock'))).toEqual([]);
  });

  it('a process that was killed holds it no more; one that lives does', async () => {
    await (await open()).close();
    const child = spawn('sleep', ['60']);
    const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1');
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    writeFileSync(join(directory, 'lock'), `${child.pid} ${start}\n`);
    await expect(open()).rejects.toMatchObject({ fault: { pid: child.pid } });
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await open()).close();
  });

  it.each([
    ['a number that another process has by now', `${process.pid} 1\n`],
    ['an empty file', ''],
    ['no number', 'x y\n'],
  ])('a lock that names no process is taken over: %s', async (_, text) => {
    await (await open()).close();
    writeFileSync(join(directory, 'lock'), text);
    await (await open()).close();
  });

  it('of many that find a dead lock at once, one gets it', async () => {
    await (await open()).close();
    writeFileSync(join(directory, 'lock'), `${process.pid} 1\n`);
    const taken = await Promise.allSettled([DirectoryLock.take(directory), DirectoryLock.take(directory)]);
    expect(taken.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1);
  });
});
