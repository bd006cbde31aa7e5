import { z } from 'zod';

/** How the API's JSON form of a map differs from the file's own. */
export interface ApiForm {
  /** Keys of the API, and the file's own that mean the same. */
  readonly renamed?: Readonly<Record<string, string>>;
  /** Keys of the shape that only the API's form has: editors do not propose them. */
  readonly apiOnly?: readonly string[];
  /** Keys that the API sets, and that are ignored in a file. */
  readonly output?: readonly string[];
  /** Keys that a file of its own form must have, though the API's form says them otherwise. */
  readonly required?: readonly string[];
}

/** What there is to know of a map beside its shape. */
export interface MapInfo extends ApiForm {
  /** As a message names it: `a VIP`. */
  readonly what: string;
}

const INFOS = new WeakMap<z.core.$ZodType, MapInfo>();

/** A map of known keys. It is the shape alone: `SoundReader` reads such maps, key by key. */
export function object<S extends z.core.$ZodLooseShape>(what: string, shape: S, api: ApiForm = {}) {
  const schema = z.strictObject(shape);
  INFOS.set(schema, { what, ...api });
  return schema;
}

/** What is known of a map that `object` made; undefined for every other schema. */
export const infoOf = (schema: z.core.$ZodType): MapInfo | undefined => INFOS.get(schema);

export const listOf = <T extends z.ZodType>(item: T) => z.array(item);

/** Keys that every resource of the API has and that are no part of what an operator declares. */
export const RESOURCE_OUTPUT = ['status', 'etag', 'createTime', 'updateTime', 'revision'] as const;
