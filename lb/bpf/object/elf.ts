import { ObjectError, type ObjectFault } from './fault.js';
import { Reader } from './reader.js';

// ELF-64 (System V ABI, chapters 4 and 5), as far as a relocatable BPF object uses it.
const HEADER_BYTES = 64;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const REL_BYTES = 16;
const ELF_MAGIC = 0x464c457f;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const EV_CURRENT = 1;
const ET_REL = 1;
/** e_machine of BPF (RFC 9669 leaves it to the ELF registry: 247). */
export const EM_BPF = 247;

export const SHT_PROGBITS = 1;
const SHT_SYMTAB = 2;
const SHT_STRTAB = 3;
const SHT_RELA = 4;
export const SHT_NOBITS = 8;
const SHT_REL = 9;

export const SHF_ALLOC = 2;
export const SHF_EXECINSTR = 4;
const SHF_COMPRESSED = 0x800;

export const SHN_UNDEF = 0;
/** Section indices from here up are special: absolute, common, extended. */
export const SHN_LORESERVE = 0xff00;

// Relocations of BPF (Linux Documentation/bpf/llvm_reloc.rst); the others are of debug sections.
/** A 64-bit immediate in code. */
export const R_BPF_64_64 = 1;
/** A 64-bit word of data. */
export const R_BPF_64_ABS64 = 2;
/** The target of a call. */
export const R_BPF_64_32 = 10;

/** A variable without a section (-fcommon); its value is its alignment. */
export const SHN_COMMON = 0xfff2;

export const STB_LOCAL = 0;
export const STB_WEAK = 2;
export const STT_NOTYPE = 0;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STT_SECTION = 3;

// Visibility of symbols (ELF gABI, st_other).
const VISIBILITY_MASK = 3;
/** STV_INTERNAL and STV_HIDDEN. */
const HIDDEN: ReadonlySet<number> = new Set([1, 2]);

export interface ElfFault extends ObjectFault {
  readonly code:
    | 'ELF_TRUNCATED'
    | 'ELF_MAGIC'
    | 'ELF_CLASS'
    | 'ELF_TYPE'
    | 'ELF_MACHINE'
    | 'ELF_HEADER'
    | 'ELF_SECTION'
    | 'ELF_STRING'
    | 'ELF_SYMBOL'
    | 'ELF_RELOCATION';
  readonly stage: 'elf';
}
/** The file is not a well-formed relocatable BPF object. */
export class ElfError extends ObjectError<ElfFault> {}

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  /** Bytes in memory; for SHT_NOBITS there is no content in the file. */
  readonly sizeBytes: number;
  readonly link: number;
  readonly info: number;
  readonly entryBytes: number;
  /** Content, a view of the file; empty for SHT_NOBITS. */
  readonly data: Uint8Array;
}

export interface ElfSymbol {
  readonly index: number;
  /** '' for a section's own symbol. */
  readonly name: string;
  /** Offset in its section, bytes. */
  readonly value: number;
  readonly sizeBytes: number;
  readonly binding: number;
  readonly type: number;
  /** Not to be seen from other objects (STV_HIDDEN, STV_INTERNAL). */
  readonly isHidden: boolean;
  /** Section index, SHN_UNDEF or a special index ≥ SHN_LORESERVE. */
  readonly section: number;
}

/** One SHT_REL entry; the addend is in the place that it patches. */
export interface ElfRelocation {
  readonly offset: number;
  readonly type: number;
  readonly symbol: ElfSymbol;
}

/** A parsed file: sections by index, symbols by index, relocations on demand. */
export interface ElfObject {
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  /**
   * Relocations of a section in rising order of offset.
   * @throws ElfError ELF_RELOCATION, ELF_TRUNCATED
   */
  relocations(section: ElfSection): readonly ElfRelocation[];
}

function fail(code: ElfFault['code'], section: string, offset: number, message: string): never {
  throw new ElfError({ code, stage: 'elf', section, offset }, message);
}

function reader(bytes: Uint8Array, section: string): Reader {
  return new Reader(bytes, (offset, needBytes) =>
    fail('ELF_TRUNCATED', section, offset, `${needBytes} bytes are needed, ${bytes.length} are there`),
  );
}

/** A 64-bit field as a number: what does not fit cannot be in a file. */
function word(r: Reader, offset: number, section: string): number {
  const value = r.u64(offset);
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    fail('ELF_TRUNCATED', section, offset, `value ${value} is out of range`);
  return Number(value);
}

function checkHeader(r: Reader): void {
  r.need(0, HEADER_BYTES);
  if (r.u32(0) !== ELF_MAGIC) fail('ELF_MAGIC', '', 0, 'not an ELF file');
  if (r.u8(4) !== ELFCLASS64 || r.u8(5) !== ELFDATA2LSB) {
    fail('ELF_CLASS', '', 4, 'not 64-bit little endian: build with -target bpf or bpfel');
  }
  if (r.u8(6) !== EV_CURRENT || r.u32(20) !== EV_CURRENT) fail('ELF_HEADER', '', 6, 'unknown ELF version');
  if (r.u16(16) !== ET_REL) fail('ELF_TYPE', '', 16, `e_type ${r.u16(16)} is not a relocatable object`);
  if (r.u16(18) !== EM_BPF) fail('ELF_MACHINE', '', 18, `e_machine ${r.u16(18)} is not BPF (${EM_BPF})`);
  if (r.u16(52) !== HEADER_BYTES) fail('ELF_HEADER', '', 52, `e_ehsize ${r.u16(52)} is not ${HEADER_BYTES}`);
}

