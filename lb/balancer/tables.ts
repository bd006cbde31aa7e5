import { type BpfMap, ERRNO, type MapHost } from '../bpf/maps/map.js';
import { CodedError } from '../errors.js';
import { formatIp, type IpAddress, type Mac } from '../net/address.js';
import { ConnectionTables } from './connections.js';
import {
  type BalancerMapName,
  CTL_ROUTER_MAC,
  CTL_VALUE,
  decode,
  encode,
  IP_ADDRESS,
  LB_STATS,
  MAP_SCHEMA,
  MAX_REALS,
  MAX_VIPS,
  NEXT_HOP,
  REAL_DEFINITION,
  REAL_FLAGS,
  RING_SIZE,
  U32,
  VIP_DEFINITION,
  VIP_META,
} from './schema.js';
import {
  type CounterName,
  type CounterValue,
  DROP_REASONS_MAX,
  DROP_SLOT_NO_VIP,
  type DropReason,
  type PacketStats,
  readCounters,
  readDrops,
  sumPackets,
} from './stats.js';

/** Protocols that a VIP can have, by number (IANA). */
export const VIP_PROTOCOLS = { tcp: 6, udp: 17 } as const;
export type VipProtocol = keyof typeof VIP_PROTOCOLS;

/** What makes a VIP; port 0 is every port. */
export interface VipKey {
  readonly address: IpAddress;
  readonly port: number;
  readonly protocol: VipProtocol;
}

/** What the balancer keeps of a VIP: flags of VIP_FLAGS, and its number below MAX_VIPS. */
export interface VipRow {
  readonly flags: number;
  readonly number: number;
}

export type TablesFault =
  | { readonly code: 'TABLES_MAP_MISSING'; readonly map: string }
  | {
      readonly code: 'TABLES_MAP_SHAPE';
      readonly map: string;
      readonly keySize: number;
      readonly valueSize: number;
    }
  | {
      readonly code: 'TABLES_WRITE';
      readonly map: string;
      readonly operation: string;
      readonly errno: number;
    }
  | { readonly code: 'TABLES_RANGE'; readonly what: string; readonly value: number };

/** A map that is not there, a write that was refused, or a number out of range. */
export class TablesError extends CodedError<TablesFault> {}

/** Most slots that go into one batch. */
const BATCH_SLOTS = 8192;

const u32 = (value: number): Uint8Array => encode(U32, { value });

/** The sixteen bytes that a map has for an address. */
const addressBytes = (address: IpAddress): Uint8Array => encode(IP_ADDRESS, { address: address.bytes });

/**
 * The balancer's maps, by what they mean. Works the same over maps of the arena and of the kernel.
 * One writer: the control plane. Each write is one element, which packets see whole or not at all; the order
 * of writes (backend, ring, VIP, and back) is the caller's.
 */
export class BalancerTables {
  readonly #maps: Readonly<Record<BalancerMapName, BpfMap>>;
  readonly #connections: ConnectionTables;

  /** @throws TablesError TABLES_MAP_MISSING, TABLES_MAP_SHAPE */
  constructor(maps: ReadonlyMap<string, BpfMap>) {
    const names = Object.keys(MAP_SCHEMA) as BalancerMapName[];
    this.#maps = Object.fromEntries(names.map((name) => [name, checkedMap(maps, name)])) as Record<
      BalancerMapName,
      BpfMap
    >;
    this.#connections = new ConnectionTables(this.#maps.lru_mapping, this.#maps.fallback_cache);
  }

  /** Write a VIP, new or changed. */
  putVip(vip: VipKey, row: VipRow): void {
    checkRange('VIP number', row.number, 0, MAX_VIPS - 1);
    const key = vipKeyBytes(vip);
    const isNew = this.#maps.vip_map.lookup(key) === undefined;
    this.#update('vip_map', key, encode(VIP_META, { flags: row.flags, vip_num: row.number }));
    if (isNew) this.#addToAddress(vip.address, 1);
  }

  /** What is written of a VIP. */
  getVip(vip: VipKey): VipRow | undefined {
    const value = this.#maps.vip_map.lookup(vipKeyBytes(vip));
    if (value === undefined) return undefined;
    const { flags, vip_num } = decode(VIP_META, value);
    return { flags, number: vip_num };
  }

