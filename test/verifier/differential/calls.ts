import type { Random } from '../../conformance/generate.js';
import { LOCK_OFFSET, MAP } from './scene.js';
import { OUT, Writer } from './writer.js';

/** Functions, callbacks, helpers with sizes, references that are to be given back, locks, and links between copies. */
export function generateCalls(random: Random): string {
  const w = new Writer(random);
  for (let left = 1 + w.below(3); left > 0; left--) w.pick(STATEMENTS)(w);
  return w.text();
}

const STATEMENTS: readonly ((w: Writer) => void)[] = [
  staticCall,
  staticCall,
  loopCallback,
  forEachCallback,
  sizedHelper,
  sizedHelper,
  record,
  record,
  lock,
  copies,
  linkedCopies,
  tailCall,
  movedPacket,
];

/** A function of its own frame, with pointers handed down, and a number that comes back. */
function staticCall(w: Writer): void {
  const name = w.label('f');
  const kind = w.pick(['stack', 'value', 'packet', 'number'] as const);
  const prepared: Record<typeof kind, () => void> = {
    stack: () => w.add('*(u64 *)(r10 - 16) = 0', 'r1 = r10', 'r1 += -16'),
    value: () => {
      w.lookup(7);
      w.add('r1 = r7');
    },
    packet: () => {
      w.packet(7, 8);
      w.add('r3 = r7', `r3 += ${16}`, `if r3 > r8 goto ${OUT}`, 'r1 = r7');
    },
    number: () => {
      w.unknown(7);
      w.add('r1 = r7');
    },
  };
  prepared[kind]();
  w.add(`r2 = ${w.pick([0, 8, 15])}`, 'r9 = 3', `call ${name}`);
  if (kind === 'number' || w.below(2) === 0) {
    w.add('r8 = r0');
    w.lookup(7, MAP.array);
    w.add('r7 += r8', `r3 = *(u8 *)(r7 + ${w.near(48)})`);
  }
  if (w.isWrong()) w.add('r0 = r1');
  if (w.below(2) === 0) w.add('r3 = r9');
  const lines = [`${name}:`];
  if (w.below(2) === 0) lines.push(`*(u64 *)(r10 - ${w.pick([8, 64, 256, w.isWrong() ? 512 : 400])}) = 1`);
  if (w.isWrong()) lines.push('r0 = r6');
  if (kind === 'stack')
    lines.push(w.isWrong() ? '*(u64 *)(r1 + 0) = r10' : `*(u64 *)(r1 + ${w.pick([0, 8])}) = r2`);
  if (kind !== 'number') lines.push(`r0 = *(u${w.pick([8, 64])} *)(r1 + ${w.near(8)})`);
  else lines.push('r0 = r1');
  if (!w.isWrong()) lines.push(w.pick(['r0 &= 15', `r0 &= ${w.pick([7, 8])}`, 'if r0 < 16 goto +1\nr0 = 3']));
  w.addFunction(...lines, 'exit');
}

/** bpf_loop with a number in the frame that each round changes; within bounds, or a million instructions are walked. */
function loopCallback(w: Writer): void {
  const name = w.label('c');
  w.add(`*(u64 *)(r10 - 8) = ${w.below(4)}`, `*(u64 *)(r10 - 16) = ${w.below(4)}`);
  if (w.below(3) === 0) w.unknown(1);
  else w.add(`r1 = ${w.pick([0, 1, 5, 100])}`);
  w.add(`r2 = function ${name}`, 'r3 = r10', 'r3 += -16', `r4 = ${w.isWrong() ? 1 : 0}`, 'call 181');
  w.add('r8 = *(u64 *)(r10 - 8)');
  if (w.below(3) > 0) w.add(`if r8 > ${w.near(60)} goto ${OUT}`);
  w.lookup(7, MAP.array);
  w.add('r7 += r8', `r0 = *(u8 *)(r7 + ${w.below(4)})`);
  const lines = [`${name}:`];
  const use = w.below(4);
  if (use === 0)
    lines.push('r3 = *(u64 *)(r2 + 8)', 'r3 += 1', `r3 &= ${w.pick([15, 31])}`, '*(u64 *)(r2 + 8) = r3');
  else if (use === 1) lines.push(`*(u64 *)(r2 + 8) = ${w.pick([1, 40, 64])}`);
  else if (use === 2) lines.push('*(u64 *)(r2 + 8) = r1');
  lines.push('r0 = 0');
  if (w.below(2) === 0)
    lines.push(
      'r4 = *(u64 *)(r2 + 0)',
      `if r4 ${w.pick(['!=', '>', 's<'])} 3 goto +1`,
      `r0 = ${w.isWrong() ? 2 : 1}`,
    );
  w.addFunction(...lines, 'exit');
}

