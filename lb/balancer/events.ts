import type { ArenaMap } from '../bpf/maps/arena-map.js';
import { RingBufferReader, type RingHost } from '../bpf/maps/ring-buffer.js';
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

/** The one consumer of the balancer's events; programs on any CPU produce them, until the ring is full. */
export class EventReader {
  readonly #ring: RingBufferReader;

  /**
   * @param host the arena's maps
   * @param map the balancer's map `events`
   * @throws MapError MAP_TYPE for a map that is no ring buffer
   */
  constructor(host: RingHost, map: ArenaMap) {
    this.#ring = new RingBufferReader(host, map);
  }

  /**
   * The events that came since the last call, oldest first.
   * @throws EventsError for a record that is none; those behind it are there at the next call
   */
  read(): PacketEvent[] {
    const events: PacketEvent[] = [];
    this.#ring.consume((record) => {
      events.push(decodeEvent(record));
    });
    return events;
  }

  /** Wait for events. @returns false after `timeoutMs` without one */
  wait(timeoutMs: number): Promise<boolean> {
    return this.#ring.wait(timeoutMs);
  }
}
