import { isIP } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Keep } from '../keep.js';
import type { Clock, GrpcProbe, HttpProbe } from '../types.js';
import type { Dial } from './dial.js';
import { Wire } from './wire.js';

export const USER_AGENT = 'waggle-health-check';

/** What a probe over TCP needs besides its target. */
export interface StreamOptions {
  readonly clock: Clock;
  readonly dial: Dial;
  /** For the words of a timeout; `signal` keeps the time. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** What connections over TLS share. */
  readonly tlsContext: () => SecureContext;
  /** From probe to probe of one check of one target; undefined: nothing is kept. */
  readonly keep: Keep | undefined;
}

/**
 * A new connection of a probe, over TLS where the probe says so.
 * @param protocols for ALPN, over TLS
 */
export function openWire(
  address: string,
  port: number,
  { tls, host, insecureSkipVerify }: HttpProbe | GrpcProbe,
  { clock, dial, tlsContext, keep }: StreamOptions,
  protocols?: readonly string[],
): Wire {
  if (!tls) return new Wire({ clock, dial, address, port });
  const name = hostName(host, address);
  const context = tlsContext();
  return new Wire({
    clock,
    dial,
    address,
    port,
    tls: { name, insecureSkipVerify, context, ...(protocols && { protocols }) },
    sessions: keep,
  });
}

/** The name or address of a Host header, without its port and brackets; '' becomes the address. */
function hostName(host: string, address: string): string {
  if (host === '') return address;
  if (host.startsWith('[')) return host.slice(1, host.indexOf(']'));
  return isIP(host) === 0 ? host.replace(/:\d+$/, '') : host;
}
