import { execFileSync } from 'node:child_process';
import { built } from '../demo/appliance.js';
import type { LeftOut, Optimisation } from '../lb/bpf/jit/optimisations.js';
import { OPTIMISATIONS } from '../lb/bpf/jit/optimisations.js';
import { ArenaRig, benchObject, netNs } from './balancer-rig.js';
import type { FirstPackets } from './first-packets.js';
import { type Comparison, interleave, type Plan, type Series, turns } from './report.js';
import { SAMPLE_CASES, SampleRig } from './sample-rig.js';
import { CONNECTION_HIT, NEW_CONNECTION, SCENARIOS } from './scenarios.js';

const CONNECTIONS = 65_536;
const ALL = 'all';
const STEADY = 'steady state';

const NAMES = Object.keys(OPTIMISATIONS) as Optimisation[];

/** Names of compilations and what each does without. */
const COMPILATIONS: ReadonlyMap<string, LeftOut> = new Map<string, LeftOut>([
  [ALL, new Set()],
  ...NAMES.map((name) => [`without ${name}`, new Set([name])] as const),
  ['without any of them', new Set(NAMES)],
]);

/** What each optimisation of the compiler is worth: the balancer without one at a time, and without any. */
async function benchOptimisations(rig: ArenaRig, { rounds, isQuick }: Plan): Promise<Comparison[]> {
  const repeat = isQuick ? 50_000 : 500_000;
  const scenarios = isQuick ? [CONNECTION_HIT, NEW_CONNECTION] : SCENARIOS;
  const contenders = [...COMPILATIONS].map(
    ([name, without]) => [name, rig.contender('jit', { without })] as const,
  );
  const comparisons: Comparison[] = [];
  for (const scenario of scenarios) {
    const runs = contenders.map(
      ([name, contender]) => [name, () => netNs(contender, name, scenario, repeat)] as const,
    );
    for (const [, run] of runs) run();
    comparisons.push({
      title: `JIT, ${scenario.name}, optimisations left out one at a time, net of an empty program`,
      unit: 'ns a packet',
      baseline: ALL,
      series: await interleave(Object.fromEntries(runs), rounds),
    });
  }
  return comparisons;
}

/** The same where the balancer has no use for it: programs that have, with it and without. */
async function benchSamples({ rounds, isQuick }: Plan): Promise<Comparison[]> {
  const repeat = isQuick ? 200_000 : 2_000_000;
  const comparisons: Comparison[] = [];
  for (const sample of SAMPLE_CASES) {
    const rig = new SampleRig(sample);
    const empty = rig.instantiate(rig.compile('empty'));
    const netNsOf = (without: LeftOut) => {
      const program = rig.instantiate(rig.compile(without));
      return () => rig.timeNs(program, repeat) - rig.timeNs(empty, repeat);
    };
    const runs = {
      [ALL]: netNsOf(new Set()),
      [`without ${sample.shows}`]: netNsOf(new Set([sample.shows])),
    };
    for (const run of Object.values(runs)) run();
    comparisons.push({
      title: `JIT, ${sample.what} (test/samples/${sample.object}.bpf.c: ${sample.program}), net of an empty program`,
      unit: 'ns a packet',
      baseline: ALL,
      series: await interleave(runs, rounds),
    });
  }
  return comparisons;
}

/** The module with a custom section that makes its bytes its own: V8 keeps the code of one that it has seen. */
export function withNonce(wasm: Uint8Array, nonce: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(wasm.length + 8);
  out.set(wasm);
  // Section 0, 6 bytes long, with a name of one byte.
  out.set([0, 6, 1, 0x6e], wasm.length);
  new DataView(out.buffer).setUint32(wasm.length + 4, nonce, true);
  return out;
}

/** How V8 is told to compile; the first is what the workers do. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  'optimised before they come': ['--no-liftoff', '--no-wasm-lazy-compilation'],
  'optimised at the first call': ['--no-liftoff', '--wasm-lazy-compilation'],
  "V8's own way: quickly at the first call, optimised later": ['--liftoff', '--wasm-lazy-compilation'],
};
const [BEFOREHAND = ''] = Object.keys(WAYS);

function firstPackets(flags: readonly string[]): FirstPackets {
  const script = built('bench/first-packets.js');
  return JSON.parse(execFileSync(process.execPath, [...flags, script], { encoding: 'utf8' })) as FirstPackets;
}

/** Whether the first packets run optimised code: a module's first, those up to the hundredth, and much later ones. */
async function benchFirstPackets({ systemRounds }: Plan): Promise<Comparison[]> {
  const names = Object.keys(WAYS);
  const measured = new Map<string, FirstPackets[]>(names.map((name) => [name, []]));
  for (const name of turns(names, systemRounds)) measured.get(name)?.push(firstPackets(WAYS[name] ?? []));
  const seriesOf = (figure: (packets: FirstPackets) => number): Series[] =>
    [...measured].map(([name, packets]) => ({ name, rounds: packets.map(figure) }));
  const steady = measured.get(BEFOREHAND)?.map(({ steadyNs }) => steadyNs) ?? [];
  return [
    {
      title: 'JIT, the very first packet of a new module',
      unit: 'µs',
      baseline: BEFOREHAND,
      series: seriesOf(({ firstUs }) => firstUs),
    },
    {
      title: 'JIT, packets 2 to 100 of a new module',
      unit: 'ns a packet',
      baseline: STEADY,
      aim: { of: 'ratio', series: [BEFOREHAND], most: 1.5 },
      series: [{ name: STEADY, rounds: steady }, ...seriesOf(({ earlyNs }) => earlyNs)],
    },
  ];
}

/** What makes the compiled balancer fast, part by part, and whether it is from the first packet on. */
export async function benchJit(plan: Plan): Promise<Comparison[]> {
  const rig = new ArenaRig(benchObject(), { cpus: 1, entries: CONNECTIONS });
  return [
    ...(await benchOptimisations(rig, plan)),
    ...(await benchSamples(plan)),
    ...(await benchFirstPackets(plan)),
  ];
}
