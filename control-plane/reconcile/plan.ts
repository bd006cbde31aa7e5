import { type IpAddress, type Mac, sameIp, type VipKey } from '../../lb/index.js';
import type { RingMember, TableImage } from './image.js';

/** One step of a plan. Each is idempotent: running it twice is running it once. */
export type MapWrite =
  | { readonly kind: 'real'; readonly index: number; readonly address: IpAddress }
  | { readonly kind: 'next-hop'; readonly index: number; readonly mac: Mac | undefined }
  | { readonly kind: 'ring'; readonly ring: number; readonly members: readonly RingMember[] }
  | { readonly kind: 'vip-ring'; readonly vip: number; readonly ring: number }
  | { readonly kind: 'vip'; readonly key: VipKey; readonly number: number }
  | { readonly kind: 'delete-vip'; readonly key: VipKey; readonly number: number }
  | { readonly kind: 'clear-ring'; readonly ring: number }
  | { readonly kind: 'clear-real'; readonly index: number };

const sameMac = (a: Mac | undefined, b: Mac | undefined) => a === b || a?.join() === b?.join();

const sameMembers = (a: readonly RingMember[], b: readonly RingMember[]) =>
  a.length === b.length &&
  a.every((member, i) => {
    const other = b[i]!;
    return (
      member.index === other.index && member.weight === other.weight && sameIp(member.address, other.address)
    );
  });

function realWrites(written: TableImage, wanted: TableImage): MapWrite[] {
  return [...wanted.reals].flatMap(([index, { address, mac }]): MapWrite[] => {
    const old = written.reals.get(index);
    const isSame = old !== undefined && sameIp(old.address, address);
    return [
      // The next hop first: once the row is there, packets use both.
      ...(isSame && sameMac(old.mac, mac) ? [] : [{ kind: 'next-hop', index, mac } as const]),
      ...(isSame ? [] : [{ kind: 'real', index, address } as const]),
    ];
  });
}

function ringWrites(written: TableImage, wanted: TableImage): MapWrite[] {
  return [...wanted.rings].flatMap(([ring, members]): MapWrite[] => {
    const old = written.rings.get(ring) ?? [];
    return sameMembers(old, members) ? [] : [{ kind: 'ring', ring, members }];
  });
}

function vipWrites(written: TableImage, wanted: TableImage): MapWrite[] {
  return [...wanted.vips].flatMap(([name, { key, number, ring }]): MapWrite[] => {
    const old = written.vips.get(name);
    const isNew = old === undefined || old.number !== number;
    return [
      ...(isNew || old.ring !== ring ? [{ kind: 'vip-ring', vip: number, ring } as const] : []),
      ...(isNew ? [{ kind: 'vip', key, number } as const] : []),
    ];
  });
}

/**
 * The writes that lead from what is written to what is wanted, in an order in which every packet between two of
 * them finds what it needs: backend rows, rings, VIPs; and the other way round for what goes. VIPs that go do so
 * first, so that a number or a ring that is given on is out of use when it is written.
 */
export function plan(written: TableImage, wanted: TableImage): MapWrite[] {
  const goneVips = [...written.vips].filter(([name, { number }]) => wanted.vips.get(name)?.number !== number);
  const goneRings = [...written.rings.keys()].filter((ring) => !wanted.rings.has(ring));
  const goneReals = [...written.reals.keys()].filter((index) => !wanted.reals.has(index));
  return [
    ...goneVips.map(([, { key, number }]) => ({ kind: 'delete-vip', key, number }) as const),
    ...realWrites(written, wanted),
    ...ringWrites(written, wanted),
    ...vipWrites(written, wanted),
    ...goneRings.map((ring) => ({ kind: 'clear-ring', ring }) as const),
    ...goneReals.map((index) => ({ kind: 'clear-real', index }) as const),
  ];
}
