import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { interpret } from '../engine/interpreter.js';
import { instantiateRuntime } from '../maps/runtime.js';
import { Arena } from '../memory/arena.js';
import { compileProgram, instantiateProgram } from './compile.js';
import { type LeftOut, NOTHING_LEFT_OUT } from './optimisations.js';
import { formatWat } from './wat.js';

const WITHOUT: LeftOut = new Set(['byte-swaps']);
const arena = Arena.create({ workers: 1, mapsBytes: 4096, ringsBytes: 4096 });
const runtime = instantiateRuntime(arena.memory, 0);

const compiled = (text: string, without: LeftOut) =>
  instantiateProgram(new WebAssembly.Module(compileProgram(assemble(text), [], { without }).wasm), runtime);

const watOf = (text: string, without: LeftOut = NOTHING_LEFT_OUT) =>
  formatWat(compileProgram(assemble(text), [], { names: true, without }).wasm, { only: ['tail'] });

describe('byte order', () => {
  it.each(['le', 'be', 'bswap'].flatMap((op) => [16, 32, 64].map((bits) => `${op}${bits}`)))(
    '%s gives what the interpreter gives, by rotations or not',
    (op) => {
      const text = `r0 = r1\nr0 = ${op} r0\nexit`;
      const ways = [NOTHING_LEFT_OUT, WITHOUT].map((without) => compiled(text, without));
      const plain = interpret(assemble(text), { runtime, maps: [] });
      fc.assert(
        fc.property(fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }), (value) => {
          const expected = BigInt.asUintN(64, plain.call(value, 0n));
          for (const { call } of ways) expect(BigInt.asUintN(64, call(value, 0n))).toBe(expected);
        }),
      );
    },
  );

  it('64 bits: with rotations there is less of it', () => {
    const text = 'r0 = r1\nr0 = be64 r0\nexit';
    const lines = (without: LeftOut) => watOf(text, without).split('\n').length;
    expect(lines(NOTHING_LEFT_OUT)).toBeLessThan(lines(WITHOUT));
  });
});
