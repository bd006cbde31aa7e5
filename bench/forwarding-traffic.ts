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

const SHORTEST_FRAME_BYTES = 60;

/** The last line that our side prints. */
export interface WorkerReport {
  /** By the worker's own counter names. */
  readonly counters: Readonly<Record<string, number>>;
  /** Packets whose backend did not come out of the connection table. */
  readonly misses: number;
}

/** A TCP ACK without payload to the VIP in the shortest Ethernet frame (60 bytes), as hexadecimal digits. */
export function ackFrame(destinationMac: string): string {
  const ethernet = `${destinationMac.replaceAll(':', '')}0200000000010800`;
  // IPv4, 40 bytes, DF, TTL 64, TCP, from 198.51.100.1 to the VIP; nobody on the way looks at the checksum.
  const ipv4 = '450000280000400040060000c6336401c0000250';
  // Ports (the source's is the generator's to fill in), sequence numbers, header of 5 words, ACK, window.
  const tcp = '0000005000000001000000015010100000000000';
  return (ethernet + ipv4 + tcp).padEnd(2 * SHORTEST_FRAME_BYTES, '0');
}
