import type { BpfMap } from '../../bpf/maps/map.js';
import { type IpAddress, ipFromBytes, type Mac } from '../../net/address.js';
import { decode, encode } from '../structs.js';
import { CompanionError, CompanionMaps, checkRange, u32Bytes } from './maps.js';
import {
  HC_FLAGS,
  HC_INTERFACE_SLOTS,
  HC_KEY,
  HC_MAC,
  HC_MAC_SLOTS,
  HC_MATCH_KEY,
  HC_REAL_DEFINITION,
  HC_SOURCE_SLOTS,
  HC_STATS,
  HEALTHCHECK_MAPS,
  MAX_HC_KEYS,
  U32,
  U64,
} from './schema.js';

/** What a health check tries, to count its packets by. */
export interface HealthcheckKey {
  readonly address: IpAddress;
  /** 0 unless the protocol is TCP or UDP. */
  readonly port: number;
  /** IP protocol number (IANA). */
  readonly protocol: number;
}
/** One end of a flow; port 0 is any. */
export interface HealthcheckEnd {
  readonly address: IpAddress;
  readonly port: number;
}
export type HealthcheckSide = 'destination' | 'source';

/** Packets since the maps were made, summed over all CPUs. */
export interface HealthcheckStats {
  /** Sent through the tunnel. */
  readonly processed: bigint;
  readonly dropped: bigint;
  /** No health checks: they went on untouched. */
  readonly skipped: bigint;
  /** Dropped for their length; among `dropped` too. */
  readonly tooBig: bigint;
  /** Backend found by destination, and by source. */
  readonly destinationMatched: bigint;
  readonly sourceMatched: bigint;
}

const MAX_U32 = 2 ** 32 - 1;
const MATCH_MAPS = { destination: 'hc_dst_reals_map', source: 'hc_src_reals_map' } as const;

/**
 * The health checks' maps, by what they mean. Works the same over maps of the arena and of the kernel. One writer; each
 * write is one element, which packets see whole or not at all.
 */
export class HealthcheckTables {
  readonly #maps: CompanionMaps<typeof HEALTHCHECK_MAPS>;
  readonly #isTunnel: boolean;

  /**
   * @param program which one the maps are for: the tunnel's takes IPv4 addresses of backends as numbers
   * @throws CompanionError COMPANION_MAP_MISSING, COMPANION_MAP_SHAPE
   */
  constructor(maps: ReadonlyMap<string, BpfMap>, program: 'direct' | 'tunnel' = 'direct') {
    this.#maps = new CompanionMaps(maps, HEALTHCHECK_MAPS);
    this.#isTunnel = program === 'tunnel';
  }

  /** Backend of a mark (SO_MARK of the prober's socket), from 1; new or changed. */
  putReal(mark: number, backend: IpAddress): void {
    checkRange('mark', mark, 1, MAX_U32);
    this.#maps.update('hc_reals_map', u32Bytes(mark), this.#real(backend));
  }

  /** Packets of the mark are no health checks any more. */
  deleteReal(mark: number): void {
    checkRange('mark', mark, 1, MAX_U32);
    this.#maps.delete('hc_reals_map', u32Bytes(mark));
  }

  /** Outer source address of its family. */
  setSource(address: IpAddress): void {
    this.#maps.update('hc_pckt_srcs_map', u32Bytes(HC_SOURCE_SLOTS[address.family]), realBytes(address));
  }

