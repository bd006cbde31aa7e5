import { expect, it } from 'vitest';
import { describeTables, tablesFault, u32 } from '../../test/support/tables-bed.js';
import type { BpfMap } from '../bpf/maps/map.js';
import { parseIp } from '../net/address.js';
import { flowKeyBytes } from './connections.js';
import { BalancerTables, type Flow, formatVip, type VipKey } from './tables.js';

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const net48: VipKey = { address: parseIp('2001:db8:1::'), prefixBits: 48, port: 80, protocol: 'tcp' };
const net32: VipKey = { address: parseIp('2001:db8::'), prefixBits: 32, port: 80, protocol: 'tcp' };
const dns: VipKey = { address: parseIp('198.51.100.10'), port: 53, protocol: 'udp' };

/** Keys as struct vip_lpm_key and struct ipv6_prefix have them. */
const lpmKey = (bits: string, prefix: string): Uint8Array => bytesOf(`${bits}000000 0050 06 00 ${prefix}`);
const prefixKey = (bits: string, prefix: string): Uint8Array => bytesOf(`${bits}000000 ${prefix}`);
const NET48 = '20010db80001 00000000000000000000';
const NET32 = '20010db8 000000000000000000000000';

describeTables('VIPs that are prefixes', (test) => {
  test('each has an entry of its own, with 32 bits of port and protocol before the address', ({
    read,
    tables,
  }) => {
    tables.putVip(net48, { flags: 1, number: 4 });
    tables.putVip(net32, { flags: 2, number: 5 });
    expect(read('vip_lpm_map', lpmKey('50', NET48))).toBe('0100000004000000');
    expect(read('vip_lpm_map', lpmKey('40', NET32))).toBe('0200000005000000');
    expect(read('vip_map', bytesOf(`${NET48} 0050 06 00`))).toBeUndefined();
    tables.putVip(net48, { flags: 3, number: 4 });
    expect([tables.getVip(net48), tables.getVip(net32)]).toEqual([
      { flags: 3, number: 4 },
      { flags: 2, number: 5 },
    ]);
  });

  test('a shorter prefix that matches is another VIP', ({ read, tables }) => {
    tables.putVip(net32, { flags: 2, number: 5 });
    expect(tables.getVip(net48)).toBeUndefined();
    tables.deleteVip(net48);
    expect(tables.getVip(net32)).toEqual({ flags: 2, number: 5 });
    tables.putVip(net48, { flags: 0, number: 6 });
    expect(read('vip_prefixes', prefixKey('30', NET48))).toBe('01000000');
  });

  test('a prefix is known while a VIP is on it', ({ read, tables }) => {
    tables.putVip(net32, { flags: 0, number: 1 });
    tables.putVip(net48, { flags: 0, number: 2 });
    tables.putVip(net48, { flags: 1, number: 2 });
    tables.putVip({ ...net48, port: 443 }, { flags: 0, number: 3 });
    expect(read('vip_prefixes', prefixKey('30', NET48))).toBe('02000000');
    expect(read('vip_prefixes', prefixKey('20', NET32))).toBe('01000000');
    tables.deleteVip(net48);
    expect(read('vip_prefixes', prefixKey('30', NET48))).toBe('01000000');
    tables.deleteVip({ ...net48, port: 443 });
    // What is left for this address is the shorter one's.
    expect(read('vip_prefixes', prefixKey('30', NET48))).toBe('01000000');
    tables.deleteVip(net32);
    expect(read('vip_prefixes', prefixKey('30', NET48))).toBeUndefined();
  });

  test('128 bits are one address, as none are', ({ read, tables }) => {
    tables.putVip({ ...net48, prefixBits: 128 }, { flags: 0, number: 1 });
    expect(tables.getVip({ address: net48.address, port: 80, protocol: 'tcp' })).toEqual({
      flags: 0,
      number: 1,
    });
    expect(read('vip_addresses', net48.address.bytes)).toBe('01000000');
  });

  test('what is no IPv6 prefix is refused', ({ tables }) => {
    const row = { flags: 0, number: 0 };
    expect(tablesFault(() => tables.putVip({ ...net48, prefixBits: 129 }, row))).toEqual({
      code: 'TABLES_RANGE',
      what: 'VIP prefix',
      value: 129,
    });
    expect(tablesFault(() => tables.putVip({ ...dns, prefixBits: 24 }, row))).toEqual({
      code: 'TABLES_RANGE',
      what: 'VIP prefix',
      value: 24,
    });
  });
});

