import { encodeHeaders, type Header, HpackDecoder, NO_TABLE } from './hpack.js';
import {
  decodeSettings,
  encodeFrame,
  encodeSettings,
  encodeUint32,
  FLAG,
  FRAME,
  type Frame,
  FrameReader,
  MAX_31_BITS,
  PREFACE,
  SETTING,
  unpadded,
  WINDOW_BYTES,
} from './http2-frames.js';
import type { Wire, WireListener } from './wire.js';

/** What a call hears. After `end`, `reset`, `closed` and `error` it hears nothing more. */
export interface CallListener {
  /** The head of the answer: status of HTTP and headers. */
  answer(status: number, headers: readonly Header[]): void;
  /** Part of the body, good until the call returns. */
  data(chunk: Buffer): void;
  trailers(headers: readonly Header[]): void;
  /** The answer is whole. */
  end(): void;
  /** The server gave the call up, with an error code of RFC 9113 §7. */
  reset(code: number): void;
  /** The server takes no more calls; `isTaken`: it goes on with this one. */
  goaway(code: number, isTaken: boolean): void;
  /** The connection ended. */
  closed(): void;
  error(error: unknown): void;
}

interface Call {
  readonly stream: number;
  readonly listener: CallListener;
  isAnswered: boolean;
}

/** A header block that goes on in CONTINUATION frames. */
interface Block {
  readonly stream: number;
  readonly flags: number;
  readonly parts: Buffer[];
  bytes: number;
}

/** Compressed headers that are taken of one answer. */
const MAX_HEADER_BYTES = 16_384;
/**
 * Frames for one call, and until the next one: many times what a server sends that asks every ten seconds whether we
 * live. Without a bound one could keep this process busy, or fill its memory with answers that nobody takes.
 */
const MAX_FRAMES = 10_000;
const SETTINGS = encodeSettings([[SETTING.enablePush, 0]]);
const NOTHING = Buffer.alloc(0);

/**
 * The client's side of a connection of HTTP/2 (RFC 9113), one call at a time, each of which fits a frame. It is ours
 * because node:http2 takes more than 100 µs for a connection of one call, most of it for the session and its streams, and
 * because what breaks the protocol behind an answer can end its process (an assertion of nghttp2).
 */
export class Http2Connection implements WireListener {
  readonly #wire: Wire;
  readonly #reader = new FrameReader();
  readonly #hpack = new HpackDecoder();
  #call: Call | undefined;
  #block: Block | undefined;
  #nextStream = 1;
  #isGreeted = false;
  #isLeaving = false;
  /** Since the last call began. */
  #frames = 0;
  /** What the server allows. */
  #maxStreams = MAX_31_BITS;
  #streamWindow = WINDOW_BYTES;
  #sendWindow = WINDOW_BYTES;
  /** Bytes of bodies since the server was last told that they are read. */
  #unacknowledged = 0;
  /** Frames that answer the server's, sent together. */
  #replies: Buffer[] = [];

  constructor(wire: Wire) {
    this.#wire = wire;
    wire.listener = this;
  }

  get isOpen(): boolean {
    return this.#wire.isOpen;
  }

  /** What there is not yet of the connection, in words; '': it stands. */
  get missing(): string {
    return this.#wire.missing;
  }

  /** Whether the server would take one more call with a body of so many bytes now. */
  canCall(bodyBytes: number): boolean {
    return (
      this.isOpen &&
      !this.#isLeaving &&
      this.#call === undefined &&
      this.#maxStreams > 0 &&
      this.#nextStream <= MAX_31_BITS &&
      bodyBytes <= Math.min(this.#streamWindow, this.#sendWindow)
    );
  }

  /** Ask. `canCall` said yes, or it is the first call. */
  call(headers: readonly Header[], body: Buffer, listener: CallListener): void {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#sendWindow -= body.length;
    this.#call = { stream, listener, isAnswered: false };
    this.#frames = 0;
    const isFirst = stream === 1;
    const greeting = isFirst ? [PREFACE, encodeFrame(FRAME.settings, 0, 0, SETTINGS)] : [];
    const block = encodeHeaders(headers);
    this.#wire.write(
      Buffer.concat([
        ...greeting,
        encodeFrame(
          FRAME.headers,
          FLAG.endHeaders,
          stream,
          isFirst ? Buffer.concat([NO_TABLE, block]) : block,
        ),
        encodeFrame(FRAME.data, FLAG.endStream, stream, body),
      ]),
    );
  }

