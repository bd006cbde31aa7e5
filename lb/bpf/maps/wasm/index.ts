// runtime.wasm: every map operation and helper, for one CPU of the arena.
export {
  array_lookup, array_of_maps_lookup, percpu_array_lookup,
} from "./array";
export { hash_lookup, hash_of_maps_lookup, lru_hash_lookup, percpu_hash_lookup } from "./hash";
export { lpm_trie_lookup } from "./lpm-trie";
export {
  bpf_map_delete_elem, bpf_map_lookup_elem, bpf_map_lookup_percpu_elem, bpf_map_peek_elem, bpf_map_pop_elem,
  bpf_map_push_elem, bpf_map_update_elem, map_delete, map_init, map_iterate, map_lookup, map_lookup_and_delete,
  map_next_key, map_recover, map_update, map_update_batch,
} from "./dispatch";
export { bpf_spin_lock, bpf_spin_unlock } from "./spin-lock";
export {
  bpf_dynptr_data, bpf_dynptr_from_mem, bpf_dynptr_read, bpf_dynptr_write, bpf_ringbuf_discard_dynptr,
  bpf_ringbuf_reserve_dynptr, bpf_ringbuf_submit_dynptr,
} from "./dynptr";
export { bpf_perf_event_output } from "./perf-events";
export { bpf_redirect, bpf_redirect_map, bpf_skb_redirect, target_iterate } from "./redirect";
export {
  bpf_ringbuf_discard, bpf_ringbuf_output, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit, ring_peek,
  ring_release,
} from "./ring-buffer";
export {
  bpf_csum_diff, bpf_get_numa_node_id, bpf_get_prandom_u32, bpf_get_smp_processor_id, bpf_jiffies64,
  bpf_ktime_get_boot_ns, bpf_ktime_get_coarse_ns, bpf_ktime_get_ns, bpf_ktime_get_tai_ns,
} from "../../helpers/wasm/plain";
export { bpf_strncmp, bpf_strtol, bpf_strtoul } from "../../helpers/wasm/text";
export {
  bpf_xdp_adjust_head, bpf_xdp_adjust_meta, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len, bpf_xdp_load_bytes,
  bpf_xdp_store_bytes,
} from "../../helpers/wasm/xdp";
export { bpf_snprintf, bpf_trace_printk, bpf_trace_vprintk } from "../../helpers/wasm/print";
export {
  bpf_l3_csum_replace, bpf_l4_csum_replace, bpf_skb_load_bytes, bpf_skb_load_bytes_relative, bpf_skb_pull_data,
  bpf_skb_store_bytes,
} from "../../helpers/wasm/skb-bytes";
export {
  bpf_csum_level, bpf_csum_update, bpf_get_hash_recalc, bpf_set_hash, bpf_set_hash_invalid, bpf_skb_change_type,
  bpf_skb_ecn_set_ce, bpf_skb_set_tstamp,
} from "../../helpers/wasm/skb-fields";
export {
  bpf_skb_adjust_room, bpf_skb_change_head, bpf_skb_change_proto, bpf_skb_change_tail,
} from "../../helpers/wasm/skb-room";
export { bpf_skb_set_tunnel_key } from "../../helpers/wasm/skb-tunnel";
export { bpf_skb_vlan_pop, bpf_skb_vlan_push } from "../../helpers/wasm/skb-vlan";
export {
  bpf_tcp_raw_check_syncookie_ipv4, bpf_tcp_raw_check_syncookie_ipv6, bpf_tcp_raw_gen_syncookie_ipv4,
  bpf_tcp_raw_gen_syncookie_ipv6,
} from "../../helpers/wasm/syncookie";
export { bpf_fib_lookup } from "../../helpers/wasm/fib";
export { bpf_check_mtu } from "../../helpers/wasm/links";
