import { assertNever } from '../../lb/index.js';
import { DEFAULT_ECHO_BYTES, HTTP_DEFAULTS, timingOf } from '../health/defaults.js';
import type { HealthCheck, Probe } from '../health/types.js';
import { fieldError } from '../state/faults.js';
import { type CheckFields, checkFieldsOf } from '../state/fields.js';
import { type CheckResource, idOf } from '../state/model.js';
import { durationOf, type Mask, msOf, versionOf } from './convert-values.js';
import type { HealthCheck__Output, HealthCheck as ProtoCheck } from './generated/waggle/v1/HealthCheck.js';
import type { HttpProbe__Output } from './generated/waggle/v1/HttpProbe.js';
import { maskedFields } from './mask.js';

const PROBES = ['tcp', 'http', 'grpc', 'icmp', 'udp'] as const;

const given = (bytes: Uint8Array | string): Uint8Array =>
  typeof bytes === 'string' ? Buffer.from(bytes, 'base64') : Uint8Array.from(bytes);
const optional = <K extends string>(key: K, bytes: Uint8Array | string): { [P in K]?: Uint8Array } => {
  const read = given(bytes);
  const some: { [P in K]?: Uint8Array } = {};
  if (read.length > 0) some[key] = read;
  return some;
};

function httpProbeFrom(probe: HttpProbe__Output): Probe {
  const { port, tls, host, path, method, expectedStatuses, expectBody, reuseConnection } = probe;
  return {
    kind: 'http',
    port,
    tls,
    insecureSkipVerify: probe.tlsInsecureSkipVerify,
    host,
    reuseConnection,
    path: path || HTTP_DEFAULTS.path,
    method: method || HTTP_DEFAULTS.method,
    expectedStatuses:
      expectedStatuses.length === 0
        ? HTTP_DEFAULTS.expectedStatuses
        : expectedStatuses.map(({ first, last }) => ({ from: first, to: last || first })),
    ...(expectBody !== '' && { expectBody }),
  };
}

/** @throws StateError STATE_FIELDS where there is none */
function probeFrom(path: string, { tcp, http, grpc, icmp, udp }: HealthCheck__Output): Probe {
  if (tcp) {
    const { port, send, expectPrefix } = tcp;
    return { kind: 'tcp', port, ...optional('send', send), ...optional('expect', expectPrefix) };
  }
  if (http) return httpProbeFrom(http);
  if (grpc) {
    const { port, service, tls, tlsInsecureSkipVerify: insecureSkipVerify, host, reuseConnection } = grpc;
    return { kind: 'grpc', port, service, tls, insecureSkipVerify, host, reuseConnection };
  }
  if (icmp) return { kind: 'icmp', payloadBytes: icmp.payloadBytes ?? DEFAULT_ECHO_BYTES };
  if (udp) {
    const { port, send, expectPrefix } = udp;
    return { kind: 'udp', port, send: given(send), ...optional('expect', expectPrefix) };
  }
  throw fieldError(`${path}.probe`, `is required: one of ${PROBES.join(', ')}`);
}

function pathFrom(field: string, value: string | number): HealthCheck['path'] {
  if (value === 'PATH_TUNNEL') return 'tunnel';
  if (value === 'PATH_DIRECT' || value === 'PATH_UNSPECIFIED') return 'direct';
  throw fieldError(field, `${value} is not a path: PATH_DIRECT, PATH_TUNNEL`);
}

/** What a check says in a request. @throws StateError STATE_FIELDS */
export function checkFieldsFrom(path: string, message: HealthCheck__Output): CheckFields {
  const check: HealthCheck = {
    name: idOf(message.name),
    probe: probeFrom(path, message),
    path: pathFrom(`${path}.path`, message.path),
    ...timingOf({
      intervalMs: msOf(`${path}.interval`, message.interval),
      timeoutMs: msOf(`${path}.timeout`, message.timeout),
      rise: message.healthyThreshold,
      fall: message.unhealthyThreshold,
      jitterPercent: message.jitterPercent,
      fastIntervalMs: msOf(`${path}.fast_interval`, message.fastInterval),
      initialDelayMs: msOf(`${path}.initial_delay`, message.initialDelay),
      firstResultDecides: message.firstResultDecides,
    }),
  };
  return { displayName: message.displayName, check };
}

/** Fields of a check that an update may name, and where they stand in it. */
const CHECK_FIELDS = {
  path: 'path',
  interval: 'intervalMs',
  timeout: 'timeoutMs',
  healthy_threshold: 'rise',
  unhealthy_threshold: 'fall',
  jitter_percent: 'jitterPercent',
  initial_delay: 'initialDelayMs',
  fast_interval: 'fastIntervalMs',
  first_result_decides: 'firstResultDecides',
} as const satisfies Readonly<Record<string, keyof HealthCheck>>;

