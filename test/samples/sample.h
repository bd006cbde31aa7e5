/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the samples need of BPF, by the names that everybody's programs use (uapi/linux/bpf.h, bpf-helpers(7)). */
#ifndef WAGGLE_SAMPLE_H
#define WAGGLE_SAMPLE_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u16 __sum16;
typedef __u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __weak __attribute__((weak))
#define __hidden __attribute__((visibility("hidden")))
#define __packed __attribute__((packed))
#define __maybe_unused __attribute__((unused))
#define __aligned(bytes) __attribute__((aligned(bytes)))
#define __kconfig __attribute__((section(".kconfig")))
#define __ksym __attribute__((section(".ksyms")))
#define __core __attribute__((preserve_access_index))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define offsetof(type, member) __builtin_offsetof(type, member)
#define memcpy __builtin_memcpy
#define memset __builtin_memset
#define memmove __builtin_memmove
#define memcmp __builtin_memcmp
#define barrier() asm volatile("" ::: "memory")
#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define bpf_htons(x) ((__be16)__builtin_bswap16(x))
#define bpf_ntohs(x) ((__u16)__builtin_bswap16(x))
#define bpf_htonl(x) ((__be32)__builtin_bswap32(x))
#define bpf_ntohl(x) ((__u32)__builtin_bswap32(x))
#define bpf_cpu_to_be64(x) ((__u64)__builtin_bswap64(x))
#else
#define bpf_htons(x) ((__be16)(x))
#define bpf_ntohs(x) ((__u16)(x))
#define bpf_htonl(x) ((__be32)(x))
#define bpf_ntohl(x) ((__u32)(x))
#define bpf_cpu_to_be64(x) ((__u64)(x))
#endif

#define __uint(name, value) int(*name)[value]
#define __type(name, type) typeof(type) *name
#define __array(name, type) typeof(type) *name[]
#define LIBBPF_PIN_BY_NAME 1

enum bpf_map_type {
	BPF_MAP_TYPE_UNSPEC,
	BPF_MAP_TYPE_HASH,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_STACK_TRACE,
	BPF_MAP_TYPE_CGROUP_ARRAY,
	BPF_MAP_TYPE_LRU_HASH,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_LPM_TRIE,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_DEVMAP,
	BPF_MAP_TYPE_SOCKMAP,
	BPF_MAP_TYPE_CPUMAP,
	BPF_MAP_TYPE_XSKMAP,
	BPF_MAP_TYPE_SOCKHASH,
	BPF_MAP_TYPE_QUEUE = 22,
	BPF_MAP_TYPE_STACK,
	BPF_MAP_TYPE_SK_STORAGE,
	BPF_MAP_TYPE_DEVMAP_HASH,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
	BPF_MAP_TYPE_BLOOM_FILTER,
	BPF_MAP_TYPE_USER_RINGBUF,
	BPF_MAP_TYPE_ARENA = 33,
};

enum { BPF_ANY, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK = 4 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_NO_COMMON_LRU = 2, BPF_F_RDONLY_PROG = 128, BPF_F_MMAPABLE = 1024, BPF_F_INNER_MAP = 4096 };
enum { BPF_F_BROADCAST = 8, BPF_F_EXCLUDE_INGRESS = 16 };
enum { BPF_F_RECOMPUTE_CSUM = 1, BPF_F_INVALIDATE_HASH = 2, BPF_F_PSEUDO_HDR = 16, BPF_F_MARK_MANGLED_0 = 32 };
enum { BPF_F_INGRESS = 1 };
enum { BPF_ADJ_ROOM_NET, BPF_ADJ_ROOM_MAC };
#define BPF_F_CURRENT_CPU 0xffffffffULL
#define BPF_F_ADJ_ROOM_FIXED_GSO 1
#define BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 2
enum { BPF_HDR_START_MAC, BPF_HDR_START_NET };

enum xdp_action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum {
	TC_ACT_UNSPEC = -1,
	TC_ACT_OK,
	TC_ACT_RECLASSIFY,
	TC_ACT_SHOT,
	TC_ACT_PIPE,
	TC_ACT_STOLEN,
	TC_ACT_QUEUED,
	TC_ACT_REPEAT,
	TC_ACT_REDIRECT,
};

struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u32 egress_ifindex;
};

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
	__u32 napi_id;
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 data_meta;
	__u64 flow_keys __aligned(8);
	__u64 tstamp;
	__u32 wire_len;
	__u32 gso_segs;
	__u64 sk __aligned(8);
	__u32 gso_size;
	__u8 tstamp_type;
	__u64 hwtstamp;
};

#define XDP_DATA(ctx) ((void *)(long)(ctx)->data)
#define XDP_DATA_END(ctx) ((void *)(long)(ctx)->data_end)

struct bpf_spin_lock {
	__u32 val;
};
struct bpf_timer {
	__u64 opaque[2];
} __aligned(8);
struct bpf_dynptr {
	__u64 opaque[2];
} __aligned(8);
struct bpf_devmap_val {
	__u32 ifindex;
	union {
		int fd;
		__u32 id;
	} bpf_prog;
};
struct bpf_cpumap_val {
	__u32 qsize;
	union {
		int fd;
		__u32 id;
	} bpf_prog;
};
struct bpf_redir_neigh {
	__u32 nh_family;
	union {
		__be32 ipv4_nh;
		__u32 ipv6_nh[4];
	};
};
struct bpf_fib_lookup {
	__u8 family;
	__u8 l4_protocol;
	__be16 sport;
	__be16 dport;
	__u16 tot_len;
	__u32 ifindex;
	union {
		__u8 tos;
		__be32 flowinfo;
		__u32 rt_metric;
	};
	union {
		__be32 ipv4_src;
		__u32 ipv6_src[4];
	};
	union {
		__be32 ipv4_dst;
		__u32 ipv6_dst[4];
	};
	__be16 h_vlan_proto;
	__be16 h_vlan_TCI;
	__u8 smac[6];
	__u8 dmac[6];
};
enum { BPF_FIB_LOOKUP_DIRECT = 1, BPF_FIB_LOOKUP_OUTPUT = 2, BPF_FIB_LOOKUP_SKIP_NEIGH = 4, BPF_FIB_LOOKUP_TBID = 8 };
enum {
	BPF_FIB_LKUP_RET_SUCCESS,
	BPF_FIB_LKUP_RET_BLACKHOLE,
	BPF_FIB_LKUP_RET_UNREACHABLE,
	BPF_FIB_LKUP_RET_PROHIBIT,
	BPF_FIB_LKUP_RET_NOT_FWDED,
	BPF_FIB_LKUP_RET_FWD_DISABLED,
	BPF_FIB_LKUP_RET_UNSUPP_LWT,
	BPF_FIB_LKUP_RET_NO_NEIGH,
	BPF_FIB_LKUP_RET_FRAG_NEEDED,
};

