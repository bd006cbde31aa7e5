import type { ApplianceSettings } from './appliance.js';
import type { TableLimits } from './model.js';

/** What of the process waits for a restart, by its key in a file. Only the level of the log does not. */
const WAITING: Readonly<Record<string, (settings: ApplianceSettings) => unknown>> = {
  'node.interface': (settings) => settings.interface,
  'appliance.engine': ({ engine = 'af_packet' }) => engine,
  'appliance.workers': ({ workers }) => workers,
  'appliance.pin': ({ pin = false }) => pin,
  'appliance.listen': ({ listen }) => listen,
  'appliance.metrics': ({ metrics }) => metrics,
  'appliance.state': ({ state }) => state,
  'appliance.log.format': ({ logFormat = 'auto' }) => logFormat,
  'appliance.tls': ({ security }) => security.tls,
  'appliance.access': ({ security }) => security.accessFile,
  'appliance.insecure': ({ security }) => security.isInsecureAllowed ?? false,
  'appliance.audit': ({ security }) => security.audit,
  'appliance.rateLimits': ({ security }) => security.limits,
};

/** Tables that are as large as they were asked for; the others need a restart only where more room is asked for. */
const EXACT: readonly (keyof TableLimits)[] = ['connections', 'fallbackConnections'];

/**
 * Keys of a file whose change takes effect only when the process starts anew, in the order of the documentation; none:
 * all that differs can be put in force now. What certificates, keys and the access file hold is read again when those
 * files change: it is their names that wait.
 */
export function restartNeeded(before: ApplianceSettings, after: ApplianceSettings): string[] {
  const settings = Object.entries(WAITING).filter(([, get]) => !same(get(before), get(after)));
  const limits = Object.entries(after.limits).filter(([name, limit]) => {
    // The names are those of the limits.
    const key = name as keyof TableLimits;
    return EXACT.includes(key) ? limit !== before.limits[key] : limit > before.limits[key];
  });
  return [...settings.map(([key]) => key), ...limits.map(([name]) => `node.limits.${name}`)];
}

/** Plain data; keys that are undefined are as good as absent. */
const same = (a: unknown, b: unknown): boolean => text(a) === text(b);
const text = (value: unknown): string | undefined =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
