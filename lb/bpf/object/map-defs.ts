import { MAP_TYPES, type MapSpec, type MapTypeName } from '../maps/map.js';
import type { Btf, BtfMember, BtfOf, BtfType } from './btf.js';
import { type ElfObject, type ElfRelocation, type ElfSection, R_BPF_64_ABS64 } from './elf.js';
import { type FunctionTable, SLOT_BYTES } from './functions.js';
import { mapFail } from './map-fault.js';
import { specialFields } from './special-fields.js';

/** Section of maps defined by BTF (libbpf's `SEC(".maps")` convention: __uint, __type, __array). */
export const MAPS_SECTION = '.maps';
const POINTER_BYTES = 8;
const PIN_NONE = 0;
const PIN_BY_NAME = 1;
const MAP_IN_MAP: ReadonlySet<MapTypeName> = new Set(['ARRAY_OF_MAPS', 'HASH_OF_MAPS']);
const TYPE_OF_NUMBER = new Map<number, MapTypeName>(
  Object.entries(MAP_TYPES).map(([name, number]) => [number, name as MapTypeName]),
);

/** A map and its place in its section. */
export interface PlacedMap {
  readonly offset: number;
  readonly spec: MapSpec;
}

function fail(code: Parameters<typeof mapFail>[0], offset: number, message: string): never {
  return mapFail(code, MAPS_SECTION, offset, message);
}

/** Where a definition stands, for its errors. */
interface Place {
  readonly name: string;
  readonly offset: number;
}

function badField(place: Place, member: BtfMember): never {
  return fail(
    'MAP_DEF_FIELD',
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
    fail('MAP_DEF_SIZE', place.offset, `map ${place.name}: ${what} is ${known} and ${size} bytes`);
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
  let mapExtra = 0;
  let numaNode: number | undefined;
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
        numaNode = uintField(btf, place, member);
        break;
      case 'map_extra':
        mapExtra = uintField(btf, place, member);
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
        fail('MAP_DEF_FIELD', place.offset, `map ${place.name}: unknown field ${member.name}`);
    }
  }
  const typeName = number === undefined ? undefined : TYPE_OF_NUMBER.get(number);
  if (typeName === undefined) {
    return fail(
      'MAP_DEF_TYPE',
      place.offset,
      `map ${place.name}: ${number === undefined ? 'no type' : `type ${number} is not known`}`,
    );
  }
  if (pinning !== PIN_NONE && (pinning !== PIN_BY_NAME || inner)) {
    fail('MAP_DEF_FIELD', place.offset, `map ${place.name}: pinning ${pinning}`);
  }
  const nests = MAP_IN_MAP.has(typeName);
  const holds = nests ? 'maps' : typeName === 'PROG_ARRAY' ? 'programs' : undefined;
  if (values !== undefined && holds === undefined)
    fail('MAP_DEF_VALUES', place.offset, `map ${place.name}: values of a ${typeName} are not supported`);
  if (values !== undefined && holds === 'programs' && values.target.kind !== 'func-proto')
    fail('MAP_DEF_VALUES', place.offset, `map ${place.name}: values are not functions`);
  const innerSpec = nests ? parseInner(btf, values?.target, place, inner) : undefined;
  // The value is the inner map's or program's descriptor or number: 4 bytes (bpf(2)).
  const size = nests || values !== undefined ? mergeSize(place, 'value', valueSize, 4) : valueSize;
  return {
    spec: {
      name: place.name,
      type: typeName,
      keySize: keySize ?? 0,
      valueSize: size ?? 0,
      maxEntries,
      flags,
      ...(mapExtra === 0 ? {} : { mapExtra }),
      ...(numaNode === undefined ? {} : { numaNode }),
      ...(innerSpec === undefined ? {} : { inner: innerSpec }),
      ...(pinning === PIN_BY_NAME ? { pinned: true } : {}),
      ...ids,
      ...specialFields(btf, ids.valueTypeId),
    },
    ...(values === undefined ? {} : { valuesAt: values.at }),
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
    return fail('MAP_DEF_INNER', place.offset, `map ${place.name}: the inner type is not a plain map`);
  }
  return parseDefinition(btf, target, { name: `${place.name}.inner`, offset: place.offset }, true).spec;
}

