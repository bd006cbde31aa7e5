import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { corpus, noting } from '../../../test/support/capabilities.js';
import { anyProgram } from '../../../test/support/instructions.js';
import { decodeProgram, encodeProgram, IsaError } from './codec.js';
import { requirementOf } from './groups.js';
import type { Instruction } from './instruction.js';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const EXIT = '9500000000000000';

/** What a call throws, as its fault. */
function faultOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (error instanceof IsaError) return error.fault;
    throw error;
  }
  return undefined;
}

describe('decodeProgram', () => {
  const rows: readonly (readonly [string, string, Record<string, unknown>])[] = [
    [
      'ALU64 with an immediate, sign kept',
      '07010000feffffff',
      { kind: 'alu', op: 'add', width: 64, dst: 1, src: { kind: 'imm', value: -2 } },
    ],
    [
      'ALU with a register',
      '2c32000000000000',
      { kind: 'alu', op: 'mul', width: 32, dst: 2, src: { kind: 'reg', reg: 3 } },
    ],
    [
      'div by offset 0',
      '3f21000000000000',
      { kind: 'alu', op: 'div', width: 64, dst: 1, src: { kind: 'reg', reg: 2 } },
    ],
    [
      'sdiv by offset 1',
      '3f21010000000000',
      { kind: 'alu', op: 'sdiv', width: 64, dst: 1, src: { kind: 'reg', reg: 2 } },
    ],
    [
      'smod by offset 1',
      '9401010005000000',
      { kind: 'alu', op: 'smod', width: 32, dst: 1, src: { kind: 'imm', value: 5 } },
    ],
    ['neg', '8703000000000000', { kind: 'neg', width: 64, dst: 3 }],
    ['movsx', 'bf21080000000000', { kind: 'movsx', width: 64, bits: 8, dst: 1, src: 2 }],
    ['le', 'd401000010000000', { kind: 'swap', op: 'le', bits: 16, dst: 1 }],
    ['be', 'dc01000020000000', { kind: 'swap', op: 'be', bits: 32, dst: 1 }],
    ['bswap', 'd701000040000000', { kind: 'swap', op: 'bswap', bits: 64, dst: 1 }],
    [
      'LD_IMM64, low word first',
      '1801000078563412 00000000f0debc9a',
      { kind: 'imm64', dst: 1, imm: { kind: 'value', value: 0x9abcdef012345678n } },
    ],
    [
      'map by number',
      '1811000007000000 0000000000000000',
      { kind: 'imm64', dst: 1, imm: { kind: 'map', map: 7 } },
    ],
    [
      'map by index',
      '1851000007000000 0000000000000000',
      { kind: 'imm64', dst: 1, imm: { kind: 'map', map: 7 } },
    ],
    [
      'map value',
      '1821000007000000 0000000010000000',
      { kind: 'imm64', dst: 1, imm: { kind: 'map-value', map: 7, offset: 16 } },
    ],
    [
      'map value by index',
      '1861000007000000 0000000010000000',
      { kind: 'imm64', dst: 1, imm: { kind: 'map-value', map: 7, offset: 16 } },
    ],
    [
      'variable',
      '1831000007000000 0000000000000000',
      { kind: 'imm64', dst: 1, imm: { kind: 'variable', id: 7 } },
    ],
    [
      'function, from the next slot on',
      '1841000003000000 0000000000000000',
      { kind: 'imm64', dst: 1, imm: { kind: 'function', target: 4 } },
    ],
    ['load', '6921feff00000000', { kind: 'load', bytes: 2, signed: false, dst: 1, src: 2, off: -2 }],
    ['load with sign', '8121040000000000', { kind: 'load', bytes: 4, signed: true, dst: 1, src: 2, off: 4 }],
    [
      'store of an immediate',
      '7a0af8ffffffffff',
      { kind: 'store', bytes: 8, dst: 10, off: -8, src: { kind: 'imm', value: -1 } },
    ],
    [
      'store of a register',
      '732a080000000000',
      { kind: 'store', bytes: 1, dst: 10, off: 8, src: { kind: 'reg', reg: 2 } },
    ],
    [
      'atomic add',
      'db21080000000000',
      { kind: 'atomic', op: 'add', fetch: false, bytes: 8, dst: 1, src: 2, off: 8 },
    ],
    [
      'atomic fetch and',
      'c321080051000000',
      { kind: 'atomic', op: 'and', fetch: true, bytes: 4, dst: 1, src: 2, off: 8 },
    ],
    [
      'xchg',
      'c3210800e1000000',
      { kind: 'atomic', op: 'xchg', fetch: true, bytes: 4, dst: 1, src: 2, off: 8 },
    ],
    [
      'cmpxchg',
      'db210800f1000000',
      { kind: 'atomic', op: 'cmpxchg', fetch: true, bytes: 8, dst: 1, src: 2, off: 8 },
    ],
    ['load-acquire', 'd321080000010000', { kind: 'load-acquire', bytes: 1, dst: 1, src: 2, off: 8 }],
    ['store-release', 'cb21080010010000', { kind: 'store-release', bytes: 2, dst: 1, src: 2, off: 8 }],
    ['LD_ABS', '2800000006000000', { kind: 'packet-load', bytes: 2, mode: 'abs', src: 0, imm: 6 }],
    ['LD_IND', '5020000006000000', { kind: 'packet-load', bytes: 1, mode: 'ind', src: 2, imm: 6 }],
    ['JA', '0500feff00000000', { kind: 'jump', target: -1 }],
    ['gotol', '06000000a0860100', { kind: 'jump', target: 100_001 }],
    [
      'branch',
      '6d21030000000000',
      { kind: 'branch', op: 'jsgt', width: 64, dst: 1, src: { kind: 'reg', reg: 2 }, target: 4 },
    ],
    [
      'branch on 32 bits',
      'a60103000a000000',
      { kind: 'branch', op: 'jlt', width: 32, dst: 1, src: { kind: 'imm', value: 10 }, target: 4 },
    ],
    ['helper', '8500000005000000', { kind: 'call-helper', id: 5 }],
    ['local call', '8510000005000000', { kind: 'call-local', target: 6 }],
    ['exit', EXIT, { kind: 'exit' }],
  ];
  for (const [name, hex, expected] of rows) {
    it(name, () => expect(decodeProgram(bytes(hex))).toEqual([{ slot: 0, ...expected }]));
  }

  it('counts LD_IMM64 as two slots', () => {
    const [, second] = decodeProgram(bytes(`1801000000000000 0000000000000000 ${EXIT}`));
    expect(second).toEqual({ slot: 2, kind: 'exit' });
  });

  it('reads a part of a larger buffer', () => {
    const larger = bytes(`ffffffffff ${EXIT} ff`);
    expect(decodeProgram(larger.subarray(5, 13))).toEqual([{ slot: 0, kind: 'exit' }]);
  });
});

