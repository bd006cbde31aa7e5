import { assertNever } from '../../lb/index.js';
import {
  type Comparator,
  type FilterComparison,
  type FilterExpression,
  filterFault,
  parseFilter,
} from './filter-parse.js';
import { compare, type Ordered, parseSeconds, parseTime } from './filter-values.js';
import { type FieldShape, type MessageShape, shapeOf } from './message-shape.js';
import { fieldOf, isPresent, memberOf, readerOf, zeroOf } from './message-values.js';

/** True for a message that a filter lets through; a message as the generated types have it, on its way out. */
export type MessagePredicate = (message: object) => boolean;

/** One value of a field as it is in a message; undefined: absent. */
type Test = (value: unknown) => boolean;

/**
 * A filter (AIP-160) as a predicate over messages.
 *
 * Fields are named as the proto names them (`status.serving_backends`), or in lowerCamelCase. Texts are compared by
 * their characters, and with = and != a `*` stands for any characters; times are written as RFC 3339 has them, durations as
 * `1.5s`, enums by the name of the value. `:` asks what a text contains, a list holds, whether a map has a key, and with `*` whether
 * a field is set; through a list of messages (`status.checks.health_check:…`) one of them must do.
 * A field that is absent is less and more than nothing, equals nothing, and so differs from everything.
 * @param message as `Vip`
 * @throws StateError STATE_FIELDS of `filter`, which names the character, the field or value there, and the rule
 */
export function filterOf(message: string, filter: string): MessagePredicate {
  const expression = parseFilter(filter);
  return expression === undefined ? () => true : predicateOf(expression, shapeOf(message));
}

function predicateOf(expression: FilterExpression, shape: MessageShape): MessagePredicate {
  switch (expression.kind) {
    case 'and': {
      const terms = expression.terms.map((term) => predicateOf(term, shape));
      return (message) => terms.every((term) => term(message));
    }
    case 'or': {
      const terms = expression.terms.map((term) => predicateOf(term, shape));
      return (message) => terms.some((term) => term(message));
    }
    case 'not': {
      const term = predicateOf(expression.term, shape);
      return (message) => !term(message);
    }
    case 'compare':
      return comparisonOf(expression, shape);
    default:
      return assertNever(expression);
  }
}

function comparisonOf(comparison: FilterComparison, shape: MessageShape): MessagePredicate {
  const fields = fieldsOf(comparison, shape);
  const last = fields.at(-1);
  if (last === undefined) return filterFault(comparison.at, 'a field is missing');
  const list = fields.slice(0, -1).find(({ isRepeated }) => isRepeated);
  if (list !== undefined && comparison.comparator !== ':')
    filterFault(comparison.at, `${list.name} is a list: what is in it is asked for with ":"`);
  const test = testOf(comparison, last);
  return (message) => valuesAt(message, fields).some(test);
}

/** The fields that a path leads through. */
function fieldsOf({ path, at }: FilterComparison, shape: MessageShape): FieldShape[] {
  let here: MessageShape | undefined = shape;
  const fields: FieldShape[] = [];
  for (const name of path) {
    const field: FieldShape | undefined = here && fieldOf(here, name);
    if (here === undefined || field === undefined) {
      const walked = fields.map((each) => each.name).join('.');
      const known = here && [...here.fields.keys()].join(', ');
      filterFault(
        at,
        known === undefined
          ? `"${path.join('.')}": ${walked} has no fields`
          : `"${name}" is not a field of ${walked || shape.message}, which has ${known}`,
      );
    }
    fields.push(field);
    here = field.holds.kind === 'message' ? field.holds.shape : undefined;
  }
  return fields;
}

/** What is at the end of a path: one value, or with lists on the way as many as there are; undefined for what is absent. */
function valuesAt(message: object, fields: readonly FieldShape[]): unknown[] {
  let values: unknown[] = [message];
  for (const [i, { property, isRepeated }] of fields.entries()) {
    values = values.map((value) => memberOf(value, property));
    // The list at the end is looked at as a whole.
    if (isRepeated && i < fields.length - 1) values = values.flat();
  }
  return values;
}

function testOf(comparison: FilterComparison, field: FieldShape): Test {
  const { comparator, value, isQuoted, at } = comparison;
  const { holds, isRepeated, name } = field;
  if (comparator === ':' && value === '*' && !isQuoted) return setTest(field);
  if (isRepeated) {
    if (comparator !== ':') filterFault(at, `${name} is a list: what is in it is asked for with ":"`);
    if (holds.kind === 'message')
      filterFault(
        at,
        `${name} is a list of messages: ask for a field of theirs, or with "${name}:*" for any`,
      );
    const isSame = scalarTest(comparison, field, '=');
    return (list) => Array.isArray(list) && list.some(isSame);
  }
  if (holds.kind === 'map') {
    if (comparator !== ':') filterFault(at, `${name} is a map: its keys are asked for with ":"`);
    return (map) => memberOf(map, value) !== undefined;
  }
  if (holds.kind === 'message')
    filterFault(at, `${name} is a message: compare a field of it, or ask with "${name}:*" whether it is set`);
  if (comparator === ':') {
    if (holds.kind !== 'text') return scalarTest(comparison, field, '=');
    return (text) => typeof text === 'string' && text.includes(value);
  }
  return scalarTest(comparison, field, comparator);
}

