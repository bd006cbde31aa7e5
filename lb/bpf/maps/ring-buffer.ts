import type { Arena } from '../memory/arena.js';
import {
  RECORD_BUSY,
  RECORD_DISCARDED,
  RECORD_HEADER_BYTES,
  RING_DATA,
  RING_STATE_BYTES,
  RING_WAKE,
} from '../memory/layout.js';
import type { ArenaMap } from './arena-map.js';
import { typeError } from './fault.js';
import type { Runtime } from './runtime.js';
import { waitForChange } from './wait.js';

/** Where a ring lies and whose runtime walks it; `ArenaMaps` is one. */
export interface RingHost {
  readonly arena: Arena;
  readonly runtime: Runtime;
}

const LENGTH_MASK = ~(RECORD_BUSY | RECORD_DISCARDED);

/**
 * The one consumer of a RINGBUF. Producers are programs on any CPU (bpf_ringbuf_output, _reserve and _submit); records
 * come in the order in which they were reserved, so that one that is reserved and not yet submitted holds up those
 * behind it.
 *
 * Differs from the kernel's in where a record lies that crosses the end of the ring: the kernel maps the ring's pages
 * twice, here the room is twice as long. Positions and lengths are the same.
 */
export class RingBufferReader {
  readonly #host: RingHost;
  readonly #descriptor: number;
  /** The word, as an index of an Int32Array, that producers change to wake. */
  readonly #wake: number;

  /** @throws MapError MAP_TYPE for a map of another type */
  constructor(host: RingHost, map: ArenaMap) {
    if (map.info.type !== 'RINGBUF') throw typeError(map.spec, 'RINGBUF');
    this.#host = host;
    this.#descriptor = map.info.descriptor;
    const data = host.arena.u32[(map.info.descriptor + RING_DATA) >>> 2]!;
    this.#wake = (data - RING_STATE_BYTES + RING_WAKE) >>> 2;
  }

  /**
   * Visit the records that are there, oldest first.
   * @param visit its argument is the ring's own memory, valid during the call only
   * @param max visits at most
   * @returns how many there were
   */
  consume(visit: (record: Uint8Array) => void, max = Number.POSITIVE_INFINITY): number {
    const { arena, runtime } = this.#host;
    const { ring_peek, ring_release } = runtime.exports;
    let count = 0;
    for (let at = ring_peek(this.#descriptor); at !== 0 && count < max; at = ring_peek(this.#descriptor)) {
      const record = at >>> 0;
      const bytes = arena.u32[(record - RECORD_HEADER_BYTES) >>> 2]! & LENGTH_MASK;
      try {
        visit(arena.u8.subarray(record, record + bytes));
      } finally {
        ring_release(this.#descriptor, at);
      }
      count++;
    }
    return count;
  }

  /**
   * Wait until a record can be consumed. Producers wake only a consumer that has caught up with them, as the kernel's
   * do, and not for a record that was submitted with BPF_RB_NO_WAKEUP.
   * @param signal ends the wait too
   * @returns false after `timeoutMs` without one
   */
  async wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    const { arena } = this.#host;
    const before = Atomics.load(arena.i32, this.#wake);
    if (this.hasRecord()) return true;
    await waitForChange(arena.i32, this.#wake, before, timeoutMs, signal);
    return this.hasRecord();
  }

  /** Is there a record to consume? */
  hasRecord(): boolean {
    return this.#host.runtime.exports.ring_peek(this.#descriptor) !== 0;
  }
}
