import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runCli } from '../../test/support/cli.js';
import type { Backend } from '../grpc/generated/waggle/v1/Backend.js';
import type { BackendEvent } from '../grpc/generated/waggle/v1/BackendEvent.js';
import type { ProbeBackendResponse } from '../grpc/generated/waggle/v1/ProbeBackendResponse.js';
import type { StatsSample } from '../grpc/generated/waggle/v1/StatsSample.js';
import { loadApi } from '../grpc/proto.js';

const { v1 } = loadApi();
const NAME = 'pools/web/backends/a';
const now = () => Math.floor(Date.now() / 1000);

/** What a real server answers only after a while, or with traffic: a server that answers from a script. */
class ScriptedServer {
  readonly #server = new Server();
  address = '';

  /** A method that answers with the next of some messages, the last one for ever. */
  static script<T>(answers: readonly T[]) {
    let at = 0;
    return (_: ServerUnaryCall<unknown, T>, done: sendUnaryData<T>) =>
      done(null, answers[Math.min(at++, answers.length - 1)] ?? null);
  }

  /** A stream of messages, which then ends. */
  static stream<T>(messages: readonly T[]) {
    return (call: ServerWritableStream<unknown, T>) => {
      for (const message of messages) call.write(message);
      call.end();
    };
  }

  async start(add: (server: Server) => void): Promise<ScriptedServer> {
    add(this.#server);
    const port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    this.address = `127.0.0.1:${port}`;
    return this;
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

let running: ScriptedServer | undefined;
afterEach(() => running?.stop());
const at = async (add: (server: Server) => void, ...args: string[]) => {
  running = await new ScriptedServer().start(add);
  return runCli(['--server', running.address, ...args]);
};

const draining = (trackedFlows: number, drained = trackedFlows === 0): Backend => ({
  name: NAME,
  address: '10.0.0.1',
  adminState: 'ADMIN_STATE_DRAINING',
  status: { trackedFlows, drained, drainDeadline: { seconds: now() + 90, nanos: 0 } },
});

describe('drain --wait', () => {
  const pools =
    (...then: Backend[]) =>
    (server: Server) =>
      server.addService(v1.PoolService.service, {
        DrainBackend: ScriptedServer.script([draining(1200)]),
        GetBackend: ScriptedServer.script(then),
      });

  it('tells what is left, each change in a line, until nothing is', async () => {
    const { status, stdout, stderr } = await at(
      pools(draining(1200), draining(1), draining(0)),
      ...['drain', 'backend', 'web/a', '--timeout', '2m', '--wait'],
    );
    expect(status).toBe(0);
    expect(stderr).toMatch(
      /^web\/a: draining: at most 1,200 connections left, ends in 1m \d+s\nweb\/a: draining: at most 1 connection left, ends in 1m \d+s\n$/,
    );
    expect(stdout).toBe('backend web/a is drained: no connection is left\n');
  });

  it('ends when the deadline has passed', async () => {
    const disabled: Backend = { ...draining(7, false), adminState: 'ADMIN_STATE_DISABLED' };
    const { status, stdout } = await at(pools(disabled), 'drain', 'backend', 'web/a', '--wait');
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'backend web/a is disabled\n' });
  });

  it('is a fault when the backend is taken back into service meanwhile', async () => {
    const back: Backend = { name: NAME, adminState: 'ADMIN_STATE_ENABLED' };
    const { status, stderr } = await at(pools(draining(3), back), 'drain', 'backend', 'web/a', '--wait');
    expect(status).toBe(1);
    expect(stderr).toContain('Error: web/a was taken back into service: its drain is over\n');
  });

  it('without it the command says what is left, and ends', async () => {
    const { stdout } = await at(pools(), 'drain', 'backend', 'web/a');
    expect(stdout).toMatch(/^backend web\/a is draining: at most 1,200 connections left, ends in 1m \d+s\n$/);
  });
});

it('probe tells each check, and its status is that of the worst', async () => {
  const response: ProbeBackendResponse = {
    outcomes: [
      { healthCheck: 'healthChecks/tcp', success: true, latency: { seconds: 0, nanos: 1_500_000 } },
      {
        healthCheck: 'healthChecks/web',
        success: false,
        latency: { seconds: 1, nanos: 0 },
        detail: 'HTTP 503, expected 200-399',
      },
    ],
  };
  const add = (server: Server) =>
    server.addService(v1.HealthCheckService.service, { ProbeBackend: ScriptedServer.script([response]) });
  expect(await at(add, 'probe', 'web/a')).toEqual({
    status: 1,
    stderr: '',
    stdout: [
      'HEALTH CHECK  RESULT       TOOK  DETAIL',
      'tcp           pass       1.5 ms  -',
      'web           fail    1000.0 ms  HTTP 503, expected 200-399',
      '',
    ].join('\n'),
  });
});

it('watch shows the first set as a table, then a line for each change', async () => {
  const backend = {
    ...draining(0),
    adminState: 'ADMIN_STATE_ENABLED',
    status: { effectiveWeight: 1 },
  } as const;
  const events: BackendEvent[] = [
    { type: 'EVENT_TYPE_ADDED', backend },
    { type: 'EVENT_TYPE_SYNCED', revision: 5 },
    { type: 'EVENT_TYPE_HEARTBEAT' },
    { type: 'EVENT_TYPE_MODIFIED', backend: draining(3) },
    { type: 'EVENT_TYPE_DELETED', backend: draining(0) },
  ];
  const add = (server: Server) =>
    server.addService(v1.PoolService.service, { WatchBackends: ScriptedServer.stream(events) });
  const { stdout } = await at(add, 'watch', 'backends');
  expect(stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 5).join(' '))).toEqual([
    'BACKEND ADDRESS WEIGHT STATE SHARE',
    'web/a 10.0.0.1 1 serving 0.0%',
    'as of revision 5',
    'modified web/a 10.0.0.1 1 draining',
    'deleted web/a 10.0.0.1 1 drained',
    '',
  ]);
  running?.stop();
  const json = await at(add, 'watch', 'backends', '-o', 'json');
  expect(
    json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).type),
  ).toEqual(events.map(({ type }) => type));
});

