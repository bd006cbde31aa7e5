import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StateError } from '../state/faults.js';
import { filterOf } from './filter.js';
import type { Backend } from './generated/waggle/v1/Backend.js';
import type { Vip } from './generated/waggle/v1/Vip.js';

const vip: Vip = {
  name: 'vips/web',
  displayName: 'shop of "ann", (new)',
  address: '2001:db8::1',
  port: 443,
  protocol: 'PROTOCOL_TCP',
  pool: 'pools/web',
  flags: ['VIP_FLAG_QUIC_VIP', 'VIP_FLAG_LRU_BYPASS'],
  status: { state: 'STATE_ACTIVE', servingBackends: 3 },
  createTime: { seconds: '1790000000', nanos: 500_000_000 },
  revision: '18446744073709551615',
};
const backend: Backend = {
  name: 'pools/web/backends/a',
  local: true,
  status: {
    tableShare: 0.25,
    checks: [
      { healthCheck: 'healthChecks/tcp', lastLatency: { seconds: 1, nanos: 500_000_000 } },
      { healthCheck: 'healthChecks/http', consecutive: 4 },
    ],
  },
};
const bare: Backend = { name: 'pools/web/backends/b' };

describe('a filter lets a message through', () => {
  const rows: readonly [message: string, value: object, filter: string, isThrough: boolean][] = [
    ['Vip', vip, '', true],
    ['Vip', vip, '  \n', true],
    ['Vip', vip, 'port = 443', true],
    ['Vip', vip, 'port=443', true],
    ['Vip', vip, 'port != 443', false],
    ['Vip', vip, 'port > 442 AND port < 444', true],
    ['Vip', vip, 'port >= 444', false],
    ['Vip', vip, 'port <= 443', true],
    ['Vip', vip, 'port > -1', true],
    ['Vip', vip, 'port = 4.43e2', true],
    ['Vip', vip, 'protocol = PROTOCOL_TCP', true],
    ['Vip', vip, 'protocol != "PROTOCOL_UDP"', true],
    ['Vip', vip, 'address = 2001:db8::1', true],
    ['Vip', vip, 'pool=pools/web', true],
    ['Vip', vip, 'name > vips/a AND name < vips/x', true],
    ['Vip', vip, 'name = "vips/*"', true],
    ['Vip', vip, 'name = v*/w*b', true],
    ['Vip', vip, 'name = *web*web', false],
    ['Vip', vip, 'name = vips/web*b', false],
    ['Vip', vip, 'name != *x*', true],
    ['Vip', vip, 'name = *', true],
    ['Vip', vip, 'display_name : "ann"', true],
    ['Vip', vip, `displayName:'"ann", (new)'`, true],
    ['Vip', vip, 'display_name : "shop of \\"ann"', true],
    ['Vip', vip, 'display_name : Ann', false],
    ['Vip', vip, 'status.state = STATE_ACTIVE', true],
    ['Vip', vip, 'status.serving_backends >= 3', true],
    ['Vip', vip, 'status.servingBackends < 3', false],
    ['Vip', vip, 'status.healthy_backends = 0', true],
    ['Vip', vip, 'flags:VIP_FLAG_QUIC_VIP', true],
    ['Vip', vip, 'flags:VIP_FLAG_LOCAL_VIP', false],
    ['Vip', vip, 'flags:*', true],
    ['Vip', vip, 'down_backends:*', false],
    ['Vip', vip, 'down_backends:10.0.0.1', false],
    ['Vip', vip, 'status:*', true],
    ['Vip', vip, 'update_time:*', false],
    ['Vip', vip, 'ring_algorithm:*', false],
    ['Vip', vip, 'port:*', true],
    ['Vip', vip, 'port:443', true],
    ['Vip', vip, 'create_time > 2026-09-21T14:13:20Z', true],
    ['Vip', vip, 'create_time = "2026-09-21T16:13:20.5+02:00"', true],
    ['Vip', vip, 'create_time < 2026-09-21T14:13:20.500000001z', true],
    ['Vip', vip, 'update_time < 2026-09-21T14:13:20Z', false],
    ['Vip', vip, 'update_time != 2026-09-21T14:13:20Z', true],
    ['Vip', vip, 'revision = 18446744073709551615', true],
    ['Vip', vip, 'revision > 18446744073709551614', true],
    ['Backend', backend, 'local = true', true],
    ['Backend', bare, 'local = false', true],
    ['Backend', backend, 'status.table_share < 0.3', true],
    ['Backend', bare, 'weight = 1', false],
    ['Backend', bare, 'weight != 1', true],
    ['Backend', bare, 'NOT weight = 1', true],
    ['Backend', bare, 'weight:*', false],
    ['Backend', { weight: 0 }, 'weight:*', true],
    ['Backend', backend, 'status.checks.health_check:http', true],
    ['Backend', backend, 'status.checks.health_check:udp', false],
    ['Backend', backend, 'status.checks.last_latency:1.5s', true],
    ['Backend', backend, 'status.checks:*', true],
    ['Backend', bare, 'status.checks:*', false],
    ['Backend', bare, 'status.checks.health_check:http', false],
    ['VipStats', { drops: { fragment: '3' } }, 'drops:fragment', true],
    ['VipStats', { drops: { fragment: '3' } }, 'drops:constructor', false],
    // AIP-160: OR binds tighter than AND.
    ['Vip', vip, 'port = 443 OR port = 80 AND port = 80', false],
    ['Vip', vip, '(port = 443) OR (port = 80 AND port = 80)', true],
    ['Vip', vip, 'NOT (port = 80 OR port = 81)', true],
    ['Vip', vip, '-port = 80', true],
    ['Vip', vip, 'NOT -NOT port = 443', false],
    ['Vip', vip, 'port=443 AND(protocol=PROTOCOL_TCP)', true],
  ];
  it.each(rows)('%s %#: %o by %s: %s', (message, value, filter, isThrough) => {
    expect(filterOf(message, filter)(value)).toBe(isThrough);
  });
});

