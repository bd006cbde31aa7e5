import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { errnoOf, SecurityError } from './faults.js';

/** Files of PEM that TLS is made of. */
export interface TlsFiles {
  /** The server's certificate, and those between it and the root. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities whose client certificates are good; undefined: clients have tokens. */
  readonly clientCaFile?: string | undefined;
}

/** What the files hold, checked. */
export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly clientCa: Buffer | undefined;
  /** Of the server's certificate, milliseconds since 1970. */
  readonly expiresMs: number;
  readonly fingerprint: string;
}

/**
 * Read the files and check that they work together.
 * @throws SecurityError SECURITY_FILE, SECURITY_CERTIFICATE
 */
export async function readTls({ certFile, keyFile, clientCaFile }: TlsFiles): Promise<TlsMaterial> {
  const [cert, key, clientCa] = await Promise.all([
    readSecurityFile(certFile),
    readSecurityFile(keyFile),
    clientCaFile === undefined ? undefined : readSecurityFile(clientCaFile),
  ]);
  const [leaf] = certificatesOf(cert, certFile);
  if (leaf === undefined) throw certificateError(certFile, 'holds no certificate in PEM form');
  const privateKey = privateKeyOf(key, keyFile);
  if (!leaf.checkPrivateKey(privateKey))
    throw certificateError(keyFile, `is not the key of the certificate in ${certFile}`);
  if (clientCaFile !== undefined && clientCa !== undefined) {
    const authorities = certificatesOf(clientCa, clientCaFile);
    if (authorities.length === 0) throw certificateError(clientCaFile, 'holds no certificate in PEM form');
    if (!authorities.every(({ ca }) => ca))
      throw certificateError(clientCaFile, 'holds a certificate that is not an authority');
  }
  return { cert, key, clientCa, expiresMs: Date.parse(leaf.validTo), fingerprint: leaf.fingerprint256 };
}

/** @throws SecurityError SECURITY_FILE */
export async function readSecurityFile(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    const errno = errnoOf(cause);
    throw new SecurityError({ code: 'SECURITY_FILE', file, errno }, `cannot read ${file}: ${errno}`, {
      cause,
    });
  }
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function certificatesOf(pem: Buffer, file: string): X509Certificate[] {
  return (pem.toString('latin1').match(BLOCK) ?? []).map((block) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw certificateError(file, 'holds a certificate that cannot be read', cause);
    }
  });
}

function privateKeyOf(pem: Buffer, file: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // No cause: nothing of what the file holds shall reach a log.
    throw certificateError(file, 'holds no private key in PEM form, or one with a passphrase');
  }
}

function certificateError(file: string, reason: string, cause?: unknown): SecurityError {
  return new SecurityError({ code: 'SECURITY_CERTIFICATE', file, reason }, `${file} ${reason}`, { cause });
}
