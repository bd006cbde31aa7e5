import { fieldError } from '../state/faults.js';
import { vipName } from '../state/model.js';
import { find } from '../state/validate.js';
import type { ApiContext } from './context.js';
import { protocolOf, vipFields, vipToProto } from './convert.js';
import type { VipServiceHandlers } from './generated/waggle/v1/VipService.js';
import { pageOf } from './page.js';
import { type Surroundings, unary } from './unary.js';

/** waggle.v1.VipService. */
export function vipHandlers(context: ApiContext, around: Surroundings): VipServiceHandlers {
  const { reconciler } = context;
  return {
    GetVip: unary(around, 'GetVip', ({ name }) => {
      const { state } = reconciler.store;
      return vipToProto(find(state.vips, 'vip', name), state, context);
    }),

    ListVips: unary(around, 'ListVips', ({ pageSize, pageToken }) => {
      const { state } = reconciler.store;
      const page = pageOf(state.vips.values(), { scope: 'vips', size: pageSize, token: pageToken });
      return {
        vips: page.items.map((vip) => vipToProto(vip, state, context)),
        nextPageToken: page.nextPageToken,
      };
    }),

    CreateVip: unary(around, 'CreateVip', async ({ vip, vipId, validateOnly }, call) => {
      if (!vip) throw fieldError('vip', 'is required');
      const state = await reconciler.change(
        {
          kind: 'create-vip',
          id: vipId,
          displayName: vip.displayName,
          address: vip.address,
          port: vip.port,
          protocol: protocolOf(vip.protocol),
          pool: vip.pool,
        },
        { validateOnly, isCancelled: () => call.cancelled },
      );
      return vipToProto(find(state.vips, 'vip', vipName(vipId)), state, context);
    }),

    UpdateVip: unary(around, 'UpdateVip', async ({ vip, updateMask, validateOnly }, call) => {
      if (!vip) throw fieldError('vip', 'is required');
      const fields = vipFields(vip, updateMask);
      const state = await reconciler.change(
        { kind: 'update-vip', name: vip.name, etag: vip.etag, fields },
        { validateOnly, isCancelled: () => call.cancelled },
      );
      return vipToProto(find(state.vips, 'vip', vip.name), state, context);
    }),

    DeleteVip: unary(around, 'DeleteVip', async ({ name, etag, validateOnly }, call) => {
      await reconciler.change(
        { kind: 'delete-vip', name, etag },
        { validateOnly, isCancelled: () => call.cancelled },
      );
      return {};
    }),
  };
}
