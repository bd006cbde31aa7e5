import { z } from 'zod';
import {
  backendCodec,
  backendJson,
  checkCodec,
  checkJson,
  poolCodec,
  poolJson,
  type RestState,
  restCodec,
  restJson,
  vipCodec,
  vipJson,
} from './journal-codec.js';
import { type Lineage, lineageOf } from './lineage.js';
import type { Backend, CheckResource, DesiredState, Pool, Vip } from './model.js';

/** What leads from the resources of one kind to others: names are removed first, then resources set in order. */
export interface KindDelta<T> {
  readonly removed: readonly string[];
  readonly set: readonly T[];
}

/** What leads from one state to another. It holds resources, not requests: what they became then, they are again. */
export interface Delta {
  readonly vips: KindDelta<Vip>;
  readonly pools: KindDelta<Pool>;
  readonly backends: KindDelta<Backend>;
  readonly healthChecks: KindDelta<CheckResource>;
  /** Set where any of it changed. */
  readonly rest: RestState | undefined;
}

const UNCHANGED: KindDelta<never> = { removed: [], set: [] };

/** The delta of a few changes that are known; undefined where the order of what they added is not. */
function shortDelta<T extends { readonly name: string }>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  { names, deleted }: Lineage,
): KindDelta<T> | undefined {
  const removed: string[] = [];
  const set: T[] = [];
  let added = 0;
  for (const name of names) {
    const [old, now] = [before.get(name), after.get(name)];
    const isGone = old !== undefined && deleted.has(name);
    if (isGone) removed.push(name);
    if (now === undefined || (now === old && !isGone)) continue;
    if (old === undefined || isGone) added++;
    set.push(now);
  }
  return added > 1 ? undefined : { removed, set };
}

/**
 * What leads from one map to another, their order included. A map keeps its names in the order of first insertion: those
 * that stay are the first ones, in the order that they had; what is found behind a new one was removed and came again. One
 * walk over both, since a change of one in ten thousand is what happens most.
 */
function kindDelta<T extends { readonly name: string }>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
): KindDelta<T> {
  if (before === after) return UNCHANGED;
  const known = lineageOf(before, after);
  const short = known && shortDelta(before, after, known);
  if (short !== undefined) return short;
  const removed: string[] = [];
  const set: T[] = [];
  const names = before.keys();
  const moved = new Set<string>();
  let isBehindNew = false;
  for (const [name, resource] of after) {
    const old = before.get(name);
    if (old === undefined || moved.has(name)) {
      isBehindNew = true;
      set.push(resource);
    } else if (isBehindNew) {
      removed.push(name);
      set.push(resource);
    } else {
      for (let next = names.next(); !next.done && next.value !== name; next = names.next()) {
        removed.push(next.value);
        if (after.has(next.value)) moved.add(next.value);
      }
      if (old !== resource) set.push(resource);
    }
  }
  for (const name of names) if (!after.has(name)) removed.push(name);
  return { removed, set };
}

/** What leads from a state to another. */
export function deltaBetween(before: DesiredState, after: DesiredState): Delta {
  const isRestSame =
    before.node === after.node &&
    before.serverIds === after.serverIds &&
    before.sourceRoutes === after.sourceRoutes &&
    before.globalFlows === after.globalFlows;
  return {
    vips: kindDelta(before.vips, after.vips),
    pools: kindDelta(before.pools, after.pools),
    backends: kindDelta(before.backends, after.backends),
    healthChecks: kindDelta(before.healthChecks, after.healthChecks),
    rest: isRestSame ? undefined : restOf(after),
  };
}

function restOf({ node, serverIds, sourceRoutes, globalFlows }: DesiredState): RestState {
  return { node, serverIds, sourceRoutes, globalFlows };
}

