import { PERF_WAKE, RING_CPU, RING_DATA, RING_LOST, RING_STATE_BYTES, RING_WAKER } from '../memory/layout.js';
import type { ArenaMap } from './arena-map.js';
import { typeError } from './fault.js';
import type { MapSpec } from './map.js';
import { RingBufferReader, type RingHost } from './ring-buffer.js';
import { waitForChange } from './wait.js';

/** What a program gave to bpf_perf_event_output, and the packet bytes that it asked for behind that. */
export interface PerfSample {
  readonly cpu: number;
  /** The ring's own memory, valid during the visit only. The exact length: perf(2) would round it up. */
  readonly data: Uint8Array;
}

/** Where rings are made; `ArenaMaps` is one. */
export interface PerfHost extends RingHost {
  createMap(spec: MapSpec): ArenaMap;
}

interface PerfRing {
  readonly cpu: number;
  readonly map: ArenaMap;
  readonly reader: RingBufferReader;
}

/**
 * The consumer of a PERF_EVENT_ARRAY. Each slot has a ring that one CPU writes, once `open` made it; what does not fit
 * a ring is lost and counted, as with perf_event_open(2).
 */
export class PerfReader {
  readonly #host: PerfHost;
  readonly #map: ArenaMap;
  readonly #rings = new Map<number, PerfRing>();

  /** @throws MapError MAP_TYPE for a map of another type */
  constructor(host: PerfHost, map: ArenaMap) {
    if (map.info.type !== 'PERF_EVENT_ARRAY') throw typeError(map.spec, 'PERF_EVENT_ARRAY');
    this.#host = host;
    this.#map = map;
  }

  /**
   * Give slot `cpu` a ring that programs on this CPU write: until then they get -ENOENT. A slot that has one
   * keeps it.
   * @param bytes of the ring, a power of two and at least 4096; it takes twice that of the arena's maps region
   * @throws ArenaError ARENA_CPU, MapError MAP_SPEC, MAP_NO_ROOM; RangeError for a slot that the map does not have
   */
  open(cpu: number, bytes: number): void {
    const { arena } = this.#host;
    // Throws for a CPU that is not there.
    arena.block(cpu);
    if (this.#rings.has(cpu)) return;
    if (cpu >= this.#map.info.maxEntries) {
      throw new RangeError(
        `map ${this.#map.spec.name} has ${this.#map.info.maxEntries} slots, none for CPU ${cpu}`,
      );
    }
    const ring = this.#host.createMap({
      name: `${this.#map.spec.name}/${cpu}`,
      type: 'RINGBUF',
      keySize: 0,
      valueSize: 0,
      maxEntries: bytes,
      flags: 0,
    });
    const { descriptor } = ring.info;
    arena.u32[(descriptor + RING_CPU) >>> 2] = cpu + 1;
    const state = arena.u32[(descriptor + RING_DATA) >>> 2]! - RING_STATE_BYTES;
    arena.u32[(state + RING_WAKER) >>> 2] = this.#map.info.descriptor + PERF_WAKE;
    const reader = new RingBufferReader(this.#host, ring);
    this.#setSlot(cpu, descriptor);
    this.#rings.set(cpu, { cpu, map: ring, reader });
  }

  /**
   * Visit the samples that are there, CPU by CPU, each CPU's in order.
   * @returns how many there were
   */
  consume(visit: (sample: PerfSample) => void): number {
    let count = 0;
    for (const { cpu, reader } of this.#rings.values())
      count += reader.consume((data) => visit({ cpu, data }));
    return count;
  }

  /** Samples that found no room in their rings, since each was opened. */
  get lost(): bigint {
    const { arena } = this.#host;
    let lost = 0n;
    for (const { map } of this.#rings.values()) {
      const state = arena.u32[(map.info.descriptor + RING_DATA) >>> 2]! - RING_STATE_BYTES;
      lost += Atomics.load(arena.u64, (state + RING_LOST) / 8);
    }
    return lost;
  }

  /**
   * Wait until a sample can be consumed.
   * @returns false after `timeoutMs` without one
   */
  async wait(timeoutMs: number): Promise<boolean> {
    const { i32 } = this.#host.arena;
    const wake = (this.#map.info.descriptor + PERF_WAKE) >>> 2;
    const before = Atomics.load(i32, wake);
    if (this.#hasRecord()) return true;
    await waitForChange(i32, wake, before, timeoutMs);
    return this.#hasRecord();
  }

  /** Idempotent. Empties the slots and frees the rings; no program that uses the map may run meanwhile. */
  close(): void {
    for (const { cpu, map } of this.#rings.values()) {
      this.#setSlot(cpu, 0);
      map.close();
    }
    this.#rings.clear();
  }

  #hasRecord(): boolean {
    for (const { reader } of this.#rings.values()) if (reader.hasRecord()) return true;
    return false;
  }

  #setSlot(slot: number, descriptor: number): void {
    Atomics.store(this.#host.arena.u32, (this.#map.info.data + slot * 4) >>> 2, descriptor);
  }
}
