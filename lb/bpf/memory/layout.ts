// Offsets in the arena. Read by TypeScript and, unchanged, by the AssemblyScript modules:
// plain integer constants only, no import, no type annotation.

/** Unit in which wasm memory grows, bytes. */
export const WASM_PAGE_BYTES = 65536;
/** Offset 0 is NULL in a program: nothing lives in the first page, ever. */
export const NULL_REGION_BYTES = 65536;

/** Directory: what the arena is and how it is laid out. Written once, before any worker starts. */
export const DIRECTORY_OFFSET = 65536;
export const DIRECTORY_BYTES = 65536;
export const ARENA_MAGIC = 0x47474157; // "WAGG", little endian
export const ARENA_LAYOUT_VERSION = 2;
export const DIR_MAGIC = 0;
export const DIR_LAYOUT_VERSION = 4;
/** CPUs that programs see: one a worker, and the last is the control plane's own. */
export const DIR_CPUS = 8;
/** u32 each: the region of the maps, and the region that the kernel's rings are mapped over. */
export const DIR_MAPS_OFFSET = 16;
export const DIR_MAPS_BYTES = 20;
export const DIR_RINGS_OFFSET = 24;
export const DIR_RINGS_BYTES = 28;
/** u32, atomic: 1 once somebody lays out maps in the maps region; there is one who does. */
export const DIR_MAPS_TAKEN = 32;
/** u32 each: descriptors of the LPM_TRIEs that bpf_fib_lookup reads, IPv4 and IPv6; 0 where there is none. */
export const DIR_FIB4 = 36;
export const DIR_FIB6 = 40;
/** u32 each: descriptors of the HASHes of interfaces and of neighbours that bpf_fib_lookup and bpf_check_mtu read. */
export const DIR_LINKS = 44;
export const DIR_NEIGHBOURS = 64;
/** 16 bytes: secret of the SYN cookies. */
export const DIR_COOKIE_SECRET = 48;

/** CPU blocks follow the directory: block i is at CPU_BLOCKS_OFFSET + i * CPU_BLOCK_BYTES. */
export const CPU_BLOCKS_OFFSET = 131072;
export const CPU_BLOCK_BYTES = 131072;

// Offsets inside a CPU block.

/** u32, atomic. The pool writes: COMMAND_RUN or COMMAND_STOP. */
export const CPU_COMMAND = 0;
/** u32, atomic. The worker writes: a WORKER_STATE_… value. */
export const CPU_STATE = 4;
/** u32, atomic. The pool writes: generation of the program that the worker is to run. */
export const CPU_PROGRAM_GENERATION = 8;
/** u32, atomic. The worker adds one each time round its loop: a stuck worker stops counting. */
export const CPU_HEARTBEAT = 12;
/** u64. Monotonic clock, ns (CLOCK_MONOTONIC); the owner writes it once a batch; bpf_ktime_get_ns reads it. */
export const CPU_CLOCK_NS = 16;
/** u32, atomic. The worker writes: generation of the program that it runs. */
export const CPU_PROGRAM_RUNNING = 24;
/** struct timespec (16 bytes) that clock_gettime fills. */
export const CPU_TIMESPEC = 32;
/** u64 state of bpf_get_prandom_u32, never 0. */
export const CPU_PRANDOM = 48;
/** u32: tail calls of the run in hand; the entry of a program that makes any writes 0. */
export const CPU_TAIL_CALLS = 56;
/** u32: bpf_get_numa_node_id. */
export const CPU_NUMA_NODE = 60;
/** Pump's own words (ring and inbox geometry, cursors, unfinished batch): 192 bytes, laid out in lb/worker/layout.ts. */
export const CPU_PUMP = 64;

/** struct xdp_md as programs see it (pointers are arena offsets, u32), then what only the runtime reads. */
export const CPU_XDP_MD = 256;
export const XDP_MD_DATA = 0;
export const XDP_MD_DATA_END = 4;
export const XDP_MD_DATA_META = 8;
export const XDP_MD_INGRESS_IFINDEX = 12;
export const XDP_MD_RX_QUEUE_INDEX = 16;
export const XDP_MD_EGRESS_IFINDEX = 20;
/** Not of the kernel's struct: first and one-past-last byte that adjust_head and adjust_tail may reach. */
export const XDP_MD_HARD_START = 24;
export const XDP_MD_HARD_END = 28;
export const XDP_MD_BYTES = 32;

/** u64 counters that the pump adds to; names in lb/worker/counters.ts. */
export const CPU_COUNTERS = 512;
export const CPU_COUNTERS_COUNT = 64;

