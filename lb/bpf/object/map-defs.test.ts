import { describe, expect, it } from 'vitest';
import { caught, testObject } from '../../../test/support/objects.js';
import type { MapSpec } from '../maps/map.js';
import { loadObject, MapDefError } from './load.js';

const programs = loadObject(testObject('programs'));
const nested = loadObject(testObject('nested'));

function map(maps: readonly MapSpec[], name: string): MapSpec {
  const found = maps.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no map ${name}`);
  return found;
}

describe('maps by BTF', () => {
  it('__type gives size and BTF id', () => {
    const flows = map(programs.maps, 'flows');
    expect(flows).toMatchObject({ type: 'LRU_HASH', keySize: 12, valueSize: 4, maxEntries: 1024, flags: 0 });
    expect(programs.btf?.type(flows.keyTypeId ?? 0)).toMatchObject({ kind: 'struct', name: 'flow' });
  });

  it('key_size and value_size give sizes without types; pinning is taken', () => {
    const counters = map(programs.maps, 'counters');
    expect(counters).toEqual({
      name: 'counters',
      type: 'PERCPU_ARRAY',
      keySize: 4,
      valueSize: 16,
      maxEntries: 4,
      flags: 0,
      pinned: true,
    });
  });

  it('map_flags', () => expect(map(programs.maps, 'unused').flags).toBe(1));

  it('__array(values) gives the template of the inner map', () => {
    expect(map(nested.maps, 'outer')).toMatchObject({
      type: 'ARRAY_OF_MAPS',
      keySize: 4,
      valueSize: 4,
      maxEntries: 8,
      inner: { name: 'outer.inner', type: 'ARRAY', keySize: 4, valueSize: 8, maxEntries: 4 },
    });
    expect(map(nested.maps, 'empty')).toMatchObject({
      keySize: 4,
      inner: { type: 'LRU_HASH', maxEntries: 16 },
    });
  });

  it('initial values of a map of maps are slots by name', () => {
    expect(map(nested.maps, 'outer').slots).toEqual([
      { index: 1, map: 'one' },
      { index: 5, map: 'two' },
    ]);
    expect(map(nested.maps, 'empty').slots).toBeUndefined();
  });
});

describe('data sections', () => {
  it('.rodata is a frozen array of one value that programs cannot write', () => {
    const rodata = map(programs.maps, '.rodata');
    expect(rodata).toMatchObject({
      type: 'ARRAY',
      keySize: 4,
      valueSize: 12,
      maxEntries: 1,
      flags: 128,
      frozen: true,
    });
    expect([...(rodata.initial ?? [])]).toEqual([64, 0, 0, 0, 10, 0, 20, 0, 30, 0, 40, 0]);
    expect(programs.btf?.type(rodata.valueTypeId ?? 0)).toMatchObject({ kind: 'datasec', name: '.rodata' });
  });

  it('.data has content and can be written', () => {
    const data = map(programs.maps, '.data');
    expect(data).toMatchObject({ valueSize: 8, flags: 0, initial: new Uint8Array([7, 0, 0, 0, 0, 0, 0, 0]) });
    expect(data.frozen).toBeUndefined();
  });

  it('a pointer in data stays what it is in the file, as libbpf leaves it', () => {
    const data = map(loadObject(testObject('pointer')).maps, '.data');
    expect(data.initial?.subarray(8)).toEqual(new Uint8Array(8));
  });

  it('.bss has a size and no content', () => {
    const bss = map(programs.maps, '.bss');
    expect([bss.valueSize, bss.initial]).toEqual([4, undefined]);
  });
});

describe('refused', () => {
  const rows = [
    {
      name: 'a map type that is not known',
      object: 'unknown-map',
      fault: { code: 'MAP_DEF_TYPE', section: '.maps', offset: 0 },
    },
    {
      name: 'key and key_size that differ',
      object: 'unequal-map',
      fault: { code: 'MAP_DEF_SIZE', section: '.maps', offset: 0 },
    },
  ] as const;
  for (const { name, object, fault } of rows) {
    it(name, () => {
      const error = caught(() => loadObject(testObject(object)));
      expect(error).toBeInstanceOf(MapDefError);
      expect(error).toMatchObject({ fault: { stage: 'maps', ...fault } });
    });
  }
});
