/**
 * Our client's side of HTTP/2: what Node's servers write is read, and what breaks the protocol is a failure in words.
 * Node's client is no measure for that: an assertion of it ends the process for some of these answers.
 */
import { createServer as createHttp2, sensitiveHeaders } from 'node:http2';
import { type AddressInfo, createServer, type Server } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Probes } from '../../control-plane/health/prober.js';
import { dialDirect } from '../../control-plane/health/probes/dial.js';
import { encodeHeaders, type Header } from '../../control-plane/health/probes/hpack.js';
import { Http2Connection } from '../../control-plane/health/probes/http2-connection.js';
import {
  encodeFrame,
  encodeSettings,
  encodeUint32,
  FLAG,
  FRAME,
  SETTING,
} from '../../control-plane/health/probes/http2-frames.js';
import { Wire } from '../../control-plane/health/probes/wire.js';
import { type ProbeResult, SYSTEM_CLOCK } from '../../control-plane/health/types.js';
import { GRPC, runProbe, targetOf } from './checks.js';

const NOTHING = Buffer.alloc(0);
const QUESTION: readonly Header[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'x'],
];

/** One call's answer: its head and its trailers. */
function call(
  connection: Http2Connection,
): Promise<{ head: readonly Header[]; trailers: readonly Header[] }> {
  return new Promise((resolve, reject) => {
    let head: readonly Header[] = [];
    let trailers: readonly Header[] = [];
    const broken = (what: unknown) => reject(new Error(`no answer: ${what}`));
    connection.call(QUESTION, NOTHING, {
      answer: (_, headers) => {
        head = headers;
      },
      trailers: (headers) => {
        trailers = headers;
      },
      data: () => {},
      end: () => resolve({ head, trailers }),
      reset: broken,
      goaway: broken,
      closed: () => broken('closed'),
      error: broken,
    });
  });
}

const name = fc.oneof(
  fc.constantFrom('etag', 'content-type', 'server', 'x-a', 'x-b', 'x-c', 'set-cookie', 'accept-ranges'),
  fc
    .string({
      unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789-_'),
      minLength: 1,
      maxLength: 40,
    })
    .map((text) => `x-${text}`),
);
const value = fc.oneof(
  fc.constantFrom('', 'a', 'application/grpc', 'bytes', '0'),
  fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    maxLength: 60,
  }),
  fc.string({
    unit: fc.integer({ min: 0x80, max: 0xff }).map((code) => String.fromCharCode(code)),
    maxLength: 30,
  }),
  fc.string({ unit: fc.constantFrom(...'0aZ~\\'), minLength: 1000, maxLength: 5000 }),
);
const headersOf = fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, maxLength: 8 });

interface Answer {
  readonly status: number;
  readonly head: readonly (readonly [string, string])[];
  readonly trailers: readonly (readonly [string, string])[];
  /** Its headers are marked as not to be kept in a table. */
  readonly secret: boolean;
}
const NO_ANSWER: Answer = { status: 500, head: [], trailers: [], secret: false };
const answer: fc.Arbitrary<Answer> = fc.record({
  status: fc.constantFrom(200, 206, 400, 404, 500, 299, 599),
  head: headersOf,
  trailers: headersOf,
  secret: fc.boolean(),
});

it('headers that Node writes, answer after answer', async () => {
  let answers: readonly Answer[] = [];
  let next = 0;
  const server = createHttp2();
  server.on('stream', (stream) => {
    const { status, head, trailers, secret } = answers[next++] ?? NO_ANSWER;
    const names = head.map(([key]) => key);
    stream.respond(
      { ':status': status, ...Object.fromEntries(head), ...(secret && { [sensitiveHeaders]: names }) },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(trailers)));
    stream.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 20 }), async (list) => {
        [answers, next] = [list, 0];
        const wire = new Wire({ clock: SYSTEM_CLOCK, dial: dialDirect, address: '127.0.0.1', port });
        const connection = new Http2Connection(wire);
        try {
          for (const { status, head, trailers } of list) {
            const told = await call(connection);
            // Node adds the date.
            const sent = told.head.filter(([key]) => key !== 'date');
            expect(sent).toEqual([[':status', `${status}`], ...head]);
            expect(told.trailers).toEqual(trailers);
          }
        } finally {
          connection.close();
        }
      }),
      { numRuns: 100 },
    );
  } finally {
    server.close();
  }
});

