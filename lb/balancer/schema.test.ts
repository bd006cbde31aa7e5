import { describe, expect, it } from 'vitest';
import { balancerObject, decapObject } from './object.js';
import {
  CTL_VALUE,
  DECAP_STATS,
  decode,
  encode,
  FLOW_KEY,
  IP_ADDRESS,
  LB_STATS,
  MAP_SCHEMA,
  MAX_REALS,
  MAX_VIPS,
  NEXT_HOP,
  REAL_DEFINITION,
  REAL_POS_LRU,
  RING_SIZE,
  type Struct,
  U32,
  UDP_TIMEOUT_NS,
  VIP_DEFINITION,
  VIP_META,
} from './schema.js';
import { COUNTERS, DROP_REASONS, DROP_REASONS_MAX, DROP_SLOT_NO_VIP } from './stats.js';

const object = balancerObject();
const decap = decapObject();

/** Fields of C that the schema leaves out on purpose: padding, and other views of the same bytes. */
const UNNAMED: Readonly<Record<string, readonly string[]>> = {
  ctl_value: ['value', 'ifindex'],
  next_hop: ['value'],
  decap_stats: ['reserved'],
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
    NEXT_HOP,
    IP_ADDRESS,
    DECAP_STATS,
  ];
  it.each(structs.map((struct) => [struct.name, struct] as const))('%s', (name, struct) => {
    const layout = (name === 'decap_stats' ? decap : object).btf?.structLayout(name);
    expect(layout?.sizeBytes).toBe(struct.sizeBytes);
    const inC = Object.fromEntries(
      [...(layout?.fields ?? [])]
        .filter(([field]) => field !== 'pad' && !UNNAMED[name]?.includes(field))
        .map(([field, { offset, sizeBytes }]) => [field, { offset, bytes: sizeBytes }]),
    );
    const here = Object.fromEntries(
      Object.entries(struct.fields).map(([field, { offset, bytes }]) => [field, { offset, bytes }]),
    );
    expect(here).toEqual(inC);
  });

  it('every map has its key and value, and every map of the object is known', () => {
    const inObject = object.maps
      .filter(({ name }) => !name.startsWith('.'))
      .map(({ name, keySize, valueSize }) => [name, { keySize, valueSize }]);
    const here = Object.entries(MAP_SCHEMA).map(([name, { key, value }]) => [
      name,
      { keySize: key.sizeBytes, valueSize: value.sizeBytes },
    ]);
    expect(Object.fromEntries(here)).toEqual(Object.fromEntries(inObject));
  });

  it('sizes are those of the maps', () => {
    const entries = Object.fromEntries(object.maps.map(({ name, maxEntries }) => [name, maxEntries]));
    expect(entries).toMatchObject({
      vip_map: MAX_VIPS,
      vip_rings: MAX_VIPS,
      ch_rings: MAX_VIPS * RING_SIZE,
      reals: MAX_REALS,
      real_macs: MAX_REALS,
      reals_stats: MAX_REALS,
      drop_stats: (DROP_SLOT_NO_VIP + 1) * DROP_REASONS_MAX,
      stats: 1024,
      lru_mapping: 128,
      fallback_cache: 1000,
      ctl_array: 16,
    });
  });
});

describe('names are those of the object', () => {
  it('drop reasons agree with enum drop_reason', () => {
    const values = object.btf?.enumValues('drop_reason') ?? new Map<string, bigint>();
    const names = DROP_REASONS.map((reason, i) => [`DROP_${reason.toUpperCase()}`, BigInt(i)] as const);
    expect([...values]).toEqual([...names, ['DROP_REASONS', BigInt(DROP_REASONS.length)]]);
    expect(DROP_REASONS.length).toBeLessThanOrEqual(DROP_REASONS_MAX);
  });

  it('counters stand in slots of their own', () => {
    const slots = Object.values(COUNTERS).map(({ slot }) => slot);
    expect(new Set(slots).size).toBe(slots.length);
    expect(Math.max(...slots)).toBeLessThan(1024 - MAX_VIPS);
  });

  it('the timeout of UDP flows is the option of the program', () => {
    const rodata = object.maps.find(({ name }) => name === '.rodata');
    const place = object.btf?.find('datasec', '.rodata')?.vars.find(({ type }) => {
      return object.btf?.type(type).name === 'udp_timeout_ns';
    });
    const initial = rodata?.initial ?? new Uint8Array();
    const view = new DataView(initial.buffer, initial.byteOffset);
    expect(view.getBigUint64(place?.offset ?? Number.NaN, true)).toBe(UDP_TIMEOUT_NS);
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
