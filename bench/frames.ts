import type { IpAddress } from '../lb/net/address.js';
import { checksum16, pseudoHeaderSum } from '../lb/net/checksum.js';

const ETHERTYPES = { 4: 0x0800, 6: 0x86dd } as const;
const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17 } as const;
const CLIENT_MAC = [0x02, 0, 0, 0, 0, 1];
const LB_MAC = [0x02, 0, 0, 0, 0, 2];
const TCP_ACK = 0x10;

/** Both ends of a flow, of one family. */
export interface Ends {
  readonly client: IpAddress;
  readonly clientPort: number;
  readonly vip: IpAddress;
  readonly vipPort: number;
}

function ipPacket(src: IpAddress, dst: IpAddress, protocol: number, payload: Uint8Array): Uint8Array {
  const header = src.family === 4 ? 20 : 40;
  const packet = new Uint8Array(header + payload.length);
  const view = new DataView(packet.buffer);
  if (src.family === 4) {
    packet[0] = 0x45;
    view.setUint16(2, packet.length);
    packet[8] = 64;
    packet[9] = protocol;
    packet.set(src.bytes, 12);
    packet.set(dst.bytes, 16);
    view.setUint16(10, checksum16(packet.subarray(0, header)));
  } else {
    packet[0] = 0x60;
    view.setUint16(4, payload.length);
    packet[6] = protocol;
    packet[7] = 64;
    packet.set(src.bytes, 8);
    packet.set(dst.bytes, 24);
  }
  packet.set(payload, header);
  return packet;
}

function frameOf(packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(14 + packet.length);
  frame.set(LB_MAC, 0);
  frame.set(CLIENT_MAC, 6);
  new DataView(frame.buffer).setUint16(12, ETHERTYPES[packet[0]! >> 4 === 4 ? 4 : 6]);
  frame.set(packet, 14);
  return frame;
}

/** A segment or datagram from `src`, its checksum filled in. */
function transport(
  src: IpAddress,
  dst: IpAddress,
  isTcp: boolean,
  ports: readonly [number, number],
  data: Uint8Array,
) {
  const header = isTcp ? 20 : 8;
  const bytes = new Uint8Array(header + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, ports[0]);
  view.setUint16(2, ports[1]);
  if (isTcp) {
    bytes[12] = 5 << 4;
    bytes[13] = TCP_ACK;
    view.setUint16(14, 65_535);
  } else {
    view.setUint16(4, bytes.length);
  }
  bytes.set(data, header);
  const protocol = isTcp ? PROTOCOLS.tcp : PROTOCOLS.udp;
  const sum = checksum16(bytes, pseudoHeaderSum(src.bytes, dst.bytes, protocol, bytes.length));
  view.setUint16(isTcp ? 16 : 6, sum);
  return bytes;
}

/** A TCP ACK with data, or a UDP datagram, from the client to the VIP. */
export function clientFrame(ends: Ends, protocol: 'tcp' | 'udp', data: Uint8Array): Uint8Array {
  const { client, vip } = ends;
  const isTcp = protocol === 'tcp';
  const segment = transport(client, vip, isTcp, [ends.clientPort, ends.vipPort], data);
  return frameOf(ipPacket(client, vip, PROTOCOLS[protocol], segment));
}

/** ICMP "host unreachable" of a router about a TCP segment that a backend sent to the client (RFC 792). */
export function unreachableFrame(ends: Ends, router: IpAddress): Uint8Array {
  const { client, vip } = ends;
  const segment = transport(vip, client, true, [ends.vipPort, ends.clientPort], new Uint8Array());
  const inner = ipPacket(vip, client, PROTOCOLS.tcp, segment);
  const message = new Uint8Array(8 + inner.length);
  message[0] = 3;
  message[1] = 1;
  message.set(inner, 8);
  new DataView(message.buffer).setUint16(2, checksum16(message));
  return frameOf(ipPacket(router, vip, PROTOCOLS.icmp, message));
}

/** Start of a QUIC packet with a short header whose connection id, version 1, holds a server id of 16 bits. */
export function quicShortHeader(serverId: number): Uint8Array {
  const packet = new Uint8Array(32);
  packet[0] = 0x40;
  packet[1] = 0x40 | (serverId >> 10);
  packet[2] = serverId >> 2;
  packet[3] = (serverId & 3) << 6;
  return packet;
}
