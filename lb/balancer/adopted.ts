import type { BpfMap } from '../bpf/maps/map.js';
import { formatIp, type IpAddress, ipFromBytes, type Mac, macFromBytes } from '../net/address.js';
import { type Flow, flowKeyBytes } from './connections.js';
import { TablesError } from './map-set.js';
import { ringOf } from './rings.js';
import type { Prefix } from './routes.js';
import {
  type BalancerMapName,
  CTL_EVENTS,
  CTL_NUMBER,
  CTL_ROUTER_MAC,
  CTL_VALUE,
  DECAP_FLAGS,
  decode,
  encode,
  FLOW_KEY,
  IP_ADDRESS,
  IPV4_PREFIX,
  IPV6_PREFIX,
  NEXT_HOP,
  OWN_ADDRESS_SLOTS,
  REAL_DEFINITION,
  REAL_FLAGS,
  U32,
  VIP_DEFINITION,
  VIP_LPM_HEAD_BITS,
  VIP_LPM_KEY,
  VIP_META,
} from './schema.js';
import type { TableRows } from './table-rows.js';
import {
  addressBytes,
  exactVipBytes,
  isPrefixVip,
  prefixVipBytes,
  VIP_PROTOCOLS,
  type VipKey,
  type VipProtocol,
} from './vip-key.js';

/** A backend's row. */
export interface AdoptedReal {
  readonly index: number;
  readonly address: IpAddress;
  readonly isLocal: boolean;
  /** Of its next hop; undefined: the router's. */
  readonly mac: Mac | undefined;
}

export interface AdoptedVip {
  /** The family is a guess, which makes no other key: see vipId. */
  readonly key: VipKey;
  readonly number: number;
  /** Bits of VIP_FLAGS. */
  readonly flags: number;
  /** Number of its ring. */
  readonly ring: number;
}

/**
 * What the balancer's maps held when a process took them over from another one. Texts that are keys: prefixId; vipId, a
 * space and the row; flowId; addressId.
 */
export interface Adopted extends TableRows {
  /** By address, as formatIp writes it. */
  readonly reals: ReadonlyMap<string, AdoptedReal>;
  /** Rows whose address a lower row, which is in `reals`, has too: nothing should refer to them. */
  readonly strayReals: readonly number[];
  /**
   * Empty rows that connection tables still refer to: rows at rest, which another address must not get meanwhile. Walks
   * the connection tables, at the first call.
   */
  restingReals(): ReadonlySet<number>;
  /** By vipId. */
  readonly vips: ReadonlyMap<string, AdoptedVip>;
  /** Numbers of the rings that VIPs use. */
  readonly rings: ReadonlySet<number>;
  /** Whether packets are reported as events. */
  readonly eventsOn: boolean;
}

