import { describe, expect, it } from 'vitest';
import type { HealthCheck, HttpProbe, Probe } from '../../control-plane/health/types.js';
import {
  HealthCheckError,
  healthCheckFaults,
  validateHealthCheck,
} from '../../control-plane/health/validate.js';
import { checkOf, TCP } from './checks.js';

const HTTP: HttpProbe = {
  kind: 'http',
  port: 80,
  tls: false,
  insecureSkipVerify: false,
  host: '',
  reuseConnection: false,
  path: '/',
  method: 'GET',
  expectedStatuses: [{ from: 200, to: 200 }],
};
const GRPC = {
  kind: 'grpc',
  port: 1,
  service: '',
  tls: true,
  insecureSkipVerify: false,
  host: '',
  reuseConnection: false,
} as const;
const UDP = { kind: 'udp', port: 53, send: Buffer.alloc(0) } as const;

describe('a check that breaks a rule', () => {
  const timing: readonly [changes: Partial<HealthCheck>, ...fields: string[]][] = [
    [{ name: '' }, 'name'],
    [{ intervalMs: 99, timeoutMs: 50, fastIntervalMs: 100 }, 'intervalMs'],
    [{ intervalMs: Number.NaN }, 'intervalMs'],
    [{ intervalMs: Number.POSITIVE_INFINITY }, 'intervalMs'],
    [{ timeoutMs: 9 }, 'timeoutMs'],
    [{ timeoutMs: 1001 }, 'timeoutMs'],
    [{ fastIntervalMs: 99 }, 'fastIntervalMs'],
    [{ fastIntervalMs: 1001 }, 'fastIntervalMs'],
    [{ initialDelayMs: -1 }, 'initialDelayMs'],
    [{ rise: 0 }, 'rise'],
    [{ rise: 1.5 }, 'rise'],
    [{ fall: 101 }, 'fall'],
    [{ jitterPercent: 51 }, 'jitterPercent'],
    [{ rise: 0, fall: 0, jitterPercent: -1 }, 'rise', 'fall', 'jitterPercent'],
    [{ path: 'tunnel', probe: UDP }, 'path'],
    [{ path: 'tunnel', probe: { kind: 'icmp', payloadBytes: 8 } }, 'path'],
  ];
  for (const [changes, ...fields] of timing) {
    const text = JSON.stringify(changes, (_, value) => (typeof value === 'number' ? `${value}` : value));
    it(`${text} → ${fields.join(', ')}`, () => {
      expect(healthCheckFaults(checkOf(changes.probe ?? TCP, changes)).map(({ field }) => field)).toEqual(
        fields,
      );
    });
  }

  const probes: readonly [probe: Probe, ...fields: string[]][] = [
    [{ kind: 'tcp', port: -1 }, 'probe.port'],
    [{ kind: 'tcp', port: 65_536 }, 'probe.port'],
    [{ kind: 'tcp', port: 1, expect: Buffer.alloc(0) }, 'probe.expect'],
    [{ kind: 'tcp', port: 1, send: Buffer.alloc(65_508) }, 'probe.send'],
    [{ ...HTTP, path: 'x' }, 'probe.path'],
    [{ ...HTTP, path: '/a b' }, 'probe.path'],
    [{ ...HTTP, path: '/a\r\nHost: b' }, 'probe.path'],
    [{ ...HTTP, method: 'GET /' }, 'probe.method'],
    [{ ...HTTP, method: 'CONNECT' }, 'probe.method'],
    [{ ...HTTP, host: 'a\r\nb' }, 'probe.host'],
    [{ ...HTTP, expectedStatuses: [] }, 'probe.expectedStatuses'],
    [{ ...HTTP, expectedStatuses: [{ from: 100, to: 299 }] }, 'probe.expectedStatuses[0].from'],
    [
      {
        ...HTTP,
        expectedStatuses: [
          { from: 200, to: 200 },
          { from: 299, to: 200 },
        ],
      },
      'probe.expectedStatuses[1].to',
    ],
    [{ ...HTTP, expectBody: '' }, 'probe.expectBody'],
    [{ ...HTTP, method: 'HEAD', expectBody: 'x' }, 'probe.expectBody'],
    [{ ...GRPC, service: 'x'.repeat(5000) }, 'probe.service'],
    [{ kind: 'icmp', payloadBytes: 1413 }, 'probe.payloadBytes'],
    [{ ...UDP, expect: Buffer.alloc(0) }, 'probe.expect'],
  ];
  for (const [probe, ...fields] of probes) {
    it(`${probe.kind}: ${fields.join(', ')} ${JSON.stringify(probe).slice(0, 90)}`, () => {
      expect(healthCheckFaults(checkOf(probe)).map(({ field }) => field)).toEqual(fields);
    });
  }
});

const fine: readonly Probe[] = [
  TCP,
  { kind: 'tcp', port: 65_535, send: Buffer.alloc(0), expect: Buffer.alloc(1) },
  HTTP,
  { ...HTTP, host: '[2001:db8::1]:80', method: 'OPTIONS', path: '/x?y=%20#z' },
  GRPC,
  UDP,
  { kind: 'icmp', payloadBytes: 0 },
];
for (const probe of fine) {
  it(`is fine: ${JSON.stringify(probe)}`, () => {
    expect(healthCheckFaults(checkOf(probe))).toEqual([]);
  });
}

it('the error names each field, its value and the rule', () => {
  const check = checkOf(TCP, { name: 'web', rise: 0, timeoutMs: 5000 });
  expect(() => validateHealthCheck(check)).toThrow(HealthCheckError);
  expect(() => validateHealthCheck(check)).toThrow(
    'health check "web": timeoutMs is 5000, must be at most the interval, 1000 ms; rise is 0, must be a whole number from 1 to 100',
  );
});
