import type { VerifierMap } from './input.js';
import { Scalar } from './scalar.js';

/** What a register holds (the kernel's enum bpf_reg_type), in the low byte of `Register.type`. */
export const TYPE = {
  NOT_INIT: 0,
  SCALAR: 1,
  CONTEXT: 2,
  MAP: 3,
  MAP_KEY: 4,
  MAP_VALUE: 5,
  STACK: 6,
  PACKET: 7,
  PACKET_META: 8,
  PACKET_END: 9,
  MEMORY: 10,
  SOCKET: 11,
  SOCKET_COMMON: 12,
  TCP_SOCKET: 13,
  XDP_SOCKET: 14,
  FUNCTION: 15,
  DYNPTR: 16,
} as const;

/** Marks beside the type: the pointer may be NULL; may not be written through; is a ring buffer's record. */
export const MAYBE_NULL = 0x100;
export const READ_ONLY = 0x200;
export const RECORD = 0x400;

const BASE = 0xff;

/** Mark of an id: the register is that of the id plus `off`, in 64 bits; or the low 32 bits of that. */
export const PLUS_64 = 1 << 30;
export const PLUS_32 = 1 << 29;
export const PLUS_CONSTANT = PLUS_64 | PLUS_32;

/** Ranges of a packet pointer that was found to be at, or beyond, the packet's end. */
export const AT_END = -1;
export const BEYOND_END = -2;

/** The kernel's names, as its log has them. */
const NAMES: readonly string[] = [
  '?',
  'scalar',
  'ctx',
  'map_ptr',
  'map_key',
  'map_value',
  'fp',
  'pkt',
  'pkt_meta',
  'pkt_end',
  'mem',
  'sock',
  'sock_common',
  'tcp_sock',
  'xdp_sock',
  'func',
  'dynptr_ptr',
];

export const baseType = (type: number): number => type & BASE;
export const mayBeNull = (type: number): boolean => (type & MAYBE_NULL) !== 0;

/** A type as the kernel's messages have it: `map_value_or_null`, `ringbuf_mem`. */
export function typeName(type: number): string {
  const prefix = `${type & RECORD ? 'ringbuf_' : ''}${type & READ_ONLY ? 'rdonly_' : ''}`;
  return `${prefix}${NAMES[type & BASE]}${type & MAYBE_NULL ? '_or_null' : ''}`;
}

/**
 * What is known of a register, or of a slot of the stack that holds one. The number part is that of a scalar, or the
 * variable part of a pointer's offset.
 *
 * States share registers: one that was put into a frame is never changed again, whoever learns something makes a
 * `copy`. What must be precise is therefore kept by the frame.
 */
export class Register extends Scalar {
  type: number = TYPE.NOT_INIT;
  /** Fixed part of a pointer's offset; of a number with PLUS_CONSTANT its distance from that of the id. */
  off = 0;
  /** The same in registers of which a check of one proves the others; 0: none. */
  id = 0;
  /** Reference that the pointer must give back; 0: none. */
  reference = 0;
  map: VerifierMap | undefined = undefined;
  /** Packet: bytes behind the id's start that are proven to be there. Memory: its length. */
  extent = 0;
  /** Stack: the frame. Function: its index. Dynptr: its kind, and whether this is its first slot. */
  place = 0;

  static unknown(): Register {
    const register = new Register();
    register.type = TYPE.SCALAR;
    return register;
  }

  static constant(hi: number, lo: number): Register {
    const register = new Register();
    register.type = TYPE.SCALAR;
    register.setConstHalves(hi, lo);
    return register;
  }

  /** A pointer to the start of what it points to. */
  static pointer(type: number): Register {
    const register = new Register();
    register.type = type;
    register.setConstHalves(0, 0);
    return register;
  }

  copy(): Register {
    const copy = new Register();
    copy.copyFrom(this);
    copy.type = this.type;
    copy.off = this.off;
    copy.id = this.id;
    copy.reference = this.reference;
    copy.map = this.map;
    copy.extent = this.extent;
    copy.place = this.place;
    return copy;
  }

  get isScalar(): boolean {
    return this.type === TYPE.SCALAR;
  }

  /** Holds something, and no number. */
  get isPointer(): boolean {
    return this.type !== TYPE.SCALAR && this.type !== TYPE.NOT_INIT;
  }

  /** Points into the packet, or the metadata in front of it. */
  get isPacket(): boolean {
    return this.type === TYPE.PACKET || this.type === TYPE.PACKET_META;
  }

  get isPacketOrEnd(): boolean {
    return this.isPacket || this.type === TYPE.PACKET_END;
  }

  /** A number that is 0: NULL. */
  get isNull(): boolean {
    return this.type === TYPE.SCALAR && this.isZero();
  }

  /** The id without its mark. */
  get root(): number {
    return this.id & ~PLUS_CONSTANT;
  }
}

/** What a register holds that nobody has written. */
export const NOT_INIT: Register = new Register();
/** The number of which nothing is known, and to which nothing is linked. */
export const UNKNOWN: Register = Register.unknown();
export const ZERO: Register = Register.constant(0, 0);

/** Everything but ids: what one holds and the other holds are the same. */
export function sameContent(a: Register, b: Register): boolean {
  return (
    a === b ||
    (a.type === b.type &&
      a.off === b.off &&
      a.map === b.map &&
      a.extent === b.extent &&
      a.place === b.place &&
      a.equals(b))
  );
}
