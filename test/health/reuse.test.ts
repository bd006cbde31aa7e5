/** Checks that keep their connection: what the server sees of it, and what becomes of it when the server lets it go. */

import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { Keep } from '../../control-plane/health/keep.js';
import { Monitor } from '../../control-plane/health/monitor.js';
import { Probes } from '../../control-plane/health/prober.js';
import {
  type GrpcProbe,
  type HttpProbe,
  type ProbeResult,
  SYSTEM_CLOCK,
} from '../../control-plane/health/types.js';
import { checkOf, GRPC, HTTP, runProbe, targetOf } from './checks.js';
import { answerServing, certificates, http2Server, httpServer, type Running, tcpServer } from './servers.js';

const certs = certificates();
const probes = new Probes({ clock: SYSTEM_CLOCK, ca: certs.ca });
afterAll(() => probes.close());

const SHORT_MS = 150;
const KEPT = { reuseConnection: true } as const;

const running: Running[] = [];
const keeps: Keep[] = [];
const monitors: Monitor[] = [];
afterEach(async () => {
  for (const keep of keeps.splice(0)) keep.close();
  for (const monitor of monitors.splice(0)) monitor.stop();
  await Promise.all(running.splice(0).map(({ stop }) => stop()));
});

async function serve(server: Promise<Running>): Promise<number> {
  const started = await server;
  running.push(started);
  return started.port;
}

/** One check of one target: the function probes it, again and again. */
function checkIt(
  probe: HttpProbe | GrpcProbe,
  port: number,
): { readonly ask: (timeoutMs?: number) => Promise<ProbeResult>; readonly keep: Keep } {
  const keep = new Keep();
  keeps.push(keep);
  return {
    ask: (timeoutMs = 5000) => runProbe(probes, probe, targetOf('t', port), timeoutMs, { keep }),
    keep,
  };
}

const PASSED = { ok: true };
const failed = (detail: RegExp) => ({ ok: false, local: false, detail: expect.stringMatching(detail) });

/** The server's end of a connection. */
interface End {
  readonly destroyed: boolean;
  destroy(): unknown;
}

/** Servers of all the kinds that can be kept; `seen` gets the connection of each question. */
const SERVERS: Readonly<
  Record<
    string,
    readonly [probe: HttpProbe | GrpcProbe, serve: (seen: End[], port?: number) => Promise<Running>]
  >
> = {
  HTTP: [HTTP, (seen, port) => httpNoting(seen, false, port)],
  HTTPS: [{ ...HTTP, tls: true }, (seen, port) => httpNoting(seen, true, port)],
  gRPC: [GRPC, (seen, port) => grpcNoting(seen, false, port)],
  'gRPC over TLS': [{ ...GRPC, tls: true }, (seen, port) => grpcNoting(seen, true, port)],
};

function httpNoting(seen: End[], tls: boolean, port?: number): Promise<Running> {
  return httpServer(
    (question, answer) => {
      seen.push(question.socket);
      answer.end('x');
    },
    tls ? certs.good : undefined,
    port,
  );
}

function grpcNoting(seen: End[], tls: boolean, port?: number): Promise<Running> {
  const stream = (call: ServerHttp2Stream) => {
    if (call.session !== undefined) seen.push(call.session);
    answerServing(call);
  };
  return http2Server({ stream }, tls ? certs.good : undefined, port);
}

const goneOf = (end: End | undefined) => expect.poll(() => end?.destroyed, { timeout: 5000 }).toBe(true);

