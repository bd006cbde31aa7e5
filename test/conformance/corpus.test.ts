import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeProgram, encodeProgram } from '../../lb/bpf/isa/codec.js';
import { corpus } from '../support/capabilities.js';
import { ENGINES, fromHex, runProgram } from './engines.js';

interface Case {
  readonly name: string;
  readonly cpu: number;
  readonly groups: readonly string[];
  readonly program: string;
  readonly memory: string;
  readonly expected: string | null;
  readonly expected_error: string | null;
}

const file = corpus && join(corpus, 'isa', 'conformance.json');
// The folder's own JSON; a case of another shape fails below.
const cases = file ? (JSON.parse(readFileSync(file, 'utf8')) as readonly Case[]) : [];
const title = file ? '' : ' (needs WAGGLE_CORPUS, the folder of the corpus)';

describe.each(ENGINES)('conformance corpus on the %s', (engine) => {
  it.skipIf(!file)(`has cases to run${title}`, () => expect(cases.length).toBeGreaterThan(100));
  it.each(cases)('$name (v$cpu, $groups)', ({ program, memory, expected, expected_error }) => {
    const run = () => runProgram(engine, decodeProgram(fromHex(program)), fromHex(memory));
    if (expected_error !== null) expect(run).toThrow();
    else expect(`0x${run().r0.toString(16)}`).toBe(expected);
  });
});

// What has two encodings comes back in one: a call through a register as the call that it is, a long jump over a
// short distance as the short jump.
const TWO_ENCODINGS: ReadonlySet<string> = new Set(['callx', 'rfc9669_ja32']);

it.each(cases.filter(({ name }) => !TWO_ENCODINGS.has(name)))(
  '$name comes back from decoding byte for byte',
  ({ program }) => {
    expect(Buffer.from(encodeProgram(decodeProgram(fromHex(program)))).toString('hex')).toBe(program);
  },
);
