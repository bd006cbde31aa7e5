// runtime.wasm: every map operation and helper, for one CPU of the arena.
export {
  array_lookup, array_of_maps_lookup, percpu_array_lookup,
} from "./array";
export { hash_lookup, lru_hash_lookup } from "./hash";
export {
  bpf_map_delete_elem, bpf_map_lookup_elem, bpf_map_peek_elem, bpf_map_pop_elem, bpf_map_push_elem,
  bpf_map_update_elem, map_delete, map_init, map_lookup, map_lookup_and_delete, map_next_key, map_recover, map_update,
  map_update_batch,
} from "./dispatch";
export {
  bpf_dynptr_data, bpf_dynptr_from_mem, bpf_dynptr_read, bpf_dynptr_write, bpf_ringbuf_discard_dynptr,
  bpf_ringbuf_reserve_dynptr, bpf_ringbuf_submit_dynptr,
} from "./dynptr";
export { bpf_perf_event_output } from "./perf-events";
export { bpf_redirect, bpf_redirect_map, bpf_skb_redirect } from "./redirect";
export {
  bpf_ringbuf_discard, bpf_ringbuf_output, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit, ring_peek,
  ring_release,
} from "./ring-buffer";
export {
  bpf_csum_diff, bpf_get_prandom_u32, bpf_get_smp_processor_id, bpf_ktime_get_ns,
} from "../../helpers/wasm/plain";
export { bpf_xdp_adjust_head, bpf_xdp_adjust_meta, bpf_xdp_adjust_tail } from "../../helpers/wasm/xdp";
