import { DEFAULT_ECHO_BYTES, HTTP_DEFAULTS, timingOf } from '../health/defaults.js';
import type { HealthCheck, Probe, StatusRange } from '../health/types.js';
import { healthCheckFaults } from '../health/validate.js';
import type { FileEntries, Placed } from './entries.js';
import type { ConfigPath } from './faults.js';
import type { CheckConfig } from './model.js';
import { PROBE_KINDS } from './schema-checks.js';
import type { ConfigSource } from './source.js';

type CheckEntry = FileEntries['healthChecks'][number];
type ProbeKind = (typeof PROBE_KINDS)[number];
type ProbeEntry<K extends ProbeKind> = NonNullable<CheckEntry['value'][K]>;
type PayloadEntry = NonNullable<ProbeEntry<'udp'>['send']>;

/** Keys of a file by the fields of a check, where they differ. */
const KEYS: Readonly<Record<string, string>> = {
  intervalMs: 'interval',
  timeoutMs: 'timeout',
  fastIntervalMs: 'fastInterval',
  initialDelayMs: 'initialDelay',
  jitterPercent: 'jitter',
  insecureSkipVerify: 'tlsInsecureSkipVerify',
  expect: 'expectPrefix',
  from: 'first',
  to: 'last',
};

/** Health checks with their defaults. Names are there once, and every rule of a check is kept. */
export function resolveChecks(source: ConfigSource, entries: FileEntries): Placed<CheckConfig>[] {
  const names = new Map<string, ConfigPath>();
  return entries.healthChecks.flatMap((entry) => {
    const { value, path } = entry;
    const name = value.name ?? '';
    if (name !== '') source.once(names, name, [...path, 'name'], name);
    const probe = probeOf(source, entry);
    if (probe === undefined) return [];
    const check: HealthCheck = {
      name,
      probe,
      path: value.path ?? 'direct',
      ...timingOf({
        intervalMs: value.interval,
        timeoutMs: value.timeout,
        rise: value.rise,
        fall: value.fall,
        jitterPercent: value.jitter,
        fastIntervalMs: value.fastInterval,
        initialDelayMs: value.initialDelay,
        firstResultDecides: value.firstResultDecides,
      }),
    };
    checkRules(source, entry, check);
    return [{ value: { name, displayName: value.displayName ?? '', check }, path }];
  });
}

function checkRules(source: ConfigSource, { path }: CheckEntry, check: HealthCheck): void {
  const seen = new Set<string>();
  // A name that is not sound is a fault that is noted already.
  for (const { field, value, rule } of healthCheckFaults({ ...check, name: 'id' })) {
    const parts = field
      .replace(/^probe\b/, check.probe.kind)
      .split('.')
      .flatMap(partsOf);
    const own = [...path, ...parts];
    // `200-100` is one value and two fields; what follows from another field that is wrong is no fault of its own.
    const at = source.has(own) ? own : own.slice(0, -1);
    const item = parts.slice(0, 3).join();
    if (parts.length === 1 && !source.has(own)) continue;
    if (seen.has(item)) continue;
    seen.add(item);
    source.fail('CONFIG_VALUE', at, source.valueOf(at) ?? JSON.parse(asJson(value)), `must be ${rule}`);
  }
}

const asJson = (value: string): string => (/^(?:\d+ bytes|nothing)$/.test(value) ? `"${value}"` : value);

/** `expectedStatuses[1]` is a key and an index. */
function partsOf(field: string): (string | number)[] {
  const [, key = field, index] = /^(\w+)\[(\d+)\]$/.exec(field) ?? [];
  const known = Object.hasOwn(KEYS, key) ? KEYS[key]! : key;
  return index === undefined ? [known] : [known, Number(index)];
}

