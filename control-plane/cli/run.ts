import { CommanderError } from 'commander';
import { answerCompletion, COMPLETE_WORD } from './completion/index.js';
import { CliError, EXIT, errorLine } from './faults.js';
import { createProgram } from './program.js';

/**
 * Run a command line. What is wrong is said on standard error, in a line.
 * @param args behind "waggle"
 * @returns the exit status; undefined: what the command set, or 0
 */
export async function run(args: readonly string[]): Promise<number | undefined> {
  const program = createProgram();
  try {
    if (args[0] === COMPLETE_WORD) await answerCompletion(program, args.slice(1));
    else await program.parseAsync([...args], { from: 'user' });
    return undefined;
  } catch (error) {
    // Commander has said what is wrong, or has shown help or version.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    process.stderr.write(`${errorLine(error)}\n`);
    return error instanceof CliError ? error.exitCode : EXIT.refused;
  }
}
