import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Change } from '../state/changes.js';
import type { Backend, DesiredState } from '../state/model.js';
import { Store } from '../state/store.js';
import { WatchError } from './faults.js';
import { ResourceWatch } from './resource-watch.js';

let store: Store;
let now: number;

async function make(...changes: readonly Change[]): Promise<void> {
  const draft = store.draftAll(changes);
  await store.record(draft);
  store.commit(draft);
}
const create = (id: string, weight = 1): Change => ({
  kind: 'create-backend',
  pool: 'pools/p',
  id,
  address: `10.0.0.${id.charCodeAt(0)}`,
  weight,
});
const name = (id: string) => `pools/p/backends/${id}`;
const weigh = (id: string, weight: number): Change => ({
  kind: 'update-backend',
  name: name(id),
  etag: '',
  fields: { weight },
});
const remove = (id: string): Change => ({ kind: 'delete-backend', name: name(id), etag: '' });

/** A watcher of backends with a weight above 0: what it is told, as `+a1` (added, weight 1), `~a2` and `-a2`. */
function watcher() {
  const watch = new ResourceWatch<Backend, string>({
    resourcesOf: ({ backends }: DesiredState) => backends,
    viewOf: ({ name: full, weight }) => `${full.at(-1)}${weight}`,
    isWanted: ({ weight }) => weight > 0,
  });
  store.onCommit((commit) => watch.note(commit));
  const signs = { added: '+', modified: '~', deleted: '-' } as const;
  const told = (max = Number.POSITIVE_INFINITY): string => {
    const items: string[] = [];
    for (let item = watch.take(store.state); item !== undefined; item = watch.take(store.state)) {
      items.push(`${signs[item.type]}${item.view}@${item.revision}`);
      if (items.length === max) break;
    }
    return items.join(' ');
  };
  return { watch, told };
}

beforeEach(async () => {
  now = 0;
  store = new Store({ nowMs: () => now++, epoch: 'e' });
  await make({ kind: 'create-pool', id: 'p', displayName: '' });
  await make(create('b'), create('a', 2));
});

describe('a watcher is told', () => {
  it('what is there, in the order of names, then every change', async () => {
    const { watch, told } = watcher();
    watch.begin(store.state);
    expect(told()).toBe('+a2@2 +b1@2');
    await make(weigh('b', 5));
    expect(told()).toBe('~b5@3');
    await make(create('c'), remove('a'));
    expect(told()).toBe('-a2@4 +c1@4');
    expect(told()).toBe('');
  });

  it('what is wanted and no more as deleted, and what is wanted now as added', async () => {
    const { watch, told } = watcher();
    watch.begin(store.state);
    told();
    await make(weigh('b', 0));
    expect(told()).toBe('-b1@3');
    await make(weigh('a', 3));
    await make(weigh('b', 7));
    expect(told()).toBe('~a3@4 +b7@5');
  });

  it('what changed several times once, as it is, behind what changed before', async () => {
    const { watch, told } = watcher();
    watch.begin(store.state);
    told();
    await make(weigh('a', 3));
    await make(weigh('b', 3));
    await make(weigh('a', 4));
    expect(told()).toBe('~b3@4 ~a4@5');
  });

  it('nothing of what came and went, but what it knew was deleted, also where another has the name', async () => {
    const { watch, told } = watcher();
    watch.begin(store.state);
    told();
    await make(create('x'));
    await make(remove('x'));
    await make(remove('a'));
    await make(create('a', 9));
    await make(weigh('a', 8));
    expect(told()).toBe('-a2@7 +a8@7');
  });

  it('of one that was deleted and made anew in one revision the same', async () => {
    const { watch, told } = watcher();
    watch.begin(store.state);
    told();
    now = 1000;
    await make(remove('a'), create('a', 9));
    expect(told()).toBe('-a2@3 +a9@3');
  });

  it('of what changes while it reads the newest', async () => {
    const { watch, told } = watcher();
    watch.begin(store.state);
    expect(told(1)).toBe('+a2@2');
    await make(weigh('b', 6));
    await make(remove('a'));
    expect(told()).toBe('+b6@3 -a2@4');
  });

  it('of a status that changed, where it knows the resource', async () => {
    const { watch, told } = watcher();
    watch.begin(store.state);
    told();
    await make(weigh('b', 0));
    told();
    watch.noteStatus([name('a'), name('b'), name('gone')], store.state);
    expect(told()).toBe('~a2@3');
  });
});

