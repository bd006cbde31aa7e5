/** Our reader of HTTP/1.1 beside Node's own client: of the same bytes both make the same, but for what is listed. */
import { request } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HttpAnswer } from '../../control-plane/health/probes/http-answer.js';

type Method = 'GET' | 'HEAD';

/** What a client makes of an answer that is followed by the end of the connection; `fails`: it is none, or not whole. */
type Outcome = 'fails' | { readonly status: number; readonly body: string };

/** What ours makes of it, and how many bytes it took. */
function ours(
  pieces: readonly Buffer[],
  method: Method,
): { readonly outcome: Outcome; readonly taken: number } {
  let [status, body, isWhole, taken] = [0, '', false, 0];
  const answer = new HttpAnswer(method, {
    head: (code) => {
      status = code;
    },
    body: (chunk) => {
      body += chunk.toString('latin1');
    },
    end: () => {
      isWhole = true;
    },
  });
  try {
    for (const piece of pieces) {
      if (isWhole) break;
      answer.read(piece);
      taken += piece.length;
    }
  } catch (error) {
    // What is raised is meant for people.
    expect(error).toHaveProperty('message', expect.stringMatching(/^the (answer is not HTTP|headers of)/));
    return { outcome: 'fails', taken };
  }
  answer.finish();
  return { outcome: isWhole ? { status, body } : 'fails', taken };
}

const bytewise = (bytes: Buffer) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));

let server: Server;
let asked = 0;
/** Path → what the server sends. */
const answers = new Map<string, Buffer>();
beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (question) => {
      const path = /^\S+ (\S+)/.exec(question.toString('latin1'))?.[1] ?? '';
      socket.end(answers.get(path) ?? '');
      answers.delete(path);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  server.close();
});

/** What Node's client makes of it. */
function nodes(answer: Buffer, method: Method): Promise<Outcome> {
  const path = `/${asked++}`;
  answers.set(path, answer);
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve) => {
    const question = request({ createConnection: () => connect(port, '127.0.0.1'), port, path, method });
    const fails = () => resolve('fails');
    question.on('error', fails);
    question.on('upgrade', ({ statusCode: status = 0 }, socket) => {
      socket.destroy();
      resolve({ status, body: '' });
    });
    question.on('response', (response) => {
      let body = '';
      response.setEncoding('latin1');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', fails);
    });
    question.end();
  });
}

interface Seen {
  readonly bytes: Buffer;
  readonly ours: Outcome;
  readonly theirs: Outcome;
  /** Bytes up to the end of the answer, where ours found one. */
  readonly taken: number;
}

/** Where we mean to differ, each with an answer that shows it. */
const DIFFERENCES: readonly (readonly [
  rule: string,
  example: string,
  isMeant: (seen: Seen, text: string) => boolean,
])[] = [
  // No check can expect it, and no server means it.
  [
    'a status below 100 is none',
    'HTTP/1.1 099 x\r\n\r\n',
    ({ ours, theirs }) => ours === 'fails' && theirs !== 'fails' && theirs.status < 100,
  ],
  // Node's judgement hangs on whether they come in the same read. We do not use the connection again.
  [
    'what comes behind a whole answer does not matter',
    'HTTP/1.1 204 x\r\n\r\nabc',
    ({ bytes, ours, theirs, taken }) => ours !== 'fails' && theirs === 'fails' && taken < bytes.length,
  ],
  // RFC 9112 §5.
  [
    'a tab behind a length is a blank',
    'HTTP/1.1 204 x\r\ncontent-length: 3\t\r\n\r\n',
    ({ ours, theirs }, text) =>
      ours !== 'fails' && theirs === 'fails' && /content-length:[ \t]*\d+ *\t/i.test(text),
  ],
  // RFC 9112 §2.2: a line ends with CR and LF. Node takes one CR alone behind a status.
  [
    'a CR alone ends nothing',
    'HTTP/1.1 200 x\r\r\r\na\r\n',
    ({ ours, theirs }, text) => ours === 'fails' && theirs !== 'fails' && /\r(?!\n)/.test(text),
  ],
  // RFC 9112 §6.3: two words on where the body ends. To Node it matters which one is first.
  [
    'a length beside codings, of which there are none, is refused',
    'HTTP/1.1 200 OK\r\ntransfer-encoding:\r\ncontent-length: 1\r\n\r\na',
    ({ ours, theirs }, text) =>
      ours === 'fails' &&
      theirs !== 'fails' &&
      /transfer-encoding:[ \t]*\r\n(.*\r\n)*content-length/i.test(text),
  ],
  // RFC 9112 §7.1.1.
  [
    'an extension of a chunk has a name, and no empty value',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;a=\r\nabc\r\n0\r\n\r\n',
    ({ ours, theirs }, text) => ours === 'fails' && theirs !== 'fails' && /;=|=[;\r]/.test(text),
  ],
];
const isMeant = (seen: Seen) => DIFFERENCES.some(([, , meant]) => meant(seen, seen.bytes.toString('latin1')));

