import type { Command } from 'commander';
import type { Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import { backendName, parseKind } from './arguments.js';
import { usageError } from './faults.js';
import { count } from './format.js';
import { type ChangeOptions, dryRunOption, report } from './report.js';
import { withSession } from './session.js';

const VERBS = {
  drain: {
    method: 'DrainBackend',
    description: 'give a backend no new connections, and keep those that it has',
    done: (name: string, { status }: Backend__Output) =>
      status?.drained
        ? `backend ${name} is drained: no connection is left`
        : `backend ${name} is draining: at most ${count(status?.trackedFlows)} connections are left`,
  },
  undrain: {
    method: 'UndrainBackend',
    description: 'take a draining backend back into service',
    done: (name: string) => `backend ${name} is in service`,
  },
} as const;

export function addDrain(program: Command): void {
  for (const verb of ['drain', 'undrain'] as const) {
    const { method, description, done } = VERBS[verb];
    program
      .command(verb)
      .description(description)
      .argument('<kind>', 'backend', parseKind)
      .argument('<pool/id>', 'the backend')
      .addOption(dryRunOption())
      .action((kind: string, name: string, _: unknown, command: Command) => {
        if (kind !== 'backend') throw usageError(`only a backend can be ${verb}ed, not a ${kind}`);
        const options = command.optsWithGlobals<ChangeOptions>();
        const request = { name: backendName(name), validateOnly: options.dryRun };
        return withSession(options, async (session) => {
          const backend = await session.client.ask<Backend__Output>((call, answer) =>
            session.client.pools[method](request, call, answer),
          );
          report(session, options, backend, done(name, backend));
        });
      });
  }
}
