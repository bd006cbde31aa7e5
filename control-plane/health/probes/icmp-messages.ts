/** Messages of ICMP that a probe sends and understands (RFC 792, RFC 4443). */

type Family = 4 | 6;

/** What came back for an echo request. */
export type EchoAnswer =
  | { readonly kind: 'reply'; readonly id: number; readonly sequence: number; readonly payload: Buffer }
  | { readonly kind: 'error'; readonly id: number; readonly sequence: number; readonly what: string };

const HEADER_BYTES = 8;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const PROTOCOL_ICMP = 1;
const NEXT_HEADER_ICMPV6 = 58;

const TYPES = {
  4: { request: 8, reply: 0, errors: { 3: 'unreachable', 11: 'time exceeded' } },
  6: { request: 128, reply: 129, errors: { 1: 'unreachable', 3: 'time exceeded' } },
} as const satisfies Record<
  Family,
  { request: number; reply: number; errors: Readonly<Record<number, string>> }
>;

/** Codes of "unreachable": RFC 792, RFC 1812 §5.2.7.1; RFC 4443 §3.1. */
const UNREACHABLE: Readonly<Record<Family, Readonly<Record<number, string>>>> = {
  4: {
    0: 'network unreachable',
    1: 'host unreachable',
    2: 'protocol unreachable',
    9: 'network administratively prohibited',
    10: 'host administratively prohibited',
    13: 'administratively prohibited',
  },
  6: {
    0: 'no route to the target',
    1: 'administratively prohibited',
    3: 'host unreachable',
    6: 'route to the target rejected',
  },
};

/** An echo request; the kernel fills in the checksum of ICMPv6 (RFC 3542 §3.1). */
export function echoRequest(family: Family, id: number, sequence: number, payload: Buffer): Buffer {
  const packet = Buffer.alloc(HEADER_BYTES + payload.length);
  packet.writeUInt8(TYPES[family].request, 0);
  packet.writeUInt16BE(id, 4);
  packet.writeUInt16BE(sequence, 6);
  payload.copy(packet, HEADER_BYTES);
  if (family === 4) packet.writeUInt16BE(checksum(packet), 2);
  return packet;
}

/**
 * What a received packet says of an echo request.
 * @param packet what a raw socket gives: with its IP header for IPv4, without for IPv6 (RFC 3542 §3)
 * @returns undefined when it is about something else, or cut short
 */
export function readAnswer(family: Family, packet: Buffer): EchoAnswer | undefined {
  const message = family === 4 ? withoutIpv4(packet) : packet;
  if (message === undefined || message.length < HEADER_BYTES) return undefined;
  const type = message[0]!;
  if (type === TYPES[family].reply) {
    return {
      kind: 'reply',
      id: message.readUInt16BE(4),
      sequence: message.readUInt16BE(6),
      payload: message.subarray(HEADER_BYTES),
    };
  }
  const errors: Readonly<Record<number, string>> = TYPES[family].errors;
  const name = errors[type];
  if (name === undefined) return undefined;
  const inner = embeddedIcmp(family, message.subarray(HEADER_BYTES));
  if (inner === undefined || inner.length < HEADER_BYTES || inner[0] !== TYPES[family].request)
    return undefined;
  const code = message[1]!;
  const what = name === 'unreachable' ? (UNREACHABLE[family][code] ?? `unreachable (code ${code})`) : name;
  return { kind: 'error', id: inner.readUInt16BE(4), sequence: inner.readUInt16BE(6), what };
}

/** The ICMP message that an error is about. */
function embeddedIcmp(family: Family, bytes: Buffer): Buffer | undefined {
  if (family === 4) return bytes[9] === PROTOCOL_ICMP ? withoutIpv4(bytes) : undefined;
  // Our requests carry no extension headers.
  return bytes[6] === NEXT_HEADER_ICMPV6 ? bytes.subarray(IPV6_BYTES) : undefined;
}

function withoutIpv4(packet: Buffer): Buffer | undefined {
  if (packet.length < IPV4_BYTES || packet[0]! >> 4 !== 4) return undefined;
  const headerBytes = (packet[0]! & 0xf) * 4;
  return headerBytes < IPV4_BYTES || headerBytes > packet.length ? undefined : packet.subarray(headerBytes);
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  if (bytes.length % 2 === 1) sum += bytes[bytes.length - 1]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
