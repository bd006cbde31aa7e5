import { Argument, type Command } from 'commander';
import { complete, completionText } from './complete.js';
import { completionScript, SHELLS, type Shell } from './scripts.js';

/** The word that the scripts ask with; it is no command, because its words are not to be understood. */
export const COMPLETE_WORD = '__complete';

/** Answer a script. @param words behind "waggle", the last one being typed */
export async function answerCompletion(program: Command, words: readonly string[]): Promise<void> {
  // Only when a name is asked for: most words need no server.
  const ask: Parameters<typeof complete>[2] = async (source, given) =>
    (await import('./names.js')).askNames(source, given);
  console.log(completionText(await complete(program, words, ask)));
}

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print the script that completes words at the Tab key: source <(waggle completion bash)')
    .addArgument(new Argument('<shell>', 'your shell').choices(SHELLS))
    .action((shell: Shell) => void process.stdout.write(completionScript(shell)));
}
