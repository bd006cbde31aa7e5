import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OPTIMISATIONS, type Optimisation } from '../lb/bpf/jit/optimisations.js';
import { ArenaRig, benchObject, setClients } from './balancer-rig.js';
import { SCENARIOS } from './scenarios.js';

const NAMES = Object.keys(OPTIMISATIONS) as Optimisation[];
const rig = new ArenaRig(benchObject(), { cpus: 1, entries: 4096 });

/** Verdicts, and what lies in the frame's room, headers that were put on and taken off included. */
function outcomes(without: ReadonlySet<Optimisation>) {
  const contender = rig.contender('jit', { without });
  return SCENARIOS.map((scenario) => {
    setClients(contender, false);
    rig.room.fill(0);
    const { verdict } = contender.run('balancer', scenario.frame, 3);
    return { verdict, room: createHash('sha256').update(rig.room).digest('hex') };
  });
}

describe('an optimisation of the compiler', () => {
  const all = outcomes(new Set());

  it('all of them: the verdicts are those that the benchmark expects', () => {
    expect(all.map(({ verdict }) => verdict)).toEqual(SCENARIOS.map(({ verdict }) => verdict));
  });

  it.each([...NAMES.map((name) => [name]), NAMES])(
    'left out: the code differs, what it does is the same: %s',
    (...names) => {
      const without = new Set(names);
      expect(Buffer.from(rig.compile('balancer', { without }))).not.toEqual(
        Buffer.from(rig.compile('balancer')),
      );
      expect(outcomes(without)).toEqual(all);
    },
  );
});
