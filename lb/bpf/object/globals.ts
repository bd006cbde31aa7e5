import type { MapSpec } from '../maps/map.js';
import type { Btf } from './btf.js';
import { type ElfObject, STT_OBJECT } from './elf.js';
import { ObjectError, type ObjectFault } from './fault.js';
import type { ObjectMaps } from './object-maps.js';
import type { GlobalSpec } from './spec.js';
import { encodeValue } from './values.js';

export interface GlobalFault extends ObjectFault {
  readonly code: 'GLOBAL_MISSING' | 'GLOBAL_AMBIGUOUS' | 'GLOBAL_VALUE';
  readonly stage: 'globals';
}
/** A global variable that is to be set does not exist, or its type cannot hold the value. */
export class GlobalError extends ObjectError<GlobalFault> {}

const MAX_WORD_BYTES = 8;

/**
 * Global variables of the data maps, by map and offset: from BTF where it names the section, else by the symbols of
 * the section; common symbols.
 * @param btf with DATASECs filled in (fillDatasecs)
 */
export function findGlobals(elf: ElfObject, maps: ObjectMaps, btf?: Btf): readonly GlobalSpec[] {
  const globals: GlobalSpec[] = [];
  const described = new Set<number>();
  const mapsOfName = new Map<string, number>();
  for (const [section, map] of maps.bySection) {
    const name = elf.sections[section]?.name;
    // Of two sections of one name the types cannot say which they mean.
    if (name !== undefined && maps.specs[map]?.name === name) mapsOfName.set(name, section);
  }
  for (const datasec of btf?.types ?? []) {
    const section = datasec.kind === 'datasec' ? mapsOfName.get(datasec.name) : undefined;
    if (btf === undefined || section === undefined || datasec.kind !== 'datasec') continue;
    described.add(section);
    for (const { type, offset, sizeBytes } of datasec.vars) {
      const variable = btf.type(type);
      if (variable.kind === 'var')
        globals.push({
          name: variable.name,
          map: datasec.name,
          offset,
          bytes: sizeBytes,
          typeId: variable.type,
        });
    }
  }
  for (const symbol of elf.symbols) {
    const common = maps.common.get(symbol.index);
    const map = common?.map ?? maps.bySection.get(symbol.section);
    const isVariable = symbol.type === STT_OBJECT && symbol.name !== '' && !described.has(symbol.section);
    const spec = map === undefined ? undefined : maps.specs[map];
    const offset = common?.kind === 'value' ? common.offset : symbol.value;
    // What is outside its section belongs to nobody; a reference to it is refused when a program is linked.
    if (isVariable && spec !== undefined && offset + symbol.sizeBytes <= spec.valueSize)
      globals.push({ name: symbol.name, map: spec.name, offset, bytes: symbol.sizeBytes });
  }
  return globals.sort((a, b) => (a.map === b.map ? a.offset - b.offset : a.map < b.map ? -1 : 1));
}

/**
 * Write initial values of global variables.
 * @param values by name of the variable: what `encodeValue` takes for its type; without types a number of up to 8
 *   bytes, a boolean or the bytes
 * @returns the maps, those that hold the variables with other content
 * @throws GlobalError; `cause` says which part of a value did not fit
 */
export function setGlobals(
  specs: readonly MapSpec[],
  globals: readonly GlobalSpec[],
  values: Readonly<Record<string, unknown>>,
  btf?: Btf,
): readonly MapSpec[] {
  const changed = new Map<string, Uint8Array>();
  for (const [name, value] of Object.entries(values)) {
    const found = globals.filter((one) => one.name === name);
    const global = found[0];
    if (global === undefined) return fail('GLOBAL_MISSING', '', 0, `there is no global variable ${name}`);
    if (found.length > 1)
      fail('GLOBAL_AMBIGUOUS', global.map, global.offset, `${found.length} variables are ${name}`);
    const spec = specs.find((one) => one.name === global.map);
    const content =
      changed.get(global.map) ?? Uint8Array.from(spec?.initial ?? new Uint8Array(spec?.valueSize ?? 0));
    content.set(encodeGlobal(global, value, btf), global.offset);
    changed.set(global.map, content);
  }
  return specs.map((spec) => {
    const initial = changed.get(spec.name);
    return initial === undefined ? spec : { ...spec, initial };
  });
}

function encodeGlobal(global: GlobalSpec, value: unknown, btf: Btf | undefined): Uint8Array {
  try {
    const bytes =
      btf === undefined || global.typeId === undefined
        ? encodeUntyped(global, value)
        : encodeValue(btf, global.typeId, value);
    if (bytes.length === global.bytes) return bytes;
    return fail(
      'GLOBAL_VALUE',
      global.map,
      global.offset,
      `${global.name} has ${global.bytes} bytes, not ${bytes.length}`,
    );
  } catch (cause) {
    if (cause instanceof GlobalError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    const fault = {
      code: 'GLOBAL_VALUE',
      stage: 'globals',
      section: global.map,
      offset: global.offset,
    } as const;
    throw new GlobalError(fault, `global variable ${global.name}: ${why}`, { cause });
  }
}

/** Bytes as they are; a number in as many bytes as the variable has. */
function encodeUntyped({ bytes }: GlobalSpec, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value !== 'number' && typeof value !== 'bigint' && typeof value !== 'boolean')
    throw new TypeError('without types only a number or bytes can be set');
  if (bytes > MAX_WORD_BYTES) throw new RangeError(`a number for ${bytes} bytes`);
  const number = BigInt(value);
  const bits = bytes * 8;
  if (BigInt.asUintN(bits, number) !== number && BigInt.asIntN(bits, number) !== number)
    throw new RangeError(`${number} does not fit ${bytes} bytes`);
  const encoded = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at++) encoded[at] = Number(BigInt.asUintN(8, number >> BigInt(at * 8)));
  return encoded;
}

function fail(code: GlobalFault['code'], section: string, offset: number, message: string): never {
  throw new GlobalError({ code, stage: 'globals', section, offset }, message);
}
