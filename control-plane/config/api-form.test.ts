import { describe, expect, it } from 'vitest';
import { ConfigError } from './faults.js';
import { loadConfig } from './load.js';
import { desiredState } from './state.js';

const TIME = '2026-11-21T14:30:00.123Z';
/** What the server adds to every resource. */
const OUTPUT = { etag: '"7"', createTime: TIME, updateTime: TIME, revision: '12' };

/** A ConfigSnapshot as proto3 JSON has it. */
const SNAPSHOT = {
  healthChecks: [
    {
      name: 'healthChecks/up',
      http: {
        port: 80,
        path: '/up',
        expectedStatuses: [{ first: 200, last: 299 }, { first: 304 }],
        tlsInsecureSkipVerify: true,
        tls: true,
      },
      path: 'PATH_TUNNEL',
      interval: '1.500s',
      timeout: '0.250s',
      healthyThreshold: 4,
      unhealthyThreshold: 5,
      jitterPercent: 0,
      initialDelay: '0s',
      ...OUTPUT,
    },
    { name: 'healthChecks/line', tcp: { send: 'UElORw0K', expectPrefix: 'K1A=' }, path: 'PATH_UNSPECIFIED' },
  ],
  pools: [
    {
      name: 'pools/web',
      displayName: 'The web',
      healthChecks: ['healthChecks/up', 'healthChecks/line'],
      drainTimeout: '600s',
      slowStart: { window: '30s', minWeightPercent: 20 },
      panicPolicy: 'PANIC_POLICY_DROP',
      panicThresholdPercent: 30,
      ringAlgorithm: 'RING_ALGORITHM_MAGLEV_V1',
      status: { totalBackends: 2, mode: 'MODE_NORMAL' },
      ...OUTPUT,
    },
    { name: 'pools/other', panicPolicy: 'PANIC_POLICY_UNSPECIFIED', slowStart: null },
  ],
  backends: [
    {
      name: 'pools/web/backends/a',
      address: '10.0.0.1',
      weight: 0,
      adminState: 'ADMIN_STATE_DISABLED',
      macAddress: '02:00:00:00:00:01',
      status: { health: 'HEALTH_HEALTHY', tableShare: 0.5 },
      ...OUTPUT,
    },
    {
      name: 'pools/web/backends/b',
      address: '10.0.0.2',
      adminState: 'ADMIN_STATE_DRAINING',
      macAddress: '',
      local: true,
    },
  ],
  vips: [
    {
      name: 'vips/web',
      displayName: '',
      address: '192.0.2.1',
      port: 443,
      protocol: 'PROTOCOL_UDP',
      pool: 'pools/web',
      flags: ['VIP_FLAG_QUIC_VIP', 'VIP_FLAG_SRC_ROUTING'],
      ringAlgorithm: 'RING_ALGORITHM_UNSPECIFIED',
      downBackends: ['10.0.0.9'],
      status: null,
      ...OUTPUT,
    },
  ],
  serverIds: [{ id: 7, backendAddress: '10.0.0.7' }],
  sourceRoutes: [{ prefix: '10.1.0.0/16', backendAddress: '10.0.0.8' }],
  globalFlows: [
    {
      flow: {
        sourceAddress: '10.1.1.1',
        sourcePort: 4000,
        destinationAddress: '192.0.2.1',
        destinationPort: 443,
        protocol: 'PROTOCOL_UDP',
      },
      backendAddress: '10.0.0.9',
    },
  ],
  node: {
    name: 'nodes/self',
    routerMacAddress: '02:00:00:00:00:fe',
    ownAddresses: ['10.9.9.9', 'fc00::9'],
    decapDestinations: [{ address: '10.1.1.1' }, { address: '10.1.1.2', egress: true }],
    countedVip: 'vips/web',
    options: {
      encapsulation: 'ENCAPSULATION_GUE',
      guePort: 9886,
      sendTooBig: false,
      ipipDecap: true,
      gueDecap: true,
      globalLru: true,
      events: true,
      dropSampleRate: 10,
      maxFrameBytes: 1600,
      newConnectionsPerSecond: 9,
      udpTimeout: '45s',
    },
    etag: 'x',
    revision: '3',
  },
  etag: '"12"',
  revision: '12',
};

