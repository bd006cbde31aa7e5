import type { Instruction } from '../isa/instruction.js';
import type { VerifyOptions } from './input.js';

export type Step = Instruction;

/** A function of the program. */
export interface Subprogram {
  readonly start: number;
  /** First slot behind it. */
  readonly end: number;
  readonly name: string;
  /** By its BTF; without BTF every function is static. */
  readonly linkage: 'static' | 'global';
  readonly typeId: number | undefined;
  hasTailCall: boolean;
  hasPacketLoad: boolean;
  /** It, or what it calls, may move the packet's bytes. */
  movesPacket: boolean;
  /** Bytes of its frame that are used, found on the walk. */
  stackDepth: number;
  /** Global ones: some path calls it, so that it must be proved. */
  isCalled: boolean;
}

/** What places in the code are; see cfg.ts. */
export const MARK = {
  /** Paths may meet here: states are compared. */
  PRUNE: 1,
  /** Control may get here from somewhere else than the slot before. */
  JUMP: 2,
  /** A state is always kept. */
  CHECKPOINT: 4,
  /** A helper is called that calls back. */
  CALLBACK: 8,
} as const;

/** Where control can go within functions. */
export interface ControlGraph {
  /** Two places a slot; -1: none. */
  readonly successors: Int32Array;
  /** Those that lead to a slot: from its place in `firstPredecessor` up to that of the next slot. */
  readonly predecessors: Int32Array;
  readonly firstPredecessor: Int32Array;
}

/** A program, prepared for the walk. Everything is by slot. */
export interface Program {
  readonly options: VerifyOptions;
  /** Undefined: the second half of an LD_IMM64. */
  readonly steps: readonly (Step | undefined)[];
  /** Instructions that are wrong in themselves: the kernel says so when it gets there. */
  readonly wrong: ReadonlyMap<number, string>;
  /** Opcodes, for the log. */
  readonly opcodes: Uint8Array;
  readonly subprograms: readonly Subprogram[];
  readonly marks: Uint8Array;
  /** Registers that are read before they are written again, as bits. */
  readonly liveRegisters: Uint16Array;
  readonly graph: ControlGraph;
  /** Which loop an instruction is in, by number; 0: none. See loops.ts. */
  readonly loops: Uint16Array;
}

/** Index of the function that a slot is in. */
export function subprogramAt(subprograms: readonly Subprogram[], slot: number): number {
  let low = 0;
  let high = subprograms.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (subprograms[middle]!.start <= slot) low = middle;
    else high = middle - 1;
  }
  return low;
}
