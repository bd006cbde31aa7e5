import koffi from 'koffi';

type Handle = ReturnType<typeof koffi.node.poll>;

/**
 * How a descriptor says that it is readable. 'level': as long as it is, so that nobody listens but during a wait. 'once':
 * at each wakeup, and to whoever asks first, so that somebody listens all the time (perf(2): poll clears what it tells).
 */
export type ReadinessKind = 'level' | 'once';

/** Tells when one of some descriptors is readable: the thread's event loop asks the kernel (epoll(7)), no thread waits. */
export class Readiness {
  readonly #kind: ReadinessKind;
  /** Held, or they would be collected while they wait. */
  readonly #handles: Handle[];
  /** Something became readable since the last wait. */
  #isReady = false;
  #wake: (() => void) | undefined;

  constructor(fds: readonly number[], kind: ReadinessKind) {
    this.#kind = kind;
    this.#handles = fds.map((fd) => koffi.node.poll(fd, { readable: true }, this.#onReady));
    if (kind === 'level') for (const handle of this.#handles) handle.stop();
    // Only a wait keeps the process alive, by its timer.
    for (const handle of this.#handles) handle.unref();
  }

  readonly #onReady = (): void => {
    this.#isReady = true;
    this.#wake?.();
  };

  /**
   * Wait until a descriptor is readable, or the time is over. One wait at a time.
   * @param signal ends the wait too
   */
  async wait(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#wake !== undefined) throw new Error('somebody waits already');
    if (this.#kind === 'level') {
      this.#isReady = false;
      for (const handle of this.#handles) handle.start({ readable: true }, this.#onReady);
    }
    await new Promise<void>((resolve) => {
      if (this.#isReady) {
        resolve();
        return;
      }
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, timeoutMs);
      signal?.addEventListener('abort', end, { once: true });
      this.#wake = end;
    });
    this.#isReady = false;
    this.#wake = undefined;
    if (this.#kind === 'level') for (const handle of this.#handles) handle.stop();
  }

  /** Ends a wait. Before the descriptors are closed; idempotent. */
  close(): void {
    this.#wake?.();
    // koffi takes no second close of a handle.
    for (const handle of this.#handles.splice(0)) handle.close();
  }
}
