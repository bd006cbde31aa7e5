import { CodedError } from '../../errors.js';
import { errnoName } from '../maps/errno.js';
import { BPF_ANY, MAP_FLAGS, type MapSpec } from '../maps/map.js';
import type { ArenaMap, ArenaMaps } from '../maps/registry.js';
import { DIR_FIB4, DIR_FIB6, DIR_LINKS, DIR_NEIGHBOURS, DIRECTORY_OFFSET } from '../memory/layout.js';
import {
  LINK_BYTES,
  LINK_FORWARDS,
  LINK_MAC,
  LINK_MTU,
  NEIGHBOUR_ADDRESS,
  NEIGHBOUR_ADDRESS_BYTES,
  NEIGHBOUR_IFINDEX,
  NEIGHBOUR_KEY_BYTES,
  NEIGHBOUR_VALUE_BYTES,
  ROUTE_BITS,
  ROUTE_BLACKHOLE,
  ROUTE_BYTES,
  ROUTE_GATEWAY,
  ROUTE_GATEWAY_BYTES,
  ROUTE_IFINDEX,
  ROUTE_KIND,
  ROUTE_LOCAL,
  ROUTE_METRIC,
  ROUTE_MTU,
  ROUTE_PROHIBIT,
  ROUTE_SOURCE,
  ROUTE_SOURCE_BYTES,
  ROUTE_UNICAST,
  ROUTE_UNREACHABLE,
} from './fib-layout.js';

export type FibFault =
  | { readonly code: 'FIB_ADDRESS'; readonly bytes: number; readonly bits?: number }
  | { readonly code: 'FIB_MAC'; readonly bytes: number }
  | { readonly code: 'FIB_FULL'; readonly map: string; readonly errno: string };

/** A route, interface or neighbour that makes no sense, or has no room. */
export class FibError extends CodedError<FibFault> {}

/** What becomes of packets of a prefix: to be forwarded, or refused in one of the ways of ip-route(8). */
const ROUTE_KINDS = {
  unicast: ROUTE_UNICAST,
  blackhole: ROUTE_BLACKHOLE,
  unreachable: ROUTE_UNREACHABLE,
  prohibit: ROUTE_PROHIBIT,
  local: ROUTE_LOCAL,
} as const;
export type RouteKind = keyof typeof ROUTE_KINDS;

export interface Route {
  /** Network order, 4 bytes (IPv4) or 16 (IPv6); bits beyond the prefix do not matter. */
  readonly address: Uint8Array;
  /** Length of the prefix. */
  readonly bits: number;
  /** Unless given, 'unicast'. */
  readonly kind?: RouteKind;
  /** Interface that packets leave by; needed by a unicast route. */
  readonly ifindex?: number;
  /** Next hop, 4 or 16 bytes; absent where destinations are neighbours themselves. */
  readonly gateway?: Uint8Array;
  /** Source address for packets of the host's own (BPF_FIB_LOOKUP_SRC). */
  readonly source?: Uint8Array;
  /** Bytes of an IP packet, whatever the interface takes (`mtu lock` of ip-route(8)); the interface's unless given. */
  readonly mtu?: number;
  readonly metric?: number;
}

export interface Link {
  readonly ifindex: number;
  /** 6 bytes. */
  readonly mac: Uint8Array;
  /** Bytes of an IP packet. */
  readonly mtu: number;
  /** Whether packets that come in by it are forwarded; true unless given. */
  readonly forwards?: boolean;
}

export interface Neighbour {
  readonly ifindex: number;
  /** Network order, 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** 6 bytes. */
  readonly mac: Uint8Array;
}

export interface FibOptions {
  /** Routes of each family; 1,024 unless given. */
  readonly maxRoutes?: number;
  /** 256 unless given. */
  readonly maxLinks?: number;
  /** 1,024 unless given. */
  readonly maxNeighbours?: number;
}

const hash = (name: string, keySize: number, valueSize: number, maxEntries: number): MapSpec => ({
  name,
  type: 'HASH',
  keySize,
  valueSize,
  maxEntries,
  flags: 0,
});
const trie = (name: string, addressBytes: number, maxEntries: number): MapSpec => ({
  name,
  type: 'LPM_TRIE',
  keySize: 4 + addressBytes,
  valueSize: ROUTE_BYTES,
  maxEntries,
  flags: MAP_FLAGS.BPF_F_NO_PREALLOC,
});

/** Keys and values as they stand in a map. */
type Entry = readonly [key: Uint8Array, value: Uint8Array];

/**
 * The network as programs see it through bpf_fib_lookup and bpf_check_mtu: interfaces, routes, neighbours. There is one
 * table of routes for each family, which BPF_FIB_LOOKUP_TBID calls 254 (main). It lies in maps of the arena, so that
 * programs see changes at once; an arena has one Fib. Without it, bpf_fib_lookup says that nothing is forwarded and
 * bpf_check_mtu knows no interface.
 */
export class Fib {
  readonly #routes: { readonly 4: ArenaMap; readonly 16: ArenaMap };
  readonly #links: ArenaMap;
  readonly #neighbours: ArenaMap;

