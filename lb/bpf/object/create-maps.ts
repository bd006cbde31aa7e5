import { CodedError, type Fault } from '../../errors.js';
import type { BpfMap, MapSpec } from '../maps/map.js';
import type { ObjectSpec } from './spec.js';

export interface CreateMapsFault extends Fault {
  readonly code: 'MAPS_SLOT';
  readonly map: string;
  readonly index: number;
  readonly errno: number;
}
/** A slot of a map of maps could not be filled. */
export class CreateMapsError extends CodedError<CreateMapsFault> {}

/**
 * Create every map of an object in one host, in the order of the spec (so that the index in a program's
 * code is the index of the map), and point the slots of maps of maps at their maps.
 * On failure what was created is closed again.
 * @param host the arena's maps or the kernel's (a MapHost)
 * @param adjust changes a spec before its map is created (sizes, constants of .rodata)
 * @returns live maps by name, in the order of `object.maps`
 * @throws CreateMapsError, and what the host throws
 */
export function createMaps<M extends BpfMap>(
  object: ObjectSpec,
  host: { createMap(spec: MapSpec): M },
  adjust: (spec: MapSpec) => MapSpec = (spec) => spec,
): Map<string, M> {
  const maps = new Map<string, M>();
  try {
    for (const spec of object.maps) maps.set(spec.name, host.createMap(adjust(spec)));
    for (const spec of object.maps) fillSlots(spec, maps);
  } catch (error) {
    for (const map of maps.values()) map.close();
    throw error;
  }
  return maps;
}

function fillSlots(spec: MapSpec, maps: ReadonlyMap<string, BpfMap>): void {
  for (const slot of spec.slots ?? []) {
    const inner = maps.get(slot.map);
    const key = new Uint8Array(4);
    new DataView(key.buffer).setUint32(0, slot.index, true);
    const status = inner === undefined ? -1 : (maps.get(spec.name)?.updateInner(key, inner) ?? -1);
    if (status !== 0) {
      const fault = { code: 'MAPS_SLOT', map: spec.name, index: slot.index, errno: -status } as const;
      throw new CreateMapsError(
        fault,
        `slot ${slot.index} of map ${spec.name} (${slot.map}): errno ${-status}`,
      );
    }
  }
}
