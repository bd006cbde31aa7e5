import { MAP_FLAGS, type MapSpec } from '../maps/map.js';
import type { Btf } from './btf.js';
import {
  type ElfObject,
  type ElfSection,
  type ElfSymbol,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHN_COMMON,
  SHT_NOBITS,
  SHT_PROGBITS,
} from './elf.js';
import { mapFail } from './map-fault.js';
import { specialFields } from './special-fields.js';

const MAX_DATA_BYTES = 2 ** 30;
const DATA_SECTION = /^\.(rodata|data|bss)(\..+)?$/;
/** Where variables without a section go (-fcommon): a linker would put them in .bss. */
export const COMMON_MAP = '.common';

/** Whether a section is the data of programs: `.rodata`, `.data`, `.bss` and their `.name` variants. */
export function isDataSection({ flags, name, sizeBytes, type }: ElfSection): boolean {
  return (
    (flags & SHF_ALLOC) !== 0 &&
    (flags & SHF_EXECINSTR) === 0 &&
    (type === SHT_PROGBITS || type === SHT_NOBITS) &&
    sizeBytes > 0 &&
    DATA_SECTION.test(name)
  );
}

/**
 * A data section as a map: an ARRAY of one value, the section. Pointers in data are left as they are in the file, which
 * is the addend: neither the kernel nor libbpf resolves them, and what a program loads there is a number to the verifier.
 * @param name of the map: the section's, unless two have the same
 * @throws MapDefError MAP_DEF_SIZE
 */
export function dataMap(section: ElfSection, name: string, btf?: Btf, valueTypeId?: number): MapSpec {
  if (section.sizeBytes > MAX_DATA_BYTES)
    mapFail('MAP_DEF_SIZE', section.name, 0, `${section.sizeBytes} bytes are too many`);
  const isReadOnly = section.name.startsWith('.rodata');
  return {
    name,
    type: 'ARRAY',
    keySize: 4,
    valueSize: section.sizeBytes,
    maxEntries: 1,
    flags: isReadOnly ? MAP_FLAGS.BPF_F_RDONLY_PROG : 0,
    ...(section.type === SHT_NOBITS ? {} : { initial: new Uint8Array(section.data) }),
    ...(isReadOnly ? { frozen: true } : {}),
    ...(valueTypeId === undefined ? {} : { valueTypeId }),
    ...specialFields(btf, valueTypeId),
  };
}

/** The map of common symbols, and where each symbol stands in it. */
export interface CommonMap {
  readonly spec: MapSpec;
  /** Offset by the symbol's index. */
  readonly places: ReadonlyMap<number, number>;
}

/**
 * Lay out the common symbols of an object: `st_value` is the alignment (System V ABI, "Symbol Values").
 * @throws MapDefError MAP_DEF_SIZE
 */
export function commonMap(elf: ElfObject): CommonMap | undefined {
  const symbols: readonly ElfSymbol[] = elf.symbols.filter(({ section }) => section === SHN_COMMON);
  if (symbols.length === 0) return undefined;
  const places = new Map<number, number>();
  let end = 0;
  for (const symbol of symbols) {
    const alignment = Math.max(symbol.value, 1);
    const offset = Math.ceil(end / alignment) * alignment;
    places.set(symbol.index, offset);
    end = offset + symbol.sizeBytes;
    if (!(end <= MAX_DATA_BYTES)) mapFail('MAP_DEF_SIZE', COMMON_MAP, 0, `${symbol.name} makes ${end} bytes`);
  }
  const spec: MapSpec = {
    name: COMMON_MAP,
    type: 'ARRAY',
    keySize: 4,
    valueSize: end,
    maxEntries: 1,
    flags: 0,
  };
  return { spec, places };
}
