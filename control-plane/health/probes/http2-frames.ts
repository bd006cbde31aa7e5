/** Frames of HTTP/2 (RFC 9113 §4.1). */

export const FRAME = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags, each of some types alone. */
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

/** RFC 9113 §6.5.2, those that we read or write. */
export const SETTING = { enablePush: 2, maxConcurrentStreams: 3, initialWindowSize: 4 } as const;

/** What a client says first (RFC 9113 §3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const HEADER_BYTES = 9;
/** What both sides may send unless they say otherwise (RFC 9113 §6.5.2). */
export const MAX_FRAME_BYTES = 16_384;
/** A stream's and the connection's, unless they say otherwise (RFC 9113 §6.9.2). */
export const WINDOW_BYTES = 65_535;
/** Of streams and windows: the highest bit is reserved. */
export const MAX_31_BITS = 0x7fffffff;
const SETTING_BYTES = 6;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function encodeFrame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUIntBE(payload.length, 0, 3);
  frame.writeUInt8(type, 3);
  frame.writeUInt8(flags, 4);
  frame.writeUInt32BE(stream, 5);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

/** Payload of a SETTINGS frame. */
export function encodeSettings(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.allocUnsafe(settings.length * SETTING_BYTES);
  for (const [i, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, i * SETTING_BYTES);
    payload.writeUInt32BE(value, i * SETTING_BYTES + 2);
  }
  return payload;
}

/** @throws Error when a payload holds no whole settings */
export function* decodeSettings(payload: Buffer): Iterable<readonly [id: number, value: number]> {
  if (payload.length % SETTING_BYTES !== 0) throw new Error(`SETTINGS of ${payload.length} bytes`);
  for (let off = 0; off < payload.length; off += SETTING_BYTES)
    yield [payload.readUInt16BE(off), payload.readUInt32BE(off + 2)];
}

export function encodeUint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

/**
 * The frame's payload without its padding and priority (RFC 9113 §6.1, §6.2).
 * @throws Error when there is more padding than payload
 */
export function unpadded({ type, flags, payload }: Frame): Buffer {
  const isPadded = (flags & FLAG.padded) !== 0;
  const padBytes = isPadded ? payload[0] : 0;
  let start = isPadded ? 1 : 0;
  // Priority is deprecated and still allowed: a stream and a weight (RFC 9113 §5.3.2).
  if (type === FRAME.headers && (flags & FLAG.priority) !== 0) start += 5;
  if (padBytes === undefined || start + padBytes > payload.length)
    throw new Error(`a frame of ${payload.length} bytes with more padding than that`);
  return payload.subarray(start, payload.length - padBytes);
}

/** Frames out of bytes as they come. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /**
   * The frames that `chunk` makes whole. Their payloads are good until the chunk is changed.
   * @throws Error for a frame longer than is allowed
   */
  *read(chunk: Buffer): Iterable<Frame> {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let off = 0;
    while (bytes.length - off >= HEADER_BYTES) {
      const length = bytes.readUIntBE(off, 3);
      if (length > MAX_FRAME_BYTES) throw new Error(`a frame of ${length} bytes`);
      const end = off + HEADER_BYTES + length;
      if (end > bytes.length) break;
      yield {
        type: bytes.readUInt8(off + 3),
        flags: bytes.readUInt8(off + 4),
        stream: bytes.readUInt32BE(off + 5) & MAX_31_BITS,
        payload: bytes.subarray(off + HEADER_BYTES, end),
      };
      off = end;
    }
    // Copied: the chunk may be the reader's, who fills it again.
    this.#rest = Buffer.from(bytes.subarray(off));
  }
}
