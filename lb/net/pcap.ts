import { CodedError, type Fault } from '../errors.js';

// Captures: classic pcap (draft-ietf-opsawg-pcap, §4 and §5) and pcapng (draft-ietf-opsawg-pcapng, §4).
const PCAP_MICRO = 0xa1b2c3d4;
const PCAP_NANO = 0xa1b23c4d;
const PCAP_HEADER_BYTES = 24;
const PCAP_RECORD_BYTES = 16;
const PCAP_MAJOR = 2;

const BLOCK_SECTION = 0x0a0d0d0a;
const BLOCK_INTERFACE = 1;
/** Obsolete Packet Block: it holds a frame, so it is refused and not passed over. */
const BLOCK_OBSOLETE_PACKET = 2;
const BLOCK_SIMPLE_PACKET = 3;
const BLOCK_ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const BLOCK_FRAME_BYTES = 12;
const OPTION_END = 0;
const OPTION_COMMENT = 1;
const OPTION_TSRESOL = 9;
const OPTION_TSOFFSET = 14;
const NS_PER_SECOND = 1_000_000_000n;

const pad4 = (bytes: number): number => (bytes + 3) & ~3;

/** LINKTYPE_ETHERNET of the link-layer header types registry. */
export const LINKTYPE_ETHERNET = 1;

export interface PcapFault extends Fault {
  readonly code: 'PCAP_TRUNCATED' | 'PCAP_MAGIC' | 'PCAP_VERSION' | 'PCAP_BLOCK' | 'PCAP_INTERFACE';
  /** Offset in the file, bytes. */
  readonly offset: number;
}
/** A capture is damaged or of a kind that is not read. */
export class PcapError extends CodedError<PcapFault> {}

/** One frame of a capture. */
export interface CapturedFrame {
  /** Since the epoch, ns; 0 where the capture holds none (simple packet block). */
  readonly timestampNs: bigint;
  /** What was captured, a view of the file. */
  readonly bytes: Uint8Array;
  /** Length of the frame on the wire, bytes; larger than `bytes` when it was cut. */
  readonly wireBytes: number;
  readonly linkType: number;
  /** Comment of the packet (pcapng). */
  readonly comment?: string;
}

function fail(code: PcapFault['code'], offset: number, message: string): never {
  throw new PcapError({ code, offset }, `capture+${offset}: ${message}`);
}

/** Reads of one file in the byte order that its header says, each after its bound was checked. */
class CaptureReader {
  littleEndian = true;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.#bytes.length;
  }

  need(offset: number, needBytes: number): void {
    if (offset + needBytes > this.#bytes.length) {
      fail(
        'PCAP_TRUNCATED',
        offset,
        `${needBytes} bytes are needed, ${this.#bytes.length - offset} are there`,
      );
    }
  }

  u8(offset: number): number {
    this.need(offset, 1);
    return this.#view.getUint8(offset);
  }

  u16(offset: number): number {
    this.need(offset, 2);
    return this.#view.getUint16(offset, this.littleEndian);
  }

  u32(offset: number): number {
    this.need(offset, 4);
    return this.#view.getUint32(offset, this.littleEndian);
  }

  i64(offset: number): bigint {
    this.need(offset, 8);
    return this.#view.getBigInt64(offset, this.littleEndian);
  }

  slice(offset: number, lengthBytes: number): Uint8Array {
    this.need(offset, lengthBytes);
    return this.#bytes.subarray(offset, offset + lengthBytes);
  }
}

function* readPcap(r: CaptureReader): Generator<CapturedFrame> {
  const nanoseconds = r.u32(0) === PCAP_NANO;
  r.need(0, PCAP_HEADER_BYTES);
  if (r.u16(4) !== PCAP_MAJOR) fail('PCAP_VERSION', 4, `version ${r.u16(4)}.${r.u16(6)}`);
  // The upper half tells of frame check sequences.
  const linkType = r.u32(20) & 0xffff;
  for (let at = PCAP_HEADER_BYTES; at < r.length; ) {
    r.need(at, PCAP_RECORD_BYTES);
    const fraction = BigInt(r.u32(at + 4)) * (nanoseconds ? 1n : 1000n);
    const bytes = r.slice(at + PCAP_RECORD_BYTES, r.u32(at + 8));
    yield {
      timestampNs: BigInt(r.u32(at)) * NS_PER_SECOND + fraction,
      bytes,
      wireBytes: r.u32(at + 12),
      linkType,
    };
    at += PCAP_RECORD_BYTES + bytes.length;
  }
}

