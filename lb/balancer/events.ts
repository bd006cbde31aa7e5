import { CodedError } from '../errors.js';
import { REASON_SLOT_NO_VIP, type Reason, reasonOfCode } from './reasons.js';
import { decode, EVENT_KINDS, EVENT_RECORD, type EventKind } from './schema.js';

/** A packet that the program reported. */
export interface PacketEvent {
  readonly kind: EventKind;
  /** What became of it; of tcp_nonsyn_lru_miss and packet_too_big: what was about to. */
  readonly reason: Reason;
  /** Absent: no VIP. */
  readonly vipNumber?: number;
  /** Length of the whole frame. */
  readonly packetBytes: number;
  /** The first bytes of the frame, EVENT_PACKET_BYTES at most. A copy. */
  readonly data: Uint8Array;
}

export type EventsFault =
  | { readonly code: 'EVENTS_TRUNCATED'; readonly bytes: number; readonly needBytes: number }
  | { readonly code: 'EVENTS_UNKNOWN'; readonly event: number; readonly reason: number };
/** A record that the balancer's program did not write. */
export class EventsError extends CodedError<EventsFault> {}

const KIND_BY_NUMBER: ReadonlyMap<number, EventKind> = new Map(
  Object.entries(EVENT_KINDS).map(([kind, number]) => [number, kind as EventKind]),
);

/**
 * Read a record of the ring buffer `events` (struct event_record, then the frame's first bytes; what is behind those
 * is of earlier records).
 * @throws EventsError
 */
export function decodeEvent(record: Uint8Array): PacketEvent {
  const headBytes = EVENT_RECORD.sizeBytes;
  const head = record.length < headBytes ? undefined : decode(EVENT_RECORD, record);
  const needBytes = headBytes + (head?.data_bytes ?? 0);
  if (head === undefined || record.length < needBytes) {
    throw new EventsError(
      { code: 'EVENTS_TRUNCATED', bytes: record.length, needBytes },
      `a record of ${record.length} bytes, ${needBytes} are needed`,
    );
  }
  const kind = KIND_BY_NUMBER.get(head.event);
  const reason = reasonOfCode(head.reason);
  if (kind === undefined || reason === undefined) {
    throw new EventsError(
      { code: 'EVENTS_UNKNOWN', event: head.event, reason: head.reason },
      `a record of event ${head.event} with reason ${head.reason}, which are not known`,
    );
  }
  return {
    kind,
    reason,
    ...(head.vip_num === REASON_SLOT_NO_VIP ? {} : { vipNumber: head.vip_num }),
    packetBytes: head.packet_bytes,
    data: record.slice(headBytes, needBytes),
  };
}

/** Where records come from: the ring of an arena (RingBufferReader) or of the kernel (RingConsumer). */
export interface RecordSource {
  /** Visit at most `max` records, oldest first; each is gone then. @returns how many there were */
  consume(visit: (record: Uint8Array) => void, max?: number): number;
  /** @param signal ends the wait too @returns false after `timeoutMs` without a record */
  wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean>;
}

/** What an event source counts, since it was made. */
export interface EventCounters {
  /** Events that were handed out. */
  readonly read: bigint;
  /** Records that no balancer's program wrote: skipped. */
  readonly malformed: bigint;
  /** Events that found no room in the ring, as the program counts them. */
  readonly lost: bigint;
}

/** The balancer's events, for one consumer. A bad record is counted, not thrown; nobody is busy while there is none. */
export interface EventSource {
  /** Events that came since the last call, oldest first, `max` at most; what is left is there at the next call. */
  read(max?: number): PacketEvent[];
  /** Wait for an event to read. @param signal ends the wait too @returns false after `timeoutMs` without one */
  wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean>;
  readonly counters: EventCounters;
}

/** Events that one call reads unless it says otherwise: some hundred bytes each. */
const READ_EVENTS = 1024;

/** Events of a ring that programs on any CPU fill, until it is full. */
export class EventReader implements EventSource {
  readonly #records: RecordSource;
  readonly #lost: () => bigint;
  #read = 0;
  #malformed = 0;

  /**
   * @param records of the balancer's map `events`
   * @param lost events that found no room, as the program counts them
   */
  constructor(records: RecordSource, lost: () => bigint = () => 0n) {
    this.#records = records;
    this.#lost = lost;
  }

  read(max = READ_EVENTS): PacketEvent[] {
    const events: PacketEvent[] = [];
    this.#records.consume((record) => {
      const event = eventOf(record);
      if (event === undefined) this.#malformed += 1;
      else events.push(event);
    }, max);
    this.#read += events.length;
    return events;
  }

  wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    return this.#records.wait(timeoutMs, signal);
  }

  get counters(): EventCounters {
    return { read: BigInt(this.#read), malformed: BigInt(this.#malformed), lost: this.#lost() };
  }
}

/** @returns undefined for a record that is none of the balancer's */
function eventOf(record: Uint8Array): PacketEvent | undefined {
  try {
    return decodeEvent(record);
  } catch (error) {
    if (error instanceof EventsError) return undefined;
    throw error;
  }
}
