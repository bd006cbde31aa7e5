// SPDX-License-Identifier: Apache-2.0
// The yardstick for AF_XDP: a forwarder in C over one socket that does what a worker of this project does and nothing
// more. A program of three instructions' worth gives it every frame of queue 0; it swaps the MAC addresses of each and
// hands the same frame to the transmit ring.
//   xsk-forwarder INTERFACE          (ends by a signal)
// As large, as many and as often as the workers: 2,048 frames of 2 KiB, batches of 64, one call a batch to send, a
// blocking poll when there is nothing. Says on its second line in which mode it runs: copy or zerocopy.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH 64
#define FRAMES 2048u
#define FRAME_BYTES 2048u
#define MASK (FRAMES - 1)
#define WAIT_MS 100
#define SEND_BUFFER_BYTES (8 * 1024 * 1024)
#define MAC_BYTES 6
// Since Linux 6.17; older ones refuse it, and send 32 frames a call.
#define MAX_TX_SKB_BUDGET 9

struct ring {
	uint32_t *producer, *consumer, *flags;
	void *entries;
};

static void die(const char *what)
{
	fprintf(stderr, "xsk-forwarder: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int bpf(int command, union bpf_attr *attr, const char *what)
{
	long result = syscall(SYS_bpf, command, attr, sizeof(*attr));

	if (result < 0)
		die(what);
	return (int)result;
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })

/* Every frame to the socket of its queue; the link lives as long as the process. */
static void steer(int ifindex, int socket)
{
	union bpf_attr map = { .map_type = BPF_MAP_TYPE_XSKMAP, .key_size = 4, .value_size = 4, .max_entries = 1 };
	int fd = bpf(BPF_MAP_CREATE, &map, "BPF_MAP_CREATE");
	struct bpf_insn code[] = {
		INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 1, offsetof(struct xdp_md, rx_queue_index), 0),
		INSN(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, fd),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, XDP_DROP),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(code[0]),
		.license = (uintptr_t)"GPL",
		.expected_attach_type = BPF_XDP,
	};
	uint32_t queue = 0, value = (uint32_t)socket;
	union bpf_attr element = { .map_fd = (uint32_t)fd, .key = (uintptr_t)&queue, .value = (uintptr_t)&value };
	union bpf_attr link = { .link_create = { .target_ifindex = (uint32_t)ifindex, .attach_type = BPF_XDP, .flags = XDP_FLAGS_DRV_MODE } };

	link.link_create.prog_fd = (uint32_t)bpf(BPF_PROG_LOAD, &load, "BPF_PROG_LOAD");
	bpf(BPF_MAP_UPDATE_ELEM, &element, "BPF_MAP_UPDATE_ELEM");
	bpf(BPF_LINK_CREATE, &link, "BPF_LINK_CREATE");
}

static void set_option(int fd, int option, const void *value, socklen_t bytes, const char *name)
{
	if (setsockopt(fd, SOL_XDP, option, value, bytes) < 0)
		die(name);
}

static struct ring map_ring(int fd, const struct xdp_ring_offset *at, size_t entry_bytes, off_t page)
{
	uint8_t *start = mmap(NULL, at->desc + FRAMES * entry_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, page);

	if (start == MAP_FAILED)
		die("mmap");
	return (struct ring){ (void *)(start + at->producer), (void *)(start + at->consumer), (void *)(start + at->flags), start + at->desc };
}

