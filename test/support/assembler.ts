import { slotsOf } from '../../lb/bpf/isa/codec.js';
import type { AccessBytes, Instruction, Operand, Width } from '../../lb/bpf/isa/instruction.js';
import { ALU, type AluName, ATOMIC, type AtomicName, JUMP, type JumpName } from '../../lb/bpf/isa/opcodes.js';

type Build = (fields: readonly string[], slot: number, at: (target: string) => number) => Instruction;

const alternatives = (words: readonly string[]) =>
  [...words]
    .sort((a, b) => b.length - a.length)
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('|');
const bySign = <N extends string>(table: Record<N, { readonly sign: string }>) =>
  new Map(Object.entries<{ readonly sign: string }>(table).map(([name, { sign }]) => [sign, name as N]));

// Signed forms and their unsigned ones have signs of their own, so that a sign names a row.
const ALU_OF = bySign<AluName>(ALU);
const JUMP_OF = bySign<JumpName>(JUMP);
const ATOMIC_OF = bySign<AtomicName>(ATOMIC);

const REG = '([rw])(\\d+)';
const VALUE = '(r\\d+|w\\d+|-?\\d+|-?0x[0-9a-f]+)';
const PLACE = '\\((?:r)(\\d+) ([+-]) (\\d+|0x[0-9a-f]+)\\)';
const CAST = '\\(([us])(\\d+) \\*\\)';
const TARGET = '([+-]\\d+|[a-z_][a-z0-9_]*)';

const widthOf = (letter: string | undefined): Width => (letter === 'w' ? 32 : 64);
const bytesOf = (bits: string | undefined) => (Number(bits) / 8) as AccessBytes;
const offsetOf = (sign: string | undefined, digits: string | undefined) =>
  sign === '-' ? -Number(digits) : Number(digits);
const operandOf = (text: string): Operand =>
  /^[rw]/.test(text)
    ? { kind: 'reg', reg: Number(text.slice(1)) }
    : { kind: 'imm', value: text.startsWith('-') ? -Number(text.slice(1)) : Number(text) | 0 };

