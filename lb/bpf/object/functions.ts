import {
  type ElfObject,
  type ElfSection,
  type ElfSymbol,
  SHF_EXECINSTR,
  SHT_PROGBITS,
  STB_LOCAL,
  STT_FUNC,
  STT_NOTYPE,
} from './elf.js';
import { LinkError } from './link-fault.js';
import { isTextSection } from './section-types.js';

export const SLOT_BYTES = 8;

/** A function of the file. Slots are those of its section. */
export interface FunctionCode {
  readonly name: string;
  readonly section: ElfSection;
  readonly start: number;
  readonly end: number;
  /** Why it cannot be used: only the programs that reach it are refused. */
  readonly fault?: LinkError;
}

/** A program to be linked: the name of its function, which may have several. */
export interface Entry {
  readonly name: string;
  readonly section: string;
  readonly code: FunctionCode;
}

/**
 * The functions of an object, and which of them are programs:
 * - every global function of a code section but `.text`;
 * - the first function of such a section that has only static ones, or the section itself where no symbol names any
 *   (iproute2 loads sections, not symbols);
 * - the global functions of `.text` where there is no other code (a file of one program without SEC()).
 */
export class FunctionTable {
  /** In the order of the file. */
  readonly entries: readonly Entry[];
  /** Functions of each code section by rising start. */
  readonly #bySection = new Map<number, readonly FunctionCode[]>();

  constructor(elf: ElfObject) {
    const symbols = symbolsBySection(elf);
    const entries: Entry[] = [];
    const textEntries: Entry[] = [];
    for (const section of elf.sections) {
      if (section.type !== SHT_PROGBITS || (section.flags & SHF_EXECINSTR) === 0 || section.sizeBytes === 0)
        continue;
      const isText = isTextSection(section.name);
      const own = functionSymbols(symbols.get(section.index) ?? []);
      const functions = functionsOf(section, own, isText);
      this.#bySection.set(section.index, functions);
      const found = entriesOf(section, own, functions);
      if (isText) textEntries.push(...found);
      else entries.push(...found);
    }
    this.entries = entries.length > 0 ? entries : textEntries;
  }

  /** The function that starts at a slot of a section. */
  at(sectionIndex: number, slot: number): FunctionCode | undefined {
    const functions = this.#bySection.get(sectionIndex) ?? [];
    let low = 0;
    let high = functions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((functions[middle]?.start ?? 0) < slot) low = middle + 1;
      else high = middle;
    }
    return functions[low]?.start === slot ? functions[low] : undefined;
  }

  /** The first program of a section. */
  firstEntry(section: ElfSection): Entry | undefined {
    return this.entries.find(({ code }) => code.section === section);
  }
}

function symbolsBySection(elf: ElfObject): ReadonlyMap<number, readonly ElfSymbol[]> {
  const bySection = new Map<number, ElfSymbol[]>();
  for (const symbol of elf.symbols) {
    const known = bySection.get(symbol.section);
    if (known === undefined) bySection.set(symbol.section, [symbol]);
    else known.push(symbol);
  }
  return bySection;
}

/** Symbols of functions; in objects of clang before 4 they have no type, and local ones are labels. */
function functionSymbols(symbols: readonly ElfSymbol[]): readonly ElfSymbol[] {
  const typed = symbols.filter(({ type }) => type === STT_FUNC);
  if (typed.length > 0) return typed;
  return symbols.filter(({ type, binding }) => type === STT_NOTYPE && binding !== STB_LOCAL);
}

function functionsOf(
  section: ElfSection,
  symbols: readonly ElfSymbol[],
  isText: boolean,
): readonly FunctionCode[] {
  const whole = section.sizeBytes / SLOT_BYTES;
  if (symbols.length === 0) {
    if (isText || section.sizeBytes % SLOT_BYTES !== 0) return [];
    return [{ name: section.name, section, start: 0, end: whole }];
  }
  // Of several names of one place a global one stands for them; the longest is the function.
  const byPlace = new Map<number, ElfSymbol>();
  for (const symbol of symbols) {
    const known = byPlace.get(symbol.value);
    if (known === undefined || better(symbol, known)) byPlace.set(symbol.value, symbol);
  }
  const ordered = [...byPlace.values()].sort((a, b) => a.value - b.value);
  let before: FunctionCode | undefined;
  return ordered.map((symbol, index) => {
    const next = ordered[index + 1]?.value ?? section.sizeBytes;
    // Assembly without .size: up to the next one.
    const end = symbol.sizeBytes === 0 ? next : symbol.value + symbol.sizeBytes;
    const why = faultOf(section, symbol, end, before);
    const fault = why === undefined ? {} : { fault: linkError(section, symbol.value, why) };
    const code: FunctionCode = {
      name: symbol.name,
      section,
      start: symbol.value / SLOT_BYTES,
      end: end / SLOT_BYTES,
      ...fault,
    };
    if (why === undefined) before = code;
    return code;
  });
}

function better(symbol: ElfSymbol, known: ElfSymbol): boolean {
  if (symbol.sizeBytes !== known.sizeBytes) return symbol.sizeBytes > known.sizeBytes;
  return known.binding === STB_LOCAL && symbol.binding !== STB_LOCAL;
}

function faultOf(
  section: ElfSection,
  symbol: ElfSymbol,
  end: number,
  before: FunctionCode | undefined,
): string | undefined {
  const isWhole = symbol.value % SLOT_BYTES === 0 && end % SLOT_BYTES === 0 && end > symbol.value;
  if (!isWhole || end > section.sizeBytes)
    return `${symbol.name} of ${symbol.sizeBytes} bytes is not whole instructions of its section`;
  if (before !== undefined && before.end > symbol.value / SLOT_BYTES)
    return `${symbol.name} overlaps ${before.name}`;
  return undefined;
}

function linkError(section: ElfSection, offset: number, message: string): LinkError {
  return new LinkError({ code: 'LINK_FUNCTION', stage: 'link', section: section.name, offset }, message);
}

function entriesOf(
  section: ElfSection,
  symbols: readonly ElfSymbol[],
  functions: readonly FunctionCode[],
): readonly Entry[] {
  const at = new Map(functions.map((code) => [code.start * SLOT_BYTES, code]));
  const globals = symbols
    .filter(({ binding }) => binding !== STB_LOCAL)
    .sort((a, b) => a.value - b.value)
    .flatMap(({ name, value }) => {
      const code = at.get(value);
      return code === undefined ? [] : [{ name, section: section.name, code }];
    });
  const first = functions[0];
  if (globals.length > 0 || first === undefined || isTextSection(section.name)) return globals;
  return [{ name: first.name, section: section.name, code: first }];
}
