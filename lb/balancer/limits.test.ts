import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../test/support/capabilities.js';
import { tablesFault } from '../../test/support/tables-bed.js';
import type { MapHost, MapSpec } from '../bpf/maps/map.js';
import { ArenaMaps, mapBytes } from '../bpf/maps/registry.js';
import { Arena } from '../bpf/memory/arena.js';
import { createMaps } from '../bpf/object/create-maps.js';
import { parseIp } from '../net/address.js';
import { KernelMaps } from '../sys/bpf.js';
import { vipNumberAt } from './limits.js';
import { balancerObject, sizedObject, withOptions } from './object.js';
import { RING_SIZE } from './schema.js';
import { type Capacity, sizesFor } from './sizes.js';
import { BalancerTables, type VipKey } from './tables.js';

const object = withOptions(balancerObject(), { udpFlowMigration: true });
const HOSTS: readonly (readonly [string, string | undefined, (maps: readonly MapSpec[]) => MapHost])[] = [
  [
    'arena',
    undefined,
    (maps) => {
      const mapsBytes = maps.reduce((sum, map) => sum + mapBytes(map, 2), 2 ** 22);
      return new ArenaMaps(Arena.create({ workers: 1, mapsBytes, ringsBytes: 0 }));
    },
  ],
  ['kernel', missingRoot, () => new KernelMaps()],
];
const vip = (place: number): VipKey => ({
  address: parseIp(`10.1.${place >> 8}.${place & 255}`),
  port: 80,
  protocol: 'tcp',
});

describe('numbers of VIPs', () => {
  it.each([
    [0, 0],
    [511, 511],
    [512, 1024],
    [9999, 10_511],
  ])('the VIP at place %i has number %i: none is that of a global counter', (place, number) => {
    expect(vipNumberAt(place)).toBe(number);
  });
});

describe.each(HOSTS)('capacity, maps of the %s', (_name, missing, make) => {
  const on = (capacity: Capacity, run: (tables: BalancerTables) => void): void => {
    const sized = sizedObject(object, sizesFor(capacity));
    const host = make(sized.maps);
    const maps = createMaps(sized, host);
    const tables = new BalancerTables(maps, { host });
    try {
      run(tables);
    } finally {
      tables.close();
      for (const map of maps.values()) map.close();
    }
  };
  const note = missing === undefined ? '' : ` (skipped: ${missing})`;

  it.skipIf(missing !== undefined)(`is what the tables say that they have${note}`, () => {
    for (const capacity of [
      { vips: 3, rings: 1, reals: 1 },
      { vips: 512, rings: 2, reals: 4095 },
      { vips: 513, rings: 1, reals: 4096 },
    ])
      on(capacity, ({ limits: { vips, rings, reals } }) => expect({ vips, rings, reals }).toEqual(capacity));
  });

  it.skipIf(missing !== undefined)(`past 512 VIPs and 4,095 backends all is there${note}`, () => {
    on({ vips: 600, rings: 2, reals: 5000 }, (tables) => {
      for (let place = 0; place < 600; place++) {
        const number = vipNumberAt(place);
        tables.putVip(vip(place), { flags: 0, number });
        tables.putVipRing(number, place % 2);
      }
      const last = vipNumberAt(599);
      expect(tables.getVip(vip(599))).toEqual({ flags: 0, number: last });
      expect(tables.vipStats(last)).toEqual({ packets: 0n, bytes: 0n });
      expect(tables.reasonStats(last).empty_ring).toEqual({ packets: 0n, bytes: 0n });
      tables.putReal(5000, parseIp('fc00::5000'));
      tables.putNextHop(5000, undefined);
      tables.putDownReal(vip(599), 5000);
      tables.putRing(1, new Uint32Array(RING_SIZE).fill(5000));
      expect(tables.realStats(5000)).toEqual({ packets: 0n, bytes: 0n });
      tables.deleteVip(vip(599));
      tables.clearReal(5000);
    });
  });

  it.skipIf(missing !== undefined)(`what is past it is refused, and the counters' numbers${note}`, () => {
    on({ vips: 600, rings: 2, reals: 100 }, (tables) => {
      const range = (what: string, value: number) => ({ code: 'TABLES_RANGE', what, value });
      for (const number of [-1, 512, 1023, vipNumberAt(600), 1.5]) {
        const fault = range('VIP number', number);
        expect(tablesFault(() => tables.putVip(vip(0), { flags: 0, number }))).toEqual(fault);
        expect(tablesFault(() => tables.putVipRing(number, 0))).toEqual(fault);
        expect(tablesFault(() => tables.vipStats(number))).toEqual(fault);
      }
      const ring = new Uint32Array(RING_SIZE);
      expect(tablesFault(() => tables.putRing(2, ring))).toEqual(range('ring number', 2));
      expect(tablesFault(() => tables.putVipRing(0, 2))).toEqual(range('ring number', 2));
      for (const index of [0, 101]) {
        const fault = range('backend index', index);
        expect(tablesFault(() => tables.putReal(index, parseIp('10.0.0.1')))).toEqual(fault);
        expect(tablesFault(() => tables.putServerId(1, index))).toEqual(fault);
      }
      expect(() => tables.putRing(2, ring)).toThrow(
        'ring number 2 is not within 0 to 1: the maps have no room for more; their sizes are set when the program is loaded',
      );
    });
  });
});

it('rows of the maps that VIPs, rings and backends index', () => {
  const maps = new Map(
    sizedObject(object, sizesFor({ vips: 10_000, rings: 500, reals: 10_000 })).maps.map((map) => [
      map.name,
      map,
    ]),
  );
  const entries = (name: string) => maps.get(name)?.maxEntries;
  expect([entries('vip_map'), entries('vip_rings'), entries('stats')]).toEqual([10_000, 10_512, 10_512]);
  expect([entries('ch_rings'), entries('reals')]).toEqual([500 * RING_SIZE, 10_001]);
});
