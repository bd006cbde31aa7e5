import type { TableImpact } from '../reconcile/impact.js';
import { backendsOfHost } from '../state/backends.js';
import type { Change } from '../state/changes.js';
import { fieldError, StateError } from '../state/faults.js';
import { type Backend, backendName, backendsOf, type DesiredState, idOf } from '../state/model.js';
import type { Store } from '../state/store.js';
import { find } from '../state/validate.js';
import type { CallScope } from './call-scope.js';
import type { ApiContext } from './context.js';
import { backendFieldsFrom, backendToProto, backendUpdate } from './convert-backend.js';
import { impactToProto } from './convert-changes.js';
import { msOf } from './convert-values.js';
import type { Backend__Output } from './generated/waggle/v1/Backend.js';
import type { PoolServiceHandlers } from './generated/waggle/v1/PoolService.js';
import type { ReplaceBackendsRequest__Output } from './generated/waggle/v1/ReplaceBackendsRequest.js';
import { listOf } from './list.js';
import type { RequestIds } from './request-ids.js';
import { type Surroundings, unary } from './unary.js';

/** Stands for every pool in a parent. */
const ANY_POOL = 'pools/-';

type BackendMethods =
  | 'GetBackend'
  | 'ListBackends'
  | 'CreateBackend'
  | 'UpdateBackend'
  | 'DeleteBackend'
  | 'DrainBackend'
  | 'UndrainBackend'
  | 'ReplaceBackends'
  | 'DrainHost'
  | 'UndrainHost';

/** waggle.v1.PoolService: backends. */
export function backendHandlers(
  context: ApiContext,
  around: Surroundings,
  requests: RequestIds,
): Pick<PoolServiceHandlers, BackendMethods> {
  const { reconciler } = context;
  const shown = (state: DesiredState, name: string) =>
    backendToProto(find(state.backends, 'backend', name), context);
  const change = (asked: Change, validateOnly: boolean, caller: CallScope) =>
    reconciler.change(asked, caller.changing(validateOnly));
  const create = async (
    parent: string,
    backend: Backend__Output,
    id: string,
    validateOnly: boolean,
    caller: CallScope,
  ) => {
    const fields = backendFieldsFrom('backend', backend);
    const state = await change({ kind: 'create-backend', pool: parent, id, ...fields }, validateOnly, caller);
    return shown(state, backendName(parent, id));
  };
  const ofHost = (state: DesiredState, address: string) => ({
    backends: backendsOfHost(state, address).map((backend) => backendToProto(backend, context)),
  });

  return {
    GetBackend: unary(around, 'GetBackend', ({ name }) => shown(reconciler.store.state, name)),

    ListBackends: unary(around, 'ListBackends', ({ parent, ...request }) => {
      const { state } = reconciler.store;
      const backends =
        parent === ANY_POOL
          ? [...state.backends.values()]
          : backendsOf(state, find(state.pools, 'pool', parent, 'parent').name);
      const list = { scope: `${parent}/backends`, message: 'Backend' };
      const { items, ...page } = listOf(backends, list, request, (backend: Backend) =>
        backendToProto(backend, context),
      );
      return { backends: [...items], ...page };
    }),

    CreateBackend: unary(around, 'CreateBackend', (request, _, caller) => {
      const { parent, backend, backendId, validateOnly, requestId } = request;
      if (!backend) throw fieldError('backend', 'is required');
      return requests.once(caller, requestId, { CreateBackend: request }, () =>
        create(parent, backend, backendId, validateOnly, caller),
      );
    }),

    UpdateBackend: unary(
      around,
      'UpdateBackend',
      async ({ backend, updateMask, allowMissing, validateOnly }, _, caller) => {
        if (!backend) throw fieldError('backend', 'is required');
        const { name, etag } = backend;
        if (allowMissing && !reconciler.store.state.backends.has(name)) {
          const parent = name.replace(/\/backends\/.*$/, '');
          return create(parent, backend, idOf(name), validateOnly, caller);
        }
        const fields = backendUpdate(backend, updateMask);
        return shown(
          await change({ kind: 'update-backend', name, etag, fields }, validateOnly, caller),
          name,
        );
      },
    ),

    DeleteBackend: unary(
      around,
      'DeleteBackend',
      async ({ name, etag, drainTimeout, validateOnly }, _, caller) => {
        const drainTimeoutMs = msOf('drain_timeout', drainTimeout);
        await change({ kind: 'delete-backend', name, etag, drainTimeoutMs }, validateOnly, caller);
        return {};
      },
    ),

    DrainBackend: unary(around, 'DrainBackend', async ({ name, etag, timeout, validateOnly }, _, caller) => {
      const timeoutMs = msOf('timeout', timeout);
      return shown(
        await change({ kind: 'drain-backend', name, etag, timeoutMs }, validateOnly, caller),
        name,
      );
    }),

    UndrainBackend: unary(around, 'UndrainBackend', async ({ name, etag, validateOnly }, _, caller) =>
      shown(await change({ kind: 'undrain-backend', name, etag }, validateOnly, caller), name),
    ),

    DrainHost: unary(around, 'DrainHost', async ({ address, timeout, validateOnly }, _, caller) => {
      const timeoutMs = msOf('timeout', timeout);
      return ofHost(await change({ kind: 'drain-host', address, timeoutMs }, validateOnly, caller), address);
    }),

    UndrainHost: unary(around, 'UndrainHost', async ({ address, validateOnly }, _, caller) =>
      ofHost(await change({ kind: 'undrain-host', address }, validateOnly, caller), address),
    ),

    ReplaceBackends: unary(around, 'ReplaceBackends', async (request, _, caller) => {
      let impact: readonly TableImpact[] = [];
      // By the state that it changes: others may change it before its turn comes.
      const draft = (store: Store) => {
        const drafted = store.draftAll(replacing(store.state, request), caller.name);
        impact = reconciler.impact(store.state, drafted);
        return drafted;
      };
      const after = await reconciler.change(draft, caller.changing(request.validateOnly));
      const backends = backendsOf(after, request.parent);
      return {
        backends: backends.map((backend) => backendToProto(backend, context)),
        impact: impactToProto(impact),
      };
    }),
  };
}

