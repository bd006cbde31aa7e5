import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../../../dist/control-plane/cli/main.js', import.meta.url));
const BALANCER = fileURLToPath(new URL('../../../programs/build/balancer.bpf.o', import.meta.url));

function verify(args: readonly string[], input = '') {
  return spawnSync(process.execPath, [MAIN, 'bpf', 'verify', ...args], {
    input,
    encoding: 'utf8',
    timeout: 30_000,
  });
}

/** r0 = 2; exit. */
const SAFE = 'b700000002000000 9500000000000000';
/** r0 = -1; r0 = *(u32 *)(r0 + 0); exit. */
const UNSAFE = 'b7000000ffffffff6100000000000000 9500000000000000';
/** r0 = *(u64 *)(value of map 0 + 0); exit. */
const DIRECT = '182000000000000000000000000000007900000000000000 9500000000000000';

describe('waggle bpf verify', () => {
  it('a safe object: a line of numbers for each program', () => {
    const { status, stdout, stderr } = verify([BALANCER]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(
      /^balancer_ingress: safe; [\d,]+ instructions processed, [\d,]+ states \(peak [\d,]+\), \d+ bytes of stack, [\d.]+ ms$/m,
    );
  });

  it('--json: one object a program', () => {
    const { status, stdout } = verify([BALANCER, '--json', '--program', 'balancer_ingress']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      program: 'balancer_ingress',
      accepted: true,
      message: '',
      insn: null,
      line: null,
      processed: expect.any(Number) as number,
      states: expect.any(Number) as number,
      ms: expect.any(Number) as number,
    });
  });

  it('the source line of an object that is refused stands in the sentence, the log and the JSON', () => {
    // The fields of an XDP context are others in TC, where its first pointer is a number.
    const { status, stdout, stderr } = verify([BALANCER, '--type', 'tc']);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^balancer_ingress: \w+\.bpf\.[ch]:\d+: /);
    expect(stderr).toMatch(/^; .* @ \w+\.bpf\.[ch]:\d+$/m);
    expect(stderr).toMatch(/^processed \d+ insns/m);
    const json = verify([BALANCER, '--type', 'tc', '--json']);
    expect(json.status).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      accepted: false,
      insn: expect.any(Number) as number,
      line: expect.any(Number) as number,
    });
  });

  it('--hex: a refusal is told by a sentence, then the log', () => {
    const { status, stdout, stderr } = verify(['--hex', '--type', 'xdp'], UNSAFE);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    const lines = stderr.split('\n');
    expect(lines[0]).toMatch(/^program: instruction 1: .*; /);
    expect(lines).toContain('0: R1=ctx() R10=fp0');
    expect(lines).toContain("R0 invalid mem access 'scalar'");
  });

  it('--log: the message alone, or every path', () => {
    const short = verify(['--hex', '--type', 'xdp', '--log', '0'], UNSAFE);
    expect(short.stderr).toMatch(
      /^program: .*\nR0 invalid mem access 'scalar'\nError: the program is refused\n$/,
    );
    const long = verify(['--hex', '--type', 'xdp', '--log', '2'], SAFE);
    expect(long).toMatchObject({ status: 0 });
    expect(long.stdout).toMatch(/^program: safe; 2 instructions processed/);
    expect(long.stderr).toMatch(/^0: \(b7\) r0 = 2 +; R0=2$/m);
  });

  it('--map: LD_IMM64 names maps by their index', () => {
    const args = ['--hex', '--type', 'xdp', '--json'];
    expect(JSON.parse(verify([...args, '--map', 'array,4,8,1'], DIRECT).stdout)).toMatchObject({
      accepted: true,
    });
    expect(JSON.parse(verify([...args, '--map', 'hash,4,8,1'], DIRECT).stdout)).toMatchObject({
      accepted: false,
      message: 'no direct value access support for this map type',
    });
    expect(JSON.parse(verify(args, DIRECT).stdout)).toMatchObject({
      message: 'fd 0 is not pointing to valid bpf_map',
    });
  });

  it('--jsonl: an answer for each line, in order, lines that make no sense among them', () => {
    const lines = [
      { name: 'safe', hex: SAFE, type: 'xdp', maps: [], flags: 0 },
      { name: 'unsafe', hex: UNSAFE, type: 'tc' },
      { name: 'map', hex: DIRECT, type: 'xdp', maps: ['array,4,8,1'], flags: 0 },
      { name: 'no digits', hex: 'zz', type: 'xdp' },
      { name: 'no map', hex: SAFE, type: 'xdp', maps: ['array,4'] },
      { name: 'frame pointer', hex: 'bfa00000000000009500000000000000', type: 'xdp', unprivileged: true },
      { name: 'other', hex: SAFE, type: 'kprobe' },
    ].map((line) => JSON.stringify(line));
    const { status, stdout } = verify(['--jsonl'], [...lines, 'not JSON', '[]', ''].join('\n'));
    expect(status).toBe(0);
    const answers = stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    const message = expect.any(String) as string;
    const wrong = { accepted: false, message, processed: 0, error: message };
    expect(answers).toEqual([
      { name: 'safe', accepted: true, message: '', processed: 2 },
      { name: 'unsafe', accepted: false, message: "R0 invalid mem access 'scalar'", processed: 2 },
      { name: 'map', accepted: true, message: '', processed: 3 },
      { name: 'no digits', ...wrong },
      { name: 'no map', ...wrong },
      { name: 'frame pointer', accepted: false, message: 'R0 leaks addr as return value', processed: 2 },
      {
        name: 'other',
        accepted: false,
        message: 'programs of type kprobe are not offered: xdp and tc are',
        processed: 0,
      },
      wrong,
      wrong,
    ]);
  });

  const FAULTS = [
    { rule: 'no program at all', args: [], status: 2, says: /--hex or --jsonl/ },
    { rule: 'hexadecimal digits without a type', args: ['--hex'], status: 2, says: /--type/ },
    { rule: 'a file and --hex', args: [BALANCER, '--hex'], status: 2, says: /without a file/ },
    { rule: 'a file that is not there', args: ['/nope.o'], status: 1, says: /ENOENT/ },
    {
      rule: 'a program that is not there',
      args: [BALANCER, '--program', 'x'],
      status: 1,
      says: /no program x/,
    },
    {
      rule: 'a map of no type',
      args: ['--hex', '--type', 'xdp', '--map', 'tree,4,4,1'],
      status: 2,
      says: /tree/,
    },
    { rule: 'a level of log that is none', args: [BALANCER, '--log', '3'], status: 2, says: /--log/ },
  ];
  for (const { rule, args, status, says } of FAULTS) {
    it(`refuses ${rule} in one line`, () => {
      const result = verify(args, SAFE);
      expect(result).toMatchObject({ status, stdout: '' });
      expect(result.stderr.trim().split('\n')).toHaveLength(1);
      expect(result.stderr).toMatch(says);
    });
  }
});
