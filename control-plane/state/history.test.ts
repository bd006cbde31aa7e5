import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VIP_FLAGS } from '../../lb/index.js';
import type { Change } from './changes.js';
import { StateError } from './faults.js';
import { HISTORY_LENGTH, stateAt } from './history.js';
import { rollbackTo } from './history-rollback.js';
import { backendJson, checkJson, poolJson, restJson, vipJson } from './journal-codec.js';
import { type DesiredState, EMPTY_STATE } from './model.js';
import { Store } from './store.js';

const newStore = () => new Store({ nowMs: () => 1000, epoch: 'e' });

function commit(store: Store, changes: readonly Change[], actor?: string, comment?: string): void {
  const draft = store.draftAll(changes, actor, comment);
  if (draft !== store.state) store.commit(draft);
}

function restMeaning(state: DesiredState): unknown {
  const { node, serverIds, ...rest } = restJson(state);
  return {
    ...rest,
    node: { ...node, etag: '', revision: 0 },
    serverIds: [...serverIds].sort((a, b) => a.id - b.id),
  };
}

/** What an operator sees of a state: no versions, no order, and of a drain only that it is one. */
function meaning(state: DesiredState): unknown {
  const bare = (resource: object) =>
    JSON.stringify({
      ...resource,
      etag: '',
      revision: 0,
      createTimeMs: 0,
      updateTimeMs: 0,
      ...('drainStartMs' in resource && {
        drainStartMs: resource.drainStartMs !== undefined,
        drainDeadlineMs: 0,
      }),
    });
  return {
    vips: [...state.vips.values()].map((vip) => bare(vipJson(vip))).sort(),
    pools: [...state.pools.values()].map((pool) => bare(poolJson(pool))).sort(),
    backends: [...state.backends.values()].map((backend) => bare(backendJson(backend))).sort(),
    healthChecks: [...state.healthChecks.values()].map((check) => bare(checkJson(check))).sort(),
    rest: restMeaning(state),
  };
}

const ids = fc.constantFrom('a', 'b', 'c');
const pools = ids.map((id) => `pools/${id}`);
const backends = fc.tuple(pools, ids).map(([pool, id]) => `${pool}/backends/${id}`);
const vips = ids.map((id) => `vips/${id}`);
const displayName = fc.constantFrom('', 'one', 'two');
const etag = fc.constant('');
const check = fc.record({
  name: fc.constant(''),
  probe: fc.record({ kind: fc.constant('tcp' as const), port: fc.nat(9) }),
  path: fc.constantFrom('direct' as const, 'tunnel' as const),
  intervalMs: fc.constantFrom(1000, 50),
  timeoutMs: fc.constant(500),
  rise: fc.constant(1),
  fall: fc.constant(1),
  jitterPercent: fc.constant(0),
  fastIntervalMs: fc.constant(500),
  initialDelayMs: fc.constant(0),
  firstResultDecides: fc.boolean(),
});
const changes: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('create-pool' as const), id: ids, displayName }),
  fc.record({
    kind: fc.constant('update-pool' as const),
    name: pools,
    etag,
    fields: fc.record({ displayName }),
  }),
  fc.record({ kind: fc.constant('delete-pool' as const), name: pools, etag, force: fc.boolean() }),
  fc.record({
    kind: fc.constant('create-vip' as const),
    id: ids,
    displayName,
    address: fc.constantFrom('192.0.2.1', '192.0.2.2', 'fc00::1'),
    port: fc.constantFrom(80, 443),
    protocol: fc.constantFrom('tcp' as const, 'udp' as const),
    pool: pools,
  }),
  fc.record({
    kind: fc.constant('update-vip' as const),
    name: vips,
    etag,
    fields: fc.record({ displayName, pool: pools }),
  }),
  fc.record({ kind: fc.constant('delete-vip' as const), name: vips, etag }),
  fc.record({
    kind: fc.constant('create-backend' as const),
    pool: pools,
    id: ids,
    address: fc.constantFrom('10.0.0.1', '10.0.0.2', 'fd00::1', 'fd00::2'),
    weight: fc.nat(3),
  }),
  fc.record({
    kind: fc.constant('update-backend' as const),
    name: backends,
    etag,
    fields: fc.record({ weight: fc.nat(3) }),
  }),
  fc.record({ kind: fc.constant('delete-backend' as const), name: backends, etag }),
  fc.record({
    kind: fc.constant('update-vip' as const),
    name: vips,
    etag,
    fields: fc.record({
      flags: fc.constantFrom(0, VIP_FLAGS.LRU_BYPASS, VIP_FLAGS.SRC_ROUTING),
      ringAlgorithm: fc.constantFrom('v1' as const, undefined),
      downBackends: fc.subarray(['10.0.0.8', 'fd00::8']),
    }),
  }),
  fc.record({
    kind: fc.constant('update-pool' as const),
    name: pools,
    etag,
    fields: fc.record({
      ringAlgorithm: fc.constantFrom('v1' as const, 'v2' as const),
      healthChecks: fc.subarray(['healthChecks/a', 'healthChecks/b']),
      drainTimeoutMs: fc.constantFrom(undefined, 5000),
      slowStart: fc.constantFrom(undefined, { windowMs: 5000, minPercent: 1, steps: 2 }),
      panicPercent: fc.nat(100),
    }),
  }),
  fc.record({
    kind: fc.constant('update-backend' as const),
    name: backends,
    etag,
    fields: fc.record({
      admin: fc.constantFrom('enabled' as const, 'draining' as const, 'disabled' as const),
      mac: fc.constantFrom('', '02:00:00:00:00:01'),
    }),
  }),
  fc.record({ kind: fc.constant('create-health-check' as const), id: ids, displayName, check }),
  fc.record({
    kind: fc.constant('delete-health-check' as const),
    name: ids.map((id) => `healthChecks/${id}`),
    etag,
  }),
  fc.record({
    kind: fc.constant('update-server-ids' as const),
    set: fc.array(
      fc.record({ id: fc.integer({ min: 1, max: 3 }), backend: fc.constantFrom('10.0.0.1', 'fd00::9') }),
      {
        maxLength: 2,
      },
    ),
    delete: fc.array(fc.nat(3), { maxLength: 2 }),
  }),
  fc.record({
    kind: fc.constant('update-node' as const),
    etag,
    fields: fc.record({
      routerMac: fc.constantFrom('', '02:00:00:00:00:09'),
      watchedVip: fc.oneof(fc.constant(''), vips),
      options: fc.constantFrom({}, { gue: true }, { udpTimeoutNs: 5 }),
    }),
  }),
  fc.record({
    kind: fc.constantFrom('drain-backend' as const, 'undrain-backend' as const),
    name: backends,
    etag,
  }),
);