static uint32_t seen(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void publish(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static void swap_macs(uint8_t *frame)
{
	uint8_t address[MAC_BYTES];

	memcpy(address, frame, MAC_BYTES);
	memcpy(frame, frame + MAC_BYTES, MAC_BYTES);
	memcpy(frame + MAC_BYTES, address, MAC_BYTES);
}

static void forward(int fd, uint8_t *frames, struct ring rx, struct ring tx, struct ring fill, struct ring done)
{
	struct xdp_desc *received = rx.entries, *to_send = tx.entries;
	uint64_t *to_fill = fill.entries, *sent = done.entries;

	for (;;) {
		uint32_t at = *rx.consumer, count = seen(rx.producer) - at;
		uint32_t fill_at = *fill.producer, send_at = *tx.producer;
		uint32_t done_at = *done.consumer, done_end = seen(done.producer);

		if (count > BATCH)
			count = BATCH;
		for (; done_at != done_end; done_at++)
			to_fill[fill_at++ & MASK] = sent[done_at & MASK] & ~(uint64_t)(FRAME_BYTES - 1);
		for (uint32_t i = 0; i < count; i++) {
			struct xdp_desc *desc = &received[(at + i) & MASK];

			swap_macs(frames + desc->addr);
			to_send[send_at++ & MASK] = (struct xdp_desc){ .addr = desc->addr, .len = desc->len };
		}
		publish(tx.producer, send_at);
		publish(fill.producer, fill_at);
		publish(rx.consumer, at + count);
		publish(done.consumer, done_at);
		for (uint32_t before = seen(tx.consumer); before != send_at && (seen(tx.flags) & XDP_RING_NEED_WAKEUP);) {
			uint32_t after;

			sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
			after = seen(tx.consumer);
			if (after == before)
				break;
			before = after;
		}
		if (count == 0) {
			struct pollfd event = { .fd = fd, .events = POLLIN };

			poll(&event, 1, seen(tx.consumer) == send_at && fill_at - seen(fill.consumer) > FRAMES / 2 ? WAIT_MS : 1);
		}
	}
}

int main(int argc, char **argv)
{
	struct xdp_umem_reg region = { .len = FRAMES * FRAME_BYTES, .chunk_size = FRAME_BYTES };
	int sizes[] = { XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING };
	int ring_size = FRAMES, budget = BATCH, buffer = SEND_BUFFER_BYTES;
	struct xdp_mmap_offsets offsets;
	struct xdp_options options;
	socklen_t bytes = sizeof(offsets);
	struct sockaddr_xdp address = { .sxdp_family = AF_XDP, .sxdp_flags = XDP_USE_NEED_WAKEUP };
	struct ring rx, tx, fill, done;
	uint8_t *frames;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: xsk-forwarder INTERFACE\n");
		return 2;
	}
	address.sxdp_ifindex = if_nametoindex(argv[1]);
	if (address.sxdp_ifindex == 0)
		die(argv[1]);
	fd = socket(AF_XDP, SOCK_RAW, 0);
	if (fd < 0)
		die("socket");
	frames = mmap(NULL, region.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (frames == MAP_FAILED)
		die("mmap");
	region.addr = (uintptr_t)frames;
	set_option(fd, XDP_UMEM_REG, &region, sizeof(region), "XDP_UMEM_REG");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		set_option(fd, sizes[i], &ring_size, sizeof(ring_size), "a ring");
	setsockopt(fd, SOL_XDP, MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &bytes) < 0)
		die("XDP_MMAP_OFFSETS");
	rx = map_ring(fd, &offsets.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING);
	tx = map_ring(fd, &offsets.tx, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING);
	fill = map_ring(fd, &offsets.fr, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING);
	done = map_ring(fd, &offsets.cr, sizeof(uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING);
	for (uint32_t i = 0; i < FRAMES; i++)
		((uint64_t *)fill.entries)[i] = (uint64_t)i * FRAME_BYTES;
	publish(fill.producer, FRAMES);
	// The kernel may still be cleaning up behind the last socket of the queue.
	for (int tries = 0; bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0; tries++) {
		if (errno != EBUSY || tries == 250)
			die("bind");
		usleep(20000);
	}
	steer((int)address.sxdp_ifindex, fd);
	bytes = sizeof(options);
	if (getsockopt(fd, SOL_XDP, XDP_OPTIONS, &options, &bytes) < 0)
		die("XDP_OPTIONS");
	printf("ready\n%s\n", options.flags & XDP_OPTIONS_ZEROCOPY ? "zerocopy" : "copy");
	fflush(stdout);
	forward(fd, frames, rx, tx, fill, done);
}
