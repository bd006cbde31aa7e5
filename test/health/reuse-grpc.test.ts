import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { GRPC } from './checks.js';
import { failed, goneOf, KEPT, PASSED, ReuseBed } from './reuse-bed.js';
import { answerServing, http2Server } from './servers.js';

const bed = new ReuseBed();
const SHORT_MS = 150;

describe('gRPC, what a kept connection meets', () => {
  const KEPT_GRPC = { ...GRPC, ...KEPT };

  /** A server whose sessions are noted; `answer` has the n-th call of all. */
  async function sessions(
    answer: (stream: ServerHttp2Stream, call: number, session: ServerHttp2Session) => void,
    greet: (session: ServerHttp2Session) => void = () => {},
  ): Promise<{ readonly port: number; readonly list: ServerHttp2Session[] }> {
    const list: ServerHttp2Session[] = [];
    let calls = 0;
    const port = await bed.serve(
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
    const { ask } = bed.check(KEPT_GRPC, port);
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
    const { ask } = bed.check(KEPT_GRPC, port);
    expect(await ask()).toMatchObject(failed(/^the server went away \(HTTP\/2 error 0\)$/));
    expect(list).toHaveLength(1);
  });

  it('GOAWAY that still takes the call: its answer counts', async () => {
    const { port, list } = await sessions((stream, call, session) => {
      if (call === 1) session.goaway(0, stream.id ?? 0);
      answerServing(stream);
    });
    const { ask } = bed.check(KEPT_GRPC, port);
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
    const { ask } = bed.check(KEPT_GRPC, port);
    for (let i = 0; i < 2; i++) expect(await ask()).toMatchObject(PASSED);
    expect([refused, list.length]).toEqual([1, 2]);
  });

  it('GOAWAY with an error is no good order, but not of a call that has begun: it is asked again', async () => {
    const { port, list } = await sessions((stream, call, session) => {
      if (call === 1) session.goaway(11, stream.id ?? 0);
      else answerServing(stream);
    });
    const { ask } = bed.check(KEPT_GRPC, port);
    for (let i = 0; i < 2; i++) expect(await ask()).toMatchObject(PASSED);
    expect(list).toHaveLength(2);
  });

  it('NOT_SERVING is a failure that closes it', async () => {
    const { port, list } = await sessions((stream, call) => {
      if (call !== 1) answerServing(stream);
      else stream.respond({ ':status': 200, 'grpc-status': '14' }, { endStream: true });
    });
    const { ask } = bed.check(KEPT_GRPC, port);
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
    const { ask } = bed.check(KEPT_GRPC, port);
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
    const { ask } = bed.check(KEPT_GRPC, port);
    expect(await ask()).toMatchObject(PASSED);
    expect(await ask()).toMatchObject(failed(/^the server ended the call \(HTTP\/2 error 2\)$/));
  });

  it('a server that asks whether we live is told so, also between probes', async () => {
    const { port, list } = await sessions(answerServing);
    const { ask } = bed.check(KEPT_GRPC, port);
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
      const { ask } = bed.check(KEPT_GRPC, port);
      expect(await ask()).toMatchObject(PASSED);
      await new Promise<void>((resolve) => list[0]?.settings(changed, () => resolve()));
      for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject(PASSED);
      expect(list).toHaveLength(connections);
    });
  }

  it('thousands of probes go over one connection', async () => {
    const { port, list } = await sessions(answerServing);
    const { ask } = bed.check({ ...KEPT_GRPC, service: 'x'.repeat(100) }, port);
    for (let i = 0; i < 2000; i++) expect((await ask()).ok).toBe(true);
    // What the server has read it says before it would have to be waited for.
    expect(list).toHaveLength(1);
  });
});
