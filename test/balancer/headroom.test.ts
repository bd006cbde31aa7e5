import { describe, expect, it } from 'vitest';
import { REASONS } from '../../lb/balancer/reasons.js';
import { XDP_DROP, XDP_TX } from '../../lb/bpf/engine/context.js';
import { makeArenaBed } from '../support/balancer.js';
import { countsMoved, markDecisions, readCounts, readMarkedDecision } from '../support/balancer-state.js';
import { arrangeHeadroom, HEADROOM_CASES } from './cases/headroom.js';
import { Scene } from './cases/setup.js';

// The kernel's test run always has 256 bytes of room: the arena's engines alone can be short of it.
describe.each(['interpreter', 'jit'] as const)('room in front of the frame: %s', (engine) => {
  it.each(HEADROOM_CASES)('$name needs $needBytes bytes, and with one less is dropped by name', (row) => {
    const bed = makeArenaBed(engine, { explain: true, ...row.options });
    const scene = new Scene(bed);
    const reasonAt = (headroomBytes: number) => {
      scene.reset();
      arrangeHeadroom(scene);
      markDecisions(bed.maps);
      const before = readCounts(bed.maps);
      const { verdict } = bed.run(row.frame, headroomBytes);
      const moved = countsMoved(before, readCounts(bed.maps));
      return { verdict, reason: readMarkedDecision(bed.maps)?.reason, moved };
    };
    for (const headroomBytes of [0, row.needBytes - 1]) {
      const short = reasonAt(headroomBytes);
      expect(short).toMatchObject({ verdict: XDP_DROP, reason: REASONS[row.shortReason].code });
      expect(short.moved[`${row.shortReason}.${row.vip}.v1`]).toBe(1n);
    }
    expect(reasonAt(row.needBytes - 1).moved).toMatchObject(row.counts);
    expect(reasonAt(row.needBytes)).toMatchObject({ verdict: XDP_TX, reason: REASONS[row.reason].code });
  });
});
