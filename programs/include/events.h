/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets that a monitor wants to see, with their first bytes. Nothing here is code unless `events_enabled` is set. */
#pragma once
#include "stats.h"

/* What a record of the ring holds. */
struct event_packet {
	struct event_record head;
	__u8 data[EVENT_PACKET_BYTES];
};

/* Global, so that it is verified once: events are reported from several places. */
__noinline int report_event(struct xdp_md *ctx, enum event event, outcome_t outcome)
{
	__u32 frame_bytes = ctx->data_end - ctx->data;
	__u32 data_bytes = frame_bytes;
	__u32 slot = CTL_EVENTS;
	union ctl_value *gate = bpf_map_lookup_elem(&ctl_array, &slot);
	struct event_packet *record;

	if (!gate || !gate->value)
		return 0;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		count(COUNTER_EVENTS_LOST, 1, 0);
		return 0;
	}
	opaque(data_bytes);
	if (data_bytes > EVENT_PACKET_BYTES)
		data_bytes = EVENT_PACKET_BYTES;
	opaque(data_bytes);
	if (data_bytes == 0 || bpf_xdp_load_bytes(ctx, 0, record->data, data_bytes)) {
		bpf_ringbuf_discard(record, 0);
		return 0;
	}
	record->head.event = event;
	record->head.packet_bytes = frame_bytes;
	record->head.data_bytes = data_bytes;
	record->head.vip_num = outcome >> 8;
	record->head.reason = outcome;
	record->head.pad = 0;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

static __always_inline void report(struct xdp_md *ctx, enum event event, outcome_t outcome)
{
	if (events_enabled && !simulate)
		report_event(ctx, event, outcome);
}

/* One drop in `drop_sample_rate`. */
static __always_inline void sample_drop(struct xdp_md *ctx, outcome_t outcome)
{
	if (events_enabled && !simulate && drop_sample_rate != 0 && bpf_get_prandom_u32() % drop_sample_rate == 0)
		report_event(ctx, EVENT_DROP, outcome);
}
