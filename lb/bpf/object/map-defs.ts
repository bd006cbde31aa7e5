import { MAP_FLAGS, MAP_TYPES, type MapSpec, type MapTypeName } from '../maps/map.js';
import type { Btf, BtfMember, BtfOf, BtfType } from './btf.js';
import {
  type ElfObject,
  type ElfSection,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHT_NOBITS,
  SHT_PROGBITS,
} from './elf.js';
import { ObjectError, type ObjectFault } from './fault.js';

/** Section of maps defined by BTF (libbpf's `SEC(".maps")` convention: __uint, __type, __array). */
export const MAPS_SECTION = '.maps';
/** Relocation of a 64-bit word of data (Linux Documentation/bpf/llvm_reloc.rst). */
export const R_BPF_64_ABS64 = 2;
const POINTER_BYTES = 8;
const MAX_DATA_BYTES = 2 ** 30;
const PIN_NONE = 0;
const PIN_BY_NAME = 1;
const MAP_IN_MAP: ReadonlySet<MapTypeName> = new Set(['ARRAY_OF_MAPS', 'HASH_OF_MAPS']);
const TYPE_OF_NUMBER = new Map<number, MapTypeName>(
  Object.entries(MAP_TYPES).map(([name, number]) => [number, name as MapTypeName]),
);

export interface MapDefFault extends ObjectFault {
  readonly code:
    | 'MAP_DEF_NO_BTF'
    | 'MAP_DEF_FIELD'
    | 'MAP_DEF_TYPE'
    | 'MAP_DEF_SIZE'
    | 'MAP_DEF_INNER'
    | 'MAP_DEF_VALUES'
    | 'MAP_DEF_PLACE'
    | 'MAP_DEF_LEGACY';
  readonly stage: 'maps';
}
/** A map definition is damaged, contradicts itself or is of a type that is not known here. */
export class MapDefError extends ObjectError<MapDefFault> {}

/** The maps of an object, and where its symbols find them. */
export interface ObjectMaps {
  readonly specs: readonly MapSpec[];
  /** Index in `specs` of the map that stands at an offset of `.maps`. */
  readonly byOffset: ReadonlyMap<number, number>;
  /** Index in `specs` of the map that holds a data section, by section index. */
  readonly bySection: ReadonlyMap<number, number>;
}

function fail(code: MapDefFault['code'], section: string, offset: number, message: string): never {
  throw new MapDefError({ code, stage: 'maps', section, offset }, message);
}

/** Where a definition stands, for its errors. */
interface Place {
  readonly name: string;
  readonly offset: number;
}

function badField(place: Place, member: BtfMember): never {
  return fail(
    'MAP_DEF_FIELD',
    MAPS_SECTION,
    place.offset,
    `map ${place.name}: field ${member.name} is not __uint, __type or __array`,
  );
}

/** `__uint(name, n)` is a pointer to an array of n; `__ulong(name, n)` an enum of one value n. */
function uintField(btf: Btf, place: Place, member: BtfMember): number {
  const type = btf.resolve(member.type);
  if (type.kind === 'enum' || type.kind === 'enum64') {
    const only = type.values[0];
    if (type.values.length !== 1 || only === undefined || only.value < 0n) return badField(place, member);
    return Number(only.value);
  }
  const array = type.kind === 'ptr' ? btf.resolve(type.type) : type;
  return type.kind === 'ptr' && array.kind === 'array' ? array.count : badField(place, member);
}

/** `__type(name, T)` is a pointer to T. */
function typeField(btf: Btf, place: Place, member: BtfMember): number {
  const type = btf.resolve(member.type);
  return type.kind === 'ptr' ? type.type : badField(place, member);
}

/** `__array(values, T)` is an array of pointers to T; gives T. */
function arrayField(btf: Btf, place: Place, member: BtfMember): BtfType {
  const array = btf.resolve(member.type);
  const pointer = array.kind === 'array' ? btf.resolve(array.type) : array;
  return array.kind === 'array' && pointer.kind === 'ptr'
    ? btf.resolve(pointer.type)
    : badField(place, member);
}

interface Definition {
  readonly spec: MapSpec;
  /** Offset in the definition of the pointers of `values`, bytes. */
  readonly valuesAt?: number;
}

/** Sizes given as a number and as a type must agree (`key_size` beside `key`). */
function mergeSize(place: Place, what: string, known: number | undefined, size: number): number {
  if (known !== undefined && known !== size) {
    fail(
      'MAP_DEF_SIZE',
      MAPS_SECTION,
      place.offset,
      `map ${place.name}: ${what} is ${known} and ${size} bytes`,
    );
  }
  return size;
}

