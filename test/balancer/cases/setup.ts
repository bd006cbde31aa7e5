/** What cases configure: backends and rings that are always there, and VIPs, routes and tunnels as each suite wants them. */
import {
  COUNTER_SLOTS,
  COUNTERS_START,
  CTL_EVENTS,
  CTL_ROUTER_MAC,
  DECAP_FLAGS,
  DEFAULT_REALS,
  FLOW_KEY,
  OWN_ADDRESS_SLOTS,
  REAL_FLAGS,
  REAL_POS_LRU,
  RING_SIZE,
  U8,
  U32,
  VIP_DEFINITION,
  VIP_LPM_HEAD_BITS,
} from '../../../lb/balancer/schema.js';
import { encode } from '../../../lb/balancer/structs.js';
import { parseIp, parseMac } from '../../../lb/net/address.js';
import { type BalancerBed, TEST_RINGS } from '../../support/balancer.js';
import { CASE_REALS, emptyMap, mapOf, putRow } from '../../support/balancer-state.js';
import { type Endpoints, PROTOCOL } from '../../support/packets.js';

export const ROUTER_MAC = '00:00:de:ad:be:af';
export const CLIENT_4 = '203.0.113.77';
export const CLIENT_6 = '2001:db8:cafe::1234:5678';
/** The balancer's own addresses. */
export const OWN_4 = '10.0.13.37';
export const OWN_6 = 'fc00:2307:a1:b2:c3:d4:e5:1337';

interface RealRow {
  readonly index: number;
  readonly address: string;
  readonly isLocal?: true;
}
/** Backends by name. */
export const REALS = {
  four: { index: 1, address: '10.0.0.1' },
  six: { index: 2, address: 'fc00:11:12:13:14:15:16:2' },
  otherFour: { index: 3, address: '10.0.0.3' },
  otherSix: { index: 4, address: 'fc00:21:22:23:24:25:26:4' },
  localFour: { index: 5, address: '10.0.0.5', isLocal: true },
  localSix: { index: 6, address: 'fc00:31:32:33:34:35:36:6', isLocal: true },
} as const satisfies Record<string, RealRow>;
export type RealName = keyof typeof REALS;

/** A row that no backend has, and a number that no row has. */
export const MISSING_REAL = 15;
export const REAL_BEYOND = DEFAULT_REALS + 904;

/** Rings, each of one backend alone. */
export const RINGS = {
  four: 0,
  six: 1,
  otherFour: 2,
  otherSix: 3,
  localFour: 4,
  localSix: 5,
  missing: 6,
  beyond: 7,
  empty: 8,
} as const;
export type RingName = keyof typeof RINGS;
const RING_CONTENT: Readonly<Record<RingName, number>> = {
  four: 1,
  six: 2,
  otherFour: 3,
  otherSix: 4,
  localFour: 5,
  localSix: 6,
  missing: MISSING_REAL,
  beyond: REAL_BEYOND,
  empty: 0,
};

export interface Vip {
  readonly number: number;
  readonly address: string;
  /** 0: every port. */
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly flags: number;
  readonly ring: RingName;
  /** An IPv6 prefix of so many bits, in place of an address. */
  readonly prefixBits?: number;
}
/** VIPs with numbers in the order in which they stand. */
export function numberVips<N extends string>(
  rows: Readonly<Record<N, Omit<Vip, 'number' | 'flags'> & { readonly flags?: number }>>,
): Readonly<Record<N, Vip>> {
  const entries = Object.entries(rows) as [N, Omit<Vip, 'number' | 'flags'> & { readonly flags?: number }][];
  return Object.fromEntries(
    entries.map(([name, row], number) => [name, { flags: 0, ...row, number }]),
  ) as Record<N, Vip>;
}

const addressBytes = (address: string): Uint8Array => parseIp(address).bytes;
const HASHES = [
  'vip_map',
  'vip_addresses',
  'vip_lpm_map',
  'vip_prefixes',
  'fallback_cache',
  'fallback_glru',
  'server_id_map',
  'lpm_src_v4',
  'lpm_src_v6',
  'vip_to_down_reals_map',
  'decap_dst',
] as const;

