import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../test/support/capabilities.js';
import type { MapHost, MapSpec } from '../bpf/maps/map.js';
import { ArenaMaps, mapBytes } from '../bpf/maps/registry.js';
import { Arena } from '../bpf/memory/arena.js';
import { createMaps } from '../bpf/object/create-maps.js';
import type { ObjectSpec } from '../bpf/object/spec.js';
import { KernelMaps } from '../sys/bpf.js';
import { balancerObject } from './object.js';
import { type BalancerOptions, OPTION_NAMES, OptionsError, optionOf, withOptions } from './options.js';
import { RING_SIZE } from './schema.js';
import { type MapSizes, sizedObject } from './sizes.js';

const object = balancerObject();

function faultOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (error instanceof OptionsError) return error.fault;
    throw error;
  }
  return undefined;
}

const NUMBERS = ['maxFrameBytes', 'newConnectionsPerSecond', 'udpTimeoutNs', 'guePort', 'dropSampleRate'];
/** A value that is not the program's own. */
function otherValue(name: keyof BalancerOptions): number | boolean {
  const own = optionOf(object, name) ?? 0;
  return NUMBERS.includes(name) ? own + 1 : own === 0;
}

describe('options', () => {
  it.each(OPTION_NAMES)('%s is set, and no other', (name) => {
    const value = otherValue(name);
    const changed = withOptions(object, { [name]: value });
    for (const other of OPTION_NAMES)
      expect([other, optionOf(changed, other)]).toEqual([
        other,
        other === name ? Number(value) : optionOf(object, other),
      ]);
    // The object that was given is as it was.
    expect(optionOf(object, name)).not.toBe(Number(value));
  });

  it('all widths hold their largest value', () => {
    const changed = withOptions(object, {
      guePort: 65535,
      maxFrameBytes: 2 ** 32 - 1,
      udpTimeoutNs: Number.MAX_SAFE_INTEGER,
    });
    expect(optionOf(changed, 'guePort')).toBe(65535);
    expect(optionOf(changed, 'maxFrameBytes')).toBe(2 ** 32 - 1);
    expect(optionOf(changed, 'udpTimeoutNs')).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('what is absent or undefined keeps its value', () => {
    const initialOf = ({ maps }: ObjectSpec) => maps.find(({ name }) => name === '.rodata')?.initial;
    const absent: BalancerOptions = Object.fromEntries(OPTION_NAMES.map((name) => [name, undefined]));
    expect(initialOf(withOptions(object, {}))).toEqual(initialOf(object));
    expect(initialOf(withOptions(object, absent))).toEqual(initialOf(object));
  });

  it('set one after the other they are as set at once, in constants and code', () => {
    const once = withOptions(object, { gue: true, explain: true, maxFrameBytes: 9000 });
    const first = sizedObject(withOptions(object, { gue: true, explain: false, maxFrameBytes: 2000 }));
    const then = withOptions(first, { explain: true, maxFrameBytes: 9000 });
    expect(then.programs).toEqual(once.programs);
    expect(then.programs).not.toEqual(first.programs);
    for (const name of OPTION_NAMES) expect(optionOf(then, name)).toBe(optionOf(once, name));
  });

  const wrong: readonly (readonly [string, Record<string, unknown>, object])[] = [
    ['a port of 17 bits', { guePort: 65536 }, { code: 'OPTIONS_VALUE', option: 'guePort', value: 65536 }],
    [
      'a negative number',
      { maxFrameBytes: -1 },
      { code: 'OPTIONS_VALUE', option: 'maxFrameBytes', value: -1 },
    ],
    [
      'a part of a number',
      { maxFrameBytes: 1.5 },
      { code: 'OPTIONS_VALUE', option: 'maxFrameBytes', value: 1.5 },
    ],
    ['a number for a switch', { gue: 1 }, { code: 'OPTIONS_VALUE', option: 'gue', value: 1 }],
    ['a switch for a number', { guePort: true }, { code: 'OPTIONS_VALUE', option: 'guePort', value: true }],
    ['an option that is none', { guePorts: 1 }, { code: 'OPTIONS_UNKNOWN', option: 'guePorts' }],
  ];
  it.each(wrong)('refuses %s', (_rule, options, fault) => {
    expect(faultOf(() => withOptions(object, options))).toEqual(fault);
  });

  it('refuses an option that the object has not', () => {
    const bare: ObjectSpec = { ...object, globals: [] };
    expect(faultOf(() => withOptions(bare, { gue: true }))).toEqual({
      code: 'OPTIONS_MISSING',
      option: 'gue',
    });
    expect(optionOf(bare, 'gue')).toBeUndefined();
  });
});

describe('sizes of maps', () => {
  const entriesOf = (options: BalancerOptions, sizes: MapSizes = {}): Record<string, number> =>
    Object.fromEntries(
      sizedObject(withOptions(object, options), sizes).maps.map(({ name, maxEntries }) => [name, maxEntries]),
    );
  const own = Object.fromEntries(object.maps.map(({ name, maxEntries }) => [name, maxEntries]));

  /** An option, the maps that only it needs, and how small they are without it. */
  const needs: readonly (readonly [BalancerOptions, readonly string[], number])[] = [
    [{ prefixVips: true }, ['vip_lpm_map', 'vip_prefixes'], 1],
    [{ globalLru: true }, ['fallback_glru'], 1],
    [{ sourceRouting: true }, ['lpm_src_v4', 'lpm_src_v6'], 1],
    [{ quicRouting: true }, ['server_id_map'], 1],
    [{ tcpServerIds: true }, ['server_id_map'], 1],
    [{ udpStableRouting: true }, ['server_id_map'], 1],
    [{ ipipDecap: true }, ['decap_dst'], 1],
    [{ gueDecap: true }, ['decap_dst'], 1],
    [{ udpFlowMigration: true }, ['vip_to_down_reals_map'], 1],
    [{ eventsEnabled: true }, ['events'], 4096],
  ];
  it.each(needs.map(([option, ...rest]) => [Object.keys(option)[0], option, ...rest] as const))(
    'the maps of %s are full where it is on, and tiny where it is off',
    (_name, option, maps, least) => {
      const off = entriesOf({ quicRouting: false });
      const on = entriesOf({ quicRouting: false, ...option });
      for (const map of maps) {
        expect([map, off[map], on[map]]).toEqual([map, least, own[map]]);
        expect(own[map]).toBeGreaterThan(least);
      }
      const rest = Object.keys(own).filter((map) => !maps.includes(map));
      expect(rest.filter((map) => on[map] !== off[map])).toEqual([]);
    },
  );

  it('maps that no option needs keep their size', () => {
    const { ch_rings, reals, stats, vip_map, fallback_cache } = own;
    expect(entriesOf({})).toMatchObject({ ch_rings, reals, stats, vip_map, fallback_cache });
  });

  it('sizes are set, of what is on', () => {
    const sizes = { ch_rings: 2 * RING_SIZE, server_id_map: 10, lpm_src_v4: 20, fallback_cache: 5 };
    expect(entriesOf({}, sizes)).toMatchObject({
      ch_rings: 2 * RING_SIZE,
      server_id_map: 10,
      lpm_src_v4: 1,
      fallback_cache: 5,
    });
  });

  const hosts: readonly (readonly [string, string | undefined, (maps: readonly MapSpec[]) => MapHost])[] = [
    [
      'arena',
      undefined,
      (maps) => {
        const mapsBytes = maps.reduce((sum, map) => sum + mapBytes(map, 2), 2 ** 20);
        return new ArenaMaps(Arena.create({ workers: 1, mapsBytes, ringsBytes: 0 }));
      },
    ],
    ['kernel', missingRoot, () => new KernelMaps()],
  ];
  for (const [name, missing, make] of hosts) {
    const note = missing === undefined ? '' : ` (skipped: ${missing})`;
    it.skipIf(missing !== undefined)(`tiny maps are taken by the ${name}${note}`, () => {
      const tiny = sizedObject(withOptions(object, { quicRouting: false }), { ch_rings: RING_SIZE });
      const maps = createMaps(tiny, make(tiny.maps));
      for (const { name: map, maxEntries } of tiny.maps)
        expect(maps.get(map)?.spec.maxEntries).toBe(maxEntries);
      for (const map of maps.values()) map.close();
    });
  }

  it('an object without an option keeps the maps of that option', () => {
    const bare = sizedObject({ ...object, globals: [] });
    expect(bare.maps.map(({ maxEntries }) => maxEntries)).toEqual(
      object.maps.map(({ maxEntries }) => maxEntries),
    );
  });

  const refused: readonly (readonly [string, Record<string, number>, object])[] = [
    ['a map that the program sizes', { ctl_array: 32 }, { code: 'OPTIONS_MAP_FIXED', map: 'ctl_array' }],
    ['no backend', { reals: 1 }, { code: 'OPTIONS_MAP_SIZE', map: 'reals', entries: 1 }],
    ['counters without room', { stats: 512 }, { code: 'OPTIONS_MAP_SIZE', map: 'stats', entries: 512 }],
    [
      'more VIPs than events can name',
      { vip_map: 65_025 },
      { code: 'OPTIONS_MAP_SIZE', map: 'vip_map', entries: 65_025 },
    ],
    ['a part of a ring', { ch_rings: 65536 }, { code: 'OPTIONS_MAP_SIZE', map: 'ch_rings', entries: 65536 }],
    [
      'more rings than memory',
      { ch_rings: 8193 * RING_SIZE },
      { code: 'OPTIONS_MAP_SIZE', map: 'ch_rings', entries: 8193 * RING_SIZE },
    ],
    ['no entry', { server_id_map: 0 }, { code: 'OPTIONS_MAP_SIZE', map: 'server_id_map', entries: 0 }],
    [
      'a ring of events that is no power of two',
      { events: 12288 },
      { code: 'OPTIONS_MAP_SIZE', map: 'events', entries: 12288 },
    ],
    [
      'a ring of less than a page',
      { events: 2048 },
      { code: 'OPTIONS_MAP_SIZE', map: 'events', entries: 2048 },
    ],
  ];
  it.each(refused)('refuses %s', (_rule, sizes, fault) => {
    expect(faultOf(() => sizedObject(object, sizes))).toEqual(fault);
  });
});
