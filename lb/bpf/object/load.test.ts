import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { caught, type TestObject, testObject } from '../../../test/support/objects.js';
import { loadObject, ObjectError } from './load.js';

describe('loadObject', () => {
  const spec = loadObject(testObject('programs'));

  it('takes each global function outside .text as a program, in the order of the file', () => {
    expect(spec.programs.map(({ name, section, type }) => [name, section, type])).toEqual([
      ['first', 'xdp', 'xdp'],
      ['second', 'xdp', 'xdp'],
      ['third', 'xdp/named', 'xdp'],
      ['shaper', 'tc', 'sched_cls'],
      ['other', 'sensor', 'unspec'],
    ]);
    expect(spec.license).toBe('Dual BSD/GPL');
  });

  it('gives the same spec for the same bytes, whatever becomes of the buffer', () => {
    const bytes = Buffer.from(testObject('programs'));
    const one = loadObject(bytes);
    bytes.fill(0);
    expect(one).toEqual(spec);
  });
});

describe('a damaged object gives a coded error or a spec, in bounded time', () => {
  const objects: readonly TestObject[] = ['programs', 'nested', 'loops', 'callback', 'features', 'legacy'];
  /** Anything but an ObjectError escapes and fails the property. */
  function load(bytes: Uint8Array): void {
    const start = performance.now();
    const error = caught(() => loadObject(bytes));
    if (error !== undefined && !(error instanceof ObjectError)) throw error;
    if (error instanceof ObjectError) expect(error.fault.offset).toBeGreaterThanOrEqual(0);
    expect(performance.now() - start).toBeLessThan(2000);
  }

  for (const name of objects) {
    const object = testObject(name);
    it(`${name}: cut at every length`, () => {
      for (let length = 0; length < object.length; length++) load(object.subarray(0, length));
    });

    it(`${name}: every other byte inverted`, () => {
      for (let at = 0; at < object.length; at += 2) {
        const copy = new Uint8Array(object);
        copy[at] = ~(copy[at] ?? 0);
        load(copy);
      }
    });

    it(`${name}: random bytes at random places`, () => {
      const edits = fc.array(fc.tuple(fc.nat(object.length - 1), fc.nat(255)), {
        minLength: 1,
        maxLength: 24,
      });
      fc.assert(
        fc.property(edits, (list) => {
          const copy = new Uint8Array(object);
          for (const [at, byte] of list) copy[at] = byte;
          load(copy);
        }),
        { numRuns: 2000 },
      );
    });
  }
});
