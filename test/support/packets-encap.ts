/** What the balancer should make of a frame: an outer header, IP in IP or GUE. Independent of the programs. */
import { parseIp } from '../../lb/net/address.js';
import { checksum16, pseudoHeaderSum, sum16 } from '../../lb/net/checksum.js';
import { be16, concat, ETHERTYPE, ethernet, isIpv6, PROTOCOL } from './packets.js';

export interface Encap {
  /** Backend. */
  readonly real: string;
  readonly nextHop: Uint8Array;
  /** Client's address and source port, as they go into the outer source. */
  readonly client: string;
  readonly sport: number;
}

/**
 * The frame that the balancer sends for one that it got: IP in IP, TTL 64, ToS copied, identification,
 * flow label and fragment word 0, an outer source made of client and port; everything else unchanged.
 */
export function encapsulated(frame: Uint8Array, { real, nextHop, client, sport }: Encap): Uint8Array {
  const packet = frame.subarray(14);
  const inner6 = packet[0]! >> 4 === 6;
  const trafficClass = inner6 ? ((packet[0]! << 4) | (packet[1]! >> 4)) & 0xff : packet[1]!;
  const word = (at: number): number => (packet[at]! << 8) | packet[at + 1]!;
  const innerBytes = inner6 ? 40 + word(4) : word(2);
  const entropy = parseIp(client).bytes.slice(-4);
  const [high, low] = [sport >> 8, sport & 0xff];
  const inner = inner6 ? PROTOCOL.ipv6 : PROTOCOL.ipip;
  let outer: Uint8Array;
  if (isIpv6(real)) {
    const source = concat(Uint8Array.of(1), new Uint8Array(11), entropy);
    source[12]! ^= high;
    source[13]! ^= low;
    outer = concat(
      Uint8Array.of(0x60 | (trafficClass >> 4), (trafficClass & 15) << 4, 0, 0),
      be16(innerBytes),
      Uint8Array.of(inner, 64),
      source,
      parseIp(real).bytes,
    );
  } else {
    outer = concat(
      Uint8Array.of(0x45, trafficClass),
      be16(20 + innerBytes),
      Uint8Array.of(0, 0, 0, 0, 64, inner, 0, 0),
      Uint8Array.of(172, 16, entropy[2]! ^ low, entropy[3]! ^ high),
      parseIp(real).bytes,
    );
    outer.set(be16(~sum16(outer) & 0xffff), 10);
  }
  return concat(
    ethernet(nextHop, frame.subarray(0, 6), isIpv6(real) ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4, outer),
    packet,
  );
}

export interface GueEncap extends Encap {
  /** The balancer's own address in the backend's family. */
  readonly own: string;
  /** Destination port. */
  readonly port: number;
}

/** UDP source port of GUE, by family of backend and packet: the order of the bytes differs. */
function gueSourcePort(entropy: Uint8Array, sport: number, real6: boolean, inner6: boolean): Uint8Array {
  const [high, low] = [sport >> 8, sport & 0xff];
  const [s0, s1, s2, s3] = entropy as unknown as readonly [number, number, number, number];
  if (!real6) return Uint8Array.of(s2 ^ low, s3 ^ high);
  return inner6 ? Uint8Array.of(s0 ^ high, s1 ^ low) : Uint8Array.of(s2 ^ high, s3 ^ low);
}

/**
 * The frame that the balancer sends for one that it got, with GUE: as `encapsulated`, but UDP from the balancer's own
 * address, with a checksum over all of it. A trailer behind the packet inside stays, and counts in no length or sum.
 */
export function gueEncapsulated(
  frame: Uint8Array,
  { real, nextHop, client, sport, own, port }: GueEncap,
): Uint8Array {
  const packet = frame.subarray(14);
  const inner6 = packet[0]! >> 4 === 6;
  const real6 = isIpv6(real);
  const trafficClass = inner6 ? ((packet[0]! << 4) | (packet[1]! >> 4)) & 0xff : packet[1]!;
  const word = (at: number): number => (packet[at]! << 8) | packet[at + 1]!;
  const innerBytes = inner6 ? 40 + word(4) : word(2);
  const entropy = parseIp(client).bytes.slice(-4);
  const [src, dst] = [parseIp(own).bytes, parseIp(real).bytes];
  const udp = concat(
    gueSourcePort(entropy, sport, real6, inner6),
    be16(port),
    be16(8 + innerBytes),
    be16(0),
    packet.subarray(0, innerBytes),
  );
  const checksum = checksum16(udp, pseudoHeaderSum(src, dst, PROTOCOL.udp, udp.length)) || 0xffff;
  udp.set(be16(checksum), 6);
  const outer = real6
    ? concat(
        Uint8Array.of(0x60 | (trafficClass >> 4), (trafficClass & 15) << 4, 0, 0),
        be16(8 + innerBytes),
        Uint8Array.of(PROTOCOL.udp, 64),
        src,
        dst,
      )
    : concat(
        Uint8Array.of(0x45, trafficClass),
        be16(28 + innerBytes),
        Uint8Array.of(0, 0, 0, 0, 64, PROTOCOL.udp, 0, 0),
        src,
        dst,
      );
  if (!real6) outer.set(be16(~sum16(outer) & 0xffff), 10);
  return concat(
    ethernet(nextHop, frame.subarray(0, 6), real6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4, outer),
    udp,
    packet.subarray(innerBytes),
  );
}
