import {
  INBOX_HEADER_BYTES,
  INBOX_SLOT_EXTRA_BYTES,
  INBOX_SLOTS,
  SLOT_ABANDONED,
  SLOT_WORD,
} from './layout.js';

const STATE_MASK = 0xff;

/** Where the workers' inboxes are, one after the other. */
export interface Inboxes {
  /** Arena offset of the first, a multiple of 128. */
  readonly offset: number;
  readonly workers: number;
  /** Of the rings' shape. */
  readonly frameBytes: number;
}

const slotBytes = (frameBytes: number): number => frameBytes + INBOX_SLOT_EXTRA_BYTES;

/** Bytes of arena that the inbox of one worker takes; a multiple of 128. */
export function inboxBytes(frameBytes: number): number {
  return INBOX_HEADER_BYTES + INBOX_SLOTS * slotBytes(frameBytes);
}

/**
 * Give up the slots that a worker claimed and did not fill before it died: those who take frames pass over them.
 * @param words the arena
 * @param cpu   the worker, whose thread has ended and is not replaced yet
 */
export function abandonClaims(words: Int32Array, inboxes: Inboxes, cpu: number): void {
  const { offset, workers, frameBytes } = inboxes;
  for (let worker = 0; worker < workers; worker++) {
    const slots = offset + worker * inboxBytes(frameBytes) + INBOX_HEADER_BYTES;
    for (let slot = 0; slot < INBOX_SLOTS; slot++) {
      const at = (slots + slot * slotBytes(frameBytes) + SLOT_WORD) / 4;
      const word = Atomics.load(words, at);
      // Nobody else changes a claim.
      if ((word & STATE_MASK) === cpu + 1) Atomics.store(words, at, (word & ~STATE_MASK) | SLOT_ABANDONED);
    }
  }
}
