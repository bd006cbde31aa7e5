import { type Btf, parseBtf } from './btf.js';
import { fillDatasecs } from './btf-datasec.js';
import { type BtfExt, parseBtfExt } from './btf-ext.js';
import { type ElfObject, type ElfSection, parseElf, SHT_NOBITS } from './elf.js';
import { findMaps } from './map-defs.js';
import { Linker } from './relocate.js';
import type { ObjectSpec, ProgramType } from './spec.js';

export { BtfError } from './btf.js';
export { ElfError } from './elf.js';
export { ObjectError, type ObjectFault, type ObjectStage } from './fault.js';
export { MapDefError } from './map-defs.js';
export { LinkError } from './relocate.js';

/** Program types by section name, as libbpf's section names have them: the name alone or followed by `/…`. */
const SECTION_TYPES: readonly { readonly name: string; readonly type: ProgramType }[] = [
  { name: 'xdp', type: 'xdp' },
  { name: 'xdp.frags', type: 'xdp' },
  { name: 'tc', type: 'sched_cls' },
  { name: 'classifier', type: 'sched_cls' },
  { name: 'tcx', type: 'sched_cls' },
];

/** Type of the programs of a section; 'unspec' for a name that is not known. */
export function programType(section: string): ProgramType {
  return (
    SECTION_TYPES.find(({ name }) => section === name || section.startsWith(`${name}/`))?.type ?? 'unspec'
  );
}

function contentOf(elf: ElfObject, name: string): ElfSection | undefined {
  return elf.sections.find((section) => section.name === name && section.type !== SHT_NOBITS);
}

function licenseOf(elf: ElfObject): string {
  const data = contentOf(elf, 'license')?.data ?? new Uint8Array(0);
  const end = data.indexOf(0);
  return new TextDecoder().decode(end < 0 ? data : data.subarray(0, end));
}

/**
 * Read a BPF object file (ELF, little endian) as clang writes it: programs linked and relocated, maps by
 * BTF, data sections as maps, source lines. Bytes in, plain data out; the same bytes give the same spec.
 * @throws ObjectError (ElfError, BtfError, MapDefError, LinkError) with stage, section and offset
 */
export function loadObject(bytes: Uint8Array): ObjectSpec {
  // A copy: the spec must not change with the caller's buffer (a Buffer's own slice() would not copy).
  const elf = parseElf(new Uint8Array(bytes));
  const rawBtf = contentOf(elf, '.BTF');
  const btf: Btf | undefined = rawBtf === undefined ? undefined : fillDatasecs(parseBtf(rawBtf.data), elf);
  const rawExt = contentOf(elf, '.BTF.ext');
  const ext: BtfExt | undefined =
    rawExt === undefined || btf === undefined ? undefined : parseBtfExt(rawExt.data, btf);
  const maps = findMaps(elf, btf);
  const linker = new Linker(elf, maps, btf, ext);
  return {
    license: licenseOf(elf),
    programs: linker.entries.map((entry) => ({
      name: entry.name,
      section: entry.section,
      type: programType(entry.section),
      ...linker.link(entry),
    })),
    maps: maps.specs,
    globals: [],
    ...(btf === undefined ? {} : { btf }),
  };
}
