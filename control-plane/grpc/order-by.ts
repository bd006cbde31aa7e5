import { fieldError } from '../state/faults.js';
import { compare } from './filter-values.js';
import { type FieldShape, type MessageShape, shapeOf } from './message-shape.js';
import { fieldOf, isPresent, memberOf, readerOf, zeroOf } from './message-values.js';

/** Which of two messages comes first, as Array.sort asks for it. */
export type MessageOrder = (a: object, b: object) => number;

/** Nobody sorts by more; it bounds the work that an order asks for. */
const MAX_KEYS = 16;

/**
 * An order (AIP-132): fields between commas, each with ` desc` for the other way round; named as in a filter. Messages that are
 * equal in all of them are in the order of their names, so that pages are the same each time. What is absent comes
 * first, and last with ` desc`.
 * @param message as `Vip`
 * @throws StateError STATE_FIELDS of `order_by`, which names the field and the rule
 */
export function orderOf(message: string, orderBy: string): MessageOrder {
  const shape = shapeOf(message);
  const keys = orderBy.trim() === '' ? [] : orderBy.split(',');
  if (keys.length > MAX_KEYS) throw fieldError('order_by', `${keys.length} fields are more than ${MAX_KEYS}`);
  const orders = [...keys.map((key) => keyOrder(shape, key)), fieldOrder(pathOf(shape, 'name'))];
  return (a, b) => {
    for (const order of orders) {
      const result = order(a, b);
      if (result !== 0) return result;
    }
    return 0;
  };
}

function keyOrder(shape: MessageShape, key: string): MessageOrder {
  const [, path, direction] = /^\s*(\S+)(?:\s+(\S+))?\s*$/.exec(key) ?? [];
  if (path === undefined)
    throw fieldError('order_by', `"${key.trim()}" is not a field, with or without " desc"`);
  if (direction !== undefined && direction !== 'asc' && direction !== 'desc')
    throw fieldError('order_by', `"${direction}" after ${path} is neither asc nor desc`);
  const ascending = fieldOrder(pathOf(shape, path));
  return direction === 'desc' ? (a, b) => ascending(b, a) : ascending;
}

/** The fields that a path leads through; the last one has an order. */
function pathOf(shape: MessageShape, path: string): FieldShape[] {
  let here: MessageShape | undefined = shape;
  const fields: FieldShape[] = [];
  for (const name of path.split('.')) {
    const field: FieldShape | undefined = here && fieldOf(here, name);
    if (here === undefined || field === undefined)
      throw fieldError(
        'order_by',
        `"${path}": "${name}" is not a field of ${fields.at(-1)?.name ?? shape.message}`,
      );
    if (field.isRepeated) throw fieldError('order_by', `"${path}": ${name} is a list, which has no order`);
    fields.push(field);
    here = field.holds.kind === 'message' ? field.holds.shape : undefined;
  }
  const last = fields.at(-1);
  if (here !== undefined || last?.holds.kind === 'map' || last?.holds.kind === 'bytes')
    throw fieldError('order_by', `"${path}" is a ${last?.holds.kind}, which has no order`);
  return fields;
}

function fieldOrder(fields: readonly FieldShape[]): MessageOrder {
  const last = fields.at(-1);
  if (last === undefined) return () => 0;
  const [read, zero] = [readerOf(last.holds), zeroOf(last)];
  const keyOf = (message: object) => {
    const value = fields.reduce<unknown>((at, { property }) => memberOf(at, property), message);
    return isPresent(value) ? read(value) : zero;
  };
  return (one, other) => {
    const [a, b] = [keyOf(one), keyOf(other)];
    if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
    return compare(a, b);
  };
}