describe('decodeProgram refuses', () => {
  const reserved = (field: string, value: number, slot = 0) => ({ code: 'ISA_RESERVED', slot, field, value });
  const opcode = (value: number) => ({ code: 'ISA_OPCODE', slot: 0, opcode: value });
  const rows: readonly (readonly [string, string, Record<string, unknown>])[] = [
    ['no bytes', '', { code: 'ISA_LENGTH', bytes: 0 }],
    ['part of a slot', '950000', { code: 'ISA_LENGTH', bytes: 3 }],
    ['LD_IMM64 without its second half', '1801000000000000', { code: 'ISA_TRUNCATED', slot: 0 }],
    ['a destination over r10', '070b000000000000', { code: 'ISA_REGISTER', slot: 0, register: 11 }],
    ['a source over r10', '0fb0000000000000', { code: 'ISA_REGISTER', slot: 0, register: 11 }],
    ['ALU: src of an immediate form', '0721000001000000', reserved('src', 2)],
    ['ALU: imm of a register form', '0f21000001000000', reserved('imm', 1)],
    ['ALU: offset of an operation that has none', '0701010001000000', reserved('off', 1)],
    ['div: offset 2', '3f21020000000000', reserved('off', 2)],
    ['ALU: operation 0xe0', 'e701000000000000', opcode(0xe7)],
    ['neg: imm', '8701000001000000', reserved('imm', 1)],
    ['neg: src', '8721000000000000', reserved('src', 2)],
    ['neg of a register form', '8f01000000000000', opcode(0x8f)],
    ['mov of an immediate with an offset', 'b701080001000000', reserved('off', 8)],
    ['movsx of 7 bits', 'bf21070000000000', reserved('off', 7)],
    ['movsx of 32 bits to 32', 'bc21200000000000', reserved('off', 32)],
    ['movsx: imm', 'bf21080001000000', reserved('imm', 1)],
    ['swap of 24 bits', 'd401000018000000', reserved('imm', 24)],
    ['swap: src', 'd421000010000000', reserved('src', 2)],
    ['swap: off', 'd401010010000000', reserved('off', 1)],
    ['bswap of a register form', 'df01000010000000', opcode(0xdf)],
    ['LD_IMM64: off', '1801010000000000 0000000000000000', reserved('off', 1)],
    ['LD_IMM64: unknown src', '1871000000000000 0000000000000000', reserved('src', 7)],
    ['LD_IMM64: opcode of the second half', `1801000000000000 ${EXIT}`, reserved('opcode', 0x95, 1)],
    ['LD_IMM64: dst of the second half', '1801000000000000 0001000000000000', reserved('dst', 1, 1)],
    ['LD_IMM64: off of the second half', '1801000000000000 0000010000000000', reserved('off', 1, 1)],
    ['map: second imm', '1811000000000000 0000000001000000', reserved('imm', 1, 1)],
    ['load: imm', '6121000001000000', reserved('imm', 1)],
    ['load of 8 bytes with sign', '9921000000000000', opcode(0x99)],
    ['load: mode 0xa0', 'a121000000000000', opcode(0xa1)],
    ['store of an immediate: src', '6221000001000000', reserved('src', 2)],
    ['store of an immediate, atomic', 'c201000001000000', opcode(0xc2)],
    ['store of a register: imm', '6321000001000000', reserved('imm', 1)],
    ['atomic of 2 bytes', 'cb21000000000000', opcode(0xcb)],
    ['atomic sub', 'db21000010000000', reserved('imm', 0x10)],
    ['xchg without fetch', 'db210000e0000000', reserved('imm', 0xe0)],
    ['cmpxchg without fetch', 'db210000f0000000', reserved('imm', 0xf0)],
    ['LD_ABS: dst', '2801000006000000', reserved('dst', 1)],
    ['LD_ABS: src', '2810000006000000', reserved('src', 1)],
    ['LD_ABS of 8 bytes', '3800000006000000', opcode(0x38)],
    ['JA: imm', '0500000001000000', reserved('imm', 1)],
    ['JA: dst', '0501000000000000', reserved('dst', 1)],
    ['gotol: off', '0600010000000000', reserved('off', 1)],
    ['branch: src of an immediate form', '1521000001000000', reserved('src', 2)],
    ['branch: imm of a register form', '1d21000001000000', reserved('imm', 1)],
    ['branch 0xe0', 'e501000000000000', opcode(0xe5)],
    ['call: off', '8500010005000000', reserved('off', 1)],
    ['call: dst', '8501000005000000', reserved('dst', 1)],
    ['call into the kernel by BTF id', '8520000005000000', { code: 'ISA_CALL_KERNEL', slot: 0, btfId: 5 }],
    ['call of a fourth kind', '8530000005000000', reserved('src', 3)],
    ['call of JMP32', '8600000005000000', opcode(0x86)],
    ['exit: imm', '9500000001000000', reserved('imm', 1)],
    ['exit: dst', '9501000000000000', reserved('dst', 1)],
    ['exit of JMP32', '9600000000000000', opcode(0x96)],
  ];
  for (const [name, hex, fault] of rows) {
    it(name, () => expect(faultOf(() => decodeProgram(bytes(hex)))).toEqual(fault));
  }

  it('names the slot, counted in 8 bytes', () => {
    const code = bytes(`1801000000000000 0000000000000000 ${EXIT} e501000000000000`);
    expect(faultOf(() => decodeProgram(code))).toEqual({ code: 'ISA_OPCODE', slot: 3, opcode: 0xe5 });
  });
});

