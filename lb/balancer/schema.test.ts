import { describe, expect, it } from 'vitest';
import { balancerObject, decapObject } from './object.js';
import { OPTION_CONSTANTS, optionOf } from './options.js';
import { REASON_SLOT_NO_VIP, REASONS_MAX, VIP_REASONS } from './reasons.js';
import {
  CTL_NUMBER,
  CTL_VALUE,
  DECAP_STATS,
  DECISION,
  DEFAULT_REALS,
  DEFAULT_VIPS,
  decode,
  EVENTS_MAP,
  encode,
  FLOW_KEY,
  IP_ADDRESS,
  IPV4_PREFIX,
  IPV6_PREFIX,
  LB_STATS,
  MAP_SCHEMA,
  NEXT_HOP,
  QUIC_STATS,
  REAL_DEFINITION,
  REAL_POS_LRU,
  RING_SIZE,
  STABLE_ROUTING_STATS,
  STATS_SLOTS,
  type Struct,
  TCP_SERVER_ID_STATS,
  U32,
  UDP_TIMEOUT_NS,
  VIP_DEFINITION,
  VIP_LPM_KEY,
  VIP_META,
} from './schema.js';

const object = balancerObject();
const decap = decapObject();

/** Fields of C that the schema leaves out on purpose: other views of the same bytes. */
const UNNAMED: Readonly<Record<string, readonly string[]>> = {
  ctl_value: ['value', 'ifindex', 'mac'],
  next_hop: ['value'],
};

describe('structs are those of the object (BTF)', () => {
  const structs: readonly Struct[] = [
    FLOW_KEY,
    REAL_POS_LRU,
    VIP_DEFINITION,
    VIP_META,
    REAL_DEFINITION,
    LB_STATS,
    CTL_VALUE,
    CTL_NUMBER,
    NEXT_HOP,
    IP_ADDRESS,
    VIP_LPM_KEY,
    IPV4_PREFIX,
    IPV6_PREFIX,
    QUIC_STATS,
    TCP_SERVER_ID_STATS,
    STABLE_ROUTING_STATS,
    DECISION,
    DECAP_STATS,
  ];
  it.each(structs.map((struct) => [struct.name, struct] as const))('%s', (name, struct) => {
    const layout = (name === 'decap_stats' ? decap : object).btf?.structLayout(name);
    expect(layout?.sizeBytes).toBe(struct.sizeBytes);
    const inC = Object.fromEntries(
      [...(layout?.fields ?? [])]
        .filter(([field]) => field !== 'pad' && (field in struct.fields || !UNNAMED[name]?.includes(field)))
        .map(([field, { offset, sizeBytes }]) => [field, { offset, bytes: sizeBytes }]),
    );
    const here = Object.fromEntries(
      Object.entries(struct.fields).map(([field, { offset, bytes }]) => [field, { offset, bytes }]),
    );
    expect(here).toEqual(inC);
  });

  it('every map has its key and value, and every map of the object is known', () => {
    const inObject = object.maps
      .filter(({ name }) => !name.startsWith('.') && name !== EVENTS_MAP)
      .map(({ name, keySize, valueSize }) => [name, { keySize, valueSize }]);
    const here = Object.entries(MAP_SCHEMA).map(([name, { key, value }]) => [
      name,
      { keySize: key.sizeBytes, valueSize: value.sizeBytes },
    ]);
    expect(Object.fromEntries(here)).toEqual(Object.fromEntries(inObject));
    expect(object.maps.find(({ name }) => name === EVENTS_MAP)?.type).toBe('RINGBUF');
  });

  it('sizes are those of the maps', () => {
    const entries = Object.fromEntries(object.maps.map(({ name, maxEntries }) => [name, maxEntries]));
    expect(entries).toMatchObject({
      vip_map: DEFAULT_VIPS,
      vip_rings: DEFAULT_VIPS,
      ch_rings: DEFAULT_VIPS * RING_SIZE,
      reals: DEFAULT_REALS,
      real_macs: DEFAULT_REALS,
      reals_stats: DEFAULT_REALS,
      reason_stats: REASON_SLOT_NO_VIP * VIP_REASONS + REASONS_MAX,
      server_id_stats: DEFAULT_VIPS,
      decap_vip_stats: DEFAULT_VIPS,
      lru_miss_stats: DEFAULT_REALS,
      global_lru_maps: 128,
      vip_to_down_reals_map: DEFAULT_VIPS,
      pckt_srcs: 2,
      stats: STATS_SLOTS,
      lru_mapping: 128,
      fallback_cache: 1000,
      ctl_array: 16,
    });
  });
});

describe('options are those of the object', () => {
  it('every option is a constant of the program, and every constant an option', () => {
    const inObject = object.globals.filter(({ map }) => map === '.rodata').map(({ name }) => name);
    expect(Object.values(OPTION_CONSTANTS).toSorted()).toEqual(inObject.toSorted());
  });

  it('the timeout of UDP flows', () => {
    expect(optionOf(object, 'udpTimeoutNs')).toBe(Number(UDP_TIMEOUT_NS));
  });
});

describe('encode and decode', () => {
  it('a port is big endian, numbers are little endian, the rest is zero', () => {
    const key = encode(VIP_DEFINITION, { address: Uint8Array.of(192, 0, 2, 1), port: 0x1234, protocol: 6 });
    expect(Buffer.from(key).toString('hex')).toBe(`c0000201${'00'.repeat(12)}12340600`);
    const value = encode(VIP_META, { flags: 8, vip_num: 0x0102 });
    expect(Buffer.from(value).toString('hex')).toBe('0800000002010000');
  });

  it('decode undoes encode at any offset', () => {
    const entry = { pos: 0xfffffffe, atime: 0xfedcba9876543210n };
    const bytes = new Uint8Array(REAL_POS_LRU.sizeBytes + 5);
    bytes.set(encode(REAL_POS_LRU, entry), 5);
    expect(decode(REAL_POS_LRU, bytes, 5)).toEqual(entry);
    const flow = {
      src: new Uint8Array(16).fill(1),
      dst: new Uint8Array(16).fill(2),
      sport: 65535,
      dport: 80,
      protocol: 17,
    };
    expect(decode(FLOW_KEY, encode(FLOW_KEY, flow))).toEqual(flow);
  });

  it.each([
    ['a number that does not fit', () => encode(U32, { value: 2 ** 32 })],
    ['a negative number', () => encode(U32, { value: -1 })],
    ['too many bytes', () => encode(NEXT_HOP, { mac: new Uint8Array(7) })],
    ['too few bytes to decode', () => decode(VIP_DEFINITION, new Uint8Array(19))],
  ])('refuses %s', (_rule, run) => {
    expect(run).toThrow(RangeError);
  });
});
