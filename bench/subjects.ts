import type { Plan, Row } from './report.js';

interface Subject {
  /** Loaded when it is wanted: each needs other rights, and takes its time to load. */
  readonly run: (plan: Plan) => Promise<readonly Row[]>;
  /** Left out of a quick run unless it is named. */
  readonly isLong?: true;
}

/** The names stay as they are, and what they stand for is any subject. */
const table = <Name extends string>(subjects: Readonly<Record<Name, Subject>>) => subjects;

/** What can be measured, by the name that the command line knows it by, in the order in which it is. */
export const SUBJECTS = table({
  program: { run: async (plan) => (await import('./program.js')).benchProgram(plan) },
  connections: { run: async (plan) => (await import('./connections.js')).benchConnections(plan) },
  jit: { run: async (plan) => (await import('./jit.js')).benchJit(plan) },
  sizes: { run: async (plan) => (await import('./sizes.js')).benchSizes(plan) },
  load: { run: async ({ rounds }) => (await import('./load.js')).benchLoad(rounds) },
  verify: { run: async (plan) => (await import('./verify.js')).benchVerify(plan) },
  maps: { run: async ({ rounds }) => (await import('./maps.js')).benchMaps(rounds), isLong: true },
  rings: { run: async ({ rounds }) => (await import('./rings.js')).benchRings(rounds) },
  memory: { run: async () => (await import('./memory.js')).benchMemory() },
  forwarding: { run: async (plan) => (await import('./forwarding.js')).benchForwarding(plan) },
  xdp: {
    run: async ({ systemRounds, seconds }) =>
      (await import('./kernel-forward.js')).benchKernelForward(systemRounds, seconds),
  },
  latency: { run: async (plan) => (await import('./latency.js')).benchLatency(plan) },
  'round-trip': {
    run: async ({ systemRounds }) => (await import('./round-trip.js')).benchRoundTrip(systemRounds),
    isLong: true,
  },
  http: { run: async (plan) => (await import('./http.js')).benchHttp(plan) },
  control: {
    run: async ({ systemRounds }) => (await import('./control.js')).benchControl(systemRounds),
    isLong: true,
  },
  health: {
    run: async ({ systemRounds }) => (await import('./health.js')).benchHealth(systemRounds),
    isLong: true,
  },
});

export type SubjectName = keyof typeof SUBJECTS;
export const SUBJECT_NAMES = Object.keys(SUBJECTS) as SubjectName[];
export const isSubject = (name: string): name is SubjectName => Object.hasOwn(SUBJECTS, name);