async function see(bytes: Buffer, method: Method): Promise<Seen> {
  const { outcome, taken } = ours(bytewise(bytes), method);
  return { bytes, ours: outcome, theirs: await nodes(bytes, method), taken };
}

it.each(DIFFERENCES)('%s', async (_, example, meant) => {
  expect(meant(await see(Buffer.from(example, 'latin1'), 'GET'), example)).toBe(true);
});

/** One of the usual, or now and then one of the odd. */
const mostly = (weight: number, usual: readonly string[], odd: readonly string[]) =>
  fc.oneof({ weight, arbitrary: fc.constantFrom(...usual) }, fc.constantFrom(...odd));

const statusLine = mostly(
  8,
  [
    'HTTP/1.1 200 OK',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 503 No',
    'HTTP/1.1 204 -',
    'HTTP/1.1 304 N',
    'HTTP/1.1 200',
    'HTTP/1.1 200 ',
  ],
  [
    ...['HTTP/1.1 101 Up', 'HTTP/1.1 100 Go', 'HTTP/1.1 103 Early', 'HTTP/1.1 999 x', 'HTTP/1.1 099 x'],
    ...['HTTP/2.0 200 OK', 'HTTP/0.9 200 OK', 'HTTP/1.2 200 OK', 'http/1.1 200 OK', 'ICY 200 OK'],
    ...['HTTP/1.1  200 OK', 'HTTP/1.1 20 OK', 'HTTP/1.1 2000 OK', 'HTTP/1.1 200OK', ' HTTP/1.1 200 OK'],
    ...['HTTP/1.1 200 a\tb', 'HTTP/1.1 200 \xe9', 'HTTP/1.1 200 a\x01', 'HTTP/1.1 200 a\x00'],
  ],
);
const lineEnd = mostly(60, ['\r\n'], ['\n', '\r', '\r\r\n', '']);
const name = fc.constantFrom(
  ...[
    'content-length',
    'Content-Length',
    'transfer-encoding',
    'Transfer-Encoding',
    'connection',
    'Connection',
  ],
  ...['x', 'X-y_z', 'keep-alive', 'upgrade', 'proxy-connection', 'trailer'],
);
const value = mostly(
  5,
  ['0', '1', '3', '5', 'chunked', 'Chunked', 'close', 'keep-alive', 'a b', ''],
  [
    ...['+3', '-1', '03', '3 ', '3\t', '3, 3', '3 3', '0x3', '\xa03', '3\xa0', '99999999999999999999'],
    ...['gzip, chunked', 'chunked, gzip', 'chunked,', 'identity', 'xchunked', 'chunked;a=b', ' , '],
    ...['upgrade', 'close, x', 'x,close', 'keep-alive, close', '"q"', '\xe9'],
    ...['a\x00b', 'a\x7fb', 'a\x01'],
  ],
);
const separator = mostly(12, [': ', ':'], [' : ', ':\t', ':   ', '', ' ']);
const headerLine = fc.oneof(
  { weight: 20, arbitrary: fc.tuple(name, separator, value).map((parts) => parts.join('')) },
  fc.constantFrom(' folded', '\tfolded', 'no colon', ':none', 'a(b): c', '\xe9: x'),
);
const chunkLine = mostly(
  1,
  ['3', '03', '3;a', '3;a=b;c=d', '3;a="b"', '3;a="\\""', '00000000000000003'],
  [
    ...[
      '3 ',
      ' 3',
      '3\t',
      'g',
      '-1',
      '4',
      'FFFFFFFFFFFFFFFFFF',
      '3;',
      '3;;',
      '3 ;a',
      '3; a',
      '3;a ',
      '3;\ta',
    ],
    ...['3;=b', '3;a=', '3;a= b', '3;a =b', '3;a=b c', '3;a(b', '3;a=\xe9', '3;a="\xe9"', '3;a="b\x01"'],
    ...['3;a="b', '3;a="b"c', '3;a="b" ;c', '3;a="b";c', '3;a="\\\x01"'],
  ],
);
const chunked = fc
  .tuple(chunkLine, lineEnd, fc.constantFrom('', '', '', 't: u\r\n', 't : u\r\n', 'bad\r\n'), lineEnd)
  .map(([size, end, trailer, last]) => `${size}${end}abc\r\n0\r\n${trailer}${last}`);
