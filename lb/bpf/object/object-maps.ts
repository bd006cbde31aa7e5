import type { MapSpec } from '../maps/map.js';
import type { Btf } from './btf.js';
import { commonMap, dataMap, isDataSection } from './data-maps.js';
import type { ElfObject, ElfSymbol } from './elf.js';
import type { FunctionTable } from './functions.js';
import type { Kconfig } from './kconfig.js';
import { isLegacySection, legacyMaps } from './legacy-maps.js';
import { btfMaps, MAPS_SECTION, type PlacedMap } from './map-defs.js';
import { mapFail } from './map-fault.js';

/** What a place in a section means to a program: a map itself, or a place in a data map's value. */
export type MapPlace =
  | { readonly kind: 'map'; readonly map: number }
  | { readonly kind: 'value'; readonly map: number; readonly offset: number; readonly sizeBytes: number };

/** The maps of an object, and where its symbols find them. Maps are named by their index in `specs`. */
export interface ObjectMaps {
  readonly specs: readonly MapSpec[];
  /** Sections whose places are maps: index of the map by offset, by the section's index. */
  readonly definitions: ReadonlyMap<number, ReadonlyMap<number, number>>;
  /** Index of the map that holds a data section, by the section's index. */
  readonly bySection: ReadonlyMap<number, number>;
  /** Places of common symbols, by the symbol's index. */
  readonly common: ReadonlyMap<number, MapPlace>;
  /** Place of a `.kconfig` extern in its map, by name. */
  readonly externs: ReadonlyMap<string, MapPlace>;
}

/** Collects maps under names that differ. */
class Collector {
  readonly specs: MapSpec[] = [];
  readonly #names = new Set<string>();

  /** @returns the index of the map */
  add(spec: MapSpec, section: string): number {
    if (this.#names.has(spec.name)) mapFail('MAP_DEF_PLACE', section, 0, `two maps of the name ${spec.name}`);
    this.#names.add(spec.name);
    return this.specs.push(spec) - 1;
  }

  addPlaced(maps: readonly PlacedMap[], section: string): ReadonlyMap<number, number> {
    return new Map(maps.map(({ offset, spec }) => [offset, this.add(spec, section)]));
  }

  /** A name for a further section of a name: `.rodata.2`. */
  freeName(name: string): string {
    if (!this.#names.has(name)) return name;
    for (let count = 2; ; count++) if (!this.#names.has(`${name}.${count}`)) return `${name}.${count}`;
  }
}

/**
 * Find the maps of an object: those of `.maps`, of legacy `maps` sections, its data sections, `.common`, `.kconfig`.
 * @param btf with DATASECs filled in (fillDatasecs)
 * @throws MapDefError, BtfError
 */
export function findMaps(elf: ElfObject, functions: FunctionTable, btf?: Btf, kconfig?: Kconfig): ObjectMaps {
  const datasecs = new Map(
    btf?.types.flatMap(({ kind, name, id }) => (kind === 'datasec' ? [[name, id]] : [])),
  );
  const maps = new Collector();
  const definitions = new Map<number, ReadonlyMap<number, number>>();
  const bySection = new Map<number, number>();
  for (const section of elf.sections) {
    if (section.name !== MAPS_SECTION || section.sizeBytes === 0) continue;
    if (definitions.size > 0) mapFail('MAP_DEF_PLACE', MAPS_SECTION, 0, 'a second .maps section');
    if (btf === undefined) mapFail('MAP_DEF_NO_BTF', MAPS_SECTION, 0, 'no BTF of the maps: build with -g');
    definitions.set(section.index, maps.addPlaced(btfMaps(elf, section, functions, btf), section.name));
  }
  for (const section of elf.sections) {
    if (!isLegacySection(section)) continue;
    const found = legacyMaps(elf, section, functions, btf);
    definitions.set(section.index, maps.addPlaced(found, section.name));
  }
  for (const section of elf.sections) {
    if (!isDataSection(section)) continue;
    const spec = dataMap(section, maps.freeName(section.name), btf, datasecs.get(section.name));
    bySection.set(section.index, maps.add(spec, section.name));
  }
  const common = commonMap(elf);
  const commonIndex = common === undefined ? 0 : maps.add(common.spec, common.spec.name);
  const kconfigIndex = kconfig === undefined ? 0 : maps.add(kconfig.spec, kconfig.spec.name);
  const valuePlaces = <K>(places: ReadonlyMap<K, number>, map: number): ReadonlyMap<K, MapPlace> => {
    const sizeBytes = maps.specs[map]?.valueSize ?? 0;
    return new Map([...places].map(([key, offset]) => [key, { kind: 'value', map, offset, sizeBytes }]));
  };
  return {
    specs: maps.specs,
    definitions,
    bySection,
    common: common === undefined ? new Map() : valuePlaces(common.places, commonIndex),
    externs: kconfig === undefined ? new Map() : valuePlaces(kconfig.places, kconfigIndex),
  };
}

/** What a symbol with an addend means, where it is a map or data; undefined where it is neither. */
export function placeOf(maps: ObjectMaps, symbol: ElfSymbol, addend: number): MapPlace | undefined {
  const common = maps.common.get(symbol.index);
  if (common?.kind === 'value') return { ...common, offset: common.offset + addend };
  const map = maps.definitions.get(symbol.section)?.get(symbol.value + addend);
  if (map !== undefined) return { kind: 'map', map };
  const data = maps.bySection.get(symbol.section);
  const sizeBytes = data === undefined ? 0 : (maps.specs[data]?.valueSize ?? 0);
  return data === undefined
    ? undefined
    : { kind: 'value', map: data, offset: symbol.value + addend, sizeBytes };
}
