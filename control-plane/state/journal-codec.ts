import { z } from 'zod';
import {
  assertNever,
  type BalancerOptions,
  type Flow,
  formatIp,
  formatMac,
  type IpAddress,
  type Mac,
  OPTION_NAMES,
  parseIp,
  parseMac,
  type VipKey,
} from '../../lb/index.js';
import type { GrpcProbe, HttpProbe, Probe } from '../health/types.js';
import type { Backend, CheckResource, DesiredState, NodeState, Pool, Version, Vip } from './model.js';

/*
 * Resources as JSON, and back to what they were, versions and times included. Addresses are text; what is undefined is
 * left out. Reading checks every field: a checksum shows that bytes are those that were written, not that they make sense.
 */

const address = z.string().transform((text): IpAddress => parseIp(text));
const mac = z.string().transform((text): Mac => parseMac(text));
const whole = z.int().nonnegative();
const version = { etag: z.string(), revision: whole, createTimeMs: z.number(), updateTimeMs: z.number() };
const protocol = z.enum(['tcp', 'udp']);
const algorithm = z.enum(['v1', 'v2']);

const key = z
  .object({ address, port: whole, protocol, prefixBits: whole.optional() })
  .transform(
    ({ prefixBits, ...rest }): VipKey => (prefixBits === undefined ? rest : { ...rest, prefixBits }),
  );

export const vipCodec = z
  .object({
    name: z.string(),
    displayName: z.string(),
    key,
    pool: z.string(),
    flags: whole,
    ringAlgorithm: algorithm.optional(),
    downBackends: z.array(address),
    ...version,
  })
  .transform((vip): Vip => ({ ...vip, ringAlgorithm: vip.ringAlgorithm }));

export const poolCodec = z
  .object({
    name: z.string(),
    displayName: z.string(),
    ringAlgorithm: algorithm,
    healthChecks: z.array(z.string()),
    panicPercent: z.number(),
    belowFloor: z.enum(['last-resort', 'drop']),
    slowStart: z.object({ windowMs: z.number(), minPercent: z.number(), steps: whole }).optional(),
    drainTimeoutMs: z.number().optional(),
    ...version,
  })
  .transform((pool): Pool => ({ ...pool, slowStart: pool.slowStart, drainTimeoutMs: pool.drainTimeoutMs }));

const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
const dialled = {
  port: whole,
  tls: z.boolean(),
  insecureSkipVerify: z.boolean(),
  host: z.string(),
  // Records of before there was such a setting do not have it.
  reuseConnection: z.boolean().default(false),
};
const probe = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('tcp'),
    port: whole,
    send: bytes.exactOptional(),
    expect: bytes.exactOptional(),
  }),
  z.object({
    kind: z.literal('http'),
    ...dialled,
    path: z.string(),
    method: z.string(),
    expectedStatuses: z.array(z.object({ from: whole, to: whole })),
    expectBody: z.string().exactOptional(),
  }),
  z.object({ kind: z.literal('grpc'), ...dialled, service: z.string() }),
  z.object({ kind: z.literal('icmp'), payloadBytes: whole }),
  z.object({ kind: z.literal('udp'), port: whole, send: bytes, expect: bytes.exactOptional() }),
]);

export const checkCodec = z
  .object({
    name: z.string(),
    displayName: z.string(),
    check: z.object({
      name: z.string(),
      probe,
      path: z.enum(['direct', 'tunnel']),
      intervalMs: z.number(),
      timeoutMs: z.number(),
      rise: whole,
      fall: whole,
      jitterPercent: z.number(),
      fastIntervalMs: z.number(),
      initialDelayMs: z.number(),
      firstResultDecides: z.boolean(),
    }),
    ...version,
  })
  .transform((resource): CheckResource => resource);

