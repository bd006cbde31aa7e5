import { DEFAULT_ECHO_BYTES, HTTP_DEFAULTS, timingOf } from '../health/defaults.js';
import type { HealthCheck, HttpProbe, Probe, StatusRange } from '../health/types.js';
import { type CheckResource, idOf } from '../state/model.js';
import { durationText, type Entry, entryOf, unless } from './write-values.js';

/** A health check as a file has it. */
export function checkEntry({ name, displayName, check }: CheckResource): Entry {
  return {
    name: idOf(name),
    ...entryOf({ displayName: unless(displayName, '') }),
    // A probe with nothing to say of it is there all the same.
    [check.probe.kind]: probeEntry(check.probe) ?? {},
    ...timingEntry(check),
  };
}

function timingEntry(check: HealthCheck): Entry | undefined {
  const { intervalMs } = check;
  const usual = timingOf({ intervalMs });
  // Times are compared to the nanosecond: milliseconds with fractions have more than one nearest number.
  const duration = (key: 'intervalMs' | 'timeoutMs' | 'fastIntervalMs' | 'initialDelayMs', other: number) =>
    unless(durationText(check[key]), durationText(other));
  return entryOf({
    path: unless(check.path, 'direct'),
    interval: duration('intervalMs', timingOf({}).intervalMs),
    timeout: duration('timeoutMs', usual.timeoutMs),
    rise: unless(check.rise, usual.rise),
    fall: unless(check.fall, usual.fall),
    jitter: unless(check.jitterPercent, usual.jitterPercent),
    fastInterval: duration('fastIntervalMs', usual.fastIntervalMs),
    initialDelay: duration('initialDelayMs', usual.initialDelayMs),
    firstResultDecides: unless(check.firstResultDecides, usual.firstResultDecides),
  });
}

const port = (number: number) => unless(number, 0);

/** What differs from the defaults of a probe of its kind. */
function probeEntry(probe: Probe): Entry | undefined {
  switch (probe.kind) {
    case 'tcp':
      return entryOf({
        port: port(probe.port),
        send: payloadEntry(probe.send),
        expectPrefix: payloadEntry(probe.expect),
      });
    case 'udp':
      return entryOf({
        port: port(probe.port),
        send: payloadEntry(probe.send),
        expectPrefix: payloadEntry(probe.expect),
      });
    case 'http':
      return entryOf({
        ...serverEntry(probe),
        path: unless(probe.path, HTTP_DEFAULTS.path),
        method: unless(probe.method, HTTP_DEFAULTS.method),
        expectedStatuses: statusesOf(probe),
        expectBody: probe.expectBody,
      });
    case 'grpc':
      return entryOf({ ...serverEntry(probe), service: unless(probe.service, '') });
    case 'icmp':
      return entryOf({ payloadBytes: unless(probe.payloadBytes, DEFAULT_ECHO_BYTES) });
  }
}

const serverEntry = (probe: Probe & { readonly kind: 'http' | 'grpc' }): Entry => ({
  port: port(probe.port),
  tls: unless(probe.tls, false),
  tlsInsecureSkipVerify: unless(probe.insecureSkipVerify, false),
  host: unless(probe.host, ''),
  reuseConnection: unless(probe.reuseConnection, false),
});

const rangeText = ({ from, to }: StatusRange): string | number => (from === to ? from : `${from}-${to}`);

function statusesOf({ expectedStatuses }: HttpProbe): (string | number)[] | undefined {
  const [usual] = HTTP_DEFAULTS.expectedStatuses.map(rangeText);
  const ranges = expectedStatuses.map(rangeText);
  return ranges.length === 1 && ranges[0] === usual ? undefined : ranges;
}

/** Longer ones are written as base64. */
const MAX_HEX_BYTES = 32;
/** Text that nobody takes for another: no control characters but tabs and ends of lines. */
const PLAIN = /^[\t\r\n -~]+$/;

function payloadEntry(bytes: Uint8Array | undefined): Entry | undefined {
  if (bytes === undefined || bytes.length === 0) return undefined;
  const buffer = Buffer.from(bytes);
  const text = buffer.toString('latin1');
  if (PLAIN.test(text)) return { text };
  return bytes.length > MAX_HEX_BYTES
    ? { base64: buffer.toString('base64') }
    : { hex: buffer.toString('hex') };
}
