import type { Btf } from './btf.js';
import type { BtfExt, LineInfo } from './btf-ext.js';
import {
  type ElfObject,
  type ElfRelocation,
  type ElfSection,
  type ElfSymbol,
  SHF_EXECINSTR,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHT_PROGBITS,
  STB_LOCAL,
  STT_FUNC,
  STT_SECTION,
} from './elf.js';
import { ObjectError, type ObjectFault } from './fault.js';
import { MAPS_SECTION, type ObjectMaps } from './map-defs.js';
import type { FunctionSpec, LineSpec } from './spec.js';

// Relocations of BPF (Linux Documentation/bpf/llvm_reloc.rst).
const R_BPF_64_64 = 1;
const R_BPF_64_32 = 10;

// Encodings that linking has to know (RFC 9669 §3, §5.4, §4.3).
const SLOT_BYTES = 8;
const OP_LD_IMM64 = 0x18;
const OP_CALL = 0x85;
const OP_EXIT = 0x95;
const OP_JA32 = 0x06;
const CLASS_MASK = 0x07;
const CLASS_JMP = 0x05;
const CLASS_JMP32 = 0x06;
const SRC_MAP = 1;
const SRC_MAP_VALUE = 2;
const SRC_FUNCTION = 4;
const SRC_CALL_HELPER = 0;
const SRC_CALL_LOCAL = 1;

/** The kernel's own bound on a program (BPF_COMPLEXITY_LIMIT_INSNS), slots. */
const MAX_PROGRAM_SLOTS = 1_000_000;
/** Bound on all programs of an object together, slots: what a small damaged file can be blown up to. */
const MAX_OBJECT_SLOTS = 4_000_000;

export interface LinkFault extends ObjectFault {
  readonly code:
    | 'LINK_FUNCTION'
    | 'LINK_INSTRUCTION'
    | 'LINK_RELOCATION'
    | 'LINK_SYMBOL'
    | 'LINK_EXTERN'
    | 'LINK_KFUNC'
    | 'LINK_CALL'
    | 'LINK_JUMP'
    | 'LINK_CORE'
    | 'LINK_SIZE'
    | 'LINK_BTF';
  readonly stage: 'link';
}
/** A program cannot be linked: a symbol, a call or a relocation does not fit. */
export class LinkError extends ObjectError<LinkFault> {}

function fail(code: LinkFault['code'], section: ElfSection, offset: number, message: string): never {
  throw new LinkError({ code, stage: 'link', section: section.name, offset }, message);
}

/** A linked program: its code and what is known of it, slots counted from its entry. */
export interface Linked {
  readonly code: Uint8Array;
  readonly functions: readonly FunctionSpec[];
  readonly lines: readonly LineSpec[];
}

/** A reference to another function, to be patched when both have a place. */
interface FunctionReference {
  readonly slot: number;
  readonly target: FunctionCode;
}

/** A function of the file: its bytes, and after `analyse` what it refers to. Slots are its own. */
interface FunctionCode {
  readonly name: string;
  readonly section: ElfSection;
  /** Slots of the section. */
  readonly start: number;
  readonly end: number;
  body?: { readonly code: Uint8Array; readonly references: readonly FunctionReference[] };
}

/** A program to be linked. */
export interface Entry {
  readonly name: string;
  readonly section: string;
  readonly code: FunctionCode;
}

/**
 * Links the programs of one object: resolves every relocation to a map index, a place in a data map or
 * a function, and lays the functions that a program reaches behind its entry.
 */
export class Linker {
  readonly #elf: ElfObject;
  readonly #maps: ObjectMaps;
  readonly #btf: Btf | undefined;
  readonly #ext: BtfExt | undefined;
  /** Functions of each code section in order of place. */
  readonly #functions = new Map<number, FunctionCode[]>();
  readonly #relocations = new Map<number, ReadonlyMap<number, ElfRelocation>>();
  readonly #entries: Entry[] = [];
  #slotsLeft = MAX_OBJECT_SLOTS;