export const backendCodec = z
  .object({
    name: z.string(),
    pool: z.string(),
    address,
    weight: whole,
    drainStartMs: z.number().optional(),
    drainDeadlineMs: z.number().optional(),
    leaves: z.boolean(),
    mac: mac.optional(),
    isLocal: z.boolean(),
    isDown: z.boolean(),
    ...version,
  })
  .transform(
    (backend): Backend => ({
      ...backend,
      addressKey: formatIp(backend.address),
      drainStartMs: backend.drainStartMs,
      drainDeadlineMs: backend.drainDeadlineMs,
      mac: backend.mac,
    }),
  );

const flow = z
  .object({ src: address, dst: address, sport: whole, dport: whole, protocol })
  .transform((fields): Flow => fields);

const options = z
  .strictObject(
    Object.fromEntries(OPTION_NAMES.map((name) => [name, z.union([z.boolean(), whole]).exactOptional()])),
  )
  .transform((read): BalancerOptions => read);

/** In the order of the names. */
const optionsJson = (given: BalancerOptions): Record<string, number | boolean> =>
  Object.fromEntries(
    OPTION_NAMES.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])),
  );

const node = z
  .object({
    routerMac: mac.optional(),
    ownAddresses: z.array(address),
    decapDestinations: z.array(z.object({ address, egress: z.boolean() })),
    watchedVip: z.string().optional(),
    options,
    etag: z.string(),
    revision: whole,
  })
  .transform(
    (fields): NodeState => ({ ...fields, routerMac: fields.routerMac, watchedVip: fields.watchedVip }),
  );

/** What is not a named resource: written whole when any of it changes. */
export const restCodec = z.object({
  node,
  serverIds: z.array(z.object({ id: whole, backend: address })),
  sourceRoutes: z.array(z.object({ prefix: z.object({ address, bits: whole }), backend: address })),
  globalFlows: z.array(z.object({ flow, backend: address })),
});

/** The parts of the desired state that have no names. */
export type RestState = Pick<DesiredState, 'node' | 'serverIds' | 'sourceRoutes' | 'globalFlows'>;

// Fields are named one by one: the same state is the same text, however its objects came about.
const versionJson = ({ etag, revision, createTimeMs, updateTimeMs }: Version): Version => ({
  etag,
  revision,
  createTimeMs,
  updateTimeMs,
});

export const vipJson = (vip: Vip): z.input<typeof vipCodec> => ({
  name: vip.name,
  displayName: vip.displayName,
  key: { ...vip.key, address: formatIp(vip.key.address) },
  pool: vip.pool,
  flags: vip.flags,
  ringAlgorithm: vip.ringAlgorithm,
  downBackends: vip.downBackends.map(formatIp),
  ...versionJson(vip),
});

export const poolJson = (pool: Pool): z.input<typeof poolCodec> => ({
  name: pool.name,
  displayName: pool.displayName,
  ringAlgorithm: pool.ringAlgorithm,
  healthChecks: [...pool.healthChecks],
  panicPercent: pool.panicPercent,
  belowFloor: pool.belowFloor,
  slowStart: pool.slowStart,
  drainTimeoutMs: pool.drainTimeoutMs,
  ...versionJson(pool),
});

const base64 = (data: Uint8Array) => Buffer.from(data).toString('base64');

const dialledJson = ({ port, tls, insecureSkipVerify, host, reuseConnection }: HttpProbe | GrpcProbe) => ({
  port,
  tls,
  insecureSkipVerify,
  host,
  reuseConnection,
});

function probeJson(value: Probe): z.input<typeof probe> {
  switch (value.kind) {
    case 'tcp': {
      const { kind, port, send, expect } = value;
      return { kind, port, ...(send && { send: base64(send) }), ...(expect && { expect: base64(expect) }) };
    }
    case 'udp': {
      const { kind, port, send, expect } = value;
      return { kind, port, send: base64(send), ...(expect && { expect: base64(expect) }) };
    }
    case 'http': {
      const { kind, path, method, expectBody } = value;
      const expectedStatuses = value.expectedStatuses.map(({ from, to }) => ({ from, to }));
      const asked = { kind, ...dialledJson(value), path, method, expectedStatuses };
      return { ...asked, ...(expectBody !== undefined && { expectBody }) };
    }
    case 'grpc':
      return { kind: value.kind, ...dialledJson(value), service: value.service };
    case 'icmp':
      return { kind: value.kind, payloadBytes: value.payloadBytes };
    default:
      return assertNever(value);
  }
}

