/** What an answer tells as it is read. */
export interface AnswerListener {
  /** Status line and headers are there. */
  head(status: number): void;
  /** Part of the body, good until the call returns. */
  body(chunk: Buffer): void;
  /** The answer is whole; `isReusable`: the connection may carry another question. */
  end(isReusable: boolean): void;
}

/** What is taken of status line and headers, of one line of a chunked body, and of its trailers. */
const MAX_HEADER_BYTES = 16_384;
const END_OF_HEAD = '\r\n\r\n';
const CR = 0x0d;
const LF = 0x0a;
/** RFC 9112 §4. Nobody reads the reason: it may be any text. */
const STATUS_LINE = /^HTTP\/(0\.9|1\.0|1\.1|2\.0) ([1-9]\d\d)(?: [^\r\n]*)?$/;
/**
 * RFC 9112 §5: a token, no blank before the colon; no line goes on in the next one (§5.2). Blanks around the value are
 * left in it: a pattern that takes them off needs the square of their number.
 */
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)$/;
/** RFC 9112 §7.1: the size of a chunk, and extensions that nobody wants. Longer sizes are no numbers of ours. */
const CHUNK_LINE =
  /^0*([0-9a-fA-F]{1,13})(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*$/;
/** Of several codings, each behind a comma, the last one says where the body ends. */
const CHUNKED_LAST = /,[ \t]*chunked$/;
const NOT_HTTP = 'the answer is not HTTP';
const TOO_LONG = 'the headers of the answer are too long';

/** Where in an answer the next byte belongs. */
type State =
  | { readonly kind: 'head' | 'until-close' | 'chunk-line' | 'chunk-end' | 'trailers' | 'over' }
  | { readonly kind: 'sized' | 'chunk'; leftBytes: number };

/** What the headers say of the body and of the connection. */
interface Framing {
  readonly status: number;
  readonly body: 'none' | 'chunked' | 'until-close' | { readonly bytes: number };
  readonly isPersistent: boolean;
}

/**
 * One answer of HTTP/1.1 (RFC 9112), read as it comes. It refuses what Node's own client refuses; the few differences are
 * listed by a test that gives both the same answers. It is ours so that a connection with or without TLS, kept or not,
 * belongs to its check: that client wants an agent for those that are kept, and two streams for each answer.
 */
export class HttpAnswer {
  readonly #method: string;
  readonly #listener: AnswerListener;
  #state: State = { kind: 'head' };
  /** The beginning of what is not whole yet: a head or a line. */
  #rest: Buffer = Buffer.alloc(0);
  #trailerBytes = 0;
  #isPersistent = false;

  /** @param method what was asked with: an answer to HEAD has no body */
  constructor(method: string, listener: AnswerListener) {
    this.#method = method;
    this.#listener = listener;
  }

  /**
   * The next bytes.
   * @throws Error when they are not HTTP, or too much of it
   */
  read(chunk: Buffer): void {
    let bytes = chunk;
    while (bytes.length > 0 && this.#state.kind !== 'over') bytes = this.#step(bytes);
  }

  /** The peer says no more. @returns whether the answer is whole so, which `end` has told then */
  finish(): boolean {
    if (this.#state.kind !== 'until-close') return false;
    this.#over(false);
    return true;
  }

  /** Tell nothing more. */
  stop(): void {
    this.#state = { kind: 'over' };
  }

  /** Take some of the bytes. @returns the others */
  #step(bytes: Buffer): Buffer {
    const state = this.#state;
    switch (state.kind) {
      case 'head':
        return this.#head(bytes);
      case 'until-close':
        this.#listener.body(bytes);
        return bytes.subarray(bytes.length);
      case 'sized':
      case 'chunk': {
        const part = bytes.subarray(0, state.leftBytes);
        state.leftBytes -= part.length;
        if (state.leftBytes === 0 && state.kind === 'chunk') this.#state = { kind: 'chunk-end' };
        this.#listener.body(part);
        const others = bytes.subarray(part.length);
        if (state.leftBytes === 0 && this.#state === state) this.#over(others.length === 0);
        return others;
      }
      case 'chunk-line':
      case 'chunk-end':
      case 'trailers':
        return this.#line(bytes, state.kind);
      case 'over':
        return bytes.subarray(bytes.length);
    }
  }

  #head(bytes: Buffer): Buffer {
    const before = this.#rest.length;
    const all = before === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let start = 0;
    // RFC 9112 §2.2: empty lines before a message are passed over.
    while (all[start] === CR || all[start] === LF) start++;
    // What was there before has been searched, but for an end that is cut.
    const end = all.indexOf(END_OF_HEAD, Math.max(start, before - END_OF_HEAD.length), 'latin1');
    if ((end < 0 ? all.length : end) - start > MAX_HEADER_BYTES) throw new Error(TOO_LONG);
    if (end < 0) {
      // What cannot become an answer is told at once: an endless one would only run into the timeout.
      if (!couldBegin(all, start) || hasBareLf(all, Math.max(start, before))) throw new Error(NOT_HTTP);
      this.#rest = Buffer.from(all.subarray(start));
      return all.subarray(all.length);
    }
    this.#rest = Buffer.alloc(0);
    const { status, body, isPersistent } = framingOf(all.toString('latin1', start, end), this.#method);
    const others = all.subarray(end + END_OF_HEAD.length);
    // RFC 9110 §15.2: interim answers come before the answer.
    if (status < 200 && status !== 101) return others;
    this.#isPersistent = isPersistent;
    if (body === 'chunked') this.#state = { kind: 'chunk-line' };
    else if (body === 'until-close') this.#state = { kind: 'until-close' };
    else if (body !== 'none') this.#state = { kind: 'sized', leftBytes: body.bytes };
    this.#listener.head(status);
    if (this.#state.kind === 'head' || (this.#state.kind === 'sized' && this.#state.leftBytes === 0))
      this.#over(others.length === 0);
    return others;
  }

  #line(bytes: Buffer, kind: 'chunk-line' | 'chunk-end' | 'trailers'): Buffer {
    const at = bytes.indexOf(LF);
    const part = at < 0 ? bytes : bytes.subarray(0, at + 1);
    const line = Buffer.concat([this.#rest, part]);
    if (line.length > MAX_HEADER_BYTES) throw new Error(TOO_LONG);
    if (at < 0) {
      this.#rest = line;
      return bytes.subarray(bytes.length);
    }
    this.#rest = Buffer.alloc(0);
    const text = line.toString('latin1');
    if (!text.endsWith('\r\n')) throw new Error(NOT_HTTP);
    const others = bytes.subarray(at + 1);
    this.#lineRead(kind, text.slice(0, -2), others.length === 0);
    return others;
  }

  #lineRead(kind: 'chunk-line' | 'chunk-end' | 'trailers', line: string, isLast: boolean): void {
    if (kind === 'chunk-end') {
      if (line !== '') throw new Error(NOT_HTTP);
      this.#state = { kind: 'chunk-line' };
    } else if (kind === 'chunk-line') {
      const size = CHUNK_LINE.exec(line)?.[1];
      if (size === undefined) throw new Error(NOT_HTTP);
      const leftBytes = Number.parseInt(size, 16);
      this.#state = leftBytes === 0 ? { kind: 'trailers' } : { kind: 'chunk', leftBytes };
    } else if (line === '') this.#over(isLast);
    else {
      this.#trailerBytes += line.length;
      if (this.#trailerBytes > MAX_HEADER_BYTES) throw new Error(TOO_LONG);
      if (!HEADER.test(line)) throw new Error(NOT_HTTP);
    }
  }

  /** @param isLast nothing came behind the answer, which nobody asked for */
  #over(isLast: boolean): void {
    if (this.#state.kind === 'over') return;
    this.#state = { kind: 'over' };
    this.#listener.end(this.#isPersistent && isLast);
  }
}

const BEGINNING = Buffer.from('HTTP/', 'latin1');

function couldBegin(bytes: Buffer, start: number): boolean {
  const length = Math.min(bytes.length - start, BEGINNING.length);
  return bytes.compare(BEGINNING, 0, length, start, start + length) === 0;
}

/** True when a line ends without a CR, from an offset on. */
function hasBareLf(bytes: Buffer, start: number): boolean {
  for (let at = bytes.indexOf(LF, start); at >= 0; at = bytes.indexOf(LF, at + 1))
    if (bytes[at - 1] !== CR) return true;
  return false;
}

/** A value without the blanks around it: String.trim takes bytes off that are none (0xa0). */
function unpaddedValue(text: string): string {
  const isBlank = (at: number) => text[at] === ' ' || text[at] === '\t';
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(start)) start++;
  while (end > start && isBlank(end - 1)) end--;
  return text.slice(start, end);
}

/** @throws Error when it is no head of an answer, or says two things of the body's length */
function framingOf(head: string, method: string): Framing {
  const [first = '', ...lines] = head.split('\r\n');
  const [, version = '', code = ''] = STATUS_LINE.exec(first) ?? [];
  if (code === '') throw new Error(NOT_HTTP);
  const status = Number(code);
  let length: number | undefined;
  let coding: string | undefined;
  let connection = '';
  for (const line of lines) {
    const [, name, padded = ''] = HEADER.exec(line) ?? [];
    if (name === undefined) throw new Error(NOT_HTTP);
    const value = unpaddedValue(padded);
    switch (name.toLowerCase()) {
      case 'content-length':
        // Two of them, and one that is no number, would let the sender and us disagree on what is an answer.
        if (length !== undefined || !/^\d+$/.test(value) || !Number.isSafeInteger(Number(value)))
          throw new Error(NOT_HTTP);
        length = Number(value);
        break;
      case 'transfer-encoding':
        coding ??= '';
        // Empty elements of a list are none (RFC 9110 §5.6.1).
        if (value !== '') coding = `${coding},${value.toLowerCase()}`;
        break;
      case 'connection':
        connection = `${connection},${value.toLowerCase()}`;
        break;
      default:
        break;
    }
  }
  if (length !== undefined && coding !== undefined) throw new Error(NOT_HTTP);
  const says = (option: string) => connection.split(',').some((word) => word.trim() === option);
  const isPersistent = version === '1.1' ? !says('close') : version === '1.0' && says('keep-alive');
  const body = bodyOf({
    length,
    isChunked: CHUNKED_LAST.test(coding ?? ''),
    hasNone: method === 'HEAD' || hasNoBody(status),
  });
  return { status, body, isPersistent: isPersistent && body !== 'until-close' && status !== 101 };
}

/** RFC 9112 §6.3. */
function bodyOf(head: {
  readonly length: number | undefined;
  readonly isChunked: boolean;
  readonly hasNone: boolean;
}): Framing['body'] {
  if (head.hasNone) return 'none';
  if (head.isChunked) return 'chunked';
  return head.length === undefined ? 'until-close' : { bytes: head.length };
}

function hasNoBody(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}
