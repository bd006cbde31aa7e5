import { CodedError, type Fault } from '../errors.js';

// Captures: classic pcap (draft-ietf-opsawg-pcap, §4 and §5) and pcapng (draft-ietf-opsawg-pcapng, §4).
export const PCAP_MICRO = 0xa1b2c3d4;
export const PCAP_NANO = 0xa1b23c4d;
export const PCAP_HEADER_BYTES = 24;
export const PCAP_RECORD_BYTES = 16;
export const PCAP_MAJOR = 2;
export const PCAP_MINOR = 4;

export const BLOCK_SECTION = 0x0a0d0d0a;
export const BLOCK_INTERFACE = 1;
/** Obsolete Packet Block: it holds a frame, so it is refused and not passed over. */
export const BLOCK_OBSOLETE_PACKET = 2;
export const BLOCK_SIMPLE_PACKET = 3;
export const BLOCK_ENHANCED_PACKET = 6;
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
export const BLOCK_FRAME_BYTES = 12;
export const OPTION_END = 0;
export const OPTION_COMMENT = 1;
export const OPTION_TSRESOL = 9;
export const OPTION_TSOFFSET = 14;
export const NS_PER_SECOND = 1_000_000_000n;
/** Longest record or block that is read: what is longer is damage, and would only fill the memory. */
export const MAX_RECORD_BYTES = 64 * 2 ** 20;

/** Options and frames of pcapng fill whole words of 4 bytes. */
export const pad4 = (bytes: number): number => (bytes + 3) & ~3;

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

/** A frame to be written. */
export interface FrameToWrite {
  /** Since the epoch, ns. */
  readonly timestampNs: bigint;
  readonly bytes: Uint8Array;
  readonly wireBytes?: number;
  readonly comment?: string;
}

/** Writes a capture piece by piece: `header()` once, then `frame()` or `writeInto()` for each. */
export interface CaptureWriter {
  header(): Uint8Array;
  frame(frame: FrameToWrite): Uint8Array;
  /** The same into a buffer with room for it. @returns where the next one goes */
  writeInto(out: Buffer, at: number, frame: FrameToWrite): number;
}
