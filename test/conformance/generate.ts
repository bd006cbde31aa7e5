import { ALU, ATOMIC, JUMP } from '../../lb/bpf/isa/opcodes.js';

/** Bytes that r1 points at when a generated program starts. */
export const MEMORY_BYTES = 64;
const STACK_BYTES = 64;
/** Times round that a program may go before it ends. */
const FUEL = 200;

/** Numbers from a seed (Marsaglia, "Xorshift RNGs", 2003): the same seed gives the same program. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
    for (let i = 0; i < 8; i++) this.u32();
  }

  u32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  /** 0 to limit − 1. */
  below(limit: number): number {
    return this.u32() % limit;
  }

  pick<T>(items: readonly [T, ...T[]] | readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

export const ALU_SIGNS = Object.values(ALU).map(({ sign }) => sign);
export const JUMP_SIGNS = Object.values(JUMP).map(({ sign }) => sign);
export const FETCHING = Object.entries(ATOMIC).flatMap(([name, { fetch, sign }]) =>
  fetch === 'either' ? [{ name, sign }] : [],
);

export const CORNERS = [0, 1, -1, 2, 7, 31, 32, 33, 63, 64, 255, 0x7fff, 0x7fffffff, -0x80000000] as const;
export const LONG_CORNERS = [
  '0x8000000000000000',
  '0x7fffffffffffffff',
  '0xffffffffffffffff',
  '0x80000000',
  '0xffffffff',
  '0x100000000',
] as const;
/** Left to compute with; r6 is the memory, r7 the fuel, and r10 the stack. */
const SCRATCH = [0, 1, 2, 3, 4, 5, 8, 9] as const;

/**
 * A random program that ends, never leaves the memory that r1 points at or its frame, and reads nothing that it
 * did not write, but with control flow of any shape: loops with many entries and exits, nests, dead code. Its
 * registers are mixed into r0 at the end.
 */
export function generateProgram(random: Random): string {
  const functions = random.below(3);
  const lines = ['r6 = r1', `r7 = ${FUEL}`];
  for (let at = 8; at <= STACK_BYTES; at += 8) lines.push(`*(u64 *)(r10 - ${at}) = ${immediate(random)}`);
  for (const register of SCRATCH) lines.push(constant(random, register));
  const blocks = 1 + random.below(9);
  for (let block = 0; block < blocks; block++) {
    lines.push(`b${block}:`, 'r7 += -1', 'if r7 s<= 0 goto out');
    lines.push(...body(random, SCRATCH, functions));
    lines.push(...terminator(random, blocks));
  }
  lines.push('out:', ...fold(SCRATCH), 'exit');
  for (let index = 0; index < functions; index++) lines.push(...callee(random, index));
  return lines.join('\n');
}

function immediate(random: Random): number {
  return random.below(2) === 0 ? random.pick(CORNERS) : random.u32() | 0;
}

function constant(random: Random, register: number): string {
  switch (random.below(3)) {
    case 0:
      return `r${register} = ${immediate(random)}`;
    case 1:
      return `r${register} = ${random.pick(LONG_CORNERS)} ll`;
    default:
      return `r${register} = 0x${random.u32().toString(16)}${random.u32().toString(16).padStart(8, '0')} ll`;
  }
}

function operand(random: Random, registers: readonly number[], letter: string): string {
  return random.below(3) === 0 ? `${immediate(random)}` : `${letter}${random.pick(registers)}`;
}

function body(random: Random, registers: readonly number[], functions: number): string[] {
  const lines: string[] = [];
  for (let left = random.below(9); left > 0; left--) {
    if (functions > 0 && random.below(12) === 0) lines.push(...call(random, functions));
    else if (random.below(3) === 0) lines.push(...access(random, registers));
    else if (random.below(8) === 0) lines.push(...accessThroughPointer(random, registers));
    else lines.push(arithmetic(random, registers));
  }
  return lines;
}

function arithmetic(random: Random, registers: readonly number[]): string {
  const letter = random.pick(['r', 'w']);
  const dst = random.pick(registers);
  switch (random.below(12)) {
    case 0:
      return `${letter}${dst} = -${letter}${dst}`;
    case 1: {
      const bits = letter === 'r' ? random.pick([8, 16, 32]) : random.pick([8, 16]);
      return `${letter}${dst} = (s${bits})${letter}${random.pick(registers)}`;
    }
    case 2:
      return `r${dst} = ${random.pick(['le', 'be', 'bswap'])}${random.pick([16, 32, 64])} r${dst}`;
    case 3:
      return constant(random, dst);
    default:
      return `${letter}${dst} ${random.pick(ALU_SIGNS)} ${operand(random, registers, letter)}`;
  }
}

/** Where a pointer is put away, below what programs compute with. */
const SPILL = STACK_BYTES + 8;

/** Accesses through a register that points at the frame, the memory or one of the two, to where may not be known. */
function accessThroughPointer(random: Random, registers: readonly number[]): string[] {
  const pointer = random.pick(registers.filter((register) => register !== 0));
  const others = registers.filter((register) => register !== pointer);
  const letter = random.pick(['r', 'w']);
  const lines = [`r${pointer} = r10`, `r${pointer} += -${STACK_BYTES}`];
  switch (random.below(4)) {
    case 0:
      lines.push(
        `if ${letter}${random.pick(others)} ${random.pick(JUMP_SIGNS)} ${operand(random, others, letter)} goto +1`,
        `r${pointer} = r6`,
      );
      break;
    case 1: {
      const index = random.pick(others);
      lines.push(`r${index} &= 24`, `r${pointer} += r${index}`);
      break;
    }
    case 2:
      lines.push(
        `*(u64 *)(r10 - ${SPILL}) = r${pointer}`,
        constant(random, pointer),
        `r${pointer} = *(u64 *)(r10 - ${SPILL})`,
      );
      break;
  }
  // 24 bytes in at most, so that 40 are left.
  const place = (bytes: number) => `(r${pointer} + ${random.below(40 - bytes + 1)})`;
  for (let left = 1 + random.below(3); left > 0; left--) {
    const bits = random.pick([8, 16, 32, 64]);
    const register = random.pick(others);
    if (random.below(2) === 0) lines.push(`r${register} = *(u${bits} *)${place(bits / 8)}`);
    else lines.push(`*(u${bits} *)${place(bits / 8)} = r${register}`);
    if (random.below(2) === 0) lines.push(...access(random, others));
  }
  return [...lines, constant(random, pointer)];
}

/** A load, store or atomic on the memory or on the stack. */
function access(random: Random, registers: readonly number[]): string[] {
  const bits = random.pick([8, 16, 32, 64]);
  const bytes = bits / 8;
  const onStack = random.below(2) === 0;
  const room = onStack ? STACK_BYTES : MEMORY_BYTES;
  const place = (at: number) => (onStack ? `(r10 - ${STACK_BYTES - at})` : `(r6 + ${at})`);
  const anywhere = place(random.below(room - bytes + 1));
  const aligned = place(random.below(room / bytes) * bytes);
  const register = random.pick(registers);
  const letter = bits === 64 ? 'r' : 'w';
  switch (random.below(bits >= 32 ? 10 : 6)) {
    case 0:
    case 1:
      return [`r${register} = *(${bits < 64 ? random.pick(['u', 's']) : 'u'}${bits} *)${anywhere}`];
    case 2:
      return [`*(u${bits} *)${anywhere} = ${immediate(random)}`];
    case 3:
      return [`*(u${bits} *)${anywhere} = r${register}`];
    case 4:
      return [`r${register} = load_acquire((u${bits} *)${aligned})`];
    case 5:
      return [`store_release((u${bits} *)${aligned}, r${register})`];
    case 6: {
      const { sign } = random.pick(FETCHING);
      return [`lock *(u${bits} *)${aligned} ${sign} ${letter}${register}`];
    }
    case 7: {
      const { name } = random.pick(FETCHING);
      return [`${letter}${register} = atomic_fetch_${name}((u${bits} *)${aligned}, ${letter}${register})`];
    }
    case 8:
      return [
        `${letter}${register} = xchg${bits === 64 ? '_64' : '32_32'}(${aligned.slice(1, -1)}, ${letter}${register})`,
      ];
    default: {
      const compare = `${letter}0 = cmpxchg${bits === 64 ? '_64' : '32_32'}(${aligned.slice(1, -1)}, ${letter}0, ${letter}${register})`;
      // Half of them find what they expect.
      return random.below(2) === 0 ? [compare] : [`r0 = *(u${bits} *)${aligned}`, compare];
    }
  }
}

function terminator(random: Random, blocks: number): string[] {
  const target = () => (random.below(12) === 0 ? 'out' : `b${random.below(blocks)}`);
  const letter = random.pick(['r', 'w']);
  const branch = () =>
    `if ${letter}${random.pick(SCRATCH)} ${random.pick(JUMP_SIGNS)} ${operand(random, SCRATCH, letter)} goto ${target()}`;
  switch (random.below(5)) {
    case 0:
      return [`goto ${target()}`];
    case 1:
      return [];
    case 2:
      return [branch(), `goto ${target()}`];
    case 3:
      return [branch(), branch()];
    default:
      return [branch()];
  }
}

/** r1 to r5 mean nothing after a call: they are set anew. */
function call(random: Random, functions: number): string[] {
  const pointer = random.below(2) === 0 ? 'r1 = r6' : `r1 = r10\nr1 += -${STACK_BYTES}`;
  return [
    pointer,
    `call f${random.below(functions)}`,
    ...[1, 2, 3, 4, 5].map((register) => constant(random, register)),
  ];
}

/** A function that works on its own registers and frame and on 64 bytes at r1, and has branches forward. */
function callee(random: Random, index: number): string[] {
  const registers = [0, 2, 3, 4, 5, 7, 8, 9];
  const lines = [`f${index}:`, 'r6 = r1'];
  for (let at = 8; at <= STACK_BYTES; at += 8)
    lines.push(`*(u64 *)(r10 - ${at}) = r${random.pick([2, 3, 4, 5])}`);
  for (const register of [0, 7, 8, 9]) lines.push(constant(random, register));
  const blocks = 1 + random.below(4);
  for (let block = 0; block < blocks; block++) {
    lines.push(`f${index}b${block}:`, ...body(random, registers, 0));
    const letter = random.pick(['r', 'w']);
    const next = block + 1 + random.below(blocks - block);
    const target = next === blocks ? `f${index}out` : `f${index}b${next}`;
    lines.push(
      `if ${letter}${random.pick(registers)} ${random.pick(JUMP_SIGNS)} ${operand(random, registers, letter)} goto ${target}`,
    );
  }
  lines.push(`f${index}out:`, ...fold(registers), 'exit');
  return lines;
}

/** Every register has a part in r0, and a place of its own in it. */
export function fold(registers: readonly number[]): string[] {
  return registers.flatMap((register) => (register === 0 ? [] : ['r0 *= 31', `r0 ^= r${register}`]));
}
