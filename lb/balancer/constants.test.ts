import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { compileTypes, missingClang } from '../../test/support/clang.js';
import { REASON_NAMES, REASON_SLOT_NO_VIP, REASONS, REASONS_MAX, VIP_REASONS } from './reasons.js';
import {
  COUNTER_SLOTS,
  COUNTERS_START,
  CTL_EVENTS,
  CTL_ROUTER_MAC,
  DECAP_FLAGS,
  DECISION_FLAGS,
  DEFAULT_REALS,
  DEFAULT_VIPS,
  EVENT_KINDS,
  EVENT_PACKET_BYTES,
  EVENT_RECORD,
  MAX_CPUS,
  OWN_ADDRESS_SLOTS,
  REAL_FLAGS,
  RING_SIZE,
  STATS_SLOTS,
  TABLES,
  VIP_FLAGS,
} from './schema.js';
import { COUNTER_NAMES, COUNTERS } from './stats.js';

/** Numbers of consts.h and structs.h, by their names in C. */
const NUMBERS: Readonly<Record<string, number>> = {
  RING_SIZE,
  COUNTERS_START,
  STATS_SLOTS,
  DEFAULT_VIPS,
  DEFAULT_REALS,
  MAX_CPUS,
  CTL_ROUTER_MAC,
  CTL_EVENTS,
  OWN_IPV4: OWN_ADDRESS_SLOTS[4],
  OWN_IPV6: OWN_ADDRESS_SLOTS[6],
  EVENT_PACKET_BYTES,
  REASONS_MAX,
  VIP_REASONS,
  REASON_SLOT_NO_VIP,
  ...Object.fromEntries(Object.entries(VIP_FLAGS).map(([name, bit]) => [`F_${name}`, bit])),
  ...Object.fromEntries(Object.entries(REAL_FLAGS).map(([name, bit]) => [`F_REAL_${name}`, bit])),
  ...Object.fromEntries(Object.entries(DECAP_FLAGS).map(([name, bit]) => [`F_DECAP_${name}`, bit])),
  ...Object.fromEntries(Object.entries(DECISION_FLAGS).map(([name, bit]) => [`DECISION_${name}`, bit])),
};
const ENUMS = ['reason', 'table', 'event', 'global_counter'] as const;
const HEADER = fileURLToPath(new URL('../../programs/include/maps.h', import.meta.url));

const note = missingClang === undefined ? '' : ` (${missingClang})`;
describe.skipIf(missingClang !== undefined)(`numbers are those of programs/include${note}`, () => {
  const types = compileTypes(
    [
      `#include "${HEADER}"`,
      ...ENUMS.map((name) => `enum ${name} of_${name};`),
      'struct event_record record;',
      `enum number { ${Object.keys(NUMBERS)
        .map((name) => `NUMBER_${name} = ${name}`)
        .join(', ')} } of_number;`,
    ].join('\n'),
    ['-O2', '-nostdinc'],
  );
  /** Constants of an enum without their prefix, in lower case. */
  const constants = (name: string, prefix: string): Record<string, number> =>
    Object.fromEntries(
      [...types.enumValues(name)].map(([constant, value]) => [
        constant.slice(prefix.length).toLowerCase(),
        Number(value),
      ]),
    );

  it('reasons: name, number and kind', () => {
    const inC = [...types.enumValues('reason')]
      .filter(([constant]) => constant !== 'REASONS')
      .map(([constant, code]) => {
        const [, prefix, name] = /^(REASON|DROP|PASS)_(.+)$/.exec(constant) ?? [];
        const kind = prefix === 'DROP' ? 'drop' : prefix === 'PASS' ? 'pass' : 'answer';
        return { name: name?.toLowerCase(), code: Number(code), kind };
      });
    const here = REASON_NAMES.map((name) => ({ name, code: REASONS[name].code, kind: REASONS[name].kind }));
    expect(here).toEqual(inC);
    expect(Math.max(...here.map(({ code }) => code))).toBeLessThan(REASONS_MAX);
  });

  it('tables', () => {
    const here = Object.fromEntries(TABLES.map((name, number) => [name, number]));
    expect(here).toEqual(constants('table', 'TABLE_'));
  });

  it('events', () => {
    expect(EVENT_KINDS).toEqual(constants('event', 'EVENT_'));
    const { sizeBytes, fields } = types.structLayout('event_record');
    expect(EVENT_RECORD.sizeBytes).toBe(sizeBytes);
    for (const [name, { offset, bytes }] of Object.entries(EVENT_RECORD.fields))
      expect([name, fields.get(name)]).toMatchObject([name, { offset, sizeBytes: bytes }]);
  });

  it('global counters', () => {
    const here = Object.entries(COUNTER_SLOTS).map(([name, slot]) => [name, COUNTERS_START + slot]);
    expect(Object.fromEntries(here)).toEqual(constants('global_counter', 'COUNTER_'));
  });

  it('flags and sizes', () => {
    const here = Object.entries(NUMBERS).map(([name, value]) => [name.toLowerCase(), value]);
    expect(Object.fromEntries(here)).toEqual(constants('number', 'NUMBER_'));
  });
});

describe('counters', () => {
  it('each says what it counts', () => {
    expect(COUNTER_NAMES).toEqual(Object.keys(COUNTERS));
    expect(Object.values(COUNTERS).filter(({ v1 }) => v1 === '')).toEqual([]);
  });
});
