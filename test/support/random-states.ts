import fc from 'fast-check';
import { timingOf } from '../../control-plane/health/defaults.js';
import type { Probe } from '../../control-plane/health/types.js';
import { healthCheckFaults } from '../../control-plane/health/validate.js';
import type { Backend, CheckResource, DesiredState, Pool, Vip } from '../../control-plane/state/model.js';
import { missingSources, optionConflicts } from '../../control-plane/state/options.js';
import { formatIp, ipFromBytes, parseIp, parseMac, VIP_FLAGS, type VipKey } from '../../lb/index.js';

const VERSION = { etag: 'file-1', revision: 1, createTimeMs: 0, updateTimeMs: 0 };
const NAMES = ['a', 'web', 'web-2', 'b-10-0-0-1', 'z9'] as const;
const V4 = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '172.16.5.9'].map(parseIp);
const V6 = ['fc00::1', 'fc00::', '2001:db8::5'].map(parseIp);
const anyOf = <T>(items: readonly T[]) => fc.constantFrom(...items);
const orNot = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const subset = <T>(items: readonly T[]) => fc.subarray([...items]);
const ms = (min: number, max: number) =>
  fc.oneof(
    fc.integer({ min, max }),
    fc.integer({ min: min * 1e6, max: max * 1e6 }).map((ns) => ns / 1e6),
  );
const displayName = fc
  .oneof(
    fc.constant(''),
    fc.string({ maxLength: 20 }),
    fc.constantFrom(' x ', 'true', '#1', '10:20', '*a', '1e3', 'é: ü'),
  )
  .filter((text) => !/\p{Cc}/u.test(text));
const bytes = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 40 }),
  fc.constantFrom('PING\r\n', 'a: b', ' ').map((text) => new TextEncoder().encode(text)),
);
const port = fc.integer({ min: 0, max: 65535 });

const server = {
  port,
  tls: fc.boolean(),
  insecureSkipVerify: fc.boolean(),
  host: anyOf(['', 'example.org', '10.0.0.1', '[fc00::1]']),
  reuseConnection: fc.boolean(),
};
const probe: fc.Arbitrary<Probe> = fc.oneof(
  fc.record(
    { kind: fc.constant('tcp' as const), port, send: bytes, expect: bytes },
    { requiredKeys: ['kind', 'port'] },
  ),
  fc.record(
    {
      kind: fc.constant('udp' as const),
      port,
      send: fc.oneof(bytes, fc.constant(new Uint8Array())),
      expect: bytes,
    },
    { requiredKeys: ['kind', 'port', 'send'] },
  ),
  fc.record({ kind: fc.constant('icmp' as const), payloadBytes: fc.integer({ min: 0, max: 1412 }) }),
  fc.record({ kind: fc.constant('grpc' as const), service: anyOf(['', 'a.B', 'true']), ...server }),
  fc.record(
    {
      kind: fc.constant('http' as const),
      ...server,
      path: anyOf(['/', '/health?x=1&y', '/%20#']),
      method: anyOf(['GET', 'POST', 'HEAD']),
      expectedStatuses: anyOf([
        [{ from: 200, to: 399 }],
        [{ from: 200, to: 200 }],
        [
          { from: 204, to: 204 },
          { from: 300, to: 599 },
        ],
      ]),
      expectBody: anyOf(['ok', ' yes: "1"\n', '5']),
    },
    {
      requiredKeys: [
        'kind',
        ...(['port', 'tls', 'insecureSkipVerify', 'host', 'reuseConnection'] as const),
        'path',
        'method',
        'expectedStatuses',
      ],
    },
  ),
);
const check = (id: string): fc.Arbitrary<CheckResource> =>
  fc
    .record({
      displayName,
      probe,
      path: anyOf(['direct', 'tunnel'] as const),
      intervalMs: orNot(ms(100, 90_000)),
      timeoutMs: orNot(ms(10, 5000)),
      fastIntervalMs: orNot(ms(100, 5000)),
      initialDelayMs: orNot(ms(0, 5000)),
      rise: orNot(fc.integer({ min: 1, max: 100 })),
      fall: orNot(fc.integer({ min: 1, max: 100 })),
      jitterPercent: orNot(fc.integer({ min: 0, max: 50 })),
      firstResultDecides: orNot(fc.boolean()),
    })
    .map(({ displayName: text, probe: kind, path, ...timing }) => ({
      name: `healthChecks/${id}`,
      displayName: text,
      check: { name: id, probe: kind, path, ...timingOf(timing) },
      ...VERSION,
    }))
    .filter((resource) => healthCheckFaults(resource.check).length === 0);

