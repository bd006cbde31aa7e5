import { foldConstants } from '../bpf/object/fold-constants.js';
import type { GlobalSpec, ObjectSpec } from '../bpf/object/spec.js';
import { CodedError } from '../errors.js';

/** Options of the balancer's program; what is absent keeps the program's own value (programs/include/maps.h). */
export interface BalancerOptions {
  /** Longest frame that is forwarded, Ethernet header included and VLAN tags not, bytes (1514). */
  readonly maxFrameBytes?: number;
  /** Connections that a CPU notes in its table in a second (125,000). */
  readonly newConnectionsPerSecond?: number;
  /** A UDP flow that was silent for longer is a new one, ns (30 s). */
  readonly udpTimeoutNs?: number;
  /** Outer header: GUE in the place of IP in IP (false). */
  readonly gue?: boolean;
  /** UDP port of GUE: destination of what is sent, and where `gueDecap` listens (6080). */
  readonly guePort?: number;
  /** Answer frames that are too long with ICMP "fragmentation needed" or "packet too big" (true). */
  readonly sendTooBig?: boolean;
  /** Balance frames with VLAN tags, two at most (true). */
  readonly vlanTags?: boolean;
  /** Server ids in QUIC connection ids, for VIPs with QUIC_VIP (true). */
  readonly quicRouting?: boolean;
  /** Server ids in a TCP option (false). */
  readonly tcpServerIds?: boolean;
  /** Server ids in a UDP header, for VIPs with UDP_STABLE_ROUTING (false). */
  readonly udpStableRouting?: boolean;
  /** Down backends, for VIPs with UDP_FLOW_MIGRATION (false). */
  readonly udpFlowMigration?: boolean;
  /** Source routes, for VIPs with SRC_ROUTING (false). */
  readonly sourceRouting?: boolean;
  /** VIPs that are IPv6 prefixes (false). */
  readonly prefixVips?: boolean;
  /** Tables of flows from outside, for VIPs with GLOBAL_LRU (false). */
  readonly globalLru?: boolean;
  /** Take IP in IP for tunnel destinations and this host apart (false). */
  readonly ipipDecap?: boolean;
  /** The same for GUE (false). */
  readonly gueDecap?: boolean;
  /** Leave packets of VIPs with LOCAL_VIP to the host where the backend is this host (false). */
  readonly localDelivery?: boolean;
  /** Report events, while `setEvents` has them on (false). */
  readonly eventsEnabled?: boolean;
  /** Report one drop in so many as an event; 0: none (0). */
  readonly dropSampleRate?: number;
  /** Say in `decisions` why each packet went where it went (false). */
  readonly explain?: boolean;
  /** Change nothing but `decisions`: no counter, no connection (false). */
  readonly simulate?: boolean;
}
export type OptionName = keyof BalancerOptions;

/** Where each option stands: its name in .rodata. */
export const OPTION_CONSTANTS: Readonly<Record<OptionName, string>> = {
  maxFrameBytes: 'max_frame_bytes',
  newConnectionsPerSecond: 'new_connections_per_second',
  udpTimeoutNs: 'udp_timeout_ns',
  gue: 'gue',
  guePort: 'gue_port',
  sendTooBig: 'send_too_big',
  vlanTags: 'vlan_tags',
  quicRouting: 'quic_routing',
  tcpServerIds: 'tcp_server_ids',
  udpStableRouting: 'udp_stable_routing',
  udpFlowMigration: 'udp_flow_migration',
  sourceRouting: 'source_routing',
  prefixVips: 'prefix_vips',
  globalLru: 'global_lru',
  ipipDecap: 'ipip_decap',
  gueDecap: 'gue_decap',
  localDelivery: 'local_delivery',
  eventsEnabled: 'events_enabled',
  dropSampleRate: 'drop_sample_rate',
  explain: 'explain',
  simulate: 'simulate',
};
export const OPTION_NAMES = Object.keys(OPTION_CONSTANTS) as readonly OptionName[];
const RODATA = '.rodata';

