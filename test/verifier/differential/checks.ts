import type { Random } from '../../conformance/generate.js';
import { JUMPS, OUT, Writer } from './writer.js';

const STACK_BYTES = 64;

/** Bounds that are checked before an access, in many ways, some of them wrong by one, of the wrong sign or width. */
export function generateChecks(random: Random): string {
  const w = new Writer(random);
  for (let at = 8; at <= STACK_BYTES; at += 8) w.add(`*(u64 *)(r10 - ${at}) = 0`);
  for (let left = 1 + w.below(3); left > 0; left--) statement(w);
  return w.text();
}

/** r7 is the base, r8 the index, r9 the packet's end. */
function statement(w: Writer): void {
  const base = w.pick(['packet', 'packet', 'value', 'value', 'stack'] as const);
  if (base === 'packet') packetStatement(w);
  else {
    const room = base === 'value' ? w.valueBytes : STACK_BYTES;
    w.unknown(8);
    const most = bound(w, 8, room);
    if (base === 'value') w.lookup(7);
    else w.add('r7 = r10', `r7 += -${STACK_BYTES}`);
    w.add('r7 += r8');
    w.access(7, 0, room - most, w.pick([0, 3, 8]));
  }
}

function packetStatement(w: Writer): void {
  const isVariable = w.below(3) > 0;
  let fixed = w.pick([0, 14, 14, 20]);
  if (isVariable) {
    w.unknown(8);
    bound(w, 8, w.pick([60, 255, 1500, 0x7fff, 0xfff0]));
  }
  w.packet(7, 9);
  if (isVariable) w.add('r7 += r8');
  if (fixed > 0) w.add(`r7 += ${fixed}`);
  const range = 1 + w.below(40);
  w.add('r3 = r7', `r3 += ${range}`);
  const [left, right] = w.pick([
    [3, 9],
    [9, 3],
  ]);
  const isMirrored = left === 9;
  // Which forms leave `range` bytes on the arm that goes on.
  const forms: readonly (readonly [string, number])[] = isMirrored
    ? [
        ['<', 0],
        ['<=', 1],
      ]
    : [
        ['>', 0],
        ['>=', 1],
      ];
  const [sign, more] = w.isWrong() ? ([w.pick(JUMPS), 0] as const) : w.pick(forms);
  w.add(`if r${left} ${sign} r${right} goto ${OUT}`);
  if (w.isWrong()) fixed = 0;
  const from = -(w.below(2) === 0 ? 0 : fixed);
  w.access(7, from, range + more, w.pick([0, 3, 4]));
}

/** Bring an unknown number below a limit; gives what it is at most, if nothing is wrong. */
function bound(w: Writer, register: number, limit: number): number {
  const most = Math.max(1, limit - w.pick([1, 2, 4, 8, 8]));
  const r = `r${register}`;
  switch (w.below(9)) {
    case 0: {
      const mask = 2 ** Math.floor(Math.log2(most + 1)) - 1;
      w.add(`${w.pick(['r', 'w'])}${register} &= ${w.isWrong() ? limit : mask}`);
      return mask;
    }
    case 1:
      w.add(`if ${r} ${w.isWrong() ? 's>' : '>'} ${most} goto ${OUT}`);
      return most;
    case 2:
      w.add(`if ${r} >= ${most + Number(!w.isWrong())} goto ${OUT}`);
      return most;
    case 3:
      w.add(`if ${r} s> ${most} goto ${OUT}`);
      if (!w.isWrong()) w.add(`if ${r} s< 0 goto ${OUT}`);
      return most;
    case 4: {
      // In 32 bits, which says something of 64 only where the upper half is known.
      if (!w.isWrong()) w.add(`w${register} = w${register}`);
      w.add(`if w${register} > ${most} goto ${OUT}`);
      return most;
    }
    case 5: {
      const bits = Math.floor(Math.log2(most + 1));
      const shift = 64 - bits - Number(w.isWrong());
      w.add(`${r} ${w.pick(['<<=', '<<='])} ${shift}`, `${r} ${w.isWrong() ? 's>>=' : '>>='} ${shift}`);
      return 2 ** bits - 1;
    }
    case 6: {
      // A range that does not begin at 0, moved to where it does.
      const low = w.pick([1, 5, 100, -3]);
      w.add(`if ${r} s< ${low} goto ${OUT}`, `if ${r} s> ${low + most} goto ${OUT}`);
      w.add(w.isWrong() ? `${r} -= ${low - 1}` : `${r} -= ${low}`);
      return most;
    }
    case 7: {
      // The copy is compared, the number is used.
      w.add(`r4 = ${r}`);
      if (w.isWrong()) w.add('r4 += 1');
      w.add(`if r4 > ${most} goto ${OUT}`);
      return most;
    }
    default: {
      // Against a number in a register, or from two arms.
      const label = w.label();
      w.add(`r4 = ${most}`, `r5 = ${w.isWrong() ? limit : most >> 1}`);
      w.add(`if ${r} ${w.pick(['<', '<=', '=='])} r${w.pick([4, 5])} goto ${label}`);
      w.add(w.isWrong() ? `${r} = ${limit}` : `${r} = ${w.below(most + 1)}`, `${label}:`);
      return most;
    }
  }
}