const body = fc.oneof(
  chunked,
  fc.constantFrom('', '', 'a', 'abc', 'abcde', '\r\n', '0\r\n', '0\r\n\r\n', '0\r\n\r\nx'),
);
const message = fc
  .tuple(
    fc.constantFrom('', '', '', '\r\n', '\n'),
    statusLine,
    lineEnd,
    fc.array(fc.tuple(headerLine, lineEnd), { maxLength: 4 }),
    lineEnd,
    body,
  )
  .map(([before, status, end, headers, last, rest]) =>
    Buffer.from([before, status, end, ...headers.flat(), last, rest].join(''), 'latin1'),
  );
/** A message with bytes put in, taken out or changed. */
const mutated = fc
  .tuple(
    message,
    fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom('put', 'take', 'change')), { maxLength: 3 }),
  )
  .map(([bytes, edits]) =>
    edits.reduce((text, [place, byte, edit]) => {
      const at = place % Math.max(text.length, 1);
      const middle = edit === 'take' ? Buffer.alloc(0) : Buffer.of(byte);
      return Buffer.concat([text.subarray(0, at), middle, text.subarray(edit === 'put' ? at : at + 1)]);
    }, bytes),
  );

/** Many at a time, for each waits for its connection. */
const TOGETHER = 50;
const several = fc.array(
  fc.record({ bytes: fc.oneof(message, mutated), method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD') }),
  { minLength: TOGETHER, maxLength: TOGETHER },
);

it('random answers, whole and damaged', async () => {
  const counts = { whole: 0, fails: 0 };
  await fc.assert(
    fc.asyncProperty(several, async (cases) => {
      for (const seen of await Promise.all(cases.map(({ bytes, method }) => see(bytes, method)))) {
        if (!isMeant(seen))
          expect(seen.ours, JSON.stringify(seen.bytes.toString('latin1'))).toEqual(seen.theirs);
        counts[seen.ours === 'fails' ? 'fails' : 'whole']++;
      }
    }),
    // The message has the bytes: smaller ones would say no more.
    { numRuns: 80, endOnFailure: true },
  );
  // Both ends were met often.
  expect(Math.min(counts.whole, counts.fails)).toBeGreaterThan(400);
});

it('whatever the pieces, the same', () => {
  fc.assert(
    fc.property(
      fc.oneof(message, mutated),
      fc.array(fc.integer({ min: 1, max: 30 })),
      fc.constantFrom('GET', 'HEAD'),
      (bytes, sizes, method) => {
        const pieces: Buffer[] = [];
        let off = 0;
        for (const size of sizes) {
          pieces.push(bytes.subarray(off, off + size));
          off += size;
        }
        pieces.push(bytes.subarray(off));
        expect(ours(pieces, method).outcome).toEqual(ours(bytewise(bytes), method).outcome);
      },
    ),
    { numRuns: 2000 },
  );
});

it('any bytes at all', () => {
  const prefix = fc.constantFrom(
    '',
    'HTTP/1.1 ',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
  );
  fc.assert(
    fc.property(prefix, fc.uint8Array({ maxLength: 200 }), (start, bytes) => {
      const all = Buffer.concat([Buffer.from(start, 'latin1'), bytes]);
      expect(ours([all], 'GET').outcome).toEqual(ours(bytewise(all), 'GET').outcome);
    }),
    { numRuns: 2000 },
  );
});

/** At the bounds of what is taken, where work that grows with the square of a length would show. */
const LONG: Readonly<Record<string, string>> = {
  'blanks within a value': `HTTP/1.1 200 OK\r\nx: a${' '.repeat(16_000)}b\r\n\r\n`,
  'empty lines before an answer': `${'\r\n'.repeat(500_000)}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n`,
  'zeros before a size': `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${'0'.repeat(16_000)}\r\n\r\n`,
  'extensions of a chunk': `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0${';a="\\\\"'.repeat(2000)}\r\n\r\n`,
};
it.each(Object.entries(LONG))('%s, byte by byte', (_, text) => {
  expect(ours(bytewise(Buffer.from(text, 'latin1')), 'GET').outcome).toMatchObject({ status: 200 });
});
