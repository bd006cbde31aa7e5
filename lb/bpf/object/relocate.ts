import type { Btf } from './btf.js';
import { type BtfExt, firstAtOrAfter } from './btf-ext.js';
import type { CoreRelocator } from './core.js';
import { poison } from './core-apply.js';
import {
  type ElfObject,
  type ElfRelocation,
  type ElfSection,
  type ElfSymbol,
  R_BPF_64_32,
  R_BPF_64_64,
  SHN_COMMON,
  SHN_LORESERVE,
  SHN_UNDEF,
  STB_WEAK,
  STT_SECTION,
} from './elf.js';
import { type FunctionCode, type FunctionTable, SLOT_BYTES } from './functions.js';
import { linkFail } from './link-fault.js';
import { MAPS_SECTION } from './map-defs.js';
import { type ObjectMaps, placeOf } from './object-maps.js';

// Encodings that linking has to know (RFC 9669 §3, §5.4, §4.3).
const OP_LD_IMM64 = 0x18;
const OP_CALL = 0x85;
const OP_EXIT = 0x95;
const OP_JA32 = 0x06;
const CLASS_MASK = 0x07;
const CLASS_JMP = 0x05;
const CLASS_JMP32 = 0x06;
const SRC_CONSTANT = 0;
const SRC_MAP = 1;
const SRC_MAP_VALUE = 2;
const SRC_FUNCTION = 4;
const SRC_CALL_HELPER = 0;
const SRC_CALL_LOCAL = 1;

/** DATASEC of symbols that the kernel would have to define (`__ksym`). */
const KSYMS_SECTION = '.ksyms';

/** A reference to another function, to be patched when both have a place. */
export interface FunctionReference {
  readonly slot: number;
  readonly target: FunctionCode;
}

/** A function's code with everything resolved but where other functions are. Slots are its own. */
export interface FunctionBody {
  readonly code: Uint8Array;
  readonly references: readonly FunctionReference[];
  readonly poisoned: readonly { readonly slot: number; readonly why: string }[];
}

/** What relocations are resolved by. */
export interface RelocationSources {
  readonly elf: ElfObject;
  readonly functions: FunctionTable;
  readonly maps: ObjectMaps;
  readonly btf?: Btf;
  readonly ext?: BtfExt;
  readonly core?: CoreRelocator;
  /** `.kconfig` externs without a value, and why. */
  readonly unresolved?: ReadonlyMap<string, string>;
}

/** A function while it is resolved. */
interface Work {
  readonly fn: FunctionCode;
  readonly view: DataView;
  readonly references: FunctionReference[];
  readonly poisoned: { readonly slot: number; readonly why: string }[];
}

/** Resolves the relocations of functions, each once, however many programs reach it. */
export class Relocator {
  readonly #sources: RelocationSources;
  readonly #kernelSymbols: ReadonlySet<string>;
  readonly #relocations = new Map<number, ReadonlyMap<number, ElfRelocation>>();
  readonly #bodies = new Map<FunctionCode, FunctionBody>();

  constructor(sources: RelocationSources) {
    this.#sources = sources;
    const { btf } = sources;
    const symbols = btf?.find('datasec', KSYMS_SECTION)?.vars ?? [];
    this.#kernelSymbols = new Set(symbols.map(({ type }) => btf?.type(type).name ?? ''));
  }

  /** @throws LinkError, CoreError, ElfError, BtfError */
  body(fn: FunctionCode): FunctionBody {
    const known = this.#bodies.get(fn);
    if (known !== undefined) return known;
    if (fn.fault !== undefined) throw fn.fault;
    const code = new Uint8Array(fn.section.data.subarray(fn.start * SLOT_BYTES, fn.end * SLOT_BYTES));
    const work: Work = { fn, view: new DataView(code.buffer), references: [], poisoned: [] };
    this.#applyCore(work);
    const slots = fn.end - fn.start;
    for (let slot = 0; slot < slots; slot++) {
      const at = slot * SLOT_BYTES;
      const offset = (fn.start + slot) * SLOT_BYTES;
      const opcode = work.view.getUint8(at);
      const relocation = this.#relocation(fn.section, offset);
      if (opcode === OP_LD_IMM64) {
        if (slot + 1 === slots)
          linkFail('LINK_INSTRUCTION', fn.section, offset, `${fn.name} ends inside a 64-bit immediate`);
        const target = this.#resolveImmediate(work, at, offset, relocation);
        if (target !== undefined) work.references.push({ slot, target });
        slot++;
        if (this.#relocation(fn.section, offset + SLOT_BYTES) !== undefined)
          linkFail(
            'LINK_RELOCATION',
            fn.section,
            offset + SLOT_BYTES,
            'relocation inside a 64-bit immediate',
          );
      } else if (opcode === OP_CALL) {
        const target = this.#resolveCall(work, at, offset, relocation);
        if (target !== undefined) work.references.push({ slot, target });
      } else {
        if (relocation !== undefined)
          linkFail('LINK_RELOCATION', fn.section, offset, `relocation of opcode 0x${opcode.toString(16)}`);
        checkJump(fn, work.view, at, slot, slots);
      }
    }
    const body = { code, references: work.references, poisoned: work.poisoned };
    this.#bodies.set(fn, body);
    return body;
  }

  #applyCore({ fn, view, poisoned }: Work): void {
    const { ext, core } = this.#sources;
    const records = ext?.core.get(fn.section.name) ?? [];
    if (core === undefined) return;
    for (let i = firstAtOrAfter(records, fn.start * SLOT_BYTES); i < records.length; i++) {
      const info = records[i];
      if (info === undefined || info.offset >= fn.end * SLOT_BYTES) return;
      const slot = info.offset / SLOT_BYTES - fn.start;
      const place = { section: fn.section.name, offset: info.offset };
      const refused = core.apply(info, view, slot * SLOT_BYTES, place);
      for (let extra = 0; extra < (refused?.slots ?? 0); extra++)
        poisoned.push({ slot: slot + extra, why: refused?.why ?? '' });
    }
  }

