import { z } from 'zod';
import {
  backendCodec,
  backendJson,
  poolCodec,
  poolJson,
  type RestState,
  restCodec,
  restJson,
  vipCodec,
  vipJson,
} from './journal-codec.js';
import type { Backend, DesiredState, Pool, Vip } from './model.js';

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
  /** Set where any of it changed. */
  readonly rest: RestState | undefined;
}

/** Whether resources are led back to the order of their creation too, or only to what they are. */
export type DeltaOrder = 'kept' | 'any';

const UNCHANGED: KindDelta<never> = { removed: [], set: [] };

function kindDelta<T extends { readonly name: string }>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  order: DeltaOrder,
): KindDelta<T> {
  if (before === after) return UNCHANGED;
  const isChanged = (resource: T) => before.get(resource.name) !== resource;
  const removed = [...before.keys()].filter((name) => !after.has(name));
  if (order === 'any') return { removed, set: [...after.values()].filter(isChanged) };
  // A map keeps its names in the order of first insertion. Those that stay are its first ones, in the order that they had;
  // what is found behind a new one was removed and came again.
  const places = new Map([...before.keys()].map((name, place) => [name, place]));
  const resources = [...after.values()];
  let stay = 0;
  for (let last = -1; stay < resources.length; stay++) {
    const place = places.get(resources[stay]!.name);
    if (place === undefined || place < last) break;
    last = place;
  }
  const anew = resources.slice(stay);
  return {
    removed: [...removed, ...anew.map(({ name }) => name).filter((name) => before.has(name))],
    set: [...resources.slice(0, stay).filter(isChanged), ...anew],
  };
}

/** What leads from a state to another. */
export function deltaBetween(before: DesiredState, after: DesiredState, order: DeltaOrder): Delta {
  const isRestSame =
    before.node === after.node &&
    before.serverIds === after.serverIds &&
    before.sourceRoutes === after.sourceRoutes &&
    before.globalFlows === after.globalFlows;
  const { node, serverIds, sourceRoutes, globalFlows } = after;
  return {
    vips: kindDelta(before.vips, after.vips, order),
    pools: kindDelta(before.pools, after.pools, order),
    backends: kindDelta(before.backends, after.backends, order),
    rest: isRestSame ? undefined : { node, serverIds, sourceRoutes, globalFlows },
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
  };
}

const kindCodec = <T extends z.ZodType>(resource: T) =>
  z.object({ removed: z.array(z.string()), set: z.array(resource) });

export const deltaCodec = z
  .object({
    vips: kindCodec(vipCodec),
    pools: kindCodec(poolCodec),
    backends: kindCodec(backendCodec),
    rest: restCodec.optional(),
  })
  .transform((delta): Delta => ({ ...delta, rest: delta.rest }));

export const deltaJson = ({ vips, pools, backends, rest }: Delta): z.input<typeof deltaCodec> => ({
  vips: { removed: [...vips.removed], set: vips.set.map(vipJson) },
  pools: { removed: [...pools.removed], set: pools.set.map(poolJson) },
  backends: { removed: [...backends.removed], set: backends.set.map(backendJson) },
  rest: rest && restJson(rest),
});