function kindInverse<T extends { readonly name: string }>(
  before: ReadonlyMap<string, T>,
  { removed, set }: KindDelta<T>,
): KindDelta<T> {
  const after = new Map<string, T | undefined>(removed.map((name) => [name, undefined]));
  for (const resource of set) after.set(resource.name, resource);
  const inverse = { removed: [] as string[], set: [] as T[] };
  for (const [name, now] of after) {
    const old = before.get(name);
    if (old === undefined) inverse.removed.push(name);
    else if (now !== old) inverse.set.push(old);
  }
  return inverse;
}

/** What leads back over a delta, to what resources were; not to their order. Costs what the delta is. */
export function inverseOf(before: DesiredState, delta: Delta): Delta {
  return {
    vips: kindInverse(before.vips, delta.vips),
    pools: kindInverse(before.pools, delta.pools),
    backends: kindInverse(before.backends, delta.backends),
    healthChecks: kindInverse(before.healthChecks, delta.healthChecks),
    rest: delta.rest && restOf(before),
  };
}

function applyKind<T extends { readonly name: string }>(
  before: ReadonlyMap<string, T>,
  { removed, set }: KindDelta<T>,
): ReadonlyMap<string, T> {
  if (removed.length === 0 && set.length === 0) return before;
  const after = new Map(before);
  for (const name of removed) after.delete(name);
  for (const resource of set) after.set(resource.name, resource);
  return after;
}

/** The state that a delta leads to, under a revision. */
export function applyDelta(state: DesiredState, delta: Delta, revision: number): DesiredState {
  return {
    ...state,
    ...delta.rest,
    revision,
    vips: applyKind(state.vips, delta.vips),
    pools: applyKind(state.pools, delta.pools),
    backends: applyKind(state.backends, delta.backends),
    healthChecks: applyKind(state.healthChecks, delta.healthChecks),
  };
}

/** A state that belongs to whoever reads it back, and to nobody else yet. */
export interface OwnState {
  state: DesiredState;
  readonly vips: Map<string, Vip>;
  readonly pools: Map<string, Pool>;
  readonly backends: Map<string, Backend>;
  readonly healthChecks: Map<string, CheckResource>;
}

/** A copy of a state that deltas can be applied to without a copy for each. */
export function ownState(state: DesiredState): OwnState {
  const maps = {
    vips: new Map(state.vips),
    pools: new Map(state.pools),
    backends: new Map(state.backends),
    healthChecks: new Map(state.healthChecks),
  };
  return { state: { ...state, ...maps }, ...maps };
}

/** Lead a state of one's own over a delta. */
export function advance(own: OwnState, delta: Delta, revision: number): void {
  const move = <T extends { readonly name: string }>(map: Map<string, T>, { removed, set }: KindDelta<T>) => {
    for (const name of removed) map.delete(name);
    for (const resource of set) map.set(resource.name, resource);
  };
  move(own.vips, delta.vips);
  move(own.pools, delta.pools);
  move(own.backends, delta.backends);
  move(own.healthChecks, delta.healthChecks);
  own.state = { ...own.state, ...delta.rest, revision };
}

const kindCodec = <T extends z.ZodType>(resource: T) =>
  z.object({ removed: z.array(z.string()), set: z.array(resource) });

export const deltaCodec = z
  .object({
    vips: kindCodec(vipCodec),
    pools: kindCodec(poolCodec),
    backends: kindCodec(backendCodec),
    healthChecks: kindCodec(checkCodec),
    rest: restCodec.optional(),
  })
  .transform((delta): Delta => ({ ...delta, rest: delta.rest }));

export const deltaJson = ({
  vips,
  pools,
  backends,
  healthChecks,
  rest,
}: Delta): z.input<typeof deltaCodec> => ({
  vips: { removed: [...vips.removed], set: vips.set.map(vipJson) },
  pools: { removed: [...pools.removed], set: pools.set.map(poolJson) },
  backends: { removed: [...backends.removed], set: backends.set.map(backendJson) },
  healthChecks: { removed: [...healthChecks.removed], set: healthChecks.set.map(checkJson) },
  rest: rest && restJson(rest),
});
