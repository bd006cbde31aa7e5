import { CodedError } from '../../lb/index.js';
import type { Role } from './caller.js';

/** Why a call is refused before its handler runs. */
export type AccessFault =
  /** Nothing was shown that says who calls. */
  | { readonly code: 'ACCESS_NOBODY' }
  /** What was shown is not known here, or no longer good. */
  | { readonly code: 'ACCESS_TOKEN' }
  | { readonly code: 'ACCESS_ROLE'; readonly required: Role; readonly role: Role | undefined }
  | { readonly code: 'ACCESS_RATE'; readonly subject: string; readonly retryAfterMs: number }
  | { readonly code: 'ACCESS_STREAMS'; readonly subject: string; readonly limit: number };

/** A call that is refused for who makes it, or how often. */
export class AccessError extends CodedError<AccessFault> {}

export type AuditFault = { readonly code: 'AUDIT_WRITE'; readonly file: string; readonly errno: string };

/** The audit log cannot be written. */
export class AuditError extends CodedError<AuditFault> {}

export type SecurityFault =
  | { readonly code: 'SECURITY_FILE'; readonly file: string; readonly errno: string }
  /** A file of certificates or of the private key that cannot be used. */
  | { readonly code: 'SECURITY_CERTIFICATE'; readonly file: string; readonly reason: string }
  /** Other hosts reach the address, and nobody would be asked who they are. */
  | { readonly code: 'SECURITY_OPEN'; readonly address: string }
  /** Callers are asked who they are, and there is no answer that would do. */
  | { readonly code: 'SECURITY_NOBODY'; readonly address: string }
  | { readonly code: 'SECURITY_TOKEN'; readonly length: number };

/** What an operator set up for security cannot be used. */
export class SecurityError extends CodedError<SecurityFault> {}

/** The errno of a failed file operation, as ENOENT. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO';
}
