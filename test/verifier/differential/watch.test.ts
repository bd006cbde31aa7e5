import { describe, expect, it } from 'vitest';
import { Random } from '../../conformance/generate.js';
import { candidateOf, MAP } from './scene.js';
import { findUnsafe } from './soundness.js';

const LOOKUP = `*(u32 *)(r10 - 4) = 0
r2 = r10
r2 += -4
r1 = map[${MAP.array}]
call 1
if r0 == 0 goto out`;
const OUT = 'out:\nr0 = 1\nexit';
const RESERVE = `r1 = map[${MAP.ring}]\nr2 = 16\nr3 = 0\ncall 131\nif r0 == 0 goto out\nr8 = r0`;
const GIVE_BACK = 'r1 = r8\nr2 = 0\ncall 133';

/** Programs that no verifier lets through, each wrong in one way. */
const UNSAFE: Readonly<Record<string, string>> = {
  'a value’s end': `${LOOKUP}\nr1 = *(u8 *)(r0 + 64)\n${OUT}`,
  'in front of a value': `${LOOKUP}\n*(u64 *)(r0 - 8) = 1\n${OUT}`,
  'half behind a value': `${LOOKUP}\nr1 = *(u64 *)(r0 + 60)\n${OUT}`,
  'the packet’s end': 'r2 = *(u32 *)(r1 + 4)\nr0 = *(u8 *)(r2 + 0)\nexit',
  'below the frame': 'r0 = *(u64 *)(r10 - 520)\nexit',
  'above the first frame': 'r0 = *(u64 *)(r10 + 0)\nexit',
  NULL: 'r1 = 0\nr0 = *(u64 *)(r1 + 0)\nexit',
  'a map itself': `r1 = map[${MAP.hash}]\nr0 = *(u64 *)(r1 + 0)\nexit`,
  'behind the context': 'r0 = *(u64 *)(r1 + 4096)\nexit',
  'a record’s end': `${RESERVE}\n*(u64 *)(r8 + 16) = 1\n${GIVE_BACK}\n${OUT}`,
  'a record that was given back': `${RESERVE}\n${GIVE_BACK}\n*(u64 *)(r8 + 0) = 1\n${OUT}`,
  'memory that a helper is given': `${LOOKUP}\nr3 = r0\nr1 = 0\nr2 = 0\nr4 = 68\nr5 = 0\ncall 28\n${OUT}`,
  'a key that a helper is given': `r2 = r10\nr2 += -2\nr1 = map[${MAP.array}]\ncall 1\n${OUT}`,
  'a loop without end': 'l1:\ngoto l1\nexit',
};

/** The same, as they should be. */
const SAFE: Readonly<Record<string, string>> = {
  'a value’s last bytes': `${LOOKUP}\nr1 = *(u64 *)(r0 + 56)\n*(u8 *)(r0 + 63) = 1\n${OUT}`,
  'the packet’s first bytes': 'r2 = *(u32 *)(r1 + 0)\nr0 = *(u64 *)(r2 + 6)\nexit',
  'the whole frame': '*(u64 *)(r10 - 512) = 1\nr0 = *(u64 *)(r10 - 8)\nexit',
  'a record': `${RESERVE}\n*(u64 *)(r8 + 8) = 1\n${GIVE_BACK}\n${OUT}`,
  'a value that a helper is given': `${LOOKUP}\nr3 = r0\nr1 = 0\nr2 = 0\nr4 = 64\nr5 = 0\ncall 28\n${OUT}`,
};

describe('what a run is watched for', () => {
  it.each(Object.entries(UNSAFE))('%s: seen', (_, text) => {
    expect(findUnsafe(candidateOf('unsafe', text), new Random(1), 8)).toMatch(/instruction \d+/);
  });

  it.each(Object.entries(SAFE))('%s: let through', (_, text) => {
    expect(findUnsafe(candidateOf('safe', text), new Random(1), 8)).toBeUndefined();
  });
});
