import { MAP_FLAGS } from '../maps/map.js';
import { type Environment, LIMITS } from './environment.js';
import { formatBits, formatUnsigned } from './format-scalar.js';
import type { VerifierMap } from './input.js';
import { Refusal, refuse, type VerifyCode } from './refusal.js';
import { baseType, type Register, TYPE, typeName } from './register.js';
import { Scalar } from './scalar.js';
import { SIGN_BIT } from './scalar-words.js';
import { type Tnum, tnumAdd } from './tnum.js';

/** NET_IP_ALIGN: what the kernel takes the packet to be off an aligned address by, where alignment counts. */
const PACKET_ALIGN = 2;

const total = new Scalar();
const fixed = new Scalar();

/** Bits as the kernel's messages have them: a constant bare. */
export const bitsText = (bits: Scalar): string =>
  bits.isConst() ? formatUnsigned(bits.constValue()) : formatBits(bits);

function isAligned(bits: Tnum, offset: number, size: number): boolean {
  fixed.setConstInt32(offset);
  tnumAdd(total, bits, fixed);
  return ((total.valueLo | total.maskLo) & (size - 1)) === 0;
}

/** What an access is called that is not aligned, by the pointer's type. */
const PLACES: Readonly<Record<number, string>> = {
  [TYPE.MAP_KEY]: 'key ',
  [TYPE.MAP_VALUE]: 'value ',
  [TYPE.CONTEXT]: 'context ',
  [TYPE.STACK]: 'stack ',
  [TYPE.SOCKET]: 'sock ',
  [TYPE.SOCKET_COMMON]: 'sock_common ',
  [TYPE.TCP_SOCKET]: 'tcp_sock ',
  [TYPE.XDP_SOCKET]: 'xdp_sock ',
};

/** That an access is aligned, where that counts: always on the stack, elsewhere if asked for. @throws Refusal */
export function checkAlignment(
  env: Environment,
  register: Register,
  off: number,
  size: number,
  always: boolean,
): void {
  if (size === 1) return;
  const { type } = register;
  if (!(env.isStrict || always || type === TYPE.STACK)) return;
  if (register.isPacket) {
    if (isAligned(register, PACKET_ALIGN + register.off + off, size)) return;
    refuse(
      'VERIFY_ALIGNMENT',
      'EACCES',
      `misaligned packet access off ${PACKET_ALIGN}+${bitsText(register)}+${register.off}+${off} size ${size}`,
    );
  }
  if (isAligned(register, register.off + off, size)) return;
  refuse(
    'VERIFY_ALIGNMENT',
    'EACCES',
    `misaligned ${PLACES[type] ?? ''}access off ${bitsText(register)}+${register.off}+${off} size ${size}`,
  );
}

const NEGATIVE = 'min value is negative, either use unsigned index or do a if (index >=0) check.';

/** Code and line of an access outside of what a pointer points to. */
function outside(
  register: Register,
  number: number,
  off: number,
  size: number,
  length: number,
): { readonly code: VerifyCode; readonly line: string } {
  switch (baseType(register.type)) {
    case TYPE.MAP_KEY:
      return {
        code: 'VERIFY_MAP_BOUNDS',
        line: `invalid access to map key, key_size=${length} off=${off} size=${size}`,
      };
    case TYPE.MAP_VALUE:
      return {
        code: 'VERIFY_MAP_BOUNDS',
        line: `invalid access to map value, value_size=${length} off=${off} size=${size}`,
      };
    case TYPE.PACKET:
    case TYPE.PACKET_META:
    case TYPE.PACKET_END:
      return {
        code: 'VERIFY_PACKET_BOUNDS',
        line: `invalid access to packet, off=${off} size=${size}, R${number}(id=${register.id},off=${off},r=${length})`,
      };
    default:
      return {
        code: 'VERIFY_MEMORY_BOUNDS',
        line: `invalid access to memory, mem_size=${length} off=${off} size=${size}`,
      };
  }
}

const isInside = (off: number, size: number, length: number, zeroAllowed: boolean) =>
  off >= 0 && (size > 0 || (size === 0 && zeroAllowed)) && off + size <= length;

/**
 * That an access stays in a region, for the least and the greatest value of the variable offset (Linux 6.18,
 * kernel/bpf/verifier.c, check_mem_region_access).
 * @param off fixed offset, the pointer's own included
 * @throws Refusal
 */
