import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { targetOf } from '../state/fields.js';
import { EMPTY_STATE } from '../state/model.js';
import { Store } from '../state/store.js';
import { backendUpdate } from './convert-backend.js';
import { checkUpdate } from './convert-check.js';
import { nodeUpdate } from './convert-node.js';
import { poolUpdate } from './convert-pool.js';
import { snapshotFromProto, snapshotToProto } from './convert-snapshot.js';
import { durationOf, msOf, protocolOf, timestampOf } from './convert-values.js';
import { vipUpdate } from './convert-vip.js';
import type { Backend__Output } from './generated/waggle/v1/Backend.js';
import type { ConfigSnapshot__Output } from './generated/waggle/v1/ConfigSnapshot.js';
import type { HealthCheck__Output } from './generated/waggle/v1/HealthCheck.js';
import type { NodeConfig__Output } from './generated/waggle/v1/NodeConfig.js';
import type { Pool__Output } from './generated/waggle/v1/Pool.js';
import type { Vip__Output } from './generated/waggle/v1/Vip.js';
import { loadApi } from './proto.js';

const version = { etag: '', createTime: null, updateTime: null, revision: '0', status: null };
const vip = (fields: Partial<Vip__Output> = {}): Vip__Output => ({
  name: 'vips/web',
  displayName: '',
  address: '',
  port: 0,
  protocol: 'PROTOCOL_UNSPECIFIED',
  pool: '',
  flags: [],
  ringAlgorithm: 'RING_ALGORITHM_UNSPECIFIED',
  downBackends: [],
  ...version,
  ...fields,
});
const backend = (fields: Partial<Backend__Output> = {}): Backend__Output => ({
  name: 'pools/web/backends/a',
  address: '',
  macAddress: '',
  local: false,
  adminState: 'ADMIN_STATE_UNSPECIFIED',
  ...version,
  ...fields,
});
const pool = (displayName: string): Pool__Output => ({
  name: 'pools/web',
  displayName,
  healthChecks: [],
  drainTimeout: null,
  slowStart: null,
  panicPolicy: 'PANIC_POLICY_UNSPECIFIED',
  panicThresholdPercent: 0,
  ringAlgorithm: 'RING_ALGORITHM_UNSPECIFIED',
  ...version,
});

it('times keep their milliseconds, also before 1970', () => {
  expect(timestampOf(1_700_000_000_123)).toEqual({ seconds: '1700000000', nanos: 123_000_000 });
  expect(timestampOf(-1)).toEqual({ seconds: '-1', nanos: 999_000_000 });
});

it('protocols that the API does not know are none', () => {
  const values = ['PROTOCOL_TCP', 'PROTOCOL_UDP', 'PROTOCOL_UNSPECIFIED', 'tcp', 99];
  expect(values.map(protocolOf)).toEqual(['tcp', 'udp', undefined, undefined, undefined]);
});

describe('what an update sets', () => {
  it('of a VIP, without a mask: what is there', () => {
    expect(vipUpdate(vip({ pool: 'pools/x', port: 80 }), null)).toEqual({ pool: 'pools/x', port: 80 });
  });
  it('of a VIP, by name: also the empty text', () => {
    expect(vipUpdate(vip({ pool: 'pools/x' }), { paths: ['display_name'] })).toEqual({ displayName: '' });
  });
  it('of a VIP, "*": what can be changed, and what is there', () => {
    expect(vipUpdate(vip({ protocol: 'PROTOCOL_UDP' }), { paths: ['*'] })).toEqual({
      displayName: '',
      pool: '',
      protocol: 'udp',
      flags: 0,
      ringAlgorithm: undefined,
      downBackends: [],
    });
  });
  it('of a backend, a weight of 0 is one, and no weight is none', () => {
    expect(backendUpdate(backend({ weight: 0 }), null)).toEqual({ weight: 0 });
    expect(backendUpdate(backend(), null)).toEqual({});
    expect(backendUpdate(backend(), { paths: ['weight'] })).toEqual({ weight: 1 });
  });
  it('of a pool', () => {
    expect(poolUpdate(pool('x'), null)).toEqual({ displayName: 'x' });
    expect(poolUpdate(pool(''), null)).toEqual({});
    expect(poolUpdate(pool(''), { paths: ['display_name'] })).toEqual({ displayName: '' });
  });
});

/** What a message is for whoever gets it: the API's own serialiser and reader. */
function sent(message: object): ConfigSnapshot__Output {
  const { requestDeserialize, requestSerialize } = loadApi().v1.ConfigService.service.ApplySnapshot;
  const { snapshot } = requestDeserialize(requestSerialize({ snapshot: message }));
  if (!snapshot) throw new Error('no snapshot');
  return snapshot;
}

