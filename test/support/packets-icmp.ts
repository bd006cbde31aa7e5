/** ICMP and ICMPv6 for tests: echo, errors with the packet that they are about, and the balancer's own answers. */
import { parseIp } from '../../lb/net/address.js';
import { checksum16, pseudoHeaderSum } from '../../lb/net/checksum.js';
import {
  be16,
  be32,
  concat,
  type Endpoints,
  ethernet,
  frameOf,
  ipv4,
  ipv6,
  isIpv6,
  PROTOCOL,
  TCP_FLAGS,
  tcp,
  udp,
} from './packets.js';

/** Types, by family (RFC 792, RFC 4443). */
export const ICMP = {
  4: { echoReply: 0, unreachable: 3, sourceQuench: 4, redirect: 5, echo: 8, timeExceeded: 11, timestamp: 13 },
  6: { unreachable: 1, tooBig: 2, timeExceeded: 3, parameter: 4, echo: 128, echoReply: 129, solicit: 135 },
} as const;

export interface IcmpFields {
  readonly src: string;
  readonly dst: string;
  readonly type: number;
  readonly code?: number;
  /** Second word: identifier and sequence, MTU. */
  readonly rest?: number;
  /** TTL or hop limit. */
  readonly ttl?: number;
  readonly tos?: number;
  /** Flags and fragment offset of IPv4. */
  readonly fragment?: number;
}

/** A message of the addresses' family with its checksum, ICMPv6's over the pseudo-header. */
export function icmp({ src, dst, type, code = 0, rest = 0 }: IcmpFields, body: Uint8Array): Uint8Array {
  const message = concat(Uint8Array.of(type, code), be16(0), be32(rest), body);
  const start = isIpv6(dst)
    ? pseudoHeaderSum(parseIp(src).bytes, parseIp(dst).bytes, PROTOCOL.icmpv6, message.length)
    : 0;
  message.set(be16(checksum16(message, start)), 2);
  return message;
}

/** The message in an IP packet. */
export function icmpPacket(fields: IcmpFields, body: Uint8Array): Uint8Array {
  const { src, dst, ttl = 61, tos = 0, fragment = 0x4000 } = fields;
  const message = icmp(fields, body);
  return isIpv6(dst)
    ? ipv6({ src, dst, nextHeader: PROTOCOL.icmpv6, hopLimit: ttl, trafficClass: tos }, message)
    : ipv4({ src, dst, protocol: PROTOCOL.icmp, ttl, tos, fragment }, message);
}

/** The packet in a frame to the balancer. */
export const icmpFrame = (fields: IcmpFields, body: Uint8Array): Uint8Array =>
  frameOf(icmpPacket(fields, body));

export type EchoFields = Omit<IcmpFields, 'type' | 'code'>;
/** An echo request of the addresses' family. */
export const echoFrame = (fields: EchoFields, data: Uint8Array): Uint8Array =>
  icmpFrame({ ...fields, type: ICMP[isIpv6(fields.dst) ? 6 : 4].echo }, data);

/** The frame that answers an echo request: all turned around, TTL 64, the rest as it came. */
export function echoReplyFrame(fields: EchoFields, data: Uint8Array): Uint8Array {
  const type = ICMP[isIpv6(fields.dst) ? 6 : 4].echoReply;
  const frame = icmpFrame({ ...fields, src: fields.dst, dst: fields.src, ttl: 64, type }, data);
  return turned(frame);
}

/** The frame with its MAC addresses swapped. */
export function turned(frame: Uint8Array): Uint8Array {
  return concat(frame.subarray(6, 12), frame.subarray(0, 6), frame.subarray(12));
}

export interface QuotedOptions {
  readonly protocol?: 'tcp' | 'udp';
  /** Of the transport header and its data; all of it unless given. */
  readonly transportBytes?: number;
  /** TCP's. */
  readonly flags?: number;
}

/**
 * The packet that an error is about, as far as it is quoted: from the backend to the client.
 * @param client the flow as its client sends it
 */
export function quoted(client: Endpoints, options: QuotedOptions = {}): Uint8Array {
  const { protocol = 'tcp', transportBytes, flags = TCP_FLAGS.ack } = options;
  const back = { src: client.dst, dst: client.src, sport: client.dport, dport: client.sport };
  const transport = protocol === 'tcp' ? tcp(back, flags) : udp(back);
  const packet = isIpv6(client.dst)
    ? ipv6({ ...back, nextHeader: PROTOCOL[protocol], hopLimit: 7 }, transport)
    : ipv4({ ...back, protocol: PROTOCOL[protocol], ttl: 7 }, transport);
  return transportBytes === undefined
    ? packet
    : packet.slice(0, packet.length - transport.length + transportBytes);
}

/** Octets of the frame that an answer to a too long frame holds: 84 of IPv4, 248 of IPv6. */
const KEPT_BYTES = { 4: 84, 6: 248 } as const;

/** The answer to a frame that is too long: "fragmentation needed", or "packet too big", from the VIP to the client. */
export function tooBigAnswer(frame: Uint8Array, { src, dst }: Endpoints, mtu: number): Uint8Array {
  const family = isIpv6(dst) ? 6 : 4;
  const body = frame.subarray(14, 14 + KEPT_BYTES[family]);
  const ends = { src: dst, dst: src };
  const packet =
    family === 6
      ? ipv6(
          { ...ends, nextHeader: PROTOCOL.icmpv6, hopLimit: 64 },
          icmp({ ...ends, type: ICMP[6].tooBig, rest: mtu }, body),
        )
      : ipv4(
          { ...ends, protocol: PROTOCOL.icmp, ttl: 64, id: 0, fragment: 0 },
          icmp({ ...ends, type: ICMP[4].unreachable, code: 4, rest: mtu }, body),
        );
  return ethernet(frame.subarray(6, 12), frame.subarray(0, 6), (frame[12]! << 8) | frame[13]!, packet);
}
