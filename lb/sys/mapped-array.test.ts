import { afterEach, describe, expect, it } from 'vitest';
import { missingRoot } from '../../test/support/capabilities.js';
import type { MapSpec } from '../bpf/maps/map.js';
import { type KernelMap, KernelMaps } from './bpf.js';
import { isMappedArray } from './mapped-array.js';

const MMAPABLE = 1024;
const SPEC: MapSpec = {
  name: 'words',
  type: 'ARRAY',
  keySize: 4,
  valueSize: 4,
  maxEntries: 5000,
  flags: MMAPABLE,
};

describe('arrays that are written by their memory', () => {
  it.each([
    ['words', SPEC, true],
    ['without the flag', { ...SPEC, flags: 0 }, false],
    ['wider values', { ...SPEC, valueSize: 8 }, false],
    ['another type', { ...SPEC, type: 'HASH' }, false],
  ] as const)('%s', (_rule, spec, is) => {
    expect(isMappedArray(spec)).toBe(is);
  });
});

const note = missingRoot === undefined ? '' : ` (skipped: ${missingRoot})`;
describe.skipIf(missingRoot !== undefined)(`in the kernel${note}`, () => {
  let map: KernelMap | undefined;
  afterEach(() => map?.close());
  const bytes = (words: readonly number[]) => new Uint8Array(Uint32Array.from(words).buffer);
  const write = (keys: readonly number[], values: readonly number[]) =>
    map!.updateBatch(bytes(keys), bytes(values), keys.length);
  const read = (key: number) => map!.lookup(bytes([key]))?.join();
  const word = (value: number) => bytes([value]).join();

  it('what is written by memory is what system calls read, at both ends and across pages', () => {
    map = new KernelMaps().createMap(SPEC);
    const keys = [0, 1, 511, 512, 513, 4095, 4999];
    expect(
      write(
        keys,
        keys.map((key) => 0xfffffff0 - key),
      ),
    ).toBe(0);
    for (const key of keys) expect(read(key)).toBe(word(0xfffffff0 - key));
    for (const key of [2, 510, 514, 4998]) expect(read(key)).toBe(word(0));
    expect(map.readWords(511, 3)).toEqual(Uint32Array.from([511, 512, 513], (key) => 0xfffffff0 - key));
    expect(map.readWords(0, SPEC.maxEntries)?.[4999]).toBe(0xfffffff0 - 4999);
    expect(map.readWords(4999, 2)).toBeUndefined();
    // The last one of an index counts, as with system calls.
    expect(write([600, 600], [1, 2])).toBe(0);
    expect(read(600)).toBe(word(2));
  });

  it('an index past the end is refused; those before it are written, those after it are not', () => {
    map = new KernelMaps().createMap(SPEC);
    expect(write([4, 5000, 5], [1, 2, 3])).toBe(-7);
    expect([read(4), read(5)]).toEqual([word(1), word(0)]);
    expect(write([0xffffffff], [1])).toBe(-7);
  });

  it('keys and values may lie at any offset', () => {
    map = new KernelMaps().createMap(SPEC);
    const odd = (words: readonly number[]) => {
      const at = new Uint8Array(words.length * 4 + 1);
      at.set(bytes(words), 1);
      return at.subarray(1);
    };
    expect(map.updateBatch(odd([7, 9]), odd([70, 90]), 2)).toBe(0);
    expect([read(7), read(9)]).toEqual([word(70), word(90)]);
  });
});