interface CaptureInterface {
  readonly linkType: number;
  readonly snapBytes: number;
  /** Units of a timestamp in a second. */
  readonly ticksPerSecond: bigint;
  readonly offsetSeconds: bigint;
}

function* readOptions(
  r: CaptureReader,
  from: number,
  end: number,
): Generator<{ code: number; at: number; lengthBytes: number }> {
  for (let at = from; at + 4 <= end; ) {
    const code = r.u16(at);
    const lengthBytes = r.u16(at + 2);
    if (code === OPTION_END) return;
    if (at + 4 + lengthBytes > end)
      fail('PCAP_BLOCK', at, `option ${code} of ${lengthBytes} bytes leaves its block`);
    yield { code, at: at + 4, lengthBytes };
    at += 4 + pad4(lengthBytes);
  }
}

function readInterface(r: CaptureReader, body: number, end: number): CaptureInterface {
  if (end - body < 8) fail('PCAP_BLOCK', body, 'interface block is too short');
  let ticksPerSecond = 1_000_000n;
  let offsetSeconds = 0n;
  for (const { code, at, lengthBytes } of readOptions(r, body + 8, end)) {
    if (code === OPTION_TSRESOL && lengthBytes === 1) {
      const exponent = BigInt(r.u8(at) & 0x7f);
      ticksPerSecond = (r.u8(at) & 0x80) === 0 ? 10n ** exponent : 2n ** exponent;
    } else if (code === OPTION_TSOFFSET && lengthBytes === 8) {
      offsetSeconds = r.i64(at);
    }
  }
  return { linkType: r.u16(body), snapBytes: r.u32(body + 4), ticksPerSecond, offsetSeconds };
}

function readEnhanced(
  r: CaptureReader,
  body: number,
  end: number,
  interfaces: readonly CaptureInterface[],
): CapturedFrame {
  if (end - body < 20) fail('PCAP_BLOCK', body, 'packet block is too short');
  const from = interfaces[r.u32(body)];
  if (from === undefined) return fail('PCAP_INTERFACE', body, `interface ${r.u32(body)} was not described`);
  const captured = r.u32(body + 12);
  if (body + 20 + captured > end)
    fail('PCAP_BLOCK', body + 12, `frame of ${captured} bytes leaves its block`);
  const ticks = (BigInt(r.u32(body + 4)) << 32n) | BigInt(r.u32(body + 8));
  let comment: string | undefined;
  for (const { code, at, lengthBytes } of readOptions(r, body + 20 + pad4(captured), end)) {
    if (code === OPTION_COMMENT) comment ??= new TextDecoder().decode(r.slice(at, lengthBytes));
  }
  return {
    timestampNs: (ticks * NS_PER_SECOND) / from.ticksPerSecond + from.offsetSeconds * NS_PER_SECOND,
    bytes: r.slice(body + 20, captured),
    wireBytes: r.u32(body + 16),
    linkType: from.linkType,
    ...(comment === undefined ? {} : { comment }),
  };
}

function readSimple(
  r: CaptureReader,
  body: number,
  end: number,
  interfaces: readonly CaptureInterface[],
): CapturedFrame {
  const from = interfaces[0];
  if (end - body < 4) fail('PCAP_BLOCK', body, 'simple packet block is too short');
  if (from === undefined) return fail('PCAP_INTERFACE', body, 'no interface was described');
  const wireBytes = r.u32(body);
  // Its captured length is not written: the smaller of frame and snap length (0: no limit).
  const captured = from.snapBytes === 0 ? wireBytes : Math.min(wireBytes, from.snapBytes);
  if (body + 4 + captured > end) fail('PCAP_BLOCK', body, `frame of ${captured} bytes leaves its block`);
  return { timestampNs: 0n, bytes: r.slice(body + 4, captured), wireBytes, linkType: from.linkType };
}

