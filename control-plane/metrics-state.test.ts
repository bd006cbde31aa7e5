import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { createBackend, createPool } from '../test/support/changes.js';
import { metricsBed } from '../test/support/metrics-bed.js';
import type { HealthView } from './grpc/context.js';
import type { Health, TargetStatus } from './health/types.js';
import type { Metrics } from './metrics.js';
import { Families } from './metrics-family.js';
import { Timings } from './metrics-timings.js';

/** Lines of the exposition that begin so, without it. */
async function lines(metrics: Pick<Metrics, 'text'>, start: string): Promise<string[]> {
  const text = await metrics.text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(start))
    .map((line) => line.slice(start.length));
}

const statusOf = (state: Health, flapping = false): TargetStatus => ({
  key: '',
  checks: new Map(),
  state,
  sinceMs: 7000,
  last: undefined,
  lastError: undefined,
  consecutive: 1,
  flapping,
  heldUntilMs: undefined,
  everHealthy: true,
});
const backend = (id: string, weight = 1) =>
  createBackend({ id, address: `10.0.0.${id.charCodeAt(0)}`, weight });
const pool = createPool();

it('health, drains and the mode of a pool have series', async () => {
  const states: Record<string, TargetStatus> = {
    'pools/web/backends/a': statusOf('healthy'),
    'pools/web/backends/b': statusOf('unhealthy', true),
  };
  const health: Partial<HealthView> = { status: (name) => states[name], mode: () => 'last-resort' };
  const { metrics, reconciler } = metricsBed({}, health);
  await reconciler.change([pool, backend('a'), backend('b'), backend('c')]);
  await reconciler.change({
    kind: 'drain-backend',
    name: 'pools/web/backends/c',
    etag: '',
    timeoutMs: 60_000,
  });
  const text = (await lines(metrics, 'waggle_')).filter((line) => /^(backend|pool)_/.test(line));
  expect(text).toEqual(
    expect.arrayContaining([
      'backend_healthy{pool="web",backend="a"} 1',
      'backend_healthy{pool="web",backend="b"} 0',
      'backend_flapping{pool="web",backend="b"} 1',
      'backend_health_change_timestamp_seconds{pool="web",backend="a"} 7',
      'backend_next_hop_resolved{pool="web",backend="a"} 1',
      'backend_drain_start_timestamp_seconds{pool="web",backend="c"} 0',
      'backend_drain_deadline_timestamp_seconds{pool="web",backend="c"} 60',
      'pool_backends{pool="web",state="total"} 3',
      'pool_backends{pool="web",state="healthy"} 2',
      'pool_backends{pool="web",state="serving"} 2',
      'pool_backends{pool="web",state="draining"} 1',
      'pool_backends{pool="web",state="disabled"} 0',
      'pool_mode{pool="web",mode="normal"} 0',
      'pool_mode{pool="web",mode="last_resort"} 1',
      'pool_mode{pool="web",mode="none"} 0',
    ]),
  );
  // One that is not checked is neither healthy nor not.
  expect(text.filter((line) => /^backend_(healthy|flapping).*"c"/.test(line))).toEqual([]);
});

it('a pool of which nobody takes connections says so', async () => {
  const { metrics, reconciler } = metricsBed();
  await reconciler.change([pool, backend('a', 0)]);
  expect(await lines(metrics, 'waggle_pool_mode')).toContain('{pool="web",mode="none"} 1');
});

it('changes, probes and calls are timed', async () => {
  const timings = new Timings();
  const { metrics, reconciler } = metricsBed({ timings });
  await reconciler.change(pool);
  await expect(reconciler.change(pool)).rejects.toThrow('exists');
  await expect(reconciler.change(backend('a'), { isCancelled: () => true })).rejects.toThrow('gave up');
  const result = { detail: '', latencyMs: 3, atMs: 0 };
  timings.probe({ kind: 'tcp', result: { ...result, ok: true, local: false } });
  timings.probe({ kind: 'http', result: { ...result, ok: false, local: true } });
  timings.rpc('WatchVips', 'CANCELLED', 3600);
  // Also what there was none of: a first fault is an increase then.
  expect(await lines(metrics, 'waggle_reconcile_duration_seconds_count')).toEqual([
    '{phase="change",result="ok"} 1',
    '{phase="change",result="error"} 1',
    '{phase="journal",result="ok"} 1',
    '{phase="journal",result="error"} 0',
    '{phase="tables",result="ok"} 1',
    '{phase="tables",result="error"} 0',
  ]);
  expect(await lines(metrics, 'waggle_probe_duration_seconds_count')).toEqual([
    '{kind="tcp",outcome="pass"} 1',
    '{kind="tcp",outcome="fail"} 0',
    '{kind="tcp",outcome="error"} 0',
    '{kind="http",outcome="pass"} 0',
    '{kind="http",outcome="fail"} 0',
    '{kind="http",outcome="error"} 1',
  ]);
  expect(await lines(metrics, 'waggle_probe_duration_seconds_sum{kind="tcp",outcome="pass"} ')).toEqual([
    '0.003',
  ]);
  // A stream that was open for an hour was not slow.
  expect(await lines(metrics, 'waggle_rpc_duration_seconds_count')).toEqual([]);
  expect(await lines(metrics, 'waggle_rpc_streams_total{')).toEqual([
    'method="WatchVips",status="CANCELLED"} 1',
  ]);
});

it('events, packets that were reported and the certificate have series', async () => {
  const { metrics, events } = metricsBed({
    packets: { counters: { read: 5n, malformed: 0n, lost: 2n } },
    certificateExpiresMs: () => 1_800_000_000_000,
  });
  for (let i = 0; i < 3; i++) events.emit({ type: 'packet.dropped', message: '' });
  expect(await lines(metrics, 'waggle_events_total{')).toEqual(
    expect.arrayContaining(['type="packet.dropped"} 3', 'type="state.fault"} 0']),
  );
  expect(await lines(metrics, 'waggle_packet_events_total{')).toEqual([
    'result="read"} 5',
    'result="malformed"} 0',
    'result="lost"} 2',
  ]);
  expect(await lines(metrics, 'waggle_tls_certificate_expiry_timestamp_seconds ')).toEqual(['1800000000']);
});

it('without TLS, or a directory of state, there is no series of them', async () => {
  const { metrics } = metricsBed();
  expect(await lines(metrics, 'waggle_tls_')).toEqual([]);
  expect(await lines(metrics, 'waggle_state_')).toEqual([]);
});

it('a family has so many series at most, and says how many are left out', async () => {
  const registry = new Registry();
  const families = new Families(registry, 2);
  let count = 5;
  families.counter({ name: 'many_total', help: 'Many.', labelNames: ['n'] }, () =>
    Array.from({ length: count }, (_, n) => [{ n: String(n) }, 1] as const),
  );
  families.omitted();
  const metrics = { text: () => registry.metrics() };
  expect(await lines(metrics, 'many_total{')).toEqual(['n="0"} 1', 'n="1"} 1']);
  expect(await lines(metrics, 'waggle_metrics_omitted_series{')).toEqual(['family="many_total"} 3']);
  count = 2;
  expect(await lines(metrics, 'waggle_metrics_omitted_series{')).toEqual([]);
});