describeTables('server ids', (test) => {
  test('an id is its own number', ({ read, tables }) => {
    tables.putServerId(7, 3);
    tables.putServerId(0xffffffff, 4);
    tables.putServerId(7, 5);
    expect(read('server_id_map', u32(7))).toBe('05000000');
    expect(read('server_id_map', u32(0xffffffff))).toBe('04000000');
    tables.deleteServerId(7);
    tables.deleteServerId(7);
    expect(read('server_id_map', u32(7))).toBeUndefined();
  });

  test('0 is no id, and backends are from 1', ({ tables }) => {
    expect(tablesFault(() => tables.putServerId(0, 1))).toMatchObject({ what: 'server id', value: 0 });
    expect(tablesFault(() => tables.deleteServerId(2 ** 32))).toMatchObject({ what: 'server id' });
    expect(tablesFault(() => tables.putServerId(1, 0))).toMatchObject({ what: 'backend index', value: 0 });
  });
});

describeTables('source routes', (test) => {
  test('the longest prefix answers, and goes alone', ({ read, tables }) => {
    tables.putSourceRoute({ address: parseIp('10.0.0.0'), bits: 8 }, 1);
    tables.putSourceRoute({ address: parseIp('10.1.0.0'), bits: 16 }, 2);
    tables.putSourceRoute({ address: parseIp('0.0.0.0'), bits: 0 }, 3);
    const client = bytesOf('20000000 0a010203');
    expect(read('lpm_src_v4', client)).toBe('02000000');
    tables.deleteSourceRoute({ address: parseIp('10.1.0.0'), bits: 16 });
    tables.deleteSourceRoute({ address: parseIp('10.1.0.0'), bits: 16 });
    expect(read('lpm_src_v4', client)).toBe('01000000');
    expect(read('lpm_src_v4', bytesOf('20000000 0b010203'))).toBe('03000000');
  });

  test('IPv6 has a table of its own', ({ read, tables }) => {
    tables.putSourceRoute({ address: parseIp('2001:db8::'), bits: 32 }, 9);
    expect(read('lpm_src_v6', prefixKey('80', NET48))).toBe('09000000');
    expect(read('lpm_src_v4', bytesOf('20000000 20010db8'))).toBeUndefined();
  });

  test('bits are those that the address has', ({ tables }) => {
    const put = (address: string, bits: number) => () =>
      tables.putSourceRoute({ address: parseIp(address), bits }, 1);
    expect(tablesFault(put('10.0.0.0', 33))).toMatchObject({ what: 'source route prefix', value: 33 });
    expect(tablesFault(put('fc00::', 129))).toMatchObject({ what: 'source route prefix', value: 129 });
    expect(tablesFault(put('fc00::', -1))).toMatchObject({ what: 'source route prefix', value: -1 });
  });
});

