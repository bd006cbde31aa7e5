import { describe, expect } from 'vitest';
import { describeTables, u32 } from '../../test/support/tables-bed.js';
import { type Decision, readDecision, writeSimulatedCpu } from './decisions.js';
import { REASONS } from './reasons.js';
import { DECISION, DECISION_FLAGS, encode, MAX_VIPS, TABLES } from './schema.js';

const NOTHING = { reason: 0, table: 0, vip_num: MAX_VIPS, real: 0, hash: 0, slot: 0, flags: 0, cpu: 0 };

describe('decisions', () => {
  /** What the program writes, and what is read. */
  const rows: readonly (readonly [string, Partial<typeof NOTHING>, Decision])[] = [
    ['a packet for nobody', { reason: REASONS.no_vip.code }, { reason: 'no_vip', table: 'none', marks: [] }],
    [
      'a new flow',
      {
        vip_num: 3,
        real: 9,
        table: TABLES.indexOf('ring'),
        hash: 0xfffffffe,
        slot: 65536,
        flags: DECISION_FLAGS.HASHED | DECISION_FLAGS.INSERTED,
      },
      {
        reason: 'forwarded',
        table: 'ring',
        vipNumber: 3,
        real: 9,
        hash: 0xfffffffe,
        slot: 65536,
        marks: ['inserted'],
      },
    ],
    [
      'a known flow of the first VIP',
      { vip_num: 0, real: 1, table: TABLES.indexOf('lru') },
      { reason: 'forwarded', table: 'lru', vipNumber: 0, real: 1, marks: [] },
    ],
    [
      'an empty ring: a slot, but no backend',
      {
        reason: REASONS.empty_ring.code,
        vip_num: 2,
        table: TABLES.indexOf('ring'),
        hash: 7,
        slot: 7,
        flags: DECISION_FLAGS.HASHED,
      },
      { reason: 'empty_ring', table: 'none', vipNumber: 2, hash: 7, slot: 7, marks: [] },
    ],
    [
      'every mark',
      {
        flags:
          DECISION_FLAGS.INSERTED |
          DECISION_FLAGS.FLOODED |
          DECISION_FLAGS.MIGRATED |
          DECISION_FLAGS.DECAPSULATED |
          DECISION_FLAGS.ICMP,
      },
      {
        reason: 'forwarded',
        table: 'none',
        marks: ['inserted', 'flooded', 'migrated', 'decapsulated', 'icmp'],
      },
    ],
  ];

  describeTables('read', (test) => {
    for (const [rule, fields, want] of rows) {
      test(rule, ({ fill, maps }) => {
        fill('decisions', 0, encode(DECISION, { ...NOTHING, ...fields }));
        expect(readDecision(maps.get('decisions')!, 1)).toEqual(want);
      });
    }

    test('each CPU has its own', ({ maps }) => {
      const map = maps.get('decisions')!;
      const copies = new Uint8Array(map.valueBytes);
      copies.set(encode(DECISION, { ...NOTHING, reason: REASONS.local.code }), DECISION.sizeBytes);
      copies.set(encode(DECISION, { ...NOTHING, reason: REASONS.icmp.code }));
      map.update(u32(0), copies);
      expect([0, 1].map((cpu) => readDecision(map, cpu).reason)).toEqual(['icmp', 'local']);
    });

    test('a CPU that is not there, and numbers that nobody writes, are refused', ({ fill, maps }) => {
      const map = maps.get('decisions')!;
      expect(() => readDecision(map, map.cpus)).toThrow(RangeError);
      expect(() => readDecision(map, -1)).toThrow(RangeError);
      fill('decisions', 0, encode(DECISION, { ...NOTHING, reason: 63 }));
      expect(() => readDecision(map, 0)).toThrow(RangeError);
      fill('decisions', 0, encode(DECISION, { ...NOTHING, table: TABLES.length }));
      expect(() => readDecision(map, 0)).toThrow(RangeError);
    });

    test('whose table is asked is written for every CPU, and nothing else', ({ fill, maps, read }) => {
      const map = maps.get('decisions')!;
      fill('decisions', 0, encode(DECISION, { ...NOTHING, vip_num: 3 }));
      expect(writeSimulatedCpu(map, 5)).toBe(0);
      const copy = Buffer.from(encode(DECISION, { ...NOTHING, vip_num: 3, cpu: 5 })).toString('hex');
      expect(read('decisions', u32(0))).toBe(copy.repeat(map.cpus));
    });
  });
});
