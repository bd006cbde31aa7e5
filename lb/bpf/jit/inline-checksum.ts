import type { Of } from '../isa/instruction.js';
import type { State } from './facts.js';
import type { FunctionCode } from './lower.js';
import type { LeftOut } from './optimisations.js';
import { type WordSource, wordsAt } from './slots.js';

/** BPF_FUNC_csum_diff. */
const CSUM_DIFF = 28;
/** Longest buffer that is summed up without a loop: a TCP header with all its options has 60. */
const MAX_BYTES = 64n;
const WORD_BYTES = 4;
const U32 = 0xffffffffn;

/** The words of the buffer that an argument points at, of the length in the register behind it. */
function wordsOf(register: number, state: State, without: LeftOut): WordSource[] | undefined {
  const size = state.registers[register + 1];
  // The helper reads 32 bits of a length.
  if (size?.kind !== 'constant' || size.value > MAX_BYTES || size.value % BigInt(WORD_BYTES) !== 0n)
    return undefined;
  const words = Array.from({ length: Number(size.value) / WORD_BYTES }, (_, index) => ({
    offset: WORD_BYTES * index,
    bytes: WORD_BYTES as 4,
  }));
  return wordsAt(register, words, state, without);
}

interface Buffers {
  readonly removed: readonly WordSource[];
  readonly added: readonly WordSource[];
}

function buffersOf(state: State, without: LeftOut): Buffers | undefined {
  if (without.has('inline-checksum')) return undefined;
  const removed = wordsOf(1, state, without);
  const added = wordsOf(3, state, without);
  return removed && added && { removed, added };
}

/** What a bpf_csum_diff reads that is written out; undefined for one that is called, and for other helpers. */
export function checksumSources(
  { id }: Of<'call-helper'>,
  state: State,
  without: LeftOut,
): readonly WordSource[] | undefined {
  const buffers = id === CSUM_DIFF ? buffersOf(state, without) : undefined;
  return buffers && [...buffers.removed, ...buffers.added];
}

/**
 * bpf_csum_diff(from, from_size, to, to_size, seed) of lengths that are known: r5 + the words of r3 − those of r1 in
 * one's complement, folded to 16 bits. Zero is 0 or 0xffff as in the runtime's body (and Linux): 0 only where nothing
 * that is added up is anything else.
 */
export function lowerChecksumDifference(code: FunctionCode, state: State): boolean {
  const buffers = buffersOf(state, code.module.without);
  if (buffers === undefined) return false;
  const { removed, added } = buffers;
  const { w } = code;
  const sum = code.scratch('i64', 'sum');
  const half = code.scratch('i32', 'half');
  /** Adds words to the number on the stack: few enough that 64 bits do not overflow. */
  const add = (words: readonly WordSource[]) => {
    for (const word of words) {
      code.pushWord(word, state);
      w.op('i64.add');
    }
  };
  // What is turned over is 32 bits, with the carries in it: ~(a + b) is not ~a + ~b where the sum is a zero.
  const fold = () => w.tee(sum).get(sum).i64(32n).op('i64.rotl', 'i64.add').i64(32n).op('i64.shr_u');
  const turnOver = () => w.i64(U32).op('i64.xor');

  code.pushRegister32(5);
  w.op('i64.extend_i32_u');
  const isDifference = removed.length > 0 && added.length > 0;
  if (isDifference) {
    add(added);
    w.i64(0n);
    add(removed);
    if (removed.length > 1) fold();
    turnOver();
    w.op('i64.add');
  } else if (added.length > 0) add(added);
  else if (removed.length > 0) {
    turnOver();
    add(removed);
    fold();
    turnOver();
  }
  if (added.length > 0) fold();
  w.op('i32.wrap_i64').tee(half).get(half).i32(16).op('i32.rotl', 'i32.add').i32(16);
  w.op('i32.shr_u', 'i64.extend_i32_u');
  return true;
}
