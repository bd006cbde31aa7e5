import {
  ALU_SIGNS,
  CORNERS,
  FETCHING,
  fold,
  JUMP_SIGNS,
  LONG_CORNERS,
  type Random,
} from '../conformance/generate.js';

/** Bytes of the packet that a generated program has made sure of. */
export const PACKET_BYTES = 64;
/** The maps of every generated program, by index. */
export const ARRAY_MAP = 0;
export const HASH_MAP = 1;
export const PERCPU_MAP = 2;
export const LRU_MAP = 3;
export const VALUE_BYTES = 64;
export const ARRAY_ENTRIES = 4;
/** Keys of the hashes are this or less. */
export const LAST_KEY = 7;

/** Left to compute with. r6 is the context, r7 the packet, r9 a value of the array, r10 the stack. */
const SCALARS = [0, 1, 2, 3, 4, 5, 8] as const;
/** Places of the frame: 64 bytes of scalars, a key, a saved pointer, a value for updates, counters of loops. */
const SCALAR_BYTES = 64;
const KEY = 72;
const SAVED = 80;
const VALUE = 160;
const COUNTERS = 200;
const MAX_DEPTH = 3;

/**
 * A random XDP program that the kernel's verifier takes: every access is checked or constant, loops have a bound, what
 * is read was written. It reads and writes packet, stack and maps, calls helpers and functions of its own, and gives a
 * number that depends on all it computed. `random` decides everything.
 */
export function generateXdp(random: Random): string {
  return new Generator(random).program();
}

class Generator {
  readonly #random: Random;
  #labels = 0;
  #functions = 0;
  readonly #called = new Set<number>();

  constructor(random: Random) {
    this.#random = random;
  }