describe('a watcher that was told a revision before', () => {
  it('is told what changed since', async () => {
    await make(weigh('a', 3));
    await make(create('c'));
    await make(remove('b'));
    await make(create('b', 4));
    await make(create('d'));
    await make(remove('d'));
    const { watch, told } = watcher();
    watch.resume(store, 3);
    expect(told()).toBe('+c1@4 -b1@6 +b4@6');
    await make(weigh('c', 2));
    expect(told()).toBe('~c2@9');
  });

  it('is told nothing where nothing did', () => {
    const { watch, told } = watcher();
    watch.resume(store, 2);
    expect(told()).toBe('');
  });

  it.each([
    ['behind the present one', 9],
    ['that is no whole number', 1.5],
  ])('of a revision %s must begin anew', (_, revision) => {
    const { watch } = watcher();
    expect(() => watch.resume(store, revision)).toThrow(WatchError);
  });

  it('of a revision that is forgotten must begin anew', async () => {
    for (let i = 0; i < 100; i++) await make(weigh('a', i + 3));
    const { watch } = watcher();
    expect(() => watch.resume(store, 1)).toThrow('1 is not within 2 to 102');
    watch.resume(store, 2);
  });
});

/** What a client makes of what it is told; fails where that cannot be. */
class Picture {
  readonly weights = new Map<string, number>();

  take(watch: ResourceWatch<Backend, Backend>): boolean {
    const item = watch.take(store.state);
    if (item === undefined) return false;
    const { type, view } = item;
    expect([view.name, this.weights.has(view.name)]).toEqual([view.name, type !== 'added']);
    if (type === 'deleted') this.weights.delete(view.name);
    else this.weights.set(view.name, view.weight);
    return true;
  }
}

it('whatever happens, and however slowly it reads, a watcher ends with what is there', async () => {
  const step = fc.record({
    what: fc.constantFrom('create', 'remove', 'weigh', 'status', 'read', 'resume'),
    id: fc.constantFrom('a', 'b', 'c', 'd'),
    number: fc.integer({ min: 0, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      store = new Store({ nowMs: () => now++, epoch: 'e' });
      await make({ kind: 'create-pool', id: 'p', displayName: '' });
      const newWatch = () =>
        new ResourceWatch<Backend, Backend>({
          resourcesOf: ({ backends }: DesiredState) => backends,
          viewOf: (backend) => backend,
          isWanted: ({ weight }) => weight !== 2,
        });
      let watch = newWatch();
      store.onCommit((commit) => watch.note(commit));
      watch.begin(store.state);
      const picture = new Picture();
      for (const { what, id, number } of steps) {
        const isThere = store.state.backends.has(name(id));
        if (what === 'create' && !isThere) await make(create(id, number));
        if (what === 'remove' && isThere) await make(remove(id));
        if (what === 'weigh' && isThere && store.state.backends.get(name(id))?.weight !== number)
          await make(weigh(id, number));
        if (what === 'status') watch.noteStatus([name(id)], store.state);
        for (let left = number; what === 'read' && left > 0 && picture.take(watch); left--);
        if (what === 'resume') {
          // It has read everything, loses its connection, and comes back later.
          while (picture.take(watch));
          const { revision } = store.state;
          watch = newWatch();
          if (isThere) await make(remove(id));
          await make(create(id, number));
          watch = newWatch();
          watch.resume(store, revision);
        }
      }
      while (picture.take(watch));
      const wanted = [...store.state.backends.values()].filter(({ weight }) => weight !== 2);
      expect(new Map([...picture.weights].sort())).toEqual(
        new Map(wanted.map(({ name: full, weight }) => [full, weight] as const).sort()),
      );
    }),
    { numRuns: 200 },
  );
});
