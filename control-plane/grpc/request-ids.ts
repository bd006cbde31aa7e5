import { createHash } from 'node:crypto';
import type { Caller } from '../security/caller.js';
import { fieldError } from '../state/faults.js';

const MAX_LENGTH = 36;
/** How long an answer is remembered, ms. */
const REMEMBERED_MS = 10 * 60_000;
/** Answers that are remembered, over all clients. */
const MAX_REMEMBERED = 10_000;

interface Remembered {
  /** Digest of the request: one may be as large as the configuration. */
  readonly question: string;
  readonly answer: Promise<unknown>;
  readonly untilMs: number;
}

/** Answers requests with ids of their client's once (AIP-155): one that is sent again gets the first one's answer. */
export class RequestIds {
  readonly #answers = new Map<string, Remembered>();
  readonly #nowMs: () => number;

  /** @param nowMs a monotonic clock */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /**
   * @param caller who asks: ids of different clients have nothing to do with each other
   * @param id     '' for a request that is made whenever it comes
   * @param question the whole request; another one under the same id is refused
   * @throws StateError STATE_FIELDS, and what `run` throws; a request that failed may be sent again
   */
  async once<T>(
    { via, name }: Pick<Caller, 'via' | 'name'>,
    id: string,
    question: object,
    run: () => Promise<T>,
  ): Promise<T> {
    if (id === '') return run();
    if (id.length > MAX_LENGTH)
      throw fieldError('request_id', `${id.length} characters are more than ${MAX_LENGTH}`);
    this.#forget();
    const key = `${via} ${name} ${id}`;
    const text = createHash('sha256').update(JSON.stringify(question)).digest('base64');
    const before = this.#answers.get(key);
    if (before !== undefined) {
      if (before.question !== text) throw fieldError('request_id', `"${id}" was that of another request`);
      // What was remembered under this key is what such a request is answered with.
      return before.answer as Promise<T>;
    }
    const answer = run();
    this.#answers.set(key, { question: text, answer, untilMs: this.#nowMs() + REMEMBERED_MS });
    try {
      return await answer;
    } catch (error) {
      this.#answers.delete(key);
      throw error;
    }
  }

  #forget(): void {
    const now = this.#nowMs();
    for (const [key, { untilMs }] of this.#answers) {
      if (untilMs > now && this.#answers.size <= MAX_REMEMBERED) return;
      this.#answers.delete(key);
    }
  }
}
