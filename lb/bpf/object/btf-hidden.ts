import { type Btf, parseBtf } from './btf.js';
import { type ElfObject, STT_FUNC } from './elf.js';

/** enum btf_func_linkage: BTF_FUNC_STATIC. */
const FUNC_STATIC = 0;
/** Where a type's 16-bit vlen is, which is a FUNC's linkage (Documentation/bpf/btf.rst §2.2.12). */
const VLEN_AT = 4;

/**
 * BTF in which hidden functions (`__hidden`) are static, as libbpf makes them: a verifier then looks at them call by
 * call with what the caller knows, where it looks at a global function once and for all. The object's own bytes are not
 * touched.
 */
export function makeHiddenStatic(btf: Btf, elf: ElfObject): Btf {
  const hidden = new Set(
    elf.symbols.filter(({ isHidden, type }) => isHidden && type === STT_FUNC).map(({ name }) => name),
  );
  if (hidden.size === 0) return btf;
  const bytes = new Uint8Array(btf.bytes);
  const view = new DataView(bytes.buffer);
  for (const type of btf.types) {
    if (type.kind === 'func' && hidden.has(type.name)) view.setUint16(type.at + VLEN_AT, FUNC_STATIC, true);
  }
  return parseBtf(bytes);
}
