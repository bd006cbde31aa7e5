import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { Probes } from '../../control-plane/health/prober.js';
import { decodeResponse, encodeRequest } from '../../control-plane/health/probes/grpc-health.js';
import {
  type HttpProbe,
  type Probe,
  type ProbeResult,
  SYSTEM_CLOCK,
  type UdpProbe,
} from '../../control-plane/health/types.js';
import { GRPC, HTTP, runProbe, targetOf } from './checks.js';
import {
  certificates,
  deadPort,
  grpcServer,
  httpServer,
  MANNERS,
  type Running,
  tcpServer,
  udpServer,
} from './servers.js';

const certs = certificates();
const probes = new Probes({ clock: SYSTEM_CLOCK, ca: certs.ca });
afterAll(() => probes.close());

const running: Running[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ stop }) => stop()));
});

/** The port of a server that stops with the test. */
async function serve(server: Promise<Running>): Promise<number> {
  const started = await server;
  running.push(started);
  return started.port;
}

const run = (probe: Probe, port: number, timeoutMs = 2000, address?: string) =>
  runProbe(probes, probe, targetOf('t', port, address), timeoutMs);

/** Rows end with: did it pass, and the words. */
function expectResult(result: ProbeResult, ok: boolean, detail: RegExp): void {
  expect(result).toMatchObject({ ok, local: false, detail: expect.stringMatching(detail) });
  expect(result.latencyMs).toBeGreaterThanOrEqual(0);
}

const PING = Buffer.from('PING\r\n');
const PONG = Buffer.from('+PONG');
const SHORT_MS = 150;

describe('TCP', () => {
  const ask = { kind: 'tcp', port: 0, send: PING, expect: PONG } as const;
  const rows: readonly [
    rule: string,
    manner: keyof typeof MANNERS,
    probe: Probe,
    ok: boolean,
    detail: RegExp,
    timeoutMs?: number,
  ][] = [
    ['a connection is enough', 'accept', { kind: 'tcp', port: 0 }, true, /^connected$/],
    ['even one that is closed at once', 'close', { kind: 'tcp', port: 0 }, true, /^connected$/],
    [
      'a question may be sent with no answer expected',
      'accept',
      { kind: 'tcp', port: 0, send: PING },
      true,
      /sent$/,
    ],
    ['the answer begins as expected', 'pong', ask, true, /^answer starts with "\+PONG"$/],
    ['the answer comes in pieces', 'pieces', ask, true, /^answer starts/],
    ['it comes late, but in time', 'late', ask, true, /^answer starts/],
    ['it comes too late', 'late', ask, false, /^no answer within 30 ms$/, 30],
    ['it never comes', 'accept', ask, false, /^no answer within 150 ms$/, SHORT_MS],
    [
      'it is another',
      'wrong',
      ask,
      false,
      /^answer does not start with "\+PONG" but with "-ERR \\"go away\\"\\x0d\\x0a"$/,
    ],
    [
      'the connection closes without one',
      'close',
      ask,
      false,
      /^connection closed before an answer, \d+ ms after/,
    ],
    ['or in the middle of it', 'short', ask, false, /^connection closed after "\+PO" alone/],
    ['it is reset', 'reset', ask, false, /^reset by peer after \d+ ms$/],
    [
      'a banner without a question',
      'garbage',
      { kind: 'tcp', port: 0, expect: Buffer.from('SSH-2.0') },
      true,
      /^answer starts/,
    ],
  ];
  for (const [rule, manner, probe, ok, detail, timeoutMs] of rows) {
    it(rule, async () => {
      expectResult(await run(probe, await serve(tcpServer(MANNERS[manner])), timeoutMs), ok, detail);
    });
  }

  it('nobody listens', async () => {
    expectResult(await run({ kind: 'tcp', port: 0 }, await deadPort()), false, /^connection refused$/);
  });

  it('the port of the check goes before that of the target', async () => {
    const port = await serve(tcpServer(MANNERS.accept));
    expectResult(await run({ kind: 'tcp', port }, await deadPort()), true, /^connected$/);
  });

  it('over IPv6', async () => {
    expectResult(
      await run({ kind: 'tcp', port: 0 }, await deadPort(), 2000, '::1'),
      false,
      /^connection refused$/,
    );
  });
});

