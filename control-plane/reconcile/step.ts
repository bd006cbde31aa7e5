import { formatIp } from '../../lb/index.js';
import { changedNames } from '../state/lineage.js';
import {
  type Backend,
  type BackendRow,
  backendRows,
  type DesiredState,
  ringKey,
  ringOf,
  type Vip,
} from '../state/model.js';
import {
  downAddresses,
  downReal,
  globalFlowImages,
  type MutableImage,
  nodeImage,
  type Placement,
  type RealImage,
  realImage,
  ringImage,
  serverIdImages,
  sourceRouteImages,
  type TableImage,
} from './image.js';
import type { Unused } from './placements.js';
import { addressesOf, routesOf, type StateIndex } from './state-index.js';

/** What has changed besides the desired state. */
export interface ChangedFacts {
  /** Addresses, as text, whose next hop is another now. */
  readonly addresses?: Iterable<string>;
  /** Resource names of backends whose share is another now. */
  readonly backends?: Iterable<string>;
}

/**
 * The parts of two images that are not the same, and no others: what `plan` makes of them is what it makes of the whole
 * images. And the places that are not needed any more once it is written.
 */
export interface Step {
  readonly from: TableImage;
  readonly to: TableImage;
  readonly unused: Unused;
}

/** What is not the same in two states. */
export interface Difference {
  readonly before: DesiredState;
  readonly after: DesiredState;
  /** Names of VIPs that are others, new or gone. */
  readonly vips: ReadonlySet<string>;
  /** Rows that may be others by address, in the state before and in the state after. */
  readonly rowsBefore: ReadonlyMap<string, BackendRow>;
  readonly rowsAfter: ReadonlyMap<string, BackendRow>;
  /** Of pools whose rings or VIPs may be others. */
  readonly poolsBefore: Pools;
  readonly poolsAfter: Pools;
}

/** What of a state is in some pools. */
export interface Pools {
  readonly vips: readonly Vip[];
  readonly members: ReadonlyMap<string, readonly Backend[]>;
}

/**
 * What is not the same in two states, and of what else is known of backends.
 * @param index of the state before; it is moved to the state after
 */
export function differenceOf(index: StateIndex, after: DesiredState, facts: ChangedFacts = {}): Difference {
  const before = index.state;
  const vips = changedNames(before.vips, after.vips);
  const pools = changedNames(before.pools, after.pools);
  const addresses = new Set(facts.addresses);
  const touch = (backend: Backend | undefined) => {
    if (backend === undefined) return;
    pools.add(backend.pool);
    addresses.add(backend.addressKey);
  };
  for (const name of changedNames(before.backends, after.backends)) {
    touch(before.backends.get(name));
    touch(after.backends.get(name));
  }
  for (const name of facts.backends ?? []) touch(after.backends.get(name));
  for (const name of vips) {
    for (const vip of [before.vips.get(name), after.vips.get(name)]) {
      if (vip === undefined) continue;
      pools.add(vip.pool);
      for (const address of vip.downBackends) addresses.add(formatIp(address));
    }
  }
  const routesAfter = routesOf(after);
  for (const [i, was] of routesOf(before).entries()) {
    const is = routesAfter[i]!;
    if (was !== is)
      for (const list of [was, is]) for (const key of addressesOf(list).keys()) addresses.add(key);
  }
  // The router is next hop of all rows that have none of their own.
  if (before.node.routerMac !== after.node.routerMac)
    for (const key of backendRows(after).keys()) addresses.add(key);
  // A pool whose backends' next hops are others has another ring where one had none before.
  for (const key of addresses) for (const { pool } of index.backendsAt(key)) pools.add(pool);
  const side = () => ({ vips: index.vipsOf(pools), members: index.membersOf(pools) });
  const rowsBefore = index.rowsOf(addresses);
  const poolsBefore = side();
  index.moveTo(after);
  return {
    before,
    after,
    vips,
    rowsBefore,
    rowsAfter: index.rowsOf(addresses),
    poolsBefore,
    poolsAfter: side(),
  };
}

/** One table's part of a step. */
class Part<K, V> {
  readonly from = new Map<K, V>();
  readonly to = new Map<K, V>();
  readonly #image: ReadonlyMap<K, V>;

  constructor(image: ReadonlyMap<K, V>) {
    this.#image = image;
  }

  set(key: K, value: V): void {
    this.delete(key);
    this.to.set(key, value);
  }

  delete(key: K): void {
    const old = this.#image.get(key);
    if (old !== undefined) this.from.set(key, old);
    this.to.delete(key);
  }
}

interface Around {
  readonly image: TableImage;
  readonly difference: Difference;
  readonly placement: Placement;
}

function stepReals({ image, difference, placement }: Around) {
  const { after, rowsBefore, rowsAfter } = difference;
  const part = new Part(image.reals);
  for (const [key, row] of rowsAfter)
    part.set(placement.real(key), realImage(after.node, key, row, placement));
  const unused = [...rowsBefore.keys()].filter((key) => !rowsAfter.has(key));
  for (const key of unused) part.delete(placement.real(key));
  return { part, unused };
}

