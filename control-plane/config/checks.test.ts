import { describe, expect, it } from 'vitest';
import { ConfigError } from './faults.js';
import { loadConfig } from './load.js';
import { desiredState } from './state.js';

const load = (text: string) => loadConfig(text, 'f');
const checkOf = (text: string) => load(`healthChecks:\n  - { name: up, ${text} }\n`).healthChecks[0]?.check;
const poolOf = (text: string) =>
  load(`healthChecks: [{ name: up, icmp: {} }]\npools:\n  - { name: web, ${text} }\n`).pools[0];
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

const faultsOf = (text: string): readonly string[] => {
  try {
    load(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n').map((line) => line.replace(/^f:/, ''));
    throw error;
  }
  return [];
};

describe('a health check', () => {
  it('has the defaults of the API', () => {
    expect(checkOf('tcp: {}')).toEqual({
      name: 'up',
      probe: { kind: 'tcp', port: 0 },
      path: 'direct',
      intervalMs: 5000,
      timeoutMs: 2000,
      rise: 2,
      fall: 3,
      jitterPercent: 10,
      fastIntervalMs: 1000,
      initialDelayMs: 0,
      firstResultDecides: true,
    });
    expect(checkOf('tcp: {}, interval: 300ms')).toMatchObject({ timeoutMs: 300, fastIntervalMs: 100 });
  });

  it('says all of it', () => {
    const timing =
      'path: Tunnel, interval: 1m, timeout: 1.5s, rise: 4, fall: 5, jitter: 50, fastInterval: 2s, initialDelay: 30, firstResultDecides: no';
    expect(checkOf(`tcp: { port: 80 }, ${timing}`)).toMatchObject({
      probe: { port: 80 },
      path: 'tunnel',
      intervalMs: 60_000,
      timeoutMs: 1500,
      rise: 4,
      fall: 5,
      jitterPercent: 50,
      fastIntervalMs: 2000,
      initialDelayMs: 30_000,
      firstResultDecides: false,
    });
  });

  it.each([
    [
      'http: {}',
      {
        kind: 'http',
        port: 0,
        tls: false,
        insecureSkipVerify: false,
        host: '',
        reuseConnection: false,
        path: '/',
        method: 'GET',
        expectedStatuses: [{ from: 200, to: 399 }],
      },
    ],
    [
      'http: { port: 8443, tls: true, tlsInsecureSkipVerify: true, host: example.org, path: "/x?y", method: POST, expectedStatuses: [204, 300-302, { first: 404 }], expectBody: ok, reuseConnection: true }',
      {
        kind: 'http',
        port: 8443,
        tls: true,
        insecureSkipVerify: true,
        host: 'example.org',
        reuseConnection: true,
        path: '/x?y',
        method: 'POST',
        expectedStatuses: [
          { from: 204, to: 204 },
          { from: 300, to: 302 },
          { from: 404, to: 404 },
        ],
        expectBody: 'ok',
      },
    ],
    [
      'grpc: { service: a.B, tls: on }',
      {
        kind: 'grpc',
        port: 0,
        service: 'a.B',
        tls: true,
        insecureSkipVerify: false,
        host: '',
        reuseConnection: false,
      },
    ],
    ['icmp: {}', { kind: 'icmp', payloadBytes: 56 }],
    ['icmp: { payloadBytes: 0 }', { kind: 'icmp', payloadBytes: 0 }],
    ['udp: { port: 53 }', { kind: 'udp', port: 53, send: bytes('') }],
    [
      'udp: { port: 53, send: { hex: 00ff 10 }, expectPrefix: { base64: AAE= } }',
      { kind: 'udp', port: 53, send: bytes('\x00\xff\x10'), expect: bytes('\x00\x01') },
    ],
    [
      'tcp: { send: { text: "PING\\r\\n" }, expectPrefix: { text: +PONG } }',
      { kind: 'tcp', port: 0, send: bytes('PING\r\n'), expect: bytes('+PONG') },
    ],
  ])('probes: %s', (text, probe) => {
    expect(checkOf(text)?.probe).toEqual(probe);
  });

  const at = (text: string) => `healthChecks:\n  - { name: up, ${text} }\n`;
  it.each([
    [
      'no probe',
      at('interval: 5s'),
      ['2:5: healthChecks[0].tcp: is required, or http, grpc, icmp, udp: what a check does'],
    ],
    [
      'two',
      at('icmp: {}, tcp: {}'),
      ['2:23: healthChecks[0].icmp: stands beside tcp: a check has one probe'],
    ],
    ['no name', 'healthChecks: [{ icmp: {} }]', ['1:16: healthChecks[0].name: is required']],
    [
      'a name twice',
      'healthChecks: [{ name: up, icmp: {} }, { name: up }]',
      [
        '1:40: healthChecks[1].tcp: is required, or http, grpc, icmp, udp: what a check does',
        '1:48: healthChecks[1].name: up: is there already, on line 1',
      ],
    ],
    [
      'times out of range, each with its place',
      at('icmp: { payloadBytes: 1413 }, interval: 50ms, timeout: 5ms, rise: 0, fall: 101, jitter: 51'),
      [
        '2:39: healthChecks[0].icmp.payloadBytes: 1413: must be a whole number from 0 to 1412',
        '2:57: healthChecks[0].interval: 50ms: must be from 100 to 86400000 ms',
        '2:72: healthChecks[0].timeout: 5ms: must be from 10 to 86400000 ms',
        '2:83: healthChecks[0].rise: 0: must be a whole number from 1 to 100',
        '2:92: healthChecks[0].fall: 101: must be a whole number from 1 to 100',
        '2:105: healthChecks[0].jitter: 51: must be from 0 to 50 %',
      ],
    ],
    [
      'longer than the interval',
      at('icmp: {}, interval: 1s, timeout: 2s, fastInterval: 3s'),
      [
        '2:50: healthChecks[0].timeout: 2s: must be at most the interval, 1000 ms',
        '2:68: healthChecks[0].fastInterval: 3s: must be at most the interval, 1000 ms',
      ],
    ],
    [
      'what a tunnel does not carry',
      at('icmp: {}, path: tunnel'),
      ['2:33: healthChecks[0].path: tunnel: must be direct for a check of kind icmp'],
    ],
    [
      'fields of a request',
      at('http: { path: health, method: CONNECT, expectedStatuses: [100, 300-200] }'),
      [
        '2:31: healthChecks[0].http.path: health: must be a slash and what follows it, in visible ASCII',
        '2:47: healthChecks[0].http.method: CONNECT: must be other than CONNECT',
        '2:75: healthChecks[0].http.expectedStatuses[0]: 100: must be a status from 200 to 599',
        '2:80: healthChecks[0].http.expectedStatuses[1]: 300-200: must be a status from 300 to 599',
      ],
    ],
    [
      'a text alone for bytes: people and the API mean different things by it',
      at('tcp: { send: PING }'),
      [
        '2:30: healthChecks[0].tcp.send: PING: is text, hex or base64: write { text: … }, { hex: … } or { base64: … }',
      ],
    ],
    [
      'bytes in no form, and in two',
      at('udp: { send: { hex: 0 }, expectPrefix: { text: a, hex: "00" } }'),
      [
        '2:37: healthChecks[0].udp.send.hex: 0: is not pairs of hexadecimal digits',
        '2:56: healthChecks[0].udp.expectPrefix: {"text":"a","hex":"00"}: has to have one of text, hex and base64',
      ],
    ],
    [
      'a name that both keys give',
      at('icmp: {}, rise: 2, healthyThreshold: 3'),
      ['2:54: healthChecks[0].healthyThreshold: 3: stands beside rise, which means the same'],
    ],
  ])('refused: %s', (_, text, faults) => {
    expect(faultsOf(text)).toEqual(faults);
  });
});

const SEVENTEEN = Array.from({ length: 17 }, (_, i) => `c${i}`);

describe('a pool', () => {
  it('has the defaults of the API', () => {
    expect(poolOf('backends: []')).toMatchObject({
      displayName: '',
      healthChecks: [],
      panicPercent: 0,
      belowFloor: 'last-resort',
      slowStart: undefined,
      drainTimeoutMs: undefined,
    });
  });

  it('says what is done while backends fail, recover and leave', () => {
    const pool = poolOf(
      'displayName: "The web", healthChecks: [healthChecks/up], panicThreshold: 50, panicPolicy: Drop, slowStart: { window: 30s, steps: 3 }, drainTimeout: 10m',
    );
    expect(pool).toMatchObject({
      displayName: 'The web',
      healthChecks: ['up'],
      panicPercent: 50,
      belowFloor: 'drop',
      slowStart: { windowMs: 30_000, minPercent: 10, steps: 3 },
      drainTimeoutMs: 600_000,
    });
  });

  it.each([
    [
      'checks that are not there, or there twice',
      'healthChecks: [{ name: up, icmp: {} }]\npools: [{ name: web, healthChecks: [up, down, up] }]',
      [
        '2:41: pools[0].healthChecks[1]: down: is not the name of a health check: there are up',
        '2:47: pools[0].healthChecks[2]: up: is there already, on line 2',
      ],
    ],
    [
      'a check that is there but not sound is no second fault',
      'healthChecks: [{ name: up, icmp: 1 }]\npools: [{ name: web, healthChecks: [up] }]',
      ['1:34: healthChecks[0].icmp: 1: is not a map of keys: icmp has payloadBytes'],
    ],
    [
      'more checks than a pool can have',
      `healthChecks: [${SEVENTEEN.map((name) => `{ name: ${name}, icmp: {} }`).join(', ')}]\npools: [{ name: web, healthChecks: [${SEVENTEEN.join(', ')}] }]`,
      ['2:36: pools[0].healthChecks: are 17, more than 16'],
    ],
    [
      'times, shares and texts',
      'pools: [{ name: web, displayName: "a\\nb", panicThreshold: 101, drainTimeout: 25h, slowStart: { window: 2h, minPercent: 0 } }]',
      [
        '1:35: pools[0].displayName: "a\\nb": contains a control character',
        '1:59: pools[0].panicThreshold: 101: is not a whole number from 0 to 100',
        '1:78: pools[0].drainTimeout: 25h: is not from 1ms to 24h',
        '1:104: pools[0].slowStart.window: 2h: is not from 1s to 1h',
        '1:120: pools[0].slowStart.minPercent: 0: is not a whole number from 1 to 100',
      ],
    ],
  ])('refused: %s', (_, text, faults) => {
    expect(faultsOf(text)).toEqual(faults);
  });
});

describe('a backend that drains', () => {
  const START = Date.UTC(2026, 10, 21, 14);
  const drain = (more: string, pool = '') =>
    load(
      `pools:\n  - { name: web${pool}, backends: [{ name: b, address: 10.0.0.1, state: draining${more} }] }\n`,
    );
  const backend = (config: ReturnType<typeof load>, context = {}) =>
    desiredState(config, context).backends.get('pools/web/backends/b');

  it.each([
    ['begins now', '', '', START, undefined],
    ['for the time of its pool', '', ', drainTimeout: 10s', START, START + 10_000],
    ['for a time of its own', ', drain: { timeout: 1m }', ', drainTimeout: 10s', START, START + 60_000],
    ['until a moment', ', drain: { deadline: 2026-11-21T15:00:00+00:00 }', '', START, START + 3_600_000],
    [
      'since a moment, without end',
      ', drain: { start: 2026-11-21T13:00:00Z }',
      ', drainTimeout: 10s',
      START - 3_600_000,
      undefined,
    ],
  ])('%s', (_, more, pool, start, deadline) => {
    expect(backend(drain(more, pool), { nowMs: START })).toMatchObject({
      drainStartMs: start,
      drainDeadlineMs: deadline,
      leaves: false,
      isDown: false,
    });
  });

  it('goes on as it is when the file is read again', () => {
    const current = desiredState(drain(', drain: { timeout: 1m, remove: true }'), { nowMs: START });
    expect(backend(drain(''), { nowMs: START + 9, current })).toEqual(
      current.backends.get('pools/web/backends/b'),
    );
  });

  it.each([
    [
      'is not up',
      'state: up, drain: {}',
      ['1:72: pools[0].backends[0].drain: is for backends that are draining, and this one is up'],
    ],
    [
      'has one end, after its start',
      'state: draining, drain: { start: 2026-11-21T14:00:00Z, timeout: 1s, deadline: 2026-11-21T13:00:00Z }',
      [
        '1:132: pools[0].backends[0].drain.deadline: 2026-11-21T13:00:00Z: stands beside timeout: say one of them',
        '1:132: pools[0].backends[0].drain.deadline: 2026-11-21T13:00:00Z: is before the start (line 1)',
      ],
    ],
    [
      'has a time of a day at most',
      'state: draining, drain: { timeout: 25h }',
      ['1:89: pools[0].backends[0].drain.timeout: 25h: is not from 1ms to 24h'],
    ],
    [
      'has a time of a millisecond at least',
      'state: draining, drain: { timeout: 1us }',
      ['1:89: pools[0].backends[0].drain.timeout: 1us: is not from 1ms to 24h'],
    ],
    [
      'has moments that everybody understands alike',
      'state: draining, drain: { start: "2026-11-21 14:00" }',
      [
        '1:87: pools[0].backends[0].drain.start: "2026-11-21 14:00": is not a time of day with its zone, as in 2026-11-21T14:30:00Z',
      ],
    ],
  ])('%s', (_, text, faults) => {
    expect(faultsOf(`pools: [{ name: web, backends: [{ address: 10.0.0.1, ${text} }] }]`)).toEqual(faults);
  });
});