  /** Remove a VIP: its traffic passes from now on. Its counters are cleared for the next VIP of its number. */
  deleteVip(vip: VipKey): void {
    const row = this.getVip(vip);
    if (row === undefined) return;
    this.#check('vip_map', 'delete', this.#maps.vip_map.delete(vipKeyBytes(vip)));
    this.#addToAddress(vip.address, -1);
    this.#clearStats('stats', row.number, 1);
    this.#clearStats('drop_stats', row.number * DROP_REASONS_MAX, DROP_REASONS_MAX);
  }

  /** Write a backend's row; the family sets its flag. `index` is at least 1. */
  putReal(index: number, address: IpAddress, flags = 0): void {
    checkRange('backend index', index, 1, MAX_REALS - 1);
    const allFlags = address.family === 6 ? flags | REAL_FLAGS.IPV6 : flags;
    this.#update('reals', u32(index), encode(REAL_DEFINITION, { address: address.bytes, flags: allFlags }));
  }

  /** Empty a backend's row, its next hop and its counters: flows that still point at it get another backend. */
  clearReal(index: number): void {
    checkRange('backend index', index, 1, MAX_REALS - 1);
    this.#update('reals', u32(index), new Uint8Array(REAL_DEFINITION.sizeBytes));
    this.putNextHop(index, undefined);
    this.#clearStats('reals_stats', index, 1);
  }

  /** MAC address of a backend's next hop; undefined: the router's. */
  putNextHop(index: number, mac: Mac | undefined): void {
    checkRange('backend index', index, 1, MAX_REALS - 1);
    this.#update('real_macs', u32(index), encode(NEXT_HOP, { mac: mac ?? new Uint8Array(6) }));
  }

  /** MAC address of the router: the next hop of backends that have none of their own. */
  setRouterMac(mac: Mac): void {
    this.#update('ctl_array', u32(CTL_ROUTER_MAC), encode(CTL_VALUE, { mac }));
  }

