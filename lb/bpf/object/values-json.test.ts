import { describe, expect, it } from 'vitest';
import { balancerObject } from '../../balancer/object.js';
import { fromJson, toJson } from './values-json.js';

const { btf, maps } = balancerObject();
const typeOf = (map: string, what: 'keyTypeId' | 'valueTypeId') =>
  maps.find(({ name }) => name === map)?.[what];

describe('keys and values as JSON', () => {
  const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 41 + 200) & 0xff);
  const types = maps.flatMap((map) =>
    (['keyTypeId', 'valueTypeId'] as const).flatMap((what) => {
      const id = map[what];
      return id === undefined ? [] : [[map.name, what, id] as const];
    }),
  );

  it.each(types)('%s, %s: what comes out is JSON', (_, __, id) => {
    if (btf === undefined) throw new Error('the object has types');
    const sample = bytes(btf.sizeOf(id));
    const json: unknown = JSON.parse(JSON.stringify(toJson(btf, id, sample)));
    expect(json).toEqual(toJson(btf, id, sample));
  });

  it('64-bit integers are strings beyond 2^53, and may be given so', () => {
    const id = typeOf('stats', 'valueTypeId');
    if (btf === undefined || id === undefined) throw new Error('stats has types');
    const high = new Uint8Array(BigUint64Array.of(2n ** 63n + 1n, 7n).buffer);
    expect(toJson(btf, id, high)).toEqual({ v1: '9223372036854775809', v2: 7 });
    expect(fromJson(btf, id, { v1: '0x8000000000000001', v2: 7 })).toEqual(high);
  });

  it('bytes as digits behind 0x stand for any struct', () => {
    const id = typeOf('stats', 'valueTypeId');
    if (btf === undefined || id === undefined) throw new Error('stats has types');
    expect(fromJson(btf, id, `0x${'01'.repeat(16)}`)).toEqual(new Uint8Array(16).fill(1));
    expect(() => fromJson(btf, id, { v1: 1, v3: 2 })).toThrow(/v3/);
    expect(() => fromJson(btf, id, '0x123')).toThrow(/hexadecimal/);
  });
});
