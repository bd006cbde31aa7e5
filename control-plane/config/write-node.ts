import { formatIp, formatMac } from '../../lb/index.js';
import { type CallRates, DEFAULT_LIMITS } from '../security/rate-limit.js';
import type { DesiredState } from '../state/model.js';
import { givenOf, PLAIN_OPTIONS } from '../state/options.js';
import type { ApplianceConfig } from './appliance.js';
import type { NodeConfig } from './model.js';
import { type Entry, entryOf, nanosecondsText, unless } from './write-values.js';

/** The node as a file has it; undefined where there is nothing to say of it. */
export function nodeEntry(
  { node }: DesiredState,
  settings: Pick<NodeConfig, 'interface' | 'givenLimits'> | undefined,
): Entry | undefined {
  const { options, ownAddresses, decapDestinations, routerMac } = node;
  const own = (family: 4 | 6) => {
    const address = ownAddresses.find((one) => one.family === family);
    return address && formatIp(address);
  };
  return entryOf({
    interface: settings?.interface,
    routerMac: routerMac && formatMac(routerMac),
    encapsulation: options.gue === undefined ? undefined : options.gue ? 'gue' : 'ipip',
    gue: entryOf({ port: options.guePort, source4: own(4), source6: own(6) }),
    decapsulation: entryOf({
      ipip: options.ipipDecap,
      gue: options.gueDecap,
      destinations: decapDestinations.map(({ address, egress }) =>
        egress ? { address: formatIp(address), egress } : formatIp(address),
      ),
    }),
    options: entryOf({
      ...givenOf(options, PLAIN_OPTIONS),
      events: options.eventsEnabled,
    }),
    limits: entryOf({
      maxFrameBytes: options.maxFrameBytes,
      newConnectionsPerSecond: options.newConnectionsPerSecond,
      udpTimeout: options.udpTimeoutNs === undefined ? undefined : nanosecondsText(options.udpTimeoutNs),
      ...settings?.givenLimits,
    }),
  });
}

/** The process as a file has it. */
export function applianceEntry(appliance: ApplianceConfig | undefined): Entry | undefined {
  if (appliance === undefined) return undefined;
  const { engine, workers, pin, listen, metrics, state, tls, access, insecure, audit } = appliance;
  const { eachCaller, all } = appliance.rateLimits ?? DEFAULT_LIMITS;
  return entryOf({
    engine,
    workers,
    pin,
    listen,
    metrics,
    state,
    log: entryOf({ level: appliance.logLevel, format: appliance.logFormat }),
    tls: tls && entryOf({ cert: tls.certFile, key: tls.keyFile, clientCa: tls.clientCaFile }),
    access,
    insecure,
    audit: audit && entryOf({ ...audit }),
    rateLimits: entryOf({
      eachCaller: ratesEntry(eachCaller, DEFAULT_LIMITS.eachCaller),
      all: ratesEntry(all, DEFAULT_LIMITS.all),
    }),
  });
}

function ratesEntry(rates: CallRates, usual: CallRates): Entry | undefined {
  const rate = (key: 'reads' | 'changes') =>
    rates[key].perSecond === usual[key].perSecond && rates[key].burst === usual[key].burst
      ? undefined
      : { perSecond: rates[key].perSecond, burst: rates[key].burst };
  return entryOf({
    reads: rate('reads'),
    changes: rate('changes'),
    streams: unless(rates.streams, usual.streams),
  });
}