/** Form of a line, without its spaces at the ends → what it means. The first that fits counts. */
const FORMS: readonly (readonly [RegExp, Build])[] = (
  [
    ['exit', (_, slot) => ({ slot, kind: 'exit' })],
    [`goto ${TARGET}`, ([target], slot, at) => ({ slot, kind: 'jump', target: at(target!) })],
    [
      `if ${REG} (${alternatives([...JUMP_OF.keys()])}) ${VALUE} goto ${TARGET}`,
      ([letter, dst, sign, value, target], slot, at) => ({
        slot,
        kind: 'branch',
        op: JUMP_OF.get(sign!)!,
        width: widthOf(letter),
        dst: Number(dst),
        src: operandOf(value!),
        target: at(target!),
      }),
    ],
    ['call (\\d+)', ([id], slot) => ({ slot, kind: 'call-helper', id: Number(id) })],
    [`call ${TARGET}`, ([target], slot, at) => ({ slot, kind: 'call-local', target: at(target!) })],
    [
      `${REG} = -\\1\\2`,
      ([letter, dst], slot) => ({ slot, kind: 'neg', width: widthOf(letter), dst: Number(dst) }),
    ],
    [
      `${REG} = \\(s(8|16|32)\\)\\1(\\d+)`,
      ([letter, dst, bits, src], slot) => ({
        slot,
        kind: 'movsx',
        width: widthOf(letter),
        bits: Number(bits) as 8 | 16 | 32,
        dst: Number(dst),
        src: Number(src),
      }),
    ],
    [
      'r(\\d+) = (le|be|bswap)(16|32|64) r\\1',
      ([dst, op, bits], slot) => ({
        slot,
        kind: 'swap',
        op: op as 'le' | 'be' | 'bswap',
        bits: Number(bits) as 16 | 32 | 64,
        dst: Number(dst),
      }),
    ],
    [
      'r(\\d+) = (0x[0-9a-f]+) ll',
      ([dst, value], slot) => ({
        slot,
        kind: 'imm64',
        dst: Number(dst),
        imm: { kind: 'value', value: BigInt(value!) },
      }),
    ],
    [
      'r(\\d+) = map\\[(\\d+)\\] value \\+ (\\d+)',
      ([dst, map, offset], slot) => ({
        slot,
        kind: 'imm64',
        dst: Number(dst),
        imm: { kind: 'map-value', map: Number(map), offset: Number(offset) },
      }),
    ],
    [
      'r(\\d+) = map\\[(\\d+)\\]',
      ([dst, map], slot) => ({
        slot,
        kind: 'imm64',
        dst: Number(dst),
        imm: { kind: 'map', map: Number(map) },
      }),
    ],
    [
      'r(\\d+) = function (\\d+|[a-z_][a-z0-9_]*)',
      ([dst, target], slot, at) => ({
        slot,
        kind: 'imm64',
        dst: Number(dst),
        imm: { kind: 'function', target: /^\d/.test(target!) ? Number(target) : at(target!) },
      }),
    ],
    [
      'r(\\d+) = variable (\\d+)',
      ([dst, id], slot) => ({
        slot,
        kind: 'imm64',
        dst: Number(dst),
        imm: { kind: 'variable', id: Number(id) },
      }),
    ],
    [
      'r0 = \\*\\(u(8|16|32) \\*\\)skb\\[(\\d+|-\\d+)\\]',
      ([bits, imm], slot) => ({
        slot,
        kind: 'packet-load',
        bytes: bytesOf(bits) as 1 | 2 | 4,
        mode: 'abs',
        src: 0,
        imm: Number(imm),
      }),
    ],
    [
      'r0 = \\*\\(u(8|16|32) \\*\\)skb\\[r(\\d+) ([+-]) (\\d+)\\]',
      ([bits, src, sign, imm], slot) => ({
        slot,
        kind: 'packet-load',
        bytes: bytesOf(bits) as 1 | 2 | 4,
        mode: 'ind',
        src: Number(src),
        imm: offsetOf(sign, imm),
      }),
    ],
    [
      `r(\\d+) = load_acquire\\(\\(u(\\d+) \\*\\)${PLACE}\\)`,
      ([dst, bits, src, sign, off], slot) => ({
        slot,
        kind: 'load-acquire',
        bytes: bytesOf(bits),
        dst: Number(dst),
        src: Number(src),
        off: offsetOf(sign, off),
      }),
    ],
    [
      `store_release\\(\\(u(\\d+) \\*\\)${PLACE}, r(\\d+)\\)`,
      ([bits, dst, sign, off, src], slot) => ({
        slot,
        kind: 'store-release',
        bytes: bytesOf(bits),
        dst: Number(dst),
        src: Number(src),
        off: offsetOf(sign, off),
      }),
    ],
    [
      `r(\\d+) = \\*${CAST}${PLACE}`,
      ([dst, sign, bits, src, plus, off], slot) => ({
        slot,
        kind: 'load',
        bytes: bytesOf(bits),
        signed: sign === 's',
        dst: Number(dst),
        src: Number(src),
        off: offsetOf(plus, off),
      }),
    ],
    [
      `\\*${CAST}${PLACE} = ${VALUE}`,
      ([, bits, dst, plus, off, value], slot) => ({
        slot,
        kind: 'store',
        bytes: bytesOf(bits),
        dst: Number(dst),
        off: offsetOf(plus, off),
        src: operandOf(value!),
      }),
    ],
    [
      `lock \\*\\(u(32|64) \\*\\)${PLACE} (${alternatives([...ATOMIC_OF.keys()])}) [rw](\\d+)`,
      ([bits, dst, plus, off, sign, src], slot) =>
        atomic(slot, ATOMIC_OF.get(sign!)!, false, bits, dst, plus, off, src),
    ],
    [
      `[rw](\\d+) = atomic_fetch_(\\w+)\\(\\(u(32|64) \\*\\)${PLACE}, [rw]\\1\\)`,
      ([src, name, bits, dst, plus, off], slot) =>
        atomic(slot, name as AtomicName, true, bits, dst, plus, off, src),
    ],
    [
      '[rw](\\d+) = xchg(?:32)?_(32|64)\\(r(\\d+) ([+-]) (\\d+), [rw]\\1\\)',
      ([src, bits, dst, plus, off], slot) => atomic(slot, 'xchg', true, bits, dst, plus, off, src),
    ],
    [
      '[rw]0 = cmpxchg(?:32)?_(32|64)\\(r(\\d+) ([+-]) (\\d+), [rw]0, [rw](\\d+)\\)',
      ([bits, dst, plus, off, src], slot) => atomic(slot, 'cmpxchg', true, bits, dst, plus, off, src),
    ],
    [
      `${REG} (${alternatives([...ALU_OF.keys()])}) ${VALUE}`,
      ([letter, dst, sign, value], slot) => ({
        slot,
        kind: 'alu',
        op: ALU_OF.get(sign!)!,
        width: widthOf(letter),
        dst: Number(dst),
        src: operandOf(value!),
      }),
    ],
  ] satisfies readonly (readonly [string, Build])[]
).map(([form, build]) => [new RegExp(`^${form}$`), build] as const);

function atomic(
  slot: number,
  op: AtomicName,
  fetch: boolean,
  bits: string | undefined,
  dst: string | undefined,
  plus: string | undefined,
  off: string | undefined,
  src: string | undefined,
): Instruction {
  const bytes = bits === '64' ? 8 : 4;
  return {
    slot,
    kind: 'atomic',
    op,
    fetch,
    bytes,
    dst: Number(dst),
    src: Number(src),
    off: offsetOf(plus, off),
  };
}

/**
 * Instructions of a text as formatInstruction writes it, a line each. A line `name:` is a label, which goto and
 * call take in place of a distance; `;` starts a comment.
 */
export function assemble(text: string): Instruction[] {
  const labels = new Map<string, number>();
  const lines: {
    readonly slot: number;
    readonly line: string;
    readonly build: Build;
    readonly fields: string[];
  }[] = [];
  let slot = 0;
  for (const raw of text.split('\n')) {
    const line = raw.replace(/;.*/, '').trim();
    if (line === '') continue;
    const label = /^([a-z_][a-z0-9_]*):$/.exec(line)?.[1];
    if (label !== undefined) {
      labels.set(label, slot);
      continue;
    }
    const form = FORMS.find(([pattern]) => pattern.test(line));
    if (form === undefined) throw new Error(`no instruction: ${line}`);
    const [pattern, build] = form;
    const fields = pattern.exec(line)!.slice(1);
    lines.push({ slot, line, build, fields });
    slot += slotsOf(build(fields, slot, () => 0));
  }
  return lines.map(({ slot, line, build, fields }) =>
    build(fields, slot, (target) => {
      const found = /^[+-]/.test(target) ? slot + 1 + Number(target) : labels.get(target);
      if (found === undefined) throw new Error(`no label ${target}: ${line}`);
      return found;
    }),
  );
}