  /**
   * Write a ring, only the slots that differ from `previous`.
   * @param slots RING_SIZE backend indices, 0 = empty
   * @param previous what the ring holds now, as far as the caller knows; without it every slot is written
   * @returns slots written
   */
  putRing(ring: number, slots: Uint32Array, previous?: Uint32Array): number {
    checkRange('ring number', ring, 0, MAX_VIPS - 1);
    checkRange('ring size', slots.length, RING_SIZE, RING_SIZE);
    const keys = new Uint32Array(BATCH_SLOTS);
    const values = new Uint32Array(BATCH_SLOTS);
    let pending = 0;
    let written = 0;
    const flush = (): void => {
      this.#check(
        'ch_rings',
        'update batch',
        this.#maps.ch_rings.updateBatch(bytesOf(keys, pending), bytesOf(values, pending), pending),
      );
      written += pending;
      pending = 0;
    };
    for (let slot = 0; slot < RING_SIZE; slot++) {
      if (previous !== undefined && previous[slot] === slots[slot]) continue;
      keys[pending] = ring * RING_SIZE + slot;
      values[pending] = slots[slot]!;
      if (++pending === BATCH_SLOTS) flush();
    }
    flush();
    return written;
  }

  /** Empty a ring: its VIPs drop what has no connection entry. */
  clearRing(ring: number): void {
    this.putRing(ring, new Uint32Array(RING_SIZE));
  }

  /** Have a VIP use a ring; rings belong to pools, and VIPs may share one. */
  putVipRing(vipNumber: number, ringNumber: number): void {
    checkRange('VIP number', vipNumber, 0, MAX_VIPS - 1);
    checkRange('ring number', ringNumber, 0, MAX_VIPS - 1);
    this.#update('vip_rings', u32(vipNumber), u32(ringNumber + 1));
  }

  /**
   * Give each CPU a connection table of its own.
   * @param cpus how many, from CPU 0
   */
  attachConnectionTables(host: MapHost, cpus: number, entriesPerCpu: number): void {
    this.#check('lru_mapping', 'update', this.#connections.attach(host, cpus, entriesPerCpu));
  }

  /** Flows in the connection tables by backend index; UDP flows that have timed out do not count. */
  trackedFlows(nowNs?: bigint): Map<number, number> {
    return this.#connections.countByReal(nowNs ?? process.hrtime.bigint());
  }

  /** Give back the connection tables that were attached; the other maps belong to whoever created them. */
  close(): void {
    this.#connections.close();
  }

  /** Packets and IP bytes that went to backends, by VIP number. */
  vipStats(number: number): PacketStats {
    checkRange('VIP number', number, 0, MAX_VIPS - 1);
    return sumPackets(this.#maps.stats, number);
  }

  /** Packets and IP bytes that went to a backend. */
  realStats(index: number): PacketStats {
    checkRange('backend index', index, 1, MAX_REALS - 1);
    return sumPackets(this.#maps.reals_stats, index);
  }

  /** All global counters, by the names of COUNTERS. */
  counters(): Readonly<Record<CounterName, CounterValue>> {
    return readCounters(this.#maps.stats);
  }

  /** Dropped packets of a VIP by reason; 'none': those dropped before a VIP was known. */
  dropStats(vipNumber: number | 'none'): Readonly<Record<DropReason, PacketStats>> {
    if (vipNumber !== 'none') checkRange('VIP number', vipNumber, 0, MAX_VIPS - 1);
    return readDrops(this.#maps.drop_stats, vipNumber === 'none' ? DROP_SLOT_NO_VIP : vipNumber);
  }

  /** Count a VIP in or out of those on its address; the last one takes the address with it. */
  #addToAddress(address: IpAddress, change: 1 | -1): void {
    const key = addressBytes(address);
    const held = this.#maps.vip_addresses.lookup(key);
    const count = (held === undefined ? 0 : decode(U32, held).value) + change;
    if (count > 0) this.#update('vip_addresses', key, u32(count));
    else if (held !== undefined) this.#check('vip_addresses', 'delete', this.#maps.vip_addresses.delete(key));
  }

  #clearStats(name: 'stats' | 'reals_stats' | 'drop_stats', first: number, count: number): void {
    const map = this.#maps[name];
    const zeros = new Uint8Array(map.cpus * LB_STATS.sizeBytes);
    for (let i = 0; i < count; i++) this.#update(name, u32(first + i), zeros);
  }

  #update(name: BalancerMapName, key: Uint8Array, value: Uint8Array): void {
    this.#check(name, 'update', this.#maps[name].update(key, value));
  }

  #check(map: string, operation: string, result: number): void {
    if (result >= 0) return;
    const name = Object.entries(ERRNO).find(([, errno]) => errno === -result)?.[0] ?? `errno ${-result}`;
    throw new TablesError(
      { code: 'TABLES_WRITE', map, operation, errno: -result },
      `map ${map}: ${operation} failed: ${name}`,
    );
  }
}

/** A VIP as people write it. */
export function formatVip({ address, port, protocol }: VipKey): string {
  const host = address.family === 6 ? `[${formatIp(address)}]` : formatIp(address);
  return `${host}:${port}/${protocol}`;
}

function vipKeyBytes({ address, port, protocol }: VipKey): Uint8Array {
  checkRange('VIP port', port, 0, 65535);
  return encode(VIP_DEFINITION, { address: address.bytes, port, protocol: VIP_PROTOCOLS[protocol] });
}

function checkedMap(maps: ReadonlyMap<string, BpfMap>, name: BalancerMapName): BpfMap {
  const map = maps.get(name);
  if (map === undefined) {
    throw new TablesError({ code: 'TABLES_MAP_MISSING', map: name }, `the balancer's map ${name} is missing`);
  }
  const { keySize, valueSize } = map.spec;
  const schema = MAP_SCHEMA[name];
  if (keySize !== schema.key.sizeBytes || valueSize !== schema.value.sizeBytes) {
    throw new TablesError(
      { code: 'TABLES_MAP_SHAPE', map: name, keySize, valueSize },
      `map ${name} has keys of ${keySize} and values of ${valueSize} bytes, wanted ${schema.key.sizeBytes} and ${schema.value.sizeBytes}`,
    );
  }
  return map;
}

function checkRange(what: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new TablesError(
    { code: 'TABLES_RANGE', what, value },
    `${what} ${value} is not within ${min} to ${max}`,
  );
}

/** Little-endian bytes of the first `count` words (every machine that runs this is little endian). */
function bytesOf(words: Uint32Array, count: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, count * 4);
}
