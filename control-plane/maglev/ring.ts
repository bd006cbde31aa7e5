import { CodedError } from '../../lb/index.js';
import type { RingAlgorithm } from '../state/model.js';
import { hashAddress, permutationOf, RING_SIZE } from './hash.js';

export type { RingAlgorithm } from '../state/model.js';
export { RING_SIZE } from './hash.js';

/** A backend as the ring sees it. */
export interface RingReal {
  /** Row in `reals`, at least 1: 0 is the empty slot. */
  readonly index: number;
  /** 4 or 16 bytes in wire order. */
  readonly address: Uint8Array;
  /** Whole, at least 0; 0 takes no slot. */
  readonly weight: number;
}

export type RingFault =
  | { readonly code: 'RING_INDEX'; readonly index: number }
  | { readonly code: 'RING_WEIGHT'; readonly index: number; readonly weight: number }
  | { readonly code: 'RING_ADDRESS'; readonly index: number; readonly bytes: number }
  | { readonly code: 'RING_DUPLICATE'; readonly index: number; readonly other: number };

/** Backends that no ring can be made of. */
export class RingError extends CodedError<RingFault> {}

/** Where a backend stands among others, and its permutation: of its address alone. */
interface Seat {
  /** Its address hash, in two words so that seats are compared without a bigint. */
  readonly high: number;
  readonly low: number;
  readonly offset: number;
  readonly skip: number;
}

/** Seats by the bytes of addresses, which nobody writes to: rings are built of the same backends again and again. */
const SEATS = new WeakMap<Uint8Array, Seat>();

function seatOf(address: Uint8Array): Seat {
  const known = SEATS.get(address);
  if (known !== undefined) return known;
  const hash = hashAddress(address);
  const { offset, skip } = permutationOf(hash);
  const seat = { high: Number(hash >> 32n), low: Number(hash & 0xffff_ffffn), offset, skip };
  SEATS.set(address, seat);
  return seat;
}

/** Backends while the ring is filled, in the order of their turns: column by column, for the loops' sake. */
interface Endpoints {
  readonly index: Uint32Array;
  readonly weight: Uint32Array;
  readonly skip: Int32Array;
  /** offset + n · skip, modulo 2^32, as a signed word: the wrap is part of the result. */
  readonly position: Int32Array;
}

/**
 * Fill a lookup table (Maglev, NSDI '16, §3.4): backends in the order of their address hashes take their most
 * preferred free slot, in turns, until none is free. The order of the input has no effect.
 * @param reals their addresses are not written to any more: what follows of one is remembered
 * @returns RING_SIZE backend indices; all 0 when no backend has a weight
 * @throws RingError
 */
export function buildRing(reals: readonly RingReal[], algorithm: RingAlgorithm = 'v2'): Uint32Array {
  const ring = new Uint32Array(RING_SIZE);
  const sorted = sortedReals(reals);
  if (sorted.length === 0) return ring;
  if (sorted.length === 1) return ring.fill(sorted[0]!.index);
  const endpoints = {
    index: Uint32Array.from(sorted, ({ index }) => index),
    weight: Uint32Array.from(sorted, ({ weight }) => weight),
    skip: Int32Array.from(sorted, ({ seat }) => seat.skip),
    position: Int32Array.from(sorted, ({ seat }) => seat.offset),
  };
  if (algorithm === 'v1') fillV1(ring, endpoints);
  else fillV2(ring, endpoints);
  return ring;
}

function checkReal({ index, address, weight }: RingReal): void {
  if (!Number.isInteger(index) || index < 1 || index > 0xffffffff) {
    throw new RingError({ code: 'RING_INDEX', index }, `backend index ${index} is not a whole number from 1`);
  }
  if (!Number.isInteger(weight) || weight < 0 || weight > 0xffffffff) {
    throw new RingError(
      { code: 'RING_WEIGHT', index, weight },
      `backend ${index}: weight ${weight} is not a whole number from 0`,
    );
  }
  if (address.length !== 4 && address.length !== 16) {
    throw new RingError(
      { code: 'RING_ADDRESS', index, bytes: address.length },
      `backend ${index}: an address has 4 or 16 bytes, not ${address.length}`,
    );
  }
}

type Seated = RingReal & { readonly seat: Seat };

/** Those that have a weight, in the order of their turns. */
function sortedReals(reals: readonly RingReal[]): Seated[] {
  const seated = reals.map((real): Seated => {
    checkReal(real);
    return { index: real.index, address: real.address, weight: real.weight, seat: seatOf(real.address) };
  });
  seated.sort(
    (a, b) => a.seat.high - b.seat.high || a.seat.low - b.seat.low || compareBytes(a.address, b.address),
  );
  for (let i = 1; i < seated.length; i++) {
    const [other, { index, address }] = [seated[i - 1]!, seated[i]!];
    if (compareBytes(other.address, address) === 0) {
      throw new RingError(
        { code: 'RING_DUPLICATE', index, other: other.index },
        `backends ${other.index} and ${index} have one address`,
      );
    }
  }
  return seated.filter(({ weight }) => weight > 0);
}

/** Addresses whose hashes collide still have an order that does not depend on the input's. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/**
 * An unsigned word modulo 65537 without a division: 65536 is -1 modulo 65537, so the high half is subtracted.
 * A ring of 1,000 backends takes about 800,000 of them.
 */
function slotOf(position: number): number {
  const slot = (position & 0xffff) - (position >>> 16);
  return slot < 0 ? slot + RING_SIZE : slot;
}

/**
 * Give an endpoint the next free slot of its permutation. The caller knows that there is one.
 * @param taken a bit for each slot: what is asked of a million times is to lie in the nearest cache
 */
function place(
  ring: Uint32Array,
  taken: Int32Array,
  { index, skip, position }: Endpoints,
  endpoint: number,
): void {
  const step = skip[endpoint]!;
  let at = position[endpoint]!;
  let slot = slotOf(at);
  while (((taken[slot >>> 5]! >>> (slot & 31)) & 1) !== 0) {
    at = (at + step) | 0;
    slot = slotOf(at);
  }
  taken[slot >>> 5]! |= 1 << (slot & 31);
  ring[slot] = index[endpoint]!;
  position[endpoint] = (at + step) | 0;
}

function fillV1(ring: Uint32Array, endpoints: Endpoints): void {
  const { weight } = endpoints;
  const taken = new Int32Array((RING_SIZE >>> 5) + 1);
  let free = RING_SIZE;
  for (let round = 0; free > 0; round++) {
    for (let endpoint = 0; endpoint < weight.length; endpoint++) {
      for (let turns = round === 0 ? weight[endpoint]! : 1; turns > 0; turns--) {
        place(ring, taken, endpoints, endpoint);
        if (--free === 0) return;
      }
    }
  }
}

function fillV2(ring: Uint32Array, endpoints: Endpoints): void {
  const { weight } = endpoints;
  const taken = new Int32Array((RING_SIZE >>> 5) + 1);
  const credit = new Float64Array(weight.length);
  const maxWeight = weight.reduce((max, one) => Math.max(max, one), 0);
  for (let free = RING_SIZE; free > 0; ) {
    for (let endpoint = 0; endpoint < weight.length; endpoint++) {
      const gathered = credit[endpoint]! + weight[endpoint]!;
      if (gathered < maxWeight) {
        credit[endpoint] = gathered;
        continue;
      }
      credit[endpoint] = gathered - maxWeight;
      place(ring, taken, endpoints, endpoint);
      if (--free === 0) return;
    }
  }
}
