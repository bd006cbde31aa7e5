import { expect } from 'vitest';
import { describeTables, type TablesBed, u32 } from '../../test/support/tables-bed.js';
import { parseIp, parseMac } from '../net/address.js';
import { addressId, flowId, prefixId, readAdopted, vipId } from './adopted.js';
import type { Flow, VipKey } from './tables.js';

const vip = (address: string, over: Partial<VipKey> = {}): VipKey => ({
  address: parseIp(address),
  port: 80,
  protocol: 'tcp',
  ...over,
});
const prefix = (address: string, bits: number) => ({ address: parseIp(address), bits });
const flow = (src: string, dst: string): Flow => ({
  src: parseIp(src),
  dst: parseIp(dst),
  sport: 1234,
  dport: 443,
  protocol: 'udp',
});
const read = ({ maps }: TablesBed) => readAdopted(maps);

describeTables('what another process wrote', (test) => {
  test('of fresh maps is nothing', (bed) => {
    const { restingReals, ...adopted } = read(bed);
    expect(restingReals().size).toBe(0);
    expect(adopted).toEqual({
      routerMac: undefined,
      ownAddresses: new Map(),
      reals: new Map(),
      strayReals: [],
      vips: new Map(),
      rings: new Set(),
      serverIds: new Map(),
      sourceRoutes: new Map(),
      downReals: new Map(),
      globalFlows: new Map(),
      decapDestinations: new Map(),
      watched: undefined,
      eventsOn: false,
    });
  });

  test('backends come with rows, next hops and what they are', (bed) => {
    bed.tables.putReal(1, parseIp('10.0.0.1'));
    bed.tables.putReal(7, parseIp('2001:db8::'), 2);
    bed.tables.putNextHop(7, parseMac('02:00:00:00:00:07'));
    bed.tables.putReal(9, parseIp('10.0.0.1'));
    const { reals, strayReals } = read(bed);
    expect([...reals]).toEqual([
      ['10.0.0.1', { index: 1, address: parseIp('10.0.0.1'), isLocal: false, mac: undefined }],
      [
        '2001:db8::',
        { index: 7, address: parseIp('2001:db8::'), isLocal: true, mac: parseMac('02:00:00:00:00:07') },
      ],
    ]);
    expect(strayReals).toEqual([9]);
  });

  test('rows rest that are empty and have flows', (bed) => {
    bed.tables.putReal(1, parseIp('10.0.0.1'));
    const flows = new Map([
      [0, 1],
      [1, 5],
      [2, 3],
      [3, 0],
    ]);
    const { restingReals } = readAdopted(bed.maps, { trackedFlows: () => flows });
    expect([...restingReals()]).toEqual([2]);
  });

  test('VIPs of both families and prefixes come with numbers, flags and rings', (bed) => {
    const keys = [
      vip('192.0.2.1'),
      vip('2001:db8::1', { protocol: 'udp', port: 0 }),
      vip('2001:db8:1::', { prefixBits: 48 }),
      // The same bytes as an IPv4 address.
      vip('2001:db8::', { port: 443 }),
    ];
    for (const [number, key] of keys.entries()) bed.tables.putVip(key, { number, flags: number + 1 });
    bed.tables.putVipRing(1, 2);
    const { vips, rings } = read(bed);
    expect(keys.map((key) => vips.get(vipId(key)))).toEqual(
      keys.map((key, number) => ({
        key: number === 3 ? vip('32.1.13.184', { port: 443 }) : key,
        number,
        flags: number + 1,
        ring: number === 1 ? 2 : number,
      })),
    );
    expect([...rings].sort()).toEqual([0, 2, 3]);
    for (const { key } of vips.values()) bed.tables.deleteVip(key);
    expect(read(bed).vips.size).toBe(0);
  });

  test('routes, flows and tunnels come by what makes them', (bed) => {
    const { tables } = bed;
    tables.putServerId(5, 3);
    const prefixes = [prefix('10.0.0.0', 8), prefix('0.0.0.0', 0), prefix('2001:db8::', 32)];
    for (const one of prefixes) tables.putSourceRoute(one, one.bits + 1);
    const flows = [
      flow('192.0.2.1', '192.0.2.2'),
      flow('2001:db8::1', '2001:db8::'),
      flow('::1', '2001:db8::'),
    ];
    for (const [i, one] of flows.entries()) tables.putGlobalFlow(one, i + 1);
    const ends = [parseIp('192.0.2.7'), parseIp('2001:db8::7')];
    for (const [i, end] of ends.entries()) tables.putDecapDestination(end, { egress: i === 1 });
    tables.setOwnAddress(parseIp('192.0.2.9'));
    tables.setOwnAddress(parseIp('2001:db8::9'));
    tables.setRouterMac(parseMac('02:00:00:00:00:01'));
    tables.watchMisses(vip('2001:db8::1'));
    tables.setEvents(true);
    const adopted = read(bed);
    expect([...adopted.serverIds]).toEqual([[5, 3]]);
    expect(prefixes.map((one) => adopted.sourceRoutes.get(prefixId(one)))).toEqual(
      prefixes.map((one) => ({ prefix: one, real: one.bits + 1 })),
    );
    expect(flows.map((one) => adopted.globalFlows.get(flowId(one)))).toEqual(
      flows.map((one, i) => ({ flow: one, real: i + 1 })),
    );
    expect(ends.map((end) => adopted.decapDestinations.get(addressId(end)))).toEqual(
      ends.map((address, i) => ({ address, egress: i === 1 })),
    );
    expect([...adopted.ownAddresses]).toEqual([
      [4, parseIp('192.0.2.9')],
      [6, parseIp('2001:db8::9')],
    ]);
    expect(adopted.routerMac).toEqual(parseMac('02:00:00:00:00:01'));
    expect([adopted.watched, adopted.eventsOn]).toEqual([vip('2001:db8::1'), true]);
  });

  test('down backends are those of the sets that are there', (bed) => {
    bed.tables.putDownReal(vip('192.0.2.1'), 4);
    bed.tables.putDownReal(vip('192.0.2.1'), 5);
    const set = new Map([4, 5].map((real) => [real, 1]));
    const inner = {
      ...bed.maps.get('server_id_map')!,
      forEach: (visit: (key: Uint8Array, value: Uint8Array) => void) => {
        for (const real of set.keys()) visit(u32(real), Uint8Array.of(1));
      },
    };
    const { downReals } = readAdopted(bed.maps, { inner: () => inner });
    const id = vipId(vip('192.0.2.1'));
    expect([...downReals]).toEqual([4, 5].map((real) => [`${id} ${real}`, { vip: vip('192.0.2.1'), real }]));
    expect(readAdopted(bed.maps).downReals.size).toBe(0);
  });
});
