import { refuse } from './refusal.js';
import { baseType, type Register, TYPE, typeName } from './register.js';

/** A field that programs may read. Narrow loads: of all of it, of its first bytes, or only whole ones. */
type Field = readonly [offset: number, bytes: number, narrow: 'any' | 'first' | 'none'];

// struct bpf_sock and bpf_tcp_sock (uapi/linux/bpf.h); what may be read: net/core/filter.c.
const SOCK: readonly Field[] = [
  [0, 4, 'none'],
  [4, 4, 'first'],
  [8, 4, 'first'],
  [12, 4, 'first'],
  [16, 4, 'none'],
  [20, 4, 'none'],
  // IPv4 and IPv6 source address.
  [24, 4, 'any'],
  [28, 16, 'any'],
  [44, 4, 'first'],
  // Port of the peer: in front of two bytes of padding.
  [48, 2, 'any'],
  [52, 4, 'any'],
  [56, 16, 'any'],
  [72, 4, 'first'],
  [76, 4, 'first'],
];

const SOCK_BYTES = 80;
const TCP_SOCK_BYTES = 96;
/** bytes_received and bytes_acked: the only ones of 8 bytes. */
const TCP_WIDE: ReadonlySet<number> = new Set([80, 88]);
/** The peer's port, which may be read together with the padding. */
const DST_PORT = 48;

function isSockAccess(off: number, size: number): boolean {
  if (off < 0 || off >= SOCK_BYTES || off % size !== 0 || size > 4) return false;
  if (off === DST_PORT && size === 4) return true;
  const field = SOCK.find(([at, bytes]) => off >= at && off < at + bytes);
  if (field === undefined) return false;
  const [at, bytes, narrow] = field;
  if (off + size > at + bytes) return false;
  if (size === 4) return true;
  return narrow === 'any' || (narrow === 'first' && off === at);
}

function isTcpAccess(off: number, size: number): boolean {
  if (off < 0 || off >= TCP_SOCK_BYTES || off % size !== 0) return false;
  return TCP_WIDE.has(off) ? size === 8 : size === 4;
}

/** Bytes of a socket that every kind of socket has: family to mark. */
const COMMON_END = 76;

/** That a program may load a field of a socket. @throws Refusal */
export function checkSocketAccess(
  register: Register,
  number: number,
  off: number,
  size: number,
  isWrite: boolean,
): void {
  const { type } = register;
  const name = typeName(type);
  if (isWrite) refuse('VERIFY_READ_ONLY', 'EACCES', `R${number} cannot write into ${name}`, number);
  if (register.sminNumber < 0) {
    refuse(
      'VERIFY_NEGATIVE_INDEX',
      'EACCES',
      `R${number} min value is negative, either use unsigned index or do a if (index >=0) check.`,
      number,
    );
  }
  const base = baseType(type);
  let isAllowed = false;
  if (register.isZero()) {
    if (base === TYPE.TCP_SOCKET) isAllowed = isTcpAccess(off, size);
    else if (base === TYPE.SOCKET) isAllowed = isSockAccess(off, size);
    else if (base === TYPE.SOCKET_COMMON) isAllowed = isCommonAccess(off, size);
    else isAllowed = off === 0 && size === 4;
  }
  if (isAllowed) return;
  refuse('VERIFY_DEREFERENCE', 'EACCES', `R${number} invalid ${name} access off=${off} size=${size}`, number);
}

/** Of struct bpf_sock: what also exists for a socket that is being set up or is gone. */
const ONLY_FULL: ReadonlySet<number> = new Set([8, 12, 16, 20]);

function isCommonAccess(off: number, size: number): boolean {
  return off < COMMON_END && !ONLY_FULL.has(off - (off % 4)) && isSockAccess(off, size);
}
