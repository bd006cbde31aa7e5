import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { importsOf } from '../../../test/support/jit-bed.js';
import { interpret } from '../engine/interpreter.js';
import { instantiateRuntime } from '../maps/runtime.js';
import { Arena } from '../memory/arena.js';
import { compileProgram, instantiateProgram } from './compile.js';

const HELPER = 'runtime.bpf_csum_diff';
const ADDED_AT = 64;
const SEED_AT = 128;
const arena = Arena.create({ workers: 1, mapsBytes: 4096, ringsBytes: 4096 });
const runtime = instantiateRuntime(arena.memory, 0);
const { offset } = arena.rings;
const view = new DataView(arena.memory.buffer, offset, 256);

const compiled = (text: string) => new WebAssembly.Module(compileProgram(assemble(text), []).wasm);

/** The difference of what r1 + 0 and r1 + 64 point at, with the seed behind: in place, or copied to the stack first. */
function difference(removed: number, added: number, onStack: boolean): string {
  const buffer = (register: number, from: number, bytes: number) => {
    if (bytes === 0) return [`r${register} = 0`];
    if (!onStack) return [`r${register} = r6`, `r${register} += ${from}`];
    const copy = Array.from({ length: bytes / 4 }, (_, word) => [
      `r0 = *(u32 *)(r6 + ${from + 4 * word})`,
      `*(u32 *)(r10 - ${256 - from - 4 * word}) = r0`,
    ]);
    return [...copy.flat(), `r${register} = r10`, `r${register} += ${from - 256}`];
  };
  return [
    'r6 = r1',
    ...buffer(1, 0, removed),
    ...buffer(3, ADDED_AT, added),
    `r2 = ${removed}`,
    `r4 = ${added}`,
    `r5 = *(u64 *)(r6 + ${SEED_AT})`,
    'call 28',
    'exit',
  ].join('\n');
}

const LENGTHS = Array.from({ length: 17 }, (_, words) => 4 * words);
/** Where one's complement has two zeros and carries go round, results differ by one bit or not at all. */
const word = fc.oneof(
  fc.constantFrom(0, 0xffffffff, 0xffff, 0xffff0000, 1, 0x80000000, 0x7fffffff),
  fc.integer({ min: 0, max: 0xffffffff }),
);
const seeds = fc.oneof(
  fc.constantFrom(0n, 0xffffn, 0xffffffffn, 0x1_0000_0000n, 0xffffffffffffffffn),
  fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
);

describe('bpf_csum_diff of known lengths', () => {
  it.each([false, true])('written out, it gives what the body gives, on the stack: %s', (onStack) => {
    const lengths = onStack ? [0, 4, 8, 16, 20, 40, 64] : LENGTHS;
    for (const removed of lengths) {
      for (const added of lengths) {
        const text = difference(removed, added, onStack);
        const module = compiled(text);
        expect(importsOf(module)).not.toContain(HELPER);
        const inline = instantiateProgram(module, runtime);
        const body = interpret(assemble(text), { runtime, maps: [] });
        fc.assert(
          fc.property(
            fc.oneof(
              fc.array(word, { minLength: 32, maxLength: 32 }),
              // All alike: nothing but zeros, of one kind or the other.
              fc.constantFrom(0, 0xffffffff).map((each) => new Array<number>(32).fill(each)),
            ),
            seeds,
            (words, seed) => {
              for (const [index, value] of words.entries()) view.setUint32(4 * index, value, true);
              view.setBigUint64(SEED_AT, seed, true);
              expect(inline.call(BigInt(offset), 0n)).toBe(body.call(BigInt(offset), 0n));
            },
          ),
          { numRuns: 25 },
        );
      }
    }
  });

  it('what it sums up on the stack is not stored there', () => {
    const text = '*(u32 *)(r10 - 4) = r1\nr3 = r10\nr3 += -4\nr4 = 4\nr1 = 0\nr2 = 0\nr5 = 0\ncall 28\nexit';
    const instructions = assemble(text);
    const run = (without: ReadonlySet<'inline-checksum'>) => {
      const { wasm } = compileProgram(instructions, [], { without });
      return instantiateProgram(new WebAssembly.Module(wasm), runtime).call(0x1234_5678n, 0n);
    };
    const { u8 } = arena;
    const before = u8.slice();
    expect(run(new Set())).toBe(0x68acn);
    expect(Buffer.compare(u8, before)).toBe(0);
    // Called, the body finds it in memory.
    expect(run(new Set(['inline-checksum']))).toBe(0x68acn);
    expect(Buffer.compare(u8, before)).not.toBe(0);
  });

  it.each([
    ['longer than 64 bytes', difference(0, 64, false).replace('r4 = 64', 'r4 = 68')],
    ['no whole words', difference(0, 8, false).replace('r4 = 8', 'r4 = 6')],
    ['a length that is not known', difference(0, 8, false).replace('r4 = 8', 'r4 = *(u8 *)(r6 + 128)')],
  ])('the body is called: %s', (_, text) => {
    expect(importsOf(compiled(text))).toContain(HELPER);
  });
});
