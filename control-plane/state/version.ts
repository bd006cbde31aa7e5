import { StateError } from './faults.js';
import type { Version } from './model.js';

/** What a change is stamped with. */
export interface Stamp {
  readonly revision: number;
  readonly timeMs: number;
  readonly etag: string;
}

/** Version of a resource that is new. */
export function firstVersion({ revision, timeMs, etag }: Stamp): Version {
  return { etag, revision, createTimeMs: timeMs, updateTimeMs: timeMs };
}

/** Version of a resource that changes. */
export function nextVersion(resource: Version, { revision, timeMs, etag }: Stamp): Version {
  return { etag, revision, createTimeMs: resource.createTimeMs, updateTimeMs: timeMs };
}

/** @throws StateError STATE_ETAG */
export function checkEtag(name: string, resource: Version, given: string): void {
  if (given === '' || given === resource.etag) return;
  throw new StateError(
    { code: 'STATE_ETAG', name, given, current: resource.etag },
    `${name} has changed since it was read (etag "${given}", now "${resource.etag}"): read it again and retry`,
  );
}

/** A copy of a map with one entry set. */
export function withEntry<T>(map: ReadonlyMap<string, T>, name: string, value: T): Map<string, T> {
  return new Map(map).set(name, value);
}

/** A copy of a map without the entries of `names`. */
export function withoutEntries<T>(map: ReadonlyMap<string, T>, names: Iterable<string>): Map<string, T> {
  const copy = new Map(map);
  for (const name of names) copy.delete(name);
  return copy;
}
