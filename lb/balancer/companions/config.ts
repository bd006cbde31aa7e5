/**
 * What a configuration file says of the balancer's companions: the sections `healthcheck` and `decap`, checked, and how
 * they become options of an object and content of its maps.
 */
import { z } from 'zod';
import type { BpfMap } from '../../bpf/maps/map.js';
import type { ObjectSpec } from '../../bpf/object/spec.js';
import { AddressError, type IpAddress, type Mac, parseIp, parseMac } from '../../net/address.js';
import { VIP_PROTOCOLS } from '../vip-key.js';
import { DecapTables } from './decap.js';
import { HealthcheckTables } from './healthcheck.js';
import { COMPANION_PROGRAMS, withDecapOptions, withHealthcheckOptions } from './object.js';
import { MAX_HC_KEYS } from './schema.js';

/** Text that `parse` reads; what it does not read is an issue with its message. */
const readAs = <T>(parse: (text: string) => T) =>
  z.string().transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      context.addIssue({ code: 'custom', message: error.message, input: text });
      return z.NEVER;
    }
  });

const address = readAs<IpAddress>(parseIp);
const macAddress = readAs<Mac>(parseMac);
const ofFamily = (family: 4 | 6) =>
  address.refine((ip) => ip.family === family, { message: `is not an IPv${family} address` });
const port = z.int().min(0).max(65535);
const u32 = z.int().min(0).max(0xffffffff);
const interfaceNumber = z.int().min(1).max(0x7fffffff);
/** By name, or by number (IANA). */
const protocol = z.union([
  z.enum(['tcp', 'udp']).transform((name) => VIP_PROTOCOLS[name]),
  z.int().min(0).max(255),
]);

const match = z.strictObject({ address, port: port.default(0), backend: address });

