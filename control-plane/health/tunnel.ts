import { Socket } from 'node:net';
import { CodedError, formatIp, type HealthcheckTables, type IpAddress } from '../../lb/index.js';
import type { Dial } from './probes/dial.js';

export interface TunnelFault {
  readonly code: 'TUNNEL_FULL';
  readonly backends: number;
}

/** More backends are to be checked through the tunnel than there are marks for. */
export class TunnelError extends CodedError<TunnelFault> {}

export interface TunnelOptions {
  /** Which backend the packets of a mark go to: the maps of the program that encapsulates on the way out. */
  readonly tables: Pick<HealthcheckTables, 'putReal' | 'deleteReal'>;
  /**
   * A TCP socket that does not block and has the mark (SO_MARK, needs CAP_NET_ADMIN), not connected yet.
   * @returns its descriptor, which belongs to the caller from then on
   */
  readonly openMarked: (family: 4 | 6, mark: number) => number;
  /** Marks are this and the following ones: those of the host's own policy routing must lie elsewhere. */
  readonly firstMark: number;
  /** Backends at a time: what the table of marks holds. */
  readonly capacity: number;
}

/**
 * The way of a check through the tunnel. Its connection is to the VIP, from a socket with the mark of the backend; the
 * program on the way out puts the outer header on, as the balancer does with what clients send. The backend answers
 * for the VIP straight to this host, and the host's TCP takes it, as it knows the connection: so a backend that does
 * not decapsulate, or lacks the VIP, fails. This host must not have the VIP as an address of its own: it would answer
 * itself.
 */
export class Tunnel {
  readonly #options: TunnelOptions;
  /** Address of a backend → its mark. */
  readonly #marks = new Map<string, number>();

  constructor(options: TunnelOptions) {
    this.#options = options;
  }

  /** Connections to a VIP by way of a backend. The first one gives the backend a mark. */
  dial(backend: IpAddress, vip: IpAddress): Dial {
    return (_, port, onread) => {
      const mark = this.#markOf(backend);
      const fd = this.#options.openMarked(vip.family, mark);
      const socket = new Socket({ fd, readable: true, writable: true, ...(onread && { onread }) });
      return socket.connect({ host: formatIp(vip), port });
    };
  }

  /** Take back the marks of all backends but these. */
  keep(backends: Iterable<IpAddress>): void {
    const wanted = new Set(Array.from(backends, formatIp));
    for (const [text, mark] of this.#marks) {
      if (wanted.has(text)) continue;
      this.#options.tables.deleteReal(mark);
      this.#marks.delete(text);
    }
  }

  #markOf(backend: IpAddress): number {
    const text = formatIp(backend);
    const before = this.#marks.get(text);
    if (before !== undefined) return before;
    const { tables, firstMark, capacity } = this.#options;
    if (this.#marks.size >= capacity) {
      throw new TunnelError(
        { code: 'TUNNEL_FULL', backends: this.#marks.size },
        `${this.#marks.size} backends are checked through the tunnel already`,
      );
    }
    const used = new Set(this.#marks.values());
    let mark = firstMark;
    while (used.has(mark)) mark++;
    // Before the first packet with the mark: unknown marks go out as they are.
    tables.putReal(mark, backend);
    this.#marks.set(text, mark);
    return mark;
  }
}
