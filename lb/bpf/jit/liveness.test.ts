import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { splitFunctions } from './cfg.js';
import { liveAtEnds, withoutDead } from './liveness.js';

/** Slots of the first function's instructions that are left where the dead ones are taken out of each block. */
function left(text: string): number[] {
  const [fn] = splitFunctions(assemble(text));
  const ends = liveAtEnds(fn!);
  return fn!.blocks.flatMap(({ instructions }, index) =>
    withoutDead(instructions, ends[index]!).map(({ slot }) => slot),
  );
}

describe('values that nothing reads are not made', () => {
  const rows: readonly (readonly [name: string, lines: readonly string[], left: readonly number[]])[] = [
    ['r0 is read by the exit', ['r0 = 1', 'exit'], [0]],
    ['what is replaced before it is read', ['r0 = 1', 'r0 = 2', 'exit'], [1]],
    ['what only dead ones read', ['r2 = 1', 'r3 = r2', 'r0 = 2', 'exit'], [2]],
    ['a sum reads what it is added to', ['r0 = 1', 'r0 += 2', 'exit'], [0, 1]],
    ['a load', ['r2 = *(u32 *)(r1 + 0)', 'r0 = 1', 'exit'], [1]],
    ['a store reads both', ['r2 = 1', 'r3 = r1', '*(u8 *)(r3 + 0) = r2', 'r0 = 0', 'exit'], [0, 1, 2, 3]],
    [
      'an atomic instruction is made, and reads r0 too',
      ['r0 = 1', 'r2 = 5', 'r0 = cmpxchg_64(r1 + 0, r0, r2)', 'r0 = 0', 'exit'],
      [0, 1, 2, 3],
    ],
    [
      'what is fetched may be read',
      ['r2 = 1', 'r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)', 'r0 = r2', 'exit'],
      [0, 1, 2],
    ],
    [
      'a call reads r1 to r5, and leaves r6 to r9',
      ['r1 = 1', 'r5 = 5', 'r6 = 6', 'r7 = 7', 'r0 = 8', 'call 7', 'r0 += r6', 'exit'],
      [0, 1, 2, 5, 6],
    ],
    ['one way reads it', ['r2 = 1', 'r0 = 0', 'if r1 == 0 goto +1', 'r0 = r2', 'exit'], [0, 1, 3]],
    ['no way does', ['r2 = 1', 'r0 = 0', 'if r1 == 0 goto +1', 'r0 = 3', 'exit'], [1, 3]],
    ['a branch reads it', ['r2 = 1', 'r0 = 0', 'if r2 == r1 goto +1', 'r0 = 3', 'exit'], [0, 1, 3]],
    [
      'the next round of a loop reads it',
      ['r2 = 1', 'r0 = 0', 'again:', 'r0 += r2', 'r2 = r1', 'r1 += -1', 'if r1 != 0 goto again', 'exit'],
      [0, 1, 2, 3, 4],
    ],
    [
      'a load of the packet reads r6, and may leave',
      ['r6 = r1', 'r0 = 3', 'r2 = 4', 'r0 = *(u8 *)skb[r2 + 0]', 'exit'],
      [0, 2, 3],
    ],
  ];
  it.each(rows)('%s', (_, lines, expected) => expect(left(lines.join('\n'))).toEqual(expected));
});