/**
 * Maps of `.maps` by rising offset, from its DATASEC.
 * @param btf with DATASECs filled in (fillDatasecs)
 * @throws MapDefError, BtfError
 */
export function btfMaps(
  elf: ElfObject,
  section: ElfSection,
  functions: FunctionTable,
  btf: Btf,
): readonly PlacedMap[] {
  const datasec = btf.find('datasec', MAPS_SECTION);
  if (datasec === undefined) return fail('MAP_DEF_NO_BTF', 0, 'no BTF of the maps: build with -g');
  const places = [...datasec.vars].sort((a, b) => a.offset - b.offset);
  let end = 0;
  const definitions = places.map((place): PlacedDefinition => {
    const variable = btf.type(place.type);
    const type = variable.kind === 'var' ? btf.resolve(variable.type) : variable;
    if (variable.kind !== 'var' || type.kind !== 'struct')
      return fail('MAP_DEF_TYPE', place.offset, `${variable.name} is not a map definition`);
    if (place.offset < end || place.sizeBytes === 0 || place.offset + place.sizeBytes > section.sizeBytes)
      fail('MAP_DEF_PLACE', place.offset, `map ${variable.name} overlaps another or the end of the section`);
    end = place.offset + place.sizeBytes;
    const definition = parseDefinition(btf, type, { name: variable.name, offset: place.offset }, false);
    return { offset: place.offset, end, ...definition };
  });
  fillValues(elf, section, functions, definitions);
  return definitions;
}

interface PlacedDefinition extends Definition {
  readonly offset: number;
  readonly end: number;
  spec: MapSpec;
}

/** Give each map the maps or programs that the relocations of its `values` name. */
function fillValues(
  elf: ElfObject,
  section: ElfSection,
  functions: FunctionTable,
  definitions: readonly PlacedDefinition[],
): void {
  const content = new DataView(section.data.buffer, section.data.byteOffset, section.data.byteLength);
  for (const relocation of elf.relocations(section)) {
    const { offset } = relocation;
    const owner = definitions.find((one) => offset >= one.offset && offset < one.end);
    const into = owner?.valuesAt === undefined ? -1 : offset - owner.offset - owner.valuesAt;
    if (owner === undefined || relocation.type !== R_BPF_64_ABS64 || into < 0 || into % POINTER_BYTES !== 0)
      fail('MAP_DEF_VALUES', offset, 'a pointer that is not in the values of a map');
    const index = into / POINTER_BYTES;
    // The addend is in place; it counts where the symbol is the section's.
    const addend = offset + 4 <= content.byteLength ? content.getInt32(offset, true) : 0;
    const place = relocation.symbol.value + addend;
    owner.spec = fillSlot(owner.spec, index, relocation, place, { section, functions, definitions });
  }
}

function fillSlot(
  spec: MapSpec,
  index: number,
  { offset, symbol }: ElfRelocation,
  place: number,
  known: {
    readonly section: ElfSection;
    readonly functions: FunctionTable;
    readonly definitions: readonly PlacedDefinition[];
  },
): MapSpec {
  if (spec.type === 'PROG_ARRAY') {
    const program = known.functions.at(symbol.section, place / SLOT_BYTES)?.name;
    if (program === undefined)
      return fail('MAP_DEF_VALUES', offset, `map ${spec.name}: slot ${index} is not a program`);
    return { ...spec, programs: [...(spec.programs ?? []), { index, program }] };
  }
  const inner =
    symbol.section === known.section.index
      ? known.definitions.find((one) => one.offset === place)?.spec
      : undefined;
  if (inner === undefined)
    return fail('MAP_DEF_VALUES', offset, `map ${spec.name}: slot ${index} is not a map`);
  return { ...spec, slots: [...(spec.slots ?? []), { index, map: inner.name }] };
}
