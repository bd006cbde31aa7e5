import { Counter, Histogram, type Registry } from 'prom-client';
import type { ObserveRpc } from './grpc/observe.js';
import type { ProbeRecord } from './health/monitor.js';
import type { Family, FamilySpec } from './metrics-family.js';
import type { ReconcilePhase } from './reconcile/reconciler.js';

/** Bounds of the buckets for API calls, seconds: a change of a large ring takes milliseconds. */
const RPC_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
/** For changes and their parts: from a table's row to a configuration of tens of thousands of resources. */
const RECONCILE_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10,
];
/** For probes: from the same rack to the longest timeouts. */
const PROBE_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Calls that last for as long as their caller likes: how long says nothing. */
const STREAMS = /^(Watch\w*|Capture|ServerReflectionInfo)$/;

const RPC = {
  name: 'waggle_rpc_duration_seconds',
  help: 'Calls of the API that have one answer: how long they took.',
  labelNames: ['method', 'status'],
} as const;
const STREAM = {
  name: 'waggle_rpc_streams_total',
  help: 'Streams of the API that have ended, by how.',
  labelNames: ['method', 'status'],
} as const;
const RECONCILE = {
  name: 'waggle_reconcile_duration_seconds',
  help: 'Changes of the configuration: all of one, writing it to the disk, writing the tables (also for health and next hops).',
  labelNames: ['phase', 'result'],
} as const;
const PROBE = {
  name: 'waggle_probe_duration_seconds',
  help: "Probes of health checks, by kind and outcome: pass, fail, or error, which is this host's.",
  labelNames: ['kind', 'outcome'],
} as const;

/** A histogram, or a counter, that is not in a registry yet. */
const histogram = <L extends string>(
  spec: FamilySpec & { readonly labelNames: readonly L[] },
  buckets: number[],
) => new Histogram<L>({ ...spec, labelNames: [...spec.labelNames], buckets, registers: [] });

/** How long things took. Made before whoever is watched, and registered when there is a registry. */
export class Timings {
  readonly #rpc = histogram(RPC, RPC_BUCKETS);
  readonly #streams = new Counter({ ...STREAM, registers: [] });
  readonly #reconcile = histogram(RECONCILE, RECONCILE_BUCKETS);
  readonly #probes = histogram(PROBE, PROBE_BUCKETS);

  /** Every family that is measured here. */
  readonly all: readonly Family[] = [
    { ...RPC, type: 'histogram' },
    { ...STREAM, type: 'counter' },
    { ...RECONCILE, type: 'histogram' },
    { ...PROBE, type: 'histogram' },
  ];

  /** Kinds of probes that there were. */
  readonly #kinds = new Set<string>();

  constructor() {
    // A series that begins with its first fault has no increase: who waits for one would not see it.
    for (const phase of ['change', 'journal', 'tables'])
      for (const result of ['ok', 'error']) this.#reconcile.zero({ phase, result });
  }

  /** For each call of the API, when it has ended. */
  readonly rpc: ObserveRpc = (method, status, seconds) => {
    if (STREAMS.test(method)) this.#streams.inc({ method, status });
    else this.#rpc.observe({ method, status }, seconds);
  };

  /** For the reconciler. */
  readonly reconcile = (phase: ReconcilePhase, seconds: number, isDone: boolean): void => {
    this.#reconcile.observe({ phase, result: isDone ? 'ok' : 'error' }, seconds);
  };

  /** For the monitor's event `probe`. */
  readonly probe = ({ kind, result }: Pick<ProbeRecord, 'kind' | 'result'>): void => {
    if (!this.#kinds.has(kind)) {
      this.#kinds.add(kind);
      for (const each of ['pass', 'fail', 'error']) this.#probes.zero({ kind, outcome: each });
    }
    const outcome = result.ok ? 'pass' : result.local ? 'error' : 'fail';
    this.#probes.observe({ kind, outcome }, result.latencyMs / 1000);
  };

  register(registry: Registry): void {
    registry.registerMetric(this.#rpc);
    registry.registerMetric(this.#streams);
    registry.registerMetric(this.#reconcile);
    registry.registerMetric(this.#probes);
  }
}
