import { MAP_TYPES, type MapSpec, type MapTypeName } from '../maps/map.js';
import type { Btf } from './btf.js';
import { type ElfObject, type ElfSection, type ElfSymbol, STB_LOCAL, STT_NOTYPE, STT_OBJECT } from './elf.js';
import type { FunctionTable } from './functions.js';
import { mapFail } from './map-fault.js';
import { Reader } from './reader.js';
import { specialFields } from './special-fields.js';

// Map definitions of before BTF: plain structs in a section `maps`, one for each symbol.

const TYPE_OF_NUMBER = new Map<number, MapTypeName>(
  Object.entries(MAP_TYPES).map(([name, number]) => [number, name as MapTypeName]),
);
const MAP_IN_MAP: ReadonlySet<MapTypeName> = new Set(['ARRAY_OF_MAPS', 'HASH_OF_MAPS']);

/** Words that every layout begins with: type, key size, value size, entries, and (from 20 bytes on) flags. */
const MIN_BYTES = 16;
/** struct bpf_map_def of libbpf before 1.0. */
const LIBBPF_BYTES = 20;
/**
 * Two words more: id and pinning in iproute2's older struct bpf_elf_map, inner_map_idx and numa_node in the kernel's
 * old samples. Nothing tells them apart, so that only the id is looked at, which needs sections named by it to count.
 */
const TWO_MORE_BYTES = 28;
/** struct bpf_elf_map of iproute2: id, pinning, inner_id, and since 4.12 inner_idx follow. */
const IPROUTE2_BYTES = 36;
const IPROUTE2_OLD_BYTES = 32;
/** struct bpf_map_def of gobpf: pinning and a namespace of 256 bytes follow. */
const GOBPF_MIN_BYTES = 256;
/** No place in an outer map (iproute2). */
const NO_INDEX = 0xffff_ffff;

/** A legacy definition, with what only iproute2's layout says. */
interface LegacyMap {
  readonly spec: MapSpec;
  readonly offset: number;
  readonly id: number;
  /** `id` of the map that the maps inside this one look like. */
  readonly innerId: number;
  /** Place of this map in the map whose `innerId` names it. */
  readonly innerIndex: number;
}

/** `maps`, or `maps/name` as gobpf has it. */
export function isLegacySection(section: ElfSection): boolean {
  return (section.name === 'maps' || section.name.startsWith('maps/')) && section.sizeBytes > 0;
}

/**
 * The maps of one legacy section by rising offset.
 * @throws MapDefError MAP_DEF_LEGACY, MAP_DEF_TYPE
 */
export function legacyMaps(
  elf: ElfObject,
  section: ElfSection,
  functions: FunctionTable,
  btf?: Btf,
): readonly { readonly offset: number; readonly spec: MapSpec }[] {
  const symbols = mapSymbols(elf, section);
  const maps = symbols.map((symbol, index) => {
    const end = symbols[index + 1]?.value ?? section.sizeBytes;
    return readMap(section, symbol, end, btf);
  });
  return maps.map((map) => ({ offset: map.offset, spec: linkMaps(elf, functions, map, maps) }));
}

/** One symbol for each place. Objects of clang before 4 have no types of symbols. */
function mapSymbols(elf: ElfObject, section: ElfSection): readonly ElfSymbol[] {
  const byPlace = new Map<number, ElfSymbol>();
  for (const symbol of elf.symbols) {
    const isData = symbol.type === STT_OBJECT || (symbol.type === STT_NOTYPE && symbol.binding !== STB_LOCAL);
    if (symbol.section === section.index && isData && symbol.name !== '') byPlace.set(symbol.value, symbol);
  }
  if (byPlace.size === 0) mapFail('MAP_DEF_LEGACY', section.name, 0, 'maps without symbols');
  return [...byPlace.values()].sort((a, b) => a.value - b.value);
}