it('statistics are shown with new connections', async () => {
  const sample: StatsSample = {
    time: { seconds: 1, nanos: 0 },
    vips: [{ vip: 'vips/web', packets: 10, bytes: 2048, newConnections: 3, drops: { empty_ring: 2 } }],
    backends: [{ backend: NAME, packets: 10, bytes: 2048, newConnections: 1, trackedFlows: 4 }],
    drops: { fragment: 1 },
  };
  const add = (server: Server) =>
    server.addService(v1.StatsService.service, { GetStats: ScriptedServer.script([sample]) });
  const { stdout } = await at(add, 'stats');
  expect(stdout).toMatch(/^web +10 +2\.0 KiB +3 +empty_ring 2$/m);
  expect(stdout).toMatch(/^web\/a +10 +2\.0 KiB +1 +4$/m);
  expect(stdout).toMatch(/^dropped before their VIP was known: fragment 1$/m);
});

it('events: a server that answers nothing is not one without events', async () => {
  // The deadline comes when the server has the call, not ten seconds later.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    let asked = () => {};
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const add = (server: Server) => {
      server.addService(v1.NodeService.service, { GetNode: () => asked() });
      server.addService(v1.StatsService.service, { WatchEvents: () => asked() });
    };
    const ended = at(add, 'events');
    await isAsked;
    await vi.advanceTimersByTimeAsync(10_000);
    const { status, stdout, stderr } = await ended;
    expect({ status, stdout }).toEqual({ status: 69, stdout: '' });
    expect(stderr).toMatch(/^Error: the server at 127\.0\.0\.1:\d+ did not answer within 10 s\n$/);
  } finally {
    vi.useRealTimers();
  }
});

it('a server that does not know a method is of another version', async () => {
  const { status, stderr } = await at(
    (server) => server.addService(v1.StatsService.service, { GetStats: ScriptedServer.script([{}]) }),
    'get',
    'vips',
  );
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^Error: the server at 127\.0\.0\.1:\d+ is of another version and cannot do this\n$/,
  );
});
