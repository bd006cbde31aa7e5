import { describe, expect, it } from 'vitest';
import { caught, testObject } from '../../../test/support/objects.js';
import type { BpfMap, MapHost, MapSpec } from '../maps/map.js';
import { CreateMapsError, createMaps } from './create-maps.js';
import { loadObject } from './load.js';

/** A host that writes down what it is asked for. */
class RecordingHost implements MapHost {
  readonly log: string[] = [];
  constructor(readonly status = 0) {}

  createMap(spec: MapSpec): BpfMap {
    this.log.push(`create ${spec.name}`);
    if (spec.maxEntries === 0) throw new Error('no entries');
    const unused = (): never => {
      throw new Error('not used');
    };
    return {
      spec,
      cpus: 1,
      valueBytes: spec.valueSize,
      lookup: unused,
      lookupAndDelete: unused,
      contains: unused,
      update: unused,
      delete: unused,
      nextKey: unused,
      forEach: unused,
      lookupBatch: unused,
      deleteBatch: unused,
      updateBatch: unused,
      updateInner: (key, inner) => {
        this.log.push(`${spec.name}[${key.join('.')}] = ${inner.spec.name}`);
        return this.status;
      },
      close: () => {
        this.log.push(`close ${spec.name}`);
      },
    };
  }
}

describe('createMaps', () => {
  const nested = loadObject(testObject('nested'));

  it('creates every map in order, then fills slots by little-endian index', () => {
    const host = new RecordingHost();
    expect([...createMaps(nested, host).keys()]).toEqual(['one', 'two', 'outer', 'empty']);
    expect(host.log).toEqual([
      'create one',
      'create two',
      'create outer',
      'create empty',
      'outer[1.0.0.0] = one',
      'outer[5.0.0.0] = two',
    ]);
  });

  it('lets a spec be adjusted first', () => {
    const maps = createMaps(nested, new RecordingHost(), (spec) => ({ ...spec, maxEntries: 3 }));
    expect(maps.get('one')?.spec.maxEntries).toBe(3);
  });

  it('closes what it created when a map is refused', () => {
    const host = new RecordingHost();
    const refuse = (spec: MapSpec) => (spec.name === 'outer' ? { ...spec, maxEntries: 0 } : spec);
    expect(caught(() => createMaps(nested, host, refuse))).toBeInstanceOf(Error);
    expect(host.log.slice(-2)).toEqual(['close one', 'close two']);
  });

  it('closes everything when a slot is refused, and says which', () => {
    const host = new RecordingHost(-22);
    const error = caught(() => createMaps(nested, host));
    expect(error).toBeInstanceOf(CreateMapsError);
    expect(error).toMatchObject({ fault: { code: 'MAPS_SLOT', map: 'outer', index: 1, errno: 22 } });
    expect(host.log.filter((line) => line.startsWith('close'))).toHaveLength(4);
  });
});