function readMap(section: ElfSection, symbol: ElfSymbol, end: number, btf: Btf | undefined): LegacyMap {
  const { name, value: at } = symbol;
  const bytes = end - at;
  const reader = new Reader(section.data, (offset) =>
    mapFail('MAP_DEF_LEGACY', section.name, offset, `map ${name} is outside its section`),
  );
  if (bytes < MIN_BYTES)
    mapFail('MAP_DEF_LEGACY', section.name, at, `map ${name}: a definition of ${bytes} bytes`);
  const word = (offset: number): number => (offset + 4 <= bytes ? reader.u32(at + offset) : 0);
  reader.need(at, Math.min(bytes, IPROUTE2_BYTES));
  const type = TYPE_OF_NUMBER.get(word(0));
  if (type === undefined)
    return mapFail('MAP_DEF_TYPE', section.name, at, `map ${name}: type ${word(0)} is not known`);
  const isIproute2 = bytes === IPROUTE2_BYTES || bytes === IPROUTE2_OLD_BYTES;
  const isKnown = isIproute2 || bytes === TWO_MORE_BYTES || bytes >= GOBPF_MIN_BYTES;
  for (let offset = LIBBPF_BYTES; !isKnown && offset < bytes; offset++) {
    if (reader.u8(at + offset) !== 0)
      mapFail('MAP_DEF_LEGACY', section.name, at + offset, `map ${name}: options that are not known`);
  }
  const valueSize = word(8);
  const types = annotatedTypes(btf, name);
  const isPinned = isIproute2 ? word(24) !== 0 : bytes >= GOBPF_MIN_BYTES && word(20) !== 0;
  return {
    offset: at,
    id: isIproute2 || bytes === TWO_MORE_BYTES ? word(20) : 0,
    innerId: isIproute2 ? word(28) : 0,
    innerIndex: bytes === IPROUTE2_BYTES ? word(32) : NO_INDEX,
    spec: {
      name,
      type,
      keySize: word(4),
      valueSize: MAP_IN_MAP.has(type) && valueSize === 0 ? 4 : valueSize,
      maxEntries: word(12),
      flags: word(16),
      ...(isPinned ? { pinned: true } : {}),
      ...types,
      ...specialFields(btf, types.valueTypeId),
    },
  };
}

/** Types that BPF_ANNOTATE_KV_PAIR names: the members of a `struct ____btf_map_NAME`. */
function annotatedTypes(
  btf: Btf | undefined,
  name: string,
): { readonly keyTypeId?: number; readonly valueTypeId?: number } {
  const pair = btf?.find('struct', `____btf_map_${name}`);
  const key = pair?.members.find((member) => member.name === 'key');
  const value = pair?.members.find((member) => member.name === 'value');
  return key === undefined || value === undefined ? {} : { keyTypeId: key.type, valueTypeId: value.type };
}

/**
 * What iproute2's ids say: maps in maps, and programs in sections `id/index` that are slots of a PROG_ARRAY.
 */
function linkMaps(
  elf: ElfObject,
  functions: FunctionTable,
  map: LegacyMap,
  maps: readonly LegacyMap[],
): MapSpec {
  const { spec } = map;
  if (MAP_IN_MAP.has(spec.type)) {
    const insides = maps.filter(({ id }) => map.innerId !== 0 && id === map.innerId);
    const template = insides[0]?.spec;
    const slots = insides
      .filter(({ innerIndex }) => innerIndex !== NO_INDEX)
      .map((inside) => ({ index: inside.innerIndex, map: inside.spec.name }));
    return {
      ...spec,
      ...(template === undefined ? {} : { inner: template }),
      ...(slots.length === 0 ? {} : { slots }),
    };
  }
  if (spec.type !== 'PROG_ARRAY') return spec;
  const programs = elf.sections.flatMap((section) => {
    const slot = tailCallSection(section.name);
    const program = slot?.map === map.id ? functions.firstEntry(section)?.name : undefined;
    return slot === undefined || program === undefined ? [] : [{ index: slot.index, program }];
  });
  return programs.length === 0 ? spec : { ...spec, programs };
}

/** iproute2's `__section_tail(ID, KEY)`: a section named by the map's id and the slot, in decimal or 0x hex. */
export function tailCallSection(name: string): { readonly map: number; readonly index: number } | undefined {
  const match = /^(0x[0-9a-fA-F]{1,8}|\d{1,9})\/(0x[0-9a-fA-F]{1,8}|\d{1,9})$/.exec(name);
  return match === null ? undefined : { map: Number(match[1]), index: Number(match[2]) };
}
