import { setGlobals } from '../../bpf/object/globals.js';
import { loadObject } from '../../bpf/object/load.js';
import type { ObjectSpec } from '../../bpf/object/spec.js';
import { DECAP_PROGRAM, decapObject, objectBytes } from '../object.js';

/** The programs beside the balancer's, by what they are for. */
export const COMPANION_PROGRAMS = {
  /** TC egress: puts health checks into the tunnel. */
  healthcheck: 'healthcheck_egress',
  /** The same by the host's routing and neighbour tables. */
  healthcheckRouted: 'healthcheck_routed',
  /** The same through tunnel interfaces of the kernel. */
  healthcheckTunnel: 'healthcheck_tunnel',
  /** XDP, on a backend: takes outer headers off. */
  decap: DECAP_PROGRAM,
  /** XDP: hands packets to the first program of root_array. */
  root: 'root_ingress',
  /** TC ingress: gives packets in a GUE tunnel the tunnel's source address. */
  sourceMatch: 'match_source',
} as const;

/** Options of the health checks' programs; what is absent keeps the program's own value. */
export interface HealthcheckOptions {
  /** Packets that no mark tells find a backend by their destination (false). */
  readonly matchDestinations?: boolean;
  /** The same by their source, after the destination (false). */
  readonly matchSources?: boolean;
  /** Longer frames are dropped, Ethernet header included, bytes; 0: none (0). */
  readonly maxFrameBytes?: number;
  /** The same for the tunnel program (1474). */
  readonly maxTunnelFrameBytes?: number;
  /** GUE in the place of IP in IP (false). */
  readonly gue?: boolean;
  /** Destination port of GUE (6080). */
  readonly guePort?: number;
}

/** Options of the backend's program; what is absent keeps the program's own value. */
export interface DecapProgramOptions {
  /** Take tunnels for every address apart (false). */
  readonly anyDestination?: boolean;
  /** UDP port of GUE; 0: IP in IP alone (6080). */
  readonly guePort?: number;
  /** Count TCP packets whose server id is another host's (false). */
  readonly checkServerId?: boolean;
}

/** Where each option stands: its constant in .rodata. */
const HEALTHCHECK_CONSTANTS: Readonly<Record<keyof HealthcheckOptions, string>> = {
  matchDestinations: 'match_destinations',
  matchSources: 'match_sources',
  maxFrameBytes: 'max_frame_bytes',
  maxTunnelFrameBytes: 'max_tunnel_frame_bytes',
  gue: 'gue',
  guePort: 'gue_port',
};
const DECAP_CONSTANTS: Readonly<Record<keyof DecapProgramOptions, string>> = {
  anyDestination: 'any_destination',
  guePort: 'gue_port',
  checkServerId: 'check_server_id',
};

/** @throws GlobalError for an object that has no such option, or a value that does not fit */
function withConstants(
  object: ObjectSpec,
  constants: Readonly<Record<string, string>>,
  options: Readonly<Record<string, unknown>>,
): ObjectSpec {
  const values = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([option, value]) => [constants[option] ?? option, value] as const);
  return { ...object, maps: setGlobals(object.maps, object.globals, Object.fromEntries(values), object.btf) };
}

/** An object of the health checks' programs with options set: constants, which verifier and compiler fold. */
export function withHealthcheckOptions(object: ObjectSpec, options: HealthcheckOptions): ObjectSpec {
  return withConstants(object, HEALTHCHECK_CONSTANTS, { ...options });
}

/** The same for an object of the backend's program. */
export function withDecapOptions(object: ObjectSpec, options: DecapProgramOptions): ObjectSpec {
  return withConstants(object, DECAP_CONSTANTS, { ...options });
}

/** The health checks' object, read. */
export function healthcheckObject(options: HealthcheckOptions = {}): ObjectSpec {
  return withHealthcheckOptions(loadObject(objectBytes('healthcheck')), options);
}

/** The backend's object, read. */
export function decapProgramObject(options: DecapProgramOptions = {}): ObjectSpec {
  return withDecapOptions(decapObject(), options);
}

/** The object that hands packets on, read. */
export function rootObject(): ObjectSpec {
  return loadObject(objectBytes('root'));
}

/** The object for GUE's source addresses, read. @param guePort UDP port of the tunnel (6080) */
export function sourceMatchObject(guePort?: number): ObjectSpec {
  return withConstants(loadObject(objectBytes('srcmatch')), { guePort: 'gue_port' }, { guePort });
}