export interface AdoptedSources {
  /** The live map in a slot of a map of maps; undefined where there is none. */
  readonly inner?: (outer: string, key: Uint8Array) => BpfMap | undefined;
  /** Flows in the connection tables by row. */
  readonly trackedFlows?: () => ReadonlyMap<number, number>;
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/**
 * A VIP's identity in the maps. They do not tell the families apart: IPv4 stands in the first four of sixteen bytes, so
 * that 32.1.13.184 and 2001:db8:: are one key. What was read is compared by this, not by its text.
 */
export function vipId(key: VipKey): string {
  return hexOf(isPrefixVip(key) ? prefixVipBytes(key) : exactVipBytes(key));
}

/** The same for an address of `decap_dst`. */
export function addressId(address: IpAddress): string {
  return hexOf(addressBytes(address));
}

/** The same for a flow. */
export function flowId(flow: Flow): string {
  return hexOf(flowKeyBytes(flow));
}

/** The same for a client's prefix; the families have a map each. */
export function prefixId({ address, bits }: Prefix): string {
  return `${formatIp(address)}/${bits}`;
}

/**
 * Read what is in the maps now; nothing is written.
 * @throws TablesError TABLES_MAP_MISSING
 */
export function readAdopted(maps: ReadonlyMap<string, BpfMap>, sources: AdoptedSources = {}): Adopted {
  const read = new Reader(maps, sources);
  const { reals, strayReals } = read.reals();
  const vips = read.vips();
  let resting: ReadonlySet<number> | undefined;
  return {
    routerMac: read.routerMac(),
    ownAddresses: read.ownAddresses(),
    reals,
    strayReals,
    restingReals: () => {
      resting ??= restingRows(reals, strayReals, sources.trackedFlows?.() ?? new Map());
      return resting;
    },
    vips,
    rings: new Set([...vips.values()].map(({ ring }) => ring)),
    serverIds: read.serverIds(),
    sourceRoutes: read.sourceRoutes(),
    downReals: read.downReals(),
    globalFlows: read.globalFlows(),
    decapDestinations: read.decapDestinations(),
    watched: read.watched(),
    eventsOn: read.eventsOn(),
  };
}

function restingRows(
  reals: ReadonlyMap<string, AdoptedReal>,
  strays: readonly number[],
  flows: ReadonlyMap<number, number>,
): Set<number> {
  const taken = new Set([...[...reals.values()].map(({ index }) => index), ...strays, 0]);
  return new Set([...flows].filter(([row, count]) => count > 0 && !taken.has(row)).map(([row]) => row));
}

const u32 = (value: number): Uint8Array => encode(U32, { value });
const numberOf = (bytes: Uint8Array): number => decode(U32, bytes).value;
const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** The address in sixteen bytes. One of IPv6 whose last twelve are zero reads as IPv4: the same bytes. */
function addressOf(bytes: Uint8Array): IpAddress {
  return ipFromBytes(isZero(bytes.subarray(4)) ? bytes.subarray(0, 4) : bytes);
}

function macOf(bytes: Uint8Array | undefined): Mac | undefined {
  return bytes === undefined || isZero(bytes) ? undefined : macFromBytes(bytes);
}

function protocolOf(number: number): VipProtocol | undefined {
  return number === VIP_PROTOCOLS.tcp ? 'tcp' : number === VIP_PROTOCOLS.udp ? 'udp' : undefined;
}

/** The VIP of a key of vip_map; undefined for a key that this balancer does not write. */
function exactVip(bytes: Uint8Array): VipKey | undefined {
  const { address, port, protocol: number } = decode(VIP_DEFINITION, bytes);
  const protocol = protocolOf(number);
  return protocol && { address: addressOf(address), port, protocol };
}

class Reader {
  readonly #maps: ReadonlyMap<string, BpfMap>;
  readonly #inner: NonNullable<AdoptedSources['inner']>;

  constructor(maps: ReadonlyMap<string, BpfMap>, { inner = () => undefined }: AdoptedSources) {
    this.#maps = maps;
    this.#inner = inner;
  }

  routerMac(): Mac | undefined {
    return macOf(this.#row('ctl_array', CTL_ROUTER_MAC, (value) => decode(CTL_VALUE, value).mac));
  }

  eventsOn(): boolean {
    return (this.#row('ctl_array', CTL_EVENTS, (value) => decode(CTL_NUMBER, value).value) ?? 0n) !== 0n;
  }

  ownAddresses(): Map<4 | 6, IpAddress> {
    const found = new Map<4 | 6, IpAddress>();
    for (const family of [4, 6] as const) {
      const address = this.#row(
        'pckt_srcs',
        OWN_ADDRESS_SLOTS[family],
        (value) => decode(REAL_DEFINITION, value).address,
      );
      if (address === undefined || isZero(address)) continue;
      found.set(family, ipFromBytes(family === 4 ? address.subarray(0, 4) : address));
    }
    return found;
  }

  reals(): { readonly reals: Map<string, AdoptedReal>; readonly strayReals: number[] } {
    const reals = new Map<string, AdoptedReal>();
    const strayReals: number[] = [];
    this.#map('reals').forEach((key, value) => {
      if (isZero(value)) return;
      const { address: bytes, flags } = decode(REAL_DEFINITION, value);
      const index = numberOf(key);
      const address = ipFromBytes((flags & REAL_FLAGS.IPV6) !== 0 ? bytes : bytes.subarray(0, 4));
      const text = formatIp(address);
      if (reals.has(text)) {
        strayReals.push(index);
        return;
      }
      const mac = macOf(this.#row('real_macs', index, (hop) => decode(NEXT_HOP, hop).mac));
      reals.set(text, { index, address, isLocal: (flags & REAL_FLAGS.LOCAL) !== 0, mac });
    });
    return { reals, strayReals };
  }

