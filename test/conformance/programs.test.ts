import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeProgram, encodeProgram } from '../../lb/bpf/isa/codec.js';
import { assemble } from '../support/assembler.js';
import { ENGINES, fromHex, runProgram } from './engines.js';

interface ProgramCase {
  readonly name: string;
  readonly code: string;
  readonly memory: string;
  readonly after: string;
  readonly r0: string;
}

function readCases(): ProgramCase[] {
  const text = readFileSync(new URL('programs.data', import.meta.url), 'utf8').replace(/^#.*\n/gm, '');
  return text
    .split(/^-- /m)
    .slice(1)
    .map((part) => {
      const [name, ...lines] = part.split('\n');
      const isField = (line: string) => /^(?:memory|after) [0-9a-f]+$|^r0 0x[0-9a-f]+$/.test(line);
      const value = (key: string) => {
        const line = lines.find((each) => isField(each) && each.startsWith(`${key} `));
        return line?.slice(key.length + 1);
      };
      const [memory, r0] = [value('memory') ?? '', value('r0')];
      if (name === undefined || r0 === undefined) throw new Error(`no result: ${name}`);
      return {
        name,
        r0,
        memory,
        after: value('after') ?? memory,
        code: lines.filter((line) => !isField(line)).join('\n'),
      };
    });
}

const cases = readCases();

it('there are programs, no two of one name', () => {
  expect(cases.length).toBeGreaterThan(40);
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
});

describe.each(ENGINES)('programs on the %s', (engine) => {
  it.each(cases)('$name', ({ code, memory, after, r0 }) => {
    const instructions = assemble(code);
    // What runs is what was decoded.
    const decoded = decodeProgram(encodeProgram(instructions));
    expect(decoded).toEqual(instructions);
    const outcome = runProgram(engine, decoded, fromHex(memory));
    expect(`0x${outcome.r0.toString(16)}`).toBe(r0);
    expect(Buffer.from(outcome.memory).toString('hex')).toBe(after);
  });
});