export type OptionsFault =
  | { readonly code: 'OPTIONS_UNKNOWN'; readonly option: string }
  | { readonly code: 'OPTIONS_MISSING'; readonly option: string }
  | { readonly code: 'OPTIONS_VALUE'; readonly option: string; readonly value: number | boolean }
  | { readonly code: 'OPTIONS_MAP_FIXED'; readonly map: string }
  | { readonly code: 'OPTIONS_MAP_SIZE'; readonly map: string; readonly entries: number };

/** An option or a map's size that cannot be set; the message names it, the value and the rule. */
export class OptionsError extends CodedError<OptionsFault> {}

/** The programs that constants were folded into, before they were: constants may be set again. */
const UNFOLDED = new WeakMap<ObjectSpec['programs'], ObjectSpec['programs']>();

/**
 * The object with options set, in .rodata and in the code: what an option rules out is no code, here and in the kernel.
 * Options that were set before stay, unless they are set again.
 * @throws OptionsError OPTIONS_UNKNOWN, OPTIONS_VALUE, OPTIONS_MISSING for an object that has no such option
 */
export function withOptions(object: ObjectSpec, options: BalancerOptions): ObjectSpec {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const initial = Uint8Array.from(rodataOf(object) ?? []);
  for (const [option, value] of given) write(initial, placeOf(object, option), option, value);
  const maps = object.maps.map((map) => (map.name === RODATA ? { ...map, initial } : map));
  const unfolded = UNFOLDED.get(object.programs) ?? object.programs;
  const programs = unfolded.map((program) => foldConstants(program, maps));
  UNFOLDED.set(programs, unfolded);
  return { ...object, maps, programs };
}

/** Value of an option as the object has it now, true as 1; undefined where the object has no such option. */
export function optionOf(object: ObjectSpec, option: OptionName): number | undefined {
  const initial = rodataOf(object);
  const place = find(object, option);
  if (initial === undefined || place === undefined) return undefined;
  const view = new DataView(initial.buffer, initial.byteOffset + place.offset, place.bytes);
  if (place.bytes === 1) return view.getUint8(0);
  if (place.bytes === 2) return view.getUint16(0, true);
  return place.bytes === 4 ? view.getUint32(0, true) : Number(view.getBigUint64(0, true));
}

function rodataOf(object: ObjectSpec): Uint8Array | undefined {
  return object.maps.find(({ name }) => name === RODATA)?.initial;
}

function find(object: ObjectSpec, option: OptionName): GlobalSpec | undefined {
  const constant = OPTION_CONSTANTS[option];
  return object.globals.find(({ name, map }) => map === RODATA && name === constant);
}

function placeOf(object: ObjectSpec, option: string): GlobalSpec {
  if (!Object.hasOwn(OPTION_CONSTANTS, option)) {
    throw new OptionsError(
      { code: 'OPTIONS_UNKNOWN', option },
      `${option}: the balancer has no such option; it has ${OPTION_NAMES.join(', ')}`,
    );
  }
  // The line before checked it.
  const place = find(object, option as OptionName);
  if (place !== undefined) return place;
  throw new OptionsError({ code: 'OPTIONS_MISSING', option }, `${option}: the object has no such option`);
}

/** A constant of one byte is a bool, wider ones are numbers. */
function write(
  into: Uint8Array,
  { offset, bytes }: GlobalSpec,
  option: string,
  value: number | boolean,
): void {
  const view = new DataView(into.buffer, into.byteOffset + offset, bytes);
  if (typeof value === 'boolean' ? bytes !== 1 : bytes === 1) {
    const rule = bytes === 1 ? 'it is true or false' : 'it is a number';
    throw new OptionsError({ code: 'OPTIONS_VALUE', option, value }, `${option}: ${value}: ${rule}`);
  }
  if (typeof value === 'boolean') {
    view.setUint8(0, value ? 1 : 0);
    return;
  }
  const end = Math.min(2 ** (8 * bytes), Number.MAX_SAFE_INTEGER + 1);
  if (!Number.isInteger(value) || value < 0 || value >= end) {
    throw new OptionsError(
      { code: 'OPTIONS_VALUE', option, value },
      `${option}: ${value} is not a whole number from 0 to ${end - 1}`,
    );
  }
  if (bytes === 2) view.setUint16(0, value, true);
  else if (bytes === 4) view.setUint32(0, value, true);
  else view.setBigUint64(0, BigInt(value), true);
}
