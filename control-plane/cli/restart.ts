import type { Command } from 'commander';
import type { Worker__Output } from '../grpc/generated/waggle/v1/Worker.js';
import { parseWorker } from './arguments.js';
import { type GlobalOptions, withSession } from './session.js';

export function addRestart(program: Command): void {
  program
    .command('restart')
    .description('kill parts of the load balancer, which it must replace')
    .command('worker')
    .description('kill a worker thread: the pool replaces it, and connections go on')
    .argument('<worker>', 'number of the worker, from 0', parseWorker)
    .action((worker: number, _: unknown, command: Command) =>
      withSession(command.optsWithGlobals<GlobalOptions>(), async (session) => {
        const request = { name: 'nodes/self', worker };
        const after = await session.client.ask<Worker__Output>((options, done) =>
          session.client.nodes.RestartWorker(request, options, done),
        );
        session.print(after, () => `worker ${worker} was killed; the pool replaces it`);
      }),
    );
}
