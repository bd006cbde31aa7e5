// npm run bench [-- NAME … | --only NAME,…] [--quick] [--rounds N] [--output FOLDER]
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Argument, Command, InvalidArgumentError } from 'commander';
import { exitOnSignals } from './at-exit.js';
import { formatMachine, machineHere } from './machine.js';
import { formatRow, type Plan, type Row } from './report.js';
import { runDocument, type SubjectRows, writeRun } from './results.js';
import { isSubject, SUBJECT_NAMES, SUBJECTS, type SubjectName } from './subjects.js';

/** As fewer rounds have no quartiles. */
const LEAST_ROUNDS = 3;
/** The folder of the sources, from the sources and from dist/ alike. */
const RESULTS = join(
  fileURLToPath(new URL('.', import.meta.url)).replace(/dist\/bench\/$/, 'bench/'),
  'results',
);

function roundsOf(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < LEAST_ROUNDS)
    throw new InvalidArgumentError(`a whole number from ${LEAST_ROUNDS} on`);
  return value;
}

function subjectsOf(names: readonly string[]): SubjectName[] {
  const unknown = names.filter((name) => !isSubject(name));
  if (unknown.length > 0)
    throw new InvalidArgumentError(`${unknown.join(', ')}: one or more of ${SUBJECT_NAMES.join(', ')}`);
  return names.filter(isSubject);
}

const command = new Command('bench')
  .description('Each claim of speed, measured side by side in one run')
  .addArgument(
    new Argument('[names...]', `what to measure, all unless given: ${SUBJECT_NAMES.join(', ')}`).argParser(
      (name: string, before: SubjectName[] | undefined) => [...(before ?? []), ...subjectsOf([name])],
    ),
  )
  .option('--only <names>', 'the same, with commas between them', (text) => subjectsOf(text.split(',')))
  .option('--quick', 'a look in under a minute: few rounds, small sizes, long rows left out', false)
  .option('--rounds <n>', 'rounds of each contender: 7, quickly 3, unless given', roundsOf)
  .option('--output <folder>', 'where the figures go as JSON, and the ratios as an SVG plot', RESULTS)
  .parse();
const options = command.opts<{ only?: SubjectName[]; quick: boolean; rounds?: number; output: string }>();
const [named] = command.processedArgs as [SubjectName[] | undefined];
const chosen = [...(named ?? []), ...(options.only ?? [])];

if (process.getuid?.() !== 0) {
  console.error('Error: the benchmarks need root: bpf(), packet sockets and network namespaces');
  process.exit(1);
}

const plan: Plan = options.quick
  ? { rounds: options.rounds ?? 3, systemRounds: options.rounds ?? 1, seconds: 0.3, isQuick: true }
  : { rounds: options.rounds ?? 7, systemRounds: options.rounds ?? 3, seconds: 1, isQuick: false };
exitOnSignals();
// As the workers do: optimised code from the first call on.
setFlagsFromString('--no-liftoff');
setFlagsFromString('--no-wasm-lazy-compilation');

const started = new Date();
const machine = machineHere();
console.log(`${formatMachine(machine)}
${plan.rounds} rounds of each inside one process and ${plan.systemRounds} of whole systems, interleaved; spread = half the distance between the quartiles
`);

const secondsSince = (startMs: number): number => (performance.now() - startMs) / 1000;

/** Rows of a subject; a failure is told, and the other subjects go on. */
async function rowsOf(name: SubjectName): Promise<readonly Row[]> {
  const { run, isLong } = SUBJECTS[name];
  if (plan.isQuick && isLong && chosen.length === 0)
    return [{ title: name, skipped: 'takes long: name it, or run without --quick' }];
  try {
    return await run(plan);
  } catch (error) {
    process.exitCode = 1;
    console.error(`Error: ${name}: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
    const why = error instanceof Error ? error.message : String(error);
    return [{ title: name, skipped: `failed: ${why}` }];
  }
}

const startedMs = performance.now();
const results: SubjectRows[] = [];
for (const subject of chosen.length > 0 ? new Set(chosen) : SUBJECT_NAMES) {
  const startMs = performance.now();
  const rows = await rowsOf(subject);
  const seconds = secondsSince(startMs);
  results.push({ subject, seconds, rows });
  console.log(`# ${subject}, ${seconds.toFixed(1)} s\n`);
  for (const row of rows) console.log(`${formatRow(row)}\n`);
}
const files = writeRun(options.output, runDocument(started, machine, plan, results));
console.log(`in ${secondsSince(startedMs).toFixed(0)} s; written to ${files.join(' and ')}`);
