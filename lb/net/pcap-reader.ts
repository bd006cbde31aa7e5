import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_FRAME_BYTES,
  BLOCK_INTERFACE,
  BLOCK_OBSOLETE_PACKET,
  BLOCK_SECTION,
  BLOCK_SIMPLE_PACKET,
  BYTE_ORDER_MAGIC,
  type CapturedFrame,
  MAX_RECORD_BYTES,
  NS_PER_SECOND,
  OPTION_COMMENT,
  OPTION_END,
  OPTION_TSOFFSET,
  OPTION_TSRESOL,
  PCAP_HEADER_BYTES,
  PCAP_MAJOR,
  PCAP_MICRO,
  PCAP_NANO,
  PCAP_RECORD_BYTES,
  PcapError,
  type PcapFault,
  pad4,
} from './pcap-format.js';

const MAGIC_BYTES = 4;

/** Reads of a piece of the file in the byte order that its header says, each after its bound was checked. */
class PieceReader {
  littleEndian = true;
  /** Offset of the piece in the file. */
  base = 0;
  bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));

  set(bytes: Uint8Array, base: number): void {
    this.bytes = bytes;
    this.base = base;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(offset: number): number {
    return this.#view.getUint8(offset);
  }

  u16(offset: number): number {
    return this.#view.getUint16(offset, this.littleEndian);
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, this.littleEndian);
  }

  i64(offset: number): bigint {
    return this.#view.getBigInt64(offset, this.littleEndian);
  }

  slice(offset: number, lengthBytes: number): Uint8Array {
    return this.bytes.subarray(offset, offset + lengthBytes);
  }

  fail(code: PcapFault['code'], offset: number, message: string): never {
    const at = this.base + offset;
    throw new PcapError({ code, offset: at }, `capture+${at}: ${message}`);
  }
}

/** What stands at one place of a file: a frame or something else, and where the next begins. */
interface Record {
  readonly frame: CapturedFrame | undefined;
  readonly bytes: number;
}

/** One of the two formats: takes a record at a time. */
interface Format {
  /** @returns the record at the offset; a number where it is not all there: the bytes that it needs */
  read(r: PieceReader, at: number): Record | number;
}

class PcapFormat implements Format {
  readonly #linkType: number;
  readonly #unitNs: bigint;

  /** @param r with the whole file header at its start */
  constructor(r: PieceReader) {
    if (r.u16(4) !== PCAP_MAJOR) r.fail('PCAP_VERSION', 4, `version ${r.u16(4)}.${r.u16(6)}`);
    this.#unitNs = r.u32(0) === PCAP_NANO ? 1n : 1000n;
    // The upper half tells of frame check sequences.
    this.#linkType = r.u32(20) & 0xffff;
  }

  read(r: PieceReader, at: number): Record | number {
    if (r.length - at < PCAP_RECORD_BYTES) return PCAP_RECORD_BYTES;
    const captured = r.u32(at + 8);
    if (captured > MAX_RECORD_BYTES) r.fail('PCAP_BLOCK', at + 8, `frame of ${captured} bytes`);
    const bytes = PCAP_RECORD_BYTES + captured;
    if (r.length - at < bytes) return bytes;
    const timestampNs = BigInt(r.u32(at)) * NS_PER_SECOND + BigInt(r.u32(at + 4)) * this.#unitNs;
    const frame = {
      timestampNs,
      bytes: r.slice(at + PCAP_RECORD_BYTES, captured),
      wireBytes: r.u32(at + 12),
      linkType: this.#linkType,
    };
    return { frame, bytes };
  }
}

interface CaptureInterface {
  readonly linkType: number;
  readonly snapBytes: number;
  /** Units of a timestamp in a second. */
  readonly ticksPerSecond: bigint;
  readonly offsetSeconds: bigint;
}

class PcapngFormat implements Format {
  #interfaces: CaptureInterface[] = [];

  read(r: PieceReader, at: number): Record | number {
    if (r.length - at < BLOCK_FRAME_BYTES) return BLOCK_FRAME_BYTES;
    // The block type of a section header is the same in both byte orders; its magic says which holds.
    const isSection = r.u32(at) === BLOCK_SECTION;
    if (isSection) {
      if (r.u32(at + 8) !== BYTE_ORDER_MAGIC) r.littleEndian = !r.littleEndian;
      if (r.u32(at + 8) !== BYTE_ORDER_MAGIC) r.fail('PCAP_MAGIC', at + 8, 'unknown byte order');
    }
    const type = r.u32(at);
    const bytes = r.u32(at + 4);
    if (bytes < BLOCK_FRAME_BYTES || bytes % 4 !== 0 || bytes > MAX_RECORD_BYTES)
      r.fail('PCAP_BLOCK', at + 4, `block of ${bytes} bytes`);
    if (r.length - at < bytes) return bytes;
    const body = at + 8;
    const end = at + bytes - 4;
    if (r.u32(end) !== bytes) r.fail('PCAP_BLOCK', end, 'the two lengths of a block differ');
    if (isSection) {
      if (end - body < 16 || r.u16(body + 4) !== 1)
        r.fail('PCAP_VERSION', body + 4, 'unknown version of pcapng');
      this.#interfaces = [];
    }
    return { frame: this.#block(r, type, body, end), bytes };
  }

  #block(r: PieceReader, type: number, body: number, end: number): CapturedFrame | undefined {
    if (type === BLOCK_ENHANCED_PACKET) return this.#enhanced(r, body, end);
    if (type === BLOCK_SIMPLE_PACKET) return this.#simple(r, body, end);
    if (type === BLOCK_INTERFACE) this.#interfaces.push(readInterface(r, body, end));
    else if (type === BLOCK_OBSOLETE_PACKET) r.fail('PCAP_BLOCK', body - 8, 'obsolete packet block');
    return undefined;
  }