  vips(): Map<string, AdoptedVip> {
    const vips = new Map<string, AdoptedVip>();
    const add = (key: VipKey | undefined, value: Uint8Array): void => {
      if (key === undefined) return;
      const { flags, vip_num: number } = decode(VIP_META, value);
      const ring = ringOf(this.#row('vip_rings', number, numberOf) ?? 0, number);
      vips.set(vipId(key), { key, number, flags, ring });
    };
    this.#map('vip_map').forEach((key, value) => {
      add(exactVip(key), value);
    });
    this.#map('vip_lpm_map').forEach((key, value) => {
      const { prefix_bits, port, protocol: number, address } = decode(VIP_LPM_KEY, key);
      const protocol = protocolOf(number);
      const prefixBits = prefix_bits - VIP_LPM_HEAD_BITS;
      // Only IPv6 VIPs may be prefixes.
      add(protocol && { address: ipFromBytes(address), port, protocol, prefixBits }, value);
    });
    return vips;
  }

  serverIds(): Map<number, number> {
    const found = new Map<number, number>();
    this.#map('server_id_map').forEach((id, real) => {
      found.set(numberOf(id), numberOf(real));
    });
    return found;
  }

  sourceRoutes(): Map<string, { readonly prefix: Prefix; readonly real: number }> {
    const found = new Map<string, { readonly prefix: Prefix; readonly real: number }>();
    for (const [name, struct] of [
      ['lpm_src_v4', IPV4_PREFIX],
      ['lpm_src_v6', IPV6_PREFIX],
    ] as const) {
      this.#map(name).forEach((key, value) => {
        const { address, prefix_bits: bits } = decode(struct, key);
        const prefix = { address: ipFromBytes(address), bits };
        found.set(prefixId(prefix), { prefix, real: numberOf(value) });
      });
    }
    return found;
  }

  downReals(): Map<string, { readonly vip: VipKey; readonly real: number }> {
    const found = new Map<string, { readonly vip: VipKey; readonly real: number }>();
    for (const key of this.#keys('vip_to_down_reals_map')) {
      const vip = exactVip(key);
      if (vip === undefined) continue;
      this.#inner('vip_to_down_reals_map', key)?.forEach((row) => {
        const real = numberOf(row);
        found.set(`${vipId(vip)} ${real}`, { vip, real });
      });
    }
    return found;
  }

  globalFlows(): Map<string, { readonly flow: Flow; readonly real: number }> {
    const found = new Map<string, { readonly flow: Flow; readonly real: number }>();
    this.#map('fallback_glru').forEach((key, value) => {
      const { src, dst, sport, dport, protocol: number } = decode(FLOW_KEY, key);
      const protocol = protocolOf(number);
      if (protocol === undefined) return;
      const isIpv4 = isZero(src.subarray(4)) && isZero(dst.subarray(4));
      const address = (bytes: Uint8Array) => ipFromBytes(isIpv4 ? bytes.subarray(0, 4) : bytes);
      const flow = { src: address(src), dst: address(dst), sport, dport, protocol };
      found.set(flowId(flow), { flow, real: numberOf(value) });
    });
    return found;
  }

  decapDestinations(): Map<string, { readonly address: IpAddress; readonly egress: boolean }> {
    const found = new Map<string, { readonly address: IpAddress; readonly egress: boolean }>();
    this.#map('decap_dst').forEach((key, value) => {
      const address = addressOf(decode(IP_ADDRESS, key).address);
      found.set(addressId(address), { address, egress: (numberOf(value) & DECAP_FLAGS.EGRESS) !== 0 });
    });
    return found;
  }

  watched(): VipKey | undefined {
    const key = this.#row('vip_miss_stats', 0, (value) => value);
    return key === undefined || isZero(key) ? undefined : exactVip(key);
  }

  #keys(name: BalancerMapName): Uint8Array[] {
    const map = this.#map(name);
    const keys: Uint8Array[] = [];
    for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key)) keys.push(key);
    return keys;
  }

  #row<T>(name: BalancerMapName, index: number, read: (value: Uint8Array) => T): T | undefined {
    const value = this.#map(name).lookup(u32(index));
    return value === undefined ? undefined : read(value);
  }

  #map(name: BalancerMapName): BpfMap {
    const map = this.#maps.get(name);
    if (map !== undefined) return map;
    throw new TablesError({ code: 'TABLES_MAP_MISSING', map: name }, `the balancer's map ${name} is missing`);
  }
}