describe('history', () => {
  it('a change says who made it, when, and what became of which resource', () => {
    const store = newStore();
    commit(store, [
      { kind: 'create-pool', id: 'a', displayName: '' },
      { kind: 'create-backend', pool: 'pools/a', id: 'b', address: '10.0.0.1', weight: 1 },
    ]);
    commit(
      store,
      [{ kind: 'update-pool', name: 'pools/a', etag: '', fields: { displayName: 'A' } }],
      'ops',
      'why',
    );
    commit(store, [{ kind: 'delete-pool', name: 'pools/a', etag: '', force: true }], 'ops');
    const told = store.history.map(({ undo: _, ...entry }) => entry);
    expect(told).toEqual([
      {
        revision: 1,
        actor: 'local',
        action: 'create-pool,create-backend',
        comment: '',
        timeMs: 1000,
        changed: [
          { name: 'pools/a', how: 'created' },
          { name: 'pools/a/backends/b', how: 'created' },
        ],
      },
      {
        revision: 2,
        actor: 'ops',
        action: 'update-pool',
        comment: 'why',
        timeMs: 1000,
        changed: [{ name: 'pools/a', how: 'updated' }],
      },
      {
        revision: 3,
        actor: 'ops',
        action: 'delete-pool',
        comment: '',
        timeMs: 1000,
        changed: [
          { name: 'pools/a', how: 'deleted' },
          { name: 'pools/a/backends/b', how: 'deleted' },
        ],
      },
    ]);
  });

  it('goes back as far as it is remembered, and no further', () => {
    const store = newStore();
    for (let i = 0; i < HISTORY_LENGTH + 5; i++) {
      commit(store, [{ kind: 'create-pool', id: `p${i}`, displayName: '' }]);
    }
    const { state, history } = store;
    expect(history.length).toBe(HISTORY_LENGTH);
    expect(stateAt(state, history, 5)?.pools.size).toBe(5);
    expect(stateAt(state, history, state.revision)).toBe(state);
    for (const revision of [4, state.revision + 1, -1, 5.5]) {
      expect(() => rollbackTo(state, history, revision)).toThrow(
        expect.objectContaining({
          fault: { code: 'HISTORY_REVISION', revision, oldest: 5, newest: HISTORY_LENGTH + 5 },
        }),
      );
    }
  });

  it('any revision can be gone back to', () => {
    let rollbacks = 0;
    fc.assert(
      fc.property(fc.array(changes, { minLength: 30, maxLength: 60 }), fc.nat(1000), (stream, place) => {
        const store = newStore();
        const states = [EMPTY_STATE];
        for (const change of stream) {
          try {
            commit(store, [change]);
          } catch (error) {
            if (!(error instanceof StateError)) throw error;
            continue;
          }
          if (store.state !== states.at(-1)) states.push(store.state);
        }
        const revision = place % states.length;
        const wanted = states[revision] ?? EMPTY_STATE;
        const back = rollbackTo(store.state, store.history, revision);
        commit(store, [back]);
        expect(meaning(store.state)).toEqual(meaning(wanted));
        rollbacks += revision < states.length - 1 ? 1 : 0;
      }),
      { numRuns: 300 },
    );
    expect(rollbacks).toBeGreaterThan(100);
  });
});