/** What the server says to whoever connects, before it ends the connection. */
let said: readonly Buffer[] = [];
let raw: Server;
beforeAll(async () => {
  raw = createServer((socket) => {
    const pieces = said;
    socket.setNoDelay();
    socket.on('error', () => {});
    socket.once('data', async () => {
      socket.resume();
      for (const piece of pieces) {
        socket.write(piece);
        // Each in a read of its own.
        if (pieces.length > 1) await new Promise(setImmediate);
      }
      socket.end();
    });
  });
  await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  raw.close();
});

const probes = new Probes({ clock: SYSTEM_CLOCK });

/** What a probe of gRPC makes of an answer. */
async function judge(...pieces: readonly Buffer[]): Promise<ProbeResult> {
  said = pieces;
  const { port } = raw.address() as AddressInfo;
  return runProbe(probes, GRPC, targetOf('t', port), 5000);
}

const MESSAGE = Buffer.from([0, 0, 0, 0, 2, 8, 1]);
const END = FLAG.endHeaders | FLAG.endStream;
const settings = (...list: (readonly [number, number])[]) =>
  encodeFrame(FRAME.settings, 0, 0, encodeSettings(list));
const headers = (flags: number, ...list: Header[]) =>
  encodeFrame(FRAME.headers, flags, 1, encodeHeaders(list));
const data = (payload: Buffer, flags = 0, stream = 1) => encodeFrame(FRAME.data, flags, stream, payload);
const HEAD = headers(FLAG.endHeaders, [':status', '200'], ['content-type', 'application/grpc']);
const STATUS = headers(END, ['grpc-status', '0']);

/** Frames of answers that are good. */
const GOOD: Readonly<Record<string, readonly Buffer[]>> = {
  'as most servers answer': [
    settings([SETTING.maxConcurrentStreams, 100]),
    encodeFrame(FRAME.settings, FLAG.ack, 0, NOTHING),
    HEAD,
    data(MESSAGE),
    STATUS,
  ],
  'padding, priority, headers in two frames, a question of the server': [
    settings(),
    encodeFrame(FRAME.windowUpdate, 0, 0, encodeUint32(1000)),
    encodeFrame(FRAME.ping, 0, 0, Buffer.alloc(8)),
    encodeFrame(
      FRAME.headers,
      FLAG.padded | FLAG.priority,
      1,
      Buffer.concat([Buffer.of(2, 0, 0, 0, 0, 5), encodeHeaders([[':status', '200']]), Buffer.alloc(2)]),
    ),
    encodeFrame(
      FRAME.continuation,
      FLAG.endHeaders,
      1,
      encodeHeaders([['content-type', 'application/grpc']]),
    ),
    data(Buffer.concat([Buffer.of(1), MESSAGE, Buffer.alloc(1)]), FLAG.padded),
    headers(END, ['grpc-status', '0'], ['grpc-message', '']),
    encodeFrame(FRAME.rstStream, 0, 1, encodeUint32(0)),
  ],
  'an interim answer, a body in pieces, the status in the head': [
    settings(),
    headers(FLAG.endHeaders, [':status', '103']),
    headers(FLAG.endHeaders, [':status', '200'], ['grpc-status', '0']),
    data(MESSAGE.subarray(0, 3)),
    data(NOTHING),
    data(MESSAGE.subarray(3), FLAG.endStream),
  ],
  'frames that nobody knows': [
    settings([0x99, 7]),
    encodeFrame(0x77, 0xff, 1, Buffer.alloc(3)),
    HEAD,
    encodeFrame(0x78, 0, 0, NOTHING),
    data(MESSAGE),
    STATUS,
  ],
  'what is broken behind the end': [
    settings(),
    HEAD,
    data(MESSAGE),
    STATUS,
    encodeFrame(8, 5, 3, Buffer.alloc(9)),
  ],
};
describe('an answer that is good', () => {
  for (const [rule, frames] of Object.entries(GOOD)) {
    it(rule, async () => {
      const bytes = Buffer.concat(frames);
      expect(await judge(bytes)).toMatchObject({ ok: true });
      expect(await judge(...Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)))).toMatchObject({
        ok: true,
      });
    });
  }
});

