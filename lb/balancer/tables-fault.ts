import { CodedError } from '../errors.js';
import type { MapFault } from './checked-maps.js';

/** Those of MapFault, written out: who looks for a code finds it. */
type MapCode = 'TABLES_MAP_MISSING' | 'TABLES_MAP_SHAPE' | 'TABLES_WRITE';

export type TablesFault =
  | (MapFault<'TABLES'> & { readonly code: MapCode })
  | { readonly code: 'TABLES_RANGE'; readonly what: string; readonly value: number }
  | { readonly code: 'TABLES_PREFIX_VIP'; readonly what: string }
  | { readonly code: 'TABLES_NO_HOST'; readonly what: string };

/** A map that is not there, a write that was refused, or a number out of range. */
export class TablesError extends CodedError<TablesFault> {}

/**
 * @param remedy what can be done about it, for the message
 * @throws TablesError TABLES_RANGE unless `value` is a whole number from `min` to `max`
 */
export function checkRange(what: string, value: number, min: number, max: number, remedy = ''): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  const range = max < min ? 'possible: there is none' : `within ${min} to ${max}`;
  const hint = remedy === '' ? '' : `: ${remedy}`;
  throw new TablesError({ code: 'TABLES_RANGE', what, value }, `${what} ${value} is not ${range}${hint}`);
}
