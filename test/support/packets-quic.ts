/** Server ids as packets carry them: QUIC connection ids, the stable-routing header, the TCP option. */
import { be16, be32, concat } from './packets.js';

/** Types of QUIC long headers (RFC 9000 §17.2), version 1. */
export const QUIC_TYPES = { initial: 0, zeroRtt: 1, handshake: 2, retry: 3 } as const;
export type QuicType = keyof typeof QUIC_TYPES;

/**
 * A connection id of 8 bytes that carries a server id.
 * @param version 1: 16 bits of id, 2: 24 bits, 3: 32 bits, 0: none
 */
export function connectionId(version: 0 | 1 | 2 | 3, id: number): Uint8Array {
  const cid = Uint8Array.of(version << 6, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07);
  if (version === 1) {
    cid[0]! |= id >>> 10;
    cid[1] = (id >>> 2) & 0xff;
    cid[2] = ((id & 3) << 6) | 0x15;
  } else if (version === 2) {
    cid.set(be32(id).subarray(1), 1);
  } else if (version === 3) {
    cid.set(be32(id), 1);
  }
  return cid;
}

export interface LongHeader {
  readonly type: QuicType;
  /** Destination connection id. */
  readonly cid: Uint8Array;
  /** Version of QUIC; 1 unless given. */
  readonly version?: number;
}
/** A packet with a long header (RFC 9000 §17.2), what is behind the connection ids being noise. */
export function quicLong({ type, cid, version = 1 }: LongHeader): Uint8Array {
  const scid = Uint8Array.of(1, 2, 3, 4);
  return concat(
    Uint8Array.of(0xc0 | (QUIC_TYPES[type] << 4)),
    be32(version),
    Uint8Array.of(cid.length),
    cid,
    Uint8Array.of(scid.length),
    scid,
    new Uint8Array(20).fill(0x5a),
  );
}

/** A packet with a short header (RFC 9000 §17.3). */
export const quicShort = (cid: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(0x41), cid, new Uint8Array(20).fill(0xa5));

/** Payload with a stable-routing header: the marker and an id of 24 bits. */
export const stableRouting = (id: number, marker = 0x52): Uint8Array =>
  concat(Uint8Array.of(marker), be32(id).subarray(1), new Uint8Array(12).fill(0x3c));

/** Options of TCP by kind (RFC 9293 §3.2), and the one of server ids. */
export const TCP_OPTION = { end: 0, nop: 1, mss: 2, timestamps: 8, serverId: 0xb7 } as const;

/** The option of server ids: the id in the backend's byte order. */
export const serverIdOption = (id: number, bytes = 6): Uint8Array =>
  concat(Uint8Array.of(TCP_OPTION.serverId, bytes), be32(id).reverse());
export const MSS_OPTION = concat(Uint8Array.of(TCP_OPTION.mss, 4), be16(1460));
export const TIMESTAMPS_OPTION = concat(Uint8Array.of(TCP_OPTION.timestamps, 10), be32(7), be32(8));

/** Options end to end, filled up to a multiple of four bytes. */
export function tcpOptions(...options: readonly Uint8Array[]): Uint8Array {
  const bytes = concat(...options);
  return concat(bytes, new Uint8Array((4 - (bytes.length % 4)) % 4));
}
export const nops = (count: number): Uint8Array => new Uint8Array(count).fill(TCP_OPTION.nop);
