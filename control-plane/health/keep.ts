import type { TlsSession } from './probes/tls.js';

/** A connection that may be used for one probe more. */
export interface Kept {
  /** False once it was closed, or the peer did. */
  readonly isOpen: boolean;
  close(): void;
}

/**
 * What a check of a target keeps from one probe to the next: a connection, where the check says so, and what a TLS
 * handshake gave. Whoever runs the check has it, and closes it with the check.
 */
export class Keep {
  /** Used by the next connection over TLS. */
  session: TlsSession | undefined;
  #kept: Kept | undefined;
  #isClosed = false;

  /** The connection, which is the caller's then; undefined: there is none of the class, or it ended meanwhile. */
  take<K extends Kept>(type: new (...args: never) => K): K | undefined {
    const kept = this.#kept;
    if (!(kept instanceof type)) return undefined;
    this.#kept = undefined;
    return kept.isOpen ? kept : undefined;
  }

  /** Keep a connection that is idle. Where nothing is kept any more, or one is already, it is closed. */
  put(connection: Kept): void {
    if (this.#isClosed || this.#kept?.isOpen === true) connection.close();
    else this.#kept = connection;
  }

  /** Close what is kept, and what is put from then on. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.session = undefined;
    this.#kept?.close();
    this.#kept = undefined;
  }
}
