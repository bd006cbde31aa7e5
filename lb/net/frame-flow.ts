import { type IpAddress, ipFromBytes } from './address.js';

/** Ends of a packet, as its headers name them. */
export interface FrameFlow {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** Number of the protocol (IANA): of an IPv6 packet the first next header. */
  readonly protocol: number;
  /** Ports of TCP and UDP; absent for other protocols, in a fragment that is not the first, and where the bytes end. */
  readonly ports?: { readonly source: number; readonly destination: number };
}

const ETHERTYPES = { ipv4: 0x0800, ipv6: 0x86dd, vlan: 0x8100, qinq: 0x88a8 } as const;
const TCP = 6;
const UDP = 17;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
/** Of the word of flags and fragment offset (RFC 791 §3.1). */
const FRAGMENT_OFFSET = 0x1fff;

/**
 * Read the ends of a packet in an Ethernet frame, behind any VLAN tags. Nothing but the ends is checked: it is for people.
 * @param frame its first bytes are enough
 * @returns undefined for what is not IP, or ends before the addresses do
 */
export function frameFlow(frame: Uint8Array): FrameFlow | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const has = (end: number): boolean => frame.length >= end;
  let at = 12;
  let type = has(at + 2) ? view.getUint16(at) : 0;
  while ((type === ETHERTYPES.vlan || type === ETHERTYPES.qinq) && has(at + 6)) {
    at += 4;
    type = view.getUint16(at);
  }
  const ip = at + 2;
  const address = (offset: number, bytes: number): IpAddress =>
    ipFromBytes(frame.slice(ip + offset, ip + offset + bytes));
  const ends = (protocol: number, transport: number, isFirst: boolean) => ({
    protocol,
    ...(isFirst &&
      (protocol === TCP || protocol === UDP) &&
      has(transport + 4) && {
        ports: { source: view.getUint16(transport), destination: view.getUint16(transport + 2) },
      }),
  });
  if (type === ETHERTYPES.ipv4 && has(ip + IPV4_BYTES)) {
    const headerBytes = (view.getUint8(ip) & 0xf) * 4;
    const isFirst = (view.getUint16(ip + 6) & FRAGMENT_OFFSET) === 0;
    const rest = ends(view.getUint8(ip + 9), ip + headerBytes, isFirst);
    return { source: address(12, 4), destination: address(16, 4), ...rest };
  }
  if (type === ETHERTYPES.ipv6 && has(ip + IPV6_BYTES)) {
    const rest = ends(view.getUint8(ip + 6), ip + IPV6_BYTES, true);
    return { source: address(8, 16), destination: address(24, 16), ...rest };
  }
  return undefined;
}
