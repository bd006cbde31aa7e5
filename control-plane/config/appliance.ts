import { dirname, resolve } from 'node:path';
import type { MapSizes } from '../../lb/index.js';
import type { ApiSecurity } from '../grpc/exposure.js';
import type { LogFormat, LogLevel } from '../log.js';
import type { AuditOptions } from '../security/audit.js';
import type { TlsFiles } from '../security/certificates.js';
import { type CallLimits, type CallRates, DEFAULT_LIMITS, type Rate } from '../security/rate-limit.js';
import type { StateLimits } from '../state/limits.js';
import type { FileEntries } from './entries.js';
import type { NodeConfig, TableLimits } from './model.js';
import { stateLimits, tableSizes } from './options.js';
import type { ConfigSource } from './source.js';

/** Where the program runs. */
export type EngineName = 'af_packet' | 'af_xdp' | 'xdp';

/** What a file says of the process; names of files as they are written. */
export interface ApplianceConfig {
  readonly engine?: EngineName | undefined;
  readonly workers?: number | undefined;
  /** true: the engine's own directory. */
  readonly pin?: boolean | string | undefined;
  readonly listen?: string | undefined;
  readonly metrics?: string | undefined;
  readonly state?: string | undefined;
  readonly logLevel?: LogLevel | undefined;
  readonly logFormat?: LogFormat | undefined;
  readonly tls?: TlsFiles | undefined;
  readonly access?: string | undefined;
  readonly insecure?: boolean | undefined;
  readonly audit?: AuditOptions | undefined;
  readonly rateLimits?: CallLimits | undefined;
}

/** What `waggle up` takes of a file; its flags come before it. undefined: the file says nothing of it. */
export interface ApplianceSettings
  extends Omit<ApplianceConfig, 'tls' | 'access' | 'insecure' | 'audit' | 'rateLimits'> {
  readonly interface: string | undefined;
  /** Names of files are absolute. */
  readonly security: ApiSecurity;
  readonly limits: TableLimits;
  /** Entries of each worker's connection table. */
  readonly connections: number;
  /** Entries of each worker's table of flows from outside. */
  readonly globalFlows: number;
  /** Entries of the other tables. */
  readonly sizes: MapSizes;
  /** How much can be declared while the process runs. */
  readonly stateLimits: StateLimits;
}

/** The section `appliance`, as far as it is sound. */
export function resolveAppliance(source: ConfigSource, { appliance }: FileEntries): ApplianceConfig {
  const { engine, workers, pin, listen, metrics, state, log, tls, access, insecure, audit } = appliance;
  if (engine === 'xdp' && workers !== undefined)
    source.fail(
      'CONFIG_CONFLICT',
      ['appliance', 'workers'],
      workers,
      'is for engines with threads: xdp has none',
    );
  if (pin !== undefined && pin !== false && engine !== undefined && engine !== 'xdp') {
    const rule = `is for the engine xdp, and this one is ${engine}`;
    source.fail('CONFIG_CONFLICT', ['appliance', 'pin'], pin, rule);
  }
  const { cert, key, clientCa } = tls ?? {};
  return {
    engine,
    workers,
    pin,
    listen,
    metrics,
    state,
    logLevel: log?.level,
    logFormat: log?.format,
    tls:
      cert === undefined || key === undefined
        ? undefined
        : { certFile: cert, keyFile: key, clientCaFile: clientCa },
    access,
    insecure,
    audit: audit?.file === undefined ? undefined : { ...audit, file: audit.file },
    rateLimits: rateLimitsOf(appliance.rateLimits),
  };
}

type RateEntries = NonNullable<NonNullable<FileEntries['appliance']['rateLimits']>['all']>;

function rateLimitsOf(given: FileEntries['appliance']['rateLimits']): CallLimits | undefined {
  if (given === undefined) return undefined;
  const rateOf = (entry: RateEntries['reads'], other: Rate): Rate => ({
    perSecond: entry?.perSecond ?? other.perSecond,
    burst: entry?.burst ?? other.burst,
  });
  const ratesOf = (entries: RateEntries | undefined, others: CallRates): CallRates => ({
    reads: rateOf(entries?.reads, others.reads),
    changes: rateOf(entries?.changes, others.changes),
    streams: entries?.streams ?? others.streams,
  });
  return {
    eachCaller: ratesOf(given.eachCaller, DEFAULT_LIMITS.eachCaller),
    all: ratesOf(given.all, DEFAULT_LIMITS.all),
  };
}

/**
 * Room of a node that runs, where a file says nothing of it: its configuration may grow a long way without a restart. Memory of
 * what is not written is not taken; in the kernel it is, some 17 MB beside the rings.
 */
const ROOM = { vips: 16_384, rings: 512, backendAddresses: 16_383 } as const satisfies Partial<TableLimits>;

function roomOf({ limits, givenLimits }: NodeConfig): TableLimits {
  const of = (key: keyof typeof ROOM) => givenLimits[key] ?? Math.max(ROOM[key], limits[key]);
  return { ...limits, vips: of('vips'), rings: of('rings'), backendAddresses: of('backendAddresses') };
}

/** What a configuration says of the process. Names of files that are not absolute are those beside the file. */
export function applianceSettings(config: NodeConfig): ApplianceSettings {
  const { tls, access, insecure, audit, rateLimits, pin, state, ...rest } = config.appliance;
  const limits = roomOf(config);
  const folder = dirname(config.fileName);
  const at = (file: string) => resolve(folder, file);
  return {
    ...rest,
    interface: config.interface,
    pin: typeof pin === 'string' ? at(pin) : pin,
    state: state === undefined ? undefined : at(state),
    security: {
      tls: tls && {
        certFile: at(tls.certFile),
        keyFile: at(tls.keyFile),
        clientCaFile: tls.clientCaFile === undefined ? undefined : at(tls.clientCaFile),
      },
      accessFile: access === undefined ? undefined : at(access),
      isInsecureAllowed: insecure,
      limits: rateLimits ?? DEFAULT_LIMITS,
      audit: audit && { ...audit, file: at(audit.file) },
    },
    limits,
    connections: limits.connections,
    globalFlows: limits.globalFlows,
    sizes: tableSizes(limits),
    stateLimits: stateLimits(limits),
  };
}
