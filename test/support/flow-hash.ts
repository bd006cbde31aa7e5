/**
 * The flow hash once more, in plain arithmetic and from its description (Bob Jenkins, lookup3, 2006), to hold
 * the compiled programs against. Words are little-endian reads of the bytes in the packet.
 */
import { parseIp } from '../../lb/net/address.js';

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));
const word = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);

function final(words: readonly [number, number, number]): number {
  let [a, b, c] = words;
  for (const [x, y, z] of [
    [14, 11, 25],
    [16, 4, 14],
  ] as const) {
    c = ((c ^ b) - rotate(b, x)) | 0;
    a = ((a ^ c) - rotate(c, y)) | 0;
    b = ((b ^ a) - rotate(a, z)) | 0;
  }
  return ((c ^ b) - rotate(b, 24)) >>> 0;
}

export function hash2Words(first: number, second: number, seed: number): number {
  const start = (seed + 0xdeadbeef + 8) | 0;
  return final([(start + first) | 0, (start + second) | 0, start]);
}

export function hash16Bytes(bytes: Uint8Array, seed: number): number {
  const start = (seed + 0xdeadbeef + 16) | 0;
  const mixed = [0, 4, 8].map((at) => (start + word(bytes, at)) | 0);
  // Each step takes one word from another, folds in the other's rotation, and adds the third to the other.
  for (const [step, bits] of [4, 6, 8, 16, 19, 4].entries()) {
    const [x, y, z] = [step % 3, (step + 2) % 3, (step + 1) % 3];
    mixed[x] = ((mixed[x]! - mixed[y]!) ^ rotate(mixed[y]!, bits)) | 0;
    mixed[y] = (mixed[y]! + mixed[z]!) | 0;
  }
  return final([(mixed[0]! + word(bytes, 12)) | 0, mixed[1]!, mixed[2]!]);
}

/** Slot of the ring that a flow falls into. */
export function slotOf(src: string, sport: number, dport: number): number {
  const { family, bytes } = parseIp(src);
  const ports = Uint8Array.of(sport >> 8, sport & 0xff, dport >> 8, dport & 0xff);
  const seed = 65537 * 512;
  const client = family === 4 ? word(bytes, 0) : hash16Bytes(bytes, 512);
  return hash2Words(client, word(ports, 0), seed) % 65537;
}