describe('a call through a register', () => {
  const R2_IS_5 = 'b702000005000000';
  const CALLX_R2 = '8d02000000000000';
  const refused = (slot: number) => ({ code: 'ISA_CALL_REGISTER', slot, register: 2 });

  it('is the call of the helper whose number was put there', () => {
    expect(decodeProgram(bytes(`${R2_IS_5} b701000000000000 ${CALLX_R2} ${EXIT}`))[2]).toEqual({
      slot: 2,
      kind: 'call-helper',
      id: 5,
    });
  });
  const rows: readonly (readonly [string, string, unknown])[] = [
    ['nothing put there', `${CALLX_R2} ${EXIT}`, refused(0)],
    ['something computed', `${R2_IS_5} 0702000001000000 ${CALLX_R2} ${EXIT}`, refused(2)],
    ['another way to the call', `1501010000000000 ${R2_IS_5} ${CALLX_R2} ${EXIT}`, refused(2)],
    [
      'a call between, which leaves r2 with nothing',
      `${R2_IS_5} 8500000005000000 ${CALLX_R2} ${EXIT}`,
      refused(2),
    ],
    [
      'a reserved field',
      `${R2_IS_5} 8d12000000000000 ${EXIT}`,
      { code: 'ISA_RESERVED', slot: 1, field: 'src', value: 1 },
    ],
  ];
  for (const [name, hex, fault] of rows) {
    it(`is refused with ${name}`, () => expect(faultOf(() => decodeProgram(bytes(hex)))).toEqual(fault));
  }
});

