#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { addBpf } from './bpf/index.js';
import { addCreate } from './create.js';
import { addDecap } from './decap.js';
import { addDelete } from './delete.js';
import { addDrain } from './drain.js';
import { CliError, EXIT, oneLine } from './faults.js';
import { OUTPUTS } from './format.js';
import { addGet } from './get.js';
import { addReplay } from './replay.js';
import { checkRequired, pathOf } from './required.js';
import { addRestart } from './restart.js';
import { addSet } from './set.js';
import { addSimulate } from './simulate.js';
import { addStatus } from './status.js';
import { addUp, DEFAULT_LISTEN } from './up.js';
import { addValidate } from './validate.js';

const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** Have a command and those below it say what is wrong in one line, and where to read on. */
function explainIn(command: Command): void {
  const line = (text: string) =>
    oneLine(text)
      .replace(/^error: /, '')
      .replace(/\.$/, '');
  command.configureOutput({
    outputError: (text, write) => write(`Error: ${line(text)}; see ${pathOf(command)} --help\n`),
  });
  for (const child of command.commands) explainIn(child);
}

function createProgram(): Command {
  const program = new Command('waggle')
    .description('A layer 4 load balancer')
    .version(VERSION)
    .addOption(
      new Option('--server <address>', 'API of the load balancer')
        .env('WAGGLE_SERVER')
        .default(DEFAULT_LISTEN),
    )
    .addOption(new Option('-o, --output <format>', 'how to print').choices(OUTPUTS).default('table'))
    .exitOverride()
    .hook('preAction', (_, command) => checkRequired(command));
  for (const add of [
    addUp,
    addStatus,
    addGet,
    addCreate,
    addSet,
    addDelete,
    addDrain,
    addRestart,
    addDecap,
    addReplay,
    addSimulate,
    addBpf,
    addValidate,
  ])
    add(program);
  explainIn(program);
  return program;
}

/** @returns the exit status */
async function run(argv: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...argv]);
    return EXIT.ok;
  } catch (error) {
    // Commander has said what is wrong, or has shown help or version.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`Error: ${oneLine(message)}\n`);
    return error instanceof CliError ? error.exitCode : EXIT.refused;
  }
}

process.exitCode = await run(process.argv);
