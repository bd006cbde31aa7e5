import type { OnReadOpts, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../types.js';
import { type Dial, drop } from './dial.js';
import { onSession, secure, type TlsOptions, type TlsSession } from './tls.js';

/** Who hears what comes over a connection. */
export interface WireListener {
  /** Bytes, good until the call returns. */
  data(chunk: Buffer): void;
  /** The peer says no more. */
  end(): void;
  error(error: unknown): void;
}

/** Where the session is kept that the next connection over TLS may use. */
export interface Sessions {
  session: TlsSession | undefined;
}

export interface WireOptions {
  readonly clock: Clock;
  readonly dial: Dial;
  readonly address: string;
  readonly port: number;
  /** Absent: without TLS. */
  readonly tls?: TlsOptions;
  /** Absent: every handshake is whole. */
  readonly sessions?: Sessions | undefined;
}

/** Of all connections: it is read and handed on before the next one is. */
const READ_BYTES = 65_536;
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/**
 * A connection of a probe, with or without TLS. Between probes it has no listener: whatever comes then, the end of the
 * connection too, closes it.
 */
export class Wire {
  listener: WireListener | undefined;
  readonly #socket: Socket;
  readonly #secured: TLSSocket | undefined;
  #missing = 'no connection';
  #isOpen = true;

  /** Begin to connect. @throws what `dial` throws */
  constructor({ clock, dial, address, port, tls, sessions }: WireOptions) {
    const data = (chunk: Buffer) => this.#hear((listener) => listener.data(chunk));
    const onread: OnReadOpts = {
      buffer: readBuffer,
      callback: (length) => {
        data(readBuffer.subarray(0, length));
        return true;
      },
    };
    const socket = tls === undefined ? dial(address, port, onread) : dial(address, port);
    this.#socket = socket;
    const error = (raised: unknown) => this.#hear((listener) => listener.error(raised));
    const end = () => this.#hear((listener) => listener.end());
    socket.on('error', error);
    socket.on('connect', () => {
      this.#missing = tls === undefined ? '' : 'no end of the TLS handshake';
    });
    if (tls === undefined) {
      socket.on('end', end);
      return;
    }
    const session = takeSession(sessions, clock.nowMs());
    const secured = secure(socket, tls, session);
    this.#secured = secured;
    secured.on('error', error);
    secured.on('data', data);
    secured.on('end', () => {
      // Before the end of the handshake it is an error that says so, which follows.
      if (this.#missing === '') end();
    });
    secured.on('secureConnect', () => {
      this.#missing = '';
      if (sessions === undefined) return;
      if (secured.isSessionReused()) sessions.session = session;
      else
        onSession(secured, clock.nowMs(), (taken) => {
          sessions.session = taken;
        });
    });
  }

  /** What there is not yet of the connection, in words; '': it stands. */
  get missing(): string {
    return this.#missing;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sent as soon as the connection stands. */
  write(bytes: Buffer): void {
    (this.#secured ?? this.#socket).write(bytes);
  }

  /** End the connection with a reset. Nothing of it is heard from then on. Idempotent. */
  close(): void {
    this.#isOpen = false;
    this.listener = undefined;
    // One that says goodbye on its own is past being reset.
    if (this.#secured?.writableEnded) this.#socket.destroy();
    else drop(this.#socket);
    this.#secured?.destroy();
  }

  #hear(say: (listener: WireListener) => void): void {
    if (!this.#isOpen) return;
    if (this.listener === undefined) this.close();
    else say(this.listener);
  }
}

/** The session, if it is good still. It is put back by a handshake that it was good for: others must not meet it again. */
function takeSession(sessions: Sessions | undefined, nowMs: number): TlsSession | undefined {
  const session = sessions?.session;
  if (sessions === undefined || session === undefined) return undefined;
  sessions.session = undefined;
  return nowMs < session.untilMs ? session : undefined;
}
