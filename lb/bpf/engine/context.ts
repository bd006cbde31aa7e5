import type { InterpretedProgram } from './interpreted-program.js';

/** Verdicts of an XDP program (enum xdp_action, uapi/linux/bpf.h). */
export const XDP_ABORTED = 0;
export const XDP_DROP = 1;
export const XDP_PASS = 2;
export const XDP_TX = 3;
export const XDP_REDIRECT = 4;

export const VERDICT_NAMES = ['XDP_ABORTED', 'XDP_DROP', 'XDP_PASS', 'XDP_TX', 'XDP_REDIRECT'] as const;

/** Verdicts of a TC program (uapi/linux/pkt_cls.h); as r0's low 32 bits, TC_ACT_UNSPEC is 0xffffffff. */
export const TC_ACT_UNSPEC = -1;
export const TC_ACT_OK = 0;
export const TC_ACT_SHOT = 2;
export const TC_ACT_REDIRECT = 7;

/** By number; TC_ACT_UNSPEC is not among them. */
export const TC_ACTION_NAMES = [
  'TC_ACT_OK',
  'TC_ACT_RECLASSIFY',
  'TC_ACT_SHOT',
  'TC_ACT_PIPE',
  'TC_ACT_STOLEN',
  'TC_ACT_QUEUED',
  'TC_ACT_REPEAT',
  'TC_ACT_REDIRECT',
  'TC_ACT_TRAP',
] as const;

/** What a tail call goes on in: the compiled function of a program, or its instructions. */
export type TailTarget =
  | { readonly engine: 'jit'; readonly tail: (r1: bigint, r2: bigint, frame: number) => bigint }
  | { readonly engine: 'interpreter'; readonly program: InterpretedProgram };

/**
 * A program that is ready to run on one CPU of the arena: interpreted or compiled.
 * `run` takes the arena offset of a context (xdp_md, __sk_buff) and gives the verdict (r0's low 32 bits);
 * `call` is the same entry with r1 and r2 set and the whole of r0, for programs that are bound to no hook.
 */
export interface Executable {
  run(context: number): number;
  call(r1: bigint, r2: bigint): bigint;
  /** For `ProgramTable.set`. */
  readonly target: TailTarget;
}
