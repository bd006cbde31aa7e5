import type { Random } from '../../conformance/generate.js';
import { MAP } from './scene.js';
import { OUT, Writer } from './writer.js';

type Content = 'packet' | 'value' | 'context' | 'stack' | 'index' | 'unknown' | 'constant';
const SLOTS = [8, 16, 24, 32, 40, 48] as const;

/** Registers of all kinds put into the frame and taken out again, whole and in parts, written over, and used. */
export function generateSpills(random: Random): string {
  return new Spills(random).program();
}

class Spills {
  readonly #w: Writer;
  /** What a slot has, by its distance from the frame's end. */
  readonly #slots = new Map<number, Content>();

  constructor(random: Random) {
    this.#w = new Writer(random);
  }

  program(): string {
    const w = this.#w;
    w.lookup(7, MAP.array);
    w.packet(8, 3);
    w.add('r2 = r8', 'r2 += 32', `if r2 > r3 goto ${OUT}`, 'r9 = *(u8 *)(r8 + 5)', 'r9 &= 31');
    for (let left = 3 + w.below(5); left > 0; left--) this.#statement();
    return w.text();
  }

  #statement(): void {
    switch (this.#w.below(9)) {
      case 0:
      case 1:
      case 2:
        this.#spill();
        return;
      case 3:
        this.#narrowStore();
        return;
      case 4:
        this.#overwrite();
        return;
      case 5:
        this.#branch();
        return;
      default:
        this.#fill();
    }
  }

  /** A whole register, into one of a few slots. */
  #spill(): void {
    const w = this.#w;
    const slot = w.pick(SLOTS);
    const content = w.pick([
      'packet',
      'value',
      'context',
      'stack',
      'index',
      'index',
      'unknown',
      'constant',
    ] as const);
    w.add(...this.#make(content), `*(u64 *)(r10 - ${slot}) = r1`);
    this.#slots.set(slot, content);
  }

  #make(content: Content): string[] {
    const w = this.#w;
    switch (content) {
      case 'packet':
        return ['r1 = r8'];
      case 'value':
        return ['r1 = r7'];
      case 'context':
        return ['r1 = r6'];
      case 'stack':
        return ['r1 = r10', `r1 += -${w.pick(SLOTS)}`];
      case 'index':
        return ['r1 = r9'];
      case 'unknown':
        return ['r1 = *(u64 *)(r7 + 0)'];
      case 'constant':
        return [`r1 = ${w.pick([0, 1, 16, 31, -1, 0x1234])}`];
    }
  }

  /** Part of a slot from a number whose bounds are kept, or not. */
  #narrowStore(): void {
    const w = this.#w;
    const slot = w.pick(SLOTS);
    const bits = w.pick([8, 16, 32]);
    const at = slot - (w.below(2) === 0 ? 0 : w.below(8 / (bits / 8)) * (bits / 8));
    const content = w.pick(['index', 'index', 'unknown', 'constant'] as const);
    w.add(...this.#make(content), `*(u${bits} *)(r10 - ${at}) = r1`);
    const old = this.#slots.get(slot);
    this.#slots.set(slot, old === undefined || old === 'index' ? content : 'unknown');
  }

  /** A byte somewhere, or at a place that is not known. */
  #overwrite(): void {
    const w = this.#w;
    if (w.below(2) === 0) {
      const slot = w.pick(SLOTS);
      const bits = w.pick([8, 16, 32]);
      const at = slot - w.below(8 / (bits / 8)) * (bits / 8);
      w.add(`*(u${bits} *)(r10 - ${at}) = ${w.pick([0, 0, 7])}`);
      this.#slots.set(slot, 'unknown');
      return;
    }
    const mask = w.pick([7, 15, 8, 24]);
    const from = w.pick([24, 32, 48]);
    w.add('r1 = r9', `r1 &= ${mask}`, 'r2 = r10', `r2 += -${from}`, 'r2 += r1');
    const bits = w.pick([8, 8, 64]);
    if (w.below(3) > 0) {
      w.add(`*(u${bits} *)(r2 + 0) = ${w.pick([0, 0, 5])}`);
      for (const slot of SLOTS) if (slot <= from && slot > from - mask - 8) this.#slots.set(slot, 'unknown');
    } else w.add(`r3 = *(u${bits} *)(r2 + 0)`, 'r3 &= 15', 'r4 = r7', 'r4 += r3', 'r0 = *(u8 *)(r4 + 0)');
  }

  /** Two paths that leave a slot different. */
  #branch(): void {
    const w = this.#w;
    const label = w.label();
    const register = w.pick([9, 9]);
    w.add(`if r${register} ${w.pick(['>', '==', 's<'])} ${w.below(32)} goto ${label}`);
    if (w.below(2) === 0) this.#spill();
    else this.#narrowStore();
    w.add(`${label}:`);
  }

  #fill(): void {
    const w = this.#w;
    const slot = w.pick(this.#slots.size > 0 && !w.isWrong() ? [...this.#slots.keys()] : SLOTS);
    const content = this.#slots.get(slot) ?? 'unknown';
    const bits = w.below(4) === 0 ? w.pick([8, 16, 32]) : 64;
    const at = bits < 64 && w.below(3) === 0 ? slot - bits / 8 : slot;
    w.add(`r1 = *(${bits < 64 ? w.pick(['u', 'u', 's']) : 'u'}${bits} *)(r10 - ${at})`);
    this.#use(
      w.isWrong() || (bits < 64 && content !== 'index' && content !== 'constant') ? 'unknown' : content,
    );
  }

  #use(content: Content): void {
    const w = this.#w;
    switch (content) {
      case 'packet':
      case 'value':
        w.access(1, 0, content === 'packet' ? 32 : 64, 0);
        return;
      case 'context':
        w.add(`r0 = *(u32 *)(r1 + ${w.pick([0, 4, 8, 12, 16])})`);
        return;
      case 'stack':
        w.add(`*(u64 *)(r1 + 0) = ${w.below(8)}`);
        for (const slot of SLOTS) this.#slots.set(slot, 'unknown');
        return;
      case 'index':
      case 'constant':
        if (content === 'constant' && !w.isWrong()) w.add('r1 &= 31');
        w.add('r4 = r7', 'r4 += r1', `r0 = *(u8 *)(r4 + ${w.near(32)})`);
        return;
      case 'unknown':
        w.add('r1 &= 31', `if r1 > ${w.pick([7, 15])} goto +1`, 'r9 = r1');
    }
  }
}
