import { createHash } from 'node:crypto';
import { formatIp, type IpAddress, RING_SIZE } from '../../lb/index.js';
import { slotsOf } from '../reconcile/apply.js';
import type { RingMember } from '../reconcile/image.js';
import { backendsOf } from '../state/model.js';
import { find } from '../state/validate.js';
import type { Surroundings } from './conduct.js';
import type { ApiContext } from './context.js';
import { ALGORITHMS } from './convert-values.js';
import type { DiagnosticsServiceHandlers } from './generated/waggle/v1/DiagnosticsService.js';
import type { GetTableResponse } from './generated/waggle/v1/GetTableResponse.js';
import { unary } from './unary.js';

/** Stands for no backend in `slots`. */
const EMPTY_SLOT = 0xffffffff;
const IPV4_MAPPED = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
const NO_ADDRESS = new Uint8Array(16);

/** Sixteen bytes of an address: an IPv4 address as an IPv4-mapped one (RFC 4291 §2.5.5.2). */
const sixteenBytes = ({ family, bytes }: IpAddress): Uint8Array =>
  family === 6 ? bytes : Uint8Array.of(...IPV4_MAPPED, ...bytes);

/**
 * SHA-256 over the sixteen bytes of each slot's address, zeros for an empty one: equal where every flow goes to the same backend, whatever
 * rows the backends have.
 */
function ringFingerprint(slots: Uint32Array, members: readonly RingMember[]): string {
  const addresses = new Map(members.map(({ index, address }) => [index, sixteenBytes(address)]));
  const bytes = new Uint8Array(slots.length * 16);
  for (const [slot, index] of slots.entries()) bytes.set(addresses.get(index) ?? NO_ADDRESS, slot * 16);
  return createHash('sha256').update(bytes).digest('hex');
}

/** GetTable of waggle.v1.DiagnosticsService. */
export function tableHandlers(
  { reconciler }: ApiContext,
  around: Surroundings,
): Pick<DiagnosticsServiceHandlers, 'GetTable'> {
  return {
    GetTable: unary(around, 'GetTable', ({ vip: name, includeSlots }): GetTableResponse => {
      const { state } = reconciler.store;
      const vip = find(state.vips, 'vip', name);
      const { members, algorithm } = reconciler.ringOf(name) ?? { members: [], algorithm: 'v2' as const };
      const slots = slotsOf({ members, algorithm });
      const counts = new Map<number, number>();
      for (const index of slots) if (index !== 0) counts.set(index, (counts.get(index) ?? 0) + 1);
      const backends = new Map(
        backendsOf(state, vip.pool).map((backend) => [reconciler.realIndex(backend), backend]),
      );
      const shares = members
        .map(({ index, address }) => {
          const backend = backends.get(index);
          return {
            index,
            backendAddress: formatIp(address),
            backend: backend?.name ?? '',
            slots: counts.get(index) ?? 0,
            effectiveWeight: backend === undefined ? 0 : reconciler.effectiveWeight(backend),
          };
        })
        .sort((a, b) => b.slots - a.slots || (a.backendAddress < b.backendAddress ? -1 : 1));
      const places = new Map(shares.map(({ index }, place) => [index, place]));
      return {
        size: RING_SIZE,
        fingerprint: ringFingerprint(slots, members),
        shares: shares.map(({ index: _, ...share }) => share),
        ...(includeSlots && { slots: Array.from(slots, (index) => places.get(index) ?? EMPTY_SLOT) }),
        algorithm: ALGORITHMS[algorithm],
      };
    }),
  };
}
