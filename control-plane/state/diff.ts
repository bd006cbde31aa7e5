import type { Changed } from './history.js';
import type {
  Backend,
  CheckResource,
  DesiredState,
  GlobalFlow,
  NodeState,
  Pool,
  ServerId,
  SourceRoute,
  Vip,
} from './model.js';
import { NODE_NAME } from './model.js';

/** A field of a resource before and after, as text; '' where there is none. */
export interface FieldDifference {
  readonly field: string;
  readonly before: string;
  readonly after: string;
}

/** What becomes of a resource; of one that is updated, the fields that differ. */
export interface ResourceDifference extends Changed {
  readonly fields: readonly FieldDifference[];
}

/** Resources as whoever asks sees them: plain objects, without versions, fields by their names. */
export interface DiffViews {
  readonly vip: (vip: Vip) => object;
  readonly pool: (pool: Pool) => object;
  readonly backend: (backend: Backend) => object;
  readonly healthCheck: (check: CheckResource) => object;
  readonly node: (node: NodeState) => object;
  readonly serverId: (entry: ServerId) => object;
  readonly sourceRoute: (entry: SourceRoute) => object;
  readonly globalFlow: (entry: GlobalFlow) => object;
}

function textOf(value: unknown): string {
  if (value === undefined || value === '') return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Fields in which two objects differ; those of objects in them by their paths. */
function fieldDifferences(before: object, after: object, path = ''): FieldDifference[] {
  const [old, now] = [before, after].map((value) => new Map<string, unknown>(Object.entries(value)));
  const names = new Set([...old!.keys(), ...now!.keys()]);
  return [...names].flatMap((name): FieldDifference[] => {
    const [a, b] = [old!.get(name), now!.get(name)];
    const field = `${path}${name}`;
    if (isPlain(a) && isPlain(b)) return fieldDifferences(a, b, `${field}.`);
    const [from, to] = [textOf(a), textOf(b)];
    return from === to ? [] : [{ field, before: from, after: to }];
  });
}

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function differencesOf<T extends { readonly name: string }>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  view: (resource: T) => object,
): ResourceDifference[] {
  if (before === after) return [];
  const gone = [...before.keys()].filter((name) => !after.has(name));
  return [
    ...gone.map((name): ResourceDifference => ({ name, how: 'deleted', fields: [] })),
    ...[...after.values()].flatMap((resource): ResourceDifference[] => {
      const old = before.get(resource.name);
      if (old === resource) return [];
      if (old === undefined) return [{ name: resource.name, how: 'created', fields: [] }];
      const fields = fieldDifferences(view(old), view(resource));
      return fields.length === 0 ? [] : [{ name: resource.name, how: 'updated', fields }];
    }),
  ];
}

/** Entries of a list that has no names, as one text each. */
function listDifferences(
  name: string,
  before: readonly object[],
  after: readonly object[],
): ResourceDifference[] {
  const [old, now] = [before, after].map((list) => list.map((entry) => JSON.stringify(entry)));
  const [oldSet, nowSet] = [new Set(old), new Set(now)];
  const fields = [
    ...old!.filter((text) => !nowSet.has(text)).map((text) => ({ field: '', before: text, after: '' })),
    ...now!.filter((text) => !oldSet.has(text)).map((text) => ({ field: '', before: '', after: text })),
  ];
  return fields.length === 0 ? [] : [{ name, how: 'updated', fields }];
}

/** What becomes of the resources of a state that another one takes the place of. */
export function differencesBetween(
  before: DesiredState,
  after: DesiredState,
  views: DiffViews,
): ResourceDifference[] {
  const node =
    before.node === after.node ? [] : fieldDifferences(views.node(before.node), views.node(after.node));
  const lists = <T>(name: string, old: readonly T[], now: readonly T[], view: (entry: T) => object) =>
    old === now ? [] : listDifferences(name, old.map(view), now.map(view));
  return [
    ...differencesOf(before.healthChecks, after.healthChecks, views.healthCheck),
    ...differencesOf(before.pools, after.pools, views.pool),
    ...differencesOf(before.backends, after.backends, views.backend),
    ...differencesOf(before.vips, after.vips, views.vip),
    ...(node.length > 0 ? [{ name: NODE_NAME, how: 'updated' as const, fields: node }] : []),
    ...lists('serverIds', before.serverIds, after.serverIds, views.serverId),
    ...lists('sourceRoutes', before.sourceRoutes, after.sourceRoutes, views.sourceRoute),
    ...lists('globalFlows', before.globalFlows, after.globalFlows, views.globalFlow),
  ];
}
