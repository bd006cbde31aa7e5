// Helpers that change where control goes: their bodies are in the engines (bpf-helpers(7)).

export const TAIL_CALL = 12;
export const FOR_EACH_MAP_ELEM = 164;
export const LOOP = 181;
export const FIND_VMA = 180;
export const USER_RINGBUF_DRAIN = 209;

/** Tail calls that one run of a program may make (the kernel's MAX_TAIL_CALL_CNT). */
export const TAIL_CALLS_MAX = 33;
/** Rounds that bpf_loop makes at most (the kernel's BPF_MAX_LOOPS). */
export const LOOP_MAX = 1 << 23;
