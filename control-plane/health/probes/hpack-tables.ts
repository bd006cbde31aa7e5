/** Tables of HPACK (RFC 7541). */

/** Appendix A: entry i + 1 of the static table, name and value. */
export const STATIC_TABLE: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  ...['200', '204', '206', '304', '400', '404', '500'].map((status) => [':status', status] as const),
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...[
    'accept-language',
    'accept-ranges',
    'accept',
    'access-control-allow-origin',
    'age',
    'allow',
    'authorization',
    'cache-control',
    'content-disposition',
    'content-encoding',
    'content-language',
    'content-length',
    'content-location',
    'content-range',
    'content-type',
    'cookie',
    'date',
    'etag',
    'expect',
    'expires',
    'from',
    'host',
    'if-match',
    'if-modified-since',
    'if-none-match',
    'if-range',
    'if-unmodified-since',
    'last-modified',
    'link',
    'location',
    'max-forwards',
    'proxy-authenticate',
    'proxy-authorization',
    'range',
    'referer',
    'refresh',
    'retry-after',
    'server',
    'set-cookie',
    'strict-transport-security',
    'transfer-encoding',
    'user-agent',
    'vary',
    'via',
    'www-authenticate',
  ].map((name) => [name, ''] as const),
];

/** The symbol that ends a string and must not stand in one (RFC 7541 §5.2). */
export const EOS = 256;

/**
 * Appendix B: the symbols whose codes have so many bits, in the order of their codes. The code is canonical: these
 * rows are all of it. Symbols from 0x20 to 0x7e stand as text, the others as numbers.
 */
const HUFFMAN_ROWS: readonly (readonly [bits: number, ...symbols: (string | number)[]])[] = [
  [5, '012aceiost'],
  [6, ' %-./3456789=A_bdfghlmnpru'],
  [7, ':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz'],
  [8, '&*,;XZ'],
  [10, '!"()?'],
  [11, "'+|"],
  [12, '#>'],
  [13, 0, '$@[]~'],
  [14, '^}'],
  [15, '<`{'],
  [19, '\\', 195, 208],
  [20, 128, 130, 131, 162, 184, 194, 224, 226],
  [21, 153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230],
  [22, 129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187],
  [22, 189, 190, 196, 198, 228, 232, 233],
  [23, 1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168],
  [23, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239],
  [24, 9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237],
  [25, 199, 207, 234, 235],
  [26, 192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255],
  [27, 203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254],
  [28, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31],
  [28, 127, 220, 249],
  [30, 10, 13, 22, EOS],
];

/** Codes of one length. */
export interface HuffmanRow {
  readonly bits: number;
  /** Code of the first symbol; the others' follow. */
  readonly first: number;
  readonly symbols: readonly number[];
}

/** The code by length, shortest first. */
export const HUFFMAN: readonly HuffmanRow[] = canonical();

function canonical(): HuffmanRow[] {
  const rows = new Map<number, number[]>();
  for (const [bits, ...parts] of HUFFMAN_ROWS) {
    const symbols = parts.flatMap((part) =>
      typeof part === 'number' ? [part] : Array.from(part, (letter) => letter.charCodeAt(0)),
    );
    rows.set(bits, [...(rows.get(bits) ?? []), ...symbols]);
  }
  let next = 0;
  let before = 0;
  return Array.from(rows, ([bits, symbols]) => {
    const first = next * 2 ** (bits - before);
    next = first + symbols.length;
    before = bits;
    return { bits, first, symbols };
  });
}