/**
 * Where bpf_redirect and bpf_redirect_map send the frame of a verdict XDP_REDIRECT (the kernel's
 * bpf_redirect_info). The program's helper writes it, who acts on the verdict reads it.
 */
export const CPU_REDIRECT = 1024;
/** u32 each: the map's descriptor or 0 for bpf_redirect; the key (its first u32), or the interface's index. */
export const REDIRECT_MAP = 0;
export const REDIRECT_KEY = 4;
/** u64: flags of the helper's call. */
export const REDIRECT_FLAGS = 8;
/** u32: the target that the map gave: interface (DEVMAP), CPU (CPUMAP), socket's number (XSKMAP). */
export const REDIRECT_TARGET = 16;
/** u32: number of the program that the map's element has, or 0 (DEVMAP, CPUMAP). */
export const REDIRECT_PROGRAM = 20;
export const REDIRECT_BYTES = 32;
/** u64 each: CLOCK_BOOTTIME − CLOCK_MONOTONIC and CLOCK_TAI − CLOCK_MONOTONIC, ns; the block's owner writes them. */
export const CPU_BOOT_OFFSET_NS = 1056;
export const CPU_TAI_OFFSET_NS = 1064;
/** u32: tail calls that found a program's number, and no such program in this thread; the owner adds to it. */
export const CPU_TAIL_CALLS_MISSED = 1072;

/** struct __sk_buff as TC programs see it (uapi/linux/bpf.h), then what only the runtime reads. */
export const CPU_SKB = 1280;
export const SKB_DATA = 76;
export const SKB_DATA_END = 80;
export const SKB_DATA_META = 140;
export const SKB_UAPI_BYTES = 192;
/** Not of the kernel's struct: first and one-past-last byte that the packet may come to occupy. */
export const SKB_HARD_START = 192;
export const SKB_HARD_END = 196;
/** u32: bytes that a program put between the Ethernet header and the network header (bpf_skb_change_head). */
export const SKB_NETWORK = 200;
/** u32: not 0 once a program put a tunnel's headers in front of the network header (skb->encapsulation). */
export const SKB_ENCAPSULATED = 204;
/** u32: 0 where no checksum counts as checked, else how many do (skb->csum_level + 1; bpf_csum_level). */
export const SKB_CHECKED = 208;
/** struct bpf_tunnel_key, 44 bytes, that a program gave for the tunnel the packet goes out by (bpf_skb_set_tunnel_key). */
export const SKB_TUNNEL_KEY = 212;
export const TUNNEL_KEY_BYTES = 44;
/** u32 each: not 0 once there is one, and the flags it was given with. */
export const SKB_TUNNEL_SET = 256;
export const SKB_TUNNEL_FLAGS = 260;
export const SKB_BYTES = 264;

/**
 * BPF stack: frames of 512 bytes. Frame 0's r10 is the end of the region; a callee's is 512 lower. A program has 8
 * frames at most; one that is entered by a tail call from a callee goes on below it, as long as it finds its 8.
 */
export const CPU_STACK = 65536;
export const STACK_FRAME_BYTES = 512;
export const STACK_FRAMES = 8;
export const CPU_STACK_FRAMES = 48;
export const CPU_STACK_END = 90112;
/** Where a walk over a map's elements (bpf_for_each_map_elem) stands: 64 bytes for each frame of the stack. */
export const CPU_CURSORS = 90112;
export const CURSOR_BYTES = 64;
/** u32 each, after a step of the walk: addresses of the element's key and value. The rest is the walk's own. */
export const CURSOR_KEY = 0;
export const CURSOR_VALUE = 4;
/** u32: index of the bucket, or of the next element of an array. */
export const CURSOR_INDEX = 8;
/** u32 each: element of a hash where the walk stands, and its generation. */
export const CURSOR_ELEMENT = 12;
export const CURSOR_GENERATION = 16;
/** u32: the key, where it is in no element. */
export const CURSOR_INDEX_KEY = 20;
/** u64: the element's two words, read at once (DEVMAP, DEVMAP_HASH). */
export const CURSOR_TARGET = 24;

/**
 * Lines that programs print (bpf_trace_printk), for one reader. u32 each, atomic: bytes written since the start and lines
 * that found no room (the block's owner writes them), bytes read since the start (the reader writes it).
 */
