/**
 * The hash that gives a flow its slot of a ring, as the balancer's program computes it (programs/include/hash.h): Bob Jenkins' lookup3
 * (2006, public domain) over the client's address and the ports. All nodes of a fleet agree on it.
 */
import type { IpAddress } from '../net/address.js';
import { RING_SIZE, VIP_FLAGS } from './schema.js';

/** Seeds of lookup3: of the flow, and of the address of an IPv6 client. */
const HASH_SEED = RING_SIZE * 512;
const HASH_SEED_IPV6 = 512;
const LOOKUP3_START = 0xdeadbeef;

const rotateLeft = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

/** lookup3's final(): the third word is the hash. */
function lookup3Final(first: number, second: number, third: number): number {
  let [a, b, c] = [first, second, third];
  c = ((c ^ b) - rotateLeft(b, 14)) | 0;
  a = ((a ^ c) - rotateLeft(c, 11)) | 0;
  b = ((b ^ a) - rotateLeft(a, 25)) | 0;
  c = ((c ^ b) - rotateLeft(b, 16)) | 0;
  a = ((a ^ c) - rotateLeft(c, 4)) | 0;
  b = ((b ^ a) - rotateLeft(a, 14)) | 0;
  return ((c ^ b) - rotateLeft(b, 24)) | 0;
}

function hash2Words(first: number, second: number, seed: number): number {
  const start = (LOOKUP3_START + (2 << 2) + seed) | 0;
  return lookup3Final((start + first) | 0, (start + second) | 0, start);
}

function hash4Words([first, second, third, fourth]: readonly [number, number, number, number]): number {
  const start = (LOOKUP3_START + (4 << 2) + HASH_SEED_IPV6) | 0;
  let [a, b, c] = [(start + first) | 0, (start + second) | 0, (start + third) | 0];
  // lookup3's mix()
  a = ((a - c) ^ rotateLeft(c, 4)) | 0;
  c = (c + b) | 0;
  b = ((b - a) ^ rotateLeft(a, 6)) | 0;
  a = (a + c) | 0;
  c = ((c - b) ^ rotateLeft(b, 8)) | 0;
  b = (b + a) | 0;
  a = ((a - c) ^ rotateLeft(c, 16)) | 0;
  c = (c + b) | 0;
  b = ((b - a) ^ rotateLeft(a, 19)) | 0;
  a = (a + c) | 0;
  c = ((c - b) ^ rotateLeft(b, 4)) | 0;
  b = (b + a) | 0;
  return lookup3Final((a + fourth) | 0, b, c);
}

/** What of a flow decides its slot: ports as the flow's key in the connection tables has them. */
export interface HashedFlow {
  readonly src: IpAddress;
  readonly sport: number;
  readonly dport: number;
}

/**
 * Slot of the ring that a flow falls into, 0 to RING_SIZE - 1.
 * @param vipFlags bits of VIP_FLAGS of its VIP
 */
export function ringSlotOf({ src, sport, dport }: HashedFlow, vipFlags: number): number {
  const isDportOnly = (vipFlags & VIP_FLAGS.HASH_DPORT_ONLY) !== 0;
  const client = isDportOnly ? new Uint8Array(src.bytes.length) : src.bytes;
  // Words are little-endian reads of the bytes as they stand in the packet.
  const view = new DataView(client.buffer, client.byteOffset, client.byteLength);
  const word = (index: number): number => view.getInt32(index * 4, true);
  const source = src.family === 4 ? word(0) : hash4Words([word(0), word(1), word(2), word(3)]);
  const swapped = (port: number): number => ((port & 0xff) << 8) | (port >> 8);
  const first = isDportOnly ? dport : sport;
  const hash = hash2Words(source, swapped(first) | (swapped(dport) << 16), HASH_SEED);
  return (hash >>> 0) % RING_SIZE;
}
