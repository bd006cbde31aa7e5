import { chmodSync, existsSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { CodedError } from '../../lb/index.js';

export type ListenFault =
  | { readonly code: 'LISTEN_IN_USE'; readonly address: string }
  | { readonly code: 'LISTEN_REFUSED'; readonly address: string; readonly errno: string }
  | { readonly code: 'LISTEN_FORM'; readonly address: string };

/** An address that cannot be listened on. */
export class ListenError extends CodedError<ListenFault> {}

/** Where to listen: a TCP address or a Unix socket. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/**
 * Read HOST:PORT, [IPV6]:PORT or unix:PATH.
 * @throws ListenError LISTEN_FORM
 */
export function parseListen(text: string): ListenAddress {
  const path = /^unix:(.+)$/.exec(text)?.[1];
  if (path !== undefined) return { kind: 'unix', path };
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65535) {
    throw new ListenError(
      { code: 'LISTEN_FORM', address: text },
      `"${text}" is not HOST:PORT, [IPV6]:PORT or unix:PATH`,
    );
  }
  return { kind: 'tcp', host, port };
}

/** As a user writes it, and as gRPC takes it. */
export function formatListen(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** True for an address that only this host reaches. */
export function isLocal(address: ListenAddress): boolean {
  return address.kind === 'unix' || /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(address.host);
}

export function listenError(address: ListenAddress, error: unknown): ListenError {
  const text = formatListen(address);
  const message = error instanceof Error ? error.message : String(error);
  const errno = /\bE[A-Z]{3,}\b/.exec(message)?.[0] ?? message;
  if (errno === 'EADDRINUSE') {
    return new ListenError(
      { code: 'LISTEN_IN_USE', address: text },
      `cannot listen on ${text}: the address is in use; stop what uses it, or choose another`,
    );
  }
  return new ListenError(
    { code: 'LISTEN_REFUSED', address: text, errno },
    `cannot listen on ${text}: ${ADVICE[errno] ?? errno}`,
  );
}

const ADVICE: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'it is not an address of this host',
  EACCES: 'permission denied',
  ENOENT: 'the folder does not exist',
  ENOTFOUND: 'no such host name',
};

const settled = (emitter: Server | Socket, success: string): Promise<unknown> =>
  new Promise((resolve) => {
    emitter.once(success, () => resolve(undefined));
    emitter.once('error', resolve);
  });

/**
 * Fail early: take the address for a moment, so that an appliance that could not be managed never touches its
 * interface. Removes the socket file of a process that is gone.
 * @throws ListenError LISTEN_IN_USE, LISTEN_REFUSED
 */
export async function probeListen(address: ListenAddress): Promise<void> {
  if (address.kind === 'unix') await removeStaleSocket(address);
  const server = createServer();
  server.listen(
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
  );
  const error = await settled(server, 'listening');
  if (error !== undefined) throw listenError(address, error);
  await new Promise((resolve) => server.close(resolve));
}

async function removeStaleSocket(address: Extract<ListenAddress, { kind: 'unix' }>): Promise<void> {
  if (!existsSync(address.path)) return;
  if (!lstatSync(address.path).isSocket()) throw listenError(address, new Error('EADDRINUSE'));
  const socket = connect({ path: address.path });
  const error = await settled(socket, 'connect');
  socket.destroy();
  if (error === undefined) throw listenError(address, new Error('EADDRINUSE'));
  unlinkSync(address.path);
}

/** The API has no password: only the user that runs the server may open its socket. */
export function restrictSocket(address: ListenAddress): void {
  if (address.kind === 'unix') chmodSync(address.path, 0o600);
}