/** Changes that make the backends of a pool those of a request. @throws StateError */
function replacing(state: DesiredState, request: ReplaceBackendsRequest__Output): Change[] {
  const { parent, backends, poolEtag, drainTimeout } = request;
  const pool = find(state.pools, 'pool', parent, 'parent');
  if (poolEtag !== '' && poolEtag !== pool.etag) {
    throw new StateError(
      { code: 'STATE_ETAG', name: pool.name, given: poolEtag, current: pool.etag },
      `${pool.name} has changed since it was read (etag "${poolEtag}", now "${pool.etag}"): read it again and retry`,
    );
  }
  const wanted = new Set(backends.map(({ name }) => name));
  const drainTimeoutMs = msOf('drain_timeout', drainTimeout);
  const gone = backendsOf(state, parent).filter(({ name, leaves }) => !wanted.has(name) && !leaves);
  const given = backends.map((backend, i) => {
    const path = `backends[${i}]`;
    if (!backend.name.startsWith(`${parent}/backends/`)) {
      throw fieldError(`${path}.name`, `"${backend.name}" is not the name of a backend of ${parent}`);
    }
    return { name: backend.name, ...backendFieldsFrom(path, backend) };
  });
  return [
    ...gone.map(({ name }): Change => ({ kind: 'delete-backend', name, etag: '', drainTimeoutMs })),
    {
      kind: 'apply',
      prune: false,
      target: {
        vips: [],
        pools: [],
        healthChecks: [],
        node: undefined,
        serverIds: [],
        sourceRoutes: [],
        globalFlows: [],
        backends: given,
      },
    },
  ];
}