/** bpf_for_each_map_elem: key, value and context in the callback. */
function forEachCallback(w: Writer): void {
  const name = w.label('c');
  const map = w.pick([MAP.array, MAP.hash, MAP.lru, MAP.ring]);
  w.add(
    '*(u64 *)(r10 - 8) = 0',
    `r1 = map[${w.isWrong() ? MAP.programs : map === MAP.ring ? MAP.percpu : map}]`,
  );
  w.add(`r2 = function ${name}`, 'r3 = r10', 'r3 += -8', 'r4 = 0', 'call 164');
  const bytes = map === MAP.lru ? 24 : 64;
  const lines = [`${name}:`, `r0 = *(u${w.pick([8, 64])} *)(r3 + ${w.near(bytes - 8)})`];
  if (w.below(2) === 0) lines.push(`r5 = *(u32 *)(r2 + ${w.isWrong() ? 8 : 0})`);
  if (w.below(2) === 0) lines.push('*(u64 *)(r4 + 0) = r0');
  lines.push(w.isWrong() ? 'r0 &= 3' : w.pick(['r0 = 0', 'r0 &= 1']));
  w.addFunction(...lines, 'exit');
}

/** A helper that takes memory and its length, the length a range. */
function sizedHelper(w: Writer): void {
  w.unknown(8);
  const most = w.pick([8, 16, 32]);
  if (w.below(2) === 0) w.add(`r8 &= ${w.isWrong() ? 2 * most : most - 1}`);
  else w.add(`if r8 ${w.isWrong() ? 's>' : '>'} ${w.near(most)} goto ${OUT}`);
  if (w.below(2) === 0) w.add(`if r8 == 0 goto ${OUT}`);
  const isPacket = w.below(4) === 0;
  if (w.below(3) === 0) {
    w.lookup(7);
    if (most < 32) w.add(`r7 += ${w.near(64 - most)}`);
  } else if (isPacket) {
    w.packet(7, 9);
    w.add('r3 = r7', `r3 += ${w.near(most)}`, `if r3 > r9 goto ${OUT}`);
  } else {
    if (w.below(2) === 0) for (let at = 8; at <= most; at += 8) w.add(`*(u64 *)(r10 - ${at}) = 0`);
    w.add('r7 = r10', `r7 += -${w.near(most)}`);
  }
  switch (w.below(3)) {
    case 0:
      w.add(
        'r1 = 0',
        'r2 = 0',
        'r3 = r7',
        w.isWrong() ? 'r4 = r8' : `r4 = ${w.pick([4, 8])}`,
        'r5 = 0',
        'call 28',
      );
      return;
    case 1:
      w.add(`r1 = map[${MAP.ring}]`, 'r2 = r7', 'r3 = r8', 'r4 = 0', 'call 130');
      return;
    default:
      w.add('r1 = r6', 'r2 = 0', 'r3 = r7', 'r4 = r8', `call ${w.pick([189, 190])}`);
  }
}

/** A record of the ring buffer, which every path is to give back once. */
function record(w: Writer): void {
  const bytes = w.pick([8, 16, 40]);
  w.add(`r1 = map[${MAP.ring}]`, `r2 = ${bytes}`, 'r3 = 0', 'call 131');
  if (!w.isWrong()) w.add(`if r0 == 0 goto ${OUT}`);
  w.add('r8 = r0');
  if (w.below(3) === 0) w.add('*(u64 *)(r10 - 24) = r8');
  if (w.below(2) === 0) w.add(`*(u8 *)(r8 + ${w.near(bytes - 1)}) = 5`);
  if (w.below(3) === 0) {
    // One arm gives it back and ends.
    const label = w.label();
    w.add('r9 = *(u32 *)(r6 + 16)', `if r9 ${w.pick(['==', '>'])} 3 goto ${label}`);
    if (!w.isWrong()) w.add('r1 = r8', 'r2 = 0', 'call 133');
    w.add('r0 = 2', 'exit', `${label}:`);
  }
  if (w.isWrong()) w.add('r8 += 0');
  if (!w.isWrong()) w.add(w.below(4) === 0 ? 'r1 = r8' : 'r1 = r8', 'r2 = 0', `call ${w.pick([132, 133])}`);
  if (w.isWrong()) w.add('r0 = *(u8 *)(r8 + 0)');
}