for (const [name, [probe, server]] of Object.entries(SERVERS)) {
  describe(name, () => {
    const kept = { ...probe, ...KEPT };

    it('one connection for all probes, where the check says so', async () => {
      const seen: End[] = [];
      const { ask } = checkIt(kept, await serve(server(seen)));
      for (let i = 0; i < 5; i++) expect(await ask()).toMatchObject(PASSED);
      expect([seen.length, new Set(seen).size]).toEqual([5, 1]);
    });

    it('one for each, where it does not', async () => {
      const seen: End[] = [];
      const { ask } = checkIt(probe, await serve(server(seen)));
      for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject(PASSED);
      expect([seen.length, new Set(seen).size]).toEqual([3, 3]);
      for (const end of seen) await goneOf(end);
    });

    it('one for each check and target', async () => {
      const seen: End[] = [];
      const port = await serve(server(seen));
      const checks = [checkIt(kept, port), checkIt(kept, port)];
      for (let i = 0; i < 2; i++) for (const { ask } of checks) expect(await ask()).toMatchObject(PASSED);
      expect([seen.length, new Set(seen).size]).toEqual([4, 2]);
    });

    it('a new one where the server closed it, and that is no failure', async () => {
      const seen: End[] = [];
      const { ask } = checkIt(kept, await serve(server(seen)));
      for (let i = 0; i < 3; i++) {
        expect(await ask()).toMatchObject(PASSED);
        seen.at(-1)?.destroy();
        // Sooner and later: the end is on its way, or has come.
        for (let turns = 0; turns < i * 50; turns++) await turn();
      }
      expect([seen.length, new Set(seen).size]).toEqual([3, 3]);
    });

    it('a new one where the server has started again, and that is no failure', async () => {
      const seen: End[] = [];
      const first = await server(seen);
      const { ask } = checkIt(kept, first.port);
      expect(await ask()).toMatchObject(PASSED);
      await first.stop();
      running.push(await server(seen, first.port));
      expect(await ask()).toMatchObject(PASSED);
      expect(await ask()).toMatchObject(PASSED);
      expect([seen.length, new Set(seen).size]).toEqual([3, 2]);
    });

    it('a failure where it has not', async () => {
      const first = await server([]);
      const { ask } = checkIt(kept, first.port);
      expect(await ask()).toMatchObject(PASSED);
      await first.stop();
      expect(await ask()).toMatchObject(failed(/^connection refused$/));
    });

    it('closed with the check', async () => {
      const seen: End[] = [];
      const { ask, keep } = checkIt(kept, await serve(server(seen)));
      await ask();
      keep.close();
      await goneOf(seen[0]);
      // What a probe under way would have kept is closed too.
      expect(await ask()).toMatchObject(PASSED);
      await goneOf(seen[1]);
    });

    describe('over the life of a monitor', () => {
      /** A monitor of one target, and the function that waits for its kept connection. */
      async function watched() {
        const seen: End[] = [];
        const port = await serve(server(seen));
        const monitor = new Monitor({ clock: SYSTEM_CLOCK, probe: probes.probe, seed: 'node' });
        monitors.push(monitor);
        const check = checkOf(kept, { intervalMs: 200, fastIntervalMs: 200, timeoutMs: 200 });
        const target = targetOf('a', port);
        monitor.setTargets([{ target, checks: [check] }]);
        const isKept = () => seen.length > 1 && seen.at(-1) === seen.at(-2);
        await expect.poll(isKept, { timeout: 5000 }).toBe(true);
        return { monitor, check, target, seen };
      }
      const changes: Readonly<Record<string, (bed: Awaited<ReturnType<typeof watched>>) => void>> = {
        'the check changes': ({ monitor, check, target }) =>
          monitor.setTargets([{ target, checks: [{ ...check, probe: { ...kept, host: 'backend.test' } }] }]),
        'the check keeps no more': ({ monitor, check, target }) =>
          monitor.setTargets([{ target, checks: [{ ...check, probe }] }]),
        'the check goes': ({ monitor, check, target }) =>
          monitor.setTargets([{ target, checks: [{ ...check, name: 'other' }] }]),
        'the target moves': ({ monitor, check, target }) =>
          monitor.setTargets([{ target: targetOf('a', target.port, '::ffff:127.0.0.1'), checks: [check] }]),
        'the target goes': ({ monitor }) => monitor.setTargets([]),
        'the monitor stops': ({ monitor }) => monitor.stop(),
      };
      for (const [rule, change] of Object.entries(changes)) {
        it(`closed when ${rule}`, async () => {
          const bed = await watched();
          const end = bed.seen.at(-1);
          change(bed);
          await goneOf(end);
        });
      }

      it('a probe out of turn has a connection of its own, and closes it', async () => {
        const { monitor, seen } = await watched();
        const end = seen.at(-1);
        const own = new Set(seen);
        await monitor.probeNow('a');
        const other = seen.find((end) => !own.has(end));
        expect(other === undefined).toBe(false);
        await goneOf(other);
        expect(end?.destroyed).toBe(false);
      });
    });
  });
}

