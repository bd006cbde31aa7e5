import { ALU_SIGNS, JUMP_SIGNS, type Random } from '../../conformance/generate.js';
import { MAP } from './scene.js';
import { OUT, Writer } from './writer.js';

/** Left to compute with. r6 is the context, r7 a value of a map. */
const SCALARS = [1, 2, 3, 4, 5, 8, 9] as const;
const MASKS = [1, 3, 7, 15, 31, 63, 8, 24, 48] as const;
const CONSTANTS = [0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 33, 63, -1, -2, -8, 255] as const;
const SHIFTS: ReadonlySet<string> = new Set(['<<=', '>>=', 's>>=']);
const SAFE_SIGNS = ALU_SIGNS.filter((sign) => !['=', '*=', '<<='].includes(sign));

/** Any arithmetic on small numbers, any comparisons, and what came of it used as an index unchecked: ranges decide. */
export function generateArithmetic(random: Random): string {
  const w = new Writer(random);
  w.lookup(7, MAP.array);
  for (const register of SCALARS) {
    if (w.below(3) === 0) w.add(`r${register} = ${w.pick(CONSTANTS)}`);
    else if (w.below(8) === 0) w.add(`r${register} = *(u${w.pick([8, 16, 32, 64])} *)(r7 + 0)`);
    else w.add(`r${register} = *(u32 *)(r7 + ${4 * w.below(8)})`, `r${register} &= ${w.pick(MASKS)}`);
  }
  for (let left = 2 + w.below(8); left > 0; left--) step(w);
  const index = w.pick(SCALARS);
  if (w.below(3) === 0)
    w.add(`if r${index} ${w.pick(['>', 's>', '>='])} ${w.pick([40, 55, 63])} goto ${OUT}`);
  w.add(`r7 ${w.below(6) === 0 ? '-=' : '+='} r${index}`, `r0 = *(u8 *)(r7 + ${w.below(8)})`);
  return w.text();
}

function step(w: Writer): void {
  const dst = w.pick(SCALARS);
  const letter = w.pick(['r', 'r', 'w']);
  switch (w.below(10)) {
    case 0:
      w.add(`${letter}${dst} = -${letter}${dst}`);
      return;
    case 1:
      w.add(
        `${letter}${dst} = (s${letter === 'r' ? w.pick([8, 16, 32]) : w.pick([8, 16])})${letter}${w.pick(SCALARS)}`,
      );
      return;
    case 2:
      w.add(`r${dst} = ${w.pick(['le', 'be', 'bswap'])}${w.pick([16, 32, 64])} r${dst}`);
      return;
    case 3:
      w.add(`${letter}${dst} = ${letter}${w.pick(SCALARS)}`);
      return;
    case 4:
    case 5:
    case 6:
      branch(w, letter, dst);
      return;
    default:
      w.add(arithmetic(w, letter, dst));
  }
}

function arithmetic(w: Writer, letter: string, dst: number): string {
  const sign = w.below(5) === 0 ? w.pick(ALU_SIGNS) : w.pick(SAFE_SIGNS);
  if (w.below(2) === 0) return `${letter}${dst} ${sign} ${letter}${w.pick(SCALARS)}`;
  const constant = w.pick(CONSTANTS);
  const isDivision = sign.includes('/') || sign.includes('%');
  if (SHIFTS.has(sign)) return `${letter}${dst} ${sign} ${Math.abs(constant) % (letter === 'r' ? 64 : 32)}`;
  return `${letter}${dst} ${sign} ${isDivision && constant === 0 ? 3 : constant}`;
}

/** A comparison of which both arms go on, one of them with something more. */
function branch(w: Writer, letter: string, dst: number): void {
  const label = w.label();
  const operand = w.below(2) === 0 ? `${letter}${w.pick(SCALARS)}` : `${w.pick(CONSTANTS)}`;
  const condition = `if ${letter}${dst} ${w.pick(JUMP_SIGNS)} ${operand}`;
  if (w.below(3) === 0) {
    w.add(`${condition} goto ${OUT}`);
    return;
  }
  w.add(`${condition} goto ${label}`, arithmetic(w, w.pick(['r', 'w']), w.pick(SCALARS)), `${label}:`);
}
