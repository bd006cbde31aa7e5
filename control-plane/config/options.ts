import { type BalancerOptions, type MapSizes, RING_SIZE, sizesFor } from '../../lb/index.js';
import { DEFAULT_LIMITS, type StateLimits } from '../state/limits.js';
import type { NodeConfig, TableLimits } from './model.js';
import { ringsOf } from './state.js';

/** The program's options for a configuration: all of them, so that two nodes of one file have the same program. */
export function optionsOf(config: NodeConfig): BalancerOptions {
  return config.options;
}

/** Sizes of the tables for a configuration that does not change. */
export function sizesOf(config: NodeConfig): MapSizes {
  // Rings are most of the memory: as many as there are.
  const rings = Math.max(ringsOf(config), 1);
  return { ...tableSizes(config.limits), ch_rings: rings * RING_SIZE };
}

/** Sizes of the tables of a node whose configuration grows into its limits. */
export function tableSizes(limits: TableLimits): MapSizes {
  return {
    ...sizesFor({ vips: limits.vips, rings: limits.rings, reals: limits.backendAddresses }),
    fallback_cache: limits.fallbackConnections,
    vip_lpm_map: limits.prefixVips,
    vip_prefixes: limits.prefixVips,
    server_id_map: limits.serverIds,
    lpm_src_v4: limits.sourceRoutes,
    lpm_src_v6: limits.sourceRoutes,
    decap_dst: limits.decapsulationDestinations,
  };
}

/** How much an operator can declare on such a node. */
export function stateLimits(limits: TableLimits): StateLimits {
  return {
    ...DEFAULT_LIMITS,
    vips: limits.vips,
    rings: limits.rings,
    addresses: limits.backendAddresses,
    serverIds: limits.serverIds,
    sourceRoutes: limits.sourceRoutes,
    globalFlows: limits.globalFlows,
    decapDestinations: limits.decapsulationDestinations,
  };
}