export const CPU_TRACE = 98304;
export const TRACE_WRITTEN = 0;
export const TRACE_LOST = 4;
export const TRACE_READ = 64;
/** u64 each: the three arguments of bpf_trace_printk. */
export const TRACE_ARGUMENTS = 72;
/** A line while it is being made. */
export const TRACE_LINE = 128;
export const TRACE_LINE_BYTES = 1024;
/** The ring, a power of two: u32 length of the text, u64 CLOCK_MONOTONIC, ns, then the text; byte after byte, round the end. */
export const TRACE_RING = 2048;
export const TRACE_RING_BYTES = 16384;
export const TRACE_HEADER_BYTES = 12;
/** Keys of the helpers' own lookups (bpf_fib_lookup, bpf_check_mtu), 32 bytes. */
export const CPU_LOOKUP_KEY = 116736;

/** struct mmsghdr array for sendmmsg: 64 bytes each (x86-64, arm64). */
export const CPU_MMSGHDRS = 8192;
export const MMSGHDR_BYTES = 64;
/** struct iovec array: 16 bytes each; entry i belongs to mmsghdr i. */
export const CPU_IOVECS = 40960;
export const IOVEC_BYTES = 16;
export const MMSG_CAPACITY = 512;
/** struct sockaddr_ll array: 20 bytes each; mmsghdr i leads to entry i where its frame leaves by another interface. */
export const CPU_ADDRESSES = 118784;
export const SOCKADDR_LL_BYTES = 20;
/** Where a walk over a map of devices stands, CURSOR_BYTES: a frame that goes to all of them. */
export const CPU_BROADCAST_CURSOR = 2048;

/** Scratch of the block's owner, 16 KiB: keys and values of map calls from TypeScript. */
export const CPU_SCRATCH = 49152;
export const CPU_SCRATCH_BYTES = 16384;

export const COMMAND_RUN = 0;
export const COMMAND_STOP = 1;

// Map descriptor: 128 bytes, one a map, in the maps region. All words u32 unless noted.
// The first 48 bytes are the same for every type; the rest belongs to the type.
export const MAP_TYPE = 0;
export const MAP_KEY_SIZE = 4;
export const MAP_VALUE_SIZE = 8;
export const MAP_MAX_ENTRIES = 12;
export const MAP_FLAGS = 16;
/** Number of the map in its registry, from 1. */
export const MAP_ID = 20;
/** CPUs that a per-CPU value has copies for; 1 for the others. */
export const MAP_CPUS = 24;
/** Bytes from one element's value to the next (array types): 4 for a value of up to 4 bytes, else valueSize rounded up to 8. */
export const MAP_VALUE_STRIDE = 28;
/** Arena offset of element 0's value (array types), of CPU 0 where there is a copy a CPU. */
export const MAP_DATA = 32;
/** Bytes from one CPU's copies to the next CPU's (per-CPU types). */
export const MAP_CPU_STRIDE = 36;
/** Offset of the bpf_spin_lock in a value, plus 1; 0 where values have none. */
export const MAP_LOCK = 40;
/** Who may not write: MAP_FROZEN_… bits. */
export const MAP_FROZEN = 44;
/** Type's own words start here. */
export const MAP_PRIVATE = 48;
export const MAP_DESCRIPTOR_BYTES = 128;
/** BPF_MAP_FREEZE was done: update and delete of bpf() give -EPERM; as in the kernel, a program's do not. */
export const MAP_FROZEN_SYSCALLS = 1;
/** BPF_F_RDONLY_PROG: a program's update and delete give -EPERM (the kernel's verifier refuses them). */
export const MAP_FROZEN_PROGRAMS = 2;

// Every kind of hash: words of the descriptor after MAP_PRIVATE, all written once at creation. Of a per-CPU kind, MAP_DATA
// is where the copies are: MAP_CPU_STRIDE bytes a CPU, MAP_VALUE_STRIDE an element.
/** Arena offset of the buckets: HASH_MASK + 1 of BUCKET_BYTES. */
export const HASH_BUCKETS = 48;
export const HASH_MASK = 52;
/** Arena offset of the elements, HASH_TOTAL of HASH_STRIDE bytes: maxEntries, and a ring's worth for each CPU. */
export const HASH_ELEMENTS = 56;
export const HASH_STRIDE = 60;
export const HASH_TOTAL = 64;
/** Offset of the value in an element. */
export const HASH_VALUE = 68;
/** Arena offset of the areas: one a CPU, and one shared by all. */
export const HASH_AREAS = 72;
/** Elements that a CPU takes at a time from those that were never used. */
export const HASH_CHUNK = 76;
/** Arena offset of the hash function's HASH_MULTIPLIERS random u64. */
export const HASH_SEED = 80;
export const HASH_MULTIPLIERS = 18;
/** CPUs that have an area. */
export const HASH_CPUS = 84;
/** BPF_F_NO_COMMON_LRU: elements of a CPU's own part, those of its ring last; 0 where all CPUs share all elements. */
export const HASH_OWN = 88;