describe('HTTP', () => {
  const status = (code: number, body = '') => httpServer((_, answer) => answer.writeHead(code).end(body));
  const servers = {
    ok: () => status(200, 'all is well'),
    empty: () => status(204),
    down: () => status(503),
    moved: () => status(301),
    // More than is read, and no end.
    endless: () =>
      httpServer((_, answer) => {
        const more = () => {
          while (!answer.destroyed && answer.write('x'.repeat(16_384)));
        };
        answer.on('drain', more);
        more();
      }),
    stalls: () =>
      httpServer((_, answer) => {
        answer.writeHead(200, { 'content-length': 100 }).write('half');
      }),
    cut: () =>
      httpServer((_, answer) => {
        answer.writeHead(200, { 'content-length': 100 }).write('half', () => answer.destroy());
      }),
    hangs: () => httpServer(() => {}),
    closes: () => tcpServer(MANNERS.close),
    resets: () => tcpServer(MANNERS.reset),
    speaksSsh: () => tcpServer(MANNERS.garbage),
    early: () =>
      tcpServer((socket) =>
        socket.once('data', () =>
          socket.write('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'),
        ),
      ),
    longHeaders: () =>
      tcpServer((socket) =>
        socket.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(30_000)}\r\ncontent-length: 0\r\n\r\n`),
      ),
  };
  const rows: readonly [
    rule: string,
    server: keyof typeof servers,
    changes: Partial<HttpProbe>,
    ok: boolean,
    detail: RegExp,
  ][] = [
    ['an expected status', 'ok', {}, true, /^HTTP 200$/],
    ['without a body', 'empty', {}, true, /^HTTP 204$/],
    ['after an interim answer', 'early', {}, true, /^HTTP 200$/],
    ['another status', 'down', {}, false, /^HTTP 503, expected 200–299$/],
    ['a redirect is not followed', 'moved', {}, false, /^HTTP 301, expected 200–299$/],
    [
      'it may be expected',
      'moved',
      {
        expectedStatuses: [
          { from: 200, to: 204 },
          { from: 301, to: 301 },
        ],
      },
      true,
      /^HTTP 301$/,
    ],
    [
      'several ranges are named',
      'down',
      {
        expectedStatuses: [
          { from: 200, to: 204 },
          { from: 301, to: 301 },
        ],
      },
      false,
      /expected 200–204, 301$/,
    ],
    ['the body contains the text', 'ok', { expectBody: 'is well' }, true, /^HTTP 200$/],
    [
      'the body does not',
      'ok',
      { expectBody: 'is ill' },
      false,
      /^HTTP 200, but the body does not contain "is ill"$/,
    ],
    ['a body without end is cut off', 'endless', {}, true, /^HTTP 200$/],
    ['and searched as far as it was read', 'endless', { expectBody: 'is well' }, false, /does not contain/],
    ['HEAD', 'ok', { method: 'HEAD' }, true, /^HTTP 200$/],
    ['an answer that stalls', 'stalls', {}, false, /^no end of the answer within 150 ms$/],
    ['an answer that is cut', 'cut', {}, false, /(reset by peer|aborted|closed)/],
    ['no answer', 'hangs', {}, false, /^no answer within 150 ms$/],
    ['closed at once', 'closes', {}, false, /^connection closed before an answer after \d+ ms$/],
    ['reset', 'resets', {}, false, /^reset by peer after \d+ ms$/],
    ['no HTTP', 'speaksSsh', {}, false, /^the answer is not HTTP$/],
    ['headers without end', 'longHeaders', {}, false, /^the headers of the answer are too long$/],
  ];
  for (const [rule, server, changes, ok, detail] of rows) {
    it(rule, async () => {
      const port = await serve(servers[server]());
      const timeoutMs = /150/.test(detail.source) ? SHORT_MS : 2000;
      expectResult(await run({ ...HTTP, ...changes }, port, timeoutMs), ok, detail);
    });
  }

  it('nobody listens', async () => {
    expectResult(await run(HTTP, await deadPort()), false, /^connection refused$/);
  });

  it('asks for what the check says, on a connection of its own', async () => {
    const asked: unknown[] = [];
    const connections = new Set<unknown>();
    const port = await serve(
      httpServer((question, answer) => {
        const { host, connection, 'user-agent': agent } = question.headers;
        asked.push([question.method, question.url, host, connection, agent]);
        connections.add(question.socket);
        answer.end();
      }),
    );
    await run({ ...HTTP, method: 'OPTIONS', host: 'shop.test:81' }, port);
    await run(HTTP, port);
    expect(asked).toEqual([
      ['OPTIONS', '/health?deep=1', 'shop.test:81', 'close', 'waggle-health-check'],
      ['GET', '/health?deep=1', `127.0.0.1:${port}`, 'close', 'waggle-health-check'],
    ]);
    expect(connections.size).toBe(2);
  });
});

/** A certificate of a server → what a check of a name makes of it. */
const TLS_ROWS: readonly [
  rule: string,
  cert: 'good' | 'expired' | 'other' | 'self',
  host: string,
  skip: boolean,
  ok: boolean,
  detail: RegExp,
][] = [
  [
    'for the name that is asked for',
    'good',
    'backend.test',
    false,
    true,
    /^(HTTP 200|the server is SERVING)$/,
  ],
  [
    'for the name, with a port',
    'good',
    'backend.test:8443',
    false,
    true,
    /^(HTTP 200|the server is SERVING)$/,
  ],
  ['for the address, without a name', 'good', '', false, true, /^(HTTP 200|the server is SERVING)$/],
  ['expired', 'expired', 'backend.test', false, false, /^certificate has expired$/],
  ['for another name', 'other', 'backend.test', false, false, /^certificate is for another name$/],
  ['signed by itself', 'self', 'backend.test', false, false, /^certificate is self-signed$/],
  ['expired, and nobody minds', 'expired', 'backend.test', true, true, /^(HTTP 200|the server is SERVING)$/],
  ['signed by itself, and nobody minds', 'self', '', true, true, /^(HTTP 200|the server is SERVING)$/],
];

describe('HTTPS', () => {
  for (const [rule, cert, host, insecureSkipVerify, ok, detail] of TLS_ROWS) {
    it(`certificate ${rule}`, async () => {
      const port = await serve(httpServer((_, answer) => answer.end('x'), certs[cert]));
      expectResult(await run({ ...HTTP, tls: true, host, insecureSkipVerify }, port), ok, detail);
    });
  }

  const noTls: readonly [rule: string, manner: keyof typeof MANNERS, detail: RegExp][] = [
    ['the server speaks something else', 'garbage', /^the answer is not TLS$/],
    ['the server says nothing', 'accept', /^no end of the TLS handshake within 150 ms$/],
    // The hello that came too late is answered with a reset, which may be seen first.
    [
      'the server closes',
      'close',
      /^(connection closed before the end of the TLS handshake|reset by peer) after/,
    ],
    ['the server resets', 'reset', /^reset by peer after \d+ ms$/],
  ];
  for (const [rule, manner, detail] of noTls) {
    it(rule, async () => {
      const port = await serve(tcpServer(MANNERS[manner]));
      expectResult(
        await run({ ...HTTP, tls: true }, port, /150/.test(detail.source) ? SHORT_MS : 2000),
        false,
        detail,
      );
    });
  }
});

const SERVING = { '': 1, 'shop.Cart': 1, 'shop.Stock': 2, 'shop.Old': 0 };

describe('gRPC', () => {
  const rows: readonly [rule: string, service: string, ok: boolean, detail: RegExp][] = [
    ['the server as a whole', '', true, /^the server is SERVING$/],
    ['a service', 'shop.Cart', true, /^service "shop.Cart" is SERVING$/],
    ['a service that does not serve', 'shop.Stock', false, /^service "shop.Stock" is NOT_SERVING$/],
    ['a service that does not know', 'shop.Old', false, /is UNKNOWN$/],
    ['a service that is not there', 'shop.None', false, /^the server does not know service "shop.None"$/],
  ];
  for (const [rule, service, ok, detail] of rows) {
    it(rule, async () => {
      expectResult(await run({ ...GRPC, service }, await serve(grpcServer(SERVING))), ok, detail);
    });
  }

  it('a server without the health service', async () => {
    expectResult(await run(GRPC, await serve(grpcServer(undefined))), false, /no health service/);
  });

  const others: readonly [rule: string, server: () => Promise<Running>, detail: RegExp][] = [
    ['says nothing', () => tcpServer(MANNERS.accept), /^no answer within 150 ms$/],
    ['closes', () => tcpServer(MANNERS.close), /^(connection closed before an answer|reset by peer) after/],
    ['resets', () => tcpServer(MANNERS.reset), /^reset by peer after \d+ ms$/],
    ['speaks something else', () => tcpServer(MANNERS.garbage), /^the answer is not HTTP\/2$/],
    ['speaks HTTP/1.1', () => httpServer((_, answer) => answer.end()), /^the answer is not HTTP\/2$/],
  ];
  for (const [rule, server, detail] of others) {
    it(`a server that ${rule}`, async () => {
      const result = await run(GRPC, await serve(server()), /150/.test(detail.source) ? SHORT_MS : 2000);
      expectResult(result, false, detail);
    });
  }

  it('nobody listens', async () => {
    expectResult(await run(GRPC, await deadPort()), false, /^connection refused$/);
  });

  for (const [rule, cert, host, insecureSkipVerify, ok, detail] of TLS_ROWS) {
    it(`over TLS, certificate ${rule}`, async () => {
      const port = await serve(grpcServer(SERVING, certs[cert]));
      expectResult(await run({ ...GRPC, tls: true, host, insecureSkipVerify }, port), ok, detail);
    });
  }

  it('the request carries the name of the service', () => {
    expect([...encodeRequest('ab')]).toEqual([0x0a, 2, 0x61, 0x62]);
    expect([...encodeRequest('x'.repeat(300)).subarray(0, 3)]).toEqual([0x0a, 0xac, 0x02]);
    expect(encodeRequest('')).toHaveLength(0);
  });

  const answers: readonly [rule: string, bytes: number[], status: string | undefined][] = [
    ['nothing is the default', [], 'UNKNOWN'],
    ['a status', [0x08, 1], 'SERVING'],
    ['a status that is new', [0x08, 9], 'UNKNOWN'],
    [
      'fields of all kinds are passed over',
      [0x10, 0x96, 1, 0x1a, 2, 8, 2, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0x2d, 0, 0, 0, 0, 0x08, 1],
      'SERVING',
    ],
    ['the last one counts', [0x08, 1, 0x08, 2], 'NOT_SERVING'],
    ['cut in a number', [0x08], undefined],
    ['cut in bytes', [0x1a, 9, 0], undefined],
    ['a kind that there is not', [0x0f], undefined],
    ['a number without end', [0x08, ...new Array<number>(11).fill(0xff)], undefined],
  ];
  for (const [rule, bytes, status] of answers) {
    it(`the answer: ${rule}`, () => {
      if (status === undefined)
        expect(() => decodeResponse(Uint8Array.from(bytes))).toThrow(/HealthCheckResponse/);
      else expect(decodeResponse(Uint8Array.from(bytes))).toBe(status);
    });
  }
});

describe('UDP', () => {
  const question: UdpProbe = { kind: 'udp', port: 0, send: PING };
  const rows: readonly [
    rule: string,
    answer: string | undefined,
    expected: string | undefined,
    ok: boolean,
    detail: RegExp,
  ][] = [
    ['silence passes', undefined, undefined, true, /^no answer and no "port unreachable" within 150 ms$/],
    ['any answer passes', 'what?', undefined, true, /^answered with 5 bytes$/],
    ['the answer begins as expected', '+PONG 1', '+PONG', true, /^answer starts with "\+PONG"$/],
    ['the answer is another', '-ERR', '+PONG', false, /^answer does not start with "\+PONG" but is "-ERR"$/],
    ['the answer is too short', '+PO', '+PONG', false, /but is "\+PO"$/],
    ['silence where an answer is expected', undefined, '+PONG', false, /^no answer within 150 ms$/],
  ];
  for (const [rule, answer, expected, ok, detail] of rows) {
    it(rule, async () => {
      const port = await serve(udpServer((asked) => (asked.equals(PING) ? answer : 'other')));
      const probe = expected === undefined ? question : { ...question, expect: Buffer.from(expected) };
      expectResult(await run(probe, port, SHORT_MS), ok, detail);
    });
  }

  it('nobody listens', async () => {
    expectResult(await run(question, await deadPort()), false, /^port unreachable$/);
  });

  it('over IPv6', async () => {
    expectResult(await run(question, await deadPort(), 2000, '::1'), false, /^port unreachable$/);
  });
});