  #relocation(section: ElfSection, offset: number): ElfRelocation | undefined {
    let known = this.#relocations.get(section.index);
    if (known === undefined) {
      const byOffset = new Map<number, ElfRelocation>();
      for (const relocation of this.#sources.elf.relocations(section)) {
        const isCode = relocation.type === R_BPF_64_64 || relocation.type === R_BPF_64_32;
        if (!isCode || relocation.offset % SLOT_BYTES !== 0 || byOffset.has(relocation.offset))
          linkFail(
            'LINK_RELOCATION',
            section,
            relocation.offset,
            `relocation of type ${relocation.type} in code`,
          );
        byOffset.set(relocation.offset, relocation);
      }
      known = byOffset;
      this.#relocations.set(section.index, known);
    }
    return known.get(offset);
  }

  /** LD_IMM64: a constant stays; a map, a place in data or an extern is patched; a function is returned. */
  #resolveImmediate(
    { fn, view }: Work,
    at: number,
    offset: number,
    relocation: ElfRelocation | undefined,
  ): FunctionCode | undefined {
    const register = view.getUint8(at + 1);
    if (relocation === undefined) {
      if (register >> 4 !== SRC_CONSTANT)
        linkFail(
          'LINK_RELOCATION',
          fn.section,
          offset,
          `64-bit immediate of kind ${register >> 4} without a relocation`,
        );
      return undefined;
    }
    const { symbol, type } = relocation;
    if (type !== R_BPF_64_64)
      linkFail('LINK_RELOCATION', fn.section, offset, `relocation of type ${type} of a 64-bit immediate`);
    checkSymbol(fn, symbol, offset);
    // The addend is in place: where the symbol is the section's, it is all of the offset.
    const addend = view.getInt32(at + 4, true);
    const patch = (kind: number, imm: number, next: number): void => {
      view.setUint8(at + 1, (register & 0x0f) | (kind << 4));
      view.setInt32(at + 4, imm, true);
      view.setInt32(at + SLOT_BYTES + 4, next, true);
    };
    const { maps, functions } = this.#sources;
    const place =
      symbol.section === SHN_UNDEF ? this.#extern(fn, symbol, offset, addend) : placeOf(maps, symbol, addend);
    if (place === 'absent') {
      patch(SRC_CONSTANT, 0, 0);
    } else if (place?.kind === 'map') {
      patch(SRC_MAP, place.map, 0);
    } else if (place?.kind === 'value') {
      if (place.offset < 0 || place.offset > place.sizeBytes) {
        const name = maps.specs[place.map]?.name ?? '';
        linkFail('LINK_SYMBOL', fn.section, offset, `${name}+${place.offset} is outside its section`);
      }
      patch(SRC_MAP_VALUE, place.map, place.offset);
    } else {
      const to = symbol.value + addend;
      const target = functions.at(symbol.section, to / SLOT_BYTES);
      if (target === undefined) return this.#noPlace(fn, symbol, to, offset);
      patch(SRC_FUNCTION, 0, 0);
      return target;
    }
    return undefined;
  }

  #noPlace(fn: FunctionCode, symbol: ElfSymbol, to: number, offset: number): never {
    const name = this.#sources.elf.sections[symbol.section]?.name ?? `section ${symbol.section}`;
    if (name === MAPS_SECTION) return linkFail('LINK_SYMBOL', fn.section, offset, `no map at ${name}+${to}`);
    const what = symbol.name === '' || symbol.type === STT_SECTION ? '' : `${symbol.name}: `;
    const message = `${what}${name}+${to} is neither a map, data nor a function`;
    return linkFail('LINK_SYMBOL', fn.section, offset, message);
  }

  /** A symbol that the object does not define: of the configuration, or of a kernel ('absent' where it is weak). */
  #extern(fn: FunctionCode, symbol: ElfSymbol, offset: number, addend: number) {
    const { name } = symbol;
    const why = this.#sources.unresolved?.get(name);
    if (why !== undefined) return linkFail('LINK_EXTERN', fn.section, offset, why);
    const place = this.#sources.maps.externs.get(name);
    if (place?.kind === 'value') return { ...place, offset: place.offset + addend };
    if (symbol.binding === STB_WEAK) return 'absent';
    if (this.#kernelSymbols.has(name))
      return linkFail('LINK_EXTERN', fn.section, offset, `kernel symbol ${name} is not offered`);
    return linkFail('LINK_EXTERN', fn.section, offset, `${name} is defined nowhere`);
  }

  /** CALL: a helper stays; the function of a local call is returned. */
  #resolveCall(
    work: Work,
    at: number,
    offset: number,
    relocation: ElfRelocation | undefined,
  ): FunctionCode | undefined {
    const { fn, view } = work;
    const kind = view.getUint8(at + 1) >> 4;
    const imm = view.getInt32(at + 4, true);
    if (relocation === undefined) {
      if (kind === SRC_CALL_HELPER) return undefined;
      if (kind !== SRC_CALL_LOCAL)
        return linkFail(
          'LINK_KFUNC',
          fn.section,
          offset,
          `call of kind ${kind} (kernel functions are not offered)`,
        );
      const slot = offset / SLOT_BYTES + imm + 1;
      return (
        this.#sources.functions.at(fn.section.index, slot) ??
        linkFail('LINK_CALL', fn.section, offset, `no function at slot ${slot} of the section`)
      );
    }
    const { symbol, type } = relocation;
    if (type !== R_BPF_64_32 || kind !== SRC_CALL_LOCAL)
      linkFail('LINK_RELOCATION', fn.section, offset, `relocation of type ${type} of a call of kind ${kind}`);
    checkSymbol(fn, symbol, offset);
    if (symbol.section === SHN_UNDEF) return this.#callExtern(work, symbol, at, offset);
    const slot = symbol.value / SLOT_BYTES + imm + 1;
    const section = this.#sources.elf.sections[symbol.section]?.name ?? '';
    return (
      this.#sources.functions.at(symbol.section, slot) ??
      linkFail('LINK_CALL', fn.section, offset, `no function at ${section}+${slot * SLOT_BYTES}`)
    );
  }

  /** A call of a kernel function: refused, or poisoned where the program says that it can do without. */
  #callExtern({ fn, view, poisoned }: Work, symbol: ElfSymbol, at: number, offset: number): undefined {
    const { name, binding } = symbol;
    if (binding === STB_WEAK) {
      poison(view, at);
      poisoned.push({ slot: at / SLOT_BYTES, why: `kernel function ${name} is not offered` });
      return undefined;
    }
    if (this.#kernelSymbols.has(name))
      return linkFail('LINK_KFUNC', fn.section, offset, `kernel function ${name} is not offered`);
    return linkFail('LINK_EXTERN', fn.section, offset, `function ${name} is defined nowhere`);
  }
}

