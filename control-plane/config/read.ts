import { z } from 'zod';
import type { ConfigPath } from './faults.js';
import { noteIssues } from './issues.js';
import { infoOf, type MapInfo } from './shapes.js';
import type { FaultNotes } from './source.js';
import { nearest } from './suggest.js';

/**
 * What is sound of a value: keys of maps that are not are left out, items of lists that are not are undefined. So what
 * else is wrong with a part of a file is found in the same reading.
 */
export type SoundOf<S> =
  S extends z.ZodOptional<infer I>
    ? SoundOf<I>
    : S extends z.ZodObject<infer Shape>
      ? { readonly [K in keyof Shape]?: SoundOf<Shape[K]> | undefined }
      : S extends z.ZodArray<infer E>
        ? readonly (SoundOf<E> | undefined)[]
        : S extends z.ZodUnion<infer Options>
          ? SoundOf<Options[number]>
          : z.output<S>;

export type MapData = Readonly<Record<string, unknown>>;
export const isMapData = (data: unknown): data is MapData =>
  typeof data === 'object' && data !== null && !Array.isArray(data);

/** The API's word for a value that is not given. */
const isUnspecified = (value: unknown): boolean =>
  typeof value === 'string' && /^[A-Z][A-Z_]*_UNSPECIFIED$/.test(value);

/** What is sound of a value; undefined where nothing is. The faults are noted in the source. */
export function readSound<S extends z.ZodType>(
  source: FaultNotes,
  schema: S,
  data: unknown,
  path: ConfigPath,
): SoundOf<S> | undefined {
  // The walk below follows the schema as the type does.
  return read(source, schema, data, path) as SoundOf<S> | undefined;
}

function read(source: FaultNotes, schema: z.core.$ZodType, data: unknown, path: ConfigPath): unknown {
  if (schema instanceof z.ZodOptional) return read(source, schema.unwrap(), data, path);
  const info = infoOf(schema);
  if (info !== undefined && schema instanceof z.ZodObject) return readMap(source, schema, info, data, path);
  if (schema instanceof z.ZodArray) {
    if (Array.isArray(data)) return data.map((item, i) => read(source, schema.element, item, [...path, i]));
    source.fail('CONFIG_VALUE', path, data, 'is not a list');
    return undefined;
  }
  if (schema instanceof z.ZodUnion && schema.options.some((option) => kindOf(option) !== 'scalar'))
    return read(source, optionFor(schema.options, data), data, path);
  const parsed = z.safeParse(schema, data);
  if (parsed.success) return parsed.data;
  noteIssues(source, parsed.error.issues, data, path);
  return undefined;
}

function kindOf(schema: z.core.$ZodType): 'list' | 'map' | 'scalar' {
  if (schema instanceof z.ZodArray) return 'list';
  return schema instanceof z.ZodObject || schema instanceof z.ZodRecord ? 'map' : 'scalar';
}

/** The alternative that is for values of the kind that is there. */
function optionFor(options: readonly z.core.$ZodType[], data: unknown): z.core.$ZodType {
  const kind = Array.isArray(data) ? 'list' : isMapData(data) ? 'map' : 'scalar';
  const found = options.find((option) => kindOf(option) === kind) ?? options[0];
  if (found === undefined) throw new Error('a union without alternatives');
  return found;
}

function readMap(
  source: FaultNotes,
  schema: z.ZodObject,
  info: MapInfo,
  data: unknown,
  path: ConfigPath,
): MapData | undefined {
  const { apiOnly = [] } = info;
  const known = Object.keys(schema.shape).filter((key) => !apiOnly.includes(key));
  if (!isMapData(data)) {
    const rule = `is not a map of keys: ${info.what} has ${known.join(', ')}`;
    source.fail('CONFIG_VALUE', path, data, rule);
    return undefined;
  }
  const given = ownKeys(source, schema, info, data, path);
  const sound: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(schema.shape)) {
    const value = given.get(key);
    if (value === undefined) {
      if (!(field instanceof z.ZodOptional))
        source.fail('CONFIG_MISSING', [...path, key], undefined, 'is required');
      continue;
    }
    sound[key] = read(source, field, value, [...path, key]);
  }
  return sound;
}

/** Values of a map by the file's own keys. */
function ownKeys(
  source: FaultNotes,
  schema: z.ZodObject,
  { what, renamed = {}, apiOnly = [], output = [] }: MapInfo,
  data: MapData,
  path: ConfigPath,
): Map<string, unknown> {
  const known = Object.keys(schema.shape).filter((key) => !apiOnly.includes(key));
  const given = new Map<string, unknown>();
  for (const [written, value] of Object.entries(data)) {
    const isRenamed = Object.hasOwn(renamed, written);
    const key = isRenamed ? renamed[written]! : written;
    if (output.includes(written) || isUnspecified(value)) continue;
    // The API's form has '' for a text that is not given.
    if (value === '' && (isRenamed || apiOnly.includes(key))) continue;
    if (!Object.hasOwn(schema.shape, key)) {
      const near = nearest(written, known);
      const hint = near === undefined ? `the keys are ${known.join(', ')}` : `did you mean ${near}?`;
      source.fail('CONFIG_UNKNOWN_KEY', [...path, written], value, `is not a key of ${what}: ${hint}`);
      continue;
    }
    if (given.has(key)) {
      const other = isRenamed ? key : (Object.keys(renamed).find((name) => renamed[name] === key) ?? key);
      source.fail(
        'CONFIG_CONFLICT',
        [...path, written],
        value,
        `stands beside ${other}, which means the same`,
      );
      continue;
    }
    if (isRenamed) source.spell([...path, key], written);
    given.set(key, value);
  }
  return given;
}
