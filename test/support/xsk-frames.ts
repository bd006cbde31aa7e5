import type { Arena } from '../../lb/bpf/memory/arena.js';
import * as layout from '../../lb/io/xsk-layout.js';

const RINGS = {
  fill: { words: layout.XSK_FILL, entryBytes: layout.ADDRESS_BYTES },
  completion: { words: layout.XSK_COMPLETION, entryBytes: layout.ADDRESS_BYTES },
  rx: { words: layout.XSK_RX, entryBytes: layout.DESC_BYTES },
  tx: { words: layout.XSK_TX, entryBytes: layout.DESC_BYTES },
} as const;
export type RingName = keyof typeof RINGS;

/** An AF_XDP queue's rings, as anybody may read them. */
export class QueueRings {
  readonly #view: DataView;
  readonly #words: Int32Array;

  /** @param state arena offset of the queue's state */
  constructor(
    arena: Arena,
    readonly state: number,
  ) {
    this.#view = new DataView(arena.memory.buffer);
    this.#words = arena.i32;
  }

  word(offset: number): number {
    return this.#view.getUint32(this.state + offset, true);
  }

  position(ring: RingName, end: 'producer' | 'consumer'): number {
    return Atomics.load(this.#words, this.#place(ring, end)) >>> 0;
  }

  setPosition(ring: RingName, end: 'producer' | 'consumer', value: number): void {
    Atomics.store(this.#words, this.#place(ring, end), value);
  }

  #place(ring: RingName, end: 'producer' | 'consumer'): number {
    const word = end === 'producer' ? layout.RING_PRODUCER : layout.RING_CONSUMER;
    return this.word(RINGS[ring].words + word) / 4;
  }

  /** Arena offset of the entry at a position. */
  entry(ring: RingName, position: number): number {
    const { words, entryBytes } = RINGS[ring];
    return this.word(words + layout.RING_ENTRIES) + (position & this.word(layout.XSK_MASK)) * entryBytes;
  }

  /** Addresses of the frames' chunks in a ring, in their order. */
  chunks(ring: RingName): number[] {
    const from = this.position(ring, 'consumer');
    const count = (this.position(ring, 'producer') - from) >>> 0;
    const mask = ~(this.word(layout.XSK_FRAME_BYTES) - 1);
    return Array.from(
      { length: count },
      (_, i) => this.#view.getUint32(this.entry(ring, from + i), true) & mask,
    );
  }

  /** Every frame that is in one of the rings, in the order of their addresses: each once, where none is lost or doubled. */
  allChunks(): number[] {
    return (Object.keys(RINGS) as RingName[]).flatMap((ring) => this.chunks(ring)).sort((a, b) => a - b);
  }

  /** What `allChunks` has to be when the kernel has nothing in hand. */
  get everyChunk(): number[] {
    const bytes = this.word(layout.XSK_FRAME_BYTES);
    return Array.from({ length: this.word(layout.XSK_MASK) + 1 }, (_, i) => i * bytes);
  }
}
