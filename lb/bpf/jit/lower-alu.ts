import { assertNever } from '../../errors.js';
import type { Of, Operand } from '../isa/instruction.js';
import type { AluName } from '../isa/opcodes.js';
import type { FunctionCode } from './lower.js';
import { lowerSwap } from './lower-swap.js';
import type { PlainOp } from './wasm-opcodes.js';

/** Operation of both widths, named without the type. */
type Suffix = 'add' | 'sub' | 'mul' | 'or' | 'and' | 'xor' | 'shl' | 'shr_u' | 'shr_s';
/** Operations whose result is the one wasm instruction: shift counts are masked by both (RFC 9669 §4.1). */
const DIRECT = {
  add: 'add',
  sub: 'sub',
  mul: 'mul',
  or: 'or',
  and: 'and',
  xor: 'xor',
  lsh: 'shl',
  rsh: 'shr_u',
  arsh: 'shr_s',
} as const satisfies Partial<Record<AluName, Suffix>>;
type Direct = keyof typeof DIRECT;
type Division = Exclude<AluName, Direct | 'mov'>;

const DIVISION: Record<Division, 'div_u' | 'div_s' | 'rem_u' | 'rem_s'> = {
  div: 'div_u',
  sdiv: 'div_s',
  mod: 'rem_u',
  smod: 'rem_s',
};

const isDirect = (op: AluName): op is Direct => op in DIRECT;

/** Sign extension of the low bits to a width; 32 to 32 is nothing. */
export const SIGN_EXTEND = {
  32: { 8: 'i32.extend8_s', 16: 'i32.extend16_s', 32: undefined },
  64: { 8: 'i64.extend8_s', 16: 'i64.extend16_s', 32: 'i64.extend32_s' },
} as const satisfies Record<32 | 64, Record<8 | 16 | 32, PlainOp | undefined>>;

/** Arithmetic (RFC 9669 §4.1, §4.2): 64 bits, or 32 that are zero-extended to 64. */
export function lowerArithmetic(code: FunctionCode, instruction: Of<'alu' | 'neg' | 'movsx' | 'swap'>): void {
  const { w } = code;
  switch (instruction.kind) {
    case 'alu':
      lowerAlu(code, instruction);
      break;
    case 'neg': {
      const { dst, width } = instruction;
      code.pushOperand({ kind: 'imm', value: 0 }, width);
      code.pushOperand({ kind: 'reg', reg: dst }, width);
      w.op(width === 64 ? 'i64.sub' : 'i32.sub');
      code.setResult(dst, width);
      break;
    }
    case 'movsx': {
      const { width, bits, dst, src } = instruction;
      const extend = SIGN_EXTEND[width][bits];
      code.pushOperand({ kind: 'reg', reg: src }, width);
      if (extend !== undefined) w.op(extend);
      code.setResult(dst, width);
      break;
    }
    case 'swap':
      lowerSwap(code, instruction);
      break;
    default:
      assertNever(instruction);
  }
}

function lowerAlu(code: FunctionCode, { op, width, dst, src }: Of<'alu'>): void {
  const target: Operand = { kind: 'reg', reg: dst };
  if (op === 'mov') {
    code.pushOperand(src, width);
    code.setResult(dst, width);
    return;
  }
  if (isDirect(op)) {
    code.pushOperand(target, width);
    code.pushOperand(src, width);
    code.w.op(`${width === 64 ? 'i64' : 'i32'}.${DIRECT[op]}`);
  } else lowerDivision(code, op, width, target, src);
  code.setResult(dst, width);
}

/** RFC 9669 §4.1: x / 0 = 0, x % 0 = x, and the least number / −1 is itself. Wasm traps on all but the last rest. */
function lowerDivision(code: FunctionCode, op: Division, width: 32 | 64, dst: Operand, src: Operand): void {
  const { w } = code;
  const type = width === 64 ? 'i64' : 'i32';
  const isRest = op === 'mod' || op === 'smod';
  const divide = () => {
    code.pushOperand(dst, width);
    code.pushOperand(src, width);
    w.op(`${type}.${DIVISION[op]}`);
  };
  const negated = () => {
    code.pushOperand({ kind: 'imm', value: 0 }, width);
    code.pushOperand(dst, width);
    w.op(`${type}.sub`);
  };
  const byZero = () => code.pushOperand(isRest ? dst : { kind: 'imm', value: 0 }, width);
  if (src.kind === 'imm') {
    if (src.value === 0) byZero();
    else if (op === 'sdiv' && src.value === -1) negated();
    else divide();
    return;
  }
  code.pushOperand(src, width);
  w.op(`${type}.eqz`).if(type);
  byZero();
  w.op('else');
  if (op === 'sdiv') {
    code.pushOperand(src, width);
    code.pushOperand({ kind: 'imm', value: -1 }, width);
    w.op(`${type}.eq`).if(type);
    negated();
    w.op('else');
    divide();
    w.op('end');
  } else divide();
  w.op('end');
}
