import type { Change } from '../state/changes.js';
import { fieldError } from '../state/faults.js';
import { idOf, poolName } from '../state/model.js';
import { find } from '../state/validate.js';
import type { CallScope } from './call-scope.js';
import type { ApiContext } from './context.js';
import { poolFieldsFrom, poolToProto, poolUpdate } from './convert-pool.js';
import type { Pool__Output } from './generated/waggle/v1/Pool.js';
import type { PoolServiceHandlers } from './generated/waggle/v1/PoolService.js';
import { listOf } from './list.js';
import type { RequestIds } from './request-ids.js';
import { type Surroundings, unary } from './unary.js';

type PoolMethods = 'GetPool' | 'ListPools' | 'CreatePool' | 'UpdatePool' | 'DeletePool';

/** waggle.v1.PoolService: pools. */
export function poolHandlers(
  context: ApiContext,
  around: Surroundings,
  requests: RequestIds,
): Pick<PoolServiceHandlers, PoolMethods> {
  const { reconciler } = context;
  const change = async (asked: Change, name: string, validateOnly: boolean, caller: CallScope) => {
    const state = await reconciler.change(asked, caller.changing(validateOnly));
    return poolToProto(find(state.pools, 'pool', name), state, context);
  };
  const create = (pool: Pool__Output | null, id: string, validateOnly: boolean, caller: CallScope) => {
    const fields = pool ? poolFieldsFrom('pool', pool) : { displayName: '' };
    return change({ kind: 'create-pool', id, ...fields }, poolName(id), validateOnly, caller);
  };

  return {
    GetPool: unary(around, 'GetPool', ({ name }) => {
      const { state } = reconciler.store;
      return poolToProto(find(state.pools, 'pool', name), state, context);
    }),

    ListPools: unary(around, 'ListPools', (request) => {
      const { state } = reconciler.store;
      const { items, ...page } = listOf(state.pools, { scope: 'pools', message: 'Pool' }, request, (pool) =>
        poolToProto(pool, state, context),
      );
      return { pools: [...items], ...page };
    }),

    CreatePool: unary(around, 'CreatePool', (request, _, caller) => {
      const { pool, poolId, validateOnly, requestId } = request;
      return requests.once(caller, requestId, { CreatePool: request }, () =>
        create(pool, poolId, validateOnly, caller),
      );
    }),

    UpdatePool: unary(
      around,
      'UpdatePool',
      async ({ pool, updateMask, allowMissing, validateOnly }, _, caller) => {
        if (!pool) throw fieldError('pool', 'is required');
        const { name, etag } = pool;
        if (allowMissing && !reconciler.store.state.pools.has(name)) {
          return create(pool, idOf(name), validateOnly, caller);
        }
        const fields = poolUpdate(pool, updateMask);
        return change({ kind: 'update-pool', name, etag, fields }, name, validateOnly, caller);
      },
    ),

    DeletePool: unary(around, 'DeletePool', async ({ name, etag, force, validateOnly }, _, caller) => {
      await reconciler.change({ kind: 'delete-pool', name, etag, force }, caller.changing(validateOnly));
      return {};
    }),
  };
}
