import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withEntry, withoutEntries } from './lineage.js';

interface Entry {
  readonly version: number;
}
type Entries = ReadonlyMap<string, Entry>;

const nameOf = (id: number): string => `n${id}`;
const mapOf = (size: number): Map<string, Entry> =>
  new Map(Array.from({ length: size }, (_, id) => [nameOf(id), { version: 0 }]));

/** Changes of some of the first names, of the last, and of new ones: few enough that they meet again. */
const edits = fc.array(
  fc.record({
    ids: fc.array(fc.integer({ min: 290, max: 310 }), { minLength: 1, maxLength: 3 }),
    isSet: fc.boolean(),
  }),
  { maxLength: 200 },
);

function expectSame(map: Entries, model: Entries): void {
  expect([...map]).toEqual([...model]);
  expect(map.size).toBe(model.size);
  expect([...map.keys()]).toEqual([...model.keys()]);
  expect([...map.values()]).toEqual([...model.values()]);
  for (let id = 285; id < 315; id++) {
    expect(map.get(nameOf(id))).toBe(model.get(nameOf(id)));
    expect(map.has(nameOf(id))).toBe(model.has(nameOf(id)));
  }
}

describe('a map of three hundred that is changed by a few at a time', () => {
  it('is what a copy with the same changes is, its order too, and those before it stay', () => {
    fc.assert(
      fc.property(edits, (list) => {
        const model = mapOf(300);
        let map: Entries = new Map(model);
        const before: [Entries, Entries][] = [];
        for (const [version, { ids, isSet }] of list.entries()) {
          if (version % 20 === 0) before.push([map, new Map(model)]);
          if (isSet) {
            for (const id of ids) {
              const entry = { version };
              map = withEntry(map, nameOf(id), entry);
              model.set(nameOf(id), entry);
            }
          } else {
            map = withoutEntries(map, ids.map(nameOf));
            for (const id of ids) model.delete(nameOf(id));
          }
        }
        expectSame(map, model);
        for (const [old, as] of before) expectSame(old, as);
      }),
      { numRuns: 60 },
    );
  });

  it('loses many at once as well, and one by one until there is none', () => {
    let map: Entries = mapOf(300);
    const rest = withoutEntries(
      map,
      Array.from({ length: 200 }, (_, id) => nameOf(id)),
    );
    expect([...rest.keys()]).toEqual(Array.from({ length: 100 }, (_, n) => nameOf(200 + n)));
    for (let id = 0; id < 300; id++) map = withoutEntries(map, [nameOf(id)]);
    expect([...map]).toEqual([]);
  });

  it('is visited in order, with itself', () => {
    const map = withEntry(mapOf(300), nameOf(5), { version: 9 });
    const visited: string[] = [];
    map.forEach((entry, name, self) => {
      expect(self).toBe(map);
      if (entry.version === 9) visited.push(name);
    });
    expect(visited).toEqual([nameOf(5)]);
  });
});

it('a change of one of ten thousand does not copy ten thousand', () => {
  let map: Entries = mapOf(10_000);
  const base = map;
  let copied = 0;
  for (let n = 0; n < 1000; n++) {
    const next = withEntry(map, nameOf(n * 7), { version: n });
    if (next instanceof Map) copied += 1;
    map = next;
  }
  expect(copied).toBeLessThan(20);
  expect(base.get(nameOf(7))).toEqual({ version: 0 });
  expect(map.get(nameOf(7))).toEqual({ version: 1 });
});