describe('encodeProgram', () => {
  it('is the inverse of decodeProgram', () => {
    fc.assert(
      fc.property(anyProgram, (program) => {
        expect(decodeProgram(encodeProgram(program))).toEqual(program);
      }),
      { numRuns: 500 },
    );
  });

  it('takes the long jump only where it must', () => {
    const jump = (target: number) => encodeProgram([{ slot: 0, kind: 'jump', target }])[0];
    expect([0x8000, 0x8001, -0x7fff, -0x8000].map(jump)).toEqual([0x05, 0x06, 0x05, 0x06]);
  });

  const rows: readonly (readonly [string, Instruction, string])[] = [
    [
      'a branch that is too long',
      {
        slot: 0,
        kind: 'branch',
        op: 'jeq',
        width: 64,
        dst: 1,
        src: { kind: 'imm', value: 0 },
        target: 0x8001,
      },
      'off',
    ],
    [
      'an immediate of 33 bits',
      { slot: 0, kind: 'alu', op: 'add', width: 64, dst: 1, src: { kind: 'imm', value: 2 ** 31 } },
      'imm',
    ],
    ['a register over r10', { slot: 0, kind: 'neg', width: 64, dst: 11 }, 'dst'],
  ];
  for (const [name, instruction, field] of rows) {
    it(`refuses ${name}`, () =>
      expect(faultOf(() => encodeProgram([instruction]))).toMatchObject({
        code: 'ISA_RANGE',
        slot: 0,
        field,
      }));
  }
});

describe('requirementOf', () => {
  const file = corpus && join(corpus, 'isa', 'conformance.json');
  interface Case {
    readonly name: string;
    readonly cpu: number;
    readonly groups: readonly string[];
    readonly program: string;
  }
  it.skipIf(!file)(
    `asks for no more than the conformance corpus says${noting(file ? undefined : 'WAGGLE_CORPUS is not set')}`,
    () => {
      const cases = JSON.parse(readFileSync(file!, 'utf8')) as readonly Case[];
      const wrong = cases.flatMap(({ name, cpu, groups, program }) =>
        decodeProgram(bytes(program))
          .map(requirementOf)
          .filter((need) => need.cpu > cpu || !groups.includes(need.group))
          .map((need) => ({ name, cpu, groups, need })),
      );
      expect(wrong).toEqual([]);
    },
  );

  it('knows the long jump by its distance', () => {
    expect([0x8000, 0x8001].map((target) => requirementOf({ slot: 0, kind: 'jump', target }).cpu)).toEqual([
      1, 4,
    ]);
  });
});
