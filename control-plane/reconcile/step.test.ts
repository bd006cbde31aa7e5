import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIp, type IpAddress, type Mac, parseIp, parseMac, VIP_FLAGS } from '../../lb/index.js';
import { backendAt } from '../../test/support/backends.js';
import { type Backend, type DesiredState, EMPTY_STATE, POOL_DEFAULTS, type Vip } from '../state/model.js';
import { EMPTY_IMAGE, imageOf, newImage, type Placement, ringImage, type TableImage } from './image.js';
import { Placements } from './placements.js';
import { type MapWrite, plan } from './plan.js';
import { StateIndex } from './state-index.js';
import { differenceOf, stepOf, takeStep } from './step.js';

const address = (n: number): IpAddress => parseIp(`10.0.0.${n}`);
const HOP = parseMac('02:00:00:00:00:aa');
const VERSION = { etag: '', createTimeMs: 0, updateTimeMs: 0, revision: 1 };

/** A state of few names, so that two states of it share some. */
const small = fc.integer({ min: 0, max: 3 });
const addresses = fc.array(small.map(address), { maxLength: 2 });
const vips = fc.uniqueArray(
  fc.record({
    id: small,
    pool: small,
    flags: fc.constantFrom(0, VIP_FLAGS.UDP_FLOW_MIGRATION),
    ringAlgorithm: fc.constantFrom(undefined, 'v1' as const, 'v2' as const),
    downBackends: addresses,
  }),
  { selector: ({ id }) => id, maxLength: 4 },
);
const backends = fc.uniqueArray(
  fc.record({
    id: fc.integer({ min: 0, max: 5 }),
    pool: small,
    address: fc.integer({ min: 0, max: 5 }),
    weight: fc.constantFrom(0, 1, 5),
    drains: fc.boolean(),
    isDown: fc.boolean(),
  }),
  { selector: ({ pool, address: at }) => `${pool} ${at}`, maxLength: 8 },
);
const states = fc
  .record({
    vips,
    backends,
    algorithms: fc.array(fc.constantFrom('v1' as const, 'v2' as const), { minLength: 4, maxLength: 4 }),
    router: fc.constantFrom(undefined, HOP),
    serverIds: fc.uniqueArray(fc.record({ id: small, backend: small.map(address) }), {
      selector: ({ id }) => id,
      maxLength: 2,
    }),
    watched: fc.option(small, { nil: undefined }),
  })
  .map(
    (made): DesiredState => ({
      ...EMPTY_STATE,
      pools: new Map(
        made.algorithms.map((ringAlgorithm, n) => {
          const name = `pools/p${n}`;
          return [name, { ...VERSION, name, displayName: '', ...POOL_DEFAULTS, ringAlgorithm }];
        }),
      ),
      vips: new Map(
        made.vips.map(({ id, pool, ...rest }): [string, Vip] => {
          const key = { address: parseIp('192.0.2.1'), port: 80 + id, protocol: 'tcp' } as const;
          const name = `vips/v${id}`;
          return [name, { ...VERSION, name, displayName: '', key, pool: `pools/p${pool}`, ...rest }];
        }),
      ),
      backends: new Map(
        made.backends.map(({ id, pool, address: at, weight, drains, isDown }): [string, Backend] => {
          const name = `pools/p${pool}/backends/b${at}-${id}`;
          const drain = { drainStartMs: drains ? 1 : undefined, drainDeadlineMs: undefined, leaves: false };
          const place = { address: address(at), addressKey: formatIp(address(at)), mac: undefined };
          const rest = { weight, isDown, isLocal: false };
          return [name, { ...VERSION, name, pool: `pools/p${pool}`, ...place, ...rest, ...drain }];
        }),
      ),
      node: {
        ...EMPTY_STATE.node,
        routerMac: made.router,
        watchedVip: made.watched === undefined ? undefined : `vips/v${made.watched}`,
      },
      serverIds: made.serverIds,
    }),
  );

/** The second state with what is equal in the first taken from it, as changes leave what they do not touch. */
function sharing(before: DesiredState, after: DesiredState): DesiredState {
  const kept = <T>(was: ReadonlyMap<string, T>, is: ReadonlyMap<string, T>): ReadonlyMap<string, T> => {
    const same = (name: string, value: T) => JSON.stringify(was.get(name)) === JSON.stringify(value);
    return new Map([...is].map(([name, value]) => [name, same(name, value) ? was.get(name)! : value]));
  };
  return {
    ...after,
    vips: kept(before.vips, after.vips),
    pools: kept(before.pools, after.pools),
    backends: kept(before.backends, after.backends),
  };
}

/** Writes of one thing, whose order among others of their kind says nothing. */
const PHASES: Readonly<Record<string, string>> = {
  'vip-ring': 'vip',
  'next-hop': 'real',
};

const inOrder = (image: TableImage) =>
  Object.fromEntries(
    Object.entries(image).map(([part, value]) => [
      part,
      value instanceof Map ? [...value].map(([key, entry]) => [`${key}`, entry]).sort() : value,
    ]),
  );

