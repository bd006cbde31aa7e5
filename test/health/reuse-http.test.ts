import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { HTTP } from './checks.js';
import { failed, KEPT, PASSED, ReuseBed } from './reuse-bed.js';
import { httpServer, tcpServer } from './servers.js';

const bed = new ReuseBed();
const SHORT_MS = 150;

describe('HTTP, what a kept connection meets', () => {
  const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na';

  /** A server that answers the n-th question of its m-th connection; gives how many connections there were. */
  async function script(
    answer: (socket: Socket, question: number, connection: number) => void,
  ): Promise<{ readonly port: number; readonly connections: () => number }> {
    let connections = 0;
    const port = await bed.serve(
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
      const { ask } = bed.check({ ...HTTP, ...KEPT }, port);
      for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject(PASSED);
      expect(connections()).toBe(isKept ? 1 : 3);
    });
  }

  it('an answer that ends with the connection', async () => {
    const { port, connections } = await script((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nabc'));
    const { ask } = bed.check({ ...HTTP, ...KEPT }, port);
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
      const { ask } = bed.check({ ...HTTP, ...KEPT }, port);
      for (let i = 0; i < 3; i++) expect(await ask()).toMatchObject(PASSED);
      expect(connections()).toBe(3);
    });

    it(`but once: one that ${manner} new ones too fails`, async () => {
      const { port, connections } = await script((socket, question, connection) => {
        if (question === 0 && connection === 0) socket.write(OK);
        else end(socket);
      });
      const { ask } = bed.check({ ...HTTP, ...KEPT }, port);
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
    const { ask } = bed.check({ ...HTTP, ...KEPT }, port);
    expect(await ask()).toMatchObject(PASSED);
    expect(await ask()).toMatchObject(failed(/^connection closed before the end of the answer after/));
    expect(connections()).toBe(1);
  });

  it('what comes without a question ends it', async () => {
    const { port, connections } = await script((socket) => {
      socket.write(OK);
      setTimeout(() => socket.write('HTTP/1.1 408 Request Timeout\r\n\r\n'), 20);
    });
    const { ask } = bed.check({ ...HTTP, ...KEPT }, port);
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
      const { ask } = bed.check({ ...HTTP, ...KEPT }, port);
      expect(await ask()).toMatchObject(PASSED);
      expect(await ask(/150/.test(detail.source) ? SHORT_MS : 5000)).toMatchObject(failed(detail));
      await expect.poll(() => closed[0], { timeout: 5000 }).toBe(true);
      expect(await ask()).toMatchObject(PASSED);
      expect(connections()).toBe(2);
    });
  }

  it('a body that lacks the text is a failure that closes it', async () => {
    const { port, connections } = await script((socket) => socket.write(OK));
    const { ask } = bed.check({ ...HTTP, ...KEPT, expectBody: 'b' }, port);
    for (let i = 0; i < 2; i++) expect(await ask()).toMatchObject(failed(/does not contain "b"$/));
    expect(connections()).toBe(2);
  });

  it('is asked for with keep-alive, and only then', async () => {
    const asked: (string | undefined)[] = [];
    const port = await bed.serve(
      httpServer((question, answer) => {
        asked.push(question.headers.connection);
        answer.end();
      }),
    );
    await bed.check({ ...HTTP, ...KEPT }, port).ask();
    await bed.check(HTTP, port).ask();
    expect(asked).toEqual(['keep-alive', 'close']);
  });
});
