import { contextUser } from '../context/fields.js';
import { Facts } from './facts.js';
import type { ContextUser, VerifierMap, VerifyOptions } from './input.js';
import { PROGRAM_FLAGS } from './input.js';
import { KeptStates } from './kept-states.js';
import type { Log } from './log.js';
import { type Program, type Subprogram, subprogramAt } from './program.js';
import { refuse } from './refusal.js';
import { type Frame, HistoryEntry, type State } from './state.js';

/** The kernel's limits (include/linux/bpf_verifier.h, kernel/bpf/verifier.c). */
export const LIMITS = {
  processed: 1_000_000,
  pendingBranches: 8192,
  frames: 8,
  stackBytes: 512,
  subprograms: 256,
  maps: 64,
  /** Fixed and variable offsets of pointers, sizes. */
  offset: 1 << 29,
  packetOffset: 0xffff,
} as const;

/** A path that is to be followed later. */
export interface Pending {
  readonly state: State;
  readonly slot: number;
  readonly previous: number;
  readonly logPosition: number;
}

/** What the walk has at hand: the program, where it is, what it knows there, and what it has counted. */
export class Environment {
  readonly program: Program;
  readonly options: VerifyOptions;
  readonly maps: readonly VerifierMap[];
  readonly user: ContextUser | undefined;
  readonly log: Log;
  /** No CAP_PERFMON: no pointer may leak, nothing is read that was not written. */
  readonly isUnprivileged: boolean;
  readonly isStrict: boolean;
  readonly keepsEveryState: boolean;
  readonly limit: number;

  state!: State;
  slot = 0;
  previous = -1;
  pending: Pending[] = [];
  #historyIsOfThis = false;
  #lastId = 0;

  /** Slot that the instruction has written whole, and the depth of its frame; -1: none. */
  wroteSlot = -1;
  wroteFrame = 0;

  processed = 0;
  jumps = 0;
  /** At the last state that was kept. */
  processedThen = 0;
  jumpsThen = 0;
  states = 0;
  statesNow = 0;
  peakStates = 0;
  statesPerSlot = 0;

  kept: KeptStates;
  readonly facts: Facts;
  readonly seen: Uint8Array;
  /** Type of pointer that an instruction goes through, where all paths must have the same. */
  readonly pointerTypes: Int32Array;

  constructor(program: Program, log: Log) {
    const { options } = program;
    this.program = program;
    this.options = options;
    this.maps = options.maps ?? [];
    this.user = contextUser(options.type);
    this.log = log;
    this.isUnprivileged = options.unprivileged === true;
    const flags = options.flags ?? 0;
    this.isStrict = (flags & PROGRAM_FLAGS.STRICT_ALIGNMENT) !== 0;
    this.keepsEveryState = (flags & PROGRAM_FLAGS.TEST_STATE_FREQ) !== 0;
    this.limit = options.limit ?? LIMITS.processed;
    this.seen = new Uint8Array(program.steps.length);
    this.pointerTypes = new Int32Array(program.steps.length);
    this.facts = new Facts(program.steps.length);
    this.kept = new KeptStates(program.steps.length);
  }

  get frame(): Frame {
    return this.state.frame;
  }

  newId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  get lastId(): number {
    return this.#lastId;
  }

  subprogramOf(slot: number): Subprogram {
    return this.program.subprograms[subprogramAt(this.program.subprograms, slot)]!;
  }

  /** Begin an instruction. */
  enter(): void {
    this.#historyIsOfThis = false;
  }

  /** Note that the instruction at `slot` was walked, for finding back where a number came from. */
  note(): HistoryEntry {
    const { history } = this.state;
    const last = history[history.length - 1];
    // States share entries: one that was there before the instruction began is left alone.
    if (this.#historyIsOfThis && last !== undefined) return last;
    const entry = new HistoryEntry(this.slot, this.previous);
    history.push(entry);
    this.#historyIsOfThis = true;
    return entry;
  }

  /** It spilled to, or filled from, a slot of a frame. */
  noteSlot(frame: Frame, slot: number): void {
    const entry = this.note();
    entry.stackFrame = frame.index;
    entry.stackSlot = slot;
  }

  /**
   * Follow another path later, from what is known now.
   * @returns its state, to be refined
   */
  push(slot: number, previous: number): State {
    const state = this.state.clone();
    this.pending.push({ state, slot, previous, logPosition: this.log.position });
    if (this.pending.length > LIMITS.pendingBranches) {
      refuse('VERIFY_TOO_COMPLEX', 'EFAULT', `The sequence of ${this.pending.length} jumps is too complex.`);
    }
    if (state.parent !== undefined) state.parent.branches += 1;
    return state;
  }
}