const poolArbitrary = (id: string, checks: readonly string[]): fc.Arbitrary<Pool> =>
  fc.record({
    name: fc.constant(`pools/${id}`),
    displayName,
    ringAlgorithm: anyOf(['v1', 'v2'] as const),
    healthChecks: subset(checks),
    panicPercent: fc.integer({ min: 0, max: 100 }),
    belowFloor: anyOf(['last-resort', 'drop'] as const),
    slowStart: orNot(
      fc.record({
        windowMs: ms(1000, 3_600_000),
        minPercent: fc.integer({ min: 1, max: 100 }),
        steps: fc.integer({ min: 1, max: 100 }),
      }),
    ),
    drainTimeoutMs: orNot(ms(1, 86_400_000)),
    ...constants(VERSION),
  });

const constants = <T extends object>(object: T) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, fc.constant(value)])) as {
    [K in keyof T]: fc.Arbitrary<T[K]>;
  };

const IN_SERVICE = { drainStartMs: undefined, drainDeadlineMs: undefined, leaves: false, isDown: false };
/** Drains began before and end after. */
const START = Date.UTC(2026, 10, 21, 14, 30);
const service = fc.oneof(
  fc.constant(IN_SERVICE),
  fc.constant({ ...IN_SERVICE, isDown: true }),
  fc.record({
    drainStartMs: fc.integer({ min: 1, max: START }),
    drainDeadlineMs: orNot(fc.integer({ min: START, max: 2 * START })),
    leaves: fc.boolean(),
    isDown: fc.constant(false),
  }),
);
/** What belongs to an address is the same wherever it is. */
const ROWS = new Map(
  [...V4, ...V6].map((address, i) => [
    formatIp(address),
    { mac: i % 2 ? parseMac(`02:00:00:00:00:0${i}`) : undefined, isLocal: i === 3 },
  ]),
);
const backendsArbitrary = (pool: string): fc.Arbitrary<readonly Backend[]> =>
  subset([...V4, ...V6]).chain((addresses) =>
    fc.tuple(
      ...addresses.map((address, i) =>
        fc.record({ weight: fc.integer({ min: 0, max: 65535 }), service, isNamed: fc.boolean() }).map(
          ({ weight, service: of, isNamed }): Backend => ({
            name: `${pool}/backends/${isNamed ? `n${i}` : `b-${formatIp(address).replace(/[.:]/g, '-').replace(/-$/, '-0')}`}`,
            pool,
            address,
            addressKey: formatIp(address),
            weight,
            ...of,
            ...(ROWS.get(formatIp(address)) ?? { mac: undefined, isLocal: false }),
            ...VERSION,
          }),
        ),
      ),
    ),
  );

const VIP_KEYS: readonly VipKey[] = [
  { address: parseIp('192.0.2.1'), port: 80, protocol: 'tcp' },
  { address: parseIp('192.0.2.1'), port: 0, protocol: 'udp' },
  { address: parseIp('2001:db8::1'), port: 443, protocol: 'udp' },
  { address: parseIp('2001:db8:1::'), port: 0, protocol: 'tcp', prefixBits: 64 },
];
const HASH_FLAGS = [0, VIP_FLAGS.HASH_NO_SRC_PORT, VIP_FLAGS.HASH_DPORT_ONLY, VIP_FLAGS.HASH_SRC_DST_PORT];
const HASHES = HASH_FLAGS.reduce((bits, flag) => bits | flag, 0);
const UDP_ALONE = VIP_FLAGS.QUIC_VIP | VIP_FLAGS.UDP_STABLE_ROUTING | VIP_FLAGS.UDP_FLOW_MIGRATION;
const vipArbitrary = (id: string, key: VipKey, pools: readonly string[]): fc.Arbitrary<Vip> =>
  fc.record({
    name: fc.constant(`vips/${id}`),
    displayName,
    key: fc.constant(key),
    pool: anyOf(pools),
    flags: fc
      .tuple(fc.integer({ min: 0, max: 1023 }), anyOf(HASH_FLAGS))
      .map(([flags, hash]) => (flags & ~HASHES) | hash)
      .map((flags) => (key.protocol === 'udp' ? flags : flags & ~UDP_ALONE)),
    ringAlgorithm: orNot(anyOf(['v1', 'v2'] as const)),
    downBackends: key.prefixBits === undefined ? subset(V4) : fc.constant([]),
    ...constants(VERSION),
  });