function parseDefinition(btf: Btf, type: BtfOf<'struct'>, place: Place, inner: boolean): Definition {
  let number: number | undefined;
  let keySize: number | undefined;
  let valueSize: number | undefined;
  let maxEntries = 0;
  let flags = 0;
  let pinning = PIN_NONE;
  let values: { readonly target: BtfType; readonly at: number } | undefined;
  const ids: { keyTypeId?: number; valueTypeId?: number } = {};
  for (const member of type.members) {
    switch (member.name) {
      case 'type':
        number = uintField(btf, place, member);
        break;
      case 'max_entries':
        maxEntries = uintField(btf, place, member);
        break;
      case 'map_flags':
        flags = uintField(btf, place, member);
        break;
      case 'pinning':
        pinning = uintField(btf, place, member);
        break;
      case 'numa_node':
      case 'map_extra':
        // No meaning in the arena and not needed by the map types that are known: must be a number, no more.
        uintField(btf, place, member);
        break;
      case 'key_size':
        keySize = mergeSize(place, 'key', keySize, uintField(btf, place, member));
        break;
      case 'value_size':
        valueSize = mergeSize(place, 'value', valueSize, uintField(btf, place, member));
        break;
      case 'key':
        ids.keyTypeId = typeField(btf, place, member);
        keySize = mergeSize(place, 'key', keySize, btf.sizeOf(ids.keyTypeId));
        break;
      case 'value':
        ids.valueTypeId = typeField(btf, place, member);
        valueSize = mergeSize(place, 'value', valueSize, btf.sizeOf(ids.valueTypeId));
        break;
      case 'values':
        values = { target: arrayField(btf, place, member), at: member.bitOffset / 8 };
        break;
      default:
        fail('MAP_DEF_FIELD', MAPS_SECTION, place.offset, `map ${place.name}: unknown field ${member.name}`);
    }
  }
  const typeName = number === undefined ? undefined : TYPE_OF_NUMBER.get(number);
  if (typeName === undefined) {
    return fail(
      'MAP_DEF_TYPE',
      MAPS_SECTION,
      place.offset,
      `map ${place.name}: ${number === undefined ? 'no type' : `type ${number} is not known`}`,
    );
  }
  if (pinning !== PIN_NONE && (pinning !== PIN_BY_NAME || inner)) {
    fail('MAP_DEF_FIELD', MAPS_SECTION, place.offset, `map ${place.name}: pinning ${pinning}`);
  }
  const nests = MAP_IN_MAP.has(typeName);
  const innerSpec = nests ? parseInner(btf, values?.target, place, inner) : undefined;
  if (values !== undefined && !nests) {
    fail(
      'MAP_DEF_VALUES',
      MAPS_SECTION,
      place.offset,
      `map ${place.name}: values of a ${typeName} are not supported`,
    );
  }
  return {
    spec: {
      name: place.name,
      type: typeName,
      keySize: keySize ?? 0,
      // The value of a map of maps is the inner map's descriptor or number: 4 bytes (bpf(2)).
      valueSize: nests ? mergeSize(place, 'value', valueSize, 4) : (valueSize ?? 0),
      maxEntries,
      flags,
      ...(innerSpec === undefined ? {} : { inner: innerSpec }),
      ...(pinning === PIN_BY_NAME ? { pinned: true } : {}),
      ...ids,
    },
    ...(nests && values !== undefined ? { valuesAt: values.at } : {}),
  };
}

function parseInner(
  btf: Btf,
  target: BtfType | undefined,
  place: Place,
  nested: boolean,
): MapSpec | undefined {
  // Without a template the inner type is whoever creates the map's to give.
  if (target === undefined) return undefined;
  if (nested || target.kind !== 'struct') {
    return fail(
      'MAP_DEF_INNER',
      MAPS_SECTION,
      place.offset,
      `map ${place.name}: the inner type is not a plain map`,
    );
  }
  return parseDefinition(btf, target, { name: `${place.name}.inner`, offset: place.offset }, true).spec;
}

