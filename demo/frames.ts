import { type IpAddress, parseIp } from '../lb/net/address.js';
import { checksum16, pseudoHeaderSum } from '../lb/net/checksum.js';

export const TCP_SYN = 0x02;
export const TCP_ACK = 0x10;

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const TCP_BYTES = 20;
const TCP_PROTOCOL = 6;
const CLIENT_MAC = [0x02, 0, 0, 0, 0, 1];
const LB_MAC = [0x02, 0, 0, 0, 0, 2];

export interface Flow {
  readonly client: IpAddress;
  readonly clientPort: number;
  readonly vip: IpAddress;
  readonly vipPort: number;
}

/** Flow number `i` of a generated capture: clients in 198.18.0.0/15 (RFC 2544), one connection each. */
export function flowOf(i: number, vip: IpAddress, vipPort: number): Flow {
  return {
    client: parseIp(`198.18.${(i >> 8) & 0xff}.${i & 0xff}`),
    clientPort: 1024 + ((i * 7919) % 60_000),
    vip,
    vipPort,
  };
}

/** An Ethernet frame with an IPv4 TCP segment from the client to the VIP, checksums filled in. */
export function tcpFrame(flow: Flow, flags: number, payload: string): Uint8Array {
  const data = new TextEncoder().encode(payload);
  const frame = new Uint8Array(ETHERNET_BYTES + IPV4_BYTES + TCP_BYTES + data.length);
  const view = new DataView(frame.buffer);
  frame.set(LB_MAC, 0);
  frame.set(CLIENT_MAC, 6);
  view.setUint16(12, 0x0800);

  const ip = ETHERNET_BYTES;
  frame[ip] = 0x45;
  view.setUint16(ip + 2, frame.length - ETHERNET_BYTES);
  frame[ip + 8] = 64;
  frame[ip + 9] = TCP_PROTOCOL;
  frame.set(flow.client.bytes, ip + 12);
  frame.set(flow.vip.bytes, ip + 16);
  view.setUint16(ip + 10, checksum16(frame.subarray(ip, ip + IPV4_BYTES)));

  const tcp = ip + IPV4_BYTES;
  view.setUint16(tcp, flow.clientPort);
  view.setUint16(tcp + 2, flow.vipPort);
  frame[tcp + 12] = (TCP_BYTES / 4) << 4;
  frame[tcp + 13] = flags;
  view.setUint16(tcp + 14, 65_535);
  frame.set(data, tcp + TCP_BYTES);
  const segment = frame.subarray(tcp);
  const start = pseudoHeaderSum(flow.client.bytes, flow.vip.bytes, TCP_PROTOCOL, segment.length);
  view.setUint16(tcp + 16, checksum16(segment, start));
  return frame;
}
