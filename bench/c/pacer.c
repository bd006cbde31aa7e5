// SPDX-License-Identifier: Apache-2.0
// Frames at an even rate, and how long each is on its way out of the interface and back into it.
//   pacer INTERFACE FRAME_AS_HEX FLOWS PER_SECOND MILLISECONDS
// PER_SECOND 0: as fast as they can be sent. FLOWS, a power of two: values that the 16 bits at offset 34 (an IPv4
// frame's source port) take in turn. The last 16 bytes of a frame are the tool's: a mark, and the time at which it was
// sent; whoever sends it back may put headers before it and nothing behind it. Frames are taken from a ring by looking, so
// that nobody has to wake this side. Prints one line of JSON: counts, and percentiles in ns.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#define SLOT_BYTES 2048
#define SLOTS 8192
#define BLOCK_BYTES 65536
#define MARK 0x57414747u
#define TRAILER_BYTES 16
#define SOURCE_PORT 34
#define BATCH 32
#define WARM_UP_NS 100000000ull
#define DRAIN_NS 50000000ull
#define MAX_SAMPLES (1u << 23)

struct trailer {
	uint32_t mark;
	uint32_t is_counted;
	uint64_t sent_ns;
};

static uint8_t frames[BATCH][SLOT_BYTES];
static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];
static uint32_t *samples;
static size_t taken;

static void die(const char *what)
{
	fprintf(stderr, "pacer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static int open_socket(int ifindex, uint16_t protocol)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = ifindex };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0)
		die("socket");
	if (protocol) {
		struct tpacket_req ring = {
			.tp_block_size = BLOCK_BYTES,
			.tp_block_nr = SLOTS / (BLOCK_BYTES / SLOT_BYTES),
			.tp_frame_size = SLOT_BYTES,
			.tp_frame_nr = SLOTS,
		};
		int version = TPACKET_V2, on = 1;

		if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0)
			die("PACKET_VERSION");
		if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0)
			die("PACKET_IGNORE_OUTGOING");
		if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)) < 0)
			die("PACKET_RX_RING");
	} else {
		int on = 1;

		// Past the queueing discipline: a frame is on its way when sendmmsg returns.
		if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0)
			die("PACKET_QDISC_BYPASS");
	}
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("bind");
	return fd;
}

// Takes what has come back.
static void take(uint8_t *ring, uint32_t *next)
{
	for (;;) {
		struct tpacket2_hdr *slot = (struct tpacket2_hdr *)(ring + (size_t)*next * SLOT_BYTES);
		struct trailer trailer;

		if (!(__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			return;
		if (slot->tp_snaplen >= TRAILER_BYTES && slot->tp_snaplen == slot->tp_len) {
			memcpy(&trailer, (uint8_t *)slot + slot->tp_mac + slot->tp_snaplen - TRAILER_BYTES, sizeof(trailer));
			if (trailer.mark == MARK && trailer.is_counted && taken < MAX_SAMPLES) {
				uint64_t ns = now_ns() - trailer.sent_ns;

				samples[taken++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
			}
		}
		__atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		*next = (*next + 1) % SLOTS;
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static uint32_t at(double share)
{
	size_t index = (size_t)((double)taken * share);

	return taken == 0 ? 0 : samples[index < taken ? index : taken - 1];
}

int main(int argc, char **argv)
{
	size_t bytes = argc == 6 ? strlen(argv[2]) / 2 : 0;
	unsigned long flows = argc == 6 ? strtoul(argv[3], NULL, 10) : 0;
	unsigned long per_second = argc == 6 ? strtoul(argv[4], NULL, 10) : 0;
	unsigned long milliseconds = argc == 6 ? strtoul(argv[5], NULL, 10) : 0;
	uint64_t start, count_from, end, due, flow = 0, counted = 0;
	uint32_t next = 0;
	uint8_t *ring;
	int ifindex, rx, tx;

	if (bytes < SOURCE_PORT + 2 + TRAILER_BYTES || bytes > SLOT_BYTES - 128 || flows == 0 || flows > 65536 ||
	    (flows & (flows - 1)) || milliseconds == 0) {
		fprintf(stderr, "usage: pacer INTERFACE FRAME_AS_HEX FLOWS PER_SECOND MILLISECONDS\n");
		return 2;
	}
	for (size_t i = 0; i < bytes; i++)
		if (sscanf(argv[2] + 2 * i, "%2hhx", &frames[0][i]) != 1)
			die("FRAME_AS_HEX");
	ifindex = (int)if_nametoindex(argv[1]);
	if (ifindex == 0)
		die(argv[1]);
	for (int i = 0; i < BATCH; i++) {
		memcpy(frames[i], frames[0], bytes);
		vectors[i] = (struct iovec){ .iov_base = frames[i], .iov_len = bytes };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1 };
	}
	samples = calloc(MAX_SAMPLES, sizeof(*samples));
	if (!samples)
		die("calloc");
	rx = open_socket(ifindex, ETH_P_ALL);
	tx = open_socket(ifindex, 0);
	ring = mmap(NULL, (size_t)SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, rx, 0);
	if (ring == MAP_FAILED)
		die("mmap");
	start = now_ns();
	due = start;
	count_from = start + WARM_UP_NS;
	end = count_from + (uint64_t)milliseconds * 1000000ull;
	for (;;) {
		uint64_t now = now_ns();
		int count = 0, sent;

		take(ring, &next);
		if (now >= end)
			break;
		if (per_second == 0)
			count = BATCH;
		// Who was late, for another process had the core, does not send what was missed in one burst.
		for (; per_second && due <= now && count < BATCH; due += 1000000000ull / per_second)
			count++;
		if (per_second && due + 1000000ull < now)
			due = now;
		if (count == 0)
			continue;
		for (int i = 0; i < count; i++) {
			uint16_t port = htons((uint16_t)(flow++ & (flows - 1)));
			struct trailer trailer = { .mark = MARK, .is_counted = now >= count_from, .sent_ns = now_ns() };

			memcpy(frames[i] + SOURCE_PORT, &port, sizeof(port));
			memcpy(frames[i] + bytes - TRAILER_BYTES, &trailer, sizeof(trailer));
		}
		sent = sendmmsg(tx, messages, (unsigned int)count, 0);
		if (sent < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			die("sendmmsg");
		if (sent > 0 && now >= count_from)
			counted += (uint64_t)sent;
	}
	while (now_ns() < end + DRAIN_NS)
		take(ring, &next);
	qsort(samples, taken, sizeof(*samples), compare);
	printf("{\"sent\":%llu,\"received\":%zu,\"seconds\":%.3f,\"p50\":%u,\"p99\":%u,\"p999\":%u}\n",
	       (unsigned long long)counted, taken, (double)milliseconds / 1000, at(0.5), at(0.99), at(0.999));
	return 0;
}