  /** MAC addresses of the packets that leave: this host's, and the next hop's. */
  setMacs(source: Mac, destination: Mac): void {
    this.#maps.update('hc_pckt_macs', u32Bytes(HC_MAC_SLOTS.source), encode(HC_MAC, { mac: source }));
    this.#maps.update(
      'hc_pckt_macs',
      u32Bytes(HC_MAC_SLOTS.destination),
      encode(HC_MAC, { mac: destination }),
    );
  }

  /** Number of the interface that packets leave by; for the tunnel program that of a tunnel, by the backend's family. */
  setInterface(ifindex: number, which: keyof typeof HC_INTERFACE_SLOTS = 'main'): void {
    checkRange('interface number', ifindex, 1, 2 ** 31 - 1);
    this.#maps.update('hc_ctrl_map', u32Bytes(HC_INTERFACE_SLOTS[which]), u32Bytes(ifindex));
  }

  /** Backend of packets to, or from, an end; the options matchDestinations and matchSources ask for them. */
  putMatch(side: HealthcheckSide, end: HealthcheckEnd, backend: IpAddress): void {
    this.#maps.update(MATCH_MAPS[side], matchBytes(end), this.#real(backend));
  }

  deleteMatch(side: HealthcheckSide, end: HealthcheckEnd): void {
    this.#maps.delete(MATCH_MAPS[side], matchBytes(end));
  }

  /**
   * Count the packets that try something from now on; one that is counted already goes on.
   * @throws CompanionError COMPANION_KEYS_FULL
   */
  putKey(key: HealthcheckKey): void {
    const bytes = keyBytes(key);
    const map = this.#maps.get('hc_key_map');
    if (map.lookup(bytes) !== undefined) return;
    const used = new Set(this.#keys().map(({ index }) => index));
    let index = 0;
    while (used.has(index)) index++;
    if (index >= MAX_HC_KEYS) {
      throw new CompanionError(
        { code: 'COMPANION_KEYS_FULL', keys: used.size },
        `${used.size} keys are counted already: delete one first`,
      );
    }
    const stats = this.#maps.get('per_hckey_stats');
    this.#maps.update('per_hckey_stats', u32Bytes(index), new Uint8Array(stats.valueBytes));
    this.#maps.update('hc_key_map', bytes, u32Bytes(index));
  }

  deleteKey(key: HealthcheckKey): void {
    this.#maps.delete('hc_key_map', keyBytes(key));
  }

  stats(): HealthcheckStats {
    const copies = this.#maps.copies('hc_stats_map', 0).map((copy) => decode(HC_STATS, copy));
    const sum = (field: keyof (typeof HC_STATS)['fields']): bigint =>
      copies.reduce((total, copy) => total + copy[field], 0n);
    return {
      processed: sum('processed'),
      dropped: sum('dropped'),
      skipped: sum('skipped'),
      tooBig: sum('too_big'),
      destinationMatched: sum('dst_matched'),
      sourceMatched: sum('src_matched'),
    };
  }

  /** Packets sent through the tunnel by what they tried, in no order. */
  keyStats(): readonly { readonly key: HealthcheckKey; readonly packets: bigint }[] {
    return this.#keys().map(({ key, index }) => {
      const copies = this.#maps.copies('per_hckey_stats', index);
      return { key, packets: copies.reduce((sum, copy) => sum + decode(U64, copy).value, 0n) };
    });
  }

  #keys(): { readonly key: HealthcheckKey; readonly index: number }[] {
    const map = this.#maps.get('hc_key_map');
    const found: { key: HealthcheckKey; index: number }[] = [];
    for (let at = map.nextKey(); at !== undefined; at = map.nextKey(at)) {
      const value = map.lookup(at);
      if (value !== undefined) found.push({ key: readKey(at), index: decode(U32, value).value });
    }
    return found;
  }

  #real(backend: IpAddress): Uint8Array {
    const isNumber = this.#isTunnel && backend.family === 4;
    return realBytes(isNumber ? { family: 4, bytes: backend.bytes.toReversed() } : backend);
  }
}

const flagsOf = (address: IpAddress): number => (address.family === 6 ? HC_FLAGS.IPV6 : 0);

function realBytes(address: IpAddress): Uint8Array {
  return encode(HC_REAL_DEFINITION, { address: address.bytes, flags: flagsOf(address) });
}

function matchBytes({ address, port }: HealthcheckEnd): Uint8Array {
  checkRange('port', port, 0, 65535);
  return encode(HC_MATCH_KEY, { address: address.bytes, port, flags: flagsOf(address) });
}

function keyBytes({ address, port, protocol }: HealthcheckKey): Uint8Array {
  checkRange('port', port, 0, 65535);
  checkRange('protocol', protocol, 0, 255);
  return encode(HC_KEY, { address: address.bytes, port, protocol });
}

/** No IPv6 address that is tried ends in twelve zeros: such a key is of IPv4. */
function readKey(bytes: Uint8Array): HealthcheckKey {
  const { address, port, protocol } = decode(HC_KEY, bytes);
  const isIpv4 = address.subarray(4).every((byte) => byte === 0);
  return { address: ipFromBytes(isIpv4 ? address.subarray(0, 4) : address), port, protocol };
}
