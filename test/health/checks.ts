import type { Probes } from '../../control-plane/health/prober.js';
import { TIMED_OUT } from '../../control-plane/health/probes/attempt.js';
import type { HealthCheck, Probe, ProbeResult, Target } from '../../control-plane/health/types.js';
import { parseIp } from '../../lb/index.js';

/** A check that can be used as it is; each test says what of it matters. */
export function checkOf(probe: Probe, changes: Partial<HealthCheck> = {}): HealthCheck {
  return {
    name: probe.kind,
    probe,
    path: 'direct',
    intervalMs: 1000,
    timeoutMs: 500,
    rise: 2,
    fall: 3,
    jitterPercent: 0,
    fastIntervalMs: 1000,
    initialDelayMs: 0,
    firstResultDecides: true,
    ...changes,
  };
}

export const TCP: Probe = { kind: 'tcp', port: 0 };

export function targetOf(key: string, port: number, address = '127.0.0.1'): Target {
  return { key, address: parseIp(address), port };
}

export function resultOf(ok: boolean, atMs: number, changes: Partial<ProbeResult> = {}): ProbeResult {
  return { ok, local: false, detail: ok ? 'fine' : 'broken', latencyMs: 1, atMs, ...changes };
}

/** One probe with its timeout kept, without a monitor. */
export async function runProbe(
  probes: Probes,
  probe: Probe,
  target: Target,
  timeoutMs: number,
  changes: Partial<HealthCheck> = {},
): Promise<ProbeResult> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(TIMED_OUT), timeoutMs);
  try {
    return await probes.probe(target, checkOf(probe, { timeoutMs, ...changes }), controller.signal);
  } finally {
    clearTimeout(timer);
  }
}
