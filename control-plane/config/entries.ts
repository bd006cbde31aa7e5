import type { z } from 'zod';
import type { CompanionConfig } from '../../lb/index.js';
import type { ConfigPath } from './faults.js';
import {
  clockSchema,
  decapSchema,
  FILE_KEYS,
  globalFlowSchema,
  healthcheckSchema,
  nodeSchema,
  poolSchema,
  serverIdSchema,
  sourceRouteSchema,
  vipSchema,
  workersSchema,
} from './schema.js';
import type { ConfigSource } from './source.js';
import { nearest } from './suggest.js';

/** A part of the file that is sound in itself, and where it stands. */
export interface Placed<T> {
  readonly value: T;
  readonly path: ConfigPath;
}

/** The sound parts of a file. What is not is noted in the source, so that one reading finds all that is wrong. */
export interface FileEntries {
  readonly node: z.output<typeof nodeSchema>;
  readonly vips: readonly Placed<z.output<typeof vipSchema>>[];
  readonly pools: readonly Placed<z.output<typeof poolSchema>>[];
  /** Names of all pools, also of those that are not sound: a VIP may name them. */
  readonly poolNames: ReadonlySet<string>;
  readonly serverIds: readonly Placed<z.output<typeof serverIdSchema>>[];
  readonly sourceRoutes: readonly Placed<z.output<typeof sourceRouteSchema>>[];
  readonly globalFlows: readonly Placed<z.output<typeof globalFlowSchema>>[];
  readonly companion: CompanionConfig;
  readonly clock: z.output<typeof clockSchema>;
  readonly workers: number;
}

type Map = Readonly<Record<string, unknown>>;
const isMapData = (data: unknown): data is Map =>
  typeof data === 'object' && data !== null && !Array.isArray(data);

/** Read each part of the file by itself. */
export function readEntries(source: ConfigSource): FileEntries {
  const file = fileMap(source);
  const list = <S extends z.ZodType>(key: string, schema: S) =>
    listData(source, file, key).flatMap((data, i) => placed(source, schema, data, [key, i]));
  const one = <S extends z.ZodType>(key: string, schema: S): z.output<S> | undefined =>
    file[key] === undefined ? undefined : placed(source, schema, file[key], [key])[0]?.value;
  return {
    node: one('node', nodeSchema) ?? {},
    vips: list('vips', vipSchema),
    pools: list('pools', poolSchema),
    poolNames: rawNames(file.pools),
    serverIds: pairs(source, file, 'serverIds', serverIdSchema, 'id'),
    sourceRoutes: pairs(source, file, 'sourceRoutes', sourceRouteSchema, 'prefix'),
    globalFlows: list('globalFlows', globalFlowSchema),
    companion: { healthcheck: one('healthcheck', healthcheckSchema), decap: one('decap', decapSchema) },
    clock: one('clock', clockSchema) ?? 'capture',
    workers: one('workers', workersSchema) ?? 1,
  };
}

function fileMap(source: ConfigSource): Map {
  const { data } = source;
  if (!isMapData(data)) {
    const rule = data === undefined || data === null ? 'the file is empty' : 'the file is not a map of keys';
    source.fail('CONFIG_MISSING', [], undefined, `${rule}: its keys are ${FILE_KEYS.join(', ')}`);
    return {};
  }
  for (const key of Object.keys(data)) {
    if (FILE_KEYS.includes(key)) continue;
    const near = nearest(key, FILE_KEYS);
    const hint = near === undefined ? `the keys are ${FILE_KEYS.join(', ')}` : `did you mean ${near}?`;
    source.fail('CONFIG_UNKNOWN_KEY', [key], data[key], `is not a key of the file: ${hint}`);
  }
  return data;
}

function listData(source: ConfigSource, file: Map, key: string): readonly unknown[] {
  const data = file[key] ?? [];
  if (Array.isArray(data)) return data;
  source.fail('CONFIG_VALUE', [key], data, 'is not a list');
  return [];
}