export const checkJson = ({
  name,
  displayName,
  check,
  ...rest
}: CheckResource): z.input<typeof checkCodec> => ({
  name,
  displayName,
  check: {
    name: check.name,
    probe: probeJson(check.probe),
    path: check.path,
    intervalMs: check.intervalMs,
    timeoutMs: check.timeoutMs,
    rise: check.rise,
    fall: check.fall,
    jitterPercent: check.jitterPercent,
    fastIntervalMs: check.fastIntervalMs,
    initialDelayMs: check.initialDelayMs,
    firstResultDecides: check.firstResultDecides,
  },
  ...versionJson(rest),
});

export const backendJson = (backend: Backend): z.input<typeof backendCodec> => ({
  name: backend.name,
  pool: backend.pool,
  address: backend.addressKey,
  weight: backend.weight,
  drainStartMs: backend.drainStartMs,
  drainDeadlineMs: backend.drainDeadlineMs,
  leaves: backend.leaves,
  mac: backend.mac && formatMac(backend.mac),
  isLocal: backend.isLocal,
  isDown: backend.isDown,
  ...versionJson(backend),
});

export const restJson = (state: RestState): z.input<typeof restCodec> => ({
  node: {
    etag: state.node.etag,
    revision: state.node.revision,
    options: optionsJson(state.node.options),
    watchedVip: state.node.watchedVip,
    routerMac: state.node.routerMac && formatMac(state.node.routerMac),
    ownAddresses: state.node.ownAddresses.map(formatIp),
    decapDestinations: state.node.decapDestinations.map((one) => ({
      ...one,
      address: formatIp(one.address),
    })),
  },
  serverIds: state.serverIds.map((one) => ({ ...one, backend: formatIp(one.backend) })),
  sourceRoutes: state.sourceRoutes.map(({ prefix, backend }) => ({
    prefix: { ...prefix, address: formatIp(prefix.address) },
    backend: formatIp(backend),
  })),
  globalFlows: state.globalFlows.map(({ flow: { src, dst, ...ends }, backend }) => ({
    flow: { ...ends, src: formatIp(src), dst: formatIp(dst) },
    backend: formatIp(backend),
  })),
});

/** The whole desired state. */
export const stateCodec = z
  .object({
    revision: whole,
    vips: z.array(vipCodec),
    pools: z.array(poolCodec),
    backends: z.array(backendCodec),
    healthChecks: z.array(checkCodec),
    rest: restCodec,
  })
  .transform(
    ({ revision, vips, pools, backends, healthChecks, rest }): DesiredState => ({
      revision,
      vips: named(vips),
      pools: named(pools),
      backends: named(backends),
      healthChecks: named(healthChecks),
      ...rest,
    }),
  );

const named = <T extends { readonly name: string }>(resources: readonly T[]): Map<string, T> =>
  new Map(resources.map((resource) => [resource.name, resource]));

function* listText<T>(
  name: string,
  resources: Iterable<T>,
  json: (resource: T) => unknown,
): Generator<string> {
  yield `,"${name}":[`;
  let comma = '';
  for (const resource of resources) {
    yield comma + JSON.stringify(json(resource));
    comma = ',';
  }
  yield ']';
}

/** A state as JSON, piece by piece, as stateCodec reads it: that of ten thousand VIPs takes a while. */
export function* stateText(state: DesiredState): Generator<string> {
  yield `{"revision":${state.revision}`;
  yield* listText('vips', state.vips.values(), vipJson);
  yield* listText('pools', state.pools.values(), poolJson);
  yield* listText('backends', state.backends.values(), backendJson);
  yield* listText('healthChecks', state.healthChecks.values(), checkJson);
  yield `,"rest":${JSON.stringify(restJson(state))}}`;
}
