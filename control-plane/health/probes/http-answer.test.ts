import { request } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HttpAnswer } from './http-answer.js';

/** What is told of an answer: status, body, and whether it ended well; or the words of the error. */
type Told =
  | { readonly status: number; readonly body: string; readonly isReusable: boolean | undefined }
  | { readonly error: string };

/** Read an answer in pieces, the last of them followed by the end of the connection. */
function tell(pieces: readonly Buffer[], method = 'GET'): Told {
  let [status, body] = [0, ''];
  let isReusable: boolean | undefined;
  const answer = new HttpAnswer(method, {
    head: (code) => {
      status = code;
    },
    body: (chunk) => {
      body += chunk.toString('latin1');
    },
    end: (value) => {
      isReusable = value;
    },
  });
  try {
    for (const piece of pieces) answer.read(piece);
  } catch (error) {
    return { error: String(error).replace('Error: ', '') };
  }
  answer.finish();
  return { status, body, isReusable };
}

const OK = 'HTTP/1.1 200 OK\r\n';
const NOT_HTTP = 'the answer is not HTTP';
const TOO_LONG = 'the headers of the answer are too long';

/** Rows end with status, body and reusable; or with the error. Undefined for reusable: it has no end. */
const ROWS: readonly (readonly [
  rule: string,
  answer: string,
  ...told: [number, string, (boolean | undefined)?] | [string],
])[] = [
  ['a length', `${OK}content-length: 3\r\n\r\nabc`, 200, 'abc', true],
  ['a length of none', `${OK}Content-Length:0\r\n\r\n`, 200, '', true],
  ['less than the length', `${OK}content-length: 3\r\n\r\nab`, 200, 'ab', undefined],
  ['more than the length', `${OK}content-length: 1\r\n\r\nabc`, 200, 'a', false],
  [
    'chunks',
    `${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n`,
    200,
    'abc0123456789',
    true,
  ],
  [
    'chunks with extensions and trailers',
    `${OK}Transfer-Encoding: Chunked\r\n\r\n3;a="b"\r\nabc\r\n0\r\nt: x\r\n\r\n`,
    200,
    'abc',
    true,
  ],
  ['chunks of a coding', `${OK}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 200, '', true],
  ['chunks without end', `${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`, 200, 'abc', undefined],
  ['more than the last chunk', `${OK}transfer-encoding: chunked\r\n\r\n0\r\n\r\nx`, 200, '', false],
  ['up to the end of the connection', `${OK}\r\nabc`, 200, 'abc', false],
  ['a coding that is no chunks', `${OK}transfer-encoding: gzip\r\n\r\nabc`, 200, 'abc', false],
  ['204 has no body', 'HTTP/1.1 204 No Content\r\n\r\n', 204, '', true],
  [
    '304 has no body, whatever its length says',
    'HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n',
    304,
    '',
    true,
  ],
  [
    'an interim answer',
    `HTTP/1.1 103 Early\r\nlink: x\r\n\r\n${OK}content-length: 1\r\n\r\na`,
    200,
    'a',
    true,
  ],
  ['empty lines before it', `\r\n\r\n${OK}content-length: 1\r\n\r\na`, 200, 'a', true],
  ['no reason', 'HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n', 200, '', true],
  ['bytes beyond ASCII in a value', `${OK}x: \xe9\r\ncontent-length: 0\r\n\r\n`, 200, '', true],
  ['Connection: close', `${OK}connection: close\r\ncontent-length: 0\r\n\r\n`, 200, '', false],
  ['among other options', `${OK}connection: x, Close\r\ncontent-length: 0\r\n\r\n`, 200, '', false],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na', 200, 'a', false],
  [
    'HTTP/1.0 that keeps',
    'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\na',
    200,
    'a',
    true,
  ],
  ['lines that end with LF', 'HTTP/1.1 200 OK\ncontent-length: 0\n\n', NOT_HTTP],
  ['a line that goes on in the next', `${OK}x: a\r\n b\r\ncontent-length: 0\r\n\r\n`, NOT_HTTP],
  ['a blank before the colon', `${OK}x : a\r\ncontent-length: 0\r\n\r\n`, NOT_HTTP],
  ['a line without a colon', `${OK}xyz\r\ncontent-length: 0\r\n\r\n`, NOT_HTTP],
  ['a control character', `${OK}x: a\x01b\r\ncontent-length: 0\r\n\r\n`, NOT_HTTP],
  ['two lengths', `${OK}content-length: 0\r\ncontent-length: 0\r\n\r\n`, NOT_HTTP],
  ['a length and chunks', `${OK}content-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, NOT_HTTP],
  ['a length that is no number', `${OK}content-length: +3\r\n\r\nabc`, NOT_HTTP],
  ['a length beyond all numbers', `${OK}content-length: 99999999999999999999999\r\n\r\nabc`, NOT_HTTP],
  ['a status of four digits', 'HTTP/1.1 1000 OK\r\ncontent-length: 0\r\n\r\n', NOT_HTTP],
  ['another version', 'HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n', NOT_HTTP],
  ['something else', 'SSH-2.0-OpenSSH_9.2\r\n', NOT_HTTP],
];
/** Answers whose head is good, so that Node tells of it before it tells of the fault. */
const LATE: typeof ROWS = [
  ['a size that is no number', `${OK}transfer-encoding: chunked\r\n\r\nzz\r\n`, NOT_HTTP],
  ['more than the size', `${OK}transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n`, NOT_HTTP],
  ['sizes that end with LF', `${OK}transfer-encoding: chunked\r\n\r\n3\nabc\n0\n\n`, NOT_HTTP],
];
const TOO_LONG_ROWS: typeof ROWS = [
  ['headers', `${OK}x: ${'y'.repeat(20_000)}\r\ncontent-length: 0\r\n\r\n`, TOO_LONG],
  ['a line without end', `HTTP/1.1 200 ${'y'.repeat(20_000)}`, TOO_LONG],
  ['an extension of a chunk', `${OK}transfer-encoding: chunked\r\n\r\n3;${'y'.repeat(20_000)}\r\n`, TOO_LONG],
  [
    'trailers',
    `${OK}transfer-encoding: chunked\r\n\r\n0\r\n${`x: ${'y'.repeat(900)}\r\n`.repeat(20)}\r\n`,
    TOO_LONG,
  ],
];

const wanted = ([first, body, isReusable]: readonly (string | number | boolean | undefined)[]): Told =>
  typeof first === 'string'
    ? { error: first }
    : { status: Number(first), body: String(body), isReusable: isReusable as boolean | undefined };

describe('an answer', () => {
  for (const [rule, answer, ...told] of [...ROWS, ...LATE, ...TOO_LONG_ROWS]) {
    const bytes = Buffer.from(answer, 'latin1');
    it(rule, () => expect(tell([bytes])).toEqual(wanted(told)));

    it(`${rule}, byte by byte`, () => {
      // What follows an answer in the same piece alone is seen with it.
      const isMore = told[2] === false && /more than/.test(rule);
      const pieces = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
      expect(tell(pieces)).toEqual(isMore ? { ...wanted(told), isReusable: true } : wanted(told));
    });
  }

  it('to HEAD has no body', () => {
    const head = Buffer.from(`${OK}content-length: 5\r\n\r\n`);
    expect(tell([head], 'HEAD')).toEqual({ status: 200, body: '', isReusable: true });
  });

  it('tells nothing after it was stopped', () => {
    const told: string[] = [];
    const answer = new HttpAnswer('GET', {
      head: () => answer.stop(),
      body: () => told.push('body'),
      end: () => told.push('end'),
    });
    answer.read(Buffer.from(`${OK}content-length: 1\r\n\r\na`));
    expect([answer.finish(), told]).toEqual([false, []]);
  });
});

it('is the same in whatever pieces it comes', () => {
  const rows = [...ROWS, ...LATE].filter(([rule]) => !/more than/.test(rule));
  fc.assert(
    fc.property(
      fc.constantFrom(...rows),
      fc.array(fc.integer({ min: 1, max: 40 })),
      ([, text, ...told], sizes) => {
        const bytes = Buffer.from(text, 'latin1');
        const pieces: Buffer[] = [];
        let off = 0;
        for (const size of sizes) {
          pieces.push(bytes.subarray(off, off + size));
          off += size;
        }
        expect(tell([...pieces, bytes.subarray(off)])).toEqual(wanted(told));
      },
    ),
  );
});

describe('Node agrees', () => {
  /** What Node's own client makes of an answer that is followed by the end of the connection. */
  async function nodeTells(answer: string): Promise<{ status: number; body: string } | 'not HTTP' | 'cut'> {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(Buffer.from(answer, 'latin1')));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      return await new Promise((resolve) => {
        const asked = request({ createConnection: () => connect(port, '127.0.0.1'), port });
        asked.on('error', (error: NodeJS.ErrnoException) =>
          resolve(error.code?.startsWith('HPE_') ? 'not HTTP' : 'cut'),
        );
        asked.on('response', (response) => {
          let body = '';
          response.setEncoding('latin1');
          response.on('data', (text: string) => {
            body += text;
          });
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
          response.on('error', () => resolve('cut'));
        });
        asked.end();
      });
    } finally {
      server.close();
    }
  }

  for (const [rule, answer, ...told] of ROWS) {
    it(rule, async () => {
      const ours = wanted(told);
      const theirs = await nodeTells(answer);
      if ('error' in ours) expect(theirs).toBe('not HTTP');
      else if (ours.isReusable === undefined) expect(theirs).toBe('cut');
      else if (/more than/.test(rule))
        expect(['not HTTP', ours.status]).toContain(typeof theirs === 'string' ? theirs : theirs.status);
      else expect(theirs).toEqual({ status: ours.status, body: ours.body });
    });
  }
});
