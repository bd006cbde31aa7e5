import { type BpfMap, ERRNO } from '../bpf/maps/map.js';
import type { CodedError } from '../errors.js';
import { errnoName } from '../sys/errno.js';
import type { MapSchema } from './structs.js';

/** What can be wrong with maps, in the codes of an area. */
export type MapFault<Area extends string> =
  | { readonly code: `${Area}_MAP_MISSING`; readonly map: string }
  | {
      readonly code: `${Area}_MAP_SHAPE`;
      readonly map: string;
      readonly keySize: number;
      readonly valueSize: number;
    }
  | {
      readonly code: `${Area}_WRITE`;
      readonly map: string;
      readonly operation: string;
      readonly errno: number;
    };

/** Codes of faults, and the class of errors that have them. */
export interface MapFaults<Area extends string> {
  readonly area: Area;
  readonly Fault: new (fault: MapFault<Area>, message: string) => CodedError;
}

/** Maps by name, each of the shape that a schema says; writes that are refused are faults. */
export class CheckedMaps<S extends MapSchema, Area extends string> {
  readonly #maps: ReadonlyMap<string, BpfMap>;
  readonly #faults: MapFaults<Area>;

  /** @throws MapFault MAP_MISSING, MAP_SHAPE */
  constructor(maps: ReadonlyMap<string, BpfMap>, schema: S, faults: MapFaults<Area>) {
    this.#maps = new Map(
      Object.entries(schema).map(([name, { key, value }]) => [
        name,
        checkedMap(maps.get(name), { name, key, value, ...faults }),
      ]),
    );
    this.#faults = faults;
  }

  get(name: keyof S & string): BpfMap {
    // The constructor has put every name of the schema in.
    return this.#maps.get(name)!;
  }

  /** Write an entry. @throws MapFault WRITE */
  update(name: keyof S & string, key: Uint8Array, value: Uint8Array): void {
    this.check(name, 'update', this.get(name).update(key, value));
  }

  /**
   * Take an entry out; one that is not there is out already.
   * @returns whether it was there
   * @throws MapFault WRITE
   */
  delete(name: keyof S & string, key: Uint8Array): boolean {
    const result = this.get(name).delete(key);
    if (result === -ERRNO.ENOENT) return false;
    this.check(name, 'delete', result);
    return true;
  }

  /** Turn the result of a map's operation into a fault where it is one. @throws MapFault WRITE */
  check(map: string, operation: string, result: number): void {
    if (result >= 0) return;
    const { area, Fault } = this.#faults;
    throw new Fault(
      { code: `${area}_WRITE`, map, operation, errno: -result },
      `map ${map}: ${operation} failed: ${errnoName(-result)}`,
    );
  }
}

function checkedMap<Area extends string>(
  map: BpfMap | undefined,
  { name, key, value, area, Fault }: MapSchema[string] & MapFaults<Area> & { readonly name: string },
): BpfMap {
  if (map === undefined) {
    throw new Fault({ code: `${area}_MAP_MISSING`, map: name }, `map ${name} is missing`);
  }
  const { keySize, valueSize } = map.spec;
  if (keySize === key.sizeBytes && valueSize === value.sizeBytes) return map;
  throw new Fault(
    { code: `${area}_MAP_SHAPE`, map: name, keySize, valueSize },
    `map ${name} has keys of ${keySize} and values of ${valueSize} bytes, wanted ${key.sizeBytes} and ${value.sizeBytes}`,
  );
}