/** What the field error of a filter says, without "filter: ". */
function faultOf(filter: string, message = 'Vip'): string {
  try {
    filterOf(message, filter);
  } catch (error) {
    if (!(error instanceof StateError) || error.fault.code !== 'STATE_FIELDS') throw error;
    const [violation] = error.fault.violations;
    expect(violation?.field).toBe('filter');
    return violation?.description ?? '';
  }
  throw new Error(`"${filter}" was accepted`);
}

describe('a filter is refused', () => {
  const rows: readonly [rule: string, filter: string, at: number, part: string][] = [
    [
      'an unknown field, with those that are known',
      'prot = 1',
      1,
      'not a field of Vip, which has name, display_name',
    ],
    ['an unknown field of a field', 'status.up = 1', 1, '"up" is not a field of status'],
    ['a field of what has none', 'port.number = 1', 1, 'port has no fields'],
    ['a member of every object is no field', 'constructor = x', 1, 'not a field'],
    ['a field without a comparator', 'port', 5, 'the end where one of =,'],
    ['a comparator without a value', 'port =', 7, 'the end where a value'],
    ['a value without a field', '= 4', 1, '"=" where a field'],
    ['a comparator that is none', 'port == 4', 7, '"=" where a value'],
    ['two comparisons side by side', 'port = 1 port = 2', 10, '"port" where AND, OR or the end'],
    ['AND without a second one', 'port = 1 AND', 13, 'the end where a field'],
    ['AND in lower case', 'port = 1 and port = 2', 10, '"and" where AND, OR or the end'],
    ['an open parenthesis', '(port = 1', 10, '")" of character 1'],
    ['a closed parenthesis', 'port = 1)', 9, '")" where AND'],
    ['an open quote', 'name = "vips', 8, 'no " ends'],
    ['a text for a number', 'port = http', 8, 'not a number, which port is'],
    ['nothing for a number', 'port = ""', 8, 'not a number'],
    ['a fraction for a whole number', 'revision = 1.5', 12, 'not a whole number'],
    ['a name that the enum has not', 'protocol = TCP', 12, 'none of PROTOCOL_UNSPECIFIED, PROTOCOL_TCP'],
    ['the order of names', 'protocol < PROTOCOL_UDP', 1, 'compare it with = or !='],
    ['a time of another form', 'create_time > 2026-09-21', 15, 'not a time such as'],
    ['a time that never is', 'create_time > 2026-13-41T25:00:00Z', 15, 'not a time such as'],
    ['a list by its value', 'flags = VIP_FLAG_QUIC_VIP', 1, 'flags is a list'],
    ['a message by its value', 'status = 1', 1, 'status is a message'],
    ['a message by what it holds', 'status:x', 1, 'status is a message'],
  ];
  it.each(rows)('%s: %s', (_, filter, at, part) => {
    const text = faultOf(filter);
    expect(text).toContain(part);
    expect(text).toMatch(new RegExp(`^character ${at}: `));
  });

  it.each([
    ['a bool is true or false', 'Backend', 'local = yes', 'neither true nor false'],
    ['a bool has no order', 'Backend', 'local > false', 'compare it with = or !='],
    ['a duration has a unit', 'Pool', 'drain_timeout > 5', 'not a duration such as'],
    [
      'a field of a list is asked for with ":"',
      'Backend',
      'status.checks.health_check = x',
      'checks is a list',
    ],
    ['bytes are not compared', 'TcpProbe', 'send = x', 'send is bytes'],
    ['a map is asked for its keys', 'VipStats', 'drops = x', 'drops is a map'],
  ])('%s', (_, message, filter, part) => {
    expect(faultOf(filter, message)).toContain(part);
  });

  it('a filter that is too long, or too deep', () => {
    expect(faultOf(`name = "${'x'.repeat(2048)}"`)).toContain('at most 2048 characters');
    expect(faultOf(`${'('.repeat(1000)}port = 1${')'.repeat(1000)}`)).toContain('levels of parentheses');
    expect(faultOf(`${'-'.repeat(1000)}port = 1`)).toContain('levels of parentheses');
  });
});

