/** The cases once more as simulations: a packet's fate is told, and nothing changes. */
import type { Expected, Row, Suite } from '../suite.js';
import { CASE_SUITES } from './all.js';

/** A simulation does not count new connections, and so knows of no flood. */
const isFlood = ({ steps }: Row): boolean =>
  steps.some(({ expected: { flags = [] } }) => flags.includes('FLOODED'));

/** What is left to be seen: neither counters nor events, and no flow but those that were there. */
function quiet(
  { events: _events, counts: _counts, entries, ...expected }: Expected,
  hadFlows: boolean,
): Expected {
  return { ...expected, ...(entries && !hadFlows && { entries: [] }) };
}

/** The rows of one packet: those of several live on what the one before has left. */
const rowsOf = ({ rows }: Suite): Row[] =>
  rows
    .filter((row) => row.steps.length === 1 && !isFlood(row))
    .map(({ steps, ...row }) => ({
      ...row,
      steps: steps.map(({ afterwards: _, expected, ...step }) => ({
        ...step,
        expected: quiet(expected, step.given !== undefined),
      })),
    }));

export const SIMULATION_SUITES: readonly Suite[] = CASE_SUITES.map(
  (suite): Suite => ({
    ...suite,
    title: `simulation: ${suite.title}`,
    options: { ...suite.options, simulate: true },
    isSilent: true,
    rows: rowsOf(suite),
  }),
).filter(({ rows }) => rows.length > 0);
