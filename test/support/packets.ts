/**
 * Packets for tests, built field by field from the RFCs and with checksums that are right. Independent of the
 * programs: what a program should have made of a packet is built here too.
 */
import { parseIp } from '../../lb/net/address.js';
import { checksum16, pseudoHeaderSum } from '../../lb/net/checksum.js';

export const ETHERTYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  ipv6: 0x86dd,
  serviceVlan: 0x88a8,
} as const;
export const PROTOCOL = { icmp: 1, ipip: 4, tcp: 6, udp: 17, ipv6: 41, fragment: 44, icmpv6: 58 } as const;
export const TCP_FLAGS = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10 } as const;

export const concat = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
export const be16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
export const be32 = (value: number): Uint8Array => concat(be16(value >>> 16), be16(value & 0xffff));

/** Text of six hexadecimal pairs between colons to bytes. */
export const mac = (text: string): Uint8Array => fromHex(text.replaceAll(':', ''));

/** Ethernet II (IEEE 802.3 §3.2.6), without FCS. */
export function ethernet(dst: Uint8Array, src: Uint8Array, type: number, payload: Uint8Array): Uint8Array {
  return concat(dst, src, be16(type), payload);
}

export interface Ipv4Fields {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly tos?: number;
  readonly ttl?: number;
  readonly id?: number;
  /** Flags and fragment offset, as one word. */
  readonly fragment?: number;
  /** Options, a multiple of 4 bytes. */
  readonly options?: Uint8Array;
  /** In place of the right total length. */
  readonly totalBytes?: number;
}

/** IPv4 (RFC 791 §3.1). */
export function ipv4(fields: Ipv4Fields, payload: Uint8Array): Uint8Array {
  const {
    src,
    dst,
    protocol,
    tos = 0,
    ttl = 61,
    id = 0x1234,
    fragment = 0x4000,
    options = new Uint8Array(),
  } = fields;
  const headerBytes = 20 + options.length;
  const header = concat(
    Uint8Array.of(0x40 | (headerBytes / 4), tos),
    be16(fields.totalBytes ?? headerBytes + payload.length),
    be16(id),
    be16(fragment),
    Uint8Array.of(ttl, protocol, 0, 0),
    parseIp(src).bytes,
    parseIp(dst).bytes,
    options,
  );
  header.set(be16(checksum16(header)), 10);
  return concat(header, payload);
}

export interface Ipv6Fields {
  readonly src: string;
  readonly dst: string;
  readonly nextHeader: number;
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  readonly hopLimit?: number;
  /** In place of the right payload length. */
  readonly payloadBytes?: number;
}

/** IPv6 (RFC 8200 §3). */
export function ipv6(fields: Ipv6Fields, payload: Uint8Array): Uint8Array {
  const { src, dst, nextHeader, trafficClass = 0, flowLabel = 0, hopLimit = 61 } = fields;
  return concat(
    be32(((6 << 28) | (trafficClass << 20) | flowLabel) >>> 0),
    be16(fields.payloadBytes ?? payload.length),
    Uint8Array.of(nextHeader, hopLimit),
    parseIp(src).bytes,
    parseIp(dst).bytes,
    payload,
  );
}

export interface Endpoints {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
}

export const DATA = new TextEncoder().encode('waggle!');

/**
 * TCP (RFC 9293 §3.1), checksum over the pseudo-header of the addresses' family.
 * @param options a multiple of 4 bytes, 40 at most
 */
export function tcp(
  { src, dst, sport, dport }: Endpoints,
  flags: number,
  data: Uint8Array = DATA,
  options: Uint8Array = new Uint8Array(),
): Uint8Array {
  const segment = concat(
    be16(sport),
    be16(dport),
    be32(0x01020304),
    be32(0x05060708),
    Uint8Array.of((5 + options.length / 4) << 4, flags),
    be16(8192),
    be32(0),
    options,
    data,
  );
  const pseudo = pseudoHeaderSum(parseIp(src).bytes, parseIp(dst).bytes, PROTOCOL.tcp, segment.length);
  segment.set(be16(checksum16(segment, pseudo)), 16);
  return segment;
}

/** UDP (RFC 768). */
export function udp({ src, dst, sport, dport }: Endpoints, data: Uint8Array = DATA): Uint8Array {
  const datagram = concat(be16(sport), be16(dport), be16(8 + data.length), be16(0), data);
  const pseudo = pseudoHeaderSum(parseIp(src).bytes, parseIp(dst).bytes, PROTOCOL.udp, datagram.length);
  datagram.set(be16(checksum16(datagram, pseudo) || 0xffff), 6);
  return datagram;
}

/** MAC addresses of the frame that arrives: from a router, to the balancer. */
export const BALANCER_MAC = mac('02:aa:bb:cc:dd:ee');
export const CLIENT_MAC = mac('06:05:04:03:02:01');

/** An IP packet in a frame to the balancer; the family is the packet's. */
export function frameOf(packet: Uint8Array): Uint8Array {
  return ethernet(BALANCER_MAC, CLIENT_MAC, packet[0]! >> 4 === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4, packet);
}

export interface FlowOptions {
  readonly flags?: number;
  readonly tos?: number;
  readonly data?: Uint8Array;
  /** Options of TCP. */
  readonly options?: Uint8Array;
}

export const isIpv6 = (address: string): boolean => address.includes(':');

/** A TCP packet of either family in a frame; ACK unless told otherwise. */
export function tcpFrame(
  ends: Endpoints,
  { flags = TCP_FLAGS.ack, tos = 0, data = DATA, options }: FlowOptions = {},
): Uint8Array {
  return ipFrame(ends, PROTOCOL.tcp, tos, tcp(ends, flags, data, options));
}

/** A UDP packet of either family in a frame. */
export function udpFrame(ends: Endpoints, { tos = 0, data = DATA }: FlowOptions = {}): Uint8Array {
  return ipFrame(ends, PROTOCOL.udp, tos, udp(ends, data));
}

/** Anything in an IP packet of either family in a frame. */
export function ipFrame(
  { src, dst }: Endpoints,
  protocol: number,
  tos: number,
  payload: Uint8Array,
): Uint8Array {
  return frameOf(
    isIpv6(dst)
      ? ipv6({ src, dst, nextHeader: protocol, trafficClass: tos, flowLabel: 0x12345 }, payload)
      : ipv4({ src, dst, protocol, tos }, payload),
  );
}
