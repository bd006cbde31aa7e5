import { BpfError } from './bpf-call.js';
import type { KernelMap } from './bpf-map.js';
import { Mapping, PAGE_BYTES } from './mapping.js';
import { Readiness } from './readiness.js';

/** Bits of a record's length (BPF_RINGBUF_BUSY_BIT and _DISCARD_BIT, uapi/linux/bpf.h). */
const BUSY = 2 ** 31;
const DISCARDED = 2 ** 30;
const LENGTH_MASK = DISCARDED - 1;
/** BPF_RINGBUF_HDR_SZ: the length, and what is the kernel's own. */
const HEADER_BYTES = 8;

/** What a ring's consumer counts, since it was made. */
export interface RingCounters {
  readonly records: bigint;
  /** Records that programs reserved and then discarded. */
  readonly discarded: bigint;
}

/**
 * The one consumer of a RINGBUF of the kernel, over mmap: no system call a record. Records come in the order in which they
 * were reserved, so that one that is reserved and not yet submitted holds up those behind it. What finds no room is not
 * counted by the kernel: bpf_ringbuf_reserve says so to the program, and to nobody else.
 *
 * Order: the kernel writes a record, then clears BUSY in its length with a release (xchg), and moves its position with
 * one; the loads here are Atomics', which are sequentially consistent, and so is the store that gives a record back.
 */
export class RingConsumer {
  readonly #consumer: Mapping;
  readonly #producer: Mapping;
  /** Written here, in bytes since the ring was made, as is the producers'. */
  readonly #position: BigUint64Array;
  readonly #end: BigUint64Array;
  /** The ring twice, one behind the other: a record that crosses the end lies in one piece. */
  readonly #data: Uint8Array;
  readonly #lengths: Int32Array;
  readonly #mask: number;
  readonly #readiness: Readiness;
  #records = 0;
  #discarded = 0;
  #isClosed = false;

  /**
   * @param map stays the caller's, and open as long as this
   * @throws BpfError BPF_MAP_TYPE for a map of another type, SysError SYS_CALL
   */
  constructor(map: KernelMap) {
    const { name, type, maxEntries } = map.spec;
    if (type !== 'RINGBUF') {
      throw new BpfError(
        { code: 'BPF_MAP_TYPE', map: name, type, want: 'RINGBUF' },
        `map ${name} is of type ${type}, wanted RINGBUF`,
      );
    }
    this.#consumer = new Mapping(map.fd, PAGE_BYTES, 0, 'read-write', `the consumer's page of ${name}`);
    try {
      const bytes = PAGE_BYTES + 2 * maxEntries;
      this.#producer = new Mapping(map.fd, bytes, PAGE_BYTES, 'read', `the records of ${name}`);
    } catch (error) {
      this.#consumer.close();
      throw error;
    }
    const { buffer } = this.#producer.bytes;
    this.#position = new BigUint64Array(this.#consumer.bytes.buffer, 0, 1);
    this.#end = new BigUint64Array(buffer, 0, 1);
    this.#data = new Uint8Array(buffer, PAGE_BYTES);
    this.#lengths = new Int32Array(buffer, PAGE_BYTES);
    this.#mask = maxEntries - 1;
    this.#readiness = new Readiness([map.fd], 'level');
  }

  /**
   * Visit the records that are there, oldest first.
   * @param visit its argument is the ring's own memory, valid during the call only, and not to be written; a record is
   *   given back also where it throws
   * @param max visits at most
   * @returns how many there were
   */
  consume(visit: (record: Uint8Array) => void, max = Number.POSITIVE_INFINITY): number {
    let count = 0;
    for (let length = this.#peek(); length !== undefined && count < max; length = this.#peek()) {
      const at = this.#at() + HEADER_BYTES;
      const bytes = length & LENGTH_MASK;
      try {
        if ((length & DISCARDED) !== 0) this.#discarded += 1;
        else {
          count += 1;
          this.#records += 1;
          visit(this.#data.subarray(at, at + bytes));
        }
      } finally {
        const next = Atomics.load(this.#position, 0) + BigInt((HEADER_BYTES + bytes + 7) & ~7);
        Atomics.store(this.#position, 0, next);
      }
    }
    return count;
  }

  /**
   * Wait until a record can be consumed. Programs wake only a consumer that has caught up with them, and not for a record
   * that was submitted with BPF_RB_NO_WAKEUP.
   * @param signal ends the wait too
   * @returns false after `timeoutMs` without one, or where this is closed meanwhile
   */
  async wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    const end = performance.now() + timeoutMs;
    for (let left = timeoutMs; left > 0 && !this.#isClosed; left = end - performance.now()) {
      if (this.hasRecord()) return true;
      if (signal?.aborted) return false;
      await this.#readiness.wait(left, signal);
    }
    return this.hasRecord();
  }

  /** Is there a record to consume, or one that was discarded? */
  hasRecord(): boolean {
    return this.#peek() !== undefined;
  }

  get counters(): RingCounters {
    return { records: BigInt(this.#records), discarded: BigInt(this.#discarded) };
  }

  /** Bytes that are taken in the ring, of the map's maxEntries: records that wait, and what is reserved. */
  get pendingBytes(): number {
    if (this.#isClosed) return 0;
    return Number(Atomics.load(this.#end, 0) - Atomics.load(this.#position, 0));
  }

  /** Idempotent. Records that wait stay in the ring for the next consumer. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#readiness.close();
    this.#consumer.close();
    this.#producer.close();
  }

  /** Length, with its bits, of the next record; undefined where there is none, or it is not submitted yet. */
  #peek(): number | undefined {
    if (this.pendingBytes <= 0) return undefined;
    const length = Atomics.load(this.#lengths, this.#at() >>> 2) >>> 0;
    return length >= BUSY ? undefined : length;
  }

  #at(): number {
    return Number(Atomics.load(this.#position, 0)) & this.#mask;
  }
}
