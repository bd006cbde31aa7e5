import { CodedError } from '../../lb/index.js';
import type { HealthCheck, Probe, ProbeKind } from './types.js';

/** A field of a check that breaks a rule. */
export interface CheckFault {
  /** Path from the check on: `probe.expectedStatuses[1].from`. */
  readonly field: string;
  readonly value: string;
  readonly rule: string;
}

export interface HealthCheckFault {
  readonly code: 'HEALTH_CHECK';
  readonly check: string;
  readonly faults: readonly CheckFault[];
}

/** A check that cannot be used; the message names each field, its value and the rule. */
export class HealthCheckError extends CodedError<HealthCheckFault> {}

const MS_PER_DAY = 86_400_000;
/** Shorter intervals are a flood, not a check. */
const MIN_INTERVAL_MS = 100;
const MIN_TIMEOUT_MS = 10;
const MAX_COUNT = 100;
const MAX_JITTER_PERCENT = 50;
/** What one UDP datagram over IPv4 may carry (RFC 768), and so an upper bound for all that a probe sends. */
const MAX_PAYLOAD_BYTES = 65_507;
/** An echo request that no tunnel on the way must split: 1500 bytes less 2 × 40 bytes of headers and 8 of ICMP. */
const MAX_ECHO_BYTES = 1412;
const MAX_TEXT_BYTES = 4096;
/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** What goes through the tunnel: connections. */
const TUNNELLED: readonly ProbeKind[] = ['tcp', 'http', 'grpc'];

type Report = (field: string, value: unknown, rule: string) => void;

/** All the rules that a check breaks; none: it can be used. */
export function healthCheckFaults(check: HealthCheck): CheckFault[] {
  const faults: CheckFault[] = [];
  const report: Report = (field, value, rule) => {
    const text = value instanceof Uint8Array ? `${value.length} bytes` : JSON.stringify(value);
    faults.push({ field, value: text ?? 'nothing', rule });
  };
  if (check.name === '') report('name', check.name, 'not empty');
  timingFaults(check, report);
  probeFaults(check.probe, report);
  const { kind } = check.probe;
  if (check.path === 'tunnel' && !TUNNELLED.includes(kind))
    report('path', check.path, `direct for a check of kind ${kind}`);
  return faults;
}

/**
 * Refuse a check that cannot be used.
 * @throws HealthCheckError HEALTH_CHECK, with all faults
 */
export function validateHealthCheck(check: HealthCheck): void {
  const faults = healthCheckFaults(check);
  if (faults.length === 0) return;
  const lines = faults.map(({ field, value, rule }) => `${field} is ${value}, must be ${rule}`);
  throw new HealthCheckError(
    { code: 'HEALTH_CHECK', check: check.name, faults },
    `health check ${JSON.stringify(check.name)}: ${lines.join('; ')}`,
  );
}

function timingFaults(check: HealthCheck, report: Report): void {
  const { intervalMs, timeoutMs, fastIntervalMs } = check;
  const range = (field: keyof HealthCheck, from: number, to: number, unit: string, whole = false) => {
    const value = check[field];
    const fits =
      typeof value === 'number' && value >= from && value <= to && (!whole || Number.isInteger(value));
    if (!fits) report(field, value, `${whole ? 'a whole number ' : ''}from ${from} to ${to}${unit}`);
    return fits;
  };
  const interval = range('intervalMs', MIN_INTERVAL_MS, MS_PER_DAY, ' ms');
  if (range('timeoutMs', MIN_TIMEOUT_MS, MS_PER_DAY, ' ms') && interval && timeoutMs > intervalMs)
    report('timeoutMs', timeoutMs, `at most the interval, ${intervalMs} ms`);
  if (range('fastIntervalMs', MIN_INTERVAL_MS, MS_PER_DAY, ' ms') && interval && fastIntervalMs > intervalMs)
    report('fastIntervalMs', fastIntervalMs, `at most the interval, ${intervalMs} ms`);
  range('initialDelayMs', 0, MS_PER_DAY, ' ms');
  range('rise', 1, MAX_COUNT, '', true);
  range('fall', 1, MAX_COUNT, '', true);
  range('jitterPercent', 0, MAX_JITTER_PERCENT, ' %');
}

