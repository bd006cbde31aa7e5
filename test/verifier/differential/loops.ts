import type { Random } from '../../conformance/generate.js';
import { MAP } from './scene.js';
import { OUT, Writer } from './writer.js';

/**
 * Loops that end and that do not, in each other, with joins in them: states are compared, and what made a state
 * worth keeping is to be found. r7 is a value of a map, r8 and r9 count.
 */
export function generateLoops(random: Random): string {
  const w = new Writer(random);
  w.lookup(7, MAP.array);
  w.unknown(9);
  for (let left = 1 + w.below(2); left > 0; left--) {
    if (w.below(4) === 0) joins(w, 3 + w.below(6));
    loop(w, 0);
  }
  return w.text();
}

function loop(w: Writer, depth: number): void {
  switch (w.below(5)) {
    case 0:
      packetLoop(w);
      return;
    case 1:
      frameLoop(w, depth);
      return;
    default:
      registerLoop(w, depth);
  }
}

/** A counter in a register from one number to another. */
function registerLoop(w: Writer, depth: number): void {
  const [head, end] = [w.label(), w.label()];
  const counter = depth === 0 ? 8 : 5;
  const limit = depth === 0 ? w.pick([1, 3, 8, 20, 63, 200]) : w.pick([1, 2, 5]);
  const step = w.pick([1, 1, 2, 3]);
  const isDown = w.below(4) === 0;
  w.add(`r${counter} = ${isDown ? limit * step : 0}`, `${head}:`);
  const isAtEnd = w.below(2) === 0;
  const letter = w.pick(['r', 'r', 'w']);
  const goOn = isDown
    ? `if ${letter}${counter} ${w.pick(['s>', '!='])} 0 goto ${head}`
    : `if ${letter}${counter} ${w.pick(['<', 's<', '<', w.isWrong() ? '>' : '<='])} ${limit} goto ${head}`;
  if (!isAtEnd && !isDown) w.add(`if ${letter}${counter} ${w.pick(['>=', 's>=', '>'])} ${limit} goto ${end}`);
  body(w, depth, counter, limit);
  const change = `r${counter} ${isDown ? '-=' : '+='} ${step}`;
  if (w.below(8) === 0) {
    // Steps of more than one size; or of none, on one path.
    const label = w.label();
    w.add(`if r9 ${w.pick(['>', 's<', '=='])} ${w.below(16)} goto ${label}`);
    if (!w.isWrong()) w.add(change);
    w.add(`${label}:`);
  }
  if (!w.isWrong()) w.add(change);
  w.add(isAtEnd || isDown ? goOn : `goto ${head}`, `${end}:`);
}

/** The counter in the frame. */
function frameLoop(w: Writer, depth: number): void {
  const head = w.label();
  const bits = w.pick([64, 64, 32, 8]);
  const place = `*(u${bits} *)(r10 - ${16 + 8 * depth})`;
  const limit = w.pick([1, 4, 10, 30]);
  w.add(`${place} = 0`, `${head}:`);
  body(w, depth, 9, limit);
  w.add(`r1 = ${place}`, 'r1 += 1', `${place} = r1`);
  w.add(
    w.isWrong()
      ? `if r1 != ${limit + 300} goto ${head}`
      : `if r1 ${w.pick(['<', '!=', 's<'])} ${limit} goto ${head}`,
  );
}

/** A pointer that goes through the packet, as far as it has been counted. */
function packetLoop(w: Writer): void {
  const [head, end] = [w.label(), w.label()];
  w.packet(1, 2);
  w.add(`r3 = ${w.pick([3, 10, 40])}`, 'r4 = 0', `${head}:`);
  const step = w.pick([1, 2, 4]);
  w.add('r5 = r1', `r5 += ${step}`, `if r5 ${w.pick(['>', '>', '>='])} r2 goto ${end}`);
  w.add(`r0 = *(u8 *)(r1 + ${w.near(step) - 1})`);
  if (w.below(2) === 0) w.add('r4 += r0');
  if (w.below(4) === 0) w.add('r0 &= 3', 'r1 += r0');
  else w.add(`r1 += ${step}`);
  if (!w.isWrong()) w.add('r3 += -1');
  w.add(`if r3 != 0 goto ${head}`, `${end}:`);
}

function body(w: Writer, depth: number, counter: number, limit: number): void {
  for (let left = w.below(3); left > 0; left--) {
    switch (w.below(depth === 0 ? 6 : 5)) {
      case 0:
        // The counter is an index: its bounds matter in each round.
        w.add('r1 = r7', `r2 = r${counter}`);
        if (limit > 56 || w.below(2) === 0) w.add('r2 &= 31');
        w.add('r1 += r2', `r0 = *(u8 *)(r1 + ${w.below(8)})`);
        break;
      case 1:
        joins(w, 1 + w.below(2));
        break;
      case 2:
        w.add('r9 = *(u64 *)(r7 + 8)');
        break;
      case 3:
        w.add(`r9 ${w.pick(['+=', '^=', '*='])} ${w.pick(['1', '3', 'r9'])}`);
        break;
      case 4:
        w.add(`if r9 ${w.pick(['==', '>', 's<'])} ${w.below(100)} goto ${OUT}`);
        break;
      default:
        loop(w, depth + 1);
    }
  }
}

/** Arms that come together with different numbers, and a use of them that is right for some. */
function joins(w: Writer, count: number): void {
  const register = w.pick([3, 4]);
  w.add(`r${register} = ${w.below(4)}`);
  for (let left = count; left > 0; left--) {
    const label = w.label();
    w.add(
      `if ${w.pick(['r', 'w'])}9 ${w.pick(['&', '==', '>', 's>', '<'])} ${1 + w.below(64)} goto ${label}`,
    );
    w.add(
      w.pick([`r${register} = ${w.below(9)}`, `r${register} += ${w.below(5)}`, 'r9 = 5', 'r9 += 1']),
      `${label}:`,
    );
  }
  if (w.below(3) === 0) w.add(`if r${register} > ${w.pick([40, 50, 60])} goto ${OUT}`);
  if (w.below(2) === 0)
    w.add('r2 = r7', `r2 += r${register}`, `r0 = *(u8 *)(r2 + ${w.pick([0, 8, 40, 56])})`);
}
