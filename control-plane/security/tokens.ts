import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Role } from './caller.js';
import { SecurityError } from './faults.js';

/** A bearer token as the server keeps it. */
export interface TokenEntry {
  /** Whose it is; the caller's name. */
  readonly name: string;
  readonly role: Role;
  /** SHA-256 of the token, 64 hexadecimal digits. */
  readonly sha256: string;
  /** Milliseconds since 1970 from which it is good no more; undefined: never. */
  readonly expiresMs: number | undefined;
}

/** Starts every token that `createToken` makes, so that scanners for leaked secrets find them. */
export const TOKEN_PREFIX = 'wgl_';
const TOKEN_BYTES = 32;
/** 32 characters are 190 bits of a random token: a plain hash is safe only where guessing is hopeless. */
const MIN_TOKEN_CHARACTERS = 32;

/** A new token, 256 random bits. */
export function createToken(): string {
  return TOKEN_PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
}

/**
 * What an access file keeps of a token: its SHA-256, 64 hexadecimal digits. A slow hash would add nothing to 256 random
 * bits, and would let anybody keep the server busy.
 * @throws SecurityError SECURITY_TOKEN for a token that is too short to be random
 */
export function hashToken(token: string): string {
  if (token.length < MIN_TOKEN_CHARACTERS) {
    throw new SecurityError(
      { code: 'SECURITY_TOKEN', length: token.length },
      `the token has ${token.length} characters, fewer than ${MIN_TOKEN_CHARACTERS}: it could be guessed; use 32 random bytes`,
    );
  }
  return digest(token).toString('hex');
}

const digest = (token: string) => createHash('sha256').update(token).digest();

/** The entry of a token; undefined for one that is not known or has expired. Takes as long whichever it is. */
export function findToken(
  entries: readonly TokenEntry[],
  token: string,
  nowMs: number,
): TokenEntry | undefined {
  const wanted = digest(token);
  let found: TokenEntry | undefined;
  for (const entry of entries) {
    const isEqual = timingSafeEqual(wanted, Buffer.from(entry.sha256, 'hex'));
    if (isEqual && (entry.expiresMs === undefined || nowMs < entry.expiresMs)) found = entry;
  }
  return found;
}

/** The token of an `authorization` header (RFC 6750 §2.1); undefined for one of another form. */
export function bearerToken(header: string): string | undefined {
  return /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(header)?.[1];
}
