import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type LeftOut, OPTIMISATIONS, type Optimisation } from '../lb/bpf/jit/optimisations.js';
import { ArenaRig, benchObject, setClients } from './balancer-rig.js';
import { SAMPLE_CASES, SampleRig } from './sample-rig.js';
import { SCENARIOS } from './scenarios.js';

const NAMES = Object.keys(OPTIMISATIONS) as Optimisation[];
const rig = new ArenaRig(benchObject(), { cpus: 1, entries: 4096 });
const samples = SAMPLE_CASES.map((sample) => ({ sample, rig: new SampleRig(sample) }));

const digest = (room: Uint8Array) => createHash('sha256').update(room).digest('hex');

/** Verdicts, and what lies in the frame's room, headers that were put on and taken off included. */
function balancerOutcomes(without: LeftOut) {
  const contender = rig.contender('jit', { without });
  return SCENARIOS.map((scenario) => {
    setClients(contender, false);
    rig.room.fill(0);
    const { verdict } = contender.run('balancer', scenario.frame, 3);
    return { verdict, room: digest(rig.room) };
  });
}

function sampleOutcomes(without: LeftOut) {
  return samples.map(({ rig }) => {
    rig.reset();
    const program = rig.instantiate(rig.compile(without));
    const context = rig.place();
    const verdicts = [1, 2, 3].map(() => program.run(context));
    return { verdicts, room: digest(rig.room) };
  });
}

/** Programs that one compilation makes something else of than the other. */
function differences(a: LeftOut, b: LeftOut): string[] {
  const modules = (without: LeftOut) => [
    ['balancer', rig.compile('balancer', { without })] as const,
    ...samples.map(({ sample, rig }) => [sample.program, rig.compile(without)] as const),
  ];
  const others = new Map(modules(b));
  return modules(a).flatMap(([name, wasm]) => (digest(wasm) === digest(others.get(name)!) ? [] : [name]));
}

describe('an optimisation of the compiler', () => {
  const none: LeftOut = new Set();
  const all = [balancerOutcomes(none), sampleOutcomes(none)] as const;

  it('all of them: the verdicts are those that the benchmark expects', () => {
    const [balancer, sample] = all;
    expect(balancer.map(({ verdict }) => verdict)).toEqual(SCENARIOS.map(({ verdict }) => verdict));
    expect(sample.map(({ verdicts }) => verdicts[0])).toEqual(SAMPLE_CASES.map(({ verdict }) => verdict));
  });

  it.each([...NAMES.map((name) => [name]), NAMES])(
    'left out: the code differs, what it does is the same: %s',
    (...names) => {
      const without = new Set(names);
      expect(differences(none, without)).not.toEqual([]);
      expect([balancerOutcomes(without), sampleOutcomes(without)]).toEqual(all);
    },
  );

  it.each(SAMPLE_CASES)('$program of $object shows $shows', ({ program, shows }) => {
    expect(differences(none, new Set([shows]))).toContain(program);
  });
});
