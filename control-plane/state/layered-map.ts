type Named<T> = ReadonlyMap<string, T>;

/** Maps of no more entries than these are copied whole: that costs no more than layers do. */
const SMALL = 128;
/** Entries that a map has beside its base at most, before it is written anew: what a copy costs, and what a step of a walk. */
const MOST_LAYERED = 64;

/**
 * A map that is never changed in place, made of another one by a few entries: a change of one in ten thousand costs what the
 * few cost. Names come in the order of a Map that was copied and changed: one that is set again stays where it is, one that
 * was deleted and comes again is the last.
 */
export class LayeredMap<T extends object> implements ReadonlyMap<string, T> {
  /** Shared with others; nobody writes to it. */
  readonly #base: ReadonlyMap<string, T>;
  /** Of the base: what it has otherwise here, or, undefined, not at all. */
  readonly #replaced: ReadonlyMap<string, T | undefined>;
  /** Behind those of the base; also names that the base has and that are `undefined` in `replaced`. */
  readonly #added: ReadonlyMap<string, T>;
  readonly size: number;

  private constructor(
    base: Named<T>,
    replaced: ReadonlyMap<string, T | undefined>,
    added: Named<T>,
    size: number,
  ) {
    this.#base = base;
    this.#replaced = replaced;
    this.#added = added;
    this.size = size;
  }

  /** A copy of a map with one entry set. */
  static withEntry<T extends object>(map: Named<T>, name: string, value: T): Named<T> {
    if (map.size <= SMALL) return new Map(map).set(name, value);
    return LayeredMap.#over(map).#set(name, value).#orFlat();
  }

  /** A copy of a map without the entries of `names`. */
  static withoutEntries<T extends object>(map: Named<T>, names: readonly string[]): Named<T> {
    if (map.size <= SMALL || names.length > MOST_LAYERED) {
      const copy = new Map(map);
      for (const name of names) copy.delete(name);
      return copy;
    }
    let layered = LayeredMap.#over(map);
    for (const name of names) layered = layered.#delete(name);
    return layered.#orFlat();
  }

  static #over<T extends object>(map: Named<T>): LayeredMap<T> {
    return map instanceof LayeredMap ? map : new LayeredMap(map, new Map(), new Map(), map.size);
  }

  get(name: string): T | undefined {
    const added = this.#added.get(name);
    if (added !== undefined) return added;
    return this.#replaced.has(name) ? this.#replaced.get(name) : this.#base.get(name);
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  *entries(): MapIterator<[string, T]> {
    for (const entry of this.#base) {
      const [name] = entry;
      if (!this.#replaced.has(name)) yield entry;
      else {
        const value = this.#replaced.get(name);
        if (value !== undefined) yield [name, value];
      }
    }
    yield* this.#added;
  }

  *keys(): MapIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): MapIterator<T> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): MapIterator<[string, T]> {
    return this.entries();
  }

  forEach(visit: (value: T, name: string, map: Named<T>) => void, self?: unknown): void {
    for (const [name, value] of this.entries()) visit.call(self, value, name, this);
  }

  #set(name: string, value: T): LayeredMap<T> {
    const isInBase = !this.#added.has(name) && this.#base.has(name) && this.has(name);
    if (isInBase) {
      const replaced = new Map(this.#replaced).set(name, value);
      return new LayeredMap(this.#base, replaced, this.#added, this.size);
    }
    const size = this.has(name) ? this.size : this.size + 1;
    return new LayeredMap(this.#base, this.#replaced, new Map(this.#added).set(name, value), size);
  }

  #delete(name: string): LayeredMap<T> {
    if (!this.has(name)) return this;
    if (this.#added.has(name)) {
      const added = new Map(this.#added);
      added.delete(name);
      return new LayeredMap(this.#base, this.#replaced, added, this.size - 1);
    }
    const replaced = new Map(this.#replaced).set(name, undefined);
    return new LayeredMap(this.#base, replaced, this.#added, this.size - 1);
  }

  /** The same, as a map of its own where the layers have become many. */
  #orFlat(): Named<T> {
    return this.#replaced.size + this.#added.size > MOST_LAYERED ? new Map(this) : this;
  }
}
