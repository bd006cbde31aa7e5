import type { VipProtocol } from './balancer/tables.js';
import { VIP_PROTOCOLS } from './balancer/tables.js';
import { CodedError } from './errors.js';
import { AddressError, formatIp, type IpAddress, parseIp } from './net/address.js';
import { checksum16, pseudoHeaderSum } from './net/checksum.js';

/** A flow that somebody asks about: its first direction, from the client to the VIP. */
export interface AskedFlow {
  readonly protocol: VipProtocol;
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
  readonly destinationPort: number;
}

export interface FlowTextFault {
  readonly code: 'FLOW_TEXT';
  readonly text: string;
}
/** A text that says no flow; the message says how one is written. */
export class FlowTextError extends CodedError<FlowTextFault> {}

const FORM = 'a flow is written "tcp 192.0.2.1:4000 -> 198.51.100.1:80", an IPv6 address in brackets';

function fail(text: string, why: string): never {
  throw new FlowTextError({ code: 'FLOW_TEXT', text }, `"${text}": ${why}; ${FORM}`);
}

function parseEnd(text: string, end: string): { address: IpAddress; port: number } {
  const match = /^\[([^\]]+)\]:(\d{1,5})$/.exec(end) ?? /^([^:\s]+):(\d{1,5})$/.exec(end);
  const [, host, digits] = match ?? [];
  if (host === undefined || digits === undefined)
    return fail(text, `"${end}" is not of the form ADDRESS:PORT`);
  const port = Number(digits);
  if (port > 65535) return fail(text, `port ${port} is not within 0 to 65535`);
  try {
    return { address: parseIp(host), port };
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    return fail(text, error.message);
  }
}

/**
 * Read `tcp SOURCE:PORT -> DESTINATION:PORT`; the arrow may be `→` or `>`.
 * @throws FlowTextError FLOW_TEXT
 */
export function parseFlow(text: string): AskedFlow {
  const match = /^\s*(\w+)\s+(\S+?)\s*(?:->|→|>)\s*(\S+)\s*$/.exec(text);
  const [, name = '', from = '', to = ''] = match ?? [];
  if (match === null) return fail(text, 'it is no flow');
  const protocol = name.toLowerCase();
  if (protocol !== 'tcp' && protocol !== 'udp') return fail(text, `"${name}" is neither tcp nor udp`);
  const source = parseEnd(text, from);
  const destination = parseEnd(text, to);
  if (source.address.family !== destination.address.family)
    return fail(text, 'one address is IPv4 and the other IPv6');
  return {
    protocol,
    source: source.address,
    sourcePort: source.port,
    destination: destination.address,
    destinationPort: destination.port,
  };
}

const endText = (address: IpAddress, port: number): string =>
  address.family === 6 ? `[${formatIp(address)}]:${port}` : `${formatIp(address)}:${port}`;

/** A flow as parseFlow reads it. */
export function formatFlow(flow: AskedFlow): string {
  const from = endText(flow.source, flow.sourcePort);
  return `${flow.protocol} ${from} -> ${endText(flow.destination, flow.destinationPort)}`;
}

/** Locally administered addresses (IEEE 802, §8.2.2): the frame of a question was on no wire. */
const TO = [2, 0, 0, 0, 0, 1];
const FROM = [2, 0, 0, 0, 0, 2];
const TTL = 64;
const TCP_BYTES = 20;
const UDP_BYTES = 8;
const TCP_ACK = 0x10;
const TCP_SYN = 0x02;
const WINDOW = 65535;