/** Bucket: u32 offset of the first element or 0; u32 lock word: version << 8 | owner's CPU + 1, or 0. */
export const BUCKET_BYTES = 8;
export const BUCKET_HEAD = 0;
export const BUCKET_LOCK = 4;

// Element of a hash: 16 bytes, then the key rounded up to 8, then the value rounded up to 8; of a per-CPU kind, in place of
// the value the u32 address of CPU 0's copy, and of a HASH_OF_MAPS, the u32 address of a descriptor.
/** u32 hash of the key; its complement while the element is being filled. */
export const ELEMENT_HASH = 0;
/** u8, LRU_HASH: set by a lookup, cleared by the sweep that looks for a victim. */
export const ELEMENT_REFERENCED = 4;
/** u8: 0 free, ELEMENT_LINKED, or CPU + 1 of the one that has it in hand. */
export const ELEMENT_HOLDER = 5;
export const ELEMENT_LINKED = 255;
/** u16: changes each time the element is filled, so that a copy can be told from a torn one. */
export const ELEMENT_GENERATION = 6;
/** u32, atomic: next element of the chain or 0. Left alone when the element is freed: a reader may stand on it. */
export const ELEMENT_NEXT = 8;
/** u32: next element of a free list or 0. */
export const ELEMENT_LINK = 12;
export const ELEMENT_KEY = 16;

// Area: 128 bytes. The CPU's own, but for the lock and what it guards.
/** u32, atomic: 0, or CPU + 1 of the owner. Guards AREA_FREE, AREA_NEXT and AREA_END. */
export const AREA_LOCK = 0;
/** u32: first element of the free list or 0. */
export const AREA_FREE = 4;
/** u32 each: the part of the never used elements that is this CPU's, from NEXT up to END. */
export const AREA_NEXT = 8;
export const AREA_END = 12;
/** u32: which entry of the ring is the oldest, modulo AREA_RING_SLOTS. */
export const AREA_RING_POSITION = 16;
/** u32: element that the CPU linked last, or was about to. */
export const AREA_INSERTING = 20;
/** u32 each, LRU_HASH: element at which the CPU goes on looking for a victim, and how many more it may look at. */
export const AREA_CURSOR = 24;
export const AREA_CURSOR_LEFT = 28;
/** u32 each: elements that this CPU freed last; they rest here before they are used again. */
export const AREA_RING = 32;
export const AREA_RING_SLOTS = 8;
// The rest is used in the shared area only.
/** u32, atomic: 0, or CPU + 1 of the owner. Guards AREA_GROWN. */
export const AREA_GROW_LOCK = 64;
/** u32: first element that no CPU was given yet; elements before AREA_GROW_END can be given. */
export const AREA_GROWN = 68;
export const AREA_GROW_END = 72;
/** u32, atomic, LRU_HASH: number of the element up to which CPUs have taken ranges to look for victims in. */
export const AREA_HAND = 76;
export const AREA_BYTES = 128;

// LPM_TRIE: words of the descriptor. The first are written once, but for the root.
/** u32, atomic: the first node or 0. */
export const TRIE_ROOT = 48;
/** Arena offset of the nodes, and of their end. */
export const TRIE_NODES = 52;
export const TRIE_END = 56;
export const TRIE_STRIDE = 60;
// What follows is in a cache line of its own. But for TRIE_FREES, the lock guards it.
/** u32, atomic: 0, or CPU + 1 of the owner. */
export const TRIE_LOCK = 64;
/** u32: prefixes in the map. */
export const TRIE_ENTRIES = 68;
/** u32: first node that was never used. */
export const TRIE_UNUSED = 72;
/** u32 each: nodes that were freed, the first the one to be used again, and how many there are. */
export const TRIE_FREE = 76;
export const TRIE_FREE_LAST = 80;
export const TRIE_FREE_COUNT = 84;
/** u32, atomic: nodes freed since the start. Lookups compare it with what it was when they began. */
export const TRIE_FREES = 88;
/** Nodes that are freed before one of them is used again: as many frees a lookup may miss. */
export const TRIE_RESTING = 256;

// Node: 24 bytes, then the prefix rounded up to 8, then the value rounded up to 8.
/** u32 each, atomic: the child whose next bit is 0, and the one whose is 1; or 0. */
export const NODE_CHILDREN = 0;
/** u32: bits of the prefix. */
export const NODE_BITS = 8;
/** u32, atomic: NODE_ENTRY, or NODE_BRANCH for one that only tells its two children apart. */
export const NODE_STATE = 12;
export const NODE_ENTRY = 1;
export const NODE_BRANCH = 2;
/** u32: the node that was freed next. */
export const NODE_NEXT_FREE = 16;
/** u32: 1 for a node that recovery has seen in the trie. */
export const NODE_SEEN = 20;
export const NODE_PREFIX = 24;

