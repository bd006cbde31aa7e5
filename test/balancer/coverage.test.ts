/** All packet cases once more on the interpreter, counting which instructions they execute. */
import { describe, expect, it } from 'vitest';
import { type ArenaBed, makeArenaBed } from '../support/balancer.js';
import { Coverage } from '../support/coverage.js';
import { CASE_SUITES } from './cases/all.js';
import { arrangeHeadroom, HEADROOM_CASES } from './cases/headroom.js';
import { Scene } from './cases/setup.js';
import { SIMULATION_SUITES } from './cases/simulation.js';
import { playRow, type Suite, suiteOptions } from './suite.js';

const LEAST_SHARE = 0.98;

/** Suites of the same options, which share a bed. */
function byOptions(suites: readonly Suite[]): Suite[][] {
  const groups = new Map<string, Suite[]>();
  for (const suite of suites) {
    const key = JSON.stringify(suiteOptions(suite));
    groups.set(key, [...(groups.get(key) ?? []), suite]);
  }
  return [...groups.values()];
}

describe('coverage of the balancer', () => {
  it(`the cases execute at least ${LEAST_SHARE * 100} % of its instructions`, () => {
    const coverage = new Coverage();
    const make = (options: Parameters<typeof makeArenaBed>[1]): { bed: ArenaBed; scene: Scene } => {
      const bed = makeArenaBed('interpreter', { ...options, onStep: coverage.onStep });
      return { bed, scene: new Scene(bed) };
    };
    for (const suites of byOptions([...CASE_SUITES, ...SIMULATION_SUITES])) {
      const { scene } = make(suiteOptions(suites[0]!));
      for (const suite of suites) {
        for (const row of suite.rows) {
          if (!row.notOn?.includes('interpreter')) playRow(scene, suite, row);
        }
      }
    }
    for (const { options, frame, needBytes } of HEADROOM_CASES) {
      const { bed, scene } = make({ explain: true, ...options });
      for (const headroomBytes of [0, needBytes - 1, needBytes]) {
        scene.reset();
        arrangeHeadroom(scene);
        bed.run(frame, headroomBytes);
      }
    }
    const { spec, instructions } = make({}).bed.program;
    const { reachable, executed, missed } = coverage.report(spec, instructions);
    const lines = missed.map(({ file, line, text, missed: count }) => `  ${file}:${line}: ${count}: ${text}`);
    console.log(`${executed} of ${reachable} instructions; not executed:\n${lines.join('\n')}`);
    expect(executed / reachable).toBeGreaterThan(LEAST_SHARE);
  }, 600_000);
});