describe('an answer that is not', () => {
  const cut = (frame: Buffer) => frame.subarray(0, -1);
  const priority = (size: number) =>
    encodeFrame(FRAME.headers, FLAG.padded | END, 1, Buffer.concat([Buffer.of(size), Buffer.alloc(3)]));
  const big = Array.from({ length: 2 }, () =>
    encodeFrame(FRAME.continuation, 0, 1, Buffer.alloc(10_000, 0x88)),
  );
  const rows: readonly (readonly [rule: string, detail: RegExp, ...frames: Buffer[]])[] = [
    ['no SETTINGS first', /^the answer is not HTTP\/2$/, HEAD],
    ['SETTINGS of six and a half', /SETTINGS of 7 bytes$/, settings(), encodeFrame(4, 0, 0, Buffer.alloc(7))],
    ['SETTINGS of a call', /SETTINGS of a stream$/, settings(), encodeFrame(4, 0, 1, NOTHING)],
    ['a window beyond all windows', /a window of 2147483648 bytes$/, settings([4, 0x80000000])],
    ['leave to push', /ENABLE_PUSH of 1$/, settings([SETTING.enablePush, 1])],
    ['a push', /PUSH_PROMISE/, settings(), encodeFrame(FRAME.pushPromise, 4, 1, Buffer.alloc(4))],
    [
      'a frame longer than is allowed',
      /a frame of 16385 bytes$/,
      settings(),
      Buffer.of(0, 0x40, 1, 0, 0, 0, 0, 0, 1),
    ],
    ['a call that was not made', /stream 3 was not opened$/, settings(), data(MESSAGE, 0, 3)],
    ['a call of the server', /stream 2 was not opened$/, settings(), data(MESSAGE, 0, 2)],
    ['a body of the connection', /stream 0 was not opened$/, settings(), data(MESSAGE, 0, 0)],
    [
      'a window of a call that was not made',
      /stream 5 was not opened$/,
      settings(),
      encodeFrame(8, 0, 5, encodeUint32(1)),
    ],
    ['a window of two bytes', /WINDOW_UPDATE of 2 bytes$/, settings(), encodeFrame(8, 0, 0, Buffer.alloc(2))],
    [
      'a PING of seven bytes',
      /a PING that is none$/,
      settings(),
      encodeFrame(FRAME.ping, 0, 0, Buffer.alloc(7)),
    ],
    [
      'a GOAWAY of seven bytes',
      /a GOAWAY that is none$/,
      settings(),
      encodeFrame(FRAME.goaway, 0, 0, Buffer.alloc(7)),
    ],
    [
      'an RST_STREAM of five bytes',
      /RST_STREAM of 5 bytes$/,
      settings(),
      encodeFrame(3, 0, 1, Buffer.alloc(5)),
    ],
    ['a body without a head', /a body without headers$/, settings(), data(MESSAGE)],
    ['padding without end', /more padding than that$/, settings(), priority(9)],
    [
      'headers that something interrupts',
      /do not go on$/,
      settings(),
      headers(0, [':status', '200']),
      data(MESSAGE),
    ],
    [
      'the end of headers without a beginning',
      /CONTINUATION of nothing$/,
      settings(),
      encodeFrame(9, 4, 1, NOTHING),
    ],
    [
      'headers without end',
      /headers of more than 16384 bytes$/,
      settings(),
      headers(0, [':status', '200']),
      ...big,
    ],
    ['headers that are none', /no entry 0$/, settings(), encodeFrame(FRAME.headers, END, 1, Buffer.of(0x80))],
    ['no status', /an answer with status ""$/, settings(), headers(END, ['a', 'b'])],
    ['a status that is none', /an answer with status "2000"$/, settings(), headers(END, [':status', '2000'])],
    [
      'trailers that are no end',
      /trailers that do not end/,
      settings(),
      HEAD,
      headers(FLAG.endHeaders, ['grpc-status', '0']),
    ],
    [
      'a status of gRPC that is none',
      /^the answer has no gRPC status$/,
      settings(),
      HEAD,
      data(MESSAGE),
      headers(END, ['grpc-status', '']),
    ],
    [
      'another status of HTTP',
      /^HTTP 404, expected a gRPC answer$/,
      settings(),
      headers(END, [':status', '404']),
    ],
    ['less than it says', /^the answer is no gRPC message$/, settings(), HEAD, data(cut(MESSAGE)), STATUS],
    [
      'a message that is compressed',
      /compressed/,
      settings(),
      HEAD,
      data(Buffer.concat([Buffer.of(1), MESSAGE.subarray(1)])),
      STATUS,
    ],
    [
      'more than is read',
      /^the answer is longer than 4096 bytes$/,
      settings(),
      HEAD,
      data(Buffer.alloc(5000)),
    ],
    [
      'an end before its end',
      /^connection closed before an answer after/,
      settings(),
      HEAD,
      cut(data(MESSAGE)),
    ],
    [
      'frames without end',
      /more than 10000 frames for one call$/,
      settings(),
      ...Array.from({ length: 10_000 }, () => encodeFrame(FRAME.ping, FLAG.ack, 0, Buffer.alloc(8))),
    ],
  ];
  for (const [rule, detail, ...frames] of rows) {
    it(rule, async () => {
      const bytes = Buffer.concat(frames);
      const result = { ok: false, local: false, detail: expect.stringMatching(detail) };
      expect(await judge(bytes)).toMatchObject(result);
    });
  }
});