function probeOf(source: ConfigSource, entry: CheckEntry): Probe | undefined {
  const { value, path } = entry;
  const given = PROBE_KINDS.filter((kind) => source.has([...path, kind]));
  const [first, second] = given;
  if (first === undefined) {
    const rule = `is required, or ${PROBE_KINDS.slice(1).join(', ')}: what a check does`;
    source.fail('CONFIG_MISSING', [...path, 'tcp'], undefined, rule);
    return undefined;
  }
  if (second !== undefined)
    source.fail(
      'CONFIG_CONFLICT',
      [...path, second],
      undefined,
      `stands beside ${first}: a check has one probe`,
    );
  const isApi = source.isNamed(path, 'healthChecks/');
  const bytes = (key: 'send' | 'expectPrefix', payload: PayloadEntry | undefined) =>
    payloadOf(source, [...path, first, key], payload, isApi);
  switch (first) {
    case 'tcp':
      return value.tcp && tcpOf(value.tcp, bytes);
    case 'udp':
      return value.udp && udpOf(value.udp, bytes);
    case 'http':
      return value.http && httpOf(value.http);
    case 'grpc':
      return value.grpc && grpcOf(value.grpc);
    case 'icmp':
      return value.icmp && { kind: 'icmp', payloadBytes: value.icmp.payloadBytes ?? DEFAULT_ECHO_BYTES };
  }
}

type ReadBytes = (key: 'send' | 'expectPrefix', payload: PayloadEntry | undefined) => Uint8Array | undefined;

function tcpOf(given: ProbeEntry<'tcp'>, bytes: ReadBytes): Probe {
  const [send, expect] = [bytes('send', given.send), bytes('expectPrefix', given.expectPrefix)];
  return {
    kind: 'tcp',
    port: given.port ?? 0,
    ...(send && { send }),
    ...(expect && { expect }),
  };
}

function udpOf(given: ProbeEntry<'udp'>, bytes: ReadBytes): Probe {
  const expect = bytes('expectPrefix', given.expectPrefix);
  return {
    kind: 'udp',
    port: given.port ?? 0,
    send: bytes('send', given.send) ?? new Uint8Array(),
    ...(expect && { expect }),
  };
}

/** '' is what the API has for a text that is not given. */
const textOr = (text: string | undefined, other: string): string =>
  text === undefined || text === '' ? other : text;

function httpOf(given: ProbeEntry<'http'>): Probe {
  const statuses = given.expectedStatuses?.flatMap((range): StatusRange[] => {
    if (range?.first === undefined) return [];
    // 0 is what the API has for a last one that is not given.
    return [{ from: range.first, to: range.last || range.first }];
  });
  return {
    ...HTTP_DEFAULTS,
    kind: 'http',
    port: given.port ?? 0,
    tls: given.tls ?? false,
    insecureSkipVerify: given.tlsInsecureSkipVerify ?? false,
    host: given.host ?? '',
    reuseConnection: given.reuseConnection ?? false,
    path: textOr(given.path, HTTP_DEFAULTS.path),
    method: textOr(given.method, HTTP_DEFAULTS.method),
    expectedStatuses:
      statuses === undefined || statuses.length === 0 ? HTTP_DEFAULTS.expectedStatuses : statuses,
    ...(given.expectBody && { expectBody: given.expectBody }),
  };
}

function grpcOf(given: ProbeEntry<'grpc'>): Probe {
  return {
    kind: 'grpc',
    port: given.port ?? 0,
    service: given.service ?? '',
    tls: given.tls ?? false,
    insecureSkipVerify: given.tlsInsecureSkipVerify ?? false,
    host: given.host ?? '',
    reuseConnection: given.reuseConnection ?? false,
  };
}

/**
 * Bytes of a payload; undefined for none. A text alone is base64 in the API's form, and people who write a file would
 * mean the text: it is refused there.
 * @param isApi the check has a name of the API's form
 */
function payloadOf(
  source: ConfigSource,
  path: ConfigPath,
  payload: PayloadEntry | undefined,
  isApi: boolean,
): Uint8Array | undefined {
  if (payload === undefined) return undefined;
  if (payload instanceof Uint8Array) {
    if (!isApi) {
      const rule = 'is text, hex or base64: write { text: … }, { hex: … } or { base64: … }';
      source.fail('CONFIG_VALUE', path, source.valueOf(path), rule);
    }
    return payload.length === 0 ? undefined : payload;
  }
  const forms = (['text', 'hex', 'base64'] as const).filter((form) => source.has([...path, form]));
  if (forms.length !== 1) {
    const rule = 'has to have one of text, hex and base64';
    source.fail('CONFIG_VALUE', path, source.valueOf(path), rule);
  }
  const { text, hex, base64 } = payload;
  const bytes = text === undefined ? (hex ?? base64) : new TextEncoder().encode(text);
  return bytes?.length === 0 ? undefined : bytes;
}
