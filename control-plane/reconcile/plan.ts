import {
  type Flow,
  formatVip,
  type IpAddress,
  type Mac,
  type Prefix,
  sameIp,
  type VipKey,
} from '../../lb/index.js';
import type { RingAlgorithm } from '../state/model.js';
import type { RingImage, RingMember, TableImage, VipImage } from './image.js';

/** One step of a plan. Each is idempotent: running it twice is running it once. */
export type MapWrite =
  | { readonly kind: 'router-mac'; readonly mac: Mac | undefined }
  | { readonly kind: 'own-address'; readonly family: 4 | 6; readonly address: IpAddress | undefined }
  | {
      readonly kind: 'real';
      readonly index: number;
      readonly address: IpAddress;
      readonly isLocal: boolean;
    }
  | { readonly kind: 'next-hop'; readonly index: number; readonly mac: Mac | undefined }
  | {
      readonly kind: 'ring';
      readonly ring: number;
      readonly members: readonly RingMember[];
      readonly algorithm: RingAlgorithm;
    }
  | { readonly kind: 'server-id'; readonly id: number; readonly real: number }
  | { readonly kind: 'source-route'; readonly prefix: Prefix; readonly real: number }
  | { readonly kind: 'down-real'; readonly vip: VipKey; readonly real: number }
  | { readonly kind: 'global-flow'; readonly flow: Flow; readonly real: number }
  | { readonly kind: 'vip-ring'; readonly vip: number; readonly ring: number }
  | { readonly kind: 'vip'; readonly key: VipKey; readonly number: number; readonly flags: number }
  | { readonly kind: 'watch'; readonly vip: VipKey | undefined }
  | { readonly kind: 'decap'; readonly address: IpAddress; readonly egress: boolean }
  | { readonly kind: 'delete-decap'; readonly address: IpAddress }
  | { readonly kind: 'delete-vip'; readonly key: VipKey; readonly number: number }
  | { readonly kind: 'delete-global-flow'; readonly flow: Flow }
  | { readonly kind: 'delete-down-real'; readonly vip: VipKey; readonly real: number }
  | { readonly kind: 'delete-source-route'; readonly prefix: Prefix }
  | { readonly kind: 'delete-server-id'; readonly id: number }
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

/** Algorithms differ only where there is something to spread. */
const sameRing = (a: RingImage, b: RingImage) =>
  sameMembers(a.members, b.members) && (a.algorithm === b.algorithm || a.members.length === 0);

/** Entries that are not the same objects as before, with what they were: tables of thousands differ in a few. */
function* differing<K, V>(
  written: ReadonlyMap<K, V>,
  wanted: ReadonlyMap<K, V>,
): Generator<readonly [K, V, V | undefined]> {
  if (written === wanted) return;
  for (const [key, value] of wanted) {
    const old = written.get(key);
    if (old !== value) yield [key, value, old];
  }
}

/** Entries of a table that are to be written: new ones, and those that are not `same` as before. */
function changed<K, V, W>(
  written: ReadonlyMap<K, V>,
  wanted: ReadonlyMap<K, V>,
  same: (a: V, b: V, key: K) => boolean,
  write: (key: K, value: V) => W,
): W[] {
  const writes: W[] = [];
  for (const [key, value, old] of differing(written, wanted))
    if (old === undefined || !same(old, value, key)) writes.push(write(key, value));
  return writes;
}

/** Entries that are not wanted any more. */
function gone<K, V, W>(
  written: ReadonlyMap<K, V>,
  wanted: ReadonlyMap<K, V>,
  write: (key: K, value: V) => W,
): W[] {
  const writes: W[] = [];
  if (written === wanted) return writes;
  for (const [key, value] of written) if (!wanted.has(key)) writes.push(write(key, value));
  return writes;
}

function nodeWrites(written: TableImage, wanted: TableImage): MapWrite[] {
  const families = ([4, 6] as const).filter((family) => {
    const [old, now] = [written.ownAddresses.get(family), wanted.ownAddresses.get(family)];
    return old !== now && (old === undefined || now === undefined || !sameIp(old, now));
  });
  return [
    ...(sameMac(written.routerMac, wanted.routerMac)
      ? []
      : [{ kind: 'router-mac', mac: wanted.routerMac } as const]),
    ...families.map(
      (family) => ({ kind: 'own-address', family, address: wanted.ownAddresses.get(family) }) as const,
    ),
  ];
}

function realWrites(written: TableImage, wanted: TableImage): MapWrite[] {
  const writes: MapWrite[] = [];
  for (const [index, { address, mac, isLocal }, old] of differing(written.reals, wanted.reals)) {
    const isSame = old !== undefined && sameIp(old.address, address);
    // The next hop first: once the row is there, packets use both.
    if (!isSame || !sameMac(old.mac, mac)) writes.push({ kind: 'next-hop', index, mac });
    if (!isSame || old.isLocal !== isLocal) writes.push({ kind: 'real', index, address, isLocal });
  }
  return writes;
}