/** The prober's side: the YAML key `healthcheck`. */
export const healthcheckSchema = z
  .strictObject({
    /** Outer header; tunnel: the kernel's tunnel interfaces write it. */
    encapsulation: z.enum(['ipip', 'gue', 'tunnel']).default('ipip'),
    /** Destination port of GUE. */
    guePort: port.min(1).default(6080),
    /** Backend of each mark (SO_MARK of the prober's socket). */
    marks: z.array(z.strictObject({ mark: u32.min(1), backend: address })).default([]),
    /** Backend of packets that no mark tells, by destination and by source; port 0 is every port. */
    destinationMatches: z.array(match).max(100).optional(),
    sourceMatches: z.array(match).max(100).optional(),
    /** Outer source addresses. */
    sources: z.strictObject({ ipv4: ofFamily(4).optional(), ipv6: ofFamily(6).optional() }).default({}),
    /** MAC addresses of what leaves: this host's, and the next hop's. */
    macs: z.strictObject({ source: macAddress, destination: macAddress }).optional(),
    /** Number of the interface that packets leave by. */
    interface: interfaceNumber.optional(),
    /** Numbers of the tunnel interfaces by the backend's family; for `encapsulation: tunnel`. */
    tunnelInterfaces: z
      .strictObject({ ipv4: interfaceNumber.optional(), ipv6: interfaceNumber.optional() })
      .default({}),
    /** Longer frames are dropped, Ethernet header included, bytes. */
    maxBytes: u32.min(1).optional(),
    /** What is tried, to count its packets. */
    keys: z
      .array(z.strictObject({ address, port: port.default(0), protocol: protocol.default(6) }))
      .max(MAX_HC_KEYS)
      .default([]),
  })
  .superRefine((section, context) => {
    const issue = (path: (string | number)[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    const seen = new Set<number>();
    for (const [index, { mark }] of section.marks.entries()) {
      if (seen.has(mark)) issue(['marks', index, 'mark'], `mark ${mark} is there twice`);
      seen.add(mark);
    }
    const { marks, destinationMatches = [], sourceMatches = [], encapsulation } = section;
    const families = new Set(
      [...marks, ...destinationMatches, ...sourceMatches].map(({ backend }) => backend.family),
    );
    const needs = encapsulation === 'tunnel' ? 'tunnelInterfaces' : 'sources';
    for (const family of families) {
      if (section[needs][`ipv${family}`] === undefined)
        issue([needs, `ipv${family}`], `is needed: there are IPv${family} backends`);
    }
    if (encapsulation === 'tunnel' || families.size === 0) return;
    for (const name of ['interface', 'macs'] as const)
      if (section[name] === undefined) issue([name], `is needed for encapsulation ${encapsulation}`);
  });

/** The backend's side: the YAML key `decap`. */
export const decapSchema = z.strictObject({
  /** Addresses of this host that tunnels end at. */
  destinations: z.array(address).max(512).default([]),
  /** Take tunnels for every address apart. */
  anyDestination: z.boolean().default(false),
  /** UDP port of GUE; 0: IP in IP alone. */
  guePort: port.default(6080),
  /** This host's id in the TCP option; 0: packets are not checked for it. */
  serverId: u32.default(0),
});

/** Both keys, for a larger schema to take in. */
export const companionSections = {
  healthcheck: healthcheckSchema.optional(),
  decap: decapSchema.optional(),
} as const;
/** What stands under the keys. */
export interface CompanionConfig {
  readonly healthcheck?: z.output<typeof healthcheckSchema> | undefined;
  readonly decap?: z.output<typeof decapSchema> | undefined;
}

const has = (object: ObjectSpec, program: string): boolean =>
  object.programs.some(({ name }) => name === program);

/**
 * The object with the options that its section says, before its maps are made; an object without a section, or that is
 * no companion, as it is.
 */
export function withCompanionOptions(
  object: ObjectSpec,
  { healthcheck, decap }: CompanionConfig,
): ObjectSpec {
  if (healthcheck !== undefined && has(object, COMPANION_PROGRAMS.healthcheck)) {
    const { encapsulation, guePort, maxBytes, destinationMatches, sourceMatches } = healthcheck;
    const isTunnel = encapsulation === 'tunnel';
    return withHealthcheckOptions(object, {
      gue: encapsulation === 'gue',
      guePort,
      matchDestinations: destinationMatches !== undefined,
      matchSources: sourceMatches !== undefined,
      ...(maxBytes === undefined ? {} : { [isTunnel ? 'maxTunnelFrameBytes' : 'maxFrameBytes']: maxBytes }),
    });
  }
  if (decap !== undefined && has(object, COMPANION_PROGRAMS.decap)) {
    const { anyDestination, guePort, serverId } = decap;
    return withDecapOptions(object, { anyDestination, guePort, checkServerId: serverId !== 0 });
  }
  return object;
}

/** The program of a companion's object that the configuration means; undefined for an object that is no companion. */
export function companionProgram(object: ObjectSpec, { healthcheck }: CompanionConfig): string | undefined {
  if (healthcheck?.encapsulation === 'tunnel' && has(object, COMPANION_PROGRAMS.healthcheckTunnel))
    return COMPANION_PROGRAMS.healthcheckTunnel;
  return Object.values(COMPANION_PROGRAMS).find((program) => has(object, program));
}

/**
 * Write what the sections say into the maps of a companion's object, which withCompanionOptions has prepared. Sections of
 * other objects mean nothing to it.
 * @throws CompanionError
 */
export function configureCompanion(
  maps: ReadonlyMap<string, BpfMap>,
  { healthcheck, decap }: CompanionConfig,
): void {
  if (healthcheck !== undefined && maps.has('hc_reals_map')) configureHealthcheck(maps, healthcheck);
  if (decap !== undefined && maps.has('decap_counters')) {
    const tables = new DecapTables(maps);
    for (const destination of decap.destinations) tables.putDestination(destination);
    tables.setServerId(decap.serverId);
  }
}

function configureHealthcheck(
  maps: ReadonlyMap<string, BpfMap>,
  section: NonNullable<CompanionConfig['healthcheck']>,
): void {
  const isTunnel = section.encapsulation === 'tunnel';
  const tables = new HealthcheckTables(maps, isTunnel ? 'tunnel' : 'direct');
  const { sources, macs, tunnelInterfaces } = section;
  for (const { mark, backend } of section.marks) tables.putReal(mark, backend);
  for (const { backend, ...end } of section.destinationMatches ?? [])
    tables.putMatch('destination', end, backend);
  for (const { backend, ...end } of section.sourceMatches ?? []) tables.putMatch('source', end, backend);
  for (const source of [sources.ipv4, sources.ipv6]) if (source !== undefined) tables.setSource(source);
  if (macs !== undefined) tables.setMacs(macs.source, macs.destination);
  if (section.interface !== undefined) tables.setInterface(section.interface);
  if (tunnelInterfaces.ipv4 !== undefined) tables.setInterface(tunnelInterfaces.ipv4, 'tunnel4');
  if (tunnelInterfaces.ipv6 !== undefined) tables.setInterface(tunnelInterfaces.ipv6, 'tunnel6');
  for (const key of section.keys) tables.putKey(key);
}

/** All counters of a companion by name, for a report; undefined for maps of no companion. */
export function companionCounters(
  maps: ReadonlyMap<string, BpfMap>,
): Readonly<Record<string, bigint>> | undefined {
  if (maps.has('hc_reals_map')) {
    const { processed, dropped, skipped, tooBig, destinationMatched, sourceMatched } = new HealthcheckTables(
      maps,
    ).stats();
    return {
      processed,
      dropped,
      skipped,
      too_big: tooBig,
      dst_matched: destinationMatched,
      src_matched: sourceMatched,
    };
  }
  if (!maps.has('decap_counters')) return undefined;
  const { ipv4, ipv6, total, serverIdChecked, serverIdMisrouted, drops } = new DecapTables(maps).stats();
  return {
    outer_ipv4: ipv4,
    outer_ipv6: ipv6,
    total,
    server_id_checked: serverIdChecked,
    server_id_misrouted: serverIdMisrouted,
    drop_fragment: drops.fragment,
    drop_ip_options: drops.ip_options,
  };
}
