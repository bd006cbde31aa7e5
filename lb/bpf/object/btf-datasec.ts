import { type Btf, btfFail, parseBtf } from './btf.js';
import type { ElfObject } from './elf.js';

const DATASEC_HEAD_BYTES = 12;
const VAR_PLACE_BYTES = 12;
const VAR_STATIC = 0;
const MAX_SECTION_BYTES = 0xffff_ffff;

/**
 * BTF as the kernel accepts it. clang leaves the size of each DATASEC and the offset of each global
 * variable at 0, for the linker to fill in from the ELF section and symbols; the kernel refuses a
 * DATASEC of size 0. The object's own bytes are not touched.
 * @throws BtfError BTF_SIZE when the section is not large enough for its variables
 */
export function fillDatasecs(btf: Btf, elf: ElfObject): Btf {
  const datasecs = btf.types.filter((type) => type.kind === 'datasec');
  if (datasecs.length === 0) return btf;
  const bytes = new Uint8Array(btf.bytes);
  const view = new DataView(bytes.buffer);
  const sections = new Map(elf.sections.map((section) => [section.name, section]));
  const symbols = new Map(elf.symbols.map((symbol) => [`${symbol.section} ${symbol.name}`, symbol]));
  for (const datasec of datasecs) {
    const section = sections.get(datasec.name);
    // .ksyms and .kconfig have no ELF section; what uses them is refused when the program is linked.
    if (section === undefined) continue;
    if (section.sizeBytes > MAX_SECTION_BYTES)
      btfFail('BTF_SIZE', datasec.at, `${section.name} is too large`);
    view.setUint32(datasec.at + 8, section.sizeBytes, true);
    const places = datasec.vars.map((place) => {
      const variable = btf.type(place.type);
      if (variable.kind !== 'var') return notVariable(datasec.at, place.type);
      // A static variable's offset is there already: its symbol may be gone.
      const symbol =
        variable.linkage === VAR_STATIC ? undefined : symbols.get(`${section.index} ${variable.name}`);
      const offset = symbol?.value ?? place.offset;
      if (offset + place.sizeBytes > section.sizeBytes) {
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
