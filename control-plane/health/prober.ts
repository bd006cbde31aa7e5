import type { SecureContext } from 'node:tls';
import { assertNever } from '../../lb/index.js';
import { CANCELLED } from './probes/attempt.js';
import { type Dial, dialDirect } from './probes/dial.js';
import { probeGrpc } from './probes/grpc.js';
import { probeHttp } from './probes/http.js';
import { Pinger } from './probes/icmp.js';
import { probeTcp } from './probes/tcp.js';
import { tlsContext } from './probes/tls.js';
import { probeUdp } from './probes/udp.js';
import type { Tunnel } from './tunnel.js';
import type { Clock, HealthCheck, ProbeResult, Prober, Target } from './types.js';

export interface ProbesOptions {
  readonly clock: Clock;
  /** What signs the targets' certificates, PEM; absent: the authorities that Node trusts. */
  readonly ca?: string;
  /** The way of checks whose path is the tunnel; absent: they fail as this host's fault. */
  readonly tunnel?: Pick<Tunnel, 'dial'>;
}

type Way = { readonly target: Target; readonly dial: Dial } | { readonly missing: string };

/** All the kinds of probes, with what they share. */
export class Probes {
  readonly #options: ProbesOptions;
  readonly #pinger: Pinger;
  #tlsContext: SecureContext | undefined;

  constructor(options: ProbesOptions) {
    this.#options = options;
    this.#pinger = new Pinger(options.clock);
  }

  readonly probe: Prober = (target, check, signal, keep) => {
    const { clock } = this.#options;
    const { probe, timeoutMs } = check;
    const way = this.#wayOf(target, check);
    if ('missing' in way) {
      const detail = `this host: ${way.missing}`;
      return Promise.resolve({ ok: false, local: true, detail, latencyMs: 0, atMs: clock.nowMs() });
    }
    const options = { clock, dial: way.dial, timeoutMs, signal, tlsContext: this.#tls, keep };
    switch (probe.kind) {
      case 'tcp':
        return probeTcp(way.target, probe, options);
      case 'http':
        return probeHttp(way.target, probe, options);
      case 'grpc':
        return probeGrpc(way.target, probe, options);
      case 'udp':
        return probeUdp(target, probe, options);
      case 'icmp':
        return this.#pinger.probe(target, probe, timeoutMs, signal);
      default:
        return assertNever(probe);
    }
  };

  /** Made for the first probe over TLS: it takes milliseconds. */
  readonly #tls = (): SecureContext => {
    this.#tlsContext ??= tlsContext(this.#options.ca);
    return this.#tlsContext;
  };

  /** How a probe's connections go, and to what: a probe through the tunnel sees the VIP as its target. */
  #wayOf(target: Target, { path, probe }: HealthCheck): Way {
    if (path === 'direct') return { target, dial: dialDirect };
    if (probe.kind === 'udp' || probe.kind === 'icmp')
      return { missing: `a check of kind ${probe.kind} cannot go through the tunnel` };
    const { tunnel } = this.#options;
    if (tunnel === undefined) return { missing: 'there is no tunnel for checks here' };
    const { address, vip } = target;
    if (vip === undefined) return { missing: 'the backend serves no VIP that a check could address' };
    return {
      target: { ...target, address: vip },
      dial: (host, port, onread) => tunnel.dial(address, vip)(host, port, onread),
    };
  }

  /** Close the sockets that probes share. Idempotent; a later probe opens them again. */
  close(): void {
    this.#pinger.close();
  }
}

/** True for the result of a probe that was taken back. */
export function isCancelled(result: ProbeResult): boolean {
  return result.local && result.detail === CANCELLED;
}
