import { EOS, HUFFMAN, STATIC_TABLE } from './hpack-tables.js';

export type Header = readonly [name: string, value: string];

/** What is kept of earlier headers: the default of SETTINGS_HEADER_TABLE_SIZE (RFC 9113 §6.5.2). */
const TABLE_BYTES = 4096;
/** What an entry counts besides its name and value (RFC 7541 §4.1). */
const ENTRY_BYTES = 32;
/** No length or index of ours needs more; longer ones are an attack (RFC 7541 §5.1). */
const MAX_INTEGER_BITS = 28;

/** The kinds of a field's first byte (RFC 7541 §6): its mark, and the bits that are left for the number. */
const INDEXED = { mark: 0x80, bits: 7 } as const;
const INCREMENTAL = { mark: 0x40, bits: 6 } as const;
const TABLE_SIZE = { mark: 0x20, bits: 5 } as const;
/** Without indexing, and never indexed: they differ for proxies alone. */
const LITERAL_BITS = 4;
const HUFFMAN_MARK = 0x80;
const LENGTH_BITS = 7;

/** The headers of one direction of one connection: what came before decides what an index means. */
export class HpackDecoder {
  /** Newest first. */
  readonly #dynamic: Header[] = [];
  #bytes = 0;
  #maxBytes = TABLE_BYTES;

  /**
   * A whole header block.
   * @throws Error when it is none
   */
  decode(block: Uint8Array): Header[] {
    const input = new Input(block);
    const headers: Header[] = [];
    while (!input.isAtEnd) {
      const first = input.peek();
      if (first >= INDEXED.mark) headers.push(this.#entry(input.integer(INDEXED.bits)));
      else if (first >= INCREMENTAL.mark) {
        const header = this.#literal(input, INCREMENTAL.bits);
        this.#add(header);
        headers.push(header);
      } else if (first >= TABLE_SIZE.mark) {
        if (headers.length > 0) throw new Error('the size of the header table changes behind a header');
        this.#resize(input.integer(TABLE_SIZE.bits));
      } else headers.push(this.#literal(input, LITERAL_BITS));
    }
    return headers;
  }

  #literal(input: Input, bits: number): Header {
    const index = input.integer(bits);
    const name = index === 0 ? input.text() : this.#entry(index)[0];
    return [name, input.text()];
  }

  #entry(index: number): Header {
    const entry = STATIC_TABLE[index - 1] ?? this.#dynamic[index - 1 - STATIC_TABLE.length];
    if (entry === undefined) throw new Error(`the header table has no entry ${index}`);
    return entry;
  }

  #add(header: Header): void {
    this.#dynamic.unshift(header);
    this.#bytes += sizeOf(header);
    this.#evict();
  }

  #resize(bytes: number): void {
    if (bytes > TABLE_BYTES)
      throw new Error(`a header table of ${bytes} bytes, more than the ${TABLE_BYTES} allowed`);
    this.#maxBytes = bytes;
    this.#evict();
  }

  #evict(): void {
    while (this.#bytes > this.#maxBytes) {
      const oldest = this.#dynamic.pop();
      if (oldest === undefined) return;
      this.#bytes -= sizeOf(oldest);
    }
  }
}

function sizeOf([name, value]: Header): number {
  return name.length + value.length + ENTRY_BYTES;
}

/** The bytes of a block, read once from their beginning. */
class Input {
  readonly #bytes: Uint8Array;
  #off = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#off >= this.#bytes.length;
  }

  peek(): number {
    const byte = this.#bytes[this.#off];
    if (byte === undefined) throw new Error('the headers are cut');
    return byte;
  }

  /** A number in the low bits of a byte and, when they are all set, the bytes behind it (RFC 7541 §5.1). */
  integer(bits: number): number {
    const most = 2 ** bits - 1;
    let value = this.peek() & most;
    this.#off++;
    if (value < most) return value;
    for (let shift = 0; shift < MAX_INTEGER_BITS; shift += 7) {
      const byte = this.peek();
      this.#off++;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error('a number in the headers is too long');
  }

  /** RFC 7541 §5.2. */
  text(): string {
    const isHuffman = this.peek() >= HUFFMAN_MARK;
    const length = this.integer(LENGTH_BITS);
    const end = this.#off + length;
    if (end > this.#bytes.length) throw new Error('the headers are cut');
    const bytes = this.#bytes.subarray(this.#off, end);
    this.#off = end;
    return isHuffman ? huffmanText(bytes) : Buffer.from(bytes).toString('latin1');
  }
}

/** The longest padding: one bit less than would be a byte (RFC 7541 §5.2). */
const MAX_PADDING_BITS = 7;

function huffmanText(bytes: Uint8Array): string {
  let text = '';
  let code = 0;
  let bits = 0;
  let row = 0;
  let isPadding = true;
  for (const byte of bytes) {
    for (let mask = 0x80; mask !== 0; mask >>= 1) {
      const isSet = (byte & mask) !== 0;
      code = code * 2 + (isSet ? 1 : 0);
      bits++;
      isPadding &&= isSet;
      const { bits: length, first, symbols } = HUFFMAN[row]!;
      if (bits < length) continue;
      const symbol = symbols[code - first];
      if (symbol === undefined) {
        // The code is longer: no code is the beginning of another.
        row++;
        if (row === HUFFMAN.length) throw new Error('no Huffman code');
        continue;
      }
      if (symbol === EOS) throw new Error('the end of a text in its middle');
      text += String.fromCharCode(symbol);
      code = 0;
      bits = 0;
      row = 0;
      isPadding = true;
    }
  }
  if (bits > MAX_PADDING_BITS || !isPadding) throw new Error('a text ends in the middle of a Huffman code');
  return text;
}

/**
 * Before the first block: the peer's table stays empty. One that allows less than the default would otherwise wait for
 * word that this was heard (RFC 7541 §4.2), whenever it says so.
 */
export const NO_TABLE: Buffer = integer(TABLE_SIZE.mark, TABLE_SIZE.bits, 0);

/**
 * Headers of a request, all without indexing: the peer needs no table for them. Names that the static table has are
 * written as its index.
 */
export function encodeHeaders(headers: readonly Header[]): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of headers) {
    const whole = STATIC_TABLE.findIndex((entry) => entry[0] === name && entry[1] === value) + 1;
    if (whole > 0) {
      parts.push(integer(INDEXED.mark, INDEXED.bits, whole));
      continue;
    }
    const index = STATIC_TABLE.findIndex((entry) => entry[0] === name) + 1;
    parts.push(integer(0, LITERAL_BITS, index));
    if (index === 0) parts.push(...text(name));
    parts.push(...text(value));
  }
  return Buffer.concat(parts);
}

function text(value: string): [Buffer, Buffer] {
  const bytes = Buffer.from(value, 'latin1');
  return [integer(0, LENGTH_BITS, bytes.length), bytes];
}

function integer(mark: number, bits: number, value: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.of(mark | value);
  const bytes = [mark | most];
  let rest = value - most;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.of(...bytes, rest);
}