  program(): string {
    this.#functions = this.#random.below(3);
    const short = this.#label();
    const lines = ['r6 = r1', ...this.#packet(short)];
    for (let at = 8; at <= SCALAR_BYTES; at += 8) lines.push(`*(u64 *)(r10 - ${at}) = ${this.#immediate()}`);
    for (let at = VALUE; at > VALUE - VALUE_BYTES; at -= 8) lines.push(`*(u64 *)(r10 - ${at}) = ${at}`);
    lines.push(...this.#lookup(ARRAY_MAP, this.#below(ARRAY_ENTRIES)), `if r0 == 0 goto ${short}`, 'r9 = r0');
    lines.push(...this.#setScalars());
    lines.push(...this.#block(4 + this.#below(14), 0));
    if (this.#below(4) === 0) lines.push(...this.#moveHead(short));
    lines.push(...fold(SCALARS), '*(u64 *)(r9 + 56) = r0', '*(u64 *)(r7 + 8) = r0', 'exit');
    lines.push(`${short}:`, 'r0 = 7', 'exit');
    for (const index of this.#called) lines.push(...this.#function(index));
    return lines.join('\n');
  }

  /** r7 = the packet, PACKET_BYTES of it there. */
  #packet(short: string): string[] {
    return [
      'r7 = *(u32 *)(r6 + 0)',
      'r2 = *(u32 *)(r6 + 4)',
      'r3 = r7',
      `r3 += ${PACKET_BYTES}`,
      `if r3 > r2 goto ${short}`,
    ];
  }

  #moveHead(short: string): string[] {
    const scalar = this.#pick([1, 2, 3, 4, 5]);
    return [
      `r8 += r${scalar}`,
      'r1 = r6',
      `r2 = ${this.#pick([-40, -20, -4, 4, 8])}`,
      'call 44',
      `if r0 != 0 goto ${short}`,
      ...this.#packet(short),
      ...this.#setScalars([0, 1, 2, 3, 4, 5]),
    ];
  }

  #block(statements: number, depth: number): string[] {
    const lines: string[] = [];
    for (let left = statements; left > 0; left--) lines.push(...this.#statement(depth));
    return lines;
  }

  #statement(depth: number): string[] {
    switch (this.#below(depth < MAX_DEPTH ? 20 : 16)) {
      case 0:
      case 1:
        return this.#packetAccess();
      case 2:
      case 3:
        return this.#valueAccess();
      case 4:
        return this.#variableAccess();
      case 5:
        return this.#atomic();
      case 6:
        return this.#spill();
      case 7:
        return this.#call();
      case 8:
        return this.#stackAccess();
      case 9:
      case 10:
        return this.#neighbours();
      case 16:
      case 17:
      case 18:
        return this.#conditional(depth);
      case 19:
        return depth === 0 ? this.#loop() : this.#conditional(depth);
      default:
        return [this.#arithmetic(SCALARS)];
    }
  }

  #conditional(depth: number): string[] {
    const [otherwise, end] = [this.#label(), this.#label()];
    const letter = this.#pick(['r', 'w']);
    const condition = `${letter}${this.#pick(SCALARS)} ${this.#pick(JUMP_SIGNS)} ${this.#operand(SCALARS, letter)}`;
    return [
      `if ${condition} goto ${otherwise}`,
      ...this.#block(1 + this.#below(3), depth + 1),
      ...(this.#below(2) === 0
        ? [`goto ${end}`, `${otherwise}:`, ...this.#block(1 + this.#below(3), depth + 1), `${end}:`]
        : [`${otherwise}:`]),
    ];
  }

  #loop(): string[] {
    const head = this.#label();
    const place = COUNTERS - 8 * this.#below(3);
    const test = this.#pick([8, 5]);
    return [
      `*(u64 *)(r10 - ${place}) = ${1 + this.#below(6)}`,
      `${head}:`,
      ...this.#block(1 + this.#below(4), MAX_DEPTH),
      `r${test} = *(u64 *)(r10 - ${place})`,
      `r${test} += -1`,
      `*(u64 *)(r10 - ${place}) = r${test}`,
      `if r${test} s> 0 goto ${head}`,
    ];
  }

  #packetAccess(): string[] {
    const bits = this.#pick([8, 16, 32, 64]);
    const at = this.#below(PACKET_BYTES - bits / 8 + 1);
    return this.#access(bits, `(r7 + ${at})`);
  }

  #valueAccess(): string[] {
    const bits = this.#pick([8, 16, 32, 64]);
    return this.#access(bits, `(r9 + ${this.#below(VALUE_BYTES - bits / 8 + 1)})`);
  }

  #stackAccess(): string[] {
    const bits = this.#pick([8, 16, 32, 64]);
    const bytes = bits / 8;
    return this.#access(bits, `(r10 - ${SCALAR_BYTES - this.#below(SCALAR_BYTES / bytes) * bytes})`);
  }

  #access(bits: number, place: string): string[] {
    const register = this.#pick(SCALARS);
    switch (this.#below(4)) {
      case 0:
        return [`*(u${bits} *)${place} = r${register}`];
      case 1:
        return [`*(u${bits} *)${place} = ${this.#immediate()}`];
      default: {
        const load = `r${register} = *(${bits < 64 ? this.#pick(['u', 's']) : 'u'}${bits} *)${place}`;
        const isTurned = bits > 8 && this.#below(3) === 0;
        return isTurned ? [load, `r${register} = be${bits} r${register}`] : [load];
      }
    }
  }

