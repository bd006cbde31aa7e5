import type {
  BalancerOptions,
  CompanionConfig,
  Flow,
  IpAddress,
  Mac,
  Prefix,
  VipKey,
} from '../../lb/index.js';
import type { RingAlgorithm } from '../state/model.js';

/** A backend as a file has it. */
export interface BackendConfig {
  readonly name: string;
  readonly address: IpAddress;
  /** 0..65535 */
  readonly weight: number;
  /** Of its next hop; undefined: the router's. */
  readonly mac: Mac | undefined;
  /** It is this host. */
  readonly local: boolean;
  readonly state: 'up' | 'draining' | 'down';
}

export interface PoolConfig {
  readonly name: string;
  readonly backends: readonly BackendConfig[];
  readonly ringAlgorithm: RingAlgorithm;
}

export interface VipConfig {
  readonly name: string;
  readonly key: VipKey;
  /** Name of a pool of the file, or of the one that was made of its own backends. */
  readonly pool: string;
  /** Bits of VIP_FLAGS. */
  readonly flags: number;
  /** undefined: that of the pool. */
  readonly ringAlgorithm: RingAlgorithm | undefined;
  readonly downBackends: readonly IpAddress[];
  readonly watchMisses: boolean;
}

export interface ServerIdConfig {
  readonly id: number;
  readonly backend: IpAddress;
}

export interface SourceRouteConfig {
  readonly prefix: Prefix;
  readonly backend: IpAddress;
}

export interface GlobalFlowConfig {
  readonly flow: Flow;
  readonly backend: IpAddress;
}

export interface DecapDestinationConfig {
  readonly address: IpAddress;
  /** What comes out goes back where it came from. */
  readonly egress: boolean;
}

/** Entries of tables, and of each worker's where it has its own. */
export interface TableLimits {
  readonly connections: number;
  readonly fallbackConnections: number;
  readonly globalFlows: number;
  readonly serverIds: number;
  readonly sourceRoutes: number;
  readonly prefixVips: number;
  readonly decapsulationDestinations: number;
}

/** One node, whole: what a file says, with all defaults in place. */
export interface NodeConfig {
  readonly fileName: string;
  readonly interface: string | undefined;
  readonly routerMac: Mac | undefined;
  /** One of a family at most. */
  readonly ownAddresses: readonly IpAddress[];
  readonly decapDestinations: readonly DecapDestinationConfig[];
  /** All that a file can set of the program. */
  readonly options: Readonly<Required<Omit<BalancerOptions, 'explain' | 'simulate'>>>;
  readonly limits: TableLimits;
  /** In the order of the file; VIP numbers follow it. */
  readonly vips: readonly VipConfig[];
  readonly pools: readonly PoolConfig[];
  readonly serverIds: readonly ServerIdConfig[];
  readonly sourceRoutes: readonly SourceRouteConfig[];
  readonly globalFlows: readonly GlobalFlowConfig[];
  /** Of the balancer's companions. */
  readonly healthcheck: CompanionConfig['healthcheck'];
  readonly decap: CompanionConfig['decap'];
  /** Of a replay: the program's clock at the first packet, ns; undefined: the time of its capture. */
  readonly clockStartNs: number | undefined;
  /** Of a replay. */
  readonly workers: number;
}
