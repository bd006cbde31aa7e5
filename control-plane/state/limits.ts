/** How much an operator can declare: what the datapath has room for, and bounds on what a client can make the server hold. */
export interface StateLimits {
  readonly vips: number;
  /** Rings: pools that serve VIPs, twice for a pool whose VIPs ask for two algorithms. */
  readonly rings: number;
  readonly pools: number;
  readonly backends: number;
  /** Distinct addresses of backends. */
  readonly addresses: number;
  readonly healthChecks: number;
  readonly serverIds: number;
  readonly sourceRoutes: number;
  readonly globalFlows: number;
  readonly decapDestinations: number;
}

/** Those of the program as it is built. */
export const DEFAULT_LIMITS: StateLimits = {
  vips: 512,
  rings: 512,
  pools: 4096,
  backends: 65_536,
  addresses: 4095,
  healthChecks: 4096,
  serverIds: 65_536,
  sourceRoutes: 65_536,
  globalFlows: 65_536,
  decapDestinations: 512,
};
