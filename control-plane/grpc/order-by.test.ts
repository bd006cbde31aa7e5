import { describe, expect, it } from 'vitest';
import { StateError } from '../state/faults.js';
import type { Backend } from './generated/waggle/v1/Backend.js';
import { orderOf } from './order-by.js';

const backends: readonly Backend[] = [
  { name: 'b', weight: 10, status: { tableShare: 0.5, drainStartTime: { seconds: 5 } }, revision: '9' },
  {
    name: 'c',
    weight: 9,
    status: { tableShare: 0.25, drainStartTime: { seconds: 5, nanos: 1 } },
    revision: '10',
  },
  { name: 'a', status: { tableShare: 0.25 }, revision: '9', local: true },
  { name: 'd', weight: 10, address: '10.0.0.1' },
];
const sorted = (orderBy: string) =>
  [...backends]
    .sort(orderOf('Backend', orderBy))
    .map(({ name }) => name)
    .join('');

describe('messages are in the order of', () => {
  it.each([
    ['their names where nothing is asked', '', 'abcd'],
    ['their names the other way round', 'name desc', 'dcba'],
    ['numbers, not texts; what is absent first', 'weight', 'acbd'],
    ['what is absent last the other way round', 'weight desc', 'bdca'],
    ['64-bit numbers, not texts', 'revision, name desc', 'dbac'],
    ['a field of a field', 'status.table_share', 'dacb'],
    ['a field by its JSON name', 'status.tableShare desc', 'bacd'],
    ['times', 'status.drain_start_time', 'adbc'],
    ['true after false', 'local', 'bcda'],
    ['several fields, each its way', 'weight desc , address desc, name asc', 'dbca'],
  ])('%s', (_, orderBy, names) => {
    expect(sorted(orderBy)).toBe(names);
  });
});

describe('an order is refused', () => {
  it.each([
    ['an unknown field', 'size', '"size": "size" is not a field of Backend'],
    ['a field of what has none', 'weight.size', '"size" is not a field of weight'],
    ['a direction that is none', 'weight down', '"down" after weight is neither asc nor desc'],
    ['more than a direction', 'weight desc desc', 'not a field'],
    ['nothing between commas', 'weight,,name', '"" is not a field'],
    ['a message', 'status', '"status" is a message, which has no order'],
    ['a list', 'status.checks', 'checks is a list'],
    ['too many', Array(17).fill('name').join(), '17 fields are more than 16'],
  ])('%s', (_, orderBy, part) => {
    let fault: unknown;
    try {
      orderOf('Backend', orderBy);
    } catch (error) {
      fault = error;
    }
    expect(fault).toBeInstanceOf(StateError);
    expect(fault).toMatchObject({ fault: { code: 'STATE_FIELDS', violations: [{ field: 'order_by' }] } });
    expect(String(fault)).toContain(part);
  });
});
