import {
  decode,
  encode,
  REAL_DEFINITION,
  REAL_FLAGS,
  U32,
  VIP_DEFINITION,
  VIP_LPM_HEAD_BITS,
  VIP_LPM_KEY,
  VIP_META,
} from './balancer/schema.js';
import { formatVip, VIP_PROTOCOLS, type VipKey, type VipProtocol } from './balancer/vip-key.js';
import type { BpfMap } from './bpf/maps/map.js';
import { formatIp, type IpAddress, ipFromBytes } from './net/address.js';

/** A VIP and its number. */
export interface NumberedVip {
  readonly number: number;
  readonly vip: VipKey;
}

const protocolOf = (number: number): VipProtocol => (number === VIP_PROTOCOLS.udp ? 'udp' : 'tcp');

/** An address of 16 bytes as maps have it: IPv4 in the first four. An IPv6 VIP that ends in twelve zeros is not told apart. */
function vipAddress(bytes: Uint8Array): IpAddress {
  return ipFromBytes(bytes.subarray(4).every((byte) => byte === 0) ? bytes.slice(0, 4) : bytes);
}

/** The VIPs that the balancer's maps have, by number. */
export function readVips(maps: ReadonlyMap<string, BpfMap>): NumberedVip[] {
  const vips: NumberedVip[] = [];
  maps.get('vip_map')?.forEach((key, value) => {
    const { address, port, protocol } = decode(VIP_DEFINITION, Uint8Array.from(key));
    const number = decode(VIP_META, Uint8Array.from(value)).vip_num;
    vips.push({ number, vip: { address: vipAddress(address), port, protocol: protocolOf(protocol) } });
  });
  maps.get('vip_lpm_map')?.forEach((key, value) => {
    const { prefix_bits, address, port, protocol } = decode(VIP_LPM_KEY, Uint8Array.from(key));
    const number = decode(VIP_META, Uint8Array.from(value)).vip_num;
    const prefixBits = prefix_bits - VIP_LPM_HEAD_BITS;
    const vip = { address: ipFromBytes(address), port, protocol: protocolOf(protocol), prefixBits };
    vips.push({ number, vip });
  });
  return vips.sort((a, b) => a.number - b.number);
}

/** A backend's address; undefined for a row that is empty. */
export function readReal(reals: BpfMap | undefined, index: number): IpAddress | undefined {
  if (index <= 0) return undefined;
  const row = reals?.lookup(encode(U32, { value: index }));
  if (row === undefined || row.every((byte) => byte === 0)) return undefined;
  const { address, flags } = decode(REAL_DEFINITION, row);
  return ipFromBytes((flags & REAL_FLAGS.IPV6) === 0 ? address.slice(0, 4) : address);
}

/** Names of VIPs and backends by their numbers, as they were when they were first asked for. */
export class ReplayNames {
  readonly #maps: ReadonlyMap<string, BpfMap>;
  #vips: Map<number, string> | undefined;
  readonly #reals = new Map<number, string | null>();
  #keyOf: (number: number) => VipKey | undefined = () => undefined;

  constructor(maps: ReadonlyMap<string, BpfMap>) {
    this.#maps = maps;
  }

  /** What the VIPs' numbers stand for, from who gave them: maps do not tell the family of every address. */
  learn(keyOf: (number: number) => VipKey | undefined): void {
    this.#keyOf = keyOf;
    this.#vips = undefined;
  }

  /** `10.200.1.1:80/tcp`, `[fc00:1::1]:80/tcp`; null where the number is none. */
  vip(number: number | undefined): string | null {
    if (number === undefined) return null;
    this.#vips ??= new Map(this.vips().map((row) => [row.number, formatVip(row.vip)]));
    return this.#vips.get(number) ?? null;
  }

  /** The backend's address; null for none. */
  backend(real: number): string | null {
    const known = this.#reals.get(real);
    if (known !== undefined) return known;
    const address = readReal(this.#maps.get('reals'), real);
    const name = address === undefined ? null : formatIp(address);
    this.#reals.set(real, name);
    return name;
  }

  /** All VIPs by number. */
  vips(): readonly NumberedVip[] {
    return readVips(this.#maps).map(({ number, vip }) => ({ number, vip: this.#keyOf(number) ?? vip }));
  }

  /** All backends: index and address. */
  backends(): readonly { readonly index: number; readonly address: string }[] {
    const found: { index: number; address: string }[] = [];
    const rows = this.#maps.get('reals')?.spec.maxEntries ?? 0;
    for (let index = 1; index < rows; index++) {
      const address = readReal(this.#maps.get('reals'), index);
      if (address !== undefined) found.push({ index, address: formatIp(address) });
    }
    return found;
  }
}