function* readPcapng(r: CaptureReader): Generator<CapturedFrame> {
  let interfaces: CaptureInterface[] = [];
  for (let at = 0; at < r.length; ) {
    r.need(at, BLOCK_FRAME_BYTES);
    // The block type of a section header is the same in both byte orders; its magic says which holds.
    const isSection = r.u32(at) === BLOCK_SECTION;
    if (isSection) {
      if (r.u32(at + 8) !== BYTE_ORDER_MAGIC) r.littleEndian = !r.littleEndian;
      if (r.u32(at + 8) !== BYTE_ORDER_MAGIC) fail('PCAP_MAGIC', at + 8, 'unknown byte order');
      interfaces = [];
    }
    const type = r.u32(at);
    const lengthBytes = r.u32(at + 4);
    if (lengthBytes < BLOCK_FRAME_BYTES || lengthBytes % 4 !== 0)
      fail('PCAP_BLOCK', at + 4, `block of ${lengthBytes} bytes`);
    r.need(at, lengthBytes);
    const body = at + 8;
    const end = at + lengthBytes - 4;
    if (r.u32(end) !== lengthBytes) fail('PCAP_BLOCK', end, 'the two lengths of a block differ');
    if (isSection && (end - body < 16 || r.u16(body + 4) !== 1))
      fail('PCAP_VERSION', body + 4, 'unknown version of pcapng');
    if (type === BLOCK_INTERFACE) interfaces.push(readInterface(r, body, end));
    else if (type === BLOCK_ENHANCED_PACKET) yield readEnhanced(r, body, end, interfaces);
    else if (type === BLOCK_SIMPLE_PACKET) yield readSimple(r, body, end, interfaces);
    else if (type === BLOCK_OBSOLETE_PACKET) fail('PCAP_BLOCK', at, 'obsolete packet block');
    at += lengthBytes;
  }
}

/**
 * Frames of a capture, one at a time: pcap with micro- or nanoseconds in either byte order, or pcapng.
 * @throws PcapError with the offset, when the frame at fault is reached
 */
export function* readCapture(bytes: Uint8Array): Generator<CapturedFrame> {
  const r = new CaptureReader(bytes);
  for (const littleEndian of [true, false]) {
    r.littleEndian = littleEndian;
    const magic = r.u32(0);
    if (magic === BLOCK_SECTION) return yield* readPcapng(r);
    if (magic === PCAP_MICRO || magic === PCAP_NANO) return yield* readPcap(r);
  }
  return fail('PCAP_MAGIC', 0, 'neither pcap nor pcapng');
}

/** A frame to be written. */
export interface FrameToWrite {
  /** Since the epoch, ns. */
  readonly timestampNs: bigint;
  readonly bytes: Uint8Array;
  readonly wireBytes?: number;
  readonly comment?: string;
}

/** Writes a pcapng section of one interface with nanoseconds, piece by piece: `header()`, then `frame()` for each. */
export class PcapngWriter {
  readonly #linkType: number;
  /** @param linkType of every frame */
  constructor(linkType: number = LINKTYPE_ETHERNET) {
    this.#linkType = linkType;
  }

  /** Section header and interface description. */
  header(): Uint8Array {
    const section = new Uint8Array(16);
    const view = new DataView(section.buffer);
    view.setUint32(0, BYTE_ORDER_MAGIC, true);
    view.setUint16(4, 1, true);
    view.setBigInt64(8, -1n, true); // length of the section: not known
    const face = new Uint8Array(8 + 8 + 4);
    const faceView = new DataView(face.buffer);
    faceView.setUint16(0, this.#linkType, true);
    faceView.setUint16(8, OPTION_TSRESOL, true);
    faceView.setUint16(10, 1, true);
    face[12] = 9; // 10^-9 s
    return concat([block(BLOCK_SECTION, section), block(BLOCK_INTERFACE, face)]);
  }

  /** One enhanced packet block. */
  frame({ timestampNs, bytes, wireBytes = bytes.length, comment }: FrameToWrite): Uint8Array {
    const text = comment === undefined ? undefined : new TextEncoder().encode(comment).subarray(0, 0xffff);
    const options = text === undefined ? 0 : 4 + pad4(text.length) + 4;
    const body = new Uint8Array(20 + pad4(bytes.length) + options);
    const view = new DataView(body.buffer);
    view.setUint32(4, Number(timestampNs >> 32n), true);
    view.setUint32(8, Number(timestampNs & 0xffff_ffffn), true);
    view.setUint32(12, bytes.length, true);
    view.setUint32(16, wireBytes, true);
    body.set(bytes, 20);
    if (text !== undefined) {
      const at = 20 + pad4(bytes.length);
      view.setUint16(at, OPTION_COMMENT, true);
      view.setUint16(at + 2, text.length, true);
      body.set(text, at + 4);
    }
    return block(BLOCK_ENHANCED_PACKET, body);
  }
}

function block(type: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(BLOCK_FRAME_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, bytes.length, true);
  bytes.set(body, 8);
  view.setUint32(bytes.length - 4, bytes.length, true);
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A whole pcapng file of the frames. */
export function writePcapng(
  frames: Iterable<FrameToWrite>,
  linkType: number = LINKTYPE_ETHERNET,
): Uint8Array {
  const writer = new PcapngWriter(linkType);
  return concat([writer.header(), ...[...frames].map((frame) => writer.frame(frame))]);
}
