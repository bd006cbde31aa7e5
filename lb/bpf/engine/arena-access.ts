import type { AccessBytes } from '../isa/instruction.js';
import type { AtomicName } from '../isa/opcodes.js';
import { NULL_REGION_BYTES } from '../memory/layout.js';
import { InterpreterError } from './interpreter-fault.js';

const ATOMIC_BODIES: Record<
  Exclude<AtomicName, 'cmpxchg'>,
  keyof typeof Atomics & ('add' | 'or' | 'and' | 'xor' | 'exchange')
> = {
  add: 'add',
  or: 'or',
  and: 'and',
  xor: 'xor',
  xchg: 'exchange',
};

const u32 = (value: bigint) => Number(BigInt.asUintN(32, value));

/**
 * Loads, stores and atomics of an interpreted program, every address checked: NULL's page and what is outside of the
 * arena are faults. Pointers are offsets in the arena, and nothing wraps: a verified program never leaves it.
 */
export class ArenaAccess {
  readonly #memory: DataView;
  // For atomics, in the machine's byte order: what wasm runs on is little endian.
  readonly #words: BigUint64Array;
  readonly #halves: Uint32Array;

  constructor(buffer: ArrayBuffer | SharedArrayBuffer) {
    this.#memory = new DataView(buffer);
    this.#words = new BigUint64Array(buffer);
    this.#halves = new Uint32Array(buffer);
  }

  #checked(slot: number, address: bigint, bytes: number): number {
    if (address < NULL_REGION_BYTES || address + BigInt(bytes) > this.#memory.byteLength) {
      throw new InterpreterError(
        { code: 'INTERPRETER_MEMORY', slot, address, bytes },
        `instruction ${slot}: ${bytes} bytes at 0x${address.toString(16)} are NULL or outside of the arena`,
      );
    }
    return Number(address);
  }

  /** An address that an atomic access may use; wasm's own atomics trap where this throws. */
  aligned(slot: number, address: bigint, bytes: AccessBytes): bigint {
    const at = this.#checked(slot, address, bytes);
    if (at % bytes === 0) return address;
    throw new InterpreterError(
      { code: 'INTERPRETER_ALIGNMENT', slot, address },
      `instruction ${slot}: atomic access at 0x${address.toString(16)}, which is not a multiple of ${bytes}`,
    );
  }

  /** Little endian, zero-extended. */
  load(slot: number, address: bigint, bytes: AccessBytes): bigint {
    const at = this.#checked(slot, address, bytes);
    switch (bytes) {
      case 1:
        return BigInt(this.#memory.getUint8(at));
      case 2:
        return BigInt(this.#memory.getUint16(at, true));
      case 4:
        return BigInt(this.#memory.getUint32(at, true));
      case 8:
        return this.#memory.getBigUint64(at, true);
    }
  }

  /** Little endian; what does not fit is cut off. */
  store(slot: number, address: bigint, bytes: AccessBytes, value: bigint): void {
    const at = this.#checked(slot, address, bytes);
    switch (bytes) {
      case 1:
        this.#memory.setUint8(at, Number(value & 0xffn));
        break;
      case 2:
        this.#memory.setUint16(at, Number(value & 0xffffn), true);
        break;
      case 4:
        this.#memory.setUint32(at, u32(value), true);
        break;
      case 8:
        this.#memory.setBigUint64(at, BigInt.asUintN(64, value), true);
        break;
    }
  }

  /** Gives what was there before, zero-extended (RFC 9669 §5.3). */
  exchange(
    slot: number,
    address: bigint,
    bytes: 4 | 8,
    op: Exclude<AtomicName, 'cmpxchg'>,
    value: bigint,
  ): bigint {
    const at = Number(this.aligned(slot, address, bytes));
    const operation = ATOMIC_BODIES[op];
    if (bytes === 8) return Atomics[operation](this.#words, at / 8, value);
    return BigInt(Atomics[operation](this.#halves, at / 4, u32(value)));
  }

  /** Gives what was there before, zero-extended. */
  compareExchange(slot: number, address: bigint, bytes: 4 | 8, expected: bigint, value: bigint): bigint {
    const at = Number(this.aligned(slot, address, bytes));
    if (bytes === 8) return Atomics.compareExchange(this.#words, at / 8, expected, value);
    return BigInt(Atomics.compareExchange(this.#halves, at / 4, u32(expected), u32(value)));
  }

  /** A u32 of the runtime's own, which is where it says. */
  u32(at: number): number {
    return Atomics.load(this.#halves, at >>> 2);
  }

  setU32(at: number, value: number): void {
    Atomics.store(this.#halves, at >>> 2, value);
  }

  clear(at: number, bytes: number): void {
    this.#halves.fill(0, at >>> 2, (at + bytes) >>> 2);
  }
}