  #enhanced(r: PieceReader, body: number, end: number): CapturedFrame {
    if (end - body < 20) r.fail('PCAP_BLOCK', body, 'packet block is too short');
    const from = this.#interfaces[r.u32(body)];
    if (from === undefined)
      return r.fail('PCAP_INTERFACE', body, `interface ${r.u32(body)} was not described`);
    const captured = r.u32(body + 12);
    if (body + 20 + captured > end)
      r.fail('PCAP_BLOCK', body + 12, `frame of ${captured} bytes leaves its block`);
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

  #simple(r: PieceReader, body: number, end: number): CapturedFrame {
    const [from] = this.#interfaces;
    if (end - body < 4) r.fail('PCAP_BLOCK', body, 'simple packet block is too short');
    if (from === undefined) return r.fail('PCAP_INTERFACE', body, 'no interface was described');
    const wireBytes = r.u32(body);
    // Its captured length is not written: the smaller of frame and snap length (0: no limit).
    const captured = from.snapBytes === 0 ? wireBytes : Math.min(wireBytes, from.snapBytes);
    if (body + 4 + captured > end) r.fail('PCAP_BLOCK', body, `frame of ${captured} bytes leaves its block`);
    return { timestampNs: 0n, bytes: r.slice(body + 4, captured), wireBytes, linkType: from.linkType };
  }
}

function* readOptions(
  r: PieceReader,
  from: number,
  end: number,
): Generator<{ code: number; at: number; lengthBytes: number }> {
  for (let at = from; at + 4 <= end; ) {
    const code = r.u16(at);
    const lengthBytes = r.u16(at + 2);
    if (code === OPTION_END) return;
    if (at + 4 + lengthBytes > end)
      r.fail('PCAP_BLOCK', at, `option ${code} of ${lengthBytes} bytes leaves its block`);
    yield { code, at: at + 4, lengthBytes };
    at += 4 + pad4(lengthBytes);
  }
}

function readInterface(r: PieceReader, body: number, end: number): CaptureInterface {
  if (end - body < 8) r.fail('PCAP_BLOCK', body, 'interface block is too short');
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

/**
 * Frames of a capture that comes in pieces, as from a pipe: pcap with micro- or nanoseconds in either byte order, or
 * pcapng. What it keeps is the piece in hand and the part of a record that the one before ended in.
 */
export class CaptureParser {
  readonly #r = new PieceReader();
  #format: Format | undefined;
  /** Bytes of the file before the ones in hand. */
  #base = 0;
  #rest: Uint8Array = new Uint8Array(0);
  /** Bytes that the record at the start of the rest has. */
  #wanted = MAGIC_BYTES;

  /**
   * The frames that are whole with this piece; their bytes are views of it.
   * @throws PcapError with the offset in the file, when the frame at fault is reached
   */
  *push(piece: Uint8Array): Generator<CapturedFrame> {
    const bytes = this.#rest.length === 0 ? piece : new Uint8Array(Buffer.concat([this.#rest, piece]));
    const r = this.#r;
    r.set(bytes, this.#base);
    this.#rest = bytes;
    let at = this.#begin();
    while (this.#format !== undefined && at < bytes.length) {
      const record = this.#format.read(r, at);
      if (typeof record === 'number') {
        this.#wanted = record;
        break;
      }
      at += record.bytes;
      if (record.frame !== undefined) yield record.frame;
    }
    // A copy, so that the piece can go.
    this.#rest = bytes.slice(at);
    this.#base += at;
  }

  /** The file ends here. @throws PcapError PCAP_TRUNCATED where that is in the middle of something */
  end(): void {
    const rest = this.#rest.length;
    if (rest === 0 && this.#format !== undefined) return;
    this.#r.base = this.#base;
    this.#r.fail('PCAP_TRUNCATED', 0, `${this.#wanted} bytes are needed, ${rest} are there`);
  }

  /** Read the file's header where that was not done. @returns where records begin in the piece */
  #begin(): number {
    const r = this.#r;
    if (this.#format !== undefined || r.length < MAGIC_BYTES) return 0;
    for (const littleEndian of [true, false]) {
      r.littleEndian = littleEndian;
      const magic = r.u32(0);
      if (magic === BLOCK_SECTION) {
        this.#format = new PcapngFormat();
        return 0;
      }
      if (magic !== PCAP_MICRO && magic !== PCAP_NANO) continue;
      this.#wanted = PCAP_HEADER_BYTES;
      if (r.length < PCAP_HEADER_BYTES) return 0;
      this.#format = new PcapFormat(r);
      return PCAP_HEADER_BYTES;
    }
    return r.fail('PCAP_MAGIC', 0, 'neither pcap nor pcapng');
  }
}

/**
 * Frames of a whole capture, one at a time.
 * @throws PcapError with the offset, when the frame at fault is reached
 */
export function* readCapture(bytes: Uint8Array): Generator<CapturedFrame> {
  const parser = new CaptureParser();
  yield* parser.push(bytes);
  parser.end();
}
