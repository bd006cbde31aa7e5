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

/** A backend while the ring is filled. */
interface Endpoint {
  readonly index: number;
  readonly weight: number;
  readonly skip: number;
  /** offset + n · skip, modulo 2^32, as a signed word: the wrap is part of the result. */
  position: number;
  /** v2: weight that has gathered since the last turn. */
  credit: number;
}

/**
 * Fill a lookup table (Maglev, NSDI '16, §3.4): backends in the order of their address hashes take their most
 * preferred free slot, in turns, until none is free. The order of the input has no effect.
 * @returns RING_SIZE backend indices; all 0 when no backend has a weight
 * @throws RingError
 */
export function buildRing(reals: readonly RingReal[], algorithm: RingAlgorithm = 'v2'): Uint32Array {
  const ring = new Uint32Array(RING_SIZE);
  const endpoints = sortedEndpoints(reals);
  if (endpoints.length === 0) return ring;
  if (endpoints.length === 1) return ring.fill(endpoints[0]!.index);
  if (algorithm === 'v1') fillV1(ring, endpoints);
  else fillV2(ring, endpoints);
  return ring;
}

function checkReals(reals: readonly RingReal[]): void {
  const seen = new Map<string, number>();
  for (const { index, address, weight } of reals) {
    if (!Number.isInteger(index) || index < 1 || index > 0xffffffff) {
      throw new RingError(
        { code: 'RING_INDEX', index },
        `backend index ${index} is not a whole number from 1`,
      );
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
    const other = seen.get(address.join());
    if (other !== undefined) {
      throw new RingError(
        { code: 'RING_DUPLICATE', index, other },
        `backends ${other} and ${index} have one address`,
      );
    }
    seen.set(address.join(), index);
  }
}

function sortedEndpoints(reals: readonly RingReal[]): Endpoint[] {
  checkReals(reals);
  return reals
    .filter((real) => real.weight > 0)
    .map((real) => ({ ...real, hash: hashAddress(real.address) }))
    .sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : compareBytes(a.address, b.address)))
    .map(({ index, weight, hash }) => {
      const { offset, skip } = permutationOf(hash);
      return { index, weight, skip, position: offset, credit: 0 };
    });
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

/** Give the endpoint the next free slot of its permutation. The caller knows that there is one. */
function place(ring: Uint32Array, endpoint: Endpoint): void {
  let { position } = endpoint;
  const { skip } = endpoint;
  let slot = slotOf(position);
  while (ring[slot] !== 0) {
    position = (position + skip) | 0;
    slot = slotOf(position);
  }
  ring[slot] = endpoint.index;
  endpoint.position = (position + skip) | 0;
}

function fillV1(ring: Uint32Array, endpoints: readonly Endpoint[]): void {
  let free = RING_SIZE;
  for (let round = 0; free > 0; round++) {
    for (const endpoint of endpoints) {
      for (let turns = round === 0 ? endpoint.weight : 1; turns > 0; turns--) {
        place(ring, endpoint);
        if (--free === 0) return;
      }
    }
  }
}

function fillV2(ring: Uint32Array, endpoints: readonly Endpoint[]): void {
  const maxWeight = endpoints.reduce((max, { weight }) => Math.max(max, weight), 0);
  for (let free = RING_SIZE; free > 0; ) {
    for (const endpoint of endpoints) {
      endpoint.credit += endpoint.weight;
      if (endpoint.credit < maxWeight) continue;
      endpoint.credit -= maxWeight;
      place(ring, endpoint);
      if (--free === 0) return;
    }
  }
}