function rawNames(data: unknown): Set<string> {
  const items: readonly unknown[] = Array.isArray(data) ? data : [];
  return new Set(
    items.flatMap((item) =>
      isMapData(item) && item.name !== undefined ? [String(item.name).replace(/^pools\//, '')] : [],
    ),
  );
}

/** A list of entries, or a map: what is before the colon stands for one key of an entry, what is after for its backend. */
function pairs<S extends z.ZodType>(
  source: ConfigSource,
  file: Map,
  key: string,
  schema: S,
  first: string,
): Placed<z.output<S>>[] {
  const data = file[key] ?? [];
  if (!isMapData(data)) {
    return listData(source, file, key).flatMap((item, i) => placed(source, schema, item, [key, i]));
  }
  return Object.entries(data).flatMap(([name, backend]) => {
    const path = [key, name];
    return placed(source, schema, { [first]: name, backend }, path, () => path);
  });
}

/**
 * One part, in a list of none where it is not sound.
 * @param pathOf where a part of it stands in the file
 */
function placed<S extends z.ZodType>(
  source: ConfigSource,
  schema: S,
  data: unknown,
  path: ConfigPath,
  pathOf: (inner: ConfigPath) => ConfigPath = (inner) => [...path, ...inner],
): Placed<z.output<S>>[] {
  const parsed = schema.safeParse(data);
  if (parsed.success) return [{ value: parsed.data, path }];
  for (const issue of parsed.error.issues) noteIssue(source, issue, data, [], pathOf);
  return [];
}

function noteIssue(
  source: ConfigSource,
  issue: z.core.$ZodIssue,
  data: unknown,
  before: ConfigPath,
  pathOf: (inner: ConfigPath) => ConfigPath,
): void {
  const inner = [...before, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  const value = valueAt(data, inner);
  if (issue.code === 'unrecognized_keys') {
    // Maps of ours say it of each key; others say it of all at once.
    const rules = issue.message.split('\n');
    for (const [i, key] of issue.keys.entries()) {
      const rule = rules.length === issue.keys.length && !isUntold(issue) ? rules[i]! : 'is not a key here';
      source.fail('CONFIG_UNKNOWN_KEY', pathOf([...inner, key]), valueAt(value, [key]), rule);
    }
    return;
  }
  if (value === undefined) {
    const rule = issue.code === 'custom' ? issue.message : 'is required';
    source.fail('CONFIG_MISSING', pathOf(inner), undefined, rule);
    return;
  }
  const meant =
    issue.code === 'invalid_union' ? issue.errors.find((issues) => !isOtherType(issues)) : undefined;
  if (meant === undefined) {
    source.fail('CONFIG_VALUE', pathOf(inner), value, ruleOf(issue));
    return;
  }
  for (const nested of meant) noteIssue(source, nested, data, inner, pathOf);
}

/** Whether the message is that of the library, which names neither the field nor the value as we do. */
const isUntold = ({ message }: z.core.$ZodIssue): boolean => /^(?:Invalid|Too|Unrecognized)\b/.test(message);

/** What an issue says, in our words. */
function ruleOf(issue: z.core.$ZodIssue): string {
  if (!isUntold(issue)) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return `is not of the type ${issue.expected}`;
    case 'invalid_value':
      return `is not one of ${issue.values.join(', ')}`;
    case 'too_small':
      return `is less than ${issue.minimum}`;
    case 'too_big':
      return `is more than ${issue.maximum}`;
    default:
      return issue.message.replace(/^Invalid input:? ?/, 'cannot be used: ');
  }
}

/** Whether an alternative of a union is for another type of value than the one that is there. */
const isOtherType = (issues: readonly z.core.$ZodIssue[]): boolean =>
  issues.some(({ code, path }) => path.length === 0 && (code === 'invalid_type' || code === 'invalid_union'));

function valueAt(data: unknown, path: ConfigPath): unknown {
  let value = data;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[part];
  }
  return value;
}
