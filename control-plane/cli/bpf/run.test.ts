import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../../../dist/control-plane/cli/main.js', import.meta.url));

function run(input: string, ...flags: string[]) {
  return spawnSync(process.execPath, [MAIN, 'bpf', 'run', ...flags], {
    input,
    encoding: 'utf8',
    timeout: 20_000,
  });
}

/** r0 = the first byte of the memory plus its length; exit. */
const ADD = '7110000000000000 0f20000000000000 9500000000000000';
/** r0 = -1; exit. */
const MINUS_ONE = 'b7000000ffffffff9500000000000000';

describe('waggle bpf run', () => {
  for (const engine of ['interpreter', 'jit']) {
    it(`${engine}: r0 as hexadecimal digits; r1 is the memory, r2 its length`, () => {
      const flags = ['--no-verify', '--engine', engine];
      expect(run(ADD, ...flags, '--memory', 'f00102')).toMatchObject({
        status: 0,
        stdout: 'f3\n',
        stderr: '',
      });
      expect(run(MINUS_ONE, ...flags)).toMatchObject({ status: 0, stdout: 'ffffffffffffffff\n' });
    });

    it(`${engine}: an answer for each line, in order, faults among them`, () => {
      const lines = [
        { name: 'first', program: ADD, memory: '05' },
        { name: 'bad', program: 'ff00000000000000', memory: '' },
        { name: 'last', program: MINUS_ONE },
      ];
      const input = lines.map((line) => JSON.stringify(line)).join('\n');
      const { status, stdout } = run(`${input}\nnot JSON\n`, '--no-verify', '--jsonl', '--engine', engine);
      const answers = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, string>);
      expect(status).toBe(0);
      expect(answers).toHaveLength(4);
      expect(answers[0]).toEqual({ r0: '6' });
      expect(answers[1]?.error).toMatch(/instruction 0.*0xff/);
      expect(answers[2]).toEqual({ r0: 'ffffffffffffffff' });
      expect(answers[3]).toHaveProperty('error');
    });
  }

  const FAULTS = [
    { rule: 'an unknown opcode', input: 'ff00000000000000', flags: ['--no-verify'], status: 1, says: /0xff/ },
    {
      rule: 'a part of an instruction',
      input: '95',
      flags: ['--no-verify'],
      status: 1,
      says: /multiple of 8/,
    },
    { rule: 'no hexadecimal digits', input: 'zz', flags: ['--no-verify'], status: 1, says: /zz/ },
    {
      rule: 'memory outside of the arena',
      input: '180100000000f0ff00000000000000007110000000000000 9500000000000000',
      flags: ['--no-verify'],
      status: 1,
      says: /./,
    },
    {
      rule: 'an unknown engine',
      input: '',
      flags: ['--no-verify', '--engine', 'x'],
      status: 2,
      says: /engine/,
    },
    {
      rule: 'to prove a program without a context',
      input: MINUS_ONE,
      flags: [],
      status: 2,
      says: /--no-verify/,
    },
  ];
  for (const { rule, input, flags, status, says } of FAULTS) {
    it(`refuses ${rule} in one line`, () => {
      const result = run(input, ...flags);
      expect(result.status).toBe(status);
      expect(result.stdout).toBe('');
      expect(result.stderr.trim().split('\n')).toHaveLength(1);
      expect(result.stderr).toMatch(/^Error: /);
      expect(result.stderr).toMatch(says);
    });
  }
});