interface Facts {
  hops: ReadonlySet<number>;
  shares: ReadonlyMap<string, number>;
}
const facts = fc.record({
  hops: fc.uniqueArray(fc.integer({ min: 0, max: 5 })).map((list) => new Set(list)),
  shares: fc
    .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 99 })), {
      selector: ([id]) => id,
    })
    .map((list) => new Map(list.map(([id, share]) => [`b${id}`, share]))),
});

describe('an image made of the one before', () => {
  it('is the one that is made of the state alone, and its places are kept or given back', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(states, facts), { minLength: 1, maxLength: 5 }), (steps) => {
        let now: Facts = { hops: new Set(), shares: new Map() };
        const mac = (key: string): Mac | undefined => (now.hops.has(Number(key.slice(7))) ? HOP : undefined);
        const share = (name: string) => now.shares.get(name.slice(-4, -2)) ?? 100;
        const limits = { vips: 64, rings: 64, reals: 64 };
        const places = new Placements(limits, { mac, share, flows: () => new Map() });
        let before = EMPTY_STATE;
        const index = new StateIndex();
        const image = newImage();
        let whole = EMPTY_IMAGE;
        for (const [state, next] of steps) {
          const moved = [...Array(6).keys()].filter((n) => now.hops.has(n) !== next.hops.has(n));
          const sharesBefore = now.shares;
          now = next;
          const after = sharing(before, state);
          const difference = differenceOf(index, after, {
            addresses: moved.map((n) => formatIp(address(n))),
            backends: [...after.backends.keys()].filter((name) => {
              const id = name.slice(-4, -2);
              return sharesBefore.get(id) !== next.shares.get(id);
            }),
          });
          const step = stepOf(image, difference, places);
          const wanted = imageOf(after, places);
          // The same writes in the same order of kinds; within a kind the order says nothing.
          const writes = plan(step.from, step.to);
          const all = plan(whole, wanted);
          const phases = (list: readonly MapWrite[]) => list.map(({ kind }) => PHASES[kind] ?? kind);
          expect(phases(writes)).toEqual(phases(all));
          const texts = (list: readonly MapWrite[]) => list.map((write) => JSON.stringify(write)).sort();
          expect(texts(writes)).toEqual(texts(all));
          takeStep(image, step);
          expect(inOrder(image)).toEqual(inOrder(wanted));
          places.keep(step.unused);
          for (const name of ['v0', 'v1', 'v2', 'v3'].map((id) => `vips/${id}`))
            expect(places.vips.get(name) !== undefined).toBe(after.vips.has(name));
          expect(places.reals.size).toBe(image.reals.size);
          whole = wanted;
          before = after;
        }
      }),
      { numRuns: 300 },
    );
  });

  it('a name that changes is no write', () => {
    const [one] = fc.sample(
      states.filter(({ vips: { size } }) => size > 1),
      { numRuns: 1, seed: 7 },
    );
    const facts = { mac: () => HOP, share: () => 100, flows: () => new Map() };
    const places = new Placements({ vips: 64, rings: 64, reals: 64 }, facts);
    const image = newImage();
    const index = new StateIndex();
    takeStep(image, stepOf(image, differenceOf(index, one!), places));
    const vip = [...one!.vips.values()][0]!;
    const renamed = new Map(one!.vips).set(vip.name, { ...vip, displayName: 'x' });
    const step = stepOf(image, differenceOf(index, { ...one!, vips: renamed }), places);
    expect(plan(step.from, step.to)).toEqual([]);
    expect(step.unused).toEqual({ reals: [], rings: [], vips: [] });
    expect([...step.to.vips.keys()]).toEqual([vip.name]);
  });
});

describe('shares in a ring', () => {
  const backend = (n: number, weight: number) => backendAt(address(n), { name: `b${n}`, weight });
  const of = (shares: readonly number[], algorithm: 'v1' | 'v2') => {
    const placement: Pick<Placement, 'real' | 'share'> = {
      real: (key) => Number(key.slice(7)),
      share: (name) => shares[Number(name.slice(1)) - 1] ?? 100,
    };
    const members = [backend(1, 3), backend(2, 1), backend(3, 2)];
    return ringImage(members, algorithm, placement, () => HOP).members.map(({ index, weight }) => [
      index,
      weight,
    ]);
  };

  it.each([
    [
      'all of it: the weights as they are',
      [100, 100, 100],
      'v2',
      [
        [1, 3],
        [2, 1],
        [3, 2],
      ],
    ],
    [
      'unhealthy: out, and the others as they are',
      [100, 0, 100],
      'v2',
      [
        [1, 3],
        [3, 2],
      ],
    ],
    [
      'a slow start scales the pool',
      [100, 30, 100],
      'v2',
      [
        [1, 300],
        [2, 30],
        [3, 200],
      ],
    ],
    [
      'v1: all or none',
      [1, 0, 99],
      'v1',
      [
        [1, 3],
        [3, 2],
      ],
    ],
  ] as const)('%s', (_rule, shares, algorithm, members) => {
    expect(of(shares, algorithm)).toEqual(members);
  });
});