/** A TCP or UDP header without data; the checksum is right. */
function transport(flow: AskedFlow, syn: boolean): Uint8Array {
  const isTcp = flow.protocol === 'tcp';
  const bytes = new Uint8Array(isTcp ? TCP_BYTES : UDP_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, flow.sourcePort);
  view.setUint16(2, flow.destinationPort);
  if (isTcp) {
    view.setUint32(4, 1);
    bytes[12] = (TCP_BYTES / 4) << 4;
    bytes[13] = syn ? TCP_SYN : TCP_ACK;
    view.setUint16(14, WINDOW);
  } else view.setUint16(4, UDP_BYTES);
  const { source, destination, protocol } = flow;
  const pseudo = pseudoHeaderSum(source.bytes, destination.bytes, VIP_PROTOCOLS[protocol], bytes.length);
  const checksum = checksum16(bytes, pseudo);
  // A UDP checksum of 0 says that there is none (RFC 768).
  view.setUint16(isTcp ? 16 : 6, isTcp ? checksum : checksum || 0xffff);
  return bytes;
}

/**
 * A packet of the flow in an Ethernet frame, without data.
 * @param syn TCP: the first packet of a connection; else one in its midst (ACK)
 */
export function flowFrame(flow: AskedFlow, syn = false): Uint8Array {
  const payload = transport(flow, syn);
  const isIpv6 = flow.destination.family === 6;
  const headerBytes = isIpv6 ? 40 : 20;
  const frame = new Uint8Array(14 + headerBytes + payload.length);
  const view = new DataView(frame.buffer);
  frame.set([...TO, ...FROM]);
  view.setUint16(12, isIpv6 ? 0x86dd : 0x0800);
  const ip = frame.subarray(14, 14 + headerBytes);
  const header = new DataView(ip.buffer, ip.byteOffset, ip.length);
  const protocol = VIP_PROTOCOLS[flow.protocol];
  if (isIpv6) {
    ip.set([0x60]);
    header.setUint16(4, payload.length);
    ip.set([protocol, TTL], 6);
    ip.set(flow.source.bytes, 8);
    ip.set(flow.destination.bytes, 24);
  } else {
    ip.set([0x45]);
    header.setUint16(2, frame.length - 14);
    ip.set([TTL, protocol], 8);
    ip.set(flow.source.bytes, 12);
    ip.set(flow.destination.bytes, 16);
    header.setUint16(10, checksum16(ip));
  }
  frame.set(payload, 14 + headerBytes);
  return frame;
}

const ETHERTYPES = { ipv4: 0x0800, ipv6: 0x86dd, vlan: 0x8100, qinq: 0x88a8 } as const;
const TUNNELS: Readonly<Record<number, string>> = {
  4: 'IP in IP (IPv4 inside)',
  41: 'IP in IP (IPv6 inside)',
};
const UDP = 17;

/** What stands in front of a forwarded packet, for a person; undefined where there is no IP header. */
export function outerHeader(frame: Uint8Array): string | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let at = 12;
  let tags = '';
  while (frame.length >= at + 4) {
    const type = view.getUint16(at);
    if (type !== ETHERTYPES.vlan && type !== ETHERTYPES.qinq) break;
    tags += `VLAN ${view.getUint16(at + 2) & 0xfff}, `;
    at += 4;
  }
  const type = frame.length >= at + 2 ? view.getUint16(at) : 0;
  const ip = at + 2;
  const address = (offset: number, bytes: 4 | 16) =>
    formatIp({ family: bytes === 4 ? 4 : 6, bytes: frame.slice(ip + offset, ip + offset + bytes) });
  const tunnel = (protocol: number, transportAt: number) =>
    protocol === UDP && frame.length >= transportAt + 4
      ? `GUE (UDP ${view.getUint16(transportAt)} → ${view.getUint16(transportAt + 2)})`
      : (TUNNELS[protocol] ?? `protocol ${protocol}`);
  if (type === ETHERTYPES.ipv4 && frame.length >= ip + 20) {
    const what = tunnel(frame[ip + 9]!, ip + 20);
    return `${tags}${address(12, 4)} → ${address(16, 4)}, ${what}, TTL ${frame[ip + 8]}`;
  }
  if (type === ETHERTYPES.ipv6 && frame.length >= ip + 40) {
    const what = tunnel(frame[ip + 6]!, ip + 40);
    return `${tags}${address(8, 16)} → ${address(24, 16)}, ${what}, hop limit ${frame[ip + 7]}`;
  }
  return undefined;
}