describe('a configuration as a snapshot', () => {
  it('with every kind of resource and field is the same after the way there and back', () => {
    const store = new Store({ nowMs: () => 1000, epoch: 'e' });
    const common = { path: 'direct', intervalMs: 1500, timeoutMs: 700, rise: 1, fall: 2 } as const;
    const rest = {
      jitterPercent: 0,
      fastIntervalMs: 250,
      initialDelayMs: 10,
      firstResultDecides: false,
    } as const;
    const tls = { tls: true, insecureSkipVerify: true, host: 'h', reuseConnection: true };
    const probes = [
      { kind: 'tcp', port: 1, send: Uint8Array.of(0, 255), expect: Uint8Array.of(1) },
      { kind: 'tcp', port: 0 },
      {
        kind: 'http',
        port: 8080,
        ...tls,
        path: '/x',
        method: 'HEAD',
        expectedStatuses: [{ from: 200, to: 204 }],
      },
      { kind: 'grpc', port: 9, ...tls, service: 's' },
      { kind: 'icmp', payloadBytes: 0 },
      { kind: 'udp', port: 53, send: Uint8Array.of(7), expect: Uint8Array.of(8) },
    ] as const;
    const draft = store.draftAll([
      ...probes.map(
        (probe, i) =>
          ({
            kind: 'create-health-check',
            id: `c${i}`,
            displayName: 'd',
            check: { name: '', probe, ...common, ...rest },
          }) as const,
      ),
      {
        kind: 'create-pool',
        id: 'p',
        displayName: 'P',
        healthChecks: ['healthChecks/c0', 'healthChecks/c4'],
        ringAlgorithm: 'v1',
        panicPercent: 40,
        belowFloor: 'drop',
        slowStart: { windowMs: 60_000, minPercent: 5, steps: 7 },
        drainTimeoutMs: 1500,
      },
      {
        kind: 'create-backend',
        pool: 'pools/p',
        id: 'a',
        address: 'fd00::1',
        weight: 0,
        mac: '02:00:00:00:00:05',
      },
      { kind: 'create-backend', pool: 'pools/p', id: 'b', address: 'fd00::2', weight: 9, admin: 'disabled' },
      {
        kind: 'create-backend',
        pool: 'pools/p',
        id: 'c',
        address: 'fd00::3',
        weight: 9,
        admin: 'draining',
        isLocal: true,
      },
      {
        kind: 'create-vip',
        id: 'v',
        displayName: '',
        address: '2001:db8::/64',
        port: 0,
        protocol: 'udp',
        pool: 'pools/p',
        flags: 0x304,
        ringAlgorithm: 'v2',
      },
      {
        kind: 'create-vip',
        id: 'w',
        displayName: '',
        address: '2001:db8:1::1',
        port: 53,
        protocol: 'udp',
        pool: 'pools/p',
        downBackends: ['fd00::9'],
      },
      { kind: 'update-server-ids', set: [{ id: 4_294_967_295, backend: '10.0.0.1' }], delete: [] },
      { kind: 'update-source-routes', set: [{ prefix: '192.0.2.0/24', backend: '10.0.0.1' }], delete: [] },
      {
        kind: 'update-global-flows',
        set: [
          {
            flow: { src: '192.0.2.1', dst: '192.0.2.2', sport: 1, dport: 2, protocol: 'tcp' },
            backend: '10.0.0.1',
          },
        ],
        delete: [],
      },
      {
        kind: 'update-node',
        etag: '',
        fields: {
          routerMac: '02:00:00:00:00:01',
          ownAddresses: ['10.0.0.7', 'fd00::7'],
          decapDestinations: [{ address: '10.0.0.8', egress: true }],
          watchedVip: 'vips/w',
          options: {
            gue: true,
            guePort: 7000,
            udpTimeoutNs: 1_500_000,
            sendTooBig: false,
            eventsEnabled: true,
          },
        },
      },
    ]);
    const target = snapshotFromProto(sent(snapshotToProto(draft)));
    expect(target).toEqual(targetOf(draft));
    // Nothing differs, so nothing changes.
    store.commit(draft);
    expect(store.draft({ kind: 'apply', target, prune: true })).toBe(draft);
  });

  it('that is empty is the empty state', () => {
    const target = snapshotFromProto(sent(snapshotToProto(EMPTY_STATE)));
    expect(target).toEqual(targetOf(EMPTY_STATE));
  });
});

