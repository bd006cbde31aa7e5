import { describe, expect } from 'vitest';
import { describeTables, u32 } from '../../test/support/tables-bed.js';
import type { BpfMap } from '../bpf/maps/map.js';
import { type Decision, forgetDecisions, readDecision } from './decisions.js';
import { REASONS } from './reasons.js';
import { COUNTERS_START, DECISION, DECISION_FLAGS, encode, TABLES } from './schema.js';

const NOTHING = { reason: 0, table: 0, vip_num: COUNTERS_START, real: 0, hash: 0, slot: 0, flags: 0, cpu: 0 };

/** What the program does on one CPU. */
function write(map: BpfMap, cpu: number, fields: Partial<typeof NOTHING>): void {
  const copies = map.lookup(u32(0))!;
  copies.set(encode(DECISION, { ...NOTHING, ...fields }), cpu * DECISION.sizeBytes);
  map.update(u32(0), copies);
}

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
      test(rule, ({ maps }) => {
        const map = maps.get('decisions')!;
        expect(forgetDecisions(map)).toBe(0);
        write(map, 1, fields);
        expect(readDecision(map)).toEqual(want);
      });
    }

    test('that of the CPU that has written since the others were forgotten', ({ maps }) => {
      const map = maps.get('decisions')!;
      for (let cpu = 0; cpu < map.cpus; cpu++) {
        write(map, (cpu + 1) % map.cpus, { reason: REASONS.icmp.code });
        forgetDecisions(map);
        write(map, cpu, { reason: REASONS.local.code });
        expect(readDecision(map).reason, `CPU ${cpu}`).toBe('local');
      }
    });

    test('none, and numbers that nobody writes, are refused', ({ maps }) => {
      const map = maps.get('decisions')!;
      forgetDecisions(map);
      expect(() => readDecision(map)).toThrow(RangeError);
      for (const wrong of [{ reason: 63 }, { table: TABLES.length }]) {
        forgetDecisions(map);
        write(map, 0, wrong);
        expect(() => readDecision(map)).toThrow(RangeError);
      }
    });

    test('whose table is asked is written for every CPU', ({ maps, read }) => {
      const map = maps.get('decisions')!;
      expect(forgetDecisions(map, 5)).toBe(0);
      const blank = {
        reason: 0xffff_ffff,
        table: 0,
        vip_num: 0,
        real: 0,
        hash: 0,
        slot: 0,
        flags: 0,
        cpu: 5,
      };
      expect(read('decisions', u32(0))).toBe(
        Buffer.from(encode(DECISION, blank)).toString('hex').repeat(map.cpus),
      );
    });
  });
});
