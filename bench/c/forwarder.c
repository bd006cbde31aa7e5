// SPDX-License-Identifier: Apache-2.0
// The yardstick: a forwarder over AF_PACKET in C that does what a worker of this project does and nothing more.
// It swaps the MAC addresses of each frame and sends it out of the ring's own memory with sendmmsg.
//   forwarder INTERFACE v2|v3          (ends by a signal)
// v2: TPACKET_V2, frame by frame, as our workers. v3: TPACKET_V3, whose frames come by the block, when it is full or
// its time is over. Both wait with a blocking poll.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define BATCH 64
#define FRAME_BYTES 2048
#define V2_FRAMES 2048
#define V2_BLOCK_BYTES 65536
#define V3_BLOCK_BYTES (1 << 18)
#define V3_BLOCKS 16
#define V3_BLOCK_TIMEOUT_MS 1
#define HEADROOM_BYTES 192
#define WAIT_MS 100

static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];

static void die(const char *what)
{
	fprintf(stderr, "forwarder: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void set_option(int fd, int option, const void *value, socklen_t bytes, const char *name)
{
	if (setsockopt(fd, SOL_PACKET, option, value, bytes) < 0)
		die(name);
}

static void bind_to(int fd, int ifindex, uint16_t protocol)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = ifindex };

	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("bind");
}

static void swap_macs(uint8_t *frame)
{
	uint8_t address[ETH_ALEN];

	memcpy(address, frame, ETH_ALEN);
	memcpy(frame, frame + ETH_ALEN, ETH_ALEN);
	memcpy(frame + ETH_ALEN, address, ETH_ALEN);
}

static void send_all(int fd, unsigned count)
{
	for (unsigned sent = 0; sent < count;) {
		int taken = sendmmsg(fd, messages + sent, count - sent, MSG_DONTWAIT);

		sent += taken > 0 ? (unsigned)taken : 1;
	}
}

static void append(unsigned at, void *frame, uint32_t bytes)
{
	swap_macs(frame);
	vectors[at] = (struct iovec){ .iov_base = frame, .iov_len = bytes };
}

static void wait_for(int fd)
{
	struct pollfd event = { .fd = fd, .events = POLLIN };

	poll(&event, 1, WAIT_MS);
}

static void forward_v2(int receiver, int sender, uint8_t *ring)
{
	unsigned next = 0;

	for (;;) {
		struct tpacket2_hdr *batch[BATCH];
		unsigned count = 0;

		while (count < BATCH) {
			struct tpacket2_hdr *header = (void *)(ring + (size_t)next * FRAME_BYTES);

			if (!(__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
				break;
			append(count, (uint8_t *)header + header->tp_mac, header->tp_snaplen);
			batch[count++] = header;
			next = (next + 1) % V2_FRAMES;
		}
		if (count == 0) {
			wait_for(receiver);
			continue;
		}
		send_all(sender, count);
		for (unsigned i = 0; i < count; i++)
			__atomic_store_n(&batch[i]->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	}
}

static void forward_v3(int receiver, int sender, uint8_t *ring)
{
	unsigned next = 0;

	for (;;) {
		struct tpacket_block_desc *block = (void *)(ring + (size_t)next * V3_BLOCK_BYTES);
		struct tpacket3_hdr *header;
		unsigned count = 0;

		if (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
			wait_for(receiver);
			continue;
		}
		header = (void *)((uint8_t *)block + block->hdr.bh1.offset_to_first_pkt);
		for (unsigned left = block->hdr.bh1.num_pkts; left > 0; left--) {
			append(count++, (uint8_t *)header + header->tp_mac, header->tp_snaplen);
			if (count == BATCH) {
				send_all(sender, count);
				count = 0;
			}
			header = (void *)((uint8_t *)header + header->tp_next_offset);
		}
		send_all(sender, count);
		__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		next = (next + 1) % V3_BLOCKS;
	}
}

int main(int argc, char **argv)
{
	if (argc != 3 || (strcmp(argv[2], "v2") && strcmp(argv[2], "v3"))) {
		fprintf(stderr, "usage: forwarder INTERFACE v2|v3\n");
		return 2;
	}
	int is_v3 = !strcmp(argv[2], "v3");
	int ifindex = (int)if_nametoindex(argv[1]);
	int version = is_v3 ? TPACKET_V3 : TPACKET_V2, on = 1, headroom = HEADROOM_BYTES;
	int receiver = socket(AF_PACKET, SOCK_RAW, 0), sender = socket(AF_PACKET, SOCK_RAW, 0);
	size_t bytes = is_v3 ? (size_t)V3_BLOCK_BYTES * V3_BLOCKS : (size_t)FRAME_BYTES * V2_FRAMES;
	uint8_t *ring;

	if (ifindex == 0)
		die(argv[1]);
	if (receiver < 0 || sender < 0)
		die("socket");
	set_option(receiver, PACKET_VERSION, &version, sizeof(version), "PACKET_VERSION");
	set_option(receiver, PACKET_RESERVE, &headroom, sizeof(headroom), "PACKET_RESERVE");
	if (is_v3) {
		struct tpacket_req3 request = { V3_BLOCK_BYTES, V3_BLOCKS, FRAME_BYTES, bytes / FRAME_BYTES, V3_BLOCK_TIMEOUT_MS, 0, 0 };

		set_option(receiver, PACKET_RX_RING, &request, sizeof(request), "PACKET_RX_RING");
	} else {
		struct tpacket_req request = { V2_BLOCK_BYTES, bytes / V2_BLOCK_BYTES, FRAME_BYTES, V2_FRAMES };

		set_option(receiver, PACKET_RX_RING, &request, sizeof(request), "PACKET_RX_RING");
	}
	set_option(receiver, PACKET_IGNORE_OUTGOING, &on, sizeof(on), "PACKET_IGNORE_OUTGOING");
	set_option(sender, PACKET_QDISC_BYPASS, &on, sizeof(on), "PACKET_QDISC_BYPASS");
	ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, receiver, 0);
	if (ring == MAP_FAILED)
		die("mmap");
	bind_to(receiver, ifindex, ETH_P_ALL);
	bind_to(sender, ifindex, 0);
	for (unsigned i = 0; i < BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1 };
	puts("ready");
	fflush(stdout);
	if (is_v3)
		forward_v3(receiver, sender, ring);
	else
		forward_v2(receiver, sender, ring);
}
