import { type Btf, btfFail, parseBtf } from './btf.js';
import type { ElfObject } from './elf.js';
import { KCONFIG_SECTION, type Kconfig } from './kconfig.js';

const DATASEC_HEAD_BYTES = 12;
const VAR_PLACE_BYTES = 12;
const VAR_LINKAGE_AT = 12;
const VAR_STATIC = 0;
const VAR_GLOBAL = 1;
const MAX_SECTION_BYTES = 0xffff_ffff;

/**
 * BTF as the kernel accepts it. clang leaves the size of each DATASEC and the offset of each global
 * variable at 0, for the linker to fill in from the ELF section and symbols; the kernel refuses a
 * DATASEC of size 0. `.kconfig` gets its places from the map that was laid out for it. The object's own bytes are not
 * touched.
 * @throws BtfError BTF_SIZE when the section is not large enough for its variables
 */
export function fillDatasecs(btf: Btf, elf: ElfObject, kconfig?: Kconfig): Btf {
  const datasecs = btf.types.filter((type) => type.kind === 'datasec');
  if (datasecs.length === 0) return btf;
  const bytes = new Uint8Array(btf.bytes);
  const view = new DataView(bytes.buffer);
  const sections = new Map(elf.sections.map((section) => [section.name, section]));
  const symbols = new Map(elf.symbols.map((symbol) => [`${symbol.section} ${symbol.name}`, symbol]));
  for (const datasec of datasecs) {
    const section = sections.get(datasec.name);
    const externs = datasec.name === KCONFIG_SECTION ? kconfig : undefined;
    // .ksyms has no ELF section; what uses it is refused when the program is linked.
    if (section === undefined && externs === undefined) continue;
    const sizeBytes = externs?.spec.valueSize ?? section?.sizeBytes ?? 0;
    if (sizeBytes > MAX_SECTION_BYTES) btfFail('BTF_SIZE', datasec.at, `${datasec.name} is too large`);
    view.setUint32(datasec.at + 8, sizeBytes, true);
    const places = datasec.vars.map((place) => {
      const variable = btf.type(place.type);
      if (variable.kind !== 'var') return notVariable(datasec.at, place.type);
      if (externs !== undefined) view.setUint32(variable.at + VAR_LINKAGE_AT, VAR_GLOBAL, true);
      // A static variable's offset is there already: its symbol may be gone.
      const symbol =
        variable.linkage === VAR_STATIC ? undefined : symbols.get(`${section?.index} ${variable.name}`);
      const offset = externs?.places.get(variable.name) ?? symbol?.value ?? place.offset;
      if (offset + place.sizeBytes > sizeBytes) {
        btfFail('BTF_SIZE', datasec.at, `${variable.name} at ${offset} is outside ${datasec.name}`);
      }
      return { ...place, offset };
    });
    // In the order of the source until now; the kernel wants them by offset.
    places.sort((a, b) => a.offset - b.offset);
    for (const [index, place] of places.entries()) {
      const at = datasec.at + DATASEC_HEAD_BYTES + index * VAR_PLACE_BYTES;
      view.setUint32(at, place.type, true);
      view.setUint32(at + 4, place.offset, true);
      view.setUint32(at + 8, place.sizeBytes, true);
    }
  }
  return parseBtf(bytes);
}

function notVariable(at: number, id: number): never {
  return btfFail('BTF_KIND', at, `type ${id} is not a variable`);
}
