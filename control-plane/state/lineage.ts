import { LayeredMap } from './layered-map.js';

/** How a map was made of another: by setting one name, or by deleting some. */
interface Descent {
  /** Weakly: a state must not keep all that came before it. */
  readonly from: WeakRef<object>;
  readonly set?: string;
  readonly deleted?: readonly string[];
}
type Named<T> = ReadonlyMap<string, T>;

/** Resources by name are maps that each change makes anew; this tells what one was made for. */
const DESCENTS = new WeakMap<object, Descent>();
/** More steps than this are walked as slowly as the maps are compared. */
const MAX_STEPS = 64;

/** A map with one entry set, and else as another one. */
export function withEntry<T extends object>(map: Named<T>, name: string, value: T): Named<T> {
  const copy = LayeredMap.withEntry(map, name, value);
  DESCENTS.set(copy, { from: new WeakRef(map), set: name });
  return copy;
}

/** A map without the entries of `names`, and else as another one. */
export function withoutEntries<T extends object>(map: Named<T>, names: Iterable<string>): Named<T> {
  const deleted = [...names];
  const copy = LayeredMap.withoutEntries(map, deleted);
  // One that had none of them is the same still.
  if (copy !== map) DESCENTS.set(copy, { from: new WeakRef(map), deleted });
  return copy;
}

/** What was done to lead from one map to another; undefined where it is not known. */
export interface Lineage {
  /** All names that were touched, in the order of their first time. */
  readonly names: ReadonlySet<string>;
  /** Those that were deleted on the way, whether they came again or not. */
  readonly deleted: ReadonlySet<string>;
}

/** How one map came of another, where copies of single changes lie between them. */
export function lineageOf(before: object, after: object): Lineage | undefined {
  const steps: Descent[] = [];
  let map = after;
  while (map !== before) {
    const descent = DESCENTS.get(map);
    const from = descent?.from.deref();
    if (descent === undefined || from === undefined || steps.length === MAX_STEPS) return undefined;
    steps.push(descent);
    map = from;
  }
  const names = new Set<string>();
  const deleted = new Set<string>();
  for (const { set, deleted: gone = [] } of steps.reverse()) {
    if (set !== undefined) names.add(set);
    for (const name of gone) {
      names.add(name);
      deleted.add(name);
    }
  }
  return { names, deleted };
}

/** Names of resources that are not the same objects in two maps. */
export function changedNames<T>(before: Named<T>, after: Named<T>): Set<string> {
  if (before === after) return new Set();
  const known = lineageOf(before, after);
  if (known !== undefined)
    return new Set([...known.names].filter((name) => before.get(name) !== after.get(name)));
  const names = new Set<string>();
  let added = 0;
  for (const [name, resource] of after) {
    const old = before.get(name);
    if (old === resource) continue;
    if (old === undefined) added++;
    names.add(name);
  }
  // None has gone where all that there are were there or are new.
  if (before.size + added > after.size)
    for (const name of before.keys()) if (!after.has(name)) names.add(name);
  return names;
}
