import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { BPF_PRELUDE } from '../../../test/support/bpf-helpers.js';
import { compileC, missingClang } from '../../../test/support/clang.js';
import { loadObject } from '../object/load.js';
import { verifyOptionsOf } from './admit.js';
import type { Accepted, Refused, VerifierMap, VerifyOptions } from './input.js';
import { verifyProgram } from './verify.js';
import { verifyCode } from './verify-code.js';

const ARRAY: VerifierMap = {
  name: 'counts',
  type: 'ARRAY',
  keySize: 4,
  valueSize: 8,
  maxEntries: 4,
  flags: 0,
};

const verify = (text: string, options: Partial<VerifyOptions> = {}) =>
  verifyProgram({ type: 'xdp', maps: [ARRAY], ...options, instructions: assemble(text) });
const accepted = (text: string, options?: Partial<VerifyOptions>): Accepted => {
  const result = verify(text, options);
  if (!result.accepted) throw new Error(result.message);
  return result;
};
const refused = (text: string, options?: Partial<VerifyOptions>): Refused => {
  const result = verify(text, options);
  if (result.accepted) throw new Error('accepted');
  return result;
};

const LOOKUP = `
  *(u32 *)(r10 - 8) = 2
  r2 = r10
  r2 += -8
  r1 = map[0]
  call 1
`;

describe('what an accepted program is known to do', () => {
  it('numbers: instructions, states, stack', () => {
    const { processed, stackDepth, states } = accepted(`${LOOKUP} r0 = *(u64 *)(r0 + 0)\nexit`);
    expect({ processed, stackDepth, states }).toEqual({ processed: 7, stackDepth: 16, states: 0 });
  });

  it('calls: their map, and the key of a lookup in an array', () => {
    const { facts } = accepted(`${LOOKUP} r0 = 0\nexit`);
    expect(facts.get(5)).toEqual({ map: 0, key: 2 });
  });

  it('calls: no map where paths have different ones', () => {
    const text = `
      call 7
      r1 = map[0]
      if r0 == 0 goto other
      goto look
    other:
      r1 = map[1]
    look:
      *(u32 *)(r10 - 4) = 0
      r2 = r10
      r2 += -4
      call 1
      r0 = 0
      exit`;
    const { facts } = accepted(text, { maps: [ARRAY, { ...ARRAY, name: 'other' }] });
    const call = assemble(text).findLast(({ kind }) => kind === 'call-helper')!;
    expect(facts.get(call.slot)).toBeUndefined();
  });

  it('loads and stores: where they can go', () => {
    const { facts } = accepted(`${LOOKUP}
      r6 = r0
      call 7
      r0 &= 3
      r6 += r0
      *(u8 *)(r6 + 4) = 1
      r0 = 0
      exit`);
    expect(facts.get(0)).toEqual({ access: { memory: 'stack', min: -8, max: -8 } });
    expect(facts.get(10)).toEqual({ access: { memory: 'map-value', min: 4, max: 7 } });
  });

  it('jumps that are decided, and the code that they leave dead', () => {
    const { facts, dead } = accepted(`
      r0 = 1
      if r0 == 1 goto out
      r0 = *(u64 *)(r0 + 0)
    out:
      exit`);
    expect(facts.get(1)).toEqual({ taken: true });
    expect(dead).toEqual([2]);
  });

  it('nothing of what is always true is said of a jump that goes both ways', () => {
    const { facts } = accepted(`
      call 7
      if r0 == 1 goto out
      r0 = 2
    out:
      exit`);
    expect(facts.get(1)).toBeUndefined();
  });
});

describe('what is said of a refused program', () => {
  it('the rule, the instruction, the register, the errno', () => {
    const { fault, errno, message, processed } = refused('r0 = *(u8 *)(r2 + 0)\nexit');
    expect(fault).toEqual({ code: 'VERIFY_UNINITIALISED', slot: 0, register: 2 });
    expect({ errno, message, processed }).toEqual({ errno: 'EACCES', message: 'R2 !read_ok', processed: 1 });
  });

  it('a sentence for a person', () => {
    const { explanation } = refused('r0 = *(u8 *)(r2 + 0)\nexit');
    expect(explanation).toMatch(/^instruction 0: a register is read .*; initialise/);
  });

  it('the path in the form of the kernel, where it is asked for', () => {
    const text = 'r0 = 7\nr1 = r0\nr0 = *(u8 *)(r1 + 0)\nexit';
    expect(refused(text).log).toBe('');
    expect(refused(text, { log: 1 }).log.split('\n')).toEqual([
      '0: R1=ctx() R10=fp0',
      '0: (b7) r0 = 7                        ; R0=7',
      '1: (bf) r1 = r0                       ; R0=7 R1=7',
      '2: (71) r0 = *(u8 *)(r1 +0)',
      "R1 invalid mem access 'scalar'",
      expect.stringMatching(/^processed 3 insns/),
    ]);
  });

  it('a limit that the caller sets', () => {
    const { fault, errno } = refused('r0 = 0\nr0 += 1\nif r0 < 1000 goto -2\nexit', { limit: 100 });
    expect({ code: fault.code, errno }).toEqual({ code: 'VERIFY_TOO_LARGE', errno: 'E2BIG' });
  });

  const note = missingClang === undefined ? '' : ` (skipped: ${missingClang})`;
  it.skipIf(missingClang)(`the source line, in the sentence and in the log${note}`, () => {
    const object = loadObject(
      compileC(
        `${BPF_PRELUDE}
SEC("xdp") int first(struct xdp_md *ctx) {
  return *(__u8 *)(long)ctx->data;
}`,
        ['-O2', '-g'],
      ),
    );
    const [program] = object.programs;
    const result = verifyCode(program!.code, { ...verifyOptionsOf(program!, object), log: 1 });
    expect(result.accepted).toBe(false);
    const { line, explanation, log } = result as Refused;
    expect(line?.text).toContain('return *(__u8 *)');
    expect(explanation).toMatch(/^source\.c:\d+: the packet may be shorter/);
    expect(log).toMatch(/^; return \*\(__u8 \*\)\(long\)ctx->data; @ source\.c:\d+$/m);
  });
});

describe('code that is no BPF', () => {
  const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));
  it.each([
    ['an unknown opcode', 'ff00000000000000', 'unknown opcode ff'],
    ['a call through a register', 'b7010000050000008d010000000000009500000000000000', 'unknown opcode 8d'],
    [
      'an LD_IMM64 with a wrong second half',
      '180000000000000007000000000000009500000000000000',
      'invalid bpf_ld_imm64 insn',
    ],
    ['a reserved field on the way', 'b7100000000000009500000000000000', 'BPF_MOV uses reserved fields'],
    ['no instruction', '', /length/],
  ])('%s is refused', (_, code, message) => {
    const result = verifyCode(hex(code), { type: 'xdp' });
    expect(result).toMatchObject({ accepted: false, fault: { code: 'VERIFY_ENCODING' } });
    expect((result as Refused).message).toMatch(message);
  });

  it('a reserved field that no path leads to does not count', () => {
    // r0 = 0; if r0 == 0 goto +1; (r0 = 0 with a source register); exit
    const code = 'b700000000000000' + '1500010000000000' + 'b710000000000000' + '9500000000000000';
    expect(verifyCode(hex(code), { type: 'xdp' })).toMatchObject({ accepted: true, dead: [2] });
  });
});
