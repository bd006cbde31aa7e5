import { fieldError } from '../state/faults.js';
import type { DesiredState } from '../state/model.js';
import { idOf, vipName } from '../state/model.js';
import { find } from '../state/validate.js';
import type { CallScope } from './call-scope.js';
import type { ApiContext } from './context.js';
import { poolCounts } from './convert-pool.js';
import { vipFieldsFrom, vipToProto, vipUpdate } from './convert-vip.js';
import type { Vip__Output } from './generated/waggle/v1/Vip.js';
import type { VipServiceHandlers } from './generated/waggle/v1/VipService.js';
import type { HandlersWithout } from './handlers.js';
import { listOf } from './list.js';
import type { RequestIds } from './request-ids.js';
import { type Surroundings, unary } from './unary.js';

/** waggle.v1.VipService, but for its stream. */
export function vipHandlers(
  context: ApiContext,
  around: Surroundings,
  requests: RequestIds,
): HandlersWithout<VipServiceHandlers, 'WatchVips'> {
  const { reconciler } = context;
  const shown = (state: DesiredState, name: string) =>
    vipToProto(find(state.vips, 'vip', name), state, context);
  const create = async (vip: Vip__Output, id: string, validateOnly: boolean, caller: CallScope) => {
    const state = await reconciler.change(
      { kind: 'create-vip', id, ...vipFieldsFrom('vip', vip) },
      caller.changing(validateOnly),
    );
    return shown(state, vipName(id));
  };

  return {
    GetVip: unary(around, 'GetVip', ({ name }) => shown(reconciler.store.state, name)),

    ListVips: unary(around, 'ListVips', (request) => {
      const { state } = reconciler.store;
      const countsOf = poolCounts(state, context);
      const { items, ...page } = listOf(state.vips, { scope: 'vips', message: 'Vip' }, request, (vip) =>
        vipToProto(vip, state, context, countsOf),
      );
      return { vips: [...items], ...page };
    }),

    CreateVip: unary(around, 'CreateVip', (request, _, caller) => {
      const { vip, vipId, validateOnly, requestId } = request;
      if (!vip) throw fieldError('vip', 'is required');
      return requests.once(caller, requestId, { CreateVip: request }, () =>
        create(vip, vipId, validateOnly, caller),
      );
    }),

    UpdateVip: unary(
      around,
      'UpdateVip',
      async ({ vip, updateMask, allowMissing, validateOnly }, _, caller) => {
        if (!vip) throw fieldError('vip', 'is required');
        const { name, etag } = vip;
        if (allowMissing && !reconciler.store.state.vips.has(name)) {
          return create(vip, idOf(name), validateOnly, caller);
        }
        const change = { kind: 'update-vip', name, etag, fields: vipUpdate(vip, updateMask) } as const;
        return shown(await reconciler.change(change, caller.changing(validateOnly)), name);
      },
    ),

    DeleteVip: unary(around, 'DeleteVip', async ({ name, etag, validateOnly }, _, caller) => {
      await reconciler.change({ kind: 'delete-vip', name, etag }, caller.changing(validateOnly));
      return {};
    }),
  };
}
