import { readFileSync } from 'node:fs';
import { encodeProgram } from '../../lb/bpf/isa/codec.js';
import type { Instruction } from '../../lb/bpf/isa/instruction.js';
import { ALU, type AluName, JUMP, type JumpName } from '../../lb/bpf/isa/opcodes.js';
import { type KernelProgram, loadKernelProgram } from '../../lb/sys/bpf.js';
import { assemble } from '../support/assembler.js';
import { runProgram } from './engines.js';

/** One operation on known values: `code` works on r1 (and may read r2) and leaves the result in r1. */
export interface Row {
  readonly name: string;
  readonly code: string;
  readonly dst: bigint;
  readonly src: bigint;
  readonly result: bigint;
}

const lines = (file: string) =>
  readFileSync(new URL(file, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

/** What an immediate must be to mean `value`, where there is one: the second operand at that width. */
function immediateOf(width: number, value: bigint): bigint | undefined {
  if (width === 32) return value >> 32n === 0n ? BigInt.asIntN(32, value) : undefined;
  const signed = BigInt.asIntN(64, value);
  return BigInt.asIntN(32, signed) === signed ? signed : undefined;
}

/** A line's fields: op, width, dst, src, result. */
function fieldsOf(line: string): { op: string; width: number; dst: bigint; src: bigint; result: bigint } {
  const match = /^(\w+) (32|64) (0x[0-9a-f]+) (0x[0-9a-f]+) = (\w+)$/.exec(line);
  if (match === null) throw new Error(`no row: ${line}`);
  const [, op, width, dst, src, result] = match;
  return { op: op!, width: Number(width), dst: BigInt(dst!), src: BigInt(src!), result: BigInt(result!) };
}

/** Rows of alu.data or jump.data: each with a register, and with an immediate where there is one. */
function binaryRows(file: string, codeOf: (op: string, letter: string, operand: string) => string): Row[] {
  return lines(file).flatMap((line) => {
    const { op, width, dst, src, result } = fieldsOf(line);
    const letter = width === 64 ? 'r' : 'w';
    const immediate = immediateOf(width, src);
    const operands = [`${letter}2`, ...(immediate === undefined ? [] : [`${immediate}`])];
    return operands.map((operand) => ({
      name: `${line} (${operand})`,
      code: codeOf(op, letter, operand),
      dst,
      src,
      result,
    }));
  });
}

export const ALU_ROWS = binaryRows(
  'alu.data',
  (op, letter, operand) => `${letter}1 ${ALU[op as AluName].sign} ${operand}`,
);
export const JUMP_ROWS = binaryRows(
  'jump.data',
  (op, letter, operand) =>
    `if ${letter}1 ${JUMP[op as JumpName].sign} ${operand} goto +2\nr1 = 0\ngoto +1\nr1 = 1`,
);
export const UNARY_ROWS: readonly Row[] = lines('unary.data').map((line) => {
  const match = /^(.*) ; (0x[0-9a-f]+) = (0x[0-9a-f]+)$/.exec(line);
  if (match === null) throw new Error(`no row: ${line}`);
  const [, code, dst, result] = match;
  return { name: line, code: code!, dst: BigInt(dst!), src: 0n, result: BigInt(result!) };
});

/** dst, src and result of a row in memory. */
const ROW_BYTES = 24;
/** What one packet page of the kernel's test run holds. */
const ROWS_A_RUN = 100;
// An instruction slot reaches 32 KiB from the pointer; the packet is far shorter.
const rowCode = (row: Row, index: number, base: string) => {
  const at = index * ROW_BYTES;
  return `r1 = *(u64 *)(${base} + ${at})\nr2 = *(u64 *)(${base} + ${at + 8})\n${row.code}\n*(u64 *)(${base} + ${at + 16}) = r1`;
};

function memoryOf(rows: readonly Row[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(rows.length * ROW_BYTES));
  for (const [index, { dst, src }] of rows.entries()) {
    view.setBigUint64(index * ROW_BYTES, dst, true);
    view.setBigUint64(index * ROW_BYTES + 8, src, true);
  }
  return new Uint8Array(view.buffer);
}

function resultsOf(memory: Uint8Array, count: number): bigint[] {
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  return Array.from({ length: count }, (_, index) => view.getBigUint64(index * ROW_BYTES + 16, true));
}

function inBatches(rows: readonly Row[], run: (batch: readonly Row[]) => bigint[]): bigint[] {
  const results: bigint[] = [];
  for (let at = 0; at < rows.length; at += ROWS_A_RUN) results.push(...run(rows.slice(at, at + ROWS_A_RUN)));
  return results;
}

/** Values of the rows come from memory: nothing can be computed beforehand. */
export function runFromMemory(engine: 'interpreter' | 'jit', rows: readonly Row[]): bigint[] {
  return inBatches(rows, (batch) => {
    const code = batch.map((row, index) => rowCode(row, index, 'r6')).join('\n');
    const { memory } = runProgram(engine, assemble(`r6 = r1\n${code}\nr0 = 0\nexit`), memoryOf(batch));
    return resultsOf(memory, batch.length);
  });
}

/** Values of the rows are constants of the program: a compiler may compute with them. */
export function runFromConstants(engine: 'interpreter' | 'jit', rows: readonly Row[]): bigint[] {
  return inBatches(rows, (batch) => {
    const code = batch.map(
      ({ dst, src, code }, index) =>
        `r1 = 0x${dst.toString(16)} ll\nr2 = 0x${src.toString(16)} ll\n${code}\n*(u64 *)(r6 + ${index * ROW_BYTES + 16}) = r1`,
    );
    const { memory } = runProgram(
      engine,
      assemble(`r6 = r1\n${code.join('\n')}\nr0 = 0\nexit`),
      memoryOf(batch),
    );
    return resultsOf(memory, batch.length);
  });
}

function loadXdp(instructions: readonly Instruction[]): KernelProgram {
  const code = encodeProgram(instructions);
  return loadKernelProgram(
    { name: 'rows', section: 'xdp', type: 'xdp', code, functions: [], lines: [] },
    [],
    'GPL',
  );
}

/** The same in the kernel: the rows are a packet. */
export function runInKernel(rows: readonly Row[]): bigint[] {
  return inBatches(rows, (batch) => {
    const packet = memoryOf(batch);
    const code = batch.map((row, index) => rowCode(row, index, 'r6')).join('\n');
    const program = loadXdp(
      assemble(
        `r6 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r6\nr4 += ${packet.length}\nif r4 > r3 goto out\n${code}\nout:\nr0 = 2\nexit`,
      ),
    );
    try {
      return resultsOf(program.testRun(packet).packet, batch.length);
    } finally {
      program.close();
    }
  });
}
