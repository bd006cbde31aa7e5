import { formatIp, type IpAddress } from '../../../lb/index.js';
import type { Clock, ProbeResult } from '../types.js';

/** Reasons of an abort: a probe that is out of time failed, one that is not wanted any more says nothing. */
export const TIMED_OUT = 'timed out';
export const CANCELLED = 'cancelled';

/** What ends an attempt; only the first call counts. */
export interface Finish {
  pass(detail: string): void;
  fail(detail: string): void;
  /** A failure of this host's own. */
  local(detail: string): void;
  /** A failure with the words and the blame that belong to an error. */
  error(error: unknown): void;
}

/** Milliseconds since the start of the attempt. */
export type Elapsed = () => number;

/** What an attempt has open, and what it waits for. */
export interface Attempt {
  /** Close all that is open; called once, however the attempt ends. Nothing that it raises later is heard. */
  readonly release: () => void;
  /** What is missing when the time is out: "no connection"; `local` when this host owes it. It may pass instead. */
  readonly onTimeout: () => { readonly ok: boolean; readonly detail: string; readonly local?: boolean };
}

/**
 * One probe from its start to its only result: aborted, raised, or finished, it lets everything go first.
 * @param timeoutMs for the words alone; the time is kept by who aborts the signal
 */
export function attempt(
  clock: Clock,
  signal: AbortSignal,
  timeoutMs: number,
  begin: (finish: Finish, elapsed: Elapsed) => Attempt,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const startMs = clock.nowMs();
    let started: Attempt | undefined;
    let isSettled = false;
    const elapsed = () => clock.nowMs() - startMs;
    const settle = (ok: boolean, local: boolean, detail: string) => {
      if (isSettled) return;
      isSettled = true;
      signal.removeEventListener('abort', onAbort);
      started?.release();
      const atMs = clock.nowMs();
      resolve({ ok, local, detail, latencyMs: atMs - startMs, atMs });
    };
    const onAbort = () => {
      if (signal.reason !== TIMED_OUT) settle(false, true, CANCELLED);
      else if (started === undefined) settle(false, false, `nothing within ${timeoutMs} ms`);
      else {
        const { ok, detail, local = false } = started.onTimeout();
        const who = local ? HOST_ONLY : '';
        settle(ok, local, ok ? detail : `${who}${detail} within ${timeoutMs} ms`);
      }
    };
    const finish: Finish = {
      pass: (detail) => settle(true, false, detail),
      fail: (detail) => settle(false, false, detail),
      local: (detail) => settle(false, true, `${HOST_ONLY}${detail}`),
      error: (error) => {
        const { detail, local } = explain(error, elapsed());
        settle(false, local, detail);
      },
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort);
    try {
      started = begin(finish, elapsed);
      // It may have ended before it had anything to release.
      if (isSettled) started.release();
    } catch (error) {
      finish.error(error);
    }
  });
}

/** What an error says of the target. */
export interface Explanation {
  readonly detail: string;
  readonly local: boolean;
}

const HOST_ONLY = 'this host: ';
/** Codes of Node, of the system and of OpenSSL → what an operator reads. */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'connection timed out',
  EPIPE: 'connection closed before the request was sent',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the answer is not TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the answer is not TLS',
  ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR: 'the target ended the TLS handshake with an internal error',
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate is signed by an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate is signed by an authority that is not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate is signed by an authority that is not trusted',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate is for another name',
  ERR_HTTP2_ERROR: 'the answer is not HTTP/2',
  HPE_HEADER_OVERFLOW: 'the headers of the answer are too long',
};
/** Codes that are this host's fault. */
const LOCAL: Readonly<Record<string, string>> = {
  EMFILE: 'no file descriptors left in the process',
  ENFILE: 'no file descriptors left',
  ENOBUFS: 'no buffers left',
  ENOMEM: 'no memory left',
  EADDRNOTAVAIL: 'no source address or port left',
  EADDRINUSE: 'no source port left',
  EACCES: 'not permitted',
  EPERM: 'not permitted',
  TUNNEL_FULL: 'no marks left for checks through the tunnel',
  EAFNOSUPPORT: 'no support for the family of the address',
};

/** An error as a sentence, and whose fault it is. */
export function explain(error: unknown, elapsedMs: number): Explanation {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'ECONNRESET') {
    return { detail: `${resetWords(message)} after ${Math.round(elapsedMs)} ms`, local: false };
  }
  if (code === 'EPROTO') return { detail: tlsWords(message), local: false };
  const local = LOCAL[code];
  if (local !== undefined) return { detail: `${HOST_ONLY}${local} (${code})`, local: true };
  const words = WORDS[code];
  if (words !== undefined) return { detail: words, local: false };
  if (code.startsWith('HPE_')) return { detail: 'the answer is not HTTP', local: false };
  return { detail: code === '' ? message : `${message} (${code})`, local: false };
}

/** Node has one code for a reset and for an end in good order; only the words differ. */
function resetWords(message: string): string {
  if (/hang up/.test(message)) return 'connection closed before an answer';
  return /before secure TLS/.test(message)
    ? 'connection closed before the end of the TLS handshake'
    : 'reset by peer';
}

/** OpenSSL's errors under one code: "…:SSL routines:ssl3_get_record:wrong version number:…". */
function tlsWords(message: string): string {
  if (/wrong version number|packet length too long/.test(message)) return 'the answer is not TLS';
  const reason = /SSL routines:[^:]*:([^:]+):/.exec(message)?.[1];
  return `the TLS handshake failed${reason === undefined ? '' : `: ${reason}`}`;
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  const { code } = error;
  return typeof code === 'string' ? code : '';
}

const SHOWN_BYTES = 24;

/** Bytes that came, for people: text as it is, the rest escaped; the beginning of it. */
export function quote(bytes: Uint8Array): string {
  const shown = Array.from(bytes.subarray(0, SHOWN_BYTES), (byte) => {
    if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
    return byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, '0')}`;
  }).join('');
  return `"${shown}"${bytes.length > SHOWN_BYTES ? '…' : ''}`;
}

/** Host and port of a probe as they stand in a URL. */
export function authority(address: IpAddress, port: number): string {
  const text = formatIp(address);
  return `${address.family === 6 ? `[${text}]` : text}:${port}`;
}

/** True when the beginning of one is the other, as far as both go. */
export function agrees(answer: Uint8Array, expect: Uint8Array): boolean {
  const length = Math.min(answer.length, expect.length);
  return Buffer.compare(answer.subarray(0, length), expect.subarray(0, length)) === 0;
}
