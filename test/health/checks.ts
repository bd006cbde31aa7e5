import type { Keep } from '../../control-plane/health/keep.js';
import type { Probes } from '../../control-plane/health/prober.js';
import { TIMED_OUT } from '../../control-plane/health/probes/attempt.js';
import type {
  GrpcProbe,
  HealthCheck,
  HttpProbe,
  Probe,
  ProbeResult,
  Target,
} from '../../control-plane/health/types.js';
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

const SERVER = {
  port: 0,
  tls: false,
  insecureSkipVerify: false,
  host: '',
  reuseConnection: false,
} as const;

export const HTTP: HttpProbe = {
  kind: 'http',
  ...SERVER,
  path: '/health?deep=1',
  method: 'GET',
  expectedStatuses: [{ from: 200, to: 299 }],
};

export const GRPC: GrpcProbe = { kind: 'grpc', ...SERVER, service: '' };

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
  { keep, ...changes }: Partial<HealthCheck> & { readonly keep?: Keep } = {},
): Promise<ProbeResult> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(TIMED_OUT), timeoutMs);
  try {
    return await probes.probe(target, checkOf(probe, { timeoutMs, ...changes }), controller.signal, keep);
  } finally {
    clearTimeout(timer);
  }
}
