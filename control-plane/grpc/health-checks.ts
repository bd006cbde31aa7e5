import { fieldError } from '../state/faults.js';
import { checkName, type DesiredState, idOf } from '../state/model.js';
import { find } from '../state/validate.js';
import type { CallScope } from './call-scope.js';
import type { ApiContext } from './context.js';
import { checkFieldsFrom, checkToProto, checkUpdate } from './convert-check.js';
import { durationOf } from './convert-values.js';
import type { HealthCheck__Output } from './generated/waggle/v1/HealthCheck.js';
import type { HealthCheckServiceHandlers } from './generated/waggle/v1/HealthCheckService.js';
import { listOf } from './list.js';
import type { RequestIds } from './request-ids.js';
import { type Surroundings, unary } from './unary.js';

/** waggle.v1.HealthCheckService. */
export function healthCheckHandlers(
  context: ApiContext,
  around: Surroundings,
  requests: RequestIds,
): HealthCheckServiceHandlers {
  const { reconciler, health } = context;
  const shown = (state: DesiredState, name: string) =>
    checkToProto(find(state.healthChecks, 'healthCheck', name));
  const create = async (check: HealthCheck__Output, id: string, validateOnly: boolean, caller: CallScope) => {
    const change = { kind: 'create-health-check', id, ...checkFieldsFrom('health_check', check) } as const;
    return shown(await reconciler.change(change, caller.changing(validateOnly)), checkName(id));
  };

  return {
    GetHealthCheck: unary(around, 'GetHealthCheck', ({ name }) => shown(reconciler.store.state, name)),

    ListHealthChecks: unary(around, 'ListHealthChecks', (request) => {
      const list = { scope: 'healthChecks', message: 'HealthCheck' };
      const { items, ...page } = listOf(reconciler.store.state.healthChecks, list, request, checkToProto);
      return { healthChecks: [...items], ...page };
    }),

    CreateHealthCheck: unary(around, 'CreateHealthCheck', (request, _, caller) => {
      const { healthCheck, healthCheckId, validateOnly, requestId } = request;
      if (!healthCheck) throw fieldError('health_check', 'is required');
      return requests.once(caller, requestId, { CreateHealthCheck: request }, () =>
        create(healthCheck, healthCheckId, validateOnly, caller),
      );
    }),

    UpdateHealthCheck: unary(
      around,
      'UpdateHealthCheck',
      async ({ healthCheck, updateMask, allowMissing, validateOnly }, _, caller) => {
        if (!healthCheck) throw fieldError('health_check', 'is required');
        const { name, etag } = healthCheck;
        const { healthChecks } = reconciler.store.state;
        if (allowMissing && !healthChecks.has(name)) {
          return create(healthCheck, idOf(name), validateOnly, caller);
        }
        const present = find(healthChecks, 'healthCheck', name, 'health_check.name');
        const fields = checkUpdate(healthCheck, updateMask, present);
        const change = { kind: 'update-health-check', name, etag, fields } as const;
        return shown(await reconciler.change(change, caller.changing(validateOnly)), name);
      },
    ),

    DeleteHealthCheck: unary(around, 'DeleteHealthCheck', async ({ name, etag, validateOnly }, _, caller) => {
      await reconciler.change({ kind: 'delete-health-check', name, etag }, caller.changing(validateOnly));
      return {};
    }),

    ProbeBackend: unary(around, 'ProbeBackend', async ({ backend: name }) => {
      const { state } = reconciler.store;
      const backend = find(state.backends, 'backend', name, 'backend');
      if (health.status(backend.name) === undefined) {
        throw fieldError(
          'backend',
          `${name} is not checked: its pool has no health checks, or serves no VIP`,
        );
      }
      const results = await health.probe(backend.name);
      return {
        outcomes: [...results].map(([id, { ok, latencyMs, detail }]) => ({
          healthCheck: checkName(id),
          success: ok,
          latency: durationOf(latencyMs),
          detail,
        })),
      };
    }),
  };
}