// QUEUE and STACK: words of the descriptor, in a cache line that nobody reads for the map's shape. The values lie at
// MAP_DATA, one more place than maxEntries, so that head = tail says empty.
/** u32, atomic: 0, or CPU + 1 of the owner. Guards the two others. */
export const QUEUE_LOCK = 64;
/** u32 each: place that the next push fills, and place of the oldest value. */
export const QUEUE_HEAD = 68;
export const QUEUE_TAIL = 72;

// BLOOM_FILTER: words of the descriptor, written once. HASH_SEED is used as by a hash; the bits lie at MAP_DATA.
/** u32: bits − 1, which are a power of two. */
export const BLOOM_MASK = 48;
/** u32: bits that a value sets. */
export const BLOOM_FUNCTIONS = 52;

// RINGBUF. Records lie in a room of twice maxEntries bytes, which begins on a page of RING_PAGE_BYTES: one that begins
// before the end of the first half goes on into the second, where the kernel has mapped the first a second time.
// The state lies in front of the room, the producers' words and the consumer's in cache lines of their own.
/** u32: arena offset of the room; map_init writes it. */
export const RING_DATA = 48;
/** u32: CPU + 1 of the only one that may write (a ring of a PERF_EVENT_ARRAY), else 0. */
export const RING_CPU = 52;
export const RING_PAGE_BYTES = 4096;
export const RING_PAGE_SHIFT = 12;
/** Bytes in front of the room; what follows is counted from RING_DATA − RING_STATE_BYTES. */
export const RING_STATE_BYTES = 192;
/** u32: the map's descriptor. */
export const RING_MAP = 0;
/** u32: arena offset of the word that wakes the consumer: RING_WAKE, or the PERF_WAKE of a PERF_EVENT_ARRAY. */
export const RING_WAKER = 4;
/** u32, atomic: 0, or CPU + 1 of the owner. Guards RING_PRODUCED. */
export const RING_LOCK = 64;
/** u64, atomic: bytes reserved since the start; the lock's owner writes it. */
export const RING_PRODUCED = 72;
/** u64, atomic: bytes consumed since the start; the one consumer writes it. */
export const RING_CONSUMED = 128;
/** u32, atomic: counts wake-ups; the consumer waits on it. */
export const RING_WAKE = 136;
/** u64, atomic: records that found no room (rings of a PERF_EVENT_ARRAY). */
export const RING_LOST = 144;

// PERF_EVENT_ARRAY: at MAP_DATA a word a slot, atomic: descriptor of the slot's ring (a RINGBUF), or 0.
/** u32, atomic, in the descriptor: counts the wake-ups of all the rings. */
export const PERF_WAKE = 64;

// A record: 8 bytes, then the data, together rounded up to 8; positions in the ring are multiples of 8.
/** u32, atomic: length of the data, bytes, and two bits (uapi/linux/bpf.h, BPF_RINGBUF_…). */
export const RECORD_LENGTH = 0;
export const RECORD_BUSY = 0x80000000;
export const RECORD_DISCARDED = 0x40000000;
/** u32: pages from the room's start to the header's page, and CPU + 1 of who reserved it above RECORD_OWNER_SHIFT. */
export const RECORD_PLACE = 4;
export const RECORD_OWNER_SHIFT = 24;
export const RECORD_HEADER_BYTES = 8;

// struct bpf_dynptr, 16 bytes of a program's stack; all zero is one that has nothing.
/** u64: arena offset of the memory. */
export const DYNPTR_DATA = 0;
/** u32: length, bytes; DYNPTR_READ_ONLY above; between them the kind, which only the verifier tells apart. */
export const DYNPTR_SIZE = 8;
export const DYNPTR_SIZE_MASK = 0xffffff;
export const DYNPTR_READ_ONLY = 0x80000000;
/** u32: where the window that the program sees begins. */
export const DYNPTR_OFFSET = 12;

// DEVMAP, CPUMAP, XSKMAP: 8 bytes an element at MAP_DATA, read and written at once; 0 is an empty one. (A DEVMAP_HASH
// is a hash whose values are the same.)
// u32 at 0: interface, length of the CPU's queue, or number of the socket; u32 at 4: number of the program to run there or
// 0 (DEVMAP, CPUMAP), 1 where there is a socket (XSKMAP).
export const TARGET_BYTES = 8;
