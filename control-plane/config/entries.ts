import type { z } from 'zod';
import type { CompanionConfig } from '../../lb/index.js';
import type { ConfigPath } from './faults.js';
import { noteIssues } from './issues.js';
import { isMapData, type MapData, readSound, type SoundOf } from './read.js';
import {
  applianceSchema,
  checkSchema,
  clockSchema,
  decapSchema,
  FILE_KEYS,
  fileOutput,
  globalFlowSchema,
  healthcheckSchema,
  nodeSchema,
  pooledBackendSchema,
  poolSchema,
  serverIdSchema,
  sourceRouteSchema,
  vipSchema,
  workersSchema,
} from './schema.js';
import type { ConfigSource, FaultNotes } from './source.js';
import { nearest } from './suggest.js';

/** A part of the file and where it stands. */
export interface Placed<T> {
  readonly value: T;
  readonly path: ConfigPath;
}
type Entries<S> = readonly Placed<SoundOf<S>>[];

/** What is sound of a file. What is not is noted in the source, so that one reading finds all that is wrong. */
export interface FileEntries {
  readonly node: SoundOf<typeof nodeSchema>;
  readonly appliance: SoundOf<typeof applianceSchema>;
  readonly vips: Entries<typeof vipSchema>;
  readonly pools: Entries<typeof poolSchema>;
  /** Those that stand beside their pools. */
  readonly backends: Entries<typeof pooledBackendSchema>;
  readonly healthChecks: Entries<typeof checkSchema>;
  /** Names of all pools and checks, also of those that are not sound: others may name them. */
  readonly poolNames: ReadonlySet<string>;
  readonly checkNames: ReadonlySet<string>;
  readonly serverIds: Entries<typeof serverIdSchema>;
  readonly sourceRoutes: Entries<typeof sourceRouteSchema>;
  readonly globalFlows: Entries<typeof globalFlowSchema>;
  readonly companion: CompanionConfig;
  readonly clock: z.output<typeof clockSchema>;
  readonly workers: number;
}

/** Read each part of the file by itself. */
export function readEntries(source: ConfigSource): FileEntries {
  const file = fileMap(source);
  const list = <S extends z.ZodType>(key: string, schema: S) =>
    listData(source, file, key).flatMap((data, i) => placed(source, schema, data, [key, i]));
  const one = <S extends z.ZodType>(key: string, schema: S): SoundOf<S> | undefined =>
    file[key] === undefined ? undefined : readSound(source, schema, file[key], [key]);
  return {
    node: one('node', nodeSchema) ?? {},
    appliance: one('appliance', applianceSchema) ?? {},
    vips: list('vips', vipSchema),
    pools: list('pools', poolSchema),
    backends: list('backends', pooledBackendSchema),
    healthChecks: list('healthChecks', checkSchema),
    poolNames: rawNames(file.pools, 'pools/'),
    checkNames: rawNames(file.healthChecks, 'healthChecks/'),
    serverIds: pairs(source, file, 'serverIds', serverIdSchema, 'id'),
    sourceRoutes: pairs(source, file, 'sourceRoutes', sourceRouteSchema, 'prefix'),
    globalFlows: list('globalFlows', globalFlowSchema),
    companion: {
      healthcheck: whole(source, file, 'healthcheck', healthcheckSchema),
      decap: whole(source, file, 'decap', decapSchema),
    },
    clock: one('clock', clockSchema) ?? 'capture',
    workers: one('workers', workersSchema) ?? 1,
  };
}

function fileMap(source: ConfigSource): MapData {
  const { data } = source;
  if (!isMapData(data)) {
    const rule = data === undefined || data === null ? 'the file is empty' : 'the file is not a map of keys';
    source.fail('CONFIG_MISSING', [], undefined, `${rule}: its keys are ${FILE_KEYS.join(', ')}`);
    return {};
  }
  for (const key of Object.keys(data)) {
    if (FILE_KEYS.includes(key) || key === 'backends' || fileOutput.includes(key)) continue;
    const near = nearest(key, FILE_KEYS);
    const hint = near === undefined ? `the keys are ${FILE_KEYS.join(', ')}` : `did you mean ${near}?`;
    source.fail('CONFIG_UNKNOWN_KEY', [key], data[key], `is not a key of the file: ${hint}`);
  }
  return data;
}

function listData(source: ConfigSource, file: MapData, key: string): readonly unknown[] {
  const data = file[key] ?? [];
  if (Array.isArray(data)) return data;
  source.fail('CONFIG_VALUE', [key], data, 'is not a list');
  return [];
}

function rawNames(data: unknown, collection: string): Set<string> {
  const items: readonly unknown[] = Array.isArray(data) ? data : [];
  return new Set(
    items.flatMap((item) => {
      if (!isMapData(item) || item.name === undefined) return [];
      const name = String(item.name).trim();
      return [name.startsWith(collection) ? name.slice(collection.length) : name];
    }),
  );
}

/** A list of entries, or a map: what is before the colon stands for one key of an entry, what is after for its backend. */
function pairs<S extends z.ZodType>(
  source: ConfigSource,
  file: MapData,
  key: string,
  schema: S,
  first: string,
): Placed<SoundOf<S>>[] {
  const data = file[key] ?? [];
  if (!isMapData(data)) {
    return listData(source, file, key).flatMap((item, i) => placed(source, schema, item, [key, i]));
  }
  return Object.entries(data).flatMap(([name, backend]) => {
    const path = [key, name];
    return placed(source.at(path), schema, { [first]: name, backend }, path);
  });
}

function placed<S extends z.ZodType>(
  source: FaultNotes,
  schema: S,
  data: unknown,
  path: ConfigPath,
): Placed<SoundOf<S>>[] {
  const value = readSound(source, schema, data, path);
  return value === undefined ? [] : [{ value, path }];
}

/** A section that is of use only whole. */
function whole<S extends z.ZodType>(
  source: ConfigSource,
  file: MapData,
  key: string,
  schema: S,
): z.output<S> | undefined {
  const data = file[key];
  if (data === undefined) return undefined;
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  noteIssues(source, parsed.error.issues, data, [key]);
  return undefined;
}