  /** Idempotent. */
  close(): void {
    this.#call = undefined;
    this.#wire.close();
  }

  data(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.read(chunk)) {
        this.#receive(frame);
        if (!this.isOpen) return;
      }
    } catch (error) {
      const rule = error instanceof Error ? error.message : String(error);
      this.error(
        new Error(this.#isGreeted ? `the answer breaks HTTP/2: ${rule}` : 'the answer is not HTTP/2'),
      );
      return;
    }
    if (this.#replies.length === 0) return;
    this.#wire.write(Buffer.concat(this.#replies));
    this.#replies = [];
  }

  end(): void {
    this.#finish((listener) => listener.closed());
  }

  error(error: unknown): void {
    this.#finish((listener) => listener.error(error));
  }

  /** The connection is of no use any more; without a call nobody minds. */
  #finish(say: (listener: CallListener) => void): void {
    const call = this.#call;
    this.close();
    if (call !== undefined) say(call.listener);
  }

  #receive(frame: Frame): void {
    const { type, flags, stream, payload } = frame;
    this.#frames++;
    if (this.#frames > MAX_FRAMES) throw new Error(`more than ${MAX_FRAMES} frames for one call`);
    if (!this.#isGreeted) {
      if (type !== FRAME.settings || (flags & FLAG.ack) !== 0) throw new Error('no SETTINGS first');
      this.#isGreeted = true;
    }
    if (this.#block !== undefined && (type !== FRAME.continuation || stream !== this.#block.stream))
      throw new Error('headers that do not go on');
    switch (type) {
      case FRAME.data:
        this.#body(frame);
        break;
      case FRAME.headers:
        this.#headers({ stream, flags, parts: [], bytes: 0 }, flags, unpadded(frame));
        break;
      case FRAME.continuation:
        if (this.#block === undefined) throw new Error('CONTINUATION of nothing');
        this.#headers(this.#block, flags, payload);
        break;
      case FRAME.rstStream:
        this.#reset(stream, payload);
        break;
      case FRAME.settings:
        this.#settings(stream, flags, payload);
        break;
      case FRAME.pushPromise:
        throw new Error('PUSH_PROMISE, which was ruled out');
      case FRAME.ping:
        if (stream !== 0 || payload.length !== 8) throw new Error('a PING that is none');
        if ((flags & FLAG.ack) === 0) this.#replies.push(encodeFrame(FRAME.ping, FLAG.ack, 0, payload));
        break;
      case FRAME.goaway:
        this.#goaway(stream, payload);
        break;
      case FRAME.windowUpdate:
        this.#windowUpdate(stream, payload);
        break;
      default:
        // PRIORITY, and what later versions have (RFC 9113 §4.1).
        break;
    }
  }

  #body(frame: Frame): void {
    const { stream, flags, payload } = frame;
    this.#unacknowledged += payload.length;
    // Half of it is left: no answer waits for the update.
    if (this.#unacknowledged > WINDOW_BYTES / 2) {
      this.#replies.push(encodeFrame(FRAME.windowUpdate, 0, 0, encodeUint32(this.#unacknowledged)));
      this.#unacknowledged = 0;
    }
    const call = this.#callOf(stream);
    if (call === undefined) return;
    if (!call.isAnswered) throw new Error('a body without headers');
    call.listener.data(unpadded(frame));
    if ((flags & FLAG.endStream) !== 0) this.#ended(call);
  }

  #headers(block: Block, flags: number, part: Buffer): void {
    block.parts.push(Buffer.from(part));
    block.bytes += part.length;
    if (block.bytes > MAX_HEADER_BYTES) throw new Error(`headers of more than ${MAX_HEADER_BYTES} bytes`);
    this.#block = (flags & FLAG.endHeaders) === 0 ? block : undefined;
    if (this.#block !== undefined) return;
    // Also of a call that is over: the table of headers goes on.
    const headers = this.#hpack.decode(Buffer.concat(block.parts));
    const call = this.#callOf(block.stream);
    if (call === undefined) return;
    const isEnd = (block.flags & FLAG.endStream) !== 0;
    if (call.isAnswered) {
      if (!isEnd) throw new Error('trailers that do not end the answer');
      call.listener.trailers(headers);
    } else {
      const status = statusOf(headers);
      // RFC 9113 §8.1: interim answers come before the answer.
      if (status < 200 && !isEnd) return;
      call.isAnswered = true;
      call.listener.answer(status, headers);
    }
    if (isEnd) this.#ended(call);
  }

  /** Call of a stream; undefined: it is over. */
  #callOf(stream: number): Call | undefined {
    // The server opens none, and answers none that we did not open.
    if (stream % 2 === 0 || stream >= this.#nextStream) throw new Error(`stream ${stream} was not opened`);
    return this.#call?.stream === stream ? this.#call : undefined;
  }

  /** Unless the listener closed the connection meanwhile. */
  #ended(call: Call): void {
    if (this.#call !== call) return;
    this.#call = undefined;
    call.listener.end();
  }

  #reset(stream: number, payload: Buffer): void {
    if (payload.length !== 4) throw new Error(`RST_STREAM of ${payload.length} bytes`);
    const call = this.#callOf(stream);
    if (call === undefined) return;
    this.#call = undefined;
    call.listener.reset(payload.readUInt32BE(0));
  }

  #settings(stream: number, flags: number, payload: Buffer): void {
    if (stream !== 0) throw new Error('SETTINGS of a stream');
    if ((flags & FLAG.ack) !== 0) return;
    for (const [id, value] of decodeSettings(payload)) {
      if (id === SETTING.maxConcurrentStreams) this.#maxStreams = value;
      else if (id === SETTING.initialWindowSize) {
        if (value > MAX_31_BITS) throw new Error(`a window of ${value} bytes`);
        this.#streamWindow = value;
      } else if (id === SETTING.enablePush && value !== 0) throw new Error(`ENABLE_PUSH of ${value}`);
    }
    this.#replies.push(encodeFrame(FRAME.settings, FLAG.ack, 0, NOTHING));
  }

  #goaway(stream: number, payload: Buffer): void {
    if (stream !== 0 || payload.length < 8) throw new Error('a GOAWAY that is none');
    this.#isLeaving = true;
    const call = this.#call;
    const last = payload.readUInt32BE(0) & MAX_31_BITS;
    if (call === undefined) this.close();
    else call.listener.goaway(payload.readUInt32BE(4), call.stream <= last);
  }

  #windowUpdate(stream: number, payload: Buffer): void {
    if (payload.length !== 4) throw new Error(`WINDOW_UPDATE of ${payload.length} bytes`);
    // A stream's window is of no interest: the call was sent whole.
    if (stream !== 0) this.#callOf(stream);
    else this.#sendWindow += payload.readUInt32BE(0) & MAX_31_BITS;
  }
}

function statusOf(headers: readonly Header[]): number {
  const text = headers.find(([name]) => name === ':status')?.[1] ?? '';
  if (!/^[1-5]\d\d$/.test(text)) throw new Error(`an answer with status ${JSON.stringify(text)}`);
  return Number(text);
}