/** The maps of one bed, written row by row. */
export class Scene {
  readonly bed: BalancerBed;
  /** Maps of the vip_to_down_reals_map, by VIP number. */
  readonly #down = new Map<number, ReturnType<BalancerBed['host']['createMap']>>();

  constructor(bed: BalancerBed) {
    this.bed = bed;
    for (const [name, ring] of Object.entries(RINGS)) this.#writeRing(ring, RING_CONTENT[name as RingName]);
  }

  /** Everything as it is before a suite's own rows: backends, router, no flow. */
  reset(): void {
    const { maps, connections } = this.bed;
    for (const name of HASHES) emptyMap(mapOf(maps, name));
    emptyMap(connections);
    for (const map of this.#down.values()) map.close();
    this.#down.clear();
    for (let index = 1; index < CASE_REALS; index++) {
      putRow(maps, 'reals', { value: index }, { address: new Uint8Array(16), flags: 0 });
      putRow(maps, 'real_macs', { value: index }, { mac: new Uint8Array(6) });
    }
    for (const { index, address, ...row } of Object.values(REALS)) {
      const local = 'isLocal' in row ? REAL_FLAGS.LOCAL : 0;
      this.real(index, address, local);
    }
    putRow(maps, 'ctl_array', { value: CTL_ROUTER_MAC }, { mac: parseMac(ROUTER_MAC) });
    this.events(false);
    this.watch(undefined);
    this.rate(0);
    // The id in a sample of QUIC's is no count: what another row left must not be added to it.
    const quic = mapOf(maps, 'quic_stats_map');
    quic.update(encode(U32, { value: 0 }), new Uint8Array(quic.valueBytes));
    for (const slot of [0, 1]) {
      putRow(maps, 'pckt_srcs', { value: slot }, { address: new Uint8Array(16), flags: 0 });
    }
  }

  real(index: number, address: string, flags = 0): void {
    const family = address.includes(':') ? REAL_FLAGS.IPV6 : 0;
    const row = { address: addressBytes(address), flags: flags | family };
    putRow(this.bed.maps, 'reals', { value: index }, row);
  }

  removeReal(name: RealName): void {
    const row = { address: new Uint8Array(16), flags: 0 };
    putRow(this.bed.maps, 'reals', { value: REALS[name].index }, row);
  }

  nextHop(name: RealName, mac: string): void {
    putRow(this.bed.maps, 'real_macs', { value: REALS[name].index }, { mac: parseMac(mac) });
  }

  vips(vips: Readonly<Record<string, Vip>>): void {
    for (const vip of Object.values(vips)) this.vip(vip);
  }

  vip(vip: Vip): void {
    const { maps } = this.bed;
    const address = addressBytes(vip.address);
    const meta = { flags: vip.flags, vip_num: vip.number };
    const rest = { port: vip.port, protocol: PROTOCOL[vip.protocol] };
    if (vip.prefixBits === undefined) {
      putRow(maps, 'vip_map', { address, ...rest }, meta);
      putRow(maps, 'vip_addresses', { address }, { value: 1 });
    } else {
      putRow(
        maps,
        'vip_lpm_map',
        { prefix_bits: VIP_LPM_HEAD_BITS + vip.prefixBits, address, ...rest },
        meta,
      );
      putRow(maps, 'vip_prefixes', { prefix_bits: vip.prefixBits, address }, { value: 1 });
    }
    this.ring(vip, vip.ring);
  }

  /** Have a VIP use another ring. */
  ring({ number }: Vip, ring: RingName): void {
    putRow(this.bed.maps, 'vip_rings', { value: number }, { value: RINGS[ring] + 1 });
  }

  /** Have a VIP use the ring of its own number. */
  ownRing({ number }: Vip): void {
    putRow(this.bed.maps, 'vip_rings', { value: number }, { value: 0 });
  }

  /** Have a VIP use a ring that the map has not. */
  ringBeyond({ number }: Vip): void {
    putRow(this.bed.maps, 'vip_rings', { value: number }, { value: TEST_RINGS + 1 });
  }

  /** Note a flow in the connection table, as of now. */
  note(flow: Endpoints, protocol: number, pos: number): void {
    const { src, dst, ...ports } = flow;
    const key = { src: addressBytes(src), dst: addressBytes(dst), ...ports, protocol };
    const entry = { pos, atime: this.bed.now() };
    const status = this.bed.connections.update(encode(FLOW_KEY, key), encode(REAL_POS_LRU, entry));
    if (status !== 0) throw new Error(`connections: ${status}`);
  }

  /** Have a server id name a backend. */
  serverId(id: number, real: RealName | number): void {
    const index = typeof real === 'number' ? real : REALS[real].index;
    putRow(this.bed.maps, 'server_id_map', { value: id }, { value: index });
  }

  sourceRoute(prefix: string, bits: number, real: RealName | number): void {
    const index = typeof real === 'number' ? real : REALS[real].index;
    const key = { prefix_bits: bits, address: addressBytes(prefix) };
    putRow(this.bed.maps, prefix.includes(':') ? 'lpm_src_v6' : 'lpm_src_v4', key, { value: index });
  }

  /** Mark a backend as down for a VIP. */
  down(vip: Vip, real: RealName): void {
    const { host, maps } = this.bed;
    const outer = mapOf(maps, 'vip_to_down_reals_map');
    const inner = this.#down.get(vip.number) ?? host.createMap(outer.spec.inner!);
    this.#down.set(vip.number, inner);
    inner.update(encode(U32, { value: REALS[real].index }), encode(U8, { value: 1 }));
    const status = outer.updateInner(vipKey(vip), inner);
    if (status !== 0) throw new Error(`vip_to_down_reals_map: ${status}`);
  }

  /** An address whose tunnels end here. */
  decapDestination(address: string, egress = false): void {
    const value = egress ? DECAP_FLAGS.EGRESS : 0;
    putRow(this.bed.maps, 'decap_dst', { address: addressBytes(address) }, { value });
  }

  /** Give the balancer its own addresses. */
  ownAddresses(): void {
    for (const [address, family] of [
      [OWN_4, 4],
      [OWN_6, 6],
    ] as const) {
      const flags = family === 6 ? REAL_FLAGS.IPV6 : 0;
      const row = { address: addressBytes(address), flags };
      putRow(this.bed.maps, 'pckt_srcs', { value: OWN_ADDRESS_SLOTS[family] }, row);
    }
  }

  /** Whether packets are reported. */
  events(on: boolean): void {
    putRow(this.bed.maps, 'ctl_array', { value: CTL_EVENTS }, { mac: Uint8Array.of(on ? 1 : 0) });
  }

  /** New connections of this second so far, on every CPU; `ageNs`: since when the second is. */
  rate(count: number, ageNs = 0n): void {
    const key = { value: COUNTERS_START + COUNTER_SLOTS.new_connection_rate };
    putRow(this.bed.maps, 'stats', key, { v1: BigInt(count), v2: this.bed.now() - ageNs });
  }

  /** The VIP whose new flows are counted by backend. */
  watch(vip: Vip | undefined): void {
    const none = { address: new Uint8Array(16), port: 0, protocol: 0 };
    const row =
      vip === undefined
        ? none
        : { address: addressBytes(vip.address), port: vip.port, protocol: PROTOCOL[vip.protocol] };
    putRow(this.bed.maps, 'vip_miss_stats', { value: 0 }, row);
  }

  /** Note a flow in the global table of CPUs that have none of their own. */
  globalFlow(flow: Endpoints, protocol: number, real: number): void {
    const { src, dst, ...ports } = flow;
    const key = { src: addressBytes(src), dst: addressBytes(dst), ...ports, protocol };
    putRow(this.bed.maps, 'fallback_glru', key, { value: real });
  }

  #writeRing(ring: number, real: number): void {
    const keys = Uint32Array.from({ length: RING_SIZE }, (_, slot) => ring * RING_SIZE + slot);
    const values = new Uint32Array(RING_SIZE).fill(real);
    const map = mapOf(this.bed.maps, 'ch_rings');
    const bytes = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer);
    const status = map.updateBatch(bytes(keys), bytes(values), RING_SIZE);
    if (status < 0) throw new Error(`ch_rings: ${status}`);
  }
}

/** Key of a VIP in vip_map. */
export const vipKey = ({ address, port, protocol }: Vip): Uint8Array =>
  encode(VIP_DEFINITION, { address: addressBytes(address), port, protocol: PROTOCOL[protocol] });
