import { PerfReader } from '../maps/perf-events.js';
import type { ArenaMap, ArenaMaps } from '../maps/registry.js';
import { RingBufferReader } from '../maps/ring-buffer.js';
import type { Btf } from '../object/btf.js';
import { type ValueCodec, valueCodec } from '../object/values.js';
import { MachineError } from './fault.js';

/** Ring of one CPU of a PERF_EVENT_ARRAY, bytes. */
export const PERF_RING_BYTES = 65536;

/** What a program sent, through a RINGBUF or a PERF_EVENT_ARRAY. */
export interface Event<T> {
  /** By the type that was asked for; the bytes where none was. */
  readonly value: T;
  /** All of it: bytes of the packet may follow the value (BPF_F_CTXLEN_MASK). A copy. */
  readonly data: Uint8Array;
  /** CPU that the program ran on; of a PERF_EVENT_ARRAY only. */
  readonly cpu?: number;
}

/** The one consumer of the events of one map. */
export class Events<T = Uint8Array> {
  readonly #reader: RingBufferReader | PerfReader;
  readonly #codec: ValueCodec | undefined;

  /**
   * @param cpus CPUs whose events come through a PERF_EVENT_ARRAY: each gets a ring of PERF_RING_BYTES
   * @param type C name of a struct, union, enum or typedef that the object has
   * @throws MapError MAP_TYPE for a map of another type, MAP_NO_ROOM; MachineError MACHINE_TYPE
   */
  constructor(host: ArenaMaps, map: ArenaMap, cpus: number, btf: Btf | undefined, type: string | undefined) {
    this.#codec = type === undefined ? undefined : valueCodec(...findType(btf, type));
    if (map.info.type === 'PERF_EVENT_ARRAY') {
      this.#reader = new PerfReader(host, map);
      const slots = Math.min(cpus, map.info.maxEntries);
      for (let cpu = 0; cpu < slots; cpu++) this.#reader.open(cpu, PERF_RING_BYTES);
    } else this.#reader = new RingBufferReader(host, map);
  }

  /** The events that came since the last call, oldest first (of each CPU). */
  read(): Event<T>[] {
    const events: Event<T>[] = [];
    const reader = this.#reader;
    if (reader instanceof PerfReader) {
      reader.consume(({ cpu, data }) => {
        events.push({ ...this.#event(data), cpu });
      });
    } else {
      reader.consume((data) => {
        events.push(this.#event(data));
      });
    }
    return events;
  }

  /** Wait for events. @returns false after `timeoutMs` without one */
  wait(timeoutMs: number): Promise<boolean> {
    return this.#reader.wait(timeoutMs);
  }

  /** Events of a PERF_EVENT_ARRAY that found no room; a RINGBUF tells the program instead. */
  get lost(): bigint {
    return this.#reader instanceof PerfReader ? this.#reader.lost : 0n;
  }

  #event(shared: Uint8Array): Event<T> {
    const data = Uint8Array.from(shared);
    const codec = this.#codec;
    const value = codec === undefined ? data : codec.decode(data.subarray(0, codec.sizeBytes));
    return { value: value as T, data };
  }
}

function findType(btf: Btf | undefined, name: string): [Btf, number] {
  const kinds = ['struct', 'union', 'typedef', 'enum', 'enum64'] as const;
  for (const kind of kinds) {
    const type = btf?.find(kind, name);
    if (btf !== undefined && type !== undefined) return [btf, type.id];
  }
  throw new MachineError({ code: 'MACHINE_TYPE', type: name }, `the object has no type ${name}`);
}
