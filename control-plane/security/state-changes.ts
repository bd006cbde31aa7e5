import { formatIp, formatVip, type IpAddress, type VipKey } from '../../lb/index.js';
import { changedNames } from '../state/lineage.js';
import type { DesiredState } from '../state/model.js';
import type { ResourceChange } from './caller.js';

/** Fields that change with every change and say nothing of it, or say again what another says. */
const UNTOLD = new Set(['etag', 'revision', 'createTimeMs', 'updateTimeMs', 'addressKey', 'name']);

type Fields = Readonly<Record<string, unknown>>;

/** What became of each resource between two states, and of the lists and settings beside them, which go by their names. */
export function stateChanges(before: DesiredState, after: DesiredState): ResourceChange[] {
  return Object.keys({ ...before, ...after }).flatMap((part) => {
    const [old, now]: unknown[] = [Reflect.get(before, part), Reflect.get(after, part)];
    if (old === now || part === 'revision') return [];
    if (old instanceof Map && now instanceof Map) return mapChanges(old, now);
    const change = differing(fieldsOf({ [part]: old }), fieldsOf({ [part]: now }));
    return change === undefined ? [] : [{ name: part, how: 'updated', ...change }];
  });
}

function mapChanges(
  before: ReadonlyMap<string, object>,
  after: ReadonlyMap<string, object>,
): ResourceChange[] {
  const changes: ResourceChange[] = [];
  for (const name of changedNames(before, after)) {
    const [old, resource] = [before.get(name), after.get(name)];
    if (resource === undefined) {
      if (old !== undefined) changes.push({ name, how: 'deleted', before: fieldsOf(old) });
    } else if (old === undefined) changes.push({ name, how: 'created', after: fieldsOf(resource) });
    else {
      const change = differing(fieldsOf(old), fieldsOf(resource));
      if (change !== undefined) changes.push({ name, how: 'updated', ...change });
    }
  }
  return changes;
}

/** Fields that differ, as they were and as they are; undefined: none does. */
function differing(before: Fields, after: Fields): { before: Fields; after: Fields } | undefined {
  const names = Object.keys({ ...before, ...after }).filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  if (names.length === 0) return undefined;
  const pick = (fields: Fields) => Object.fromEntries(names.map((name) => [name, fields[name] ?? null]));
  return { before: pick(before), after: pick(after) };
}

function fieldsOf(resource: object): Fields {
  return Object.fromEntries(
    Object.entries(resource)
      .filter(([name, value]) => !UNTOLD.has(name) && value !== undefined)
      .map(([name, value]) => [name, readable(value)]),
  );
}

/** Addresses as people write them. */
function readable(value: unknown): unknown {
  if (isIp(value)) return formatIp(value);
  if (isVipKey(value)) return formatVip(value);
  if (Array.isArray(value)) return value.map(readable);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, readable(inner)]));
}

function isIp(value: unknown): value is IpAddress {
  return typeof value === 'object' && value !== null && 'bytes' in value && 'family' in value;
}

function isVipKey(value: unknown): value is VipKey {
  return (
    typeof value === 'object' &&
    value !== null &&
    'address' in value &&
    isIp(value.address) &&
    'port' in value &&
    'protocol' in value
  );
}
