import type { ApiContext } from './grpc/context.js';
import type { Families, Row } from './metrics-family.js';
import { BACKEND_LABELS, backendLabels } from './metrics-traffic.js';
import { type Backend, idOf, type Pool } from './state/model.js';

/** The software, and the revision of its configuration. */
export function nodeFamilies(families: Families, { reconciler, version, startTimeMs }: ApiContext): void {
  const { store } = reconciler;
  families.gauge(
    {
      name: 'waggle_info',
      help: 'Always 1; the label is the version of the software.',
      labelNames: ['version'],
    },
    () => [[{ version }, 1]],
  );
  families.gauge(
    {
      name: 'waggle_start_time_seconds',
      help: 'When the datapath started, seconds since 1970.',
      labelNames: [],
    },
    () => [[{}, startTimeMs / 1000]],
  );
  families.gauge(
    { name: 'waggle_config_revision', help: 'Revision of the configuration.', labelNames: [] },
    () => [[{}, store.state.revision]],
  );
  families.gauge(
    {
      name: 'waggle_config_active_revision',
      help: 'Revision of the configuration that the datapath runs.',
      labelNames: [],
    },
    () => [[{}, reconciler.activeRevision]],
  );
  families.gauge(
    {
      name: 'waggle_config_resources',
      help: 'Resources that are declared, by kind.',
      labelNames: ['kind'],
    },
    () => {
      const { vips, pools, backends, healthChecks } = store.state;
      const counts = { vips, pools, backends, health_checks: healthChecks };
      return Object.entries(counts).map(([kind, { size }]): Row => [{ kind }, size]);
    },
  );
  families.gauge(
    {
      name: 'waggle_state_file_bytes',
      help: 'Bytes of what the configuration is kept in on the disk; without a directory of state there is no series.',
      labelNames: ['file'],
    },
    () => {
      const { sizes } = store;
      if (sizes === undefined) return [];
      return [
        [{ file: 'snapshot' }, sizes.snapshotBytes],
        [{ file: 'journal' }, sizes.journalBytes],
      ];
    },
  );
}

/** A gauge of backends; those that `read` has nothing for have no series. */
interface BackendGauge {
  readonly name: string;
  readonly help: string;
  readonly read: (backend: Backend, context: ApiContext) => number | undefined;
}

const isDraining = ({ drainStartMs }: Backend): boolean => drainStartMs !== undefined;
const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000);

const BACKEND_GAUGES: readonly BackendGauge[] = [
  {
    name: 'waggle_backend_weight',
    help: 'Weight in force: 0 while draining, while unhealthy, and while the next hop has not been found.',
    read: (backend, { reconciler }) => reconciler.effectiveWeight(backend),
  },
  {
    name: 'waggle_backend_ring_share_ratio',
    help: "Share of its pool's ring that a backend has, 0 to 1.",
    read: (backend, { reconciler }) => reconciler.tableShare(backend),
  },
  {
    name: 'waggle_backend_healthy',
    help: '1 while a backend passes its health checks, 0 while it does not or has not yet; only backends with checks.',
    read: ({ name }, { health }) => {
      const status = health.status(name);
      return status && Number(status.state === 'healthy');
    },
  },
  {
    name: 'waggle_backend_flapping',
    help: '1 while a backend is held unhealthy because it changed too often; only backends with checks.',
    read: ({ name }, { health }) => {
      const status = health.status(name);
      return status && Number(status.flapping);
    },
  },
  {
    name: 'waggle_backend_health_change_timestamp_seconds',
    help: 'When the health of a backend last changed, seconds since 1970; only backends with checks.',
    read: ({ name }, { health }) => seconds(health.status(name)?.sinceMs),
  },
  {
    name: 'waggle_backend_next_hop_resolved',
    help: '1 while the Ethernet address towards a backend is known and confirmed.',
    read: ({ addressKey, mac, isLocal }, { nextHop, reconciler }) => {
      const isGiven = mac !== undefined || isLocal || reconciler.store.state.node.routerMac !== undefined;
      return Number(isGiven || nextHop(addressKey).state === 'resolved');
    },
  },
  {
    name: 'waggle_backend_drain_start_timestamp_seconds',
    help: 'When the drain of a backend began, seconds since 1970; only backends that drain.',
    read: ({ drainStartMs }) => seconds(drainStartMs),
  },
  {
    name: 'waggle_backend_drain_deadline_timestamp_seconds',
    help: 'When the drain of a backend ends whoever is still connected, seconds since 1970; only drains with an end.',
    read: (backend) => (isDraining(backend) ? seconds(backend.drainDeadlineMs) : undefined),
  },
];

/** What is in force of backends, and what is observed of them. */
export function backendFamilies(families: Families, context: ApiContext): void {
  for (const { name, help, read } of BACKEND_GAUGES) {
    families.gauge({ name, help, labelNames: BACKEND_LABELS }, function* () {
      for (const backend of context.reconciler.store.state.backends.values()) {
        const value = read(backend, context);
        if (value !== undefined) yield [backendLabels(backend), value];
      }
    });
  }
}

/** What backends of a pool can be counted by. */
type BackendCounts = Record<'total' | 'healthy' | 'serving' | 'draining' | 'disabled', number>;

function countsByPool({ reconciler, health }: ApiContext): Map<string, BackendCounts> {
  const { state } = reconciler.store;
  const counts = new Map(
    [...state.pools.keys()].map((name) => [
      name,
      { total: 0, healthy: 0, serving: 0, draining: 0, disabled: 0 },
    ]),
  );
  for (const backend of state.backends.values()) {
    const pool = counts.get(backend.pool);
    if (pool === undefined) continue;
    const status = health.status(backend.name);
    pool.total++;
    pool.healthy += Number(status === undefined || status.state === 'healthy');
    pool.serving += Number(reconciler.effectiveWeight(backend) > 0);
    pool.draining += Number(isDraining(backend));
    pool.disabled += Number(backend.isDown);
  }
  return counts;
}

const MODES = ['normal', 'last_resort', 'none'] as const;

/** Who of a pool takes new connections. */
export function poolFamilies(families: Families, context: ApiContext): void {
  let counts: ReadonlyMap<string, BackendCounts> = new Map();
  families.gauge(
    {
      name: 'waggle_pool_backends',
      help: 'Backends of a pool: all, those that pass their checks or have none, that take new connections, drain, are disabled.',
      labelNames: ['pool', 'state'],
    },
    function* () {
      counts = countsByPool(context);
      for (const [pool, byState] of counts)
        for (const [state, count] of Object.entries(byState)) yield [{ pool: idOf(pool), state }, count];
    },
  );
  const modeOf = (pool: Pool): (typeof MODES)[number] => {
    if ((counts.get(pool.name)?.serving ?? 0) === 0) return 'none';
    return context.health.mode(pool.name) === 'last-resort' ? 'last_resort' : 'normal';
  };
  families.gauge(
    {
      name: 'waggle_pool_mode',
      help: 'Who of a pool takes new connections: 1 for what is so. normal: the healthy; last_resort: too few are, so the others too; none: nobody.',
      labelNames: ['pool', 'mode'],
    },
    function* () {
      for (const pool of context.reconciler.store.state.pools.values()) {
        const mode = modeOf(pool);
        for (const each of MODES) yield [{ pool: idOf(pool.name), mode: each }, Number(each === mode)];
      }
    },
  );
}
