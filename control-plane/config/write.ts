import { Document, isCollection, isMap, isPair, isScalar, visit } from 'yaml';
import { formatIp, formatMac, VIP_FLAGS } from '../../lb/index.js';
import { SLOW_START_DEFAULTS } from '../health/defaults.js';
import { type Backend, type DesiredState, idOf, POOL_DEFAULTS, type Pool, type Vip } from '../state/model.js';
import { madeName } from './backends.js';
import { FLAG_NAMES } from './flags.js';
import type { NodeConfig } from './model.js';
import { checkEntry } from './write-checks.js';
import { applianceEntry, nodeEntry } from './write-node.js';
import {
  durationText,
  type Entry,
  endpointText,
  entryOf,
  momentText,
  unless,
  type Value,
} from './write-values.js';

/** Longer lines are broken where they can be. */
const LINE_WIDTH = 120;

/** What a file says that no state has. */
export type WrittenSettings = Pick<NodeConfig, 'interface' | 'appliance' | 'givenLimits'>;

/**
 * A configuration as a file. Read again it is the same state, but for versions and times of changes; the same state is the
 * same text, in the order of names. What is as it would be anyway is left out.
 */
export function configText(state: DesiredState, settings?: WrittenSettings): string {
  const backends = new Map<string, Backend[]>([...state.pools.keys()].map((pool) => [pool, []]));
  for (const backend of state.backends.values()) backends.get(backend.pool)?.push(backend);
  const file = entryOf({
    node: nodeEntry(state, settings),
    appliance: applianceEntry(settings?.appliance),
    healthChecks: inOrder(state.healthChecks).map(checkEntry),
    pools: inOrder(state.pools).map((pool) => poolEntry(pool, backends.get(pool.name) ?? [])),
    vips: inOrder(state.vips).map((vip) => vipEntry(vip, state.node.watchedVip)),
    serverIds: state.serverIds.map(({ id, backend }) => ({ id, backend: formatIp(backend) })),
    sourceRoutes: state.sourceRoutes.map(({ prefix, backend }) => ({
      prefix: `${formatIp(prefix.address)}/${prefix.bits}`,
      backend: formatIp(backend),
    })),
    globalFlows: state.globalFlows.map(({ flow: { src, dst, sport, dport, protocol }, backend }) => ({
      protocol,
      source: endpointText(formatIp(src), sport),
      destination: endpointText(formatIp(dst), dport),
      backend: formatIp(backend),
    })),
  });
  return textOf(file ?? EMPTY_FILE);
}

/** A file has one key at least. */
const EMPTY_FILE: Entry = { vips: [] };

type Named = { readonly name: string };
const byName = (a: Named, b: Named): number => (a.name < b.name ? -1 : 1);
const inOrder = <T extends Named>(resources: ReadonlyMap<string, T>): T[] =>
  [...resources.values()].sort(byName);

function vipEntry(vip: Vip, watchedVip: string | undefined): Entry {
  const { address, port, protocol, prefixBits } = vip.key;
  const flags = FLAG_NAMES.filter((name) => (vip.flags & VIP_FLAGS[name]) !== 0);
  return {
    name: idOf(vip.name),
    ...entryOf({ displayName: unless(vip.displayName, '') }),
    address: prefixBits === undefined ? formatIp(address) : `${formatIp(address)}/${prefixBits}`,
    ...entryOf({ port: unless(port, 0) }),
    protocol,
    pool: idOf(vip.pool),
    ...entryOf({
      flags,
      ringAlgorithm: vip.ringAlgorithm && `maglev-${vip.ringAlgorithm}`,
      downBackends: vip.downBackends.map(formatIp),
      watchMisses: unless(vip.name === watchedVip, false),
    }),
  };
}

function poolEntry(pool: Pool, backends: readonly Backend[]): Entry {
  const { slowStart } = pool;
  return {
    name: idOf(pool.name),
    ...entryOf({
      displayName: unless(pool.displayName, ''),
      ringAlgorithm:
        pool.ringAlgorithm === POOL_DEFAULTS.ringAlgorithm ? undefined : `maglev-${pool.ringAlgorithm}`,
      healthChecks: pool.healthChecks.map(idOf),
      drainTimeout: pool.drainTimeoutMs === undefined ? undefined : durationText(pool.drainTimeoutMs),
      slowStart: slowStart && {
        window: durationText(slowStart.windowMs),
        ...entryOf({
          minPercent: unless(slowStart.minPercent, SLOW_START_DEFAULTS.minPercent),
          steps: unless(slowStart.steps, SLOW_START_DEFAULTS.steps),
        }),
      },
      panicThreshold: unless(pool.panicPercent, POOL_DEFAULTS.panicPercent),
      panicPolicy: pool.belowFloor === POOL_DEFAULTS.belowFloor ? undefined : pool.belowFloor,
      backends: [...backends].sort(byName).map((backend) => backendValue(backend, pool)),
    }),
  };
}

/** A backend that is as its address alone would make it is its address. */
function backendValue(backend: Backend, pool: Pool): Value {
  const { address, addressKey, mac } = backend;
  const id = idOf(backend.name);
  const more = entryOf({
    weight: unless(backend.weight, 1),
    mac: mac && formatMac(mac),
    local: unless(backend.isLocal, false),
    ...stateEntry(backend, pool),
  });
  const name = unless(id, madeName(address));
  if (name === undefined && more === undefined) return addressKey;
  return { ...entryOf({ name }), address: addressKey, ...more };
}

/** A drain that began at 0 is one whose beginning nobody knows: it is that of the file's first reading. */
function stateEntry(
  { isDown, drainStartMs, drainDeadlineMs, leaves }: Backend,
  { drainTimeoutMs }: Pool,
): Entry | undefined {
  if (isDown) return { state: 'down' };
  if (drainStartMs === undefined) return undefined;
  const isUsual = drainStartMs === 0 && (drainDeadlineMs ?? drainTimeoutMs) === drainTimeoutMs;
  return {
    state: 'draining',
    ...entryOf({
      drain: entryOf({
        start: drainStartMs === 0 ? undefined : momentText(drainStartMs),
        deadline: drainDeadlineMs === undefined || isUsual ? undefined : momentText(drainDeadlineMs),
        remove: unless(leaves, false),
      }),
    }),
  };
}

/** Lists whose items stand on a line each, and lists that stand on one line. */
const LINES: ReadonlySet<unknown> = new Set([
  'backends',
  'destinations',
  'serverIds',
  'sourceRoutes',
  'globalFlows',
]);
const ONE_LINE: ReadonlySet<unknown> = new Set([
  'flags',
  'healthChecks',
  'downBackends',
  'expectedStatuses',
  'slowStart',
]);
const PROBES: ReadonlySet<unknown> = new Set(['tcp', 'http', 'grpc', 'icmp', 'udp', 'gue', 'log']);

function textOf(file: Entry): string {
  const document = new Document(file, { version: '1.2' });
  visit(document, {
    Pair: (_, { key, value }) => {
      const name = isScalar(key) ? key.value : undefined;
      if (!isCollection(value)) return;
      const isShort = value.items.every((item) => isScalar(item) || (isPair(item) && isScalar(item.value)));
      if ((ONE_LINE.has(name) && isShort) || PROBES.has(name)) value.flow = true;
      if (!LINES.has(name)) return;
      for (const item of value.items) if (isMap(item)) item.flow = true;
    },
  });
  return document.toString({ lineWidth: LINE_WIDTH, flowCollectionPadding: true });
}