export function checkRegion(
  register: Register,
  number: number,
  off: number,
  size: number,
  length: number,
  zeroAllowed = false,
): void {
  const smin = register.sminNumber;
  const isLowest = register.sminHi === SIGN_BIT && register.sminLo === 0;
  if (smin < 0 && (isLowest || off + smin < 0))
    refuse('VERIFY_NEGATIVE_INDEX', 'EACCES', `R${number} ${NEGATIVE}`, number);
  const check = (at: number, which: string) => {
    if (isInside(at, size, length, zeroAllowed)) return;
    const { code, line } = outside(register, number, at, size, length);
    throw new Refusal(
      code,
      'EACCES',
      [line, `R${number} ${which} value is outside of the allowed memory range`],
      number,
    );
  };
  check(smin + off, 'min');
  if (register.umaxNumber >= LIMITS.offset) {
    refuse(
      'VERIFY_UNBOUNDED',
      'EACCES',
      `R${number} unbounded memory access, make sure to bounds check any such access`,
      number,
    );
  }
  check(register.umaxNumber + off, 'max');
}

/** That an access stays within the bytes of the packet that were compared with its end. @throws Refusal */
export function checkPacket(
  register: Register,
  number: number,
  off: number,
  size: number,
  zeroAllowed = false,
): void {
  if (register.sminNumber < 0) refuse('VERIFY_NEGATIVE_INDEX', 'EACCES', `R${number} ${NEGATIVE}`, number);
  const behind = `R${number} offset is outside of the packet`;
  if (register.extent < 0) refuse('VERIFY_PACKET_BOUNDS', 'EINVAL', behind, number);
  if (isInside(off, size, register.extent, zeroAllowed)) return;
  const { code, line } = outside(register, number, off, size, register.extent);
  throw new Refusal(code, 'EACCES', [line, behind], number);
}

/** Bytes of fields that programs may not touch. */
const FIELD_BYTES: Readonly<Record<string, number>> = { bpf_spin_lock: 4, bpf_timer: 16, bpf_wq: 16 };

/** That a program may read or write values of a map at all. @throws Refusal */
export function checkMapRights(map: VerifierMap, off: number, size: number, isWrite: boolean): void {
  const flag = isWrite ? MAP_FLAGS.BPF_F_RDONLY_PROG : MAP_FLAGS.BPF_F_WRONLY_PROG;
  if ((map.flags & flag) === 0) return;
  const verb = isWrite ? 'write into' : 'read from';
  refuse(
    'VERIFY_READ_ONLY',
    'EACCES',
    `${verb} map forbidden, value_size=${map.valueSize} off=${off} size=${size}`,
  );
}

/** That an access stays in a map's value and off the fields that are the kernel's. @throws Refusal */
export function checkMapValue(
  register: Register,
  number: number,
  off: number,
  size: number,
  zeroAllowed?: boolean,
): void {
  const map = register.map!;
  checkRegion(register, number, off, size, map.valueSize, zeroAllowed);
  for (const { type, offset } of fieldsOf(map)) {
    const from = register.sminNumber + off;
    const to = register.umaxNumber + off + size;
    if (from >= offset + (FIELD_BYTES[type] ?? 8) || offset >= to) continue;
    // The kernel says so of helpers too.
    refuse('VERIFY_LOCK', 'EACCES', `${type} cannot be accessed directly by load/store`, number);
  }
}

function fieldsOf(map: VerifierMap): readonly { readonly type: string; readonly offset: number }[] {
  const fields = map.specialFields ?? [];
  return map.lockOffset === undefined
    ? fields
    : [{ type: 'bpf_spin_lock', offset: map.lockOffset }, ...fields];
}

/** That a pointer is as it was given, nothing added. @throws Refusal */
export function checkUnmoved(register: Register, number: number): void {
  const name = typeName(register.type);
  const reject = (line: string) => refuse('VERIFY_CONTEXT', 'EACCES', line, number);
  if (register.off < 0) reject(`negative offset ${name} ptr R${number} off=${register.off} disallowed`);
  if (register.off !== 0)
    reject(`dereference of modified ${name} ptr R${number} off=${register.off} disallowed`);
  if (!register.isZero()) reject(`variable ${name} access var_off=${bitsText(register)} disallowed`);
}
