// SPDX-License-Identifier: Apache-2.0
// Frames for a forwarder, faster than any can forward (BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES).
//   generator INTERFACE FRAME_AS_HEX FLOWS pass|tx          (ends by a signal)
// pass: the kernel hands them to the stack as if the interface had received them, so that the sending side of a veth
// costs nothing. tx: it sends them by the interface, to an XDP program at the other end of a veth, past both stacks.
// FLOWS, a power of two: how many values the 16 bits at offset 34 (an IPv4 frame's source port) take, by chance.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FRAMES_A_RUN (1u << 24)
#define BATCH 64
#define SOURCE_PORT 34

static void die(const char *what)
{
	fprintf(stderr, "generator: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })

static int word(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return (int)value;
}

static int load_program(const uint8_t *frame, uint32_t flows, int verdict)
{
	struct bpf_insn code[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_prandom_u32),
		INSN(BPF_ALU64 | BPF_AND | BPF_K, 0, 0, 0, (int)(flows - 1)),
		INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 6, 0, 0), // data
		INSN(BPF_LDX | BPF_MEM | BPF_W, 3, 6, 4, 0), // data_end
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 4, 2, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, SOURCE_PORT + 2),
		INSN(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 5, 0),
		INSN(BPF_STX | BPF_MEM | BPF_H, 2, 0, SOURCE_PORT, 0),
		// The kernel uses its pages again as they are: who took the frame may have put an outer header over this one.
		INSN(BPF_ST | BPF_MEM | BPF_W, 2, 0, 0, word(frame)),
		INSN(BPF_ST | BPF_MEM | BPF_W, 2, 0, 4, word(frame + 4)),
		INSN(BPF_ST | BPF_MEM | BPF_W, 2, 0, 8, word(frame + 8)),
		INSN(BPF_ST | BPF_MEM | BPF_W, 2, 0, 12, word(frame + 12)),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, verdict),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(code[0]),
		.license = (uintptr_t)"GPL",
	};
	long fd = bpf(BPF_PROG_LOAD, &attr);

	if (fd < 0)
		die("BPF_PROG_LOAD");
	return (int)fd;
}

int main(int argc, char **argv)
{
	static uint8_t frame[2048];
	struct xdp_md context = { 0 };
	size_t bytes = argc == 5 ? strlen(argv[2]) / 2 : 0;
	unsigned long flows = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
	int is_tx = argc == 5 && !strcmp(argv[4], "tx");
	int program;

	if (bytes < SOURCE_PORT + 2 || bytes > sizeof(frame) || flows == 0 || flows > 65536 || (flows & (flows - 1)) ||
	    (!is_tx && strcmp(argv[4], "pass"))) {
		fprintf(stderr, "usage: generator INTERFACE FRAME_AS_HEX FLOWS pass|tx\n");
		return 2;
	}
	for (size_t i = 0; i < bytes; i++)
		if (sscanf(argv[2] + 2 * i, "%2hhx", &frame[i]) != 1)
			die("FRAME_AS_HEX");
	context.ingress_ifindex = if_nametoindex(argv[1]);
	if (context.ingress_ifindex == 0)
		die(argv[1]);
	context.data_end = bytes;
	program = load_program(frame, (uint32_t)flows, is_tx ? XDP_TX : XDP_PASS);
	for (;;) {
		union bpf_attr attr = {
			.test = {
				.prog_fd = (uint32_t)program,
				.data_in = (uintptr_t)frame,
				.data_size_in = (uint32_t)bytes,
				.ctx_in = (uintptr_t)&context,
				.ctx_size_in = sizeof(context),
				.repeat = FRAMES_A_RUN,
				.flags = BPF_F_TEST_XDP_LIVE_FRAMES,
				.batch_size = BATCH,
			},
		};

		if (bpf(BPF_PROG_TEST_RUN, &attr) < 0 && errno != EINTR)
			die("BPF_PROG_TEST_RUN");
	}
}