/** Whether a field is set: where it could be absent, that it is there; else that it is not empty, false or 0. */
function setTest({ hasPresence, isRepeated, holds }: FieldShape): Test {
  if (isRepeated) return (list) => Array.isArray(list) && list.length > 0;
  if (holds.kind === 'map')
    return (map) => typeof map === 'object' && map !== null && Object.keys(map).length > 0;
  if (hasPresence || holds.kind === 'message') return isPresent;
  const zero = zeroOf({ hasPresence, holds });
  const read = readerOf(holds);
  return (value) => isPresent(value) && read(value) !== zero;
}

function scalarTest(
  comparison: FilterComparison,
  field: FieldShape,
  comparator: Exclude<Comparator, ':'>,
): Test {
  const wanted = wantedOf(comparison, field, comparator);
  const read = readerOf(field.holds);
  const zero = field.isRepeated ? undefined : zeroOf(field);
  const isEqual = (value: Ordered) =>
    Array.isArray(wanted) ? isMadeOf(String(value), wanted) : compare(value, wanted) === 0;
  // Only = and != take a pattern.
  const order = (value: Ordered) => (Array.isArray(wanted) ? Number.NaN : compare(value, wanted));
  return (given) => {
    const value = isPresent(given) ? read(given) : zero;
    if (value === undefined) return comparator === '!=';
    switch (comparator) {
      case '=':
        return isEqual(value);
      case '!=':
        return !isEqual(value);
      case '<':
        return order(value) < 0;
      case '<=':
        return order(value) <= 0;
      case '>':
        return order(value) > 0;
      case '>=':
        return order(value) >= 0;
      default:
        return assertNever(comparator);
    }
  };
}

/** The value of a filter as the field's kind has it; a text with `*` as the pieces between the stars. */
function wantedOf(
  { value, valueAt, at }: FilterComparison,
  { name, holds }: FieldShape,
  comparator: Exclude<Comparator, ':'>,
): Ordered | string[] {
  const isEquality = comparator === '=' || comparator === '!=';
  switch (holds.kind) {
    case 'text':
      return isEquality && value.includes('*') ? value.split('*') : value;
    case 'number': {
      const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i.test(value) ? Number(value) : undefined;
      return number ?? filterFault(valueAt, `"${value}" is not a number, which ${name} is`);
    }
    case 'whole64':
      return /^-?\d{1,20}$/.test(value)
        ? BigInt(value)
        : filterFault(valueAt, `"${value}" is not a whole number, which ${name} is`);
    case 'bool':
      if (!isEquality) filterFault(at, `${name} is true or false: compare it with = or !=`);
      if (value !== 'true' && value !== 'false')
        filterFault(valueAt, `"${value}" is neither true nor false, which ${name} is`);
      return value === 'true';
    case 'enum':
      if (!isEquality) filterFault(at, `${name} is one of several names: compare it with = or !=`);
      return holds.names.includes(value)
        ? value
        : filterFault(valueAt, `"${value}" is none of ${holds.names.join(', ')}, which ${name} can be`);
    case 'timestamp':
      return (
        parseTime(value) ??
        filterFault(valueAt, `"${value}" is not a time such as 2026-11-21T14:20:00Z, which ${name} is`)
      );
    case 'duration':
      return (
        parseSeconds(value) ??
        filterFault(valueAt, `"${value}" is not a duration such as 1.5s, which ${name} is`)
      );
    case 'bytes':
      return filterFault(at, `${name} is bytes: they are not compared`);
    case 'message':
    case 'map':
      return filterFault(at, `${name} is not a value that can be compared`);
    default:
      return assertNever(holds);
  }
}

/** True for a text that begins with the first piece, ends with the last, and has the others in between, in their order. */
function isMadeOf(text: string, [first = '', ...pieces]: readonly string[]): boolean {
  const last = pieces.pop() ?? '';
  let at = first.length;
  const end = text.length - last.length;
  if (at > end || !text.startsWith(first) || !text.endsWith(last)) return false;
  // The first place that a piece fits leaves the most room for the others: no search goes back.
  for (const piece of pieces) {
    const found = text.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}
