/** Tags, tunnels and IPv6 extension headers around packets, and what is left when they are taken off. */

import { checksum16 } from '../../lb/net/checksum.js';
import {
  be16,
  concat,
  type Endpoints,
  ETHERTYPE,
  frameOf,
  ipv4,
  ipv6,
  isIpv6,
  PROTOCOL,
  udp,
} from './packets.js';

/** A tag: its Ethernet type and its control word (priority, drop eligible, VLAN). */
export interface Tag {
  readonly type?: number;
  readonly control: number;
}

/** A frame with tags in front of its type, the outer one first (IEEE 802.1Q §9.5, 802.1ad). */
export function tagged(frame: Uint8Array, ...tags: readonly Tag[]): Uint8Array {
  const words = tags.map(({ type = ETHERTYPE.vlan, control }) => concat(be16(type), be16(control)));
  return concat(frame.subarray(0, 12), ...words, frame.subarray(12));
}

export interface TunnelFields {
  readonly src: string;
  readonly dst: string;
  readonly ttl?: number;
  readonly tos?: number;
}

const versionOf = (packet: Uint8Array): number => packet[0]! >> 4;

function outerPacket(
  { src, dst, ttl = 61, tos = 0 }: TunnelFields,
  protocol: number,
  payload: Uint8Array,
): Uint8Array {
  return isIpv6(dst)
    ? ipv6({ src, dst, nextHeader: protocol, hopLimit: ttl, trafficClass: tos }, payload)
    : ipv4({ src, dst, protocol, ttl, tos }, payload);
}

/** IP in IP (RFC 2003, RFC 2473, RFC 4213): a packet of either family in one of either. */
export const ipipPacket = (outer: TunnelFields, inner: Uint8Array): Uint8Array =>
  outerPacket(outer, versionOf(inner) === 6 ? PROTOCOL.ipv6 : PROTOCOL.ipip, inner);
export const ipipFrame = (outer: TunnelFields, inner: Uint8Array): Uint8Array =>
  frameOf(ipipPacket(outer, inner));

/** GUE variant 1 (draft-ietf-intarea-gue §5.1): the packet follows UDP at once. */
export const guePacket = (outer: TunnelFields, inner: Uint8Array, port = 6080, sport = 31000): Uint8Array =>
  outerPacket(outer, PROTOCOL.udp, udp({ ...outer, sport, dport: port }, inner));
export const gueFrame = (outer: TunnelFields, inner: Uint8Array, port?: number): Uint8Array =>
  frameOf(guePacket(outer, inner, port));

/** A packet with another TTL or hop limit, and the checksum that goes with it. */
export function withTtl(packet: Uint8Array, ttl: number): Uint8Array {
  const copy = Uint8Array.from(packet);
  if (versionOf(packet) === 6) {
    copy[7] = ttl;
    return copy;
  }
  copy[8] = ttl;
  copy.set(be16(0), 10);
  copy.set(be16(checksum16(copy.subarray(0, (copy[0]! & 15) * 4))), 10);
  return copy;
}

/** A packet after one hop. */
export const hopped = (packet: Uint8Array): Uint8Array =>
  withTtl(packet, packet[versionOf(packet) === 6 ? 7 : 8]! - 1);

/** Extension headers of IPv6 (RFC 8200 §4) by next-header number, each 8 bytes of padding. */
export const EXTENSION = { hopByHop: 0, routing: 43, destination: 60 } as const;

/** An IPv6 packet with one extension header in front of its transport. */
export function extended(
  ends: Endpoints,
  extension: keyof typeof EXTENSION,
  protocol: number,
  transport: Uint8Array,
): Uint8Array {
  const header = Uint8Array.of(protocol, 0, 1, 4, 0, 0, 0, 0);
  return ipv6({ ...ends, nextHeader: EXTENSION[extension] }, concat(header, transport));
}
