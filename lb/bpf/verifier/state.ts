import type { VerifierMap } from './input.js';
import { NOT_INIT, Register, TYPE } from './register.js';
import type { SlotUses } from './stack-liveness.js';
import { isSpill } from './stack-slot.js';

export const REGISTER_COUNT = 11;
const FRAME_POINTER = 10;

/** What a callback may return, bounds included. */
export interface CallbackResult {
  readonly min: number;
  readonly max: number;
}

/** What is known of one function's registers and stack. */
export class Frame {
  /** Depth: 0 is the outermost. */
  readonly index: number;
  /** Slot of the call that made this frame; -1 for the outermost. */
  readonly callSite: number;
  /** Function, by index. */
  readonly subprogram: number;
  /** Which of its slots are read, in this chain of calls. */
  readonly uses: SlotUses;
  registers: Register[];
  /** Kinds of the bytes of each slot, see stack-slot.ts; slot 0 is fp-8. */
  kinds: number[];
  /** The register that a slot keeps, where it keeps one. */
  kept: (Register | undefined)[];
  /** What it may return, where a helper has called it back. */
  callback: CallbackResult | undefined = undefined;
  /** Rounds of a callback that were followed from this frame. */
  callbackDepth = 0;
  /** Numbers that decided something on a path from here, in states that are kept: registers and slots as bits. */
  preciseRegisters = 0;
  preciseSlotsLo = 0;
  preciseSlotsHi = 0;

  constructor(
    index: number,
    callSite: number,
    subprogram: number,
    uses: SlotUses,
    registers: Register[],
    kinds: number[],
    kept: (Register | undefined)[],
  ) {
    this.index = index;
    this.callSite = callSite;
    this.subprogram = subprogram;
    this.uses = uses;
    this.registers = registers;
    this.kinds = kinds;
    this.kept = kept;
  }

  /** The frame of a function at its entry: nothing but the frame pointer. */
  static entry(index: number, callSite: number, subprogram: number, uses: SlotUses): Frame {
    const registers = new Array<Register>(REGISTER_COUNT).fill(NOT_INIT);
    const pointer = Register.pointer(TYPE.STACK);
    pointer.place = index;
    registers[FRAME_POINTER] = pointer;
    return new Frame(index, callSite, subprogram, uses, registers, [], []);
  }

  /** Without marks of precision: those belong to the state that they were made for. */
  clone(): Frame {
    const { index, callSite, subprogram, uses } = this;
    const copy = new Frame(
      index,
      callSite,
      subprogram,
      uses,
      this.registers.slice(),
      this.kinds.slice(),
      this.kept.slice(),
    );
    copy.callback = this.callback;
    copy.callbackDepth = this.callbackDepth;
    return copy;
  }

  /** Have at least so many slots; new ones were never written. */
  grow(slots: number): void {
    while (this.kinds.length < slots) {
      this.kinds.push(0);
      this.kept.push(undefined);
    }
  }

  /** The register that a slot keeps, where a whole or the lower part of one is in it. */
  spilled(slot: number): Register | undefined {
    return isSpill(this.kinds[slot] ?? 0) ? this.kept[slot] : undefined;
  }

  isPreciseRegister(register: number): boolean {
    return (this.preciseRegisters & (1 << register)) !== 0;
  }

  isPreciseSlot(slot: number): boolean {
    return ((slot < 32 ? this.preciseSlotsLo : this.preciseSlotsHi) & (1 << (slot & 31))) !== 0;
  }

  markPreciseSlot(slot: number): void {
    if (slot < 32) this.preciseSlotsLo |= 1 << slot;
    else this.preciseSlotsHi |= 1 << (slot & 31);
  }

  /** Put another register in place of each one for which `change` gives one. */
  changeAll(change: (register: Register) => Register): void {
    const { registers, kept, kinds } = this;
    for (let index = 0; index < REGISTER_COUNT; index++) {
      registers[index] = change(registers[index]!);
    }
    for (let slot = 0; slot < kinds.length; slot++) {
      const register = kept[slot];
      if (register !== undefined && isSpill(kinds[slot]!)) kept[slot] = change(register);
    }
  }
}

/** A register or slot that is linked with another at a conditional jump. */
export interface Linked {
  readonly frame: number;
  readonly isRegister: boolean;
  /** Register or slot. */
  readonly number: number;
}

/** A step on the way that is not from an instruction to the next, or that says what an instruction did. */
export class HistoryEntry {
  readonly slot: number;
  readonly previous: number;
  /** Stack slot that the instruction spilled to or filled from; -1: none. */
  stackFrame = -1;
  stackSlot = -1;
  /** Operands of a comparison that point to the stack. */
  sourceIsStack = false;
  targetIsStack = false;
  linked: readonly Linked[] | undefined = undefined;

  constructor(slot: number, previous: number) {
    this.slot = slot;
    this.previous = previous;
  }
}

/** Something that the program holds and must give back. */
export interface Reference {
  readonly kind: 'record' | 'lock';
  readonly id: number;
  /** Slot of the instruction that took it. */
  readonly slot: number;
  /** What a lock is in. */
  readonly map: VerifierMap | undefined;
}

/** What is known at one place on one path. */
export class State {
  frames: Frame[];
  /** The kept state that this one goes on from. */
  parent: State | undefined;
  /** Paths from here that are not at an end yet. */
  branches = 1;
  /** Where it was kept, or is now. */
  slot = 0;
  /** First instruction since the parent, and the one before `slot`. */
  first = 0;
  last = -1;
  history: HistoryEntry[] = [];
  references: readonly Reference[] = [];
  /** References that are locks. */
  locks = 0;
  callbackUnroll = 0;
  /** Kept states before this one. */
  depth = 0;
  /** Kept states: what is not read any more was taken out. */
  isCleaned = false;
  /** Kept states: no longer looked at, but still the parent of others. */
  isEvicted = false;
  /** Kept states: comparisons that ended a path, and that did not. */
  hits = 0;
  misses = 0;

  constructor(frames: Frame[], parent: State | undefined) {
    this.frames = frames;
    this.parent = parent;
  }

  /** The function that runs. */
  get frame(): Frame {
    return this.frames[this.frames.length - 1]!;
  }

  clone(): State {
    const copy = new State(
      this.frames.map((frame) => frame.clone()),
      this.parent,
    );
    copy.slot = this.slot;
    copy.first = this.first;
    copy.last = this.last;
    copy.history = this.history.slice();
    copy.references = this.references;
    copy.locks = this.locks;
    copy.callbackUnroll = this.callbackUnroll;
    copy.depth = this.depth;
    return copy;
  }

  /** Where a frame is: the running one at `slot`, the others at their calls. */
  slotOfFrame(index: number): number {
    return this.frames[index + 1]?.callSite ?? this.slot;
  }

  /** See Frame.changeAll. */
  changeAll(change: (register: Register) => Register): void {
    for (const frame of this.frames) frame.changeAll(change);
  }
}
