// PERF_EVENT_ARRAY and bpf_perf_event_output (kernel/trace/bpf_trace.c's and net/core/filter.c's semantics). A slot is
// the descriptor of a ring that one CPU may write, or 0; the ring is a RINGBUF of the same arena.
import {
  CPU_SKB, MAP_DATA, MAP_MAX_ENTRIES, RING_CPU, RING_LOST, SKB_DATA, SKB_DATA_END, XDP_MD_DATA, XDP_MD_DATA_END,
} from "../../memory/layout";
import {
  BPF_F_CTXLEN_MASK, BPF_F_CURRENT_CPU, BPF_F_INDEX_MASK, E2BIG, EFAULT, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP,
} from "../uapi";
import { block, copy, cpu, me } from "./memory";
import { ringCommit, ringReserve, stateOf } from "./ring-buffer";

export function bpf_perf_event_output(ctx: u64, map: u64, flags: u64, data: u64, size: u64): i64 {
  const context = <usize>ctx;
  const events = <usize>map;
  if (flags & ~(<u64>BPF_F_INDEX_MASK | <u64>BPF_F_CTXLEN_MASK)) return -EINVAL;
  const isSkb = context == block + CPU_SKB;
  const packet = <usize>(isSkb ? load<u32>(context, SKB_DATA) : load<u32>(context, XDP_MD_DATA));
  const packetEnd = <usize>(isSkb ? load<u32>(context, SKB_DATA_END) : load<u32>(context, XDP_MD_DATA_END));
  const packetBytes = <u32>((flags & <u64>BPF_F_CTXLEN_MASK) >> 32);
  if (packetBytes > <u32>(packetEnd - packet)) return -EFAULT;
  let index = <u32>flags;
  if (index == <u32>BPF_F_CURRENT_CPU) index = cpu;
  if (index >= load<u32>(events, MAP_MAX_ENTRIES)) return -E2BIG;
  const ring = <usize>atomic.load<u32>(<usize>load<u32>(events, MAP_DATA) + index * 4);
  if (!ring) return -ENOENT;
  if (load<u32>(ring, RING_CPU) != me()) return -EOPNOTSUPP;
  const record = ringReserve(ring, (size & 0xffffffff) + packetBytes);
  if (!record) {
    atomic.add<u64>(stateOf(ring), 1, RING_LOST);
    return -ENOSPC;
  }
  copy(record, <usize>data, <u32>size);
  memory.copy(record + <usize>size, packet, packetBytes);
  ringCommit(record, 0, 0);
  return 0;
}