/** Symbols that relocations of code may name: of a section, common ones, undefined ones. */
function checkSymbol(fn: FunctionCode, symbol: ElfSymbol, offset: number): void {
  if (symbol.section >= SHN_LORESERVE && symbol.section !== SHN_COMMON)
    linkFail('LINK_SYMBOL', fn.section, offset, `${symbol.name} stands in no section`);
  if (symbol.type === STT_SECTION && symbol.value !== 0)
    linkFail('LINK_SYMBOL', fn.section, offset, `section symbol ${symbol.index} is not 0`);
}

/** A jump that left its function would land in another one once linked: it is refused, as the kernel does. */
function checkJump(fn: FunctionCode, view: DataView, at: number, slot: number, slots: number): void {
  const opcode = view.getUint8(at);
  const group = opcode & CLASS_MASK;
  if ((group !== CLASS_JMP && group !== CLASS_JMP32) || opcode === OP_EXIT) return;
  const target = slot + 1 + (opcode === OP_JA32 ? view.getInt32(at + 4, true) : view.getInt16(at + 2, true));
  if (target < 0 || target >= slots)
    linkFail(
      'LINK_JUMP',
      fn.section,
      (fn.start + slot) * SLOT_BYTES,
      `jump out of ${fn.name} to its slot ${target}`,
    );
}