/** Filters over three fields, with what they mean written down the plain way. */
interface Meaning {
  readonly text: string;
  readonly holds: (vip: Vip) => boolean;
}
const numbers = fc.integer({ min: 0, max: 4 });
const comparison: fc.Arbitrary<Meaning> = fc.oneof(
  fc.tuple(fc.constantFrom('=', '!=', '<', '<=', '>', '>='), numbers).map(([comparator, number]) => ({
    text: `port ${comparator} ${number}`,
    holds: ({ port = 0 }: Vip) =>
      ({
        '=': port === number,
        '!=': port !== number,
        '<': port < number,
        '<=': port <= number,
        '>': port > number,
        '>=': port >= number,
      })[comparator] ?? false,
  })),
  fc.constantFrom('PROTOCOL_TCP', 'PROTOCOL_UDP').map((protocol) => ({
    text: `protocol=${protocol}`,
    holds: (vip: Vip) => vip.protocol === protocol,
  })),
  fc.stringMatching(/^[ab*]{0,6}$/).map((pattern) => ({
    text: `display_name = "${pattern}"`,
    holds: ({ displayName = '' }: Vip) => new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(displayName),
  })),
);
const { filter: anyFilter } = fc.letrec<{ filter: Meaning; unit: Meaning }>((tie) => ({
  unit: fc.oneof(
    { depthSize: 'small' },
    comparison,
    tie('unit').map(({ text, holds }) => ({ text: `NOT ${text}`, holds: (v: Vip) => !holds(v) })),
    tie('filter').map(({ text, holds }) => ({ text: `(${text})`, holds })),
  ),
  // A conjunction of disjunctions, without parentheses.
  filter: fc
    .array(fc.array(tie('unit'), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 })
    .map((terms) => ({
      text: terms.map((units) => units.map(({ text }) => text).join(' OR ')).join(' AND '),
      holds: (v: Vip) => terms.every((units) => units.some(({ holds }) => holds(v))),
    })),
}));
const anyVip: fc.Arbitrary<Vip> = fc.record(
  {
    port: numbers,
    protocol: fc.constantFrom('PROTOCOL_TCP' as const, 'PROTOCOL_UDP' as const),
    displayName: fc.stringMatching(/^[ab]{0,5}$/),
  },
  { requiredKeys: [] },
);

it('a filter means what its parts mean', () => {
  fc.assert(
    fc.property(anyFilter, anyVip, ({ text, holds }, value) => {
      fc.pre(text.length <= 2048);
      expect(filterOf('Vip', text)(value)).toBe(holds(value));
    }),
    { numRuns: 500 },
  );
});

it('whatever the text is, it is a filter that answers, or a field error', () => {
  const word = fc.constantFrom(
    ...['AND', 'OR', 'NOT', '-', '(', ')', '=', ':', '!=', '<', '"', "'", '\\', ' ', '.', '*', '1'],
    ...['port', 'name', 'status', 'flags', 'create_time', 'status.state', 'revision', 'weight', '2s'],
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(word, { maxLength: 12 }).map((words) => words.join('')),
  );
  fc.assert(
    fc.property(text, (filter) => {
      let predicate: (value: object) => boolean;
      try {
        predicate = filterOf('Vip', filter);
      } catch (error) {
        expect(error).toBeInstanceOf(StateError);
        return;
      }
      expect(typeof predicate(vip)).toBe('boolean');
    }),
    { numRuns: 2000 },
  );
});
