import { createConnection, type OnReadOpts, type Socket } from 'node:net';
import type { Target } from '../types.js';

/**
 * Opens a connection to an address and port: the way that a probe goes.
 * @param onread takes what comes, instead of the events of the socket
 */
export type Dial = (host: string, port: number, onread?: OnReadOpts) => Socket;

/** By the host's own routes, from the address and port that it chooses. */
export const dialDirect: Dial = (host, port, onread) =>
  createConnection({ host, port, ...(onread && { onread }) });

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
