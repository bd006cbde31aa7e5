import { type BalancerOptions, type MapSizes, RING_SIZE } from '../../lb/index.js';
import type { NodeConfig } from './model.js';
import { ringsOf } from './state.js';

/** The program's options for a configuration: all of them, so that two nodes of one file have the same program. */
export function optionsOf(config: NodeConfig): BalancerOptions {
  return config.options;
}

/** Sizes of the tables for a configuration. */
export function sizesOf(config: NodeConfig): MapSizes {
  const { limits } = config;
  return {
    // Rings are most of the memory: as many as there are.
    ch_rings: Math.max(ringsOf(config), 1) * RING_SIZE,
    fallback_cache: limits.fallbackConnections,
    vip_lpm_map: limits.prefixVips,
    vip_prefixes: limits.prefixVips,
    server_id_map: limits.serverIds,
    lpm_src_v4: limits.sourceRoutes,
    lpm_src_v6: limits.sourceRoutes,
    decap_dst: limits.decapsulationDestinations,
  };
}