/** A value's lock, held and let go. */
function lock(w: Writer): void {
  w.add('*(u32 *)(r10 - 4) = 1', 'r2 = r10', 'r2 += -4', `r1 = map[${MAP.lock}]`, 'call 1');
  w.add(`if r0 == 0 goto ${OUT}`, 'r8 = r0', 'r1 = r8', `r1 += ${w.isWrong() ? 4 : LOCK_OFFSET}`, 'call 93');
  if (w.isWrong()) w.add('call 7');
  w.add(`r0 = *(u64 *)(r8 + ${w.isWrong() ? 8 : w.pick([0, 16, 24])})`);
  if (w.below(3) === 0) {
    const label = w.label();
    w.add(`if r0 ${w.pick(['==', '>'])} 7 goto ${label}`, '*(u64 *)(r8 + 16) = 1');
    w.add(`${label}:`);
  }
  if (w.isWrong()) w.add(`if r0 == 5 goto ${OUT}`);
  if (w.isWrong()) w.add('r0 = 0');
  else w.add('r1 = r8', `r1 += ${LOCK_OFFSET}`, 'call 94');
}

/** One copy of a pointer is checked, another used. */
function copies(w: Writer): void {
  w.add(`*(u32 *)(r10 - 4) = ${w.below(6)}`, 'r2 = r10', 'r2 += -4', `r1 = map[${MAP.hash}]`, 'call 1');
  w.add('r7 = r0', 'r8 = r0', '*(u64 *)(r10 - 16) = r0');
  const label = w.label();
  const checked = w.pick([0, 7, 8]);
  if (w.below(2) === 0) w.add(`if r${checked} == 0 goto ${OUT}`);
  else w.add(`if r${checked} != 0 goto ${label}`, ...(w.isWrong() ? [] : [`goto ${OUT}`]), `${label}:`);
  if (w.below(2) === 0) w.add('r8 = *(u64 *)(r10 - 16)');
  w.add(`r1 = *(u64 *)(r${w.pick([0, 7, 8])} + ${w.near(56)})`);
  if (w.below(2) === 0) {
    w.add(`if r1 > ${w.near(56)} goto ${OUT}`, 'r8 += r1', `r0 = *(u8 *)(r8 + ${w.near(8) - 1})`);
  }
}

/** A number and sums of it: what is learnt of one holds for the others. */
function linkedCopies(w: Writer): void {
  w.lookup(7, MAP.array);
  w.unknown(8);
  const letter = w.pick(['r', 'r', 'w']);
  if (w.below(2) === 0) w.add('r8 &= 255');
  const plus = w.pick([0, 1, 4, 10]);
  w.add(`${letter}9 = ${letter}8`, `${letter}9 += ${plus}`);
  if (w.below(3) === 0) w.add('*(u64 *)(r10 - 8) = r9');
  const most = w.pick([20, 30, 40]);
  w.add(`if ${letter}${w.pick([8, 9])} > ${most} goto ${OUT}`);
  if (w.below(3) === 0) w.add(`if ${w.pick(['r', 'w'])}8 < ${w.pick([1, 5])} goto ${OUT}`);
  w.add(`r7 += r${w.pick([8, 9])}`, `r0 = *(u8 *)(r7 + ${w.near(64 - most - plus) - 1})`);
}

function tailCall(w: Writer): void {
  w.add('r1 = r6', `r2 = map[${w.isWrong() ? MAP.array : MAP.programs}]`, `r3 = ${w.below(5)}`, 'call 12');
  if (w.isWrong()) w.add('r7 = r0');
}

/** Pointers into the packet do not outlive a helper that moves it. */
function movedPacket(w: Writer): void {
  w.packet(7, 8);
  w.add('r3 = r7', 'r3 += 20', `if r3 > r8 goto ${OUT}`, `r9 = *(u8 *)(r7 + ${w.near(19)})`);
  w.add('r1 = r6', `r2 = ${w.pick([0, -4, 8])}`, `call ${w.pick([44, 65, 54])}`);
  if (!w.isWrong()) {
    w.packet(7, 8);
    w.add('r3 = r7', 'r3 += 20', `if r3 > r8 goto ${OUT}`);
  }
  w.add(
    'r9 &= 15',
    'r7 += r9',
    'r3 = r7',
    'r3 += 4',
    `if r3 > r8 goto ${OUT}`,
    `r0 = *(u8 *)(r7 + ${w.near(4) - 1})`,
  );
}
