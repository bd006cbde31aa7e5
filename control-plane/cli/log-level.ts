import { Argument, type Command } from 'commander';
import type { LogLevel__Output } from '../grpc/generated/waggle/v1/LogLevel.js';
import { type GlobalOptions, withSession } from './session.js';

/** Levels of the log, the one that says most first. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

export function addLogLevel(program: Command): void {
  const command = program.command('log-level');
  command
    .description('show how much the log says, or change it until the process ends')
    .addArgument(new Argument('[level]', 'how much').choices(LOG_LEVELS))
    .action((level: string | undefined) => {
      const name = 'nodes/self';
      return withSession(command.optsWithGlobals<GlobalOptions>(), async (session) => {
        const { client } = session;
        const found = await client.ask<LogLevel__Output>((call, done) =>
          level === undefined
            ? client.nodes.GetLogLevel({ name }, call, done)
            : client.nodes.SetLogLevel({ name, level }, call, done),
        );
        session.print(found, () => (level === undefined ? found.level : `the log's level is ${found.level}`));
      });
    });
}
