import { type Mac, parseMac, RING_SIZE } from '../../lb/index.js';
import { type Backend, type DesiredState, ringKey, ringOf, type Vip } from '../state/model.js';
import { slotsOf } from './apply.js';
import { type Placement, type RingImage, ringImage } from './image.js';
import { StateIndex } from './state-index.js';
import { differenceOf } from './step.js';

/** What a change does to a ring; ratios are 0..1 of its slots, and so of the flows that come new. */
export interface RingImpact {
  /** Slots that have another owner than before. */
  readonly movedRatio: number;
  /** What must move at the least, whatever the algorithm: the slots that backends gain. */
  readonly minimumRatio: number;
  /** Of what moves: slots of backends that leave the ring. */
  readonly leftRatio: number;
  /** Slots that backends win which were not in the ring. */
  readonly joinedRatio: number;
  /** Slots that pass between backends that stay, though neither comes nor goes. */
  readonly shuffledRatio: number;
}

/** What a change does to the VIPs that use a ring. */
export interface TableImpact extends RingImpact {
  /** Resource name of the pool that serves the VIPs after it. */
  readonly pool: string;
  /** Resource names of the VIPs, which are there before and after. */
  readonly vips: readonly string[];
  /** Tracked flows whose backend is removed or disabled: they go to another one, which does not know them. */
  readonly flowsBroken: number;
  /** Tracked flows that stay with their backend, wherever their slot goes: the connection tables hold them. */
  readonly flowsKept: number;
}

/** What is known besides the states. */
export interface ImpactFacts {
  /** Ethernet address towards a backend's address; undefined where none is known, or it is not watched yet. */
  mac(key: string): Mac | undefined;
  /** Percent of its weight that a backend gets, by resource name. */
  share(backend: string): number;
  /** Tracked flows of a backend's address. */
  flows(key: string): number;
}

const NO_CHANGE: RingImpact = {
  movedRatio: 0,
  minimumRatio: 0,
  leftRatio: 0,
  joinedRatio: 0,
  shuffledRatio: 0,
};
/** A backend that is new is taken to be reachable: nobody has looked yet. */
const SOME_HOP = parseMac('02:00:00:00:00:00');

/** Compare two rings whose members have the same index where they have the same address. */
export function impactOf(before: RingImage, after: RingImage): RingImpact {
  const [were, are] = [slotsOf(before), slotsOf(after)];
  const [held, holds] = [countsOf(were), countsOf(are)];
  const moved = { all: 0, left: 0, joined: 0, shuffled: 0 };
  for (let slot = 0; slot < RING_SIZE; slot++) {
    const [from, to] = [were[slot]!, are[slot]!];
    if (from === to) continue;
    moved.all++;
    const leaves = !holds.has(from);
    const joins = !held.has(to);
    if (leaves) moved.left++;
    if (joins) moved.joined++;
    if (!leaves && !joins) moved.shuffled++;
  }
  let gained = 0;
  for (const [index, count] of holds) gained += Math.max(0, count - (held.get(index) ?? 0));
  return {
    movedRatio: moved.all / RING_SIZE,
    minimumRatio: gained / RING_SIZE,
    leftRatio: moved.left / RING_SIZE,
    joinedRatio: moved.joined / RING_SIZE,
    shuffledRatio: moved.shuffled / RING_SIZE,
  };
}

function countsOf(slots: Uint32Array): Map<number, number> {
  const counts = new Map<number, number>();
  for (let slot = 0; slot < RING_SIZE; slot++) {
    const index = slots[slot]!;
    counts.set(index, (counts.get(index) ?? 0) + 1);
  }
  return counts;
}

/** The rings of a state. @param indices of addresses, shared by the states that are compared */
function ringsOf(
  state: DesiredState,
  members: ReadonlyMap<string, readonly Backend[]>,
  indices: Map<string, number>,
  facts: Pick<ImpactFacts, 'mac' | 'share'>,
): (vip: Vip) => RingImage {
  const keys = new Map([...indices].map(([key, index]) => [index, key]));
  const placement: Pick<Placement, 'real' | 'share'> = {
    real: (key) => {
      const index = indices.get(key) ?? indices.size + 1;
      indices.set(key, index);
      keys.set(index, key);
      return index;
    },
    share: (backend) => facts.share(backend),
  };
  const macOf = (index: number) => state.node.routerMac ?? facts.mac(keys.get(index) ?? '');
  return (vip) => {
    const { pool, algorithm } = ringOf(state, vip);
    return ringImage(members.get(pool) ?? [], algorithm, placement, macOf);
  };
}

const sameRing = (a: RingImage, b: RingImage) =>
  a.algorithm === b.algorithm &&
  a.members.length === b.members.length &&
  a.members.every(({ index, weight }, i) => b.members[i]?.index === index && b.members[i]?.weight === weight);

/**
 * What leads from one state to another does to the VIPs that are in both: by ring, where it does anything.
 * @returns flows as of now; those of an address that several pools have are counted in each
 */
export function tableImpacts(before: DesiredState, after: DesiredState, facts: ImpactFacts): TableImpact[] {
  const { rowsBefore, rowsAfter, poolsBefore, poolsAfter } = differenceOf(new StateIndex(before), after);
  const { members } = poolsBefore;
  const indices = new Map<string, number>();
  const ringBefore = ringsOf(before, members, indices, facts);
  const ringAfter = ringsOf(after, poolsAfter.members, indices, {
    mac: (key) => facts.mac(key) ?? (rowsBefore.has(key) ? undefined : SOME_HOP),
    share: (backend) => facts.share(backend),
  });
  const groups = new Map<string, { readonly was: Vip; readonly is: Vip; readonly vips: string[] }>();
  for (const is of poolsAfter.vips) {
    const was = before.vips.get(is.name);
    if (was === undefined) continue;
    const key = `${ringKey(before, was)} ${ringKey(after, is)}`;
    const group = groups.get(key) ?? { was, is, vips: [] };
    group.vips.push(is.name);
    groups.set(key, group);
  }
  const breaks = ({ name, addressKey }: Backend) =>
    (rowsBefore.has(addressKey) && !rowsAfter.has(addressKey)) || after.backends.get(name)?.isDown === true;
  const impacts: TableImpact[] = [];
  for (const { was, is, vips } of groups.values()) {
    const [from, to] = [ringBefore(was), ringAfter(is)];
    const flows = { broken: 0, kept: 0 };
    for (const backend of members.get(was.pool) ?? []) {
      const isBroken = !backend.isDown && breaks(backend);
      flows[isBroken ? 'broken' : 'kept'] += facts.flows(backend.addressKey);
    }
    const moves = sameRing(from, to) ? NO_CHANGE : impactOf(from, to);
    if (moves.movedRatio === 0 && flows.broken === 0) continue;
    impacts.push({ pool: is.pool, vips, ...moves, flowsBroken: flows.broken, flowsKept: flows.kept });
  }
  return impacts;
}
