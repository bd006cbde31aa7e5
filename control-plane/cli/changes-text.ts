import type { ApplySnapshotResponse__Output } from '../grpc/generated/waggle/v1/ApplySnapshotResponse.js';
import type { ConfigChange__Output } from '../grpc/generated/waggle/v1/ConfigChange.js';
import type { FieldChange__Output } from '../grpc/generated/waggle/v1/FieldChange.js';
import type { TableImpact__Output } from '../grpc/generated/waggle/v1/TableImpact.js';
import { shortName } from './arguments.js';
import { type Column, count, counted, percent, type Tone, toned } from './format.js';
import type { Session } from './session.js';

const SIGNS: Readonly<Record<string, { readonly sign: string; readonly tone: Tone; readonly word: string }>> =
  {
    ACTION_CREATE: { sign: '+', tone: 'good', word: 'create' },
    ACTION_UPDATE: { sign: '~', tone: 'warn', word: 'update' },
    ACTION_DELETE: { sign: '-', tone: 'bad', word: 'delete' },
  };
const UNKNOWN = { sign: '?', tone: 'dim', word: 'change' } as const;

const quoted = (text: string) => (text === '' ? '(none)' : text);

/** A field before and after. Where a list is the resource, its entries have no name: they come and go. */
function fieldLines({ field, before, after }: FieldChange__Output): string[] {
  if (field !== '') return [`    ${field}: ${quoted(before)} -> ${quoted(after)}`];
  return [...(before === '' ? [] : [`    - ${before}`]), ...(after === '' ? [] : [`    + ${after}`])];
}

/** A resource, and under it its fields that change. */
function changeLines({ action, resource, fields }: ConfigChange__Output, isColored: boolean): string[] {
  const { sign, tone } = SIGNS[action] ?? UNKNOWN;
  return [toned(`${sign} ${resource}`, tone, isColored), ...fields.flatMap(fieldLines)];
}

const IMPACT_COLUMNS: readonly Column<TableImpact__Output>[] = [
  { title: 'RING OF', value: ({ pool }) => shortName(pool) },
  { title: 'VIPS', value: ({ vips }) => vips.map(shortName).join(', ') },
  { title: 'NEW FLOWS MOVED', value: ({ movedRatio }) => percent(movedRatio), align: 'right' },
  { title: 'AT LEAST', value: ({ minimumRatio }) => percent(minimumRatio), align: 'right' },
  {
    title: 'CONNECTIONS BROKEN',
    value: ({ flowsBroken }) => count(flowsBroken),
    align: 'right',
    tone: ({ flowsBroken }) => (flowsBroken === '0' ? undefined : 'bad'),
  },
  { title: 'KEPT', value: ({ flowsKept }) => count(flowsKept), align: 'right' },
];

/** "2 created, 1 deleted". */
function summary(changes: readonly ConfigChange__Output[]): string {
  return Object.entries(SIGNS)
    .map(([action, { word }]) => ({ word, amount: changes.filter((one) => one.action === action).length }))
    .filter(({ amount }) => amount > 0)
    .map(({ word, amount }) => `${counted(amount, 'resource')} to ${word}`)
    .join(', ');
}

/** What a change of the configuration does, for a person: resources, fields, and traffic. */
export function changesText(session: Session, { changes, impact }: ApplySnapshotResponse__Output): string {
  if (changes.length === 0) return 'nothing differs';
  const tables = impact?.tables ?? [];
  return [
    ...changes.flatMap((change) => changeLines(change, session.isColored)),
    '',
    ...(tables.length > 0 ? [session.table(IMPACT_COLUMNS, tables), ''] : []),
    summary(changes),
  ].join('\n');
}