function ringWrites(written: TableImage, wanted: TableImage): MapWrite[] {
  const writes: MapWrite[] = [];
  for (const [ring, { members, algorithm }, old] of differing(written.rings, wanted.rings)) {
    // A new one is written though it be empty: its number may have been another's.
    if (old === undefined || !sameRing(old, { members, algorithm }))
      writes.push({ kind: 'ring', ring, members, algorithm });
  }
  return writes;
}

/** What sends packets past the rings. @param goneVips VIPs that are taken out, and their down backends with them */
function routeWrites(written: TableImage, wanted: TableImage, goneVips: ReadonlySet<string>): MapWrite[] {
  return [
    ...changed(
      written.serverIds,
      wanted.serverIds,
      Object.is,
      (id, real): MapWrite => ({
        kind: 'server-id',
        id,
        real,
      }),
    ),
    ...changed(
      written.sourceRoutes,
      wanted.sourceRoutes,
      sameReal,
      (_, route): MapWrite => ({
        kind: 'source-route',
        ...route,
      }),
    ),
    ...[...wanted.downReals]
      .filter(([key, { vip }]) => !written.downReals.has(key) || goneVips.has(formatVip(vip)))
      .map(([, down]): MapWrite => ({ kind: 'down-real', ...down })),
    ...changed(
      written.globalFlows,
      wanted.globalFlows,
      sameReal,
      (_, entry): MapWrite => ({
        kind: 'global-flow',
        ...entry,
      }),
    ),
  ];
}

const sameReal = (a: { readonly real: number }, b: { readonly real: number }) => a.real === b.real;

function goneRoutes(written: TableImage, wanted: TableImage): MapWrite[] {
  return [
    ...gone(
      written.globalFlows,
      wanted.globalFlows,
      (_, { flow }): MapWrite => ({
        kind: 'delete-global-flow',
        flow,
      }),
    ),
    ...gone(
      written.downReals,
      wanted.downReals,
      (_, down): MapWrite => ({
        kind: 'delete-down-real',
        ...down,
      }),
    ),
    ...gone(
      written.sourceRoutes,
      wanted.sourceRoutes,
      (_, { prefix }): MapWrite => ({
        kind: 'delete-source-route',
        prefix,
      }),
    ),
    ...gone(written.serverIds, wanted.serverIds, (id): MapWrite => ({ kind: 'delete-server-id', id })),
  ];
}

/** Whether a VIP is at another place in the tables than before. */
const isMoved = (old: VipImage, { key, number }: VipImage) =>
  old.number !== number || (old.key !== key && formatVip(old.key) !== formatVip(key));

function vipWrites(written: TableImage, wanted: TableImage): MapWrite[] {
  const writes: MapWrite[] = [];
  for (const [, vip, old] of differing(written.vips, wanted.vips)) {
    const { key, number, ring, flags } = vip;
    const isNew = old === undefined || isMoved(old, vip);
    if (isNew || old.ring !== ring) writes.push({ kind: 'vip-ring', vip: number, ring });
    if (isNew || old.flags !== flags) writes.push({ kind: 'vip', key, number, flags });
  }
  return writes;
}

/** VIPs that are to be taken out of where they are. */
function goneVipsOf(written: TableImage, wanted: TableImage): VipImage[] {
  if (written.vips === wanted.vips) return [];
  const vips: VipImage[] = [];
  for (const [name, old] of written.vips) {
    const now = wanted.vips.get(name);
    if (now !== old && (now === undefined || isMoved(old, now))) vips.push(old);
  }
  return vips;
}

function watchWrites(written: TableImage, wanted: TableImage): MapWrite[] {
  const [old, now] = [written.watched, wanted.watched].map((vip) => vip && formatVip(vip));
  return old === now ? [] : [{ kind: 'watch', vip: wanted.watched }];
}

/**
 * The writes that lead from what is written to what is wanted, in an order in which every packet between two of
 * them finds what it needs: backend rows, rings and routes, VIPs, tunnels; and the other way round for what goes.
 * Tunnels and VIPs that go do so first, so that a number or a ring that is given on is out of use when it is written.
 */
export function plan(written: TableImage, wanted: TableImage): MapWrite[] {
  const goneVips = goneVipsOf(written, wanted);
  return [
    ...gone(
      written.decapDestinations,
      wanted.decapDestinations,
      (_, { address }): MapWrite => ({
        kind: 'delete-decap',
        address,
      }),
    ),
    ...goneVips.map(({ key, number }) => ({ kind: 'delete-vip', key, number }) as const),
    ...nodeWrites(written, wanted),
    ...realWrites(written, wanted),
    ...ringWrites(written, wanted),
    ...routeWrites(written, wanted, new Set(goneVips.map(({ key }) => formatVip(key)))),
    ...vipWrites(written, wanted),
    ...watchWrites(written, wanted),
    ...changed(
      written.decapDestinations,
      wanted.decapDestinations,
      (a, b) => a.egress === b.egress,
      (_, destination): MapWrite => ({ kind: 'decap', ...destination }),
    ),
    ...goneRoutes(written, wanted),
    ...gone(written.rings, wanted.rings, (ring): MapWrite => ({ kind: 'clear-ring', ring })),
    ...gone(written.reals, wanted.reals, (index): MapWrite => ({ kind: 'clear-real', index })),
  ];
}
