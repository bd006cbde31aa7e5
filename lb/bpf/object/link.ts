import { firstAtOrAfter, type LineInfo } from './btf-ext.js';
import { type Entry, type FunctionCode, SLOT_BYTES } from './functions.js';
import { linkFail } from './link-fault.js';
import { type RelocationSources, Relocator } from './relocate.js';
import type { FunctionSpec, LineSpec, ProgramSpec } from './spec.js';

/** The kernel's own bound on a program (BPF_COMPLEXITY_LIMIT_INSNS), slots. */
const MAX_PROGRAM_SLOTS = 1_000_000;
/** Bound on all programs of an object together, slots: what a small damaged file can be blown up to. */
const MAX_OBJECT_SLOTS = 4_000_000;

/** A linked program: its code and what is known of it, slots counted from its entry. */
export type Linked = Pick<ProgramSpec, 'code' | 'functions' | 'lines' | 'poisoned'>;

/** Links the programs of one object: lays the functions that a program reaches behind its entry. */
export class Linker {
  readonly #sources: RelocationSources;
  readonly #relocator: Relocator;
  #slotsLeft = MAX_OBJECT_SLOTS;

  constructor(sources: RelocationSources) {
    this.#sources = sources;
    this.#relocator = new Relocator(sources);
  }

  /**
   * Link one program: its entry first, then every function that it reaches, in the order of first mention.
   * @throws LinkError, CoreError, ElfError, BtfError
   */
  link(entry: Entry): Linked {
    const { placed, slots } = this.#place(entry);
    const code = new Uint8Array(slots * SLOT_BYTES);
    const view = new DataView(code.buffer);
    const functions: FunctionSpec[] = [];
    const lines: LineSpec[] = [];
    const poisoned: { readonly slot: number; readonly why: string }[] = [];
    for (const [fn, start] of placed) {
      const body = this.#relocator.body(fn);
      code.set(body.code, start * SLOT_BYTES);
      for (const { slot, target } of body.references) {
        // Both a local call and a function's address count from the slot that follows (RFC 9669 §4.3.2, §5.4).
        const from = start + slot;
        view.setInt32(from * SLOT_BYTES + 4, (placed.get(target) ?? 0) - from - 1, true);
      }
      poisoned.push(...body.poisoned.map(({ slot, why }) => ({ slot: start + slot, why })));
      const typeId = this.#typeOf(fn);
      const name = fn === entry.code ? entry.name : fn.name;
      functions.push({ name, start, ...(typeId === undefined ? {} : { typeId }) });
      this.#addLines(fn, start, lines);
    }
    return { code, functions, lines, ...(poisoned.length === 0 ? {} : { poisoned }) };
  }

  /** First slot of each function that the program reaches. */
  #place(entry: Entry): { readonly placed: ReadonlyMap<FunctionCode, number>; readonly slots: number } {
    const placed = new Map<FunctionCode, number>([[entry.code, 0]]);
    let slots = entry.code.end - entry.code.start;
    // A Map is walked in the order of insertion, also of what is added on the way: this is a breadth-first walk.
    for (const fn of placed.keys()) {
      for (const { target } of this.#relocator.body(fn).references) {
        if (placed.has(target)) continue;
        placed.set(target, slots);
        slots += target.end - target.start;
      }
      if (slots > MAX_PROGRAM_SLOTS)
        linkFail(
          'LINK_SIZE',
          fn.section,
          fn.start * SLOT_BYTES,
          `${entry.name} is longer than ${MAX_PROGRAM_SLOTS} slots`,
        );
    }
    this.#slotsLeft -= slots;
    if (this.#slotsLeft < 0)
      linkFail(
        'LINK_SIZE',
        entry.code.section,
        entry.code.start * SLOT_BYTES,
        `the object's programs are longer than ${MAX_OBJECT_SLOTS} slots`,
      );
    return { placed, slots };
  }

  #typeOf(fn: FunctionCode): number | undefined {
    const { btf, ext } = this.#sources;
    const info = ext?.functions.get(fn.section.name);
    const found = info?.[firstAtOrAfter(info, fn.start * SLOT_BYTES)];
    if (found?.offset !== fn.start * SLOT_BYTES) return undefined;
    if (btf?.type(found.typeId).kind !== 'func')
      linkFail('LINK_BTF', fn.section, found.offset, `type ${found.typeId} of ${fn.name} is not a function`);
    return found.typeId;
  }

  #addLines(fn: FunctionCode, start: number, into: LineSpec[]): void {
    const { btf, ext } = this.#sources;
    const records: readonly LineInfo[] = ext?.lines.get(fn.section.name) ?? [];
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