const edit = fc.record({
  kind: fc.constantFrom('byte', 'byte', 'byte', 'flip', 'drop', 'twice', 'last', 'put'),
  frame: fc.nat(20),
  at: fc.nat(40),
  byte: fc.nat(255),
  type: fc.nat(11),
  flags: fc.constantFrom(0, 1, 4, 5, 8, 0x20, 0xff),
  stream: fc.nat(4),
  payload: fc.uint8Array({ maxLength: 12 }),
});
const damaged = fc
  .tuple(fc.constantFrom(...Object.values(GOOD)), fc.array(edit, { maxLength: 4 }))
  .map(([good, edits]) => {
    const frames: Buffer[] = good.map((frame) => Buffer.from(frame));
    for (const { kind, frame, at, byte, type, flags, stream, payload } of edits) {
      const i = frame % frames.length;
      const one = frames[i] ?? NOTHING;
      const place = at % one.length;
      if (kind === 'byte') one[place] = byte;
      else if (kind === 'flip') one[place] = (one[place] ?? 0) ^ (1 << (byte % 8));
      else if (kind === 'twice') frames.splice(i, 0, Buffer.from(one));
      else if (kind === 'last') frames.push(...frames.splice(i, 1));
      else if (kind === 'put') frames.splice(i, 0, encodeFrame(type, flags, stream, payload));
      else if (frames.length > 1) frames.splice(i, 1);
    }
    return Buffer.concat(frames);
  });

it('an answer that is damaged, or any bytes, is judged at once, in words and without blame of this host', async () => {
  const counts = { ok: 0, failed: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        { weight: 9, arbitrary: damaged },
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      ),
      fc.nat(200),
      async (bytes, place) => {
        const result = await judge(bytes);
        expect(result).toMatchObject({
          local: false,
          detail: expect.not.stringMatching(/within|undefined|null/),
        });
        counts[result.ok ? 'ok' : 'failed']++;
        // In two pieces it is the same, but for the time.
        const timeless = ({ ok, detail }: ProbeResult) => [ok, detail.replace(/\d+ ms/, '')];
        const pieces = [bytes.subarray(0, place), bytes.subarray(place)];
        expect(timeless(await judge(...pieces))).toEqual(timeless(result));
      },
    ),
    { numRuns: 600, endOnFailure: true },
  );
  expect(Math.min(counts.ok, counts.failed)).toBeGreaterThan(50);
});
