import { z } from 'zod';
import {
  type Flow,
  formatIp,
  formatMac,
  type IpAddress,
  type Mac,
  parseIp,
  parseMac,
  type VipKey,
} from '../../lb/index.js';
import type { Backend, DesiredState, NodeState, Pool, Version, Vip } from './model.js';

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
  .object({ name: z.string(), displayName: z.string(), ringAlgorithm: algorithm, ...version })
  .transform((pool): Pool => pool);

export const backendCodec = z
  .object({
    name: z.string(),
    pool: z.string(),
    address,
    weight: whole,
    drainStartMs: z.number().optional(),
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
      mac: backend.mac,
    }),
  );

const flow = z
  .object({ src: address, dst: address, sport: whole, dport: whole, protocol })
  .transform((fields): Flow => fields);

const node = z
  .object({
    routerMac: mac.optional(),
    ownAddresses: z.array(address),
    decapDestinations: z.array(z.object({ address, egress: z.boolean() })),
    watchedVip: z.string().optional(),
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
  ...versionJson(pool),
});

export const backendJson = (backend: Backend): z.input<typeof backendCodec> => ({
  name: backend.name,
  pool: backend.pool,
  address: backend.addressKey,
  weight: backend.weight,
  drainStartMs: backend.drainStartMs,
  mac: backend.mac && formatMac(backend.mac),
  isLocal: backend.isLocal,
  isDown: backend.isDown,
  ...versionJson(backend),
});

export const restJson = (state: RestState): z.input<typeof restCodec> => ({
  node: {
    ...state.node,
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
    rest: restCodec,
  })
  .transform(
    ({ revision, vips, pools, backends, rest }): DesiredState => ({
      revision,
      vips: named(vips),
      pools: named(pools),
      backends: named(backends),
      ...rest,
    }),
  );

const named = <T extends { readonly name: string }>(resources: readonly T[]): Map<string, T> =>
  new Map(resources.map((resource) => [resource.name, resource]));

export const stateJson = (state: DesiredState): z.input<typeof stateCodec> => ({
  revision: state.revision,
  vips: [...state.vips.values()].map(vipJson),
  pools: [...state.pools.values()].map(poolJson),
  backends: [...state.backends.values()].map(backendJson),
  rest: restJson(state),
});
