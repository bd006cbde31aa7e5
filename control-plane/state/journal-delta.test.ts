import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advance, applyDelta, deltaBetween, inverseOf, ownState } from './journal-delta.js';
import { changedNames, lineageOf, withEntry, withoutEntries } from './lineage.js';
import { type DesiredState, EMPTY_STATE, POOL_DEFAULTS, type Pool } from './model.js';

const pool = (id: number, version: number): Pool => ({
  name: `pools/p${id}`,
  displayName: String(version),
  ...POOL_DEFAULTS,
  etag: '',
  revision: version,
  createTimeMs: 0,
  updateTimeMs: 0,
});
/** Objects by name and version: one that did not change is the same object. */
const POOLS = Array.from({ length: 8 }, (_, id) => [pool(id, 0), pool(id, 1)]);
const stateOf = (list: readonly Pool[]): DesiredState => ({
  ...EMPTY_STATE,
  pools: new Map(list.map((one) => [one.name, one])),
});
const states = fc
  .uniqueArray(fc.tuple(fc.nat(7), fc.nat(1)), { selector: ([id]) => id })
  .map((list) => stateOf(list.map(([id, version]) => POOLS[id]![version]!)));

describe('what leads from one state to another', () => {
  it('leads to it, and to its order; its inverse leads back', () => {
    fc.assert(
      fc.property(states, states, (before, after) => {
        const delta = deltaBetween(before, after);
        expect([...applyDelta(before, delta, 0).pools]).toEqual([...after.pools]);
        const back = applyDelta(after, inverseOf(before, delta), 0);
        expect([...back.pools].sort()).toEqual([...before.pools].sort());
        const own = ownState(before);
        advance(own, delta, 7);
        expect([...own.state.pools]).toEqual([...after.pools]);
        expect(own.state.revision).toBe(7);
      }),
    );
  });

  it('is the same for copies of single changes, whose lineage is known, as for maps that are compared', () => {
    const edits = fc.array(fc.tuple(fc.nat(7), fc.constantFrom('set', 'delete'), fc.nat(1)), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(states, edits, (before, list) => {
        let pools = before.pools;
        for (const [id, edit, version] of list) {
          const one = POOLS[id]![version]!;
          pools = edit === 'set' ? withEntry(pools, one.name, one) : withoutEntries(pools, [one.name]);
        }
        const after = { ...before, pools };
        const alike = { ...before, pools: new Map(pools) };
        expect([...applyDelta(before, deltaBetween(before, after), 0).pools]).toEqual([...pools]);
        expect(changedNames(before.pools, pools)).toEqual(changedNames(before.pools, alike.pools));
        const known = lineageOf(before.pools, pools);
        expect(known?.names).toEqual(new Set(list.map(([id]) => POOLS[id]![0]!.name)));
      }),
    );
  });

  const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name.slice(7));
  it.each([
    ['nothing', [0, 1, 2], [0, 1, 2], [], []],
    ['one changes', [0, 1, 2], [0, 1, 2], [], [1]],
    ['one goes', [0, 1, 2], [0, 2], [1], []],
    ['one comes', [0, 1], [0, 1, 2], [], [2]],
    ['one goes and comes again', [0, 1, 2], [1, 2, 0], [0], [0]],
    ['one comes before others', [0, 1], [2, 0, 1], [0, 1], [2, 0, 1]],
  ] as const)('holds no more than it must: %s', (rule, before, after, removed, set) => {
    const changed = rule === 'one changes' ? 1 : -1;
    const delta = deltaBetween(
      stateOf(before.map((id) => POOLS[id]![0]!)),
      stateOf(after.map((id) => POOLS[id]![id === changed ? 1 : 0]!)),
    );
    expect(delta.pools.removed.map((name) => Number(name.slice(7)))).toEqual(removed);
    expect(names(delta.pools.set).map(Number)).toEqual(set);
  });
});
