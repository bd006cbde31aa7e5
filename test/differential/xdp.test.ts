import { isDeepStrictEqual } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeProgram, encodeProgram } from '../../lb/bpf/isa/codec.js';
import type { Instruction } from '../../lb/bpf/isa/instruction.js';
import { checkStructure } from '../../lb/bpf/verifier/structural.js';
import { Random } from '../conformance/generate.js';
import { assemble } from '../support/assembler.js';
import { missingRoot } from '../support/capabilities.js';
import { DifferentialBed } from './bed.js';
import { generateXdp } from './generate.js';
import { shrink } from './shrink.js';

/** The job runs 100,000 and more: `npm run differential`. */
const PROGRAMS = Number(process.env.WAGGLE_DIFFERENTIAL ?? 250);
const PACKETS = 3;
/** WAGGLE_SEED repeats a run. */
const seed = Number(process.env.WAGGLE_SEED ?? Date.now() % 2 ** 31);
/** One program takes some 10 ms on all three. */
const TIMEOUT_MS = 30_000 + PROGRAMS * 200;

function randomPacket(random: Random): Uint8Array {
  // Some are too short for what programs ask for.
  const length = random.below(8) === 0 ? 14 + random.below(50) : 64 + random.below(200);
  return Uint8Array.from({ length }, () => random.u32() & 0xff);
}

describe(`random XDP programs, WAGGLE_SEED=${seed}`, () => {
  const bed = missingRoot === undefined ? new DifferentialBed() : undefined;
  afterAll(() => bed?.close());

  it.skipIf(bed === undefined)(
    `${PROGRAMS} of them: interpreter, JIT and kernel agree on result, packet and maps ${missingRoot === undefined ? '' : ` (${missingRoot})`}`,
    { timeout: TIMEOUT_MS },
    () => {
      if (bed === undefined) return;
      const refusals: string[] = [];
      const results = new Set<number>();
      for (let index = 0; index < PROGRAMS; index++) {
        const random = new Random(seed + index);
        const text = generateXdp(random);
        const packets = Array.from({ length: PACKETS }, () => randomPacket(random));
        const read = (lines: string) => {
          const instructions = decodeProgram(encodeProgram(assemble(lines)));
          checkStructure(instructions);
          return instructions;
        };
        const results3 = (instructions: readonly Instruction[], why: (message: string) => void) => [
          bed.interpret(instructions, packets),
          bed.compile(instructions, packets),
          bed.kernel(instructions, packets, why),
        ];
        const isDifferent = (lines: string): boolean => {
          const instructions = read(lines);
          const [plain, ...others] = results3(instructions, () => undefined);
          return (
            others.some((other) => other !== undefined && !isDeepStrictEqual(other, plain)) &&
            !bed.isArbitrary(instructions, packets)
          );
        };
        const [interpreted, compiled, kernel] = results3(read(text), (why) =>
          refusals.push(`${seed + index}: ${why}`),
        );
        if (
          !isDeepStrictEqual(compiled, interpreted) ||
          (kernel !== undefined && !isDeepStrictEqual(kernel, interpreted))
        ) {
          const left = shrink(text, (shorter) => {
            try {
              return isDifferent(shorter);
            } catch {
              return false;
            }
          });
          expect.fail(
            `engines differ at WAGGLE_SEED=${seed + index}, the first program; what is left of it:\n${left}`,
          );
        }
        for (const { result } of interpreted ?? []) results.add(result);
      }
      // Programs that the kernel refuses, or that all do the same, would prove nothing.
      expect(refusals.length, refusals.slice(0, 5).join('\n')).toBeLessThanOrEqual(PROGRAMS * 0.05);
      expect(results.size).toBeGreaterThan(PROGRAMS);
    },
  );

  it.skipIf(bed === undefined)(
    'cmpxchg of 32 bits clears the upper half of r0, whatever is behind a branch',
    () => {
      // Both ways lead to the store, and the proof of one does for the other: Linux 6.18 forgets the half then.
      const instructions = assemble(`
      r7 = *(u32 *)(r1 + 0)
      r2 = *(u32 *)(r1 + 4)
      r3 = r7
      r3 += 16
      if r3 > r2 goto short
      *(u64 *)(r10 - 8) = -1
      r0 = 0xffffffffffffffff ll
      r3 = 5
      w0 = cmpxchg32_32(r10 - 8, w0, w3)
      if w0 s>= w0 goto done
      r0 = -1
      done:
      *(u64 *)(r7 + 8) = r0
      short:
      r0 = 7
      exit`);
      const packets = [new Uint8Array(64)];
      for (const run of [bed!.interpret(instructions, packets), bed!.compile(instructions, packets)])
        expect(run[0]!.packet.slice(16, 32)).toBe('ffffffff00000000');
    },
  );

  it('a seed gives one program', () => {
    expect(generateXdp(new Random(seed))).toBe(generateXdp(new Random(seed)));
  });
});
