/** What the parts of the forwarding benchmark agree on: the traffic, and what our side reports of itself. */
export const VIP = '192.0.2.80';
export const VIP_PORT = 80;
export const BACKEND = '198.51.100.2';
/** A router's address that nobody has: what is sent there is only counted. */
export const BACKEND_MAC = '02:00:00:00:00:02';
/** Source ports that the frames take, by chance; a power of two. */
export const FLOWS = 1024;
/** As many as the ports can tell apart: the connection table no longer fits the cache. */
export const MANY_FLOWS = 65_536;

/** Of the shortest Ethernet frame, without its checksum: 64 bytes on a wire. */
export const SHORTEST_FRAME_BYTES = 60;
/** As of a download, with room for the outer header. */
export const LONG_FRAME_BYTES = 1400;

/** The last line that our side prints. */
export interface WorkerReport {
  /** By the worker's own counter names. */
  readonly counters: Readonly<Record<string, number>>;
  /** Packets whose backend did not come out of the connection table. */
  readonly misses: number;
}

const IPV4_HEADER = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 0x40, 6, 0, 0, 198, 51, 100, 1, 192, 0, 2, 80];
// Ports (the source's is the generator's to fill in), sequence numbers, header of 5 words, ACK, window.
const TCP_HEADER = [0, 0, 0, VIP_PORT, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0x10, 0, 0, 0, 0, 0];
const ETHERNET_BYTES = 14;
const HEADERS_BYTES = 40;

/**
 * A TCP ACK from 198.51.100.1 to the VIP (DF, TTL 64) as hexadecimal digits. Nobody on the way looks at the checksums.
 * @param frameBytes from the destination's address on: the payload is what is left, and the shortest has none
 */
export function ackFrame(destinationMac: string, frameBytes = SHORTEST_FRAME_BYTES): string {
  const frame = Buffer.alloc(frameBytes);
  Buffer.from(`${destinationMac.replaceAll(':', '')}0200000000010800`, 'hex').copy(frame);
  frame.set(IPV4_HEADER, ETHERNET_BYTES);
  const packetBytes = frameBytes === SHORTEST_FRAME_BYTES ? HEADERS_BYTES : frameBytes - ETHERNET_BYTES;
  frame.writeUInt16BE(packetBytes, ETHERNET_BYTES + 2);
  frame.set(TCP_HEADER, ETHERNET_BYTES + IPV4_HEADER.length);
  return frame.toString('hex');
}