function parseSections(r: Reader): ElfSection[] {
  const at = word(r, 40, '');
  const count = r.u16(60);
  const namesIndex = r.u16(62);
  if (r.u16(58) !== SECTION_HEADER_BYTES)
    fail('ELF_HEADER', '', 58, `e_shentsize ${r.u16(58)} is not ${SECTION_HEADER_BYTES}`);
  if (count === 0 || namesIndex >= count) fail('ELF_HEADER', '', 60, `no section names (${count} sections)`);
  r.need(at, count * SECTION_HEADER_BYTES);

  const raw = Array.from({ length: count }, (_, index) => {
    const header = at + index * SECTION_HEADER_BYTES;
    const type = r.u32(header + 4);
    const sizeBytes = word(r, header + 32, '');
    const hasContent = index !== 0 && type !== SHT_NOBITS;
    return {
      index,
      type,
      flags: word(r, header + 8, ''),
      sizeBytes,
      link: r.u32(header + 40),
      info: r.u32(header + 44),
      entryBytes: word(r, header + 56, ''),
      nameOffset: r.u32(header),
      data: hasContent ? r.slice(word(r, header + 24, ''), sizeBytes) : r.slice(0, 0),
    };
  });
  const names = raw[namesIndex];
  if (names === undefined || names.type !== SHT_STRTAB)
    fail('ELF_SECTION', '', 62, 'section names are not a string table');
  const table = reader(names.data, '.shstrtab');
  return raw.map(({ nameOffset, ...section }) => ({
    ...section,
    name: stringAt(table, nameOffset, '.shstrtab'),
  }));
}

function stringAt(table: Reader, offset: number, section: string): string {
  if (table.length === 0 && offset === 0) return '';
  return table.string(offset) ?? fail('ELF_STRING', section, offset, 'string has no end');
}

function parseSymbols(sections: readonly ElfSection[]): ElfSymbol[] {
  const tables = sections.filter((section) => section.type === SHT_SYMTAB);
  const table = tables[0];
  if (table === undefined) return [];
  if (tables.length > 1) fail('ELF_SECTION', tables[1]?.name ?? '', 0, 'a second symbol table');
  const strings = sections[table.link];
  if (strings === undefined || strings.type !== SHT_STRTAB)
    fail('ELF_SECTION', table.name, 0, 'symbol names are not a string table');
  if (table.entryBytes !== SYMBOL_BYTES || table.sizeBytes % SYMBOL_BYTES !== 0) {
    fail(
      'ELF_SYMBOL',
      table.name,
      0,
      `symbols of ${table.entryBytes} bytes in a table of ${table.sizeBytes}`,
    );
  }
  const r = reader(table.data, table.name);
  const names = reader(strings.data, strings.name);
  return Array.from({ length: table.sizeBytes / SYMBOL_BYTES }, (_, index) => {
    const at = index * SYMBOL_BYTES;
    const info = r.u8(at + 4);
    const section = r.u16(at + 6);
    if (section >= sections.length && section < SHN_LORESERVE)
      fail('ELF_SYMBOL', table.name, at, `section ${section} of a symbol does not exist`);
    return {
      index,
      name: stringAt(names, r.u32(at), strings.name),
      value: word(r, at + 8, table.name),
      sizeBytes: word(r, at + 16, table.name),
      binding: info >> 4,
      type: info & 0xf,
      isHidden: HIDDEN.has(r.u8(at + 5) & VISIBILITY_MASK),
      section,
    };
  });
}

function parseRelocations(
  target: ElfSection,
  table: ElfSection,
  symbols: readonly ElfSymbol[],
): ElfRelocation[] {
  if (table.entryBytes !== REL_BYTES || table.sizeBytes % REL_BYTES !== 0) {
    fail(
      'ELF_RELOCATION',
      table.name,
      0,
      `entries of ${table.entryBytes} bytes in a table of ${table.sizeBytes}`,
    );
  }
  const r = reader(table.data, table.name);
  const entries = Array.from({ length: table.sizeBytes / REL_BYTES }, (_, index) => {
    const at = index * REL_BYTES;
    const offset = word(r, at, table.name);
    const symbol = symbols[r.u32(at + 12)];
    if (offset >= target.sizeBytes)
      fail('ELF_RELOCATION', table.name, at, `offset ${offset} is outside ${target.name}`);
    if (symbol === undefined)
      fail('ELF_RELOCATION', table.name, at, `symbol ${r.u32(at + 12)} does not exist`);
    return { offset, type: r.u32(at + 8), symbol };
  });
  return entries.sort((a, b) => a.offset - b.offset);
}

/**
 * Parse a relocatable ELF-64 little-endian BPF object. Every bound is checked before the read; contents are views of `bytes`.
 * @throws ElfError with the section and the offset that failed
 */
export function parseElf(bytes: Uint8Array): ElfObject {
  const r = reader(bytes, '');
  checkHeader(r);
  const sections = parseSections(r);
  const symbols = parseSymbols(sections);
  const tables = new Map<number, ElfSection>();
  for (const section of sections) {
    if (section.type !== SHT_REL && section.type !== SHT_RELA) continue;
    if (tables.has(section.info))
      fail('ELF_RELOCATION', section.name, 0, 'a second relocation table for one section');
    tables.set(section.info, section);
  }
  return {
    sections,
    symbols,
    relocations(section) {
      if ((section.flags & SHF_COMPRESSED) !== 0) fail('ELF_SECTION', section.name, 0, 'compressed section');
      const table = tables.get(section.index);
      if (table === undefined) return [];
      // clang writes REL for BPF, whose addends are in place; RELA would be read wrongly.
      if (table.type === SHT_RELA)
        fail('ELF_RELOCATION', table.name, 0, 'relocations with addends (RELA) are not used for BPF');
      return parseRelocations(section, table, symbols);
    },
  };
}
