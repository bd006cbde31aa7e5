import { describe, expect, it } from 'vitest';
import { ALU, JUMP } from '../../lb/bpf/isa/opcodes.js';
import { missingRoot } from '../support/capabilities.js';
import { ENGINES } from './engines.js';
import {
  ALU_ROWS,
  JUMP_ROWS,
  type Row,
  runFromConstants,
  runFromMemory,
  runInKernel,
  UNARY_ROWS,
} from './rows.js';

/** Rows that come out otherwise, as text. */
function wrong(rows: readonly Row[], results: readonly bigint[]): string[] {
  expect(results).toHaveLength(rows.length);
  return rows.flatMap((row, index) =>
    results[index] === row.result ? [] : [`${row.name}: 0x${results[index]?.toString(16)}`],
  );
}

const TABLES: readonly (readonly [string, readonly Row[]])[] = [
  ['alu', ALU_ROWS],
  ['unary', UNARY_ROWS],
  ['jump', JUMP_ROWS],
];

it('the tables have every operation at both widths', () => {
  const names = [...ALU_ROWS, ...JUMP_ROWS].map(({ name }) => name);
  for (const op of [...Object.keys(ALU), ...Object.keys(JUMP)]) {
    for (const width of [32, 64]) {
      expect(names.filter((name) => name.startsWith(`${op} ${width} `)).length).toBeGreaterThan(15);
    }
  }
});

describe.each(TABLES)('%s.data', (_, rows) => {
  for (const engine of ENGINES) {
    it(`on the ${engine}, values from memory`, () =>
      expect(wrong(rows, runFromMemory(engine, rows))).toEqual([]));
    it(`on the ${engine}, values known to the compiler`, () =>
      expect(wrong(rows, runFromConstants(engine, rows))).toEqual([]));
  }
  it.skipIf(missingRoot !== undefined)(
    `in the kernel${missingRoot === undefined ? '' : ` (${missingRoot})`}`,
    () => {
      // The kernel's verifier refuses constant shifts past the width and constant divisors of 0.
      const taken = rows.filter(({ code }) => !/^[rw]1 (?:s?>>=|<<=|s?\/=|s?%=) -?\d/.test(code));
      expect(wrong(taken, runInKernel(taken))).toEqual([]);
    },
  );
});
