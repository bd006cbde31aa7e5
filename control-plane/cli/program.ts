import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { addApply } from './apply.js';
import { addBpf } from './bpf/index.js';
import { addCompletion } from './completion/index.js';
import { DEFAULT_SERVER } from './connection.js';
import { addContext } from './context.js';
import { addCreate } from './create.js';
import { addDecap } from './decap.js';
import { addDelete } from './delete.js';
import { addDescribe } from './describe.js';
import { addDown } from './down.js';
import { addDrain } from './drain.js';
import { addEvents } from './events.js';
import { addExplain } from './explain/index.js';
import { addExport } from './export.js';
import { oneLine } from './faults.js';
import { OUTPUTS } from './format.js';
import { addGet } from './get.js';
import { addHashToken } from './hash-token.js';
import { addHistory } from './history.js';
import { addLogLevel } from './log-level.js';
import { addProbe } from './probe.js';
import { addReplay } from './replay.js';
import { checkRequired, pathOf } from './required.js';
import { addRestart } from './restart.js';
import { addRingTable } from './ring-table.js';
import { addSet } from './set.js';
import { addSimulate } from './simulate.js';
import { addStats } from './stats.js';
import { addStatus } from './status.js';
import { addTop } from './top/top.js';
import { addUp } from './up.js';
import { addValidate } from './validate.js';
import { addWatch } from './watch.js';

/** Version of the software. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** Commands by what they are for, in the order of help and manual. */
const GROUPS: readonly (readonly [heading: string, adds: readonly ((program: Command) => void)[]])[] = [
  ['Run', [addUp, addDown, addDecap]],
  [
    'Look',
    [
      addStatus,
      addTop,
      addGet,
      addDescribe,
      addStats,
      addEvents,
      addWatch,
      addSimulate,
      addRingTable,
      addProbe,
      addExplain,
    ],
  ],
  ['Change', [addCreate, addSet, addDelete, addDrain, addRestart, addLogLevel]],
  ['Configuration as a whole', [addValidate, addApply, addExport, addHistory]],
  ['Without a load balancer', [addReplay, addBpf]],
  ['The command line itself', [addContext, addHashToken, addCompletion]],
];

/** Have a command and those below it say what is wrong in one line, and where to read on. */
function explainIn(command: Command): void {
  const line = (text: string) =>
    oneLine(text)
      .replace(/^error: /, '')
      .replace(/\.$/, '');
  command.configureOutput({
    outputError: (text, write) => write(`Error: ${line(text)}; see ${pathOf(command)} --help\n`),
  });
  if (command.parent !== null && command.commands.length === 0)
    command.addHelpText('after', '\nFlags of every command, as --server and -o: waggle --help');
  for (const child of command.commands) explainIn(child);
}

/** Flags that say which server is asked, and as whom. */
function addConnectionOptions(program: Command): void {
  program
    .optionsGroup('Which server, and as whom:')
    .option(
      '--server <address>',
      `API of the load balancer (env: WAGGLE_SERVER, default: "${DEFAULT_SERVER}")`,
    )
    .option('--context <context>', 'a server by name, see waggle context (env: WAGGLE_CONTEXT)')
    .addOption(new Option('--tls', "speak TLS, with the system's authorities unless --ca names others"))
    .option('--ca <file>', "speak TLS; authorities that sign the server's certificate, PEM (env: WAGGLE_CA)")
    .option('--cert <file>', 'certificate to show, PEM (env: WAGGLE_CERT)')
    .option('--key <file>', 'its private key, PEM (env: WAGGLE_KEY)')
    .option(
      '--server-name <name>',
      "name that the server's certificate has, where it is not that of the address",
    )
    .option(
      '--token-file <file>',
      'bearer token to show (env: WAGGLE_TOKEN_FILE; WAGGLE_TOKEN is the token itself)',
    );
}

/** The whole command line, as a tree: what help, manual and completion are made from. */
export function createProgram(): Command {
  const program = new Command('waggle')
    .description('A layer 4 load balancer')
    .version(VERSION, '-V, --version', 'show the version')
    .addOption(
      new Option('-o, --output <format>', 'how to print: for people, or whole as data')
        .choices(OUTPUTS)
        .default('table'),
    )
    .exitOverride()
    .hook('preAction', (_, command) => checkRequired(command));
  addConnectionOptions(program);
  program.optionsGroup('Options:').helpOption('-h, --help', 'show help for a command');
  for (const [heading, adds] of GROUPS) {
    program.commandsGroup(`${heading}:`);
    for (const add of adds) add(program);
  }
  const [last = ''] = GROUPS.at(-1) ?? [];
  program.addHelpCommand(
    new Command('help').argument('[command]').description('show help for a command').helpGroup(`${last}:`),
  );
  explainIn(program);
  return program;
}
