import type { Command } from 'commander';
import { CliError, EXIT } from '../faults.js';
import { isForPeople, type Output, structured, table, wantsColor } from '../format.js';
import { find } from './find.js';

async function explain(text: string | undefined, output: Output): Promise<void> {
  // Only here: reasons and counters are the datapath's own.
  const { CODES } = await import('./codes.js');
  if (text === undefined) {
    const rows = [...CODES].flatMap(([code, all]) => all.map(({ means }) => ({ code, means })));
    const columns = [
      { title: 'CODE', value: ({ code }: (typeof rows)[number]) => code },
      { title: 'MEANS', value: ({ means }: (typeof rows)[number]) => means },
    ];
    console.log(
      isForPeople(output)
        ? table(columns, rows, wantsColor(process.stdout, process.env))
        : structured(rows, output),
    );
    return;
  }
  const { kind, words } = find(CODES, text);
  if (kind === 'similar') {
    const like =
      words.length > 0 ? `; did you mean ${words.join(', ')}?` : '; waggle explain lists all that there is';
    throw new CliError(EXIT.refused, `explain: nothing is known of "${text}"${like}`);
  }
  const found = words.flatMap((code) => (CODES.get(code) ?? []).map((one) => ({ code, ...one })));
  console.log(
    isForPeople(output)
      ? found.map((one) => `${one.code}\n  means: ${one.means}\n  do:    ${one.do}`).join('\n\n')
      : structured(found, output),
  );
}

export function addExplain(program: Command): void {
  const command = program.command('explain');
  command
    .description('what an error, a reason of dropped packets or a counter means, and what to do about it')
    .argument(
      '[code-or-message...]',
      'a code, reason or counter, or a message as it was printed; without: all there are',
    )
    .action((texts: readonly string[]) =>
      explain(
        texts.length === 0 ? undefined : texts.join(' '),
        command.optsWithGlobals<{ output: Output }>().output,
      ),
    );
}
