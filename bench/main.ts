// npm run bench [-- --only program,http] [--rounds N]
import { setFlagsFromString } from 'node:v8';
import { Command, InvalidArgumentError } from 'commander';
import { type Comparison, formatComparison, machine } from './report.js';

/** Subject → what measures it. Loaded when it is wanted: each needs other rights. */
const SUBJECTS: Readonly<Record<string, (rounds: number) => Promise<readonly Comparison[]>>> = {
  program: async (rounds) => (await import('./program.js')).benchProgram(rounds),
  maps: async (rounds) => (await import('./maps.js')).benchMaps(rounds),
  load: async (rounds) => (await import('./load.js')).benchLoad(rounds),
  verify: async (rounds) => (await import('./verify.js')).benchVerify(rounds),
  forwarding: async (rounds) => (await import('./forwarding.js')).benchForwarding(rounds, 2),
  latency: async (rounds) => (await import('./latency.js')).benchLatency(rounds),
  health: async (rounds) => (await import('./health.js')).benchHealth(rounds),
  http: async (rounds) => [await (await import('./http.js')).benchHttp(rounds, 3)],
};

function roundsOf(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 3) throw new InvalidArgumentError('a whole number from 3 on');
  return value;
}

function subjectsOf(text: string): string[] {
  const names = text.split(',');
  const unknown = names.filter((name) => !(name in SUBJECTS));
  if (unknown.length > 0)
    throw new InvalidArgumentError(
      `${unknown.join(', ')}: one or more of ${Object.keys(SUBJECTS).join(',')}`,
    );
  return names;
}

const options = new Command('bench')
  .description('Each claim of speed, measured side by side in one run')
  .option(
    '--only <subjects>',
    `some of ${Object.keys(SUBJECTS).join(',')}`,
    subjectsOf,
    Object.keys(SUBJECTS),
  )
  .option('--rounds <n>', 'rounds of each contender', roundsOf, 7)
  .parse()
  .opts<{ only: string[]; rounds: number }>();

if (process.getuid?.() !== 0) {
  console.error('Error: the benchmarks need root: bpf(), packet sockets and network namespaces');
  process.exit(1);
}
// As the workers do: optimised code from the first call on.
setFlagsFromString('--no-liftoff');
console.log(
  `${machine()}\n${options.rounds} rounds of each, interleaved; spread = half the distance between the quartiles\n`,
);
for (const name of options.only) {
  for (const comparison of await SUBJECTS[name]!(options.rounds))
    console.log(`${formatComparison(comparison)}\n`);
}