#define HELPER(id) = (void *)id
static void *(*const bpf_map_lookup_elem)(void *map, const void *key) HELPER(1);
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) HELPER(2);
static long (*const bpf_map_delete_elem)(void *map, const void *key) HELPER(3);
static long (*const bpf_probe_read)(void *to, __u32 size, const void *from) HELPER(4);
static __u64 (*const bpf_ktime_get_ns)(void) HELPER(5);
static long (*const bpf_trace_printk)(const char *format, __u32 size, ...) HELPER(6);
static __u32 (*const bpf_get_prandom_u32)(void) HELPER(7);
static __u32 (*const bpf_get_smp_processor_id)(void) HELPER(8);
static long (*const bpf_skb_store_bytes)(struct __sk_buff *skb, __u32 offset, const void *from, __u32 length, __u64 flags) HELPER(9);
static long (*const bpf_l3_csum_replace)(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 size) HELPER(10);
static long (*const bpf_l4_csum_replace)(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 flags) HELPER(11);
static long (*const bpf_tail_call)(void *ctx, void *map, __u32 index) HELPER(12);
static long (*const bpf_clone_redirect)(struct __sk_buff *skb, __u32 ifindex, __u64 flags) HELPER(13);
static __u64 (*const bpf_get_current_pid_tgid)(void) HELPER(14);
static __u64 (*const bpf_get_current_uid_gid)(void) HELPER(15);
static long (*const bpf_get_current_comm)(void *to, __u32 size) HELPER(16);
static long (*const bpf_skb_vlan_push)(struct __sk_buff *skb, __be16 protocol, __u16 tci) HELPER(18);
static long (*const bpf_skb_vlan_pop)(struct __sk_buff *skb) HELPER(19);
static long (*const bpf_redirect)(__u32 ifindex, __u64 flags) HELPER(23);
static long (*const bpf_perf_event_output)(void *ctx, void *map, __u64 flags, void *data, __u64 size) HELPER(25);
static long (*const bpf_skb_load_bytes)(const void *skb, __u32 offset, void *to, __u32 length) HELPER(26);
static __s64 (*const bpf_csum_diff)(__be32 *from, __u32 from_size, __be32 *to, __u32 to_size, __wsum seed) HELPER(28);
static long (*const bpf_skb_change_proto)(struct __sk_buff *skb, __be16 proto, __u64 flags) HELPER(31);
static long (*const bpf_skb_change_type)(struct __sk_buff *skb, __u32 type) HELPER(32);
static __u32 (*const bpf_get_hash_recalc)(struct __sk_buff *skb) HELPER(34);
static long (*const bpf_skb_change_tail)(struct __sk_buff *skb, __u32 length, __u64 flags) HELPER(38);
static long (*const bpf_skb_pull_data)(struct __sk_buff *skb, __u32 length) HELPER(39);
static void (*const bpf_set_hash_invalid)(struct __sk_buff *skb) HELPER(41);
static long (*const bpf_skb_change_head)(struct __sk_buff *skb, __u32 length, __u64 flags) HELPER(43);
static long (*const bpf_xdp_adjust_head)(struct xdp_md *ctx, int delta) HELPER(44);
static long (*const bpf_setsockopt)(void *ctx, int level, int name, void *value, int length) HELPER(49);
static long (*const bpf_skb_adjust_room)(struct __sk_buff *skb, __s32 length, __u32 mode, __u64 flags) HELPER(50);
static long (*const bpf_redirect_map)(void *map, __u64 key, __u64 flags) HELPER(51);
static long (*const bpf_sock_map_update)(void *ops, void *map, void *key, __u64 flags) HELPER(53);
static long (*const bpf_xdp_adjust_meta)(struct xdp_md *ctx, int delta) HELPER(54);
static long (*const bpf_msg_redirect_hash)(void *msg, void *map, void *key, __u64 flags) HELPER(71);
static long (*const bpf_xdp_adjust_tail)(struct xdp_md *ctx, int delta) HELPER(65);
static long (*const bpf_skb_load_bytes_relative)(const void *skb, __u32 offset, void *to, __u32 length, __u32 start) HELPER(68);
static long (*const bpf_fib_lookup)(void *ctx, struct bpf_fib_lookup *params, int size, __u32 flags) HELPER(69);
static void *(*const bpf_sk_lookup_tcp)(void *ctx, void *tuple, __u32 size, __u64 netns, __u64 flags) HELPER(84);
static long (*const bpf_sk_release)(void *sock) HELPER(86);
static long (*const bpf_map_push_elem)(void *map, const void *value, __u64 flags) HELPER(87);
static long (*const bpf_map_pop_elem)(void *map, void *value) HELPER(88);
static long (*const bpf_map_peek_elem)(void *map, void *value) HELPER(89);
static long (*const bpf_spin_lock)(struct bpf_spin_lock *lock) HELPER(93);
static long (*const bpf_spin_unlock)(struct bpf_spin_lock *lock) HELPER(94);
static long (*const bpf_skb_ecn_set_ce)(struct __sk_buff *skb) HELPER(97);
static long (*const bpf_tcp_check_syncookie)(void *sk, void *iph, __u32 iph_len, void *th, __u32 th_len) HELPER(100);
static long (*const bpf_strtol)(const char *text, __u64 length, __u64 flags, long *result) HELPER(105);
static long (*const bpf_strtoul)(const char *text, __u64 length, __u64 flags, unsigned long *result) HELPER(106);
static long (*const bpf_probe_read_kernel)(void *to, __u32 size, const void *from) HELPER(113);
static long (*const bpf_probe_read_user_str)(void *to, __u32 size, const void *from) HELPER(114);
static long (*const bpf_probe_read_kernel_str)(void *to, __u32 size, const void *from) HELPER(115);
static __u64 (*const bpf_jiffies64)(void) HELPER(118);
static __u64 (*const bpf_ktime_get_boot_ns)(void) HELPER(125);
static long (*const bpf_ringbuf_output)(void *ring, void *data, __u64 size, __u64 flags) HELPER(130);
static void *(*const bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) HELPER(131);
static void (*const bpf_ringbuf_submit)(void *data, __u64 flags) HELPER(132);
static void (*const bpf_ringbuf_discard)(void *data, __u64 flags) HELPER(133);
static __u64 (*const bpf_ringbuf_query)(void *ring, __u64 flags) HELPER(134);
static long (*const bpf_csum_level)(struct __sk_buff *skb, __u64 level) HELPER(135);
static long (*const bpf_redirect_neigh)(__u32 ifindex, struct bpf_redir_neigh *params, int size, __u64 flags) HELPER(152);
static void *(*const bpf_per_cpu_ptr)(const void *pointer, __u32 cpu) HELPER(153);
static long (*const bpf_redirect_peer)(__u32 ifindex, __u64 flags) HELPER(155);
static __u64 (*const bpf_ktime_get_coarse_ns)(void) HELPER(160);
static long (*const bpf_check_mtu)(void *ctx, __u32 ifindex, __u32 *mtu_len, __s32 difference, __u64 flags) HELPER(163);
static long (*const bpf_for_each_map_elem)(void *map, void *callback, void *context, __u64 flags) HELPER(164);
static long (*const bpf_snprintf)(char *to, __u32 size, const char *format, __u64 *data, __u32 data_size) HELPER(165);
static long (*const bpf_timer_init)(struct bpf_timer *timer, void *map, __u64 flags) HELPER(169);
static __u64 (*const bpf_get_attach_cookie)(void *ctx) HELPER(174);
static long (*const bpf_trace_vprintk)(const char *format, __u32 size, const void *data, __u32 data_size) HELPER(177);
static long (*const bpf_loop)(__u32 count, void *callback, void *context, __u64 flags) HELPER(181);
static long (*const bpf_strncmp)(const char *one, __u32 size, const char *other) HELPER(182);
static __u64 (*const bpf_xdp_get_buff_len)(struct xdp_md *ctx) HELPER(188);
static long (*const bpf_xdp_load_bytes)(struct xdp_md *ctx, __u32 offset, void *to, __u32 length) HELPER(189);
static long (*const bpf_xdp_store_bytes)(struct xdp_md *ctx, __u32 offset, void *from, __u32 length) HELPER(190);
static void *(*const bpf_map_lookup_percpu_elem)(void *map, const void *key, __u32 cpu) HELPER(195);
static long (*const bpf_ringbuf_reserve_dynptr)(void *ring, __u32 size, __u64 flags, struct bpf_dynptr *ptr) HELPER(198);
static void (*const bpf_ringbuf_submit_dynptr)(struct bpf_dynptr *ptr, __u64 flags) HELPER(199);
static long (*const bpf_dynptr_read)(void *to, __u32 length, const struct bpf_dynptr *from, __u32 offset, __u64 flags) HELPER(201);
static long (*const bpf_dynptr_write)(const struct bpf_dynptr *to, __u32 offset, void *from, __u32 length, __u64 flags) HELPER(202);
static long (*const bpf_tcp_raw_gen_syncookie_ipv4)(void *iph, void *th, __u32 th_len) HELPER(204);
static long (*const bpf_tcp_raw_check_syncookie_ipv4)(void *iph, void *th) HELPER(206);

#endif
