import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_FRAME_BYTES,
  BLOCK_INTERFACE,
  BLOCK_SECTION,
  BYTE_ORDER_MAGIC,
  type CaptureWriter,
  type FrameToWrite,
  LINKTYPE_ETHERNET,
  NS_PER_SECOND,
  OPTION_COMMENT,
  OPTION_TSRESOL,
  PCAP_HEADER_BYTES,
  PCAP_MAJOR,
  PCAP_MINOR,
  PCAP_NANO,
  PCAP_RECORD_BYTES,
  pad4,
} from './pcap-format.js';

/** Snap length of what is written: no frame is cut (the limit of libpcap). */
const SNAP_BYTES = 262144;

/** Writes a classic pcap file with nanoseconds, little endian. */
export class PcapWriter implements CaptureWriter {
  readonly #linkType: number;
  /** The second of the frame before, which is mostly that of the next one. */
  #second = 0;
  #secondNs = 0n;

  /** @param linkType of every frame */
  constructor(linkType: number = LINKTYPE_ETHERNET) {
    this.#linkType = linkType;
  }

  /** The file header. */
  header(): Uint8Array {
    const bytes = new Uint8Array(PCAP_HEADER_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, PCAP_NANO, true);
    view.setUint16(4, PCAP_MAJOR, true);
    view.setUint16(6, PCAP_MINOR, true);
    view.setUint32(16, SNAP_BYTES, true);
    view.setUint32(20, this.#linkType, true);
    return bytes;
  }

  /** One record. Its comment has no place in this format. */
  frame(frame: FrameToWrite): Uint8Array {
    const record = Buffer.alloc(PCAP_RECORD_BYTES + frame.bytes.length);
    this.writeInto(record, 0, frame);
    return new Uint8Array(record);
  }

  writeInto(out: Buffer, at: number, { timestampNs, bytes, wireBytes = bytes.length }: FrameToWrite): number {
    let nanoseconds = timestampNs - this.#secondNs;
    if (nanoseconds < 0n || nanoseconds >= NS_PER_SECOND) {
      const second = timestampNs / NS_PER_SECOND;
      this.#second = Number(BigInt.asUintN(32, second));
      this.#secondNs = second * NS_PER_SECOND;
      nanoseconds = timestampNs - this.#secondNs;
    }
    out.writeUInt32LE(this.#second, at);
    out.writeUInt32LE(Number(nanoseconds), at + 4);
    out.writeUInt32LE(bytes.length, at + 8);
    out.writeUInt32LE(wireBytes, at + 12);
    out.set(bytes, at + PCAP_RECORD_BYTES);
    return at + PCAP_RECORD_BYTES + bytes.length;
  }
}

/** Writes a pcapng section of one interface with nanoseconds. */
export class PcapngWriter implements CaptureWriter {
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
    return new Uint8Array(Buffer.concat([block(BLOCK_SECTION, section), block(BLOCK_INTERFACE, face)]));
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

  writeInto(out: Buffer, at: number, frame: FrameToWrite): number {
    const bytes = this.frame(frame);
    out.set(bytes, at);
    return at + bytes.length;
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

function whole(writer: CaptureWriter, frames: Iterable<FrameToWrite>): Uint8Array {
  return new Uint8Array(Buffer.concat([writer.header(), ...[...frames].map((frame) => writer.frame(frame))]));
}

/** A whole pcapng file of the frames. */
export function writePcapng(
  frames: Iterable<FrameToWrite>,
  linkType: number = LINKTYPE_ETHERNET,
): Uint8Array {
  return whole(new PcapngWriter(linkType), frames);
}

/** A whole pcap file of the frames. */
export function writePcap(frames: Iterable<FrameToWrite>, linkType: number = LINKTYPE_ETHERNET): Uint8Array {
  return whole(new PcapWriter(linkType), frames);
}
