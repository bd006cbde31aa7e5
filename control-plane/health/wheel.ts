import { assert } from '../../lb/index.js';
import type { Clock } from './types.js';

/** Something due on a wheel. Belongs to one wheel; in one list at a time. */
export interface WheelEntry {
  readonly cancel: () => void;
}

interface Node {
  /** Null once it ran or was taken back. */
  run: (() => void) | null;
  dueTick: number;
  /** UNLINKED when it is in no list. */
  slot: number;
  previous: Node | undefined;
  next: Node | undefined;
}

/** Fine enough for a timeout of 10 ms; a hundred wake-ups a second at most. */
export const TICK_MS = 10;
/** 10.24 s a turn: an entry of a usual interval is met once before it is due. */
const SLOTS = 1024;
const UNLINKED = -1;

/**
 * Thousands of timers behind one of the clock's: setting and taking back cost the same whatever their number
 * (Varghese and Lauck, "Hashed and hierarchical timing wheels", SOSP '87, scheme 6). A timer runs at the first tick
 * at or after its time, never before; those of one tick run in no promised order.
 */
export class TimerWheel {
  readonly #clock: Clock;
  readonly #originMs: number;
  readonly #slots: (Node | undefined)[] = new Array<Node | undefined>(SLOTS).fill(undefined);
  #count = 0;
  /** The last tick whose timers ran. */
  #tick = 0;
  #cancelWake: (() => void) | undefined;
  #wakeTick = Number.POSITIVE_INFINITY;
  #isRunning = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#originMs = clock.nowMs();
  }

  /** Timers that are set. */
  get size(): number {
    return this.#count;
  }

  /** Run once at a time of the clock, or with the next tick when that has passed. */
  at(timeMs: number, run: () => void): WheelEntry {
    const node: Node = {
      run,
      dueTick: Math.max(Math.ceil((timeMs - this.#originMs) / TICK_MS), this.#tick + 1),
      slot: UNLINKED,
      previous: undefined,
      next: undefined,
    };
    this.#link(node);
    if (!this.#isRunning && node.dueTick < this.#wakeTick) this.#sleepUntil(node.dueTick);
    return { cancel: () => this.#cancel(node) };
  }

  /** Take all timers back. */
  clear(): void {
    for (let node of this.#slots) {
      for (; node !== undefined; node = node.next) {
        node.run = null;
        node.slot = UNLINKED;
      }
    }
    this.#slots.fill(undefined);
    this.#count = 0;
    this.#stopWaking();
  }

  #link(node: Node): void {
    node.slot = node.dueTick % SLOTS;
    const head = this.#slots[node.slot];
    node.next = head;
    if (head !== undefined) head.previous = node;
    this.#slots[node.slot] = node;
    this.#count++;
  }

  #cancel(node: Node): void {
    node.run = null;
    if (node.slot === UNLINKED) return;
    this.#unlink(node);
    if (this.#count === 0) this.#stopWaking();
  }

  #unlink(node: Node): void {
    if (node.previous !== undefined) node.previous.next = node.next;
    else this.#slots[node.slot] = node.next;
    if (node.next !== undefined) node.next.previous = node.previous;
    node.previous = undefined;
    node.next = undefined;
    node.slot = UNLINKED;
    this.#count--;
  }

  #stopWaking(): void {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    this.#wakeTick = Number.POSITIVE_INFINITY;
  }

  #sleepUntil(tick: number): void {
    this.#stopWaking();
    this.#wakeTick = tick;
    const delayMs = Math.max(0, this.#originMs + tick * TICK_MS - this.#clock.nowMs());
    this.#cancelWake = this.#clock.after(delayMs, () => this.#wake());
  }

  #wake(): void {
    this.#cancelWake = undefined;
    this.#wakeTick = Number.POSITIVE_INFINITY;
    const nowTick = Math.floor((this.#clock.nowMs() - this.#originMs) / TICK_MS);
    const due = this.#takeDue(nowTick);
    this.#tick = Math.max(this.#tick, nowTick);
    this.#isRunning = true;
    try {
      for (const node of due) {
        const { run } = node;
        node.run = null;
        run?.();
      }
    } finally {
      this.#isRunning = false;
      this.#plan();
    }
  }

  /** Unlink what is due up to a tick; one taken back by another of the same tick does not run. */
  #takeDue(nowTick: number): Node[] {
    const due: Node[] = [];
    // After a long stall each slot is looked at once, not once a turn.
    const ticks = Math.min(nowTick - this.#tick, SLOTS);
    for (let i = 0; i < ticks; i++) {
      let node = this.#slots[(nowTick - i) % SLOTS];
      while (node !== undefined) {
        const following = node.next;
        if (node.dueTick <= nowTick) {
          this.#unlink(node);
          due.push(node);
        }
        node = following;
      }
    }
    return due;
  }

  /** Sleep until the first slot with a timer of this turn, or a whole turn. */
  #plan(): void {
    if (this.#count === 0) return;
    for (let i = 1; i <= SLOTS; i++) {
      const tick = this.#tick + i;
      for (let node = this.#slots[tick % SLOTS]; node !== undefined; node = node.next) {
        assert(node.dueTick >= tick, 'a timer was passed over');
        if (node.dueTick === tick) {
          this.#sleepUntil(tick);
          return;
        }
      }
    }
    this.#sleepUntil(this.#tick + SLOTS);
  }
}
