import type { Command } from 'commander';
import type { ProbeBackendResponse__Output } from '../grpc/generated/waggle/v1/ProbeBackendResponse.js';
import type { ProbeOutcome__Output } from '../grpc/generated/waggle/v1/ProbeOutcome.js';
import { backendName, shortName } from './arguments.js';
import { msOf } from './duration.js';
import { EXIT } from './faults.js';
import type { Column } from './format.js';
import { type GlobalOptions, withSession } from './session.js';

/** As long as a probe may take, and some. */
const DEADLINE_MS = 60_000;

const COLUMNS: readonly Column<ProbeOutcome__Output>[] = [
  { title: 'HEALTH CHECK', value: ({ healthCheck }) => shortName(healthCheck) },
  {
    title: 'RESULT',
    value: ({ success }) => (success ? 'pass' : 'fail'),
    tone: ({ success }) => (success ? 'good' : 'bad'),
  },
  { title: 'TOOK', value: ({ latency }) => `${(msOf(latency) ?? 0).toFixed(1)} ms`, align: 'right' },
  { title: 'DETAIL', value: ({ detail }) => detail },
];

export function addProbe(program: Command): void {
  const command = program.command('probe');
  command
    .description('probe a backend with each of its health checks, now; exit status 1 when one fails')
    .argument('<pool/backend>', 'the backend')
    .action((name: string) => {
      const request = { backend: backendName(name) };
      return withSession(command.optsWithGlobals<GlobalOptions>(), async (session) => {
        const response = await session.client.ask<ProbeBackendResponse__Output>(
          (call, done) => session.client.checks.ProbeBackend(request, call, done),
          DEADLINE_MS,
        );
        const { outcomes } = response;
        session.print(response, () =>
          outcomes.length === 0 ? 'its pool has no health checks' : session.table(COLUMNS, outcomes),
        );
        if (outcomes.some(({ success }) => !success)) process.exitCode = EXIT.refused;
      });
    });
}
