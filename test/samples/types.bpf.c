/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Types that BTF has to say: typedefs, anonymous members, unions, enums of 64 bits, tags, nested arrays, const maps. */
#include "sample.h"
#include "net.h"

#define __tag(text) __attribute__((btf_decl_tag(text)))

typedef __u32 session_id_t;
typedef struct {
	session_id_t id;
	union {
		struct {
			__be32 v4;
			__u32 pad[3];
		};
		struct in6_addr v6;
	} address;
} session_key_t;

enum class { CLASS_LOW = 1, CLASS_HIGH = 1ULL << 40 };

typedef struct session {
	enum class class __tag("class");
	__u16 matrix[2][3];
	bool active;
	char label[9];
	__s32 delta;
	const volatile __u8 *never;
	double unused;
} session_t;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, session_key_t);
	__type(value, session_t);
} sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, enum class);
} classes SEC(".maps");

session_t *described __maybe_unused;
double ratio = 0.5;

SEC("xdp")
int typed(struct xdp_md *ctx)
{
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);
	session_key_t key;
	session_t fresh, *session;
	enum class *class;
	__u32 slot;

	if ((void *)(iph + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	memset(&key, 0, sizeof(key));
	memset(&fresh, 0, sizeof(fresh));
	key.id = iph->protocol;
	key.address.v4 = iph->saddr;
	slot = iph->protocol & 7;
	class = bpf_map_lookup_elem(&classes, &slot);
	session = bpf_map_lookup_elem(&sessions, &key);
	if (session) {
		session->matrix[1][2]++;
		session->matrix[0][slot & 1] += 2;
		session->delta -= session->active;
		session->active = !session->active;
		return XDP_TX;
	}
	fresh.class = class ? *class : CLASS_HIGH;
	fresh.active = true;
	memcpy(fresh.label, "session!", 9);
	bpf_map_update_elem(&sessions, &key, &fresh, BPF_ANY);
	return fresh.class == CLASS_HIGH ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