describeTables('backends that are down', (test) => {
  const DNS = bytesOf(`c633640a ${'00'.repeat(12)} 0035 11 00`);

  test('a VIP has a set from its first one on, and the set goes with it', ({ host, maps, read }) => {
    const sets: BpfMap[] = [];
    const tables = new BalancerTables(maps, {
      host: {
        createMap: (spec) => {
          const map = host.createMap(spec);
          sets.push(map);
          return map;
        },
      },
    });
    tables.putVip(dns, { flags: 512, number: 1 });
    tables.deleteDownReal(dns, 7);
    expect(read('vip_to_down_reals_map', DNS)).toBeUndefined();
    tables.putDownReal(dns, 7);
    tables.putDownReal(dns, 8);
    tables.putDownReal(dns, 7);
    expect(read('vip_to_down_reals_map', DNS)).toBeDefined();
    expect(sets).toHaveLength(1);
    expect([7, 8, 9].map((real) => sets[0]?.lookup(u32(real)) !== undefined)).toEqual([true, true, false]);
    tables.deleteDownReal(dns, 7);
    tables.deleteDownReal(dns, 7);
    expect(sets[0]?.lookup(u32(7))).toBeUndefined();
    tables.deleteVip(dns);
    expect(read('vip_to_down_reals_map', DNS)).toBeUndefined();
    // A set is used again, empty.
    tables.putDownReal({ ...dns, port: 54 }, 9);
    expect(sets).toHaveLength(1);
    expect([8, 9].map((real) => sets[0]?.lookup(u32(real)) !== undefined)).toEqual([false, true]);
    tables.close();
  });

  test('a prefix cannot have them', ({ tables }) => {
    const fault = { code: 'TABLES_PREFIX_VIP', what: 'down backends' };
    expect(tablesFault(() => tables.putDownReal(net48, 1))).toEqual(fault);
    expect(tablesFault(() => tables.deleteDownReal(net48, 1))).toEqual(fault);
  });

  test('they need a place for their sets', ({ maps }) => {
    const without = new BalancerTables(maps);
    expect(tablesFault(() => without.putDownReal(dns, 1))).toEqual({
      code: 'TABLES_NO_HOST',
      what: 'down backends',
    });
  });
});

describeTables('tunnels and own addresses', (test) => {
  test('a tunnel destination and its flag', ({ read, tables }) => {
    const [v4, v6] = [parseIp('10.0.13.37'), parseIp('fc00:2307::1337')];
    const key = Uint8Array.from([...v4.bytes, ...new Uint8Array(12)]);
    tables.putDecapDestination(v4);
    tables.putDecapDestination(v6, { egress: true });
    expect([read('decap_dst', key), read('decap_dst', v6.bytes)]).toEqual(['00000000', '02000000']);
    tables.deleteDecapDestination(v4);
    tables.deleteDecapDestination(v4);
    expect(read('decap_dst', key)).toBeUndefined();
  });

  test('own addresses, IPv4 and IPv6', ({ read, tables }) => {
    tables.setOwnAddress(parseIp('fc00:2307::1337'));
    expect(read('pckt_srcs', u32(0))).toBe('00'.repeat(20));
    tables.setOwnAddress(parseIp('10.0.13.37'));
    expect(read('pckt_srcs', u32(0))).toBe(`0a000d25${'00'.repeat(16)}`);
    expect(read('pckt_srcs', u32(1))).toBe(`fc002307${'00'.repeat(10)}133701000000`);
  });

  test('events are on or off', ({ read, tables }) => {
    tables.setEvents(true);
    expect(read('ctl_array', u32(5))).toBe('0100000000000000');
    tables.setEvents(false);
    expect(read('ctl_array', u32(5))).toBe('00'.repeat(8));
  });
});

describeTables('flows from outside', (test) => {
  const flow: Flow = {
    src: parseIp('10.0.0.1'),
    dst: parseIp('198.51.100.10'),
    sport: 4000,
    dport: 80,
    protocol: 'tcp',
  };
  const other = { ...flow, sport: 4001 };

  test('go to the tables of one CPU or of all', ({ host, maps }) => {
    const attached: BpfMap[] = [];
    const tables = new BalancerTables(maps);
    const spy = {
      createMap: (spec: Parameters<typeof host.createMap>[0]) => {
        const map = host.createMap(spec);
        attached.push(map);
        return map;
      },
    };
    tables.attachGlobalTables(spy, 2, 16);
    tables.putGlobalFlow(flow, 3, 1);
    tables.putGlobalFlow(other, 4);
    const all = [...attached, maps.get('fallback_glru')];
    const realsOf = (one: Flow) => all.map((table) => table?.lookup(flowKeyBytes(one))?.[0]);
    expect(realsOf(flow)).toEqual([undefined, 3, undefined]);
    expect(realsOf(other)).toEqual([4, 4, 4]);
    expect(() => tables.putGlobalFlow(flow, 3, 2)).toThrow(RangeError);
    tables.close();
  });
});

it('a prefix stands within the brackets', () => {
  expect(formatVip(net48)).toBe('[2001:db8:1::/48]:80/tcp');
  expect(formatVip({ ...net48, prefixBits: 128 })).toBe('[2001:db8:1::]:80/tcp');
});
