import { formatIp, type IpAddress } from '../../lb/index.js';
import { MAX_SECONDS } from '../state/pools.js';
import type { FileEntries, Placed } from './entries.js';
import type { ConfigPath } from './faults.js';
import type { BackendConfig, DrainConfig } from './model.js';
import type { ConfigSource } from './source.js';

type BackendItem = NonNullable<NonNullable<FileEntries['pools'][number]['value']['backends']>[number]>;
/** A backend of a file, as far as it is sound. */
export type BackendEntry = Exclude<BackendItem, IpAddress>;

/** The backends of a pool so far, and where their names and addresses stand. */
interface Members {
  readonly backends: Placed<BackendConfig>[];
  readonly names: Map<string, ConfigPath>;
  readonly addresses: Map<string, ConfigPath>;
}

/** Add a backend to its pool; each name and each address is there once. */
export function resolveBackend(
  source: ConfigSource,
  pool: Members,
  entry: BackendEntry,
  path: ConfigPath,
): void {
  const { address } = entry;
  const key = address && formatIp(address);
  const hasName = source.has([...path, 'name']);
  // A second one of an address would have the same made-up name: one fault is enough.
  const isRepeated = key !== undefined && pool.addresses.has(key);
  const name = entry.name ?? (address && !hasName && !isRepeated ? madeName(address) : undefined);
  if (name !== undefined) source.once(pool.names, name, hasName ? [...path, 'name'] : path, name);
  if (key !== undefined) {
    const isMap = source.has([...path, 'address']);
    source.once(pool.addresses, key, isMap ? [...path, 'address'] : path, key);
  }
  const drain = drainOf(source, entry, path);
  if (address === undefined) return;
  const backend: BackendConfig = {
    name: entry.name ?? madeName(address),
    address,
    weight: entry.weight ?? 1,
    mac: entry.mac,
    local: entry.local ?? false,
    state: entry.state ?? 'up',
    drain,
  };
  pool.backends.push({ value: backend, path });
}

/** `b-10-0-0-1`, `b-fc00--1`: what names may be made of, and never a dash last. */
export function madeName(address: IpAddress): string {
  const text = `b-${formatIp(address).replace(/[.:]/g, '-')}`;
  return text.endsWith('-') ? `${text}0` : text;
}

function drainOf(source: ConfigSource, entry: BackendEntry, path: ConfigPath): DrainConfig | undefined {
  const { drain, state } = entry;
  if (drain === undefined) return undefined;
  const at = [...path, 'drain'];
  const isKnown = state !== undefined || !source.has([...path, 'state']);
  if (isKnown && state !== 'draining') {
    const rule = `is for backends that are draining, and this one is ${state ?? 'up'}`;
    source.fail('CONFIG_CONFLICT', at, undefined, rule);
  }
  const { start, timeout, deadline, remove } = drain;
  if (timeout !== undefined && (timeout < 1 || timeout > 1000 * MAX_SECONDS)) {
    const place = [...at, 'timeout'];
    source.fail('CONFIG_VALUE', place, source.valueOf(place), 'is not from 1ms to 24h');
  }
  if (source.has([...at, 'timeout']) && source.has([...at, 'deadline'])) {
    const rule = 'stands beside timeout: say one of them';
    source.fail('CONFIG_CONFLICT', [...at, 'deadline'], source.valueOf([...at, 'deadline']), rule);
  }
  if (start !== undefined && deadline !== undefined && deadline < start) {
    const rule = `is before the start (${source.lineOf([...at, 'start'])})`;
    source.fail('CONFIG_CONFLICT', [...at, 'deadline'], source.valueOf([...at, 'deadline']), rule);
  }
  return { startMs: start, timeoutMs: timeout, deadlineMs: deadline, remove: remove ?? false };
}

/** Backends whose address is another's too must agree on what belongs to the address. */
export function checkRows(source: ConfigSource, backends: readonly Placed<BackendConfig>[]): void {
  const rows = new Map<string, Placed<BackendConfig>>();
  for (const backend of backends) {
    const key = formatIp(backend.value.address);
    const first = rows.get(key);
    if (first === undefined) {
      rows.set(key, backend);
      continue;
    }
    const where = () => source.lineOf(first.path);
    if (first.value.mac?.join() !== backend.value.mac?.join()) {
      const rule = `has another mac on ${where()}: an address has one next hop`;
      source.fail('CONFIG_CONFLICT', backend.path, key, rule);
    }
    if (first.value.local !== backend.value.local) {
      const rule = `is local in one place and not in the other, on ${where()}`;
      source.fail('CONFIG_CONFLICT', backend.path, key, rule);
    }
  }
}