  /** @throws LinkError LINK_FUNCTION when functions overlap or leave their section, LINK_CORE */
  constructor(elf: ElfObject, maps: ObjectMaps, btf?: Btf, ext?: BtfExt) {
    this.#elf = elf;
    this.#maps = maps;
    this.#btf = btf;
    this.#ext = ext;
    for (const symbol of elf.symbols) this.#addFunction(symbol);
    for (const functions of this.#functions.values()) {
      functions.sort((a, b) => a.start - b.start);
      functions.forEach((one, index) => {
        const before = functions[index - 1];
        if (before !== undefined && before.end > one.start) {
          fail('LINK_FUNCTION', one.section, one.start * SLOT_BYTES, `${one.name} overlaps ${before.name}`);
        }
      });
    }
    this.#entries.sort((a, b) => a.code.section.index - b.code.section.index || a.code.start - b.code.start);
    for (const index of this.#functions.keys()) this.#refuseCore(index);
  }

  /** Programs: the global functions of every code section but `.text`, in the order of the file. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  #addFunction(symbol: ElfSymbol): void {
    if (symbol.type !== STT_FUNC || symbol.section === SHN_UNDEF || symbol.section >= SHN_LORESERVE) return;
    const section = this.#elf.sections[symbol.section];
    if (section === undefined || section.type !== SHT_PROGBITS || (section.flags & SHF_EXECINSTR) === 0)
      return;
    const end = symbol.value + symbol.sizeBytes;
    if (
      symbol.sizeBytes === 0 ||
      symbol.value % SLOT_BYTES !== 0 ||
      symbol.sizeBytes % SLOT_BYTES !== 0 ||
      end > section.sizeBytes
    ) {
      fail(
        'LINK_FUNCTION',
        section,
        symbol.value,
        `${symbol.name} of ${symbol.sizeBytes} bytes is not whole instructions of its section`,
      );
    }
    const code = { name: symbol.name, section, start: symbol.value / SLOT_BYTES, end: end / SLOT_BYTES };
    const known = this.#functions.get(section.index);
    if (known === undefined) this.#functions.set(section.index, [code]);
    else known.push(code);
    if (section.name !== '.text' && symbol.binding !== STB_LOCAL) {
      this.#entries.push({ name: symbol.name, section: section.name, code });
    }
  }

  #refuseCore(sectionIndex: number): void {
    const section = this.#elf.sections[sectionIndex];
    const first = section === undefined ? undefined : this.#ext?.core.get(section.name)?.[0];
    if (section !== undefined && first !== undefined) {
      fail(
        'LINK_CORE',
        section,
        first.offset,
        'CO-RE relocations are not supported: build without preserve_access_index',
      );
    }
  }

  #relocation(section: ElfSection, offset: number): ElfRelocation | undefined {
    let known = this.#relocations.get(section.index);
    if (known === undefined) {
      const byOffset = new Map<number, ElfRelocation>();
      for (const relocation of this.#elf.relocations(section)) {
        const unaligned = relocation.offset % SLOT_BYTES !== 0;
        if (
          unaligned ||
          byOffset.has(relocation.offset) ||
          (relocation.type !== R_BPF_64_64 && relocation.type !== R_BPF_64_32)
        ) {
          fail(
            'LINK_RELOCATION',
            section,
            relocation.offset,
            `relocation of type ${relocation.type} in code`,
          );
        }
        byOffset.set(relocation.offset, relocation);
      }
      known = byOffset;
      this.#relocations.set(section.index, known);
    }
    return known.get(offset);
  }

  /** The function that starts at a slot of a section. */
  #functionAt(sectionIndex: number, slot: number): FunctionCode | undefined {
    const functions = this.#functions.get(sectionIndex) ?? [];
    let low = 0;
    let high = functions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((functions[middle]?.start ?? 0) < slot) low = middle + 1;
      else high = middle;
    }
    return functions[low]?.start === slot ? functions[low] : undefined;
  }

  /** Resolve what one function refers to; done once, however many programs reach it. */
  #analyse(fn: FunctionCode): NonNullable<FunctionCode['body']> {
    if (fn.body !== undefined) return fn.body;
    const code = new Uint8Array(fn.section.data.subarray(fn.start * SLOT_BYTES, fn.end * SLOT_BYTES));
    const view = new DataView(code.buffer);
    const references: FunctionReference[] = [];
    const slots = fn.end - fn.start;
    for (let slot = 0; slot < slots; slot++) {
      const at = slot * SLOT_BYTES;
      const offset = (fn.start + slot) * SLOT_BYTES;
      const opcode = view.getUint8(at);
      const relocation = this.#relocation(fn.section, offset);
      if (opcode === OP_LD_IMM64) {
        if (slot + 1 === slots)
          fail('LINK_INSTRUCTION', fn.section, offset, `${fn.name} ends inside a 64-bit immediate`);
        const target = this.#resolveImmediate(fn, view, at, offset, relocation);
        if (target !== undefined) references.push({ slot, target });
        slot++;
        if (this.#relocation(fn.section, offset + SLOT_BYTES) !== undefined) {
          fail('LINK_RELOCATION', fn.section, offset + SLOT_BYTES, 'relocation inside a 64-bit immediate');
        }
      } else if (opcode === OP_CALL) {
        const target = this.#resolveCall(fn, view, at, offset, relocation);
        if (target !== undefined) references.push({ slot, target });
      } else {
        if (relocation !== undefined)
          fail('LINK_RELOCATION', fn.section, offset, `relocation of opcode 0x${opcode.toString(16)}`);
        checkJump(fn, view, at, slot, slots);
      }
    }
    fn.body = { code, references };
    return fn.body;
  }

  /** LD_IMM64: a constant stays; a map or a place in a data map is patched; a function is returned. */
  #resolveImmediate(
    fn: FunctionCode,
    view: DataView,
    at: number,
    offset: number,
    relocation: ElfRelocation | undefined,
  ): FunctionCode | undefined {
    const register = view.getUint8(at + 1);
    if (relocation === undefined) {
      if (register >> 4 !== 0)
        fail(
          'LINK_RELOCATION',
          fn.section,
          offset,
          `64-bit immediate of kind ${register >> 4} without a relocation`,
        );
      return undefined;
    }
    const { symbol, type } = relocation;
    if (type !== R_BPF_64_64)
      fail('LINK_RELOCATION', fn.section, offset, `relocation of type ${type} of a 64-bit immediate`);
    const section = this.#symbolSection(fn, symbol, offset);
    // The addend is in place: where the symbol is the section's, it is all of the offset.
    const place = symbol.value + view.getInt32(at + 4, true);
    const patch = (kind: number, imm: number, next: number): void => {
      view.setUint8(at + 1, (register & 0x0f) | (kind << 4));
      view.setInt32(at + 4, imm, true);
      view.setInt32(at + SLOT_BYTES + 4, next, true);
    };
    const data = this.#maps.bySection.get(section.index);
    if (section.name === MAPS_SECTION) {
      const map = this.#maps.byOffset.get(place);
      if (map === undefined)
        return fail('LINK_SYMBOL', fn.section, offset, `no map at ${MAPS_SECTION}+${place}`);
      patch(SRC_MAP, map, 0);
    } else if (data !== undefined) {
      if (place < 0 || place > section.sizeBytes)
        fail('LINK_SYMBOL', fn.section, offset, `${section.name}+${place} is outside its section`);
      patch(SRC_MAP_VALUE, data, place);
    } else {
      const target =
        place % SLOT_BYTES === 0 ? this.#functionAt(section.index, place / SLOT_BYTES) : undefined;
      if (target === undefined)
        return fail(
          'LINK_SYMBOL',
          fn.section,
          offset,
          `${section.name}+${place} is neither a map, data nor a function`,
        );
      patch(SRC_FUNCTION, 0, 0);
      return target;
    }
    return undefined;
  }

  /** CALL: a helper stays; the function of a local call is returned. */
  #resolveCall(
    fn: FunctionCode,
    view: DataView,
    at: number,
    offset: number,
    relocation: ElfRelocation | undefined,
  ): FunctionCode | undefined {
    const kind = view.getUint8(at + 1) >> 4;
    const imm = view.getInt32(at + 4, true);
    if (relocation === undefined) {
      if (kind === SRC_CALL_HELPER) return undefined;
      if (kind !== SRC_CALL_LOCAL)
        return fail(
          'LINK_KFUNC',
          fn.section,
          offset,
          `call of kind ${kind} (kernel functions are not supported)`,
        );
      const slot = offset / SLOT_BYTES + imm + 1;
      return (
        this.#functionAt(fn.section.index, slot) ??
        fail('LINK_CALL', fn.section, offset, `no function at slot ${slot} of the section`)
      );
    }
    const { symbol, type } = relocation;
    if (type !== R_BPF_64_32 || kind !== SRC_CALL_LOCAL)
      fail('LINK_RELOCATION', fn.section, offset, `relocation of type ${type} of a call of kind ${kind}`);
    const section = this.#symbolSection(fn, symbol, offset);
    const slot = symbol.value / SLOT_BYTES + imm + 1;
    return (
      this.#functionAt(section.index, slot) ??
      fail('LINK_CALL', fn.section, offset, `no function at ${section.name}+${slot * SLOT_BYTES}`)
    );
  }

  #symbolSection(fn: FunctionCode, symbol: ElfSymbol, offset: number): ElfSection {
    if (symbol.section === SHN_UNDEF)
      fail(
        'LINK_EXTERN',
        fn.section,
        offset,
        `${symbol.name} is defined nowhere (extern symbols are not supported)`,
      );
    const section = this.#elf.sections[symbol.section];
    if (section === undefined)
      return fail('LINK_SYMBOL', fn.section, offset, `${symbol.name} stands in no section`);
    if (symbol.type === STT_SECTION && symbol.value !== 0)
      fail('LINK_SYMBOL', fn.section, offset, `section symbol of ${section.name} is not 0`);
    return section;
  }

  /**
   * Link one program: its entry first, then every function that it reaches, in the order of first mention.
   * @throws LinkError
   */
  link(entry: Entry): Linked {
    const placed = new Map<FunctionCode, number>([[entry.code, 0]]);
    let slots = entry.code.end - entry.code.start;
    // A Map iterates over what is added on the way: this is a breadth-first walk.
    for (const fn of placed.keys()) {
      for (const { target } of this.#analyse(fn).references) {
        if (placed.has(target)) continue;
        placed.set(target, slots);
        slots += target.end - target.start;
      }
      if (slots > MAX_PROGRAM_SLOTS)
        fail(
          'LINK_SIZE',
          fn.section,
          fn.start * SLOT_BYTES,
          `${entry.name} is longer than ${MAX_PROGRAM_SLOTS} slots`,
        );
    }
    this.#slotsLeft -= slots;
    if (this.#slotsLeft < 0)
      fail(
        'LINK_SIZE',
        entry.code.section,
        entry.code.start * SLOT_BYTES,
        `the object's programs are longer than ${MAX_OBJECT_SLOTS} slots`,
      );

    const code = new Uint8Array(slots * SLOT_BYTES);
    const view = new DataView(code.buffer);
    const functions: FunctionSpec[] = [];
    const lines: LineSpec[] = [];
    for (const [fn, start] of placed) {
      const body = this.#analyse(fn);
      code.set(body.code, start * SLOT_BYTES);
      for (const { slot, target } of body.references) {
        // Both a local call and a function's address count from the slot that follows (RFC 9669 §4.3.2, §5.4).
        const from = start + slot;
        view.setInt32(from * SLOT_BYTES + 4, (placed.get(target) ?? 0) - from - 1, true);
      }
      const typeId = this.#typeOf(fn);
      functions.push({ name: fn.name, start, ...(typeId === undefined ? {} : { typeId }) });
      this.#addLines(fn, start, lines);
    }
    return { code, functions, lines };
  }

  #typeOf(fn: FunctionCode): number | undefined {
    const info = this.#ext?.functions.get(fn.section.name);
    const found = info?.[firstAtOrAfter(info, fn.start * SLOT_BYTES)];
    if (found?.offset !== fn.start * SLOT_BYTES) return undefined;
    if (this.#btf?.type(found.typeId).kind !== 'func')
      fail('LINK_BTF', fn.section, found.offset, `type ${found.typeId} of ${fn.name} is not a function`);
    return found.typeId;
  }

  #addLines(fn: FunctionCode, start: number, into: LineSpec[]): void {
    const records: readonly LineInfo[] = this.#ext?.lines.get(fn.section.name) ?? [];
    const btf = this.#btf;
    if (btf === undefined) return;
    for (let i = firstAtOrAfter(records, fn.start * SLOT_BYTES); i < records.length; i++) {
      const record = records[i];
      if (record === undefined || record.offset >= fn.end * SLOT_BYTES) return;
      // The kernel wants them strictly rising: the first of several for one instruction stays.
      const slot = start + record.offset / SLOT_BYTES - fn.start;
      if (into.at(-1)?.slot === slot) continue;
      const { line, column, file: fileOffset, text: textOffset } = record;
      into.push({
        slot,
        file: btf.string(fileOffset),
        line,
        text: btf.string(textOffset).trim(),
        column,
        fileOffset,
        textOffset,
      });
    }
  }
}

/** A jump that left its function would land in another one once linked: it is refused, as the kernel does. */
function checkJump(fn: FunctionCode, view: DataView, at: number, slot: number, slots: number): void {
  const opcode = view.getUint8(at);
  const group = opcode & CLASS_MASK;
  if ((group !== CLASS_JMP && group !== CLASS_JMP32) || opcode === OP_EXIT) return;
  const target = slot + 1 + (opcode === OP_JA32 ? view.getInt32(at + 4, true) : view.getInt16(at + 2, true));
  if (target < 0 || target >= slots) {
    fail(
      'LINK_JUMP',
      fn.section,
      (fn.start + slot) * SLOT_BYTES,
      `jump out of ${fn.name} to its slot ${target}`,
    );
  }
}

/** Index of the first record at or after an offset. */
function firstAtOrAfter(records: readonly { readonly offset: number }[], offset: number): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((records[middle]?.offset ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
