import { attachCheckTunnel, type CheckTunnel, type DatapathLink, type IpAddress } from '../lb/index.js';
import type { Dial } from './health/probes/dial.js';
import { Tunnel } from './health/tunnel.js';
import type { Log } from './reconcile/reconciler.js';
import type { DesiredState } from './state/model.js';
import { effectiveOptions } from './state/options.js';

/** Marks of health checks begin here; those of the host's own policy routing are rarely so large. */
const FIRST_MARK = 0x0061_0000;

export interface CheckTunnelsOptions {
  readonly link: DatapathLink;
  /** Addresses of the interface: sources of packets where the node has none of its own, one of a family at most. */
  readonly linkAddresses: () => readonly IpAddress[];
  readonly state: () => DesiredState;
  readonly log: Log;
}

/**
 * The tunnel of health checks, made when the first check needs it: packets to a VIP's address on one backend, encapsulated as those
 * of clients are.
 */
export class CheckTunnels {
  readonly #options: CheckTunnelsOptions;
  #way: { readonly asked: string; readonly kernel: CheckTunnel; readonly tunnel: Tunnel } | undefined;
  #fault: string | undefined;

  constructor(options: CheckTunnelsOptions) {
    this.#options = options;
  }

  /** Connections to a VIP by way of a backend. @throws BpfError, TunnelError where there is no way */
  dial(backend: IpAddress, vip: IpAddress): Dial {
    return this.#ready().dial(backend, vip);
  }

  /** Forget the backends that are not among these; without any there is no tunnel. */
  keep(backends: readonly IpAddress[]): void {
    this.#way?.tunnel.keep(backends);
    if (backends.length === 0) this.close();
  }

  /** Idempotent; a later check opens it again. */
  close(): void {
    this.#way?.kernel.close();
    this.#way = undefined;
  }

  #ready(): Tunnel {
    const state = this.#options.state();
    const { gue, guePort } = effectiveOptions(state);
    const own = state.node.ownAddresses;
    const found = this.#options.linkAddresses();
    const sources = ([4, 6] as const).flatMap((family) => {
      const isOf = (address: IpAddress) => address.family === family;
      return own.find(isOf) ?? found.find(isOf) ?? [];
    });
    const asked = JSON.stringify([gue && guePort, sources.map(({ bytes }) => [...bytes])]);
    if (this.#way?.asked === asked) return this.#way.tunnel;
    this.close();
    try {
      const kernel = attachCheckTunnel({
        link: this.#options.link,
        sources,
        guePort: gue ? guePort : undefined,
      });
      const tunnel = new Tunnel({ ...kernel, firstMark: FIRST_MARK });
      this.#way = { asked, kernel, tunnel };
      this.#fault = undefined;
      return tunnel;
    } catch (error) {
      this.#say(error);
      throw error;
    }
  }

  /** Once for each fault: every probe meets it. */
  #say(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (text === this.#fault) return;
    this.#fault = text;
    this.#options.log('error', 'health checks cannot go through the tunnel', { error });
  }
}
