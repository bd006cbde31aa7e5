import { connect } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeHeaders, type Header, HpackDecoder } from './hpack.js';
import { HUFFMAN, STATIC_TABLE } from './hpack-tables.js';
import { FRAME, FrameReader, PREFACE, unpadded } from './http2-frames.js';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

it('the tables are whole', () => {
  expect(STATIC_TABLE).toHaveLength(61);
  const symbols = HUFFMAN.flatMap((row) => row.symbols);
  expect([...symbols].sort((a, b) => a - b)).toEqual(Array.from({ length: 257 }, (_, i) => i));
  // Kraft: the codes are used up, so that no bits are without a meaning.
  const used = HUFFMAN.reduce((sum, { bits, symbols }) => sum + symbols.length / 2 ** bits, 0);
  expect(used).toBe(1);
});

/** RFC 7541, Appendix C: blocks of one connection after the other → headers. */
const EXAMPLES: readonly (readonly [
  section: string,
  ...blocks: (readonly [block: string, ...headers: Header[]])[],
])[] = [
  [
    'C.2.1',
    ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', ['custom-key', 'custom-header']],
  ],
  ['C.2.2', ['040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path']]],
  ['C.2.3', ['1008 7061 7373 776f 7264 0673 6563 7265 74', ['password', 'secret']]],
  ['C.2.4', ['82', [':method', 'GET']]],
  [
    'C.4',
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'www.example.com'],
    ],
    [
      '8286 84be 5886 a8eb 1064 9cbf',
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'www.example.com'],
      ['cache-control', 'no-cache'],
    ],
    [
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/index.html'],
      [':authority', 'www.example.com'],
      ['custom-key', 'custom-value'],
    ],
  ],
  [
    // A table of 256 bytes, which is said in the first block: the later ones evict.
    'C.6',
    [
      `3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad
       1718 63c7 8f0b 97c8 e9ae 82ae 43d3`.replaceAll(/\s/g, ''),
      [':status', '302'],
      ['cache-control', 'private'],
      ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
      ['location', 'https://www.example.com'],
    ],
    [
      '4883 640e ffc1 c0bf',
      [':status', '307'],
      ['cache-control', 'private'],
      ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
      ['location', 'https://www.example.com'],
    ],
    [
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335
       dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`.replaceAll(
        /\s/g,
        '',
      ),
      [':status', '200'],
      ['cache-control', 'private'],
      ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
      ['location', 'https://www.example.com'],
      ['content-encoding', 'gzip'],
      ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
    ],
  ],
];
for (const [section, ...blocks] of EXAMPLES) {
  it(`RFC 7541, ${section}`, () => {
    const decoder = new HpackDecoder();
    for (const [block, ...headers] of blocks) expect(decoder.decode(hex(block))).toEqual(headers);
  });
}

describe('a block that is none', () => {
  const rows: readonly [rule: string, block: string, error: RegExp][] = [
    ['an index of nothing', '80', /no entry 0/],
    ['an index beyond the table', 'be', /no entry 62/],
    ['a number that is cut', 'ff', /cut/],
    ['a number without end', 'ff ff ff ff ff ff ff', /too long/],
    ['a name that is cut', '00 05 61', /cut/],
    ['a value that is cut', '00 01 61 02 62', /cut/],
    ['a value that is missing', '00 01 61', /cut/],
    ['a table larger than was allowed', '3f e2 1f', /4097 bytes/],
    ['a size of the table behind a header', '82 20', /behind a header/],
    ['padding of a byte', '00 01 61 82 1f ff', /middle of a Huffman code/],
    ['padding with zeros', '00 01 61 81 18', /middle of a Huffman code/],
    ['the end of a text within it', '00 01 61 84 ff ff ff ff', /end of a text/],
  ];
  for (const [rule, block, error] of rows) {
    it(rule, () => expect(() => new HpackDecoder().decode(hex(block))).toThrow(error));
  }
});

it('what is written is read again', () => {
  const text = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 300,
  });
  const name = fc.oneof(text, fc.constantFrom(...STATIC_TABLE.map(([known]) => known)));
  const header = fc.tuple(name, text);
  fc.assert(
    fc.property(fc.array(header), (headers) => {
      expect(new HpackDecoder().decode(encodeHeaders(headers))).toEqual(headers);
    }),
  );
});

it('what Node writes is read, with Huffman codes and its table: every character that a header may have', async () => {
  const characters = Array.from({ length: 0x7f - 0x21 }, (_, i) => String.fromCharCode(0x21 + i)).join('');
  const headers = { 'x-all': characters, 'x-empty': '', etag: 'a b' };
  const seen: Header[][] = [];
  const server = createServer((socket) => {
    const reader = new FrameReader();
    const decoder = new HpackDecoder();
    let preface = PREFACE.length;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const skipped = Math.min(preface, chunk.length);
      preface -= skipped;
      for (const frame of reader.read(chunk.subarray(skipped)))
        if (frame.type === FRAME.headers) seen.push(decoder.decode(unpadded(frame)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on('error', () => {});
  for (let i = 0; i < 2; i++) client.request({ ':path': '/', ...headers }).on('error', () => {});
  await expect.poll(() => seen.length, { timeout: 5000 }).toBe(2);
  for (const block of seen) expect(block).toEqual(expect.arrayContaining(Object.entries(headers)));
  client.destroy();
  server.close();
});
