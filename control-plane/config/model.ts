import type { CompanionConfig, Flow, IpAddress, Mac, Prefix } from '../../lb/index.js';
import type { PoolPolicy, SlowStart } from '../health/pool-health.js';
import type { HealthCheck } from '../health/types.js';
import type { RingAlgorithm, Version, Vip } from '../state/model.js';
import type { NeededOption, OPTION_DEFAULTS, ProgramOptions } from '../state/options.js';
import type { ApplianceConfig } from './appliance.js';

/** The drain of a backend, as far as a file says it. */
export interface DrainConfig {
  /** Milliseconds since 1970. */
  readonly startMs: number | undefined;
  /** From the start to the deadline. */
  readonly timeoutMs: number | undefined;
  /** Milliseconds since 1970. */
  readonly deadlineMs: number | undefined;
  /** The backend is removed then. */
  readonly remove: boolean;
}

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
  readonly drain: DrainConfig | undefined;
}

export interface PoolConfig {
  readonly name: string;
  readonly displayName: string;
  readonly backends: readonly BackendConfig[];
  readonly ringAlgorithm: RingAlgorithm;
  /** Names of checks of the file. */
  readonly healthChecks: readonly string[];
  readonly panicPercent: number;
  readonly belowFloor: PoolPolicy['belowFloor'];
  readonly slowStart: SlowStart | undefined;
  readonly drainTimeoutMs: number | undefined;
}

export interface CheckConfig {
  readonly name: string;
  readonly displayName: string;
  readonly check: HealthCheck;
}

/** A VIP as a file has it; its pool is one of the file, or was made of its own backends. */
export interface VipConfig extends Omit<Vip, keyof Version> {
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

/** What there is room for. Entries of tables, and of each worker's where it has its own. */
export interface TableLimits {
  readonly vips: number;
  /** One for each pool and algorithm that VIPs use. */
  readonly rings: number;
  /** Distinct addresses of backends. */
  readonly backendAddresses: number;
  readonly connections: number;
  readonly fallbackConnections: number;
  readonly globalFlows: number;
  readonly serverIds: number;
  readonly sourceRoutes: number;
  readonly prefixVips: number;
  readonly decapsulationDestinations: number;
}

/** Options as they are given: what is absent is on where something needs it. */
export type GivenOptions = {
  readonly [K in NeededOption | keyof typeof OPTION_DEFAULTS | 'maxFrameBytes']?: ProgramOptions[K];
};

/** One node, whole: what a file says, with all defaults in place. */
export interface NodeConfig {
  readonly fileName: string;
  readonly interface: string | undefined;
  readonly routerMac: Mac | undefined;
  /** One of a family at most. */
  readonly ownAddresses: readonly IpAddress[];
  readonly decapDestinations: readonly DecapDestinationConfig[];
  /** All that a file can set of the program: `givenOptions`, what something of the file needs, the defaults. */
  readonly options: Readonly<Required<ProgramOptions>>;
  readonly givenOptions: GivenOptions;
  readonly limits: TableLimits;
  /** Limits that the file gives. */
  readonly givenLimits: Partial<TableLimits>;
  /** In the order of the file; VIP numbers follow it. */
  readonly vips: readonly VipConfig[];
  readonly pools: readonly PoolConfig[];
  readonly healthChecks: readonly CheckConfig[];
  readonly serverIds: readonly ServerIdConfig[];
  readonly sourceRoutes: readonly SourceRouteConfig[];
  readonly globalFlows: readonly GlobalFlowConfig[];
  /** Of the process; nothing in place of what is not given. */
  readonly appliance: ApplianceConfig;
  /** Of the balancer's companions. */
  readonly healthcheck: CompanionConfig['healthcheck'];
  readonly decap: CompanionConfig['decap'];
  /** Of a replay: the program's clock at the first packet, ns; undefined: the time of its capture. */
  readonly clockStartNs: number | undefined;
  /** Of a replay. */
  readonly workers: number;
}