function stepRings({ image, difference, placement }: Around, reals: Part<number, RealImage>) {
  const { before, after, poolsBefore, poolsAfter } = difference;
  const part = new Part(image.rings);
  const macOf = (index: number) =>
    (reals.to.get(index) ?? image.reals.get(index))?.mac ?? after.node.routerMac;
  const done = new Set<string>();
  for (const vip of poolsAfter.vips) {
    const key = ringKey(after, vip);
    if (done.has(key)) continue;
    done.add(key);
    const { pool, algorithm } = ringOf(after, vip);
    const ring = ringImage(poolsAfter.members.get(pool) ?? [], algorithm, placement, macOf);
    part.set(placement.ring(key), ring);
  }
  const keysBefore = new Set(poolsBefore.vips.map((vip) => ringKey(before, vip)));
  const unused = [...keysBefore].filter((key) => !done.has(key));
  for (const key of unused) part.delete(placement.ring(key));
  return { part, unused };
}

function stepVips({ image, difference, placement }: Around) {
  const { after, vips: names, poolsAfter } = difference;
  const part = new Part(image.vips);
  for (const vip of poolsAfter.vips) {
    const { name, key, flags } = vip;
    const ring = placement.ring(ringKey(after, vip));
    const old = image.vips.get(name);
    if (old !== undefined && !names.has(name) && old.ring === ring) continue;
    part.set(name, { key, number: placement.vip(name), ring, flags });
  }
  const unused = [...names].filter((name) => !after.vips.has(name));
  for (const name of unused) part.delete(name);
  return { part, unused };
}

function stepDownReals({ image, difference, placement }: Around) {
  const { poolsBefore, poolsAfter } = difference;
  const part = new Part(image.downReals);
  const mayHave = (vip: Vip) => vip.downBackends.length > 0 || vip.flags !== 0;
  for (const vip of poolsBefore.vips.filter(mayHave))
    for (const address of downAddresses(vip, poolsBefore.members.get(vip.pool) ?? []))
      part.delete(downReal(vip, placement.real(formatIp(address)))[0]);
  for (const vip of poolsAfter.vips.filter(mayHave))
    for (const address of downAddresses(vip, poolsAfter.members.get(vip.pool) ?? []))
      part.set(...downReal(vip, placement.real(formatIp(address))));
  return part;
}

/** A table that is made of one list of the state: as a whole, where the list is another. */
function stepList<K, V>(image: ReadonlyMap<K, V>, isSame: boolean, make: () => ReadonlyMap<K, V>) {
  const none: ReadonlyMap<K, V> = new Map();
  return isSame ? { from: none, to: none } : { from: image, to: make() };
}

/**
 * What a difference makes of an image: only what differs is looked at, so that it costs what the change is.
 * @param image of `difference.before`
 */
export function stepOf(image: TableImage, difference: Difference, placement: Placement): Step {
  const { before, after } = difference;
  const around: Around = { image, difference, placement };
  const reals = stepReals(around);
  const rings = stepRings(around, reals.part);
  const vips = stepVips(around);
  const isSame = (list: 'serverIds' | 'sourceRoutes' | 'globalFlows') => before[list] === after[list];
  const parts = {
    reals: reals.part,
    rings: rings.part,
    vips: vips.part,
    downReals: stepDownReals(around),
    serverIds: stepList(image.serverIds, isSame('serverIds'), () => serverIdImages(after, placement)),
    sourceRoutes: stepList(image.sourceRoutes, isSame('sourceRoutes'), () =>
      sourceRouteImages(after, placement),
    ),
    globalFlows: stepList(image.globalFlows, isSame('globalFlows'), () => globalFlowImages(after, placement)),
  };
  const { routerMac, ownAddresses, decapDestinations, watched } = image;
  const side = (of: 'from' | 'to') => ({
    reals: parts.reals[of],
    rings: parts.rings[of],
    vips: parts.vips[of],
    downReals: parts.downReals[of],
    serverIds: parts.serverIds[of],
    sourceRoutes: parts.sourceRoutes[of],
    globalFlows: parts.globalFlows[of],
  });
  return {
    from: { routerMac, ownAddresses, decapDestinations, watched, ...side('from') },
    to: { ...nodeImage(after), ...side('to') },
    unused: { reals: reals.unused, rings: rings.unused, vips: vips.unused },
  };
}

function mergePart<K, V>(image: Map<K, V>, from: ReadonlyMap<K, V>, to: ReadonlyMap<K, V>): void {
  for (const key of from.keys()) if (!to.has(key)) image.delete(key);
  for (const [key, value] of to) image.set(key, value);
}

/** Take a step on the image that it was made for. */
export function takeStep(image: MutableImage, { from, to }: Pick<Step, 'from' | 'to'>): void {
  image.routerMac = to.routerMac;
  image.watched = to.watched;
  mergePart(image.ownAddresses, from.ownAddresses, to.ownAddresses);
  mergePart(image.decapDestinations, from.decapDestinations, to.decapDestinations);
  mergePart(image.reals, from.reals, to.reals);
  mergePart(image.rings, from.rings, to.rings);
  mergePart(image.vips, from.vips, to.vips);
  mergePart(image.serverIds, from.serverIds, to.serverIds);
  mergePart(image.sourceRoutes, from.sourceRoutes, to.sourceRoutes);
  mergePart(image.downReals, from.downReals, to.downReals);
  mergePart(image.globalFlows, from.globalFlows, to.globalFlows);
}
