import { StateError } from './faults.js';
import type { Version } from './model.js';

export { withEntry, withoutEntries } from './lineage.js';

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