const options = fc.record(
  {
    maxFrameBytes: fc.integer({ min: 262, max: 65535 }),
    newConnectionsPerSecond: fc.nat(),
    udpTimeoutNs: fc.integer({ min: 1, max: 1e12 }),
    gue: fc.boolean(),
    guePort: fc.integer({ min: 1, max: 65535 }),
    sendTooBig: fc.boolean(),
    vlanTags: fc.boolean(),
    tcpServerIds: fc.boolean(),
    quicRouting: fc.constant(true),
    udpStableRouting: fc.boolean(),
    prefixVips: fc.constant(true),
    globalLru: fc.boolean(),
    ipipDecap: fc.boolean(),
    gueDecap: fc.boolean(),
    localDelivery: fc.boolean(),
    eventsEnabled: fc.constant(true),
    dropSampleRate: fc.nat(),
  },
  { requiredKeys: [] },
);

const map = <T extends { readonly name: string }>(items: readonly T[]) =>
  new Map(items.map((item) => [item.name, item]));
const ids = fc.shuffledSubarray([...NAMES], { minLength: 1, maxLength: 4 });

/** Sound states: names, references, families and options agree; versions are those of a file. */
export const stateArbitrary: fc.Arbitrary<DesiredState> = fc
  .tuple(ids, fc.shuffledSubarray([...NAMES], { maxLength: 3 }), ids)
  .chain(([pools, checks, vips]) =>
    fc.record({
      healthChecks: fc.tuple(...checks.map(check)),
      pools: fc.tuple(
        ...pools.map((id) =>
          poolArbitrary(
            id,
            checks.map((one) => `healthChecks/${one}`),
          ),
        ),
      ),
      backends: fc.tuple(...pools.map((id) => backendsArbitrary(`pools/${id}`))),
      vips: fc.tuple(
        ...vips.map((id, i) =>
          vipArbitrary(
            id,
            VIP_KEYS[i % VIP_KEYS.length]!,
            pools.map((pool) => `pools/${pool}`),
          ),
        ),
      ),
      node: fc.record({
        etag: fc.constant('file-1'),
        revision: fc.constant(1),
        routerMac: orNot(fc.constant(parseMac('02:00:00:00:00:fe'))),
        ownAddresses: subset([V4[0]!, V6[0]!]),
        decapDestinations: subset([
          { address: V4[1]!, egress: false },
          { address: V6[1]!, egress: true },
        ]),
        watchedVip: orNot(fc.constant(`vips/${vips[0]}`)),
        options,
      }),
      serverIds: subset([
        { id: 1, backend: V4[0]! },
        { id: 4_294_967_295, backend: V6[0]! },
      ]),
      sourceRoutes: subset([
        { prefix: { address: parseIp('10.0.0.0'), bits: 8 }, backend: V4[0]! },
        { prefix: { address: ipFromBytes(new Uint8Array(16)), bits: 0 }, backend: V6[0]! },
      ]),
      globalFlows: subset([
        { flow: { src: V4[0]!, dst: V4[1]!, sport: 1, dport: 0, protocol: 'tcp' as const }, backend: V4[2]! },
        {
          flow: { src: V6[0]!, dst: V6[1]!, sport: 0, dport: 65535, protocol: 'udp' as const },
          backend: V6[2]!,
        },
      ]),
    }),
  )
  .map(({ healthChecks, pools, backends, vips, ...rest }) => ({
    revision: 1,
    ...rest,
    healthChecks: map(healthChecks),
    pools: map(pools),
    backends: map(backends.flat()),
    vips: map(vips),
  }))
  .map(withoutFamilyFaults)
  .filter((state) => optionConflicts(state).length === 0 && missingSources(state).length === 0);

/** IPv6 VIPs have IPv6 backends. */
function withoutFamilyFaults(state: DesiredState): DesiredState {
  const ofV6 = new Set(
    [...state.vips.values()].filter(({ key }) => key.address.family === 6).map(({ pool }) => pool),
  );
  const backends = [...state.backends.values()].filter(
    ({ pool, address }) => address.family === 6 || !ofV6.has(pool),
  );
  return { ...state, backends: map(backends) };
}
