import type { LineSpec } from '../object/spec.js';
import { formatFrame } from './format-state.js';
import type { Frame, State } from './state.js';

/** Column that the state after an instruction stands in, where the instruction leaves room. */
const STATE_COLUMN = 40;
const COLUMN_STEP = 8;
/** Lines that are kept of one path: a program that is too large has a million. */
const MAX_LINES = 400_000;

/** A piece of the log: text, or how to make it, which is done only for what is printed in the end. */
type Piece = { readonly text: string | (() => string); readonly joins: boolean };

/** Slots and registers that the last instruction touched: the log tells of those alone. */
export interface Touched {
  readonly registers: number;
  readonly slotsLo: number;
  readonly slotsHi: number;
}
export const ALL_TOUCHED: Touched = { registers: -1, slotsLo: -1, slotsHi: -1 };

/** The verifier's log, as the kernel writes it (Linux 6.18, kernel/bpf/log.c). */
export class Log {
  readonly level: 0 | 1 | 2;
  /** Source line that was written last. */
  lastLine: LineSpec | undefined = undefined;
  #pieces: Piece[] = [];
  /** Pieces dropped at the front. */
  #dropped = 0;
  #touchedRegisters = -1;
  #touchedLo = -1;
  #touchedHi = -1;
  /** Length of the instruction's line, while nothing stands behind it. */
  #lineLength = -1;

  constructor(level: 0 | 1 | 2) {
    this.level = level;
  }

  get isOn(): boolean {
    return this.level > 0;
  }

  touch(register: number): void {
    this.#touchedRegisters |= 1 << register;
  }

  touchSlot(slot: number): void {
    if (slot < 32) this.#touchedLo |= 1 << slot;
    else this.#touchedHi |= 1 << (slot & 31);
  }

  touchAll(): void {
    this.#touchedRegisters = -1;
    this.#touchedLo = -1;
    this.#touchedHi = -1;
  }

  touchNone(): void {
    this.#touchedRegisters = 0;
    this.#touchedLo = 0;
    this.#touchedHi = 0;
  }

  get isTouched(): boolean {
    return (this.#touchedRegisters | this.#touchedLo | this.#touchedHi) !== 0;
  }

  write(text: string | (() => string)): void {
    if (!this.isOn) return;
    this.#lineLength = -1;
    this.#push({ text, joins: false });
  }

  /** An instruction's line: the state after it may come behind. */
  writeStep(text: string): void {
    if (!this.isOn) return;
    this.#push({ text, joins: false });
    this.#lineLength = text.length + 1;
  }

  /** What the last instruction changed: behind it, or on a line of its own with the number of the next. */
  writeChanges(state: State, slot: number): void {
    if (!this.isOn) return;
    const touched: Touched = {
      registers: this.#touchedRegisters,
      slotsLo: this.#touchedLo,
      slotsHi: this.#touchedHi,
    };
    this.touchNone();
    const text = deferred(state, state.frame, touched);
    const length = this.#lineLength;
    this.#lineLength = -1;
    if (length < 0) {
      this.#push({ text: () => `${slot}:${text()}`, joins: false });
      return;
    }
    const column = Math.max(length + COLUMN_STEP / 2, STATE_COLUMN);
    const padding = Math.ceil(column / COLUMN_STEP) * COLUMN_STEP - length - 1;
    this.#push({ text: () => `${' '.repeat(padding)};${text()}`, joins: true });
  }

  /** All that is known in a frame. */
  writeFrame(prefix: string, state: State, frame: Frame): void {
    if (!this.isOn) return;
    const text = deferred(state, frame, ALL_TOUCHED);
    this.write(() => `${prefix}${text()}`);
  }

  get position(): number {
    return this.#dropped + this.#pieces.length;
  }

  /** Forget what was written since: another path begins there. */
  reset(position: number): void {
    this.#pieces.length = Math.max(0, position - this.#dropped);
    this.#dropped = Math.min(this.#dropped, position);
    this.#lineLength = -1;
  }

  text(): string {
    const parts: string[] = [];
    for (const { text, joins } of this.#pieces) {
      if (!joins && parts.length > 0) parts.push('\n');
      parts.push(typeof text === 'string' ? text : text());
    }
    return parts.join('');
  }

  #push(piece: Piece): void {
    this.#pieces.push(piece);
    if (this.#pieces.length < MAX_LINES) return;
    const half = MAX_LINES / 2;
    this.#pieces = this.#pieces.slice(half);
    this.#dropped += half;
  }
}

/** A frame as it is now, to be written out later: states change, the registers in them do not. */
function deferred(state: State, frame: Frame, touched: Touched): () => string {
  const shown = frame.clone();
  shown.preciseRegisters = frame.preciseRegisters;
  shown.preciseSlotsLo = frame.preciseSlotsLo;
  shown.preciseSlotsHi = frame.preciseSlotsHi;
  const { references } = state;
  return () => formatFrame(shown, references, touched);
}
