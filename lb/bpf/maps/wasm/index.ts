// runtime.wasm: every map operation and helper, for one CPU of the arena.
export {
  array_lookup, array_of_maps_lookup, percpu_array_lookup,
} from "./array";
export { hash_lookup, lru_hash_lookup } from "./hash";
export {
  bpf_map_delete_elem, bpf_map_lookup_elem, bpf_map_update_elem,
  map_delete, map_init, map_lookup, map_next_key, map_recover, map_update, map_update_batch,
} from "./dispatch";
export {
  bpf_csum_diff, bpf_get_prandom_u32, bpf_get_smp_processor_id, bpf_ktime_get_ns,
} from "../../helpers/wasm/plain";
export { bpf_xdp_adjust_head, bpf_xdp_adjust_tail } from "../../helpers/wasm/xdp";
