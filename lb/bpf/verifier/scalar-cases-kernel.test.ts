import { describe, expect, it } from 'vitest';
import { Random } from '../../../test/conformance/generate.js';
import { missingRoot } from '../../../test/support/capabilities.js';
import { askKernel, type StateLine, stateLines } from '../../../test/support/verifier-log.js';
import { encodeProgram } from '../isa/codec.js';
import type { Instruction, Operand } from '../isa/instruction.js';
import { formatRanges, formatScalar } from './format-scalar.js';
import { Scalar } from './scalar.js';
import { aluOffset, aluScalar, forkOf, type ScalarOp, setForked } from './scalar-alu.js';

// What random straight lines do not reach: forks, and variable offsets of pointers.

const SEED = Number(process.env.SCALAR_SEED ?? Date.now() % 1_000_000);
const KTIME_GET_NS = 5;

type WithoutSlot<T> = T extends unknown ? Omit<T, 'slot'> : never;
type Step = WithoutSlot<Instruction>;

const reg = (number: number): Operand => ({ kind: 'reg', reg: number });
const imm = (value: number): Operand => ({ kind: 'imm', value });
const alu = (op: Exclude<ScalarOp, 'neg'>, dst: number, src: Operand, width: 32 | 64 = 64): Step => {
  return { kind: 'alu', op, width, dst, src };
};
/** r6 is a number of which nothing is known; call clobbers r1. */
const UNKNOWN_R6: readonly Step[] = [{ kind: 'call-helper', id: KTIME_GET_NS }, alu('mov', 6, reg(0))];

function statesOf(steps: readonly Step[]): StateLine[] {
  const end: Step[] = [alu('mov', 0, imm(0)), { kind: 'exit' }];
  const instructions = [...steps, ...end].map((step, slot) => ({ ...step, slot }) as Instruction);
  const { result, log } = askKernel(encodeProgram(instructions));
  if (result < 0) expect.fail(log);
  return stateLines(log);
}

/** All that the kernel prints of r6 after the instruction at `slot`: one state for each path. */
function r6After(slot: number, states: readonly StateLine[]): string[] {
  return states.flatMap((state) =>
    state.kind === 'after' && state.slot === slot ? [state.registers.get(6) ?? ''] : [],
  );
}

describe.skipIf(missingRoot !== undefined)('beside the live kernel', () => {
  it.each([
    ['0 or -1 & constant', 'arsh', 64, 63, 'and', 64, 0xff],
    ['0 or -1 & constant of 32 bits', 'arsh', 64, 63, 'and', 32, 0xff],
    ['0 or -1 in the low half & constant', 'arsh', 32, 31, 'and', 64, 0xff],
    ['0 or -1 in the low half, 32 bits', 'arsh', 32, 31, 'and', 32, -2],
    ['0 or -1 | constant', 'arsh', 64, 63, 'or', 64, 8],
    ['0 or -1 in the low half | constant', 'arsh', 32, 31, 'or', 32, 8],
    ['no fork of ^', 'arsh', 64, 63, 'xor', 64, 8],
    ['no fork of +', 'arsh', 64, 63, 'add', 64, 8],
    ['no fork of other ranges', 'arsh', 64, 62, 'and', 64, 8],
  ] as const)('%s', (_name, first, firstWidth, count, op, width, value) => {
    const states = statesOf([
      ...UNKNOWN_R6,
      alu(first, 6, imm(count), firstWidth),
      alu(op, 6, imm(value), width),
    ]);
    const r6 = new Scalar();
    const operand = Scalar.of(BigInt(value));
    aluScalar(first, firstWidth, r6, Scalar.of(BigInt(count)));
    const forked = forkOf(op, r6, operand);
    const paths = [r6];
    if (forked !== undefined) {
      paths.push(r6.clone());
      setForked(paths[0]!, forked, -1);
      setForked(paths[1]!, forked, 0);
    }
    const ours = paths.map((path) => {
      aluScalar(op, width, path, operand);
      return formatScalar(path);
    });
    expect(ours).toEqual(r6After(3, states));
  });

  it(`a pointer's variable offset is what the kernel takes it for (seed ${SEED})`, () => {
    const random = new Random(SEED);
    let compared = 0;
    for (let round = 0; round < 300; round++) {
      const r6 = new Scalar();
      const steps: Step[] = [
        { kind: 'load', bytes: 4, signed: false, dst: 7, src: 1, off: 0 },
        ...UNKNOWN_R6,
      ];
      const apply = (op: Exclude<ScalarOp, 'neg'>, value: number) => {
        steps.push(alu(op, 6, imm(value)));
        aluScalar(op, 64, r6, Scalar.of(BigInt(value)));
      };
      const offset = Scalar.of(0n);
      const checks: [number, string][] = [];
      for (let add = 0; add < 3; add++) {
        // Bounds within 2^29, which is all the kernel takes, of either sign.
        apply('and', random.u32() & 0xf_ffff);
        if (random.below(2)) apply('lsh', random.below(4));
        if (random.below(2)) apply('or', random.below(64));
        if (random.below(2)) apply('sub', random.below(0x1000));
        if (r6.isConst()) continue;
        const op = random.below(3) === 0 ? 'sub' : 'add';
        steps.push(alu(op, 7, reg(6)));
        aluOffset(op, offset, r6);
        checks.push([steps.length - 1, formatRanges(offset).join(',')]);
      }
      compared += checks.length;
      const states = statesOf(steps);
      for (const [slot, ours] of checks) {
        const state = states.find((each) => each.kind === 'after' && each.slot === slot);
        const ranges = state?.registers
          .get(7)
          ?.replace(/^pkt\((?:r=0,?)?/, '')
          .replace(/\)$/, '');
        expect(`${round}/${slot} ${ours}`).toBe(`${round}/${slot} ${ranges}`);
      }
    }
    expect(compared).toBeGreaterThan(600);
  });
});
