import type { TableImpact } from '../reconcile/impact.js';
import { type DiffViews, differencesBetween, type ResourceDifference } from '../state/diff.js';
import type { HistoryEntry } from '../state/history.js';
import type { DesiredState } from '../state/model.js';
import { backendDeclaration } from './convert-backend.js';
import { checkDeclaration } from './convert-check.js';
import { nodeConfigToProto } from './convert-node.js';
import { poolDeclaration } from './convert-pool.js';
import { globalFlowToProto, serverIdToProto, sourceRouteToProto } from './convert-snapshot.js';
import { timestampOf } from './convert-values.js';
import { vipDeclaration } from './convert-vip.js';
import type { ChangeImpact } from './generated/waggle/v1/ChangeImpact.js';
import type { ConfigChange } from './generated/waggle/v1/ConfigChange.js';
import type { Revision } from './generated/waggle/v1/Revision.js';

const ACTIONS = {
  created: 'ACTION_CREATE',
  updated: 'ACTION_UPDATE',
  deleted: 'ACTION_DELETE',
} as const satisfies Record<ResourceDifference['how'], NonNullable<ConfigChange['action']>>;

const isDuration = (value: object): value is { readonly seconds: string; readonly nanos: number } =>
  'seconds' in value && 'nanos' in value;

/** As the API names fields and writes values: durations are `1.5s`, bytes are base64. */
function shown(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null) return value;
  if (isDuration(value)) return `${Number(value.seconds) + value.nanos / 1e9}s`;
  return shownFields(value);
}

const shownFields = (message: object): object =>
  Object.fromEntries(
    Object.entries(message).map(([name, field]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      shown(field),
    ]),
  );

const VIEWS: DiffViews = {
  vip: (vip) => shownFields(vipDeclaration(vip)),
  pool: (pool) => shownFields(poolDeclaration(pool)),
  backend: (backend) => shownFields(backendDeclaration(backend)),
  healthCheck: (check) => shownFields(checkDeclaration(check)),
  node: (node) => shownFields(nodeConfigToProto({ ...node, etag: '', revision: 0 })),
  serverId: (entry) => shownFields(serverIdToProto(entry)),
  sourceRoute: (entry) => shownFields(sourceRouteToProto(entry)),
  globalFlow: (entry) => shownFields(globalFlowToProto(entry)),
};

/** What becomes of resources when one configuration takes the place of another. */
export const changesToProto = (before: DesiredState, after: DesiredState): ConfigChange[] =>
  differencesBetween(before, after, VIEWS).map(differenceToProto);

const differenceToProto = ({ name, how, fields }: ResourceDifference): ConfigChange => ({
  action: ACTIONS[how],
  resource: name,
  fields: fields.map((field) => ({ ...field })),
});

export const impactToProto = (tables: readonly TableImpact[]): ChangeImpact => ({
  tables: tables.map(({ pool, vips, movedRatio, minimumRatio, flowsBroken, flowsKept }) => ({
    pool,
    vips: [...vips],
    movedRatio,
    minimumRatio,
    flowsBroken: String(flowsBroken),
    flowsKept: String(flowsKept),
  })),
});

export const revisionToProto = ({
  revision,
  actor,
  comment,
  action,
  timeMs,
  changed,
}: HistoryEntry): Revision => ({
  revision: String(revision),
  actor,
  comment,
  action,
  createTime: timestampOf(timeMs),
  changes: changed.map(({ name, how }) => ({ action: ACTIONS[how], resource: name })),
});