const OWN = `
node:
  routerMac: 02:00:00:00:00:fe
  encapsulation: gue
  gue: { port: 9886, source4: 10.9.9.9, source6: fc00::9 }
  decapsulation: { ipip: true, gue: true, destinations: [10.1.1.1, { address: 10.1.1.2, egress: true }] }
  options: { sendTooBig: false, globalLru: true, events: true, dropSampleRate: 10 }
  limits: { maxFrameBytes: 1600, newConnectionsPerSecond: 9, udpTimeout: 45s }
healthChecks:
  - name: up
    http: { port: 80, tls: true, tlsInsecureSkipVerify: true, path: /up, expectedStatuses: [200-299, 304] }
    path: tunnel
    interval: 1500ms
    timeout: 250ms
    rise: 4
    fall: 5
    jitter: 0
  - { name: line, tcp: { send: { text: "PING\\r\\n" }, expectPrefix: { text: +P } } }
pools:
  - name: web
    displayName: The web
    healthChecks: [up, line]
    drainTimeout: 10m
    slowStart: { window: 30s, minPercent: 20 }
    panicPolicy: drop
    panicThreshold: 30
    ringAlgorithm: maglev-v1
    backends:
      - { name: a, address: 10.0.0.1, weight: 0, state: down, mac: 02:00:00:00:00:01 }
      - { name: b, address: 10.0.0.2, state: draining, local: true }
  - { name: other }
vips:
  - name: web
    address: 192.0.2.1
    port: 443
    protocol: udp
    pool: web
    flags: [QUIC_VIP, SRC_ROUTING]
    downBackends: [10.0.0.9]
    watchMisses: true
serverIds: { 7: 10.0.0.7 }
sourceRoutes: { 10.1.0.0/16: 10.0.0.8 }
globalFlows: [{ protocol: udp, source: 10.1.1.1:4000, destination: 192.0.2.1:443, backend: 10.0.0.9 }]
`;

const state = (text: string) => desiredState(loadConfig(text, 'f'));
const faultsOf = (data: unknown): readonly string[] => {
  try {
    loadConfig(JSON.stringify(data), 'f');
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ path, rule }) => `${path}: ${rule}`);
    throw error;
  }
  return [];
};

describe("the API's JSON form of a configuration", () => {
  it('is a file, and says what the file of its own form says', () => {
    expect(state(JSON.stringify(SNAPSHOT))).toEqual(state(OWN));
  });

  it.each([
    [
      'a backend of no pool',
      { backends: [{ name: 'pools/web/backends/a', address: '10.0.0.1' }] },
      ['backends[0].name: is not the name of a pool: the file has none'],
    ],
    [
      'a backend without its pool',
      { backends: [{ name: 'a', address: '10.0.0.1' }] },
      ['backends[0].name: is not a name of the form pools/{pool}/backends/{backend}'],
    ],
    [
      'a backend twice, here and in its pool',
      {
        pools: [{ name: 'web', backends: ['10.0.0.1'] }],
        backends: [{ name: 'pools/web/backends/a', address: '10.0.0.1' }],
      },
      ['backends[0].address: is there already, on line 1'],
    ],
    [
      'keys are named as they are written',
      {
        pools: [{ name: 'web', panicThresholdPercent: 200 }],
        backends: [{ name: 'pools/web/backends/a', address: '10.0.0.1', adminState: 'x', macAddress: '1' }],
      },
      [
        'pools[0].panicThresholdPercent: is not a whole number from 0 to 100',
        'backends[0].adminState: is not up, draining or down',
        'backends[0].macAddress: is not a MAC address, as in 02:00:00:00:00:01',
      ],
    ],
    [
      'an enumeration without a value is a key that is not there',
      {
        vips: [{ name: 'vips/a', address: '192.0.2.1', protocol: 'PROTOCOL_UNSPECIFIED', pool: 'pools/a' }],
        pools: [{ name: 'pools/a' }],
      },
      ['vips[0].protocol: is required'],
    ],
    [
      'a setting in both of its places',
      {
        node: {
          encapsulation: 'ipip',
          options: { encapsulation: 'ENCAPSULATION_GUE', udpTimeout: '1s' },
          limits: { udpTimeout: '1s' },
        },
      },
      [
        'node.options.encapsulation: means the same as what stands on line 1: say it once',
        'node.options.udpTimeout: means the same as what stands on line 1: say it once',
      ],
    ],
    [
      'a VIP to count that is not there',
      { node: { countedVip: 'vips/a' } },
      ['node.countedVip: is not the name of a VIP'],
    ],
    [
      'two own addresses of a family',
      { node: { ownAddresses: ['10.0.0.1', '10.0.0.2'] } },
      ['node.ownAddresses[1]: is a second IPv4 address of this node, beside 10.0.0.1'],
    ],
    [
      'a flow in both forms',
      { globalFlows: [{ flow: { sourceAddress: '10.0.0.1' }, protocol: 'tcp', backend: '10.0.0.1' }] },
      [
        'globalFlows[0].flow.destinationAddress: is required',
        'globalFlows[0].flow.protocol: is required',
        'globalFlows[0].protocol: stands beside flow, which says it too',
      ],
    ],
  ])('refused: %s', (_, data, faults) => {
    expect([...faultsOf(data)].sort()).toEqual([...faults].sort());
  });
});
