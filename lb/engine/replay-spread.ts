// Which worker sees a frame. AF_PACKET's PACKET_FANOUT_HASH gives all frames of a flow, both directions, to one socket:
// it takes the kernel's symmetric flow hash (addresses and ports in the order of their size, protocol) and scales it to
// the number of sockets (packet(7); net/packet/af_packet.c, fanout_demux_hash). The kernel's hash has a secret that
// changes at each boot, so that nobody can say which worker; what holds is that flows are spread, and each stays
// together. The hash here has no secret: the same capture is spread the same way on every machine.

const ETHERNET_TYPE = 12;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const VLAN = 0x8100;
const QINQ = 0x88a8;
const TCP = 6;
const UDP = 17;
const IPIP = 4;
const IPV6_IN_IP = 41;
/** Tags and tunnels that are looked through, as the kernel's dissector does. */
const MAX_DEPTH = 4;

/** FNV-1a, 32 bits. */
const FNV_START = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

const u16 = (frame: Uint8Array, at: number) => (frame[at]! << 8) | frame[at + 1]!;

/** Spreads the bits of an FNV hash, whose upper ones are poor (the finisher of MurmurHash3, 32 bits). */
function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** One end of a flow: its address and port. */
function hashEnd(frame: Uint8Array, address: number, addressBytes: number, port: number): number {
  let hash = FNV_START;
  for (let at = address; at < address + addressBytes; at++) hash = Math.imul(hash ^ frame[at]!, FNV_PRIME);
  hash = Math.imul(hash ^ (port >>> 8), FNV_PRIME);
  return Math.imul(hash ^ (port & 0xff), FNV_PRIME) >>> 0;
}

interface Header {
  readonly addresses: number;
  readonly addressBytes: number;
  readonly protocol: number;
  readonly transport: number;
  /** A later part of a packet, or the first: there is no telling its ports. */
  readonly isFragment: boolean;
}

function parseIp(frame: Uint8Array, at: number, type: number): Header | undefined {
  if (type === IPV4 && frame.length >= at + 20) {
    const headerBytes = (frame[at]! & 0xf) * 4;
    const isFragment = (u16(frame, at + 6) & 0x3fff) !== 0;
    return {
      addresses: at + 12,
      addressBytes: 4,
      protocol: frame[at + 9]!,
      transport: at + headerBytes,
      isFragment,
    };
  }
  if (type === IPV6 && frame.length >= at + 40) {
    const protocol = frame[at + 6]!;
    return { addresses: at + 8, addressBytes: 16, protocol, transport: at + 40, isFragment: false };
  }
  return undefined;
}

/**
 * A hash of the frame's flow, the same in both directions; 0 for what is neither IPv4 nor IPv6.
 * @param frame from the Ethernet header on
 */
export function flowHash(frame: Uint8Array): number {
  let type = frame.length >= 14 ? u16(frame, ETHERNET_TYPE) : 0;
  let at = 14;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    if ((type === VLAN || type === QINQ) && frame.length >= at + 4) {
      type = u16(frame, at + 2);
      at += 4;
      continue;
    }
    const header = parseIp(frame, at, type);
    if (header === undefined) return 0;
    const { addresses, addressBytes, protocol, transport, isFragment } = header;
    if ((protocol === IPIP || protocol === IPV6_IN_IP) && !isFragment) {
      type = protocol === IPIP ? IPV4 : IPV6;
      at = transport;
      continue;
    }
    const hasPorts = (protocol === TCP || protocol === UDP) && !isFragment && frame.length >= transport + 4;
    const one = hashEnd(frame, addresses, addressBytes, hasPorts ? u16(frame, transport) : 0);
    const other = hashEnd(
      frame,
      addresses + addressBytes,
      addressBytes,
      hasPorts ? u16(frame, transport + 2) : 0,
    );
    const [low, high] = one < other ? [one, other] : [other, one];
    return finish(Math.imul(Math.imul(low ^ protocol, FNV_PRIME) ^ high, FNV_PRIME));
  }
  return 0;
}

/** The worker of a frame: 0 to `workers` − 1. */
export function workerOf(frame: Uint8Array, workers: number): number {
  return workers === 1 ? 0 : Math.floor((flowHash(frame) * workers) / 2 ** 32);
}