  /** Bytes side by side, as compilers use them where nothing is aligned: put together, taken apart, copied, set. */
  #neighbours(): string[] {
    const count = this.#pick([2, 3, 4, 8]);
    const place = () => {
      const [register, start, bytes] = this.#pick([
        [7, 0, PACKET_BYTES],
        [7, 0, PACKET_BYTES],
        [9, 0, VALUE_BYTES],
        [10, -SCALAR_BYTES, SCALAR_BYTES],
      ] as const);
      const first = start + this.#below(bytes - count + 1);
      return (index: number) => {
        const at = first + index;
        return `(r${register} ${at < 0 ? '-' : '+'} ${Math.abs(at)})`;
      };
    };
    const [whole, part] = this.#pick([
      [2, 3],
      [8, 0],
      [5, 4],
    ] as const);
    const [from, to] = [place(), place()];
    const letter = this.#pick(['r', 'w']);
    const sign = this.#pick(['|=', '+=', '^=']);
    const isReverse = this.#below(2) === 0;
    const kind = this.#below(4);
    const lines = Array.from({ length: count }, (_, index) => {
      const shift = (8 * (isReverse ? count - 1 - index : index)) % (letter === 'w' ? 32 : 64);
      switch (kind) {
        case 0:
          return [
            `r${part} = *(u8 *)${from(index)}`,
            `${letter}${part} <<= ${shift}`,
            `${letter}${whole} ${sign} ${letter}${part}`,
          ];
        case 1:
          return [
            `${letter}${part} = ${letter}${whole}`,
            `${letter}${part} >>= ${shift}`,
            `*(u8 *)${to(index)} = r${part}`,
          ];
        case 2: {
          const at = isReverse ? count - 1 - index : index;
          return [`r${part} = *(u8 *)${from(at)}`, `*(u8 *)${to(at)} = r${part}`];
        }
        default:
          return [`*(u8 *)${to(index)} = ${this.#below(256)}`];
      }
    });
    // Now and then something comes in between.
    if (this.#below(3) === 0) lines.splice(this.#below(count), 0, this.#packetAccess());
    return [...(kind === 0 ? [`r${whole} = 0`] : []), ...lines.flat()];
  }

  /** Through a pointer with a number in it that a mask bounds. */
  #variableAccess(): string[] {
    const [pointer, index, other] = this.#pick([
      [1, 2, 3],
      [2, 4, 5],
      [3, 0, 8],
      [4, 8, 1],
    ] as const);
    const bits = this.#pick([8, 16, 32, 64]);
    const place = `(r${pointer} + ${this.#below(32 - bits / 8 + 1)})`;
    const move = (register: number) =>
      this.#below(2) === 0 ? `r${register} = *(u${bits} *)${place}` : `*(u${bits} *)${place} = r${register}`;
    if (this.#below(2) === 0) {
      return [
        `r${index} &= 31`,
        `r${pointer} = r9`,
        `r${pointer} += r${index}`,
        move(other),
        this.#constant(pointer),
      ];
    }
    // A number in a pointer to the packet takes away what was known of its length.
    const skip = this.#label();
    return [
      `r${index} &= 31`,
      `r${pointer} = r7`,
      `r${pointer} += r${index}`,
      `r${other} = *(u32 *)(r6 + 4)`,
      `r${index} = r${pointer}`,
      `r${index} += 32`,
      `if r${index} > r${other} goto ${skip}`,
      this.#constant(other),
      move(other),
      `${skip}:`,
      this.#constant(pointer),
      this.#constant(index),
      this.#constant(other),
    ];
  }

  #atomic(): string[] {
    const bits = this.#pick([32, 64]);
    const bytes = bits / 8;
    const letter = bits === 64 ? 'r' : 'w';
    const suffix = bits === 64 ? '_64' : '32_32';
    const slot = this.#below(SCALAR_BYTES / bytes) * bytes;
    const place = this.#below(2) === 0 ? `r9 + ${slot}` : `r10 - ${SCALAR_BYTES - slot}`;
    const register = this.#pick(SCALARS);
    const { name, sign } = this.#pick(FETCHING);
    switch (this.#below(6)) {
      case 0:
        return [`lock *(u${bits} *)(${place}) ${sign} ${letter}${register}`];
      case 1:
        return [`${letter}${register} = atomic_fetch_${name}((u${bits} *)(${place}), ${letter}${register})`];
      case 2:
        return [`${letter}${register} = xchg${suffix}(${place}, ${letter}${register})`];
      case 3:
        return [
          `${letter}0 = cmpxchg${suffix}(${place}, ${letter}0, ${letter}${register})`,
          // Linux 6.18 leaves out what clears r0's upper half where the path that reads it was pruned (RFC 9669 §5.3 has
          // it cleared): such programs differ there, and have a test of their own.
          ...(letter === 'w' ? ['w0 = w0'] : []),
        ];
      case 4:
        return [`r${register} = load_acquire((u${bits} *)(${place}))`];
      default:
        return [`store_release((u${bits} *)(${place}), r${register})`];
    }
  }

  /** A pointer goes to the stack and comes back as good as it was. */
  #spill(): string[] {
    const [pointer, place] = this.#pick([
      [7, SAVED],
      [9, SAVED + 8],
    ] as const);
    return [
      `*(u64 *)(r10 - ${place}) = r${pointer}`,
      ...this.#block(1, MAX_DEPTH),
      `r${pointer} = *(u64 *)(r10 - ${place})`,
    ];
  }

  #call(): string[] {
    switch (this.#below(this.#functions > 0 ? 7 : 5)) {
      case 0:
        return this.#useOf(this.#lookup(HASH_MAP, this.#below(LAST_KEY + 1)));
      case 1:
        return this.#useOf(this.#lookup(PERCPU_MAP, this.#below(ARRAY_ENTRIES + 1)));
      case 2:
        return [
          `*(u32 *)(r10 - ${KEY}) = ${this.#below(LAST_KEY + 1)}`,
          `*(u64 *)(r10 - ${VALUE}) = r${this.#pick(SCALARS)}`,
          ...this.#mapCall(this.#pick([HASH_MAP, LRU_MAP, ARRAY_MAP])),
          'r3 = r10',
          `r3 += -${VALUE}`,
          `r4 = ${this.#pick([0, 1, 2])}`,
          'call 2',
          ...this.#setScalars([1, 2, 3, 4, 5]),
        ];
      case 3:
        return [
          `*(u32 *)(r10 - ${KEY}) = ${this.#below(LAST_KEY + 1)}`,
          ...this.#mapCall(this.#pick([HASH_MAP, LRU_MAP])),
          'call 3',
          ...this.#setScalars([1, 2, 3, 4, 5]),
        ];
      case 4:
        return [
          'r1 = r10',
          `r1 += -${SCALAR_BYTES}`,
          `r2 = ${4 * this.#below(9)}`,
          'r3 = r7',
          `r4 = ${4 * this.#below(9)}`,
          `r5 = ${this.#below(0x10000)}`,
          'call 28',
          ...this.#setScalars([1, 2, 3, 4, 5]),
        ];
      default: {
        const pointer = this.#below(2) === 0 ? ['r1 = r9'] : ['r1 = r10', `r1 += -${SCALAR_BYTES}`];
        const numbers = [2, 3, 4, 5].map((register) => this.#constant(register));
        const index = this.#below(this.#functions);
        this.#called.add(index);
        return [...pointer, ...numbers, `call f${index}`, ...this.#setScalars([1, 2, 3, 4, 5])];
      }
    }
  }

  /** r1 and r2 for a call on a map whose key is in the frame. */
  #mapCall(map: number): string[] {
    return ['r2 = r10', `r2 += -${KEY}`, `r1 = map[${map}]`];
  }

  #lookup(map: number, key: number): string[] {
    return [`*(u32 *)(r10 - ${KEY}) = ${key}`, ...this.#mapCall(map), 'call 1'];
  }

  /** What a lookup found is read or written where there is anything. */
  #useOf(lookup: readonly string[]): string[] {
    const missing = this.#label();
    const bits = this.#pick([8, 16, 32, 64]);
    const place = `(r0 + ${this.#below(VALUE_BYTES - bits / 8 + 1)})`;
    const use =
      this.#below(2) === 0
        ? [`*(u${bits} *)${place} = r8`]
        : [`r8 = *(u${bits} *)${place}`, `*(u8 *)(r0 + 1) = r8`];
    return [
      ...lookup,
      `if r0 == 0 goto ${missing}`,
      ...use,
      'r0 = 1',
      `${missing}:`,
      ...this.#setScalars([1, 2, 3, 4, 5]),
    ];
  }

  /** A function that works on its own frame and registers and on 64 bytes at r1. */
  #function(index: number): string[] {
    const registers = [0, 2, 3, 4, 5, 7, 8];
    const end = this.#label();
    const lines = [`f${index}:`, 'r6 = r1', ...[0, 7, 8].map((register) => this.#constant(register))];
    for (let at = 8; at <= 32; at += 8) lines.push(`*(u64 *)(r10 - ${at}) = r${this.#pick([2, 3, 4, 5])}`);
    for (let left = 2 + this.#below(8); left > 0; left--) {
      const register = this.#pick(registers);
      const at = 8 * this.#below(4);
      switch (this.#below(8)) {
        case 0:
          lines.push(`r${register} = *(u64 *)(r6 + ${at})`);
          break;
        case 1:
          lines.push(`*(u64 *)(r6 + ${at}) = r${register}`);
          break;
        case 2:
          lines.push(`r${register} = *(u64 *)(r10 - ${8 + at})`);
          break;
        case 3: {
          const letter = this.#pick(['r', 'w']);
          lines.push(
            `if ${letter}${register} ${this.#pick(JUMP_SIGNS)} ${this.#operand(registers, letter)} goto ${end}`,
          );
          break;
        }
        default:
          lines.push(this.#arithmetic(registers));
      }
    }
    return [...lines, `${end}:`, ...fold(registers), 'exit'];
  }

  #arithmetic(registers: readonly number[]): string {
    const letter = this.#pick(['r', 'w']);
    const dst = this.#pick(registers);
    switch (this.#below(12)) {
      case 0:
        return `${letter}${dst} = -${letter}${dst}`;
      case 1:
        return `${letter}${dst} = (s${letter === 'r' ? this.#pick([8, 16, 32]) : this.#pick([8, 16])})${letter}${this.#pick(registers)}`;
      case 2:
        return `r${dst} = ${this.#pick(['le', 'be', 'bswap'])}${this.#pick([16, 32, 64])} r${dst}`;
      case 3:
        return this.#constant(dst);
      default:
        return this.#twoOperands(letter, dst, registers);
    }
  }

  #twoOperands(letter: string, dst: number, registers: readonly number[]): string {
    const sign = this.#pick(ALU_SIGNS);
    const operand = this.#operand(registers, letter);
    // The kernel takes no constant 0 to divide by, and no constant shift over the width.
    if (/^-?\d+$/.test(operand)) {
      const value = Number(operand);
      if (/[/%]/.test(sign) && value === 0) return `${letter}${dst} ${sign} 3`;
      if (/<<|>>/.test(sign)) return `${letter}${dst} ${sign} ${(value >>> 0) % (letter === 'r' ? 64 : 32)}`;
    }
    return `${letter}${dst} ${sign} ${operand}`;
  }

  #operand(registers: readonly number[], letter: string): string {
    return this.#below(3) === 0 ? `${this.#immediate()}` : `${letter}${this.#pick(registers)}`;
  }

  #immediate(): number {
    return this.#below(2) === 0 ? this.#pick(CORNERS) : this.#random.u32() | 0;
  }

  #constant(register: number): string {
    if (this.#below(3) === 0) return `r${register} = ${this.#pick(LONG_CORNERS)} ll`;
    return `r${register} = ${this.#immediate()}`;
  }

  /** Set registers that mean nothing: half of them to what is only known when the program runs. */
  #setScalars(registers: readonly number[] = SCALARS): string[] {
    return registers.map((register) =>
      this.#below(2) === 0
        ? this.#constant(register)
        : `r${register} = *(u64 *)(r10 - ${8 * (1 + this.#below(SCALAR_BYTES / 8))})`,
    );
  }

  #label(): string {
    this.#labels += 1;
    return `l${this.#labels}`;
  }

  #below(limit: number): number {
    return this.#random.below(limit);
  }

  #pick<T>(items: readonly T[]): T {
    return this.#random.pick(items);
  }
}