  /** @throws MapError MAP_NO_ROOM */
  constructor(maps: ArenaMaps, { maxRoutes = 1024, maxLinks = 256, maxNeighbours = 1024 }: FibOptions = {}) {
    this.#routes = {
      4: maps.createMap(trie('fib4', 4, maxRoutes)),
      16: maps.createMap(trie('fib6', 16, maxRoutes)),
    };
    this.#links = maps.createMap(hash('links', 4, LINK_BYTES, maxLinks));
    this.#neighbours = maps.createMap(
      hash('neighbours', NEIGHBOUR_KEY_BYTES, NEIGHBOUR_VALUE_BYTES, maxNeighbours),
    );
    for (const [word, map] of [
      [DIR_FIB4, this.#routes[4]],
      [DIR_FIB6, this.#routes[16]],
      [DIR_LINKS, this.#links],
      [DIR_NEIGHBOURS, this.#neighbours],
    ] as const) {
      Atomics.store(maps.arena.u32, (DIRECTORY_OFFSET + word) >>> 2, map.info.descriptor);
    }
  }

  /** Every route there is from now on; what stays the same is there all the time. @throws FibError */
  setRoutes(routes: readonly Route[]): void {
    const entries = routes.map((route) => [route.address.length, routeEntry(route)] as const);
    for (const bytes of [4, 16] as const) {
      const ofFamily = entries.filter(([family]) => family === bytes).map(([, entry]) => entry);
      replace(this.#routes[bytes], ofFamily);
    }
  }

  /** Every interface there is from now on. @throws FibError */
  setLinks(links: readonly Link[]): void {
    replace(this.#links, links.map(linkEntry));
  }

  /** Every neighbour whose MAC address is known from now on. @throws FibError */
  setNeighbours(neighbours: readonly Neighbour[]): void {
    replace(this.#neighbours, neighbours.map(neighbourEntry));
  }
}

function replace(map: ArenaMap, entries: readonly Entry[]): void {
  const wanted = new Set(entries.map(([key]) => key.join()));
  const stale: Uint8Array[] = [];
  for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key))
    if (!wanted.has(key.join())) stale.push(key);
  for (const key of stale) map.delete(key);
  for (const [key, value] of entries) {
    const status = map.update(key, value, BPF_ANY);
    if (status === 0) continue;
    const errno = errnoName(-status);
    throw new FibError(
      { code: 'FIB_FULL', map: map.spec.name, errno },
      `no room for ${entries.length} entries in ${map.spec.name}, which has ${map.spec.maxEntries}: ${errno}`,
    );
  }
}

function checkAddress(address: Uint8Array, bits?: number): void {
  const bytes = address.length;
  const isWhole = bytes === 4 || bytes === 16;
  if (isWhole && (bits === undefined || (Number.isInteger(bits) && bits >= 0 && bits <= 8 * bytes))) return;
  throw new FibError(
    { code: 'FIB_ADDRESS', bytes, ...(bits === undefined ? {} : { bits }) },
    `an address of ${bytes} bytes${bits === undefined ? '' : ` and a prefix of ${bits} bits`}: IPv4 has 4 bytes, IPv6 16`,
  );
}

function checkMac({ length: bytes }: Uint8Array): void {
  if (bytes === 6) return;
  throw new FibError({ code: 'FIB_MAC', bytes }, `a MAC address of ${bytes} bytes: it has 6`);
}

function routeEntry(route: Route): Entry {
  const { address, bits, kind = 'unicast', ifindex = 0, gateway, source, mtu = 0, metric = 0 } = route;
  checkAddress(address, bits);
  for (const each of [gateway, source]) if (each !== undefined) checkAddress(each);
  const key = new Uint8Array(4 + address.length);
  new DataView(key.buffer).setUint32(0, bits, true);
  // Bits beyond the prefix are not looked at, and would make two of one.
  for (const [index, byte] of address.entries()) {
    const kept = Math.min(Math.max(bits - 8 * index, 0), 8);
    key[4 + index] = byte & (0xff00 >> kept);
  }
  const value = new Uint8Array(ROUTE_BYTES);
  const view = new DataView(value.buffer);
  view.setUint32(ROUTE_KIND, ROUTE_KINDS[kind], true);
  view.setUint32(ROUTE_IFINDEX, ifindex, true);
  view.setUint32(ROUTE_MTU, mtu, true);
  view.setUint32(ROUTE_METRIC, metric, true);
  view.setUint32(ROUTE_BITS, bits, true);
  view.setUint32(ROUTE_GATEWAY_BYTES, gateway?.length ?? 0, true);
  view.setUint32(ROUTE_SOURCE_BYTES, source?.length ?? 0, true);
  value.set(gateway ?? [], ROUTE_GATEWAY);
  value.set(source ?? [], ROUTE_SOURCE);
  return [key, value];
}

function linkEntry({ ifindex, mac, mtu, forwards = true }: Link): Entry {
  checkMac(mac);
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, ifindex, true);
  const value = new Uint8Array(LINK_BYTES);
  const view = new DataView(value.buffer);
  view.setUint32(LINK_MTU, mtu, true);
  view.setUint32(LINK_FORWARDS, forwards ? 1 : 0, true);
  value.set(mac, LINK_MAC);
  return [key, value];
}

function neighbourEntry({ ifindex, address, mac }: Neighbour): Entry {
  checkAddress(address);
  checkMac(mac);
  const key = new Uint8Array(NEIGHBOUR_KEY_BYTES);
  const view = new DataView(key.buffer);
  view.setUint32(NEIGHBOUR_IFINDEX, ifindex, true);
  view.setUint32(NEIGHBOUR_ADDRESS_BYTES, address.length, true);
  key.set(address, NEIGHBOUR_ADDRESS);
  const value = new Uint8Array(NEIGHBOUR_VALUE_BYTES);
  value.set(mac);
  return [key, value];
}