function populatedOf(message: HealthCheck__Output): Set<string> {
  const set = new Set<string>();
  if (message.displayName !== '') set.add('display_name');
  if (PROBES.some((kind) => message[kind])) set.add('probe');
  if (message.path !== 'PATH_UNSPECIFIED') set.add('path');
  for (const [name, value] of [
    ['interval', message.interval],
    ['timeout', message.timeout],
    ['initial_delay', message.initialDelay],
    ['fast_interval', message.fastInterval],
    ['healthy_threshold', message.healthyThreshold],
    ['unhealthy_threshold', message.unhealthyThreshold],
    ['jitter_percent', message.jitterPercent],
    ['first_result_decides', message.firstResultDecides],
  ] as const) {
    if (value !== null && value !== undefined) set.add(name);
  }
  return set;
}

/**
 * What an UpdateHealthCheck sets. A probe is set as a whole, under its kind or `probe`.
 * @param present the check as it is: what is not set stays
 * @throws StateError STATE_FIELDS
 */
export function checkUpdate(
  message: HealthCheck__Output,
  mask: Mask,
  present: CheckResource,
): Partial<CheckFields> {
  const paths = mask?.paths.map((path) => (PROBES.some((kind) => kind === path) ? 'probe' : path));
  const set = maskedFields(paths, populatedOf(message), {
    changeable: ['display_name', 'probe', ...Object.keys(CHECK_FIELDS)],
    immutable: [],
  });
  const probe = set.has('probe') ? probeFrom('health_check', message) : present.check.probe;
  const asked = checkFieldsFrom('health_check', { ...message, ...probeShownOf(probe) }).check;
  const taken = Object.entries(CHECK_FIELDS).filter(([name]) => set.has(name));
  const values = Object.fromEntries(taken.map(([, key]) => [key, asked[key]]));
  return {
    ...(set.has('display_name') && { displayName: message.displayName }),
    check: { ...present.check, ...values, probe },
  };
}

type ProtoProbe = Pick<HealthCheck__Output, 'tcp' | 'http' | 'grpc' | 'icmp' | 'udp'>;

/** A probe as the API has it. */
function probeShownOf(probe: Probe): ProtoProbe {
  const bytes = (data: Uint8Array | undefined) => Buffer.from(data ?? []);
  switch (probe.kind) {
    case 'tcp':
      return { tcp: { port: probe.port, send: bytes(probe.send), expectPrefix: bytes(probe.expect) } };
    case 'http': {
      const { port, tls, insecureSkipVerify, host, path, method, expectBody = '', reuseConnection } = probe;
      const statuses = probe.expectedStatuses.map(({ from, to }) => ({ first: from, last: to }));
      return {
        http: {
          port,
          tls,
          tlsInsecureSkipVerify: insecureSkipVerify,
          host,
          path,
          method,
          expectedStatuses: statuses,
          expectBody,
          reuseConnection,
        },
      };
    }
    case 'grpc': {
      const { port, service, tls, insecureSkipVerify, host, reuseConnection } = probe;
      return {
        grpc: { port, service, tls, tlsInsecureSkipVerify: insecureSkipVerify, host, reuseConnection },
      };
    }
    case 'icmp':
      return { icmp: { payloadBytes: probe.payloadBytes } };
    case 'udp':
      return { udp: { port: probe.port, send: bytes(probe.send), expectPrefix: bytes(probe.expect) } };
    default:
      return assertNever(probe);
  }
}

/** What an operator declared of a check. */
export function checkDeclaration(resource: CheckResource): ProtoCheck {
  const { displayName, check } = checkFieldsOf(resource);
  return {
    name: resource.name,
    displayName,
    ...probeShownOf(check.probe),
    path: check.path === 'tunnel' ? 'PATH_TUNNEL' : 'PATH_DIRECT',
    interval: durationOf(check.intervalMs),
    timeout: durationOf(check.timeoutMs),
    healthyThreshold: check.rise,
    unhealthyThreshold: check.fall,
    jitterPercent: check.jitterPercent,
    initialDelay: durationOf(check.initialDelayMs),
    fastInterval: durationOf(check.fastIntervalMs),
    firstResultDecides: check.firstResultDecides,
  };
}

export const checkToProto = (resource: CheckResource): ProtoCheck => ({
  ...checkDeclaration(resource),
  ...versionOf(resource),
});
