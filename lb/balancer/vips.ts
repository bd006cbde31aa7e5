import { BPF_EXIST } from '../bpf/maps/map.js';
import type { IpAddress } from '../net/address.js';
import { type MapSet, u32Bytes } from './map-set.js';
import { decode, encode, U32, VIP_META } from './schema.js';
import {
  addressBytes,
  exactVipBytes,
  isPrefixVip,
  prefixBytes,
  prefixVipBytes,
  type VipKey,
} from './vip-key.js';

/** What the balancer keeps of a VIP: flags of VIP_FLAGS, and its number (vipNumberAt). */
export interface VipRow {
  readonly flags: number;
  readonly number: number;
}

/**
 * The VIPs: single addresses in vip_map, prefixes in vip_lpm_map; and how many of them each address or prefix carries,
 * by which the program tells odd packets for a VIP from the host's own.
 */
export class VipTable {
  readonly #maps: MapSet;

  constructor(maps: MapSet) {
    this.#maps = maps;
  }

  /** Write a VIP, new or changed. @throws TablesError TABLES_RANGE, TABLES_WRITE */
  put(vip: VipKey, { flags, number }: VipRow): void {
    this.#maps.limits.checkVip(number);
    const { map, key } = placeOf(vip);
    const isNew = this.#maps.put(map, key, encode(VIP_META, { flags, vip_num: number }));
    if (isNew) this.#addToAddress(vip, 1);
  }

  /** What is written of a VIP. */
  get(vip: VipKey): VipRow | undefined {
    const { map, key } = placeOf(vip);
    const value = map === 'vip_map' ? this.#maps.lookup(map, key) : this.#exact(map, key);
    if (value === undefined) return undefined;
    const { flags, vip_num } = decode(VIP_META, value);
    return { flags, number: vip_num };
  }

  /** Take a VIP out; its address goes with the last VIP on it. */
  delete(vip: VipKey): void {
    const { map, key } = placeOf(vip);
    this.#maps.delete(map, key);
    this.#addToAddress(vip, -1);
  }

  #addToAddress(vip: VipKey, change: 1 | -1): void {
    const { map, key } = countPlaceOf(vip);
    const held = map === 'vip_addresses' ? this.#maps.lookup(map, key) : this.#exact(map, key);
    const count = (held === undefined ? 0 : decode(U32, held).value) + change;
    if (count > 0) this.#maps.put(map, key, u32Bytes(count));
    else if (held !== undefined) this.#maps.delete(map, key);
  }

  /**
   * The value of just this prefix. A trie's look-up gives the longest prefix that matches, which may be a shorter one:
   * only where the key is there does writing with BPF_EXIST succeed, and then what was found is its own value.
   */
  #exact(name: 'vip_lpm_map' | 'vip_prefixes', key: Uint8Array): Uint8Array | undefined {
    const map = this.#maps.get(name);
    const found = map.lookup(key);
    return found !== undefined && map.update(key, found, BPF_EXIST) === 0 ? found : undefined;
  }
}

function placeOf(vip: VipKey) {
  return isPrefixVip(vip)
    ? ({ map: 'vip_lpm_map', key: prefixVipBytes(vip) } as const)
    : ({ map: 'vip_map', key: exactVipBytes(vip) } as const);
}

function countPlaceOf(vip: VipKey) {
  const { address, prefixBits = 128 }: { address: IpAddress; prefixBits?: number } = vip;
  return isPrefixVip(vip)
    ? ({ map: 'vip_prefixes', key: prefixBytes(address, prefixBits) } as const)
    : ({ map: 'vip_addresses', key: addressBytes(address) } as const);
}