describe('HTTP, what a kept connection meets', () => {
  const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na';

  /** A server that answers the n-th question of its m-th connection; gives how many connections there were. */
  async function script(
    answer: (socket: Socket, question: number, connection: number) => void,
  ): Promise<{ readonly port: number; readonly connections: () => number }> {
    let connections = 0;
    const port = await serve(
      tcpServer((socket) => {
        const connection = connections++;
        let questions = 0;
        socket.on('data', () => answer(socket, questions++, connection));
      }),
    );
    return { port, connections: () => connections };
  }

  const used: readonly [rule: string, answer: string, kept: boolean][] = [
    ['a length', OK, true],
    ['chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n', true],
    ['no body', 'HTTP/1.1 204 No Content\r\n\r\n', true],
    ['Connection: close', 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n', false],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', false],
    ['HTTP/1.0 that keeps', 'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n', true],
    ['bytes behind the answer', `${OK}b`, false],
    ['more than is read', `HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n${'x'.repeat(100_000)}`, false],
  ];
  for (const [rule, answer, isKept] of used) {
    it(`${rule}: ${isKept ? 'used again' : 'not used again'}`, async () => {
      const { port, connections } = await script((socket) => socket.write(answer));
      const { ask } = checkIt({ ...HTTP, ...KEPT }, port);
      for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject(PASSED);
      expect(connections()).toBe(isKept ? 1 : 3);
    });
  }

  it('an answer that ends with the connection', async () => {
    const { port, connections } = await script((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nabc'));
    const { ask } = checkIt({ ...HTTP, ...KEPT }, port);
    for (let i = 0; i < 2; i++) expect(await ask()).toMatchObject(PASSED);
    expect(connections()).toBe(2);
  });

  const ends: Readonly<Record<string, (socket: Socket) => void>> = {
    closes: (socket) => socket.end(),
    resets: (socket) => socket.resetAndDestroy(),
  };
  for (const [manner, end] of Object.entries(ends)) {
    it(`a server that ${manner} it while the next question is on its way is asked again`, async () => {
      const { port, connections } = await script((socket, question) => {
        if (question === 0) socket.write(OK);
        else end(socket);
      });
      const { ask } = checkIt({ ...HTTP, ...KEPT }, port);
      for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject(PASSED);
      expect(connections()).toBe(3);
    });

    it(`but once: one that ${manner} new ones too fails`, async () => {
      const { port, connections } = await script((socket, question, connection) => {
        if (question === 0 && connection === 0) socket.write(OK);
        else end(socket);
      });
      const { ask } = checkIt({ ...HTTP, ...KEPT }, port);
      expect(await ask()).toMatchObject(PASSED);
      expect(await ask()).toMatchObject(failed(/^(connection closed before an answer|reset by peer) after/));
      expect(connections()).toBe(2);
    });
  }

  it('an answer that is cut is a failure, and not asked for again', async () => {
    const { port, connections } = await script((socket, question) => {
      if (question === 0) socket.write(OK);
      else socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na');
    });
    const { ask } = checkIt({ ...HTTP, ...KEPT }, port);
    expect(await ask()).toMatchObject(PASSED);
    expect(await ask()).toMatchObject(failed(/^connection closed before the end of the answer after/));
    expect(connections()).toBe(1);
  });

  it('what comes without a question ends it', async () => {
    const { port, connections } = await script((socket) => {
      socket.write(OK);
      setTimeout(() => socket.write('HTTP/1.1 408 Request Timeout\r\n\r\n'), 20);
    });
    const { ask } = checkIt({ ...HTTP, ...KEPT }, port);
    expect(await ask()).toMatchObject(PASSED);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await ask()).toMatchObject(PASSED);
    expect(connections()).toBe(2);
  });

  const failures: readonly [rule: string, answer: string, detail: RegExp][] = [
    [
      'another status',
      'HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n',
      /^HTTP 503, expected 200–299$/,
    ],
    ['something that is not HTTP', 'what?\r\n\r\n', /^the answer is not HTTP$/],
    ['nothing within the timeout', '', /^no answer within 150 ms$/],
    [
      'no end within the timeout',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na',
      /^no end of the answer within 150 ms$/,
    ],
  ];
  for (const [rule, answer, detail] of failures) {
    it(`${rule} closes it`, async () => {
      const closed: boolean[] = [];
      const { port, connections } = await script((socket, question, connection) => {
        socket.once('close', () => {
          closed[connection] = true;
        });
        socket.write(question === 1 && connection === 0 ? answer : OK);
      });
      const { ask } = checkIt({ ...HTTP, ...KEPT }, port);
      expect(await ask()).toMatchObject(PASSED);
      expect(await ask(/150/.test(detail.source) ? SHORT_MS : 5000)).toMatchObject(failed(detail));
      await expect.poll(() => closed[0], { timeout: 5000 }).toBe(true);
      expect(await ask()).toMatchObject(PASSED);
      expect(connections()).toBe(2);
    });
  }

  it('a body that lacks the text is a failure that closes it', async () => {
    const { port, connections } = await script((socket) => socket.write(OK));
    const { ask } = checkIt({ ...HTTP, ...KEPT, expectBody: 'b' }, port);
    for (let i = 0; i < 2; i++) expect(await ask()).toMatchObject(failed(/does not contain "b"$/));
    expect(connections()).toBe(2);
  });

  it('is asked for with keep-alive, and only then', async () => {
    const asked: (string | undefined)[] = [];
    const port = await serve(
      httpServer((question, answer) => {
        asked.push(question.headers.connection);
        answer.end();
      }),
    );
    await checkIt({ ...HTTP, ...KEPT }, port).ask();
    await checkIt(HTTP, port).ask();
    expect(asked).toEqual(['keep-alive', 'close']);
  });
});

describe('gRPC, what a kept connection meets', () => {
  const KEPT_GRPC = { ...GRPC, ...KEPT };

  /** A server whose sessions are noted; `answer` has the n-th call of all. */
  async function sessions(
    answer: (stream: ServerHttp2Stream, call: number, session: ServerHttp2Session) => void,
    greet: (session: ServerHttp2Session) => void = () => {},
  ): Promise<{ readonly port: number; readonly list: ServerHttp2Session[] }> {
    const list: ServerHttp2Session[] = [];
    let calls = 0;
    const port = await serve(
      http2Server({
        session: (session) => {
          list.push(session);
          greet(session);
        },
        stream: (stream) => {
          if (stream.session !== undefined) answer(stream, calls++, stream.session as ServerHttp2Session);
        },
      }),
    );
    return { port, list };
  }

  it('GOAWAY between two probes: the next one goes over a new connection', async () => {
    const { port, list } = await sessions(answerServing);
    const { ask } = checkIt(KEPT_GRPC, port);
    expect(await ask()).toMatchObject(PASSED);
    list[0]?.goaway();
    for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject(PASSED);
    expect(list).toHaveLength(2);
  });

  it('GOAWAY on a new connection: the server goes', async () => {
    const { port, list } = await sessions((stream, _, session) => {
      session.goaway();
      answerServing(stream);
    });
    const { ask } = checkIt(KEPT_GRPC, port);
    expect(await ask()).toMatchObject(failed(/^the server went away \(HTTP\/2 error 0\)$/));
    expect(list).toHaveLength(1);
  });

  it('GOAWAY that still takes the call: its answer counts', async () => {
    const { port, list } = await sessions((stream, call, session) => {
      if (call === 1) session.goaway(0, stream.id ?? 0);
      answerServing(stream);
    });
    const { ask } = checkIt(KEPT_GRPC, port);
    for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject(PASSED);
    expect(list).toHaveLength(2);
  });

  it('GOAWAY that does not take the call: it is asked again', async () => {
    let refused = 0;
    const { port, list } = await sessions((stream, call, session) => {
      if (call === 1) {
        refused++;
        session.goaway(0, 1);
      } else answerServing(stream);
    });
    const { ask } = checkIt(KEPT_GRPC, port);
    for (let i = 0; i < 2; i++) expect(await ask()).toMatchObject(PASSED);
    expect([refused, list.length]).toEqual([1, 2]);
  });

  it('GOAWAY with an error is no good order, but not of a call that has begun: it is asked again', async () => {
    const { port, list } = await sessions((stream, call, session) => {
      if (call === 1) session.goaway(11, stream.id ?? 0);
      else answerServing(stream);
    });
    const { ask } = checkIt(KEPT_GRPC, port);
    for (let i = 0; i < 2; i++) expect(await ask()).toMatchObject(PASSED);
    expect(list).toHaveLength(2);
  });

  it('NOT_SERVING is a failure that closes it', async () => {
    const { port, list } = await sessions((stream, call) => {
      if (call !== 1) answerServing(stream);
      else stream.respond({ ':status': 200, 'grpc-status': '14' }, { endStream: true });
    });
    const { ask } = checkIt(KEPT_GRPC, port);
    expect(await ask()).toMatchObject(PASSED);
    expect(await ask()).toMatchObject(failed(/^the server is unavailable \(UNAVAILABLE\)$/));
    expect(await ask()).toMatchObject(PASSED);
    expect(list).toHaveLength(2);
    await goneOf(list[0]);
  });

  it('no answer is a failure that closes it', async () => {
    const { port, list } = await sessions((stream, call) => {
      if (call !== 1) answerServing(stream);
    });
    const { ask } = checkIt(KEPT_GRPC, port);
    expect(await ask()).toMatchObject(PASSED);
    expect(await ask(SHORT_MS)).toMatchObject(failed(/^no answer within 150 ms$/));
    expect(await ask()).toMatchObject(PASSED);
    await goneOf(list[0]);
  });

  it('a call that the server ends is a failure', async () => {
    const { port } = await sessions((stream, call) => {
      if (call === 1) stream.close(2);
      else answerServing(stream);
    });
    const { ask } = checkIt(KEPT_GRPC, port);
    expect(await ask()).toMatchObject(PASSED);
    expect(await ask()).toMatchObject(failed(/^the server ended the call \(HTTP\/2 error 2\)$/));
  });

  it('a server that asks whether we live is told so, also between probes', async () => {
    const { port, list } = await sessions(answerServing);
    const { ask } = checkIt(KEPT_GRPC, port);
    expect(await ask()).toMatchObject(PASSED);
    const payload = Buffer.from('whatever');
    const answer = await new Promise<Buffer>((resolve, reject) => {
      list[0]?.ping(payload, (error, _, back) => (error ? reject(error) : resolve(back)));
    });
    expect(answer).toEqual(payload);
    expect(await ask()).toMatchObject(PASSED);
    expect(list).toHaveLength(1);
  });

  const settings: readonly [rule: string, settings: Parameters<ServerHttp2Session['settings']>[0], number][] =
    [
      ['no table for our headers', { headerTableSize: 0 }, 1],
      ['a small table for our headers', { headerTableSize: 100 }, 1],
      ['a window that a question fits', { initialWindowSize: 5 }, 1],
      ['a window that no question fits', { initialWindowSize: 1 }, 2],
      ['no calls any more', { maxConcurrentStreams: 0 }, 2],
      ['larger frames', { maxFrameSize: 1_000_000 }, 1],
    ];
  for (const [rule, changed, connections] of settings) {
    it(`a server that allows ${rule}`, async () => {
      const { port, list } = await sessions(answerServing);
      const { ask } = checkIt(KEPT_GRPC, port);
      expect(await ask()).toMatchObject(PASSED);
      await new Promise<void>((resolve) => list[0]?.settings(changed, () => resolve()));
      for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject(PASSED);
      expect(list).toHaveLength(connections);
    });
  }

  it('thousands of probes go over one connection', async () => {
    const { port, list } = await sessions(answerServing);
    const { ask } = checkIt({ ...KEPT_GRPC, service: 'x'.repeat(100) }, port);
    for (let i = 0; i < 2000; i++) expect((await ask()).ok).toBe(true);
    // What the server has read it says before it would have to be waited for.
    expect(list).toHaveLength(1);
  });
});
