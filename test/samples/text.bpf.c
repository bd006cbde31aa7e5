/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Text: numbers read and written, strings compared. */
#include "sample.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, char[32]);
} texts SEC(".maps");

long numbers[4];

SEC("xdp")
int text(struct xdp_md *ctx)
{
	static const char format[] = "%d bytes, %x, %s";
	static const char word[] = "waggle";
	__u64 args[3] = { ctx->data_end - ctx->data, 0xbee, (unsigned long)word };
	char buffer[32] = {}, negative[] = "-0x1fz", plain[] = "1234567890";
	__u32 key = 1;
	long length, value = 0;
	unsigned long big = 0;

	length = bpf_snprintf(buffer, sizeof(buffer), format, args, sizeof(args));
	bpf_map_update_elem(&texts, &key, buffer, BPF_ANY);
	numbers[0] = bpf_strtol(negative, sizeof(negative), 0, &value);
	numbers[1] = value;
	numbers[2] = bpf_strtoul(plain, sizeof(plain), 10, &big);
	numbers[3] = big;
	if (bpf_strncmp(buffer, 3, "60 ") == 0)
		return XDP_TX;
	return length > 20 ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
