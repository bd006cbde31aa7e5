import type { EventType } from './event-types.js';

/** Something that happened. */
export interface EventRecord {
  /** Counts events since the start of the process, from 1. */
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly type: EventType;
  /** Name of the resource that it happened to; '' for the node, or for several resources. */
  readonly resource: string;
  /** Other resources that it happened to: who asks for one of them gets the event too. */
  readonly also: readonly string[];
  /** A sentence for a person. */
  readonly message: string;
  /** Who did it; '' for nobody. */
  readonly actor: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** An event as whoever saw it happen tells it. */
export interface NewEvent {
  readonly type: EventType;
  readonly resource?: string;
  readonly also?: readonly string[];
  readonly message: string;
  readonly actor?: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Which events somebody wants to know of. */
export interface EventSelection {
  /** Types, or their beginnings (`backend.`); none: all. */
  readonly types?: readonly string[];
  /** Names of resources; none: all. */
  readonly resources?: readonly string[];
}

/** Some events, oldest first. */
export interface EventPage {
  readonly events: readonly EventRecord[];
  /** Sequence of the last event that was looked at: where the next page begins. */
  readonly sequence: number;
  /** Events behind the place where the page begins that are forgotten; of every type. */
  readonly missed: number;
}

/** Events that are remembered unless told otherwise: hours of a quiet node, seconds of a noisy one. */
export const REMEMBERED_EVENTS = 10_000;

export interface EventLogOptions {
  /** Wall clock, milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Events that are remembered. */
  readonly capacity?: number;
}

/**
 * What happened of late. Whoever reads holds a sequence number and asks for what came after it, so that one who is slow costs
 * nothing: what it did not ask for in time is forgotten, and it is told how much that was.
 */
export class EventLog {
  readonly #nowMs: () => number;
  /** A ring: the event of sequence n is at n modulo its length. */
  readonly #ring: (EventRecord | undefined)[];
  readonly #listeners = new Set<(event: EventRecord) => void>();
  readonly #counts = new Map<EventType, number>();
  #last = 0;

  constructor({ nowMs, capacity = REMEMBERED_EVENTS }: EventLogOptions) {
    this.#nowMs = nowMs;
    this.#ring = new Array<EventRecord | undefined>(capacity);
  }

  /** Sequence of the newest event; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  /** Events by type, forgotten ones too. */
  get counts(): ReadonlyMap<EventType, number> {
    return this.#counts;
  }

  /** Note an event, and tell those who listen. */
  emit({ type, resource = '', also = [], message, actor = '', attributes = {} }: NewEvent): EventRecord {
    const timeMs = this.#nowMs();
    const event = { sequence: ++this.#last, timeMs, type, resource, also, message, actor, attributes };
    this.#ring[event.sequence % this.#ring.length] = event;
    this.#counts.set(type, (this.#counts.get(type) ?? 0) + 1);
    for (const listener of this.#listeners) listener(event);
    return event;
  }

  /**
   * The events after a sequence number that are selected.
   * @param sequence 0: from the oldest that is remembered
   * @param max events at most
   */
  after(sequence: number, selection: EventSelection = {}, max = Number.POSITIVE_INFINITY): EventPage {
    const oldest = Math.max(1, this.#last - this.#ring.length + 1);
    const missed = Math.max(0, oldest - 1 - sequence);
    const events: EventRecord[] = [];
    let at = Math.max(sequence, oldest - 1);
    while (at < this.#last && events.length < max) {
      const event = this.#ring[++at % this.#ring.length];
      if (event !== undefined && isSelected(event, selection)) events.push(event);
    }
    return { events, sequence: at, missed };
  }

  /**
   * Be told of each event that is selected, those after a sequence number that are remembered first. Listeners do not throw.
   * @param afterSequence absent: only new ones
   * @returns takes the listener back
   */
  subscribe(
    selection: EventSelection & { readonly afterSequence?: number },
    listener: (event: EventRecord) => void,
  ): () => void {
    const { afterSequence = this.#last } = selection;
    for (const event of this.after(afterSequence, selection).events) listener(event);
    const tell = (event: EventRecord) => {
      if (isSelected(event, selection)) listener(event);
    };
    this.#listeners.add(tell);
    return () => this.#listeners.delete(tell);
  }
}

/** True for an event that somebody wants to know of. */
export function isSelected(event: EventRecord, { types = [], resources = [] }: EventSelection): boolean {
  const isOfType = types.length === 0 || types.some((type) => isTypeOrBeginning(type, event.type));
  if (!isOfType || resources.length === 0) return isOfType;
  return resources.some((name) => name === event.resource || event.also.includes(name));
}

/** True where a text is a type, or a beginning of it that ends with a dot. */
export function isTypeOrBeginning(text: string, type: EventType): boolean {
  return text === type || (text.endsWith('.') && type.startsWith(text));
}
