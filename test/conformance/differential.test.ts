import { describe, expect, it } from 'vitest';
import { decodeProgram, encodeProgram } from '../../lb/bpf/isa/codec.js';
import { assemble } from '../support/assembler.js';
import { runProgram } from './engines.js';
import { generateProgram, MEMORY_BYTES, Random } from './generate.js';

const PROGRAMS = 300;
/** WAGGLE_SEED repeats a run. */
const seed = Number(process.env.WAGGLE_SEED ?? Date.now() % 2 ** 31);

function randomMemory(random: Random): Uint8Array {
  return Uint8Array.from({ length: MEMORY_BYTES }, () => random.u32() & 0xff);
}

describe(`random programs, WAGGLE_SEED=${seed}`, () => {
  it(`${PROGRAMS} of them: interpreter and JIT agree on r0 and on memory`, () => {
    const results = new Set<bigint>();
    for (let index = 0; index < PROGRAMS; index++) {
      const random = new Random(seed + index);
      const text = generateProgram(random);
      const memory = randomMemory(random);
      const instructions = decodeProgram(encodeProgram(assemble(text)));
      const interpreted = runProgram('interpreter', instructions, memory);
      let compiled: unknown;
      try {
        compiled = runProgram('jit', instructions, memory);
      } catch (error) {
        compiled = String(error);
      }
      expect(compiled, `WAGGLE_SEED=${seed + index}, the first program:\n${text}`).toEqual(interpreted);
      results.add(interpreted.r0);
    }
    // Programs that all do the same would prove nothing.
    expect(results.size).toBeGreaterThan(PROGRAMS * 0.9);
  });

  it('a seed gives one program', () => {
    expect(generateProgram(new Random(seed))).toBe(generateProgram(new Random(seed)));
  });
});
