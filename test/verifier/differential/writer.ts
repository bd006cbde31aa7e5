import type { Random } from '../../conformance/generate.js';
import { MAP, VALUE_BYTES } from './scene.js';

/** Of so many decisions one is wrong: where the edge is. */
const WRONG_ONE_IN = 14;

export const JUMPS = ['==', '!=', '<', '<=', '>', '>=', 's<', 's<=', 's>', 's>='] as const;
/** Label of the way out, which every program ends with. */
export const OUT = 'out';

/** Lines of a program that is being made up. r6 is the context throughout. */
export class Writer {
  readonly random: Random;
  readonly #lines: string[] = ['r6 = r1'];
  readonly #functions: string[] = [];
  #labels = 0;

  constructor(random: Random) {
    this.random = random;
  }

  /** Offsets that were computed may be negative: `+ -4` is `- 4`. */
  add(...lines: readonly string[]): void {
    this.#lines.push(...lines.map((line) => line.replace('+ -', '- ')));
  }

  /** Code behind the end: functions. */
  addFunction(...lines: readonly string[]): void {
    this.#functions.push(...lines.map((line) => line.replace('+ -', '- ')));
  }

  label(prefix = 'l'): string {
    this.#labels += 1;
    return `${prefix}${this.#labels}`;
  }

  below(limit: number): number {
    return this.random.below(limit);
  }

  pick<T>(items: readonly T[]): T {
    return this.random.pick(items);
  }

  /** Whether what comes next is to be wrong, now and then. */
  isWrong(): boolean {
    return this.below(WRONG_ONE_IN) === 0;
  }

  /** A limit, or one beside it. */
  near(limit: number): number {
    return this.isWrong() ? limit + this.pick([-1, 1, 1, 2, 8]) : limit - this.pick([0, 0, 0, 1, 4]);
  }

  /** An unknown number of some width in a register, all 64 bits of it read from somewhere. Takes r0 to r5. */
  unknown(register: number): void {
    switch (this.below(6)) {
      case 0:
        this.add('call 7', `r${register} = r0`);
        return;
      case 1:
        this.add(`r${register} = *(u32 *)(r6 + ${this.pick([12, 16])})`);
        return;
      case 2:
        this.add('call 5', `r${register} = r0`);
        return;
      default: {
        const bits = this.pick([8, 16, 32, 64]);
        const sign = bits === 64 ? 'u' : this.pick(['u', 'u', 's']);
        this.add(`r${register} = map[${MAP.one}] value + ${this.pick([0, 8])}`);
        this.add(`r${register} = *(${sign}${bits} *)(r${register} + 0)`);
      }
    }
  }

  /** A value of a map in r`register`, or out; the check is forgotten now and then. Takes r0 to r5. */
  lookup(register: number, map: number = this.pick([MAP.array, MAP.hash, MAP.percpu])): void {
    this.add(`*(u32 *)(r10 - 4) = ${this.below(6)}`, 'r2 = r10', 'r2 += -4', `r1 = map[${map}]`, 'call 1');
    if (this.isWrong()) this.add(`r${register} = r0`);
    else if (this.below(3) === 0) this.add(`r${register} = r0`, `if r${register} == 0 goto ${OUT}`);
    else this.add(`if r0 == 0 goto ${OUT}`, `r${register} = r0`);
  }

  /** Packet in r`data`, its end in r`end`. */
  packet(data: number, end: number): void {
    this.add(`r${data} = *(u32 *)(r6 + 0)`, `r${end} = *(u32 *)(r6 + 4)`);
  }

  /** A random access of r`base` between `from` and `to`; what is loaded goes to r`register`. */
  access(base: number, from: number, to: number, register: number): void {
    const bits = this.pick([8, 16, 32, 64]);
    const bytes = bits / 8;
    const last = this.near(to - bytes);
    const at = last > from ? from + this.below(last - from + 1) : last;
    const edge = this.below(2) === 0 ? last : at;
    const place = `(r${base} ${edge < 0 ? '-' : '+'} ${Math.abs(edge)})`;
    switch (this.below(6)) {
      case 0:
        this.add(`*(u${bits} *)${place} = ${this.below(256)}`);
        return;
      case 1:
        this.add('r0 = 1', `*(u${bits} *)${place} = r0`);
        return;
      case 2:
        if (bits >= 32 && base !== 0) {
          this.add('r0 = 1', `lock *(u${bits} *)${place} += ${bits === 64 ? 'r' : 'w'}0`);
          return;
        }
    }
    this.add(`r${register} = *(u${bits} *)${place}`);
  }

  /** Bytes of a value. */
  get valueBytes(): number {
    return VALUE_BYTES;
  }

  text(): string {
    return [...this.#lines, `${OUT}:`, 'r0 = 1', 'exit', ...this.#functions].join('\n');
  }
}
