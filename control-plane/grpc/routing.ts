import { globalFlowKey, serverIdKey, sourceRouteKey } from '../state/routing.js';
import type { ApiContext } from './context.js';
import {
  flowFrom,
  globalFlowFrom,
  globalFlowToProto,
  serverIdFrom,
  serverIdToProto,
  sourceRouteFrom,
  sourceRouteToProto,
} from './convert-snapshot.js';
import type { RoutingServiceHandlers } from './generated/waggle/v1/RoutingService.js';
import { pageOf } from './page.js';
import { type Surroundings, unary } from './unary.js';

/** Digits of the largest server id: keys sort as their numbers do. */
const ID_DIGITS = 10;

interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** A page of entries, in the order of their keys. */
function pageOfEntries<T, M>(
  scope: string,
  entries: readonly T[],
  { pageSize: size, pageToken: token }: PageRequest,
  keyOf: (entry: T) => string,
  toProto: (entry: T) => M,
) {
  const named = entries.map((entry) => ({ name: keyOf(entry), entry }));
  const { items, nextPageToken } = pageOf(named, { scope, size, token });
  return { items: items.map(({ entry }) => toProto(entry)), nextPageToken };
}

/** waggle.v1.RoutingService. */
export function routingHandlers(context: ApiContext, around: Surroundings): RoutingServiceHandlers {
  const { reconciler } = context;
  return {
    ListServerIds: unary(around, 'ListServerIds', (request) => {
      const { serverIds } = reconciler.store.state;
      const keyOf = (entry: (typeof serverIds)[number]) => serverIdKey(entry).padStart(ID_DIGITS, '0');
      const { items, nextPageToken } = pageOfEntries('serverIds', serverIds, request, keyOf, serverIdToProto);
      return { serverIds: items, nextPageToken };
    }),

    UpdateServerIds: unary(around, 'UpdateServerIds', async (request, _, caller) => {
      const change = {
        kind: 'update-server-ids',
        set: request.set.map(serverIdFrom),
        delete: request.delete,
      } as const;
      const state = await reconciler.change(change, caller.changing(request.validateOnly));
      return { total: state.serverIds.length };
    }),

    ListSourceRoutes: unary(around, 'ListSourceRoutes', (request) => {
      const { sourceRoutes } = reconciler.store.state;
      const page = pageOfEntries('sourceRoutes', sourceRoutes, request, sourceRouteKey, sourceRouteToProto);
      return { sourceRoutes: page.items, nextPageToken: page.nextPageToken };
    }),

    UpdateSourceRoutes: unary(around, 'UpdateSourceRoutes', async (request, _, caller) => {
      const change = {
        kind: 'update-source-routes',
        set: request.set.map(sourceRouteFrom),
        delete: request.delete,
      } as const;
      const state = await reconciler.change(change, caller.changing(request.validateOnly));
      return { total: state.sourceRoutes.length };
    }),

    ListGlobalFlows: unary(around, 'ListGlobalFlows', (request) => {
      const { globalFlows } = reconciler.store.state;
      const page = pageOfEntries('globalFlows', globalFlows, request, globalFlowKey, globalFlowToProto);
      return { globalFlows: page.items, nextPageToken: page.nextPageToken };
    }),

    UpdateGlobalFlows: unary(around, 'UpdateGlobalFlows', async (request, _, caller) => {
      const change = {
        kind: 'update-global-flows',
        set: request.set.map(globalFlowFrom),
        delete: request.delete.map(flowFrom),
      } as const;
      const state = await reconciler.change(change, caller.changing(request.validateOnly));
      return { total: state.globalFlows.length };
    }),
  };
}
