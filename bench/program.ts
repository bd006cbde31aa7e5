import { possibleCpus } from '../lb/sys/bpf.js';
import { ArenaRig, benchObject, type Contender, inKernel, netNs } from './balancer-rig.js';
import { type Comparison, interleave, type Plan } from './report.js';
import { SCENARIOS } from './scenarios.js';

/** Entries of a connection table: new connections fill it, and so most of them evict one. */
const CONNECTIONS = 65_536;
const KERNEL = "the kernel's JIT";
const INTERPRETER = 'interpreter';

/**
 * ns a packet of the balancer on one object and the same packets: our JIT, our interpreter, the kernel's JIT. What an
 * empty program costs on the same engine (the call, BPF_PROG_TEST_RUN) is measured beside it and taken off.
 */
export async function benchProgram({ rounds, isQuick }: Plan): Promise<Comparison[]> {
  const object = benchObject();
  const rig = new ArenaRig(object, { cpus: 1, entries: CONNECTIONS });
  const contenders: Readonly<Record<string, Contender>> = {
    [KERNEL]: inKernel(object, { cpus: possibleCpus(), entries: CONNECTIONS }),
    JIT: rig.contender('jit'),
    [INTERPRETER]: rig.contender('interpreter'),
  };
  const compiled = isQuick ? 100_000 : 500_000;
  try {
    const comparisons: Comparison[] = [];
    for (const scenario of SCENARIOS) {
      const runs = Object.entries(contenders).map(([name, contender]) => {
        const repeat = name === INTERPRETER ? compiled / 250 : compiled;
        return [name, () => netNs(contender, name, scenario, repeat)] as const;
      });
      // Warm: the table filled, the code optimised.
      for (const [, run] of runs) run();
      comparisons.push({
        title: `Balancer, ${scenario.name}, net of an empty program`,
        unit: 'ns a packet',
        baseline: KERNEL,
        aim: { of: 'ratio', most: 0.5, series: ['JIT'] },
        series: await interleave(Object.fromEntries(runs), rounds),
      });
    }
    return comparisons;
  } finally {
    for (const contender of Object.values(contenders)) contender.close();
  }
}
