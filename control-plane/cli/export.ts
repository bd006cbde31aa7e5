import type { Command } from 'commander';
import type { ConfigSnapshot__Output } from '../grpc/generated/waggle/v1/ConfigSnapshot.js';
import { isForPeople, structured } from './format.js';
import { type GlobalOptions, withSession } from './session.js';

const DEADLINE_MS = 60_000;

export function addExport(program: Command): void {
  const command = program.command('export');
  command.description('print the configuration as a file that apply, diff and validate take').action(() => {
    const options = command.optsWithGlobals<GlobalOptions>();
    return withSession(options, async ({ client }) => {
      const snapshot = await client.ask<ConfigSnapshot__Output>(
        (call, done) => client.config.GetSnapshot({}, call, done),
        DEADLINE_MS,
      );
      // As JSON or YAML it is the API's own message; without -o it is a file for people.
      if (!isForPeople(options.output)) return console.log(structured(snapshot, options.output));
      const { snapshotText } = await import('./snapshot-file.js');
      process.stdout.write(snapshotText(snapshot));
    });
  });
}
