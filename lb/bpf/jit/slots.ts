import type { Instruction, Of } from '../isa/instruction.js';
import { accesses } from './accesses.js';
import { type AnalysedFunction, walk } from './analyse.js';
import {
  type ByteRange,
  type Fact,
  type Place,
  partOfFact,
  type Slot,
  type State,
  slotAround,
} from './facts.js';
import type { LeftOut } from './optimisations.js';

/** Bytes that the local of a place has from its byte `from` on. */
export interface Piece {
  readonly origin: Place;
  readonly from: number;
  readonly bytes: number;
  /** What is known of them, zero-extended: the local of a constant is not needed. */
  readonly fact: Fact | undefined;
}

/**
 * A word that the code of a helper reads in place of its call, `offset` bytes behind an argument: the slots of the
 * frame that hold it, where they are known.
 */
export interface WordSource {
  /** The argument. */
  readonly register: number;
  readonly offset: number;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly pieces: readonly Piece[] | undefined;
}

/**
 * Parts of the frame that a function keeps in locals beside memory: what it stored is used again without a load,
 * and a store that nothing reads any more is not made. Offsets are relative to r10.
 */
export interface FrameSlots {
  /** Origins of slots that are read through their local, by name. */
  readonly needed: ReadonlySet<string>;
  readonly deadStores: ReadonlySet<Instruction>;
  /** Whether what is in slots is read through locals at all. */
  readonly inLocals: boolean;
}

export const placeName = ({ offset, bytes }: Place): string => `${offset}:${bytes}`;

export function pieceAt(slot: Slot, offset: number, bytes: number): Piece {
  return {
    origin: slot.origin,
    from: offset - slot.origin.offset,
    bytes,
    fact: partOfFact(slot, offset, bytes),
  };
}

/** The slots that make up `bytes` at r10 + offset, in order; undefined where a byte is in none. */
function piecesAt(state: State, offset: number, bytes: number): Piece[] | undefined {
  const pieces: Piece[] = [];
  for (let at = offset; at < offset + bytes; ) {
    const slot = slotAround(state, at, 1);
    if (slot === undefined) return undefined;
    const length = Math.min(slot.offset + slot.bytes, offset + bytes) - at;
    pieces.push(pieceAt(slot, at, length));
    at += length;
  }
  return pieces;
}

/** Where words behind an argument come from: those of the frame from its slots, where they are known. */
export function wordsAt(
  register: number,
  words: readonly Pick<WordSource, 'offset' | 'bytes'>[],
  state: State,
  without: LeftOut,
): WordSource[] {
  const base = without.has('stack-locals') ? undefined : state.registers[register];
  return words.map(({ offset, bytes }) => ({
    register,
    offset,
    bytes,
    pieces: base?.kind === 'frame' ? piecesAt(state, base.offset + offset, bytes) : undefined,
  }));
}

/**
 * @param wordSources what a helper reads whose body is written out, all of it; undefined for other calls
 */
export function planSlots(
  fn: AnalysedFunction,
  wordSources: (instruction: Of<'call-helper'>, state: State) => readonly WordSource[] | undefined,
): FrameSlots {
  const { without } = fn.context;
  const inLocals = !without.has('stack-locals');
  const needed = new Set<string>();
  const reads: ByteRange[] = [];
  const stores: { readonly instruction: Of<'store'>; readonly range: ByteRange }[] = [];
  const need = ({ origin, fact }: Piece) => {
    if (fact?.kind !== 'constant') needed.add(placeName(origin));
  };
  for (const { instruction, state } of walk(fn)) {
    const sources = instruction.kind === 'call-helper' ? wordSources(instruction, state) : undefined;
    if (sources !== undefined) {
      for (const { register, offset, bytes, pieces } of sources) {
        const base = state.registers[register];
        if (pieces) pieces.forEach(need);
        else if (base?.kind === 'frame')
          reads.push({ start: base.offset + offset, end: base.offset + offset + bytes });
      }
      continue;
    }
    for (const { base, start, end, write } of accesses(instruction, state, fn.context)) {
      if (base?.kind !== 'frame') continue;
      const range = { start: base.offset + start, end: base.offset + end };
      if (instruction.kind === 'store') stores.push({ instruction, range });
      else if (!write) {
        const slot =
          inLocals && instruction.kind === 'load'
            ? slotAround(state, range.start, instruction.bytes)
            : undefined;
        if (slot) need(pieceAt(slot, range.start, range.end - range.start));
        else reads.push(range);
      }
    }
  }
  const isRead = ({ start, end }: ByteRange) => reads.some((read) => read.start < end && read.end > start);
  const keepsStores = fn.isEscaped || without.has('dead-stores');
  const dead = keepsStores ? [] : stores.filter(({ range }) => !isRead(range));
  return { needed, deadStores: new Set(dead.map(({ instruction }) => instruction)), inLocals };
}
