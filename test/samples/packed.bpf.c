/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Headers without alignment: compilers read and write them byte by byte. */
#include "sample.h"
#include "net.h"

/* Behind the addresses of a frame, one byte off. */
struct session {
	__u8 version;
	__be16 length;
	__be32 stream;
	__u64 token;
	__u8 label[6];
	__u16 checksum;
	__s16 drift;
	__s32 offset;
} __packed;

static __always_inline struct session *session_of(struct xdp_md *ctx)
{
	struct session *session = XDP_DATA(ctx) + sizeof(struct ethhdr);

	return (void *)(session + 1) > XDP_DATA_END(ctx) ? NULL : session;
}

/* Fields in network order and in the machine's are read, checked, and written again. */
SEC("xdp")
int rewrite(struct xdp_md *ctx)
{
	struct session *session = session_of(ctx);
	__u32 stream;
	__u64 token;

	if (!session)
		return XDP_PASS;
	stream = bpf_ntohl(session->stream);
	token = bpf_cpu_to_be64(session->token);
	if (bpf_ntohs(session->length) == 0xffff)
		return XDP_DROP;
	token = token * 6364136223846793005ULL + stream;
	session->token = bpf_cpu_to_be64(token);
	session->stream = bpf_htonl(stream + 1);
	session->length = bpf_htons(bpf_ntohs(session->length) & 0x7fff);
	session->checksum += token;
	return token & 1 ? XDP_TX : XDP_PASS;
}

/* Signed fields, and constants next to each other. */
SEC("xdp")
int answer(struct xdp_md *ctx)
{
	struct session *session = session_of(ctx);
	__s64 sum;

	if (!session)
		return XDP_PASS;
	sum = (__s64)session->drift * session->offset;
	session->version = 2;
	session->length = bpf_htons(sizeof(*session));
	session->stream = 0;
	session->token = 0x1122334455667788ULL;
	session->drift = -session->drift;
	session->offset = sum >> 3;
	return sum < 0 ? XDP_DROP : XDP_TX;
}

/* Where the frame came from, it goes back to. */
SEC("xdp")
int reflect(struct xdp_md *ctx)
{
	struct ethhdr *eth = XDP_DATA(ctx);
	__u8 mac[ETH_ALEN];

	if ((void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_PASS;
	memcpy(mac, eth->h_dest, ETH_ALEN);
	memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	memcpy(eth->h_source, mac, ETH_ALEN);
	return XDP_TX;
}

/* Bytes that overlap with those that are copied, one after another. */
SEC("xdp")
int smear(struct xdp_md *ctx)
{
	__u8 *data = XDP_DATA(ctx);

	if ((void *)(data + 32) > XDP_DATA_END(ctx))
		return XDP_PASS;
#pragma unroll
	for (int i = 14; i < 22; i++)
		data[i] = data[i + 3];
#pragma unroll
	for (int i = 31; i > 23; i--)
		data[i] = data[i - 5];
	return data[15] & 1 ? XDP_TX : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
