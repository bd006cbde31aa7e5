// Numbers of uapi/linux/bpf.h and asm-generic/errno-base.h that the maps and helpers use. Read by
// TypeScript and, unchanged, by the AssemblyScript modules: plain integer constants, no annotation.

export const BPF_MAP_TYPE_HASH = 1;
export const BPF_MAP_TYPE_ARRAY = 2;
export const BPF_MAP_TYPE_PROG_ARRAY = 3;
export const BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4;
export const BPF_MAP_TYPE_PERCPU_HASH = 5;
export const BPF_MAP_TYPE_PERCPU_ARRAY = 6;
export const BPF_MAP_TYPE_LRU_HASH = 9;
export const BPF_MAP_TYPE_LRU_PERCPU_HASH = 10;
export const BPF_MAP_TYPE_LPM_TRIE = 11;
export const BPF_MAP_TYPE_ARRAY_OF_MAPS = 12;
export const BPF_MAP_TYPE_HASH_OF_MAPS = 13;
export const BPF_MAP_TYPE_DEVMAP = 14;
export const BPF_MAP_TYPE_CPUMAP = 16;
export const BPF_MAP_TYPE_XSKMAP = 17;
export const BPF_MAP_TYPE_QUEUE = 22;
export const BPF_MAP_TYPE_STACK = 23;
export const BPF_MAP_TYPE_DEVMAP_HASH = 25;
export const BPF_MAP_TYPE_RINGBUF = 27;
export const BPF_MAP_TYPE_BLOOM_FILTER = 30;

/** Flags of an update. */
export const BPF_ANY = 0;
export const BPF_NOEXIST = 1;
export const BPF_EXIST = 2;
/** Of an update or a lookup: hold the value's bpf_spin_lock meanwhile. */
export const BPF_F_LOCK = 4;

export const EPERM = 1;
export const ENOENT = 2;
export const E2BIG = 7;
export const EBADF = 9;
export const ENOMEM = 12;
export const EBUSY = 16;
export const EEXIST = 17;
export const EINVAL = 22;

/** Flags of bpf_ringbuf_output and its relatives; what bpf_ringbuf_query tells. */
export const BPF_RB_NO_WAKEUP = 1;
export const BPF_RB_FORCE_WAKEUP = 2;
export const BPF_RB_AVAIL_DATA = 0;
export const BPF_RB_RING_SIZE = 1;
export const BPF_RB_CONS_POS = 2;
export const BPF_RB_PROD_POS = 3;
/** Flags of bpf_perf_event_output: the slot, or this one for the slot of the CPU; packet bytes to append, in bits 32 to 51. */
export const BPF_F_INDEX_MASK = 0xffffffff;
export const BPF_F_CURRENT_CPU = 0xffffffff;
export const BPF_F_CTXLEN_MASK = 0xfffff00000000;
/** Flags of bpf_redirect_map for device maps. */
export const BPF_F_BROADCAST = 8;
export const BPF_F_EXCLUDE_INGRESS = 16;
/** Flag of bpf_redirect in a TC program: in on the interface, not out. */
export const BPF_F_INGRESS = 1;

/** Verdicts that helpers return (enum xdp_action; uapi/linux/pkt_cls.h). */
export const XDP_ABORTED = 0;
export const XDP_REDIRECT = 4;
export const TC_ACT_SHOT = 2;
export const TC_ACT_REDIRECT = 7;

export const EAGAIN = 11;
export const EACCES = 13;
export const EFAULT = 14;
export const ENODEV = 19;
export const ENOSPC = 28;
export const EOVERFLOW = 75;
export const EOPNOTSUPP = 95;
/** The kernel's own, which bpf() lets out; no program of user space has a name for it. */
export const ENOTSUPP = 524;
