import { type IpAddress, ipFromBytes, type VipProtocol } from '../../lb/index.js';
import type { Vip } from '../state/model.js';

/** Sixteen bytes as the tables hold an address: IPv4 in the first four, and zeros. */
const paddedHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').padEnd(32, '0');

const keyOf = (address: string, port: number, protocol: VipProtocol): string =>
  `${address} ${port} ${protocol}`;

/** The first bits of an address in hexadecimal digits, and zeros. */
function truncatedHex(bytes: Uint8Array, bits: number): string {
  const kept = bytes.map((byte, i) => byte & ~(0xff >> Math.min(Math.max(bits - 8 * i, 0), 8)));
  return paddedHex(kept);
}

/** Finds the VIP of a packet as the balancer's program does. */
export class VipIndex {
  readonly #exact = new Map<string, Vip>();
  /** VIPs that are prefixes, by their length. */
  readonly #prefixes = new Map<number, Map<string, Vip>>();
  /** Lengths of prefixes, the longest first. */
  readonly #lengths: readonly number[];

  constructor(vips: Iterable<Vip>) {
    for (const vip of vips) {
      const { address, port, protocol, prefixBits } = vip.key;
      const key = keyOf(paddedHex(address.bytes), port, protocol);
      if (prefixBits === undefined || prefixBits === 8 * address.bytes.length) this.#exact.set(key, vip);
      else this.#prefixes.set(prefixBits, (this.#prefixes.get(prefixBits) ?? new Map()).set(key, vip));
    }
    this.#lengths = [...this.#prefixes.keys()].sort((a, b) => b - a);
  }

  /**
   * @param dst sixteen bytes, as the tables hold an address
   * @param dport 0 where the VIP does not tell ports apart
   */
  find(dst: Uint8Array, dport: number, protocol: VipProtocol): Vip | undefined {
    const address = paddedHex(dst);
    // One of every port comes after those that name it, prefix or not (programs/include/lookup.h).
    for (const port of dport === 0 ? [0] : [dport, 0]) {
      const vip = this.#exact.get(keyOf(address, port, protocol)) ?? this.#findPrefix(dst, port, protocol);
      if (vip !== undefined) return vip;
    }
    return undefined;
  }

  #findPrefix(dst: Uint8Array, port: number, protocol: VipProtocol): Vip | undefined {
    for (const bits of this.#lengths) {
      const vip = this.#prefixes.get(bits)?.get(keyOf(truncatedHex(dst, bits), port, protocol));
      if (vip !== undefined) return vip;
    }
    return undefined;
  }
}

/**
 * An address of the tables, which do not tell IPv4 from IPv6.
 * @param family undefined: IPv4 where all after the first four bytes is zero, which hardly any IPv6 address is
 */
export function addressOf(bytes: Uint8Array, family: 4 | 6 | undefined): IpAddress {
  const isIpv4 = family === undefined ? bytes.every((byte, i) => i < 4 || byte === 0) : family === 4;
  return ipFromBytes(isIpv4 ? bytes.slice(0, 4) : bytes.slice(0, 16));
}