/** Maps of `.maps` with the place of each, from its DATASEC. */
function parseMapsSection(elf: ElfObject, section: ElfSection, btf: Btf) {
  const datasec = btf.find('datasec', MAPS_SECTION);
  if (datasec === undefined)
    return fail('MAP_DEF_NO_BTF', MAPS_SECTION, 0, 'no BTF of the maps: build with -g');
  const places = [...datasec.vars].sort((a, b) => a.offset - b.offset);
  let end = 0;
  const definitions = places.map((place) => {
    const variable = btf.type(place.type);
    const type = variable.kind === 'var' ? btf.resolve(variable.type) : variable;
    if (variable.kind !== 'var' || type.kind !== 'struct') {
      return fail('MAP_DEF_TYPE', MAPS_SECTION, place.offset, `${variable.name} is not a map definition`);
    }
    if (place.offset < end || place.sizeBytes === 0 || place.offset + place.sizeBytes > section.sizeBytes) {
      return fail(
        'MAP_DEF_PLACE',
        MAPS_SECTION,
        place.offset,
        `map ${variable.name} overlaps another or the end of the section`,
      );
    }
    end = place.offset + place.sizeBytes;
    return { place, ...parseDefinition(btf, type, { name: variable.name, offset: place.offset }, false) };
  });
  const byOffset = new Map(definitions.map(({ place }, index) => [place.offset, index]));

  const slots = definitions.map((): { index: number; map: string }[] => []);
  for (const relocation of elf.relocations(section)) {
    const owner = definitions.findIndex(
      ({ place }) => relocation.offset >= place.offset && relocation.offset < place.offset + place.sizeBytes,
    );
    const definition = definitions[owner];
    const target =
      relocation.symbol.section === section.index
        ? definitions[byOffset.get(relocation.symbol.value) ?? -1]
        : undefined;
    const into =
      definition?.valuesAt === undefined
        ? -1
        : relocation.offset - definition.place.offset - definition.valuesAt;
    if (
      relocation.type !== R_BPF_64_ABS64 ||
      into < 0 ||
      into % POINTER_BYTES !== 0 ||
      target === undefined
    ) {
      fail(
        'MAP_DEF_VALUES',
        MAPS_SECTION,
        relocation.offset,
        'not a pointer to a map in the values of a map of maps',
      );
    }
    slots[owner]?.push({ index: into / POINTER_BYTES, map: target.spec.name });
  }
  const specs = definitions.map(({ spec }, index): MapSpec => {
    const filled = slots[index] ?? [];
    return filled.length > 0 ? { ...spec, slots: filled } : spec;
  });
  return { specs, byOffset };
}

const DATA_SECTION = /^\.(rodata|data|bss)(\..+)?$/;

/** `.rodata`, `.data`, `.bss` and their `.name` variants: an ARRAY of one value, the section. */
function dataSpec(section: ElfSection, valueTypeId: number | undefined): MapSpec {
  if (section.sizeBytes > MAX_DATA_BYTES)
    fail('MAP_DEF_SIZE', section.name, 0, `${section.sizeBytes} bytes are too many`);
  const readOnly = section.name.startsWith('.rodata');
  return {
    name: section.name,
    type: 'ARRAY',
    keySize: 4,
    valueSize: section.sizeBytes,
    maxEntries: 1,
    flags: readOnly ? MAP_FLAGS.BPF_F_RDONLY_PROG : 0,
    ...(section.type === SHT_NOBITS ? {} : { initial: new Uint8Array(section.data) }),
    ...(readOnly ? { frozen: true } : {}),
    ...(valueTypeId === undefined ? {} : { valueTypeId }),
  };
}

/**
 * Find the maps of an object: those of `.maps`, then its data sections.
 * @param btf with DATASECs filled in (fillDatasecs)
 * @throws MapDefError, BtfError
 */
export function findMaps(elf: ElfObject, btf: Btf | undefined): ObjectMaps {
  const datasecs = new Map(
    btf?.types.flatMap(({ kind, name, id }) => (kind === 'datasec' ? [[name, id]] : [])),
  );
  const specs: MapSpec[] = [];
  let byOffset = new Map<number, number>();
  const bySection = new Map<number, number>();
  for (const section of elf.sections) {
    if (section.name === 'maps')
      fail('MAP_DEF_LEGACY', section.name, 0, 'legacy map definitions: use SEC(".maps")');
    if (section.name !== MAPS_SECTION || section.sizeBytes === 0) continue;
    if (specs.length > 0) fail('MAP_DEF_PLACE', MAPS_SECTION, 0, 'a second .maps section');
    if (btf === undefined) fail('MAP_DEF_NO_BTF', MAPS_SECTION, 0, 'no BTF of the maps: build with -g');
    const parsed = parseMapsSection(elf, section, btf);
    specs.push(...parsed.specs);
    byOffset = parsed.byOffset;
  }
  for (const section of elf.sections) {
    const loaded =
      (section.flags & SHF_ALLOC) !== 0 && (section.type === SHT_PROGBITS || section.type === SHT_NOBITS);
    if (
      !loaded ||
      (section.flags & SHF_EXECINSTR) !== 0 ||
      section.sizeBytes === 0 ||
      !DATA_SECTION.test(section.name)
    )
      continue;
    if (section.name.startsWith('.rodata') && (section.flags & SHF_WRITE) !== 0) {
      fail('MAP_DEF_PLACE', section.name, 0, 'a read-only section that is writable');
    }
    checkNoPointers(elf, section);
    bySection.set(section.index, specs.length);
    specs.push(dataSpec(section, datasecs.get(section.name)));
  }
  const names = new Set<string>();
  for (const { name } of specs) {
    if (names.has(name)) fail('MAP_DEF_PLACE', MAPS_SECTION, 0, `two maps of the name ${name}`);
    names.add(name);
  }
  return { specs, byOffset, bySection };
}

/** A pointer in data would need an address that only the running map has; the kernel knows none either. */
function checkNoPointers(elf: ElfObject, section: ElfSection): void {
  const pointer = elf.relocations(section)[0];
  if (pointer !== undefined)
    fail('MAP_DEF_VALUES', section.name, pointer.offset, 'a pointer in data cannot be resolved');
}