describe('durations', () => {
  it.each([
    [0, { seconds: '0', nanos: 0 }],
    [1500, { seconds: '1', nanos: 500_000_000 }],
    [0.001, { seconds: '0', nanos: 1000 }],
  ])('%d ms', (ms, duration) => {
    expect(durationOf(ms)).toEqual(duration);
    expect(msOf('f', duration)).toBeCloseTo(ms, 6);
  });
  it.each([
    { seconds: '-1', nanos: 0 },
    { seconds: '0', nanos: -1 },
    { seconds: '0', nanos: 1_000_000_000 },
    { seconds: '999999999999', nanos: 0 },
  ])('%o is refused, with its field', (duration) => {
    expect(() => msOf('vip.x', duration)).toThrow(/^vip\.x: /);
  });
});

describe('what an update of a check or of the node sets', () => {
  const checkOf = (fields: Partial<HealthCheck__Output>): HealthCheck__Output => ({
    name: 'healthChecks/c',
    path: 'PATH_UNSPECIFIED',
    interval: null,
    timeout: null,
    initialDelay: null,
    fastInterval: null,
    displayName: '',
    ...version,
    ...fields,
  });
  const present = () => {
    const store = new Store({ nowMs: () => 0, epoch: 'e' });
    const fields = {
      name: '',
      probe: { kind: 'icmp', payloadBytes: 1 },
      path: 'direct',
      intervalMs: 3000,
    } as const;
    const times = { timeoutMs: 1000, rise: 4, fall: 5, jitterPercent: 6, fastIntervalMs: 300 } as const;
    const check = { ...fields, ...times, initialDelayMs: 0, firstResultDecides: true };
    const draft = store.draft({ kind: 'create-health-check', id: 'c', displayName: 'd', check });
    return draft.healthChecks.get('healthChecks/c')!;
  };
  it('one field alone: the others stay', () => {
    const { check } = present();
    expect(checkUpdate(checkOf({ healthyThreshold: 9 }), null, present())).toEqual({
      check: { ...check, rise: 9 },
    });
    expect(checkUpdate(checkOf({ displayName: 'x' }), { paths: ['display_name'] }, present())).toEqual({
      displayName: 'x',
      check,
    });
  });
  it('a probe under its own name', () => {
    const message = checkOf({ tcp: { port: 5, send: Buffer.of(), expectPrefix: Buffer.of() } });
    const { check } = checkUpdate(message, { paths: ['tcp'] }, present());
    expect(check?.probe).toEqual({ kind: 'tcp', port: 5 });
    expect(check?.intervalMs).toBe(3000);
  });

  const config = (options: object | null): NodeConfig__Output => ({
    name: '',
    routerMacAddress: '',
    ownAddresses: [],
    decapDestinations: [],
    countedVip: '',
    options: options && sent({ node: { options } }).node!.options,
    etag: '',
    revision: '0',
  });
  const node = { ...EMPTY_STATE.node, options: { gue: true, guePort: 5 } };
  it('one option: the others stay; one that is not given is as what needs it asks', () => {
    const paths = ['options.gue_port'];
    expect(nodeUpdate(config({ guePort: 6 }), { paths }, node)).toEqual({
      options: { gue: true, guePort: 6 },
    });
    expect(nodeUpdate(config({}), { paths }, node)).toEqual({ options: { gue: true } });
  });
  it('all options', () => {
    expect(nodeUpdate(config({ vlanTags: false }), { paths: ['options'] }, node)).toEqual({
      options: { vlanTags: false },
    });
  });
  it('refuses an option that there is none of', () => {
    expect(() => nodeUpdate(config({}), { paths: ['options.warp'] }, node)).toThrow(/options\.warp/);
  });
});

it('any mask is taken, or refused as update_mask', () => {
  const path = fc.oneof(fc.string(), fc.constantFrom('*', 'weight', 'pool', 'options', 'options.gue', 'tcp'));
  const empty = { ...EMPTY_STATE.node };
  fc.assert(
    fc.property(fc.array(path, { maxLength: 3 }), (paths) => {
      for (const update of [
        () => vipUpdate(vip(), { paths }),
        () => backendUpdate(backend(), { paths }),
        () => poolUpdate(pool(''), { paths }),
        () => nodeUpdate({ ...sent({ node: {} }).node! }, { paths }, empty),
      ]) {
        try {
          update();
        } catch (error) {
          expect(error).toMatchObject({
            code: 'STATE_FIELDS',
            message: expect.stringMatching(/^update_mask: /),
          });
        }
      }
    }),
  );
});
