/** Verdicts of an XDP program (enum xdp_action, uapi/linux/bpf.h). */
export const XDP_ABORTED = 0;
export const XDP_DROP = 1;
export const XDP_PASS = 2;
export const XDP_TX = 3;
export const XDP_REDIRECT = 4;

export const VERDICT_NAMES = ['XDP_ABORTED', 'XDP_DROP', 'XDP_PASS', 'XDP_TX', 'XDP_REDIRECT'] as const;

/**
 * A program that is ready to run on one CPU of the arena: interpreted or compiled.
 * `run` takes the arena offset of an xdp_md and gives the verdict (r0's low 32 bits);
 * `call` is the same entry with r1 and r2 set and the whole of r0, for programs that are not XDP.
 */
export interface Executable {
  run(context: number): number;
  call(r1: bigint, r2: bigint): bigint;
}