const RULES: { readonly [K in ProbeKind]: (probe: Probe & { kind: K }, report: Report) => void } = {
  tcp: ({ port, send, expect }, report) => {
    portFault(port, report);
    bytesFault('send', send, report);
    bytesFault('expect', expect, report);
  },
  http: (probe, report) => {
    const { port, host, path, method, expectedStatuses, expectBody } = probe;
    portFault(port, report);
    hostFault(host, report);
    // Blank or control characters in the request line would make two requests of one (RFC 9112 §3).
    if (!/^\/[\x21-\x7e]*$/.test(path) || path.length > MAX_TEXT_BYTES)
      report('probe.path', path, 'a slash and what follows it, in visible ASCII');
    if (!TOKEN.test(method)) report('probe.method', method, 'a token (RFC 9110 §9.1)');
    if (method === 'CONNECT') report('probe.method', method, 'other than CONNECT');
    if (expectedStatuses.length === 0) report('probe.expectedStatuses', [], 'at least one range');
    for (const [i, { from, to }] of expectedStatuses.entries()) {
      const inside = (value: number) => Number.isInteger(value) && value >= 200 && value <= 599;
      if (!inside(from)) report(`probe.expectedStatuses[${i}].from`, from, 'a status from 200 to 599');
      if (!inside(to) || to < from)
        report(`probe.expectedStatuses[${i}].to`, to, `a status from ${from} to 599`);
    }
    if (expectBody !== undefined) {
      if (expectBody === '' || Buffer.byteLength(expectBody) > MAX_TEXT_BYTES)
        report('probe.expectBody', expectBody, `1 to ${MAX_TEXT_BYTES} bytes of text`);
      if (method === 'HEAD') report('probe.expectBody', expectBody, 'absent when the method is HEAD');
    }
  },
  grpc: ({ port, service, host }, report) => {
    portFault(port, report);
    hostFault(host, report);
    if (Buffer.byteLength(service) > MAX_TEXT_BYTES)
      report('probe.service', service, `at most ${MAX_TEXT_BYTES} bytes`);
  },
  icmp: ({ payloadBytes }, report) => {
    if (!Number.isInteger(payloadBytes) || payloadBytes < 0 || payloadBytes > MAX_ECHO_BYTES)
      report('probe.payloadBytes', payloadBytes, `a whole number from 0 to ${MAX_ECHO_BYTES}`);
  },
  udp: ({ port, send, expect }, report) => {
    portFault(port, report);
    bytesFault('send', send, report);
    bytesFault('expect', expect, report);
  },
};

function probeFaults<K extends ProbeKind>(probe: Probe & { kind: K }, report: Report): void {
  RULES[probe.kind as K](probe, report);
}

function portFault(port: number, report: Report): void {
  if (!Number.isInteger(port) || port < 0 || port > 0xffff)
    report('probe.port', port, 'a port from 1 to 65535, or 0 for the port of the backend');
}

function bytesFault(field: string, bytes: Uint8Array | undefined, report: Report): void {
  // An empty prefix would match everything, and an empty question is none: absent says both clearly.
  const empty = bytes?.length === 0 && field === 'expect';
  if (bytes !== undefined && (empty || bytes.length > MAX_PAYLOAD_BYTES))
    report(
      `probe.${field}`,
      bytes,
      `${field === 'expect' ? '1' : '0'} to ${MAX_PAYLOAD_BYTES} bytes, or absent`,
    );
}

function hostFault(host: string, report: Report): void {
  if (!/^[A-Za-z0-9._:[\]-]*$/.test(host) || host.length > 255)
    report('probe.host', host, 'a host name or an address, at most 255 characters');
}
