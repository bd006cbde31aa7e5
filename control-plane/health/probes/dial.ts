import { createConnection, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Clock, Target } from '../types.js';

/** Opens a connection to an address and port: the way that a probe goes. */
export type Dial = (host: string, port: number) => Socket;

/** By the host's own routes, from the address and port that it chooses. */
export const dialDirect: Dial = (host, port) => createConnection({ host, port });

/** What a probe over TCP needs besides its target. */
export interface StreamOptions {
  readonly clock: Clock;
  readonly dial: Dial;
  /** For the words of a timeout; `signal` keeps the time. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** What signs the targets' certificates, PEM; undefined: the authorities that Node trusts. */
  readonly ca: string | undefined;
}

/**
 * End a connection with a reset: thousands of probes a second would leave as many ports in TIME_WAIT for a minute
 * (RFC 9293 §3.6.1), and nothing is under way that a reset could lose. One that is being connected just ends; so does
 * one that is being shut down: libuv refuses to reset it (uv_tcp_close_reset), and Node then leaves it open.
 */
export function drop(socket: Socket): void {
  if (socket.connecting || socket.destroyed || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** Where the probe's connection goes. */
export function portOf(probe: { readonly port: number }, target: Target): number {
  return probe.port === 0 ? target.port : probe.port;
}

/**
 * TLS on a connection that may still be under way.
 * @param name what the certificate must be for: the host of the probe, or its address
 */
export function secure(
  socket: Socket,
  name: string,
  options: {
    readonly insecureSkipVerify: boolean;
    readonly ca: string | undefined;
    readonly protocols?: string[];
  },
): TLSSocket {
  return connectTls({
    socket,
    host: name,
    // Only names go into SNI (RFC 6066 §3); '' sends none.
    servername: isIP(name) === 0 ? name : '',
    rejectUnauthorized: !options.insecureSkipVerify,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.protocols === undefined ? {} : { ALPNProtocols: options.protocols }),
  });
}

/** The name or address of a Host header, without its port and brackets; '' becomes the address. */
export function hostName(host: string, address: string): string {
  if (host === '') return address;
  if (host.startsWith('[')) return host.slice(1, host.indexOf(']'));
  return isIP(host) === 0 ? host.replace(/:\d+$/, '') : host;
}
