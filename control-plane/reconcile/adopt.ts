import {
  type Adopted,
  addressId,
  flowId,
  formatIp,
  formatVip,
  parseIp,
  prefixId,
  vipId,
} from '../../lb/index.js';
import { backendRows, type DesiredState, ringKey } from '../state/model.js';
import { flowKey, type RealImage, type RingImage, type TableImage, type VipImage } from './image.js';
import type { Placements, Unused } from './placements.js';

/** A ring whose slots are known, and not what they were made of: it is like no other. */
const NO_ADDRESS = parseIp('0.0.0.0');
const FOUND_RING: RingImage = {
  members: [{ index: 0, address: NO_ADDRESS, weight: 1 }],
  algorithm: 'v2',
};

/** Names in the places that no resource has. */
const nameOf = (what: string, number: number | string): string => `found ${what} ${number}`;

/**
 * What tables hold that another process wrote, as an image, and the same places for what is in the state too: connection
 * tables name backends by their rows.
 * @param places without anything in them; what is found is placed there
 * @returns the image, and what of the places is unused once the state's own image is written
 */
export function adopt(
  adopted: Adopted,
  state: DesiredState,
  places: Placements,
): { readonly image: TableImage; readonly unused: Unused } {
  const vips = adoptVips(adopted, state, places);
  const reals = adoptReals(adopted, state, places);
  const texts = textsOf(state);
  return {
    image: {
      routerMac: adopted.routerMac,
      ownAddresses: adopted.ownAddresses,
      reals: reals.image,
      rings: new Map([...adopted.rings].map((ring) => [ring, FOUND_RING])),
      vips: vips.image,
      serverIds: adopted.serverIds,
      sourceRoutes: new Map(
        [...adopted.sourceRoutes.values()].map((route) => [prefixId(route.prefix), route] as const),
      ),
      downReals: new Map(
        [...adopted.downReals.values()].map((down) => [
          `${texts.vip.get(vipId(down.vip)) ?? vipId(down.vip)} ${down.real}`,
          down,
        ]),
      ),
      globalFlows: new Map(
        [...adopted.globalFlows].map(([id, entry]) => [texts.flow.get(id) ?? id, entry] as const),
      ),
      decapDestinations: new Map(
        [...adopted.decapDestinations].map(([id, entry]) => [texts.address.get(id) ?? id, entry] as const),
      ),
      watched: adopted.watched,
    },
    unused: { ...vips.unused, reals: reals.unused },
  };
}

/** Texts that the image of the state has for what the maps know by bytes: they do not tell the families apart. */
function textsOf({ vips, globalFlows, node }: DesiredState) {
  return {
    vip: new Map([...vips.values()].map(({ key }) => [vipId(key), formatVip(key)])),
    flow: new Map(globalFlows.map(({ flow }) => [flowId(flow), flowKey(flow)])),
    address: new Map(node.decapDestinations.map(({ address }) => [addressId(address), formatIp(address)])),
  };
}

function adoptReals(
  { reals, strayReals, restingReals }: Adopted,
  state: DesiredState,
  places: Placements,
): { readonly image: Map<number, RealImage>; readonly unused: readonly string[] } {
  const image = new Map<number, RealImage>();
  for (const [key, { index, address, isLocal, mac }] of reals) {
    places.reals.adopt(key, index);
    image.set(index, { address, isLocal, mac });
  }
  for (const index of strayReals) {
    places.reals.adoptResting(index);
    image.set(index, { address: NO_ADDRESS, isLocal: false, mac: undefined });
  }
  for (const index of restingReals()) places.reals.adoptResting(index);
  const wanted = backendRows(state);
  return { image, unused: [...reals.keys()].filter((key) => !wanted.has(key)) };
}

function adoptVips(
  { vips: found, rings }: Adopted,
  state: DesiredState,
  places: Placements,
): { readonly image: Map<string, VipImage>; readonly unused: Pick<Unused, 'rings' | 'vips'> } {
  const image = new Map<string, VipImage>();
  const unused = { rings: [] as string[], vips: [] as string[] };
  const byId = new Map([...state.vips.values()].map((vip) => [vipId(vip.key), vip]));
  const placedRings = new Set<number>();
  for (const [id, { key, number, ring, flags }] of found) {
    const vip = byId.get(id);
    const name = vip?.name ?? nameOf('VIP', id);
    places.vips.adopt(name, number);
    image.set(name, { key: vip?.key ?? key, number, ring, flags });
    if (vip === undefined) unused.vips.push(name);
    else if (!placedRings.has(ring) && places.rings.get(ringKey(state, vip)) === undefined) {
      places.rings.adopt(ringKey(state, vip), ring);
      placedRings.add(ring);
    }
  }
  for (const ring of rings) {
    if (placedRings.has(ring)) continue;
    places.rings.adopt(nameOf('ring', ring), ring);
    unused.rings.push(nameOf('ring', ring));
  }
  return { image, unused };
}
