import { isIP, type Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';

/** What lets a later connection do without a whole handshake (RFC 8446 §2.2, RFC 5077). */
export interface TlsSession {
  readonly bytes: Buffer;
  /** Unix time after which it is used no more. */
  readonly untilMs: number;
}

/** What a connection over TLS asks for. */
export interface TlsOptions {
  /** What the certificate must be for: the host of the probe, or its address. */
  readonly name: string;
  readonly insecureSkipVerify: boolean;
  readonly context: SecureContext;
  /** For ALPN (RFC 7301). */
  readonly protocols?: readonly string[];
}

/**
 * A session stands for a certificate that was checked, and shows none: after so long the certificate is looked at
 * again. Ten probes at the default interval of 5 s, or 300 at 1 s, are then one whole handshake and the rest cheap.
 */
const SESSION_MS = 300_000;

/**
 * What all connections share: to make one takes several times what a handshake takes.
 * @param ca what signs the targets' certificates, PEM; undefined: the authorities that Node trusts
 */
export function tlsContext(ca: string | undefined): SecureContext {
  return createSecureContext(ca === undefined ? {} : { ca });
}

/** TLS on a connection that may still be under way. */
export function secure(
  socket: Socket,
  { name, insecureSkipVerify, context, protocols }: TlsOptions,
  session: TlsSession | undefined,
): TLSSocket {
  return connect({
    socket,
    host: name,
    // Only names go into SNI (RFC 6066 §3); '' sends none.
    servername: isIP(name) === 0 ? name : '',
    rejectUnauthorized: !insecureSkipVerify,
    secureContext: context,
    ...(session && { session: session.bytes }),
    ...(protocols && { ALPNProtocols: [...protocols] }),
  });
}

/**
 * Hand over the sessions that a connection gets with a whole handshake. One that used a session brings no better one,
 * and to read it costs.
 * @param socket its handshake has just ended
 */
export function onSession(socket: TLSSocket, nowMs: number, take: (session: TlsSession) => void): void {
  const expiresMs = Date.parse(socket.getPeerCertificate().valid_to);
  const untilMs = Math.min(nowMs + SESSION_MS, Number.isNaN(expiresMs) ? 0 : expiresMs);
  // Before version 1.3 the session is there with the handshake, since then it comes when the server likes.
  const early = socket.getProtocol() === 'TLSv1.3' ? undefined : socket.getSession();
  if (early !== undefined) take({ bytes: early, untilMs });
  else socket.on('session', (bytes: Buffer) => take({ bytes, untilMs }));
}
