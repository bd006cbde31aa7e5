import { createServer, type Server } from 'node:net';
import { CodedError } from '../errors.js';

export type ClaimFault =
  | { readonly code: 'CLAIM_TAKEN'; readonly interface: string }
  | { readonly code: 'CLAIM_REFUSED'; readonly interface: string; readonly reason: string };

/** Another process balances on the interface. */
export class ClaimError extends CodedError<ClaimFault> {}

/**
 * The right to balance on an interface: two that did would both answer for each frame. Held by listening on an
 * abstract socket (unix(7)), whose name belongs to the network namespace, as the interface does, and which the
 * kernel takes back from a process that dies.
 */
export class InterfaceClaim {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws ClaimError CLAIM_TAKEN */
  static take(device: string): Promise<InterfaceClaim> {
    const server = createServer((socket) => socket.destroy());
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(
          error.code === 'EADDRINUSE'
            ? new ClaimError(
                { code: 'CLAIM_TAKEN', interface: device },
                `another waggle runs on interface ${device}: stop it first, or choose another interface`,
              )
            : new ClaimError(
                { code: 'CLAIM_REFUSED', interface: device, reason: error.message },
                `interface ${device} cannot be claimed: ${error.message}`,
              ),
        );
      });
      server.listen(`\0waggle/${device}`, () => {
        server.unref();
        resolve(new InterfaceClaim(server));
      });
    });
  }

  /** Idempotent. */
  release(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
