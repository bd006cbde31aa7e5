import { describe, expect, it } from 'vitest';
import type { ObjectSpec } from '../../bpf/object/spec.js';
import { Replay } from '../../engine/replay.js';
import { parseIp } from '../../net/address.js';
import type { MapSchema, Struct } from '../structs.js';
import { DecapTables } from './decap.js';
import { HealthcheckTables } from './healthcheck.js';
import { CompanionError } from './maps.js';
import { decapProgramObject, healthcheckObject, rootObject } from './object.js';
import {
  DECAP_DROP_SLOTS,
  DECAP_MAPS,
  DECAP_STATS,
  HC_INTERFACE_SLOTS,
  HC_KEY,
  HC_MAC,
  HC_MATCH_KEY,
  HC_REAL_DEFINITION,
  HC_STATS,
  HEALTHCHECK_MAPS,
  MAX_HC_KEYS,
  ROOT_MAP,
  ROOT_SLOTS,
} from './schema.js';

const healthcheck = healthcheckObject();
const decap = decapProgramObject();

describe('structs are those of the objects (BTF)', () => {
  const structs: readonly (readonly [string, Struct, ObjectSpec])[] = [
    ...[HC_REAL_DEFINITION, HC_MAC, HC_KEY, HC_MATCH_KEY, HC_STATS].map(
      (struct) => [struct.name, struct, healthcheck] as const,
    ),
    [DECAP_STATS.name, DECAP_STATS, decap],
  ];
  it.each(structs)('%s', (name, struct, object) => {
    const layout = object.btf?.structLayout(name);
    expect(layout?.sizeBytes).toBe(struct.sizeBytes);
    const inC = [...(layout?.fields ?? [])]
      .filter(([field]) => field !== 'pad')
      .map(([field, { offset, sizeBytes }]) => [field, { offset, bytes: sizeBytes }]);
    const here = Object.entries(struct.fields).map(([field, { offset, bytes }]) => [
      field,
      { offset, bytes },
    ]);
    expect(Object.fromEntries(here)).toEqual(Object.fromEntries(inC));
  });
});

describe('maps are those of the objects', () => {
  it.each([
    ['healthcheck', healthcheck, HEALTHCHECK_MAPS],
    ['decap', decap, DECAP_MAPS],
  ] as const)('%s', (_name, object, schema: MapSchema) => {
    const inObject = object.maps
      .filter(({ name }) => !name.startsWith('.'))
      .map(({ name, keySize, valueSize }) => [name, { keySize, valueSize }]);
    const here = Object.entries(schema).map(([name, { key, value }]) => [
      name,
      { keySize: key.sizeBytes, valueSize: value.sizeBytes },
    ]);
    expect(Object.fromEntries(here)).toEqual(Object.fromEntries(inObject));
  });

  it('types and sizes', () => {
    const shapes = [healthcheck, decap, rootObject()].flatMap(({ maps }) =>
      maps
        .filter(({ name }) => !name.startsWith('.'))
        .map(({ name, type, maxEntries }) => [name, `${type} ${maxEntries}`]),
    );
    expect(Object.fromEntries(shapes)).toEqual({
      hc_reals_map: 'HASH 4096',
      hc_dst_reals_map: 'HASH 100',
      hc_src_reals_map: 'HASH 100',
      hc_ctrl_map: `ARRAY ${HC_INTERFACE_SLOTS.main + 1}`,
      hc_pckt_srcs_map: 'ARRAY 2',
      hc_pckt_macs: 'ARRAY 2',
      hc_stats_map: 'PERCPU_ARRAY 1',
      hc_key_map: `HASH ${MAX_HC_KEYS}`,
      per_hckey_stats: `PERCPU_ARRAY ${MAX_HC_KEYS}`,
      decap_dst: 'HASH 512',
      decap_counters: 'PERCPU_ARRAY 1',
      decap_drops: `PERCPU_ARRAY ${Object.keys(DECAP_DROP_SLOTS).length}`,
      tpr_server_id: 'ARRAY 1',
      [ROOT_MAP]: `PROG_ARRAY ${ROOT_SLOTS}`,
    });
  });

  it('drops agree with enum decap_drop', () => {
    const slots = Object.entries(DECAP_DROP_SLOTS);
    expect([...(decap.btf?.enumValues('decap_drop') ?? [])]).toEqual([
      ...slots.map(([name, slot]) => [`DECAP_DROP_${name.toUpperCase()}`, BigInt(slot)]),
      ['DECAP_DROPS', BigInt(slots.length)],
    ]);
  });
});

describe('faults', () => {
  const { maps } = new Replay({ object: healthcheck, program: 'healthcheck_egress', engine: 'interpreter' });
  const tables = new HealthcheckTables(maps);
  const address = parseIp('10.0.0.1');
  const key = (port: number) => ({ address, port, protocol: 6 });

  it.each([
    ['a map that is missing', () => new HealthcheckTables(new Map()), 'COMPANION_MAP_MISSING'],
    [
      'a map of another shape',
      () => new DecapTables(new Map([['decap_dst', maps.get('hc_reals_map')!]])),
      'COMPANION_MAP_SHAPE',
    ],
    ['mark 0 is no mark', () => tables.putReal(0, address), 'COMPANION_RANGE'],
    ['a mark of more than 32 bits', () => tables.deleteReal(2 ** 32), 'COMPANION_RANGE'],
    ['interface 0', () => tables.setInterface(0), 'COMPANION_RANGE'],
    ['a port', () => tables.putMatch('source', { address, port: 65536 }, address), 'COMPANION_RANGE'],
    ['a protocol', () => tables.putKey({ address, port: 1, protocol: 256 }), 'COMPANION_RANGE'],
  ])('%s', (_rule, run, code) => {
    expect(run).toThrow(expect.objectContaining({ code }));
    expect(run).toThrow(CompanionError);
  });

  it('a table that is full', () => {
    for (let port = 0; port < 100; port++) tables.putMatch('destination', { address, port }, address);
    expect(() => tables.putMatch('destination', { address, port: 100 }, address)).toThrow(
      expect.objectContaining({
        fault: { code: 'COMPANION_WRITE', map: 'hc_dst_reals_map', operation: 'update', errno: 7 },
      }),
    );
  });

  it('512 keys are the most; a row is used again once its key is gone', () => {
    for (let port = 0; port < MAX_HC_KEYS; port++) tables.putKey(key(port));
    tables.putKey(key(0));
    expect(() => tables.putKey(key(MAX_HC_KEYS))).toThrow(
      expect.objectContaining({ fault: { code: 'COMPANION_KEYS_FULL', keys: MAX_HC_KEYS } }),
    );
    tables.deleteKey(key(7));
    tables.deleteKey(key(7));
    tables.putKey(key(MAX_HC_KEYS));
    expect(tables.keyStats()).toHaveLength(MAX_HC_KEYS);
  });
});
