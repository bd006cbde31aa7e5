import type { ServerUnaryCall } from '@grpc/grpc-js';
import type { Change } from '../state/changes.js';
import { fieldError } from '../state/faults.js';
import { backendName, backendsOf, poolName } from '../state/model.js';
import { find } from '../state/validate.js';
import type { ApiContext } from './context.js';
import { backendFields, backendToProto, DEFAULT_WEIGHT, poolFields, poolToProto } from './convert.js';
import type { PoolServiceHandlers } from './generated/waggle/v1/PoolService.js';
import { pageOf } from './page.js';
import { type Surroundings, unary } from './unary.js';

/** Stands for every pool in a parent. */
const ANY_POOL = 'pools/-';

/** waggle.v1.PoolService. */
export function poolHandlers(context: ApiContext, around: Surroundings): PoolServiceHandlers {
  const { reconciler } = context;
  const make = <Q, S>(call: ServerUnaryCall<Q, S>, change: Change, validateOnly: boolean) =>
    reconciler.change(change, { validateOnly, isCancelled: () => call.cancelled });
  const backendOf = (state: Awaited<ReturnType<typeof make>>, name: string) =>
    backendToProto(find(state.backends, 'backend', name), context);

  return {
    GetPool: unary(around, 'GetPool', ({ name }) => {
      const { state } = reconciler.store;
      return poolToProto(find(state.pools, 'pool', name), state, context);
    }),

    ListPools: unary(around, 'ListPools', ({ pageSize, pageToken }) => {
      const { state } = reconciler.store;
      const page = pageOf(state.pools.values(), { scope: 'pools', size: pageSize, token: pageToken });
      return {
        pools: page.items.map((pool) => poolToProto(pool, state, context)),
        nextPageToken: page.nextPageToken,
      };
    }),

    CreatePool: unary(around, 'CreatePool', async ({ pool, poolId, validateOnly }, call) => {
      const change = { kind: 'create-pool', id: poolId, displayName: pool?.displayName ?? '' } as const;
      const state = await make(call, change, validateOnly);
      return poolToProto(find(state.pools, 'pool', poolName(poolId)), state, context);
    }),

    UpdatePool: unary(around, 'UpdatePool', async ({ pool, updateMask, validateOnly }, call) => {
      if (!pool) throw fieldError('pool', 'is required');
      const fields = poolFields(pool, updateMask);
      const state = await make(
        call,
        { kind: 'update-pool', name: pool.name, etag: pool.etag, fields },
        validateOnly,
      );
      return poolToProto(find(state.pools, 'pool', pool.name), state, context);
    }),

    DeletePool: unary(around, 'DeletePool', async ({ name, etag, force, validateOnly }, call) => {
      await make(call, { kind: 'delete-pool', name, etag, force }, validateOnly);
      return {};
    }),

    GetBackend: unary(around, 'GetBackend', ({ name }) => backendOf(reconciler.store.state, name)),

    ListBackends: unary(around, 'ListBackends', ({ parent, pageSize, pageToken }) => {
      const { state } = reconciler.store;
      const backends =
        parent === ANY_POOL
          ? state.backends.values()
          : backendsOf(state, find(state.pools, 'pool', parent, 'parent').name);
      const page = pageOf(backends, { scope: `${parent}/backends`, size: pageSize, token: pageToken });
      return {
        backends: page.items.map((backend) => backendToProto(backend, context)),
        nextPageToken: page.nextPageToken,
      };
    }),

    CreateBackend: unary(
      around,
      'CreateBackend',
      async ({ parent, backend, backendId, validateOnly }, call) => {
        if (!backend) throw fieldError('backend', 'is required');
        const { address, weight = DEFAULT_WEIGHT } = backend;
        const change = { kind: 'create-backend', pool: parent, id: backendId, address, weight } as const;
        return backendOf(await make(call, change, validateOnly), backendName(parent, backendId));
      },
    ),

    UpdateBackend: unary(around, 'UpdateBackend', async ({ backend, updateMask, validateOnly }, call) => {
      if (!backend) throw fieldError('backend', 'is required');
      const { name, etag } = backend;
      const fields = backendFields(backend, updateMask);
      return backendOf(await make(call, { kind: 'update-backend', name, etag, fields }, validateOnly), name);
    }),

    DeleteBackend: unary(around, 'DeleteBackend', async ({ name, etag, validateOnly }, call) => {
      await make(call, { kind: 'delete-backend', name, etag }, validateOnly);
      return {};
    }),

    DrainBackend: unary(around, 'DrainBackend', async ({ name, etag, validateOnly }, call) =>
      backendOf(await make(call, { kind: 'drain-backend', name, etag }, validateOnly), name),
    ),

    UndrainBackend: unary(around, 'UndrainBackend', async ({ name, etag, validateOnly }, call) =>
      backendOf(await make(call, { kind: 'undrain-backend', name, etag }, validateOnly), name),
    ),
  };
}
