import { checkRange, type MapSet, u32Bytes } from './map-set.js';
import { MAX_VIPS, RING_SIZE } from './schema.js';

/** Most slots that go into one batch. */
const BATCH_SLOTS = 8192;

/** The rings, and which of them each VIP uses. */
export class RingTable {
  readonly #maps: MapSet;

  constructor(maps: MapSet) {
    this.#maps = maps;
  }

  /**
   * Write a ring, only the slots that differ from `previous`.
   * @param slots RING_SIZE backend indices, 0 = empty
   * @param previous what the ring holds now, as far as the caller knows; without it every slot is written
   * @returns slots written
   * @throws TablesError TABLES_RANGE, TABLES_WRITE
   */
  put(ring: number, slots: Uint32Array, previous?: Uint32Array): number {
    checkRange('ring number', ring, 0, MAX_VIPS - 1);
    checkRange('ring size', slots.length, RING_SIZE, RING_SIZE);
    const map = this.#maps.get('ch_rings');
    const keys = new Uint32Array(BATCH_SLOTS);
    const values = new Uint32Array(BATCH_SLOTS);
    let pending = 0;
    let written = 0;
    const flush = (): void => {
      const result = map.updateBatch(bytesOf(keys, pending), bytesOf(values, pending), pending);
      this.#maps.check('ch_rings', 'update batch', result);
      written += pending;
      pending = 0;
    };
    for (let slot = 0; slot < RING_SIZE; slot++) {
      if (previous !== undefined && previous[slot] === slots[slot]) continue;
      keys[pending] = ring * RING_SIZE + slot;
      values[pending] = slots[slot]!;
      if (++pending === BATCH_SLOTS) flush();
    }
    flush();
    return written;
  }

  /** @throws TablesError TABLES_RANGE, TABLES_WRITE */
  assign(vipNumber: number, ringNumber: number): void {
    checkRange('VIP number', vipNumber, 0, MAX_VIPS - 1);
    checkRange('ring number', ringNumber, 0, MAX_VIPS - 1);
    this.#maps.update('vip_rings', u32Bytes(vipNumber), u32Bytes(ringNumber + 1));
  }
}

/** Little-endian bytes of the first `count` words (every machine that runs this is little endian). */
function bytesOf(words: Uint32Array, count: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, count * 4);
}
