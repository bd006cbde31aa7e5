import type { Argument, Command, Option } from 'commander';

/** Text as roff takes it: no escapes, no request at the start of a line, hyphens that can be copied. */
const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');

const bold = (text: string): string => `\\fB${roff(text)}\\fR`;

/** The sentence of a command or option, as a sentence. */
const sentence = (text: string): string => {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return roff(/[.!?]$/.test(whole) ? whole : `${whole}.`);
};

/** Flags with what they take in italics: --pool <pool>. */
const flagsText = (flags: string): string =>
  flags
    .split(/([<[][^>\]]*[>\]])/)
    .map((part) => {
      const isPlaceholder = /^[<[]/.test(part);
      if (!isPlaceholder) return part === '' ? '' : bold(part);
      const name = `\\fI${roff(part.slice(1, -1))}\\fR`;
      return part.startsWith('[') ? `[${name}]` : name;
    })
    .join('');

const argumentText = (argument: Argument): string => {
  const name = `\\fI${roff(argument.name())}\\fR${argument.variadic ? ' ...' : ''}`;
  return argument.required ? name : `[${name}]`;
};

/** What an option or argument can be, and is without being given. */
function detail({ argChoices, defaultValue, defaultValueDescription }: Option | Argument): string {
  const isSaid = defaultValue !== undefined && defaultValue !== false && defaultValue !== '';
  const parts = [
    ...(argChoices === undefined ? [] : [`one of ${argChoices.join(', ')}`]),
    ...(isSaid ? [`default: ${defaultValueDescription ?? String(defaultValue)}`] : []),
  ];
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

const entry = (term: string, what: Option | Argument): string[] => [
  '.TP',
  term,
  sentence(`${what.description}${detail(what)}`),
];

const pathOf = (command: Command): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();

function synopsis(command: Command): string {
  const parts = [
    bold(pathOf(command)),
    ...(command.options.length > 0 ? ['[\\fIoptions\\fR]'] : []),
    ...command.registeredArguments.map(argumentText),
  ];
  return parts.join(' ');
}

/** A command that does something; one that only has others below it is told by these. */
function commandLines(command: Command): string[] {
  const aliases = command.aliases().filter((alias) => alias !== `${command.name()}s`);
  if (command.commands.length > 0) return command.commands.flatMap(commandLines);
  return [
    `.SS ${synopsis(command)}`,
    sentence(command.description()),
    ...(aliases.length > 0 ? ['.br', sentence(`short: ${aliases.join(', ')}`)] : []),
    ...command.registeredArguments.flatMap((argument) => entry(argumentText(argument), argument)),
    ...command.options
      .filter(({ hidden }) => !hidden)
      .flatMap((option) => entry(flagsText(option.flags), option)),
  ];
}

/** Commands under the headings of help, in its order. */
function groups(program: Command): Map<string, Command[]> {
  const found = new Map<string, Command[]>();
  for (const command of program.commands) {
    const heading = command.helpGroup().replace(/:$/, '');
    found.set(heading, [...(found.get(heading) ?? []), command]);
  }
  return found;
}

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ['WAGGLE_SERVER', 'address of the server'],
  ['WAGGLE_CONTEXT', 'name of the context'],
  [
    'WAGGLE_CA, WAGGLE_CERT, WAGGLE_KEY',
    "files of TLS: authorities, the client's certificate, its private key",
  ],
  ['WAGGLE_TOKEN, WAGGLE_TOKEN_FILE', 'bearer token, or the file that has it'],
  ['WAGGLE_CONFIG', 'file of contexts, in the place of the usual one'],
  ['NO_COLOR', 'when set and not empty: no colours on a terminal'],
];

const EXITS: readonly (readonly [string, string])[] = [
  ['0', 'it was done'],
  [
    '1',
    'the server or the system refused, or a file has faults; of diff: something differs; of probe: a check fails',
  ],
  ['2', 'the command line or a context is wrong; of diff: any fault'],
  ['69', 'no server answers (of diff: 2)'],
];

const EXAMPLES: readonly (readonly [string, string])[] = [
  ['waggle up --interface eth0', 'run the load balancer'],
  ['waggle create pool web', 'make a pool'],
  ['waggle create backend web/a --address 10.0.0.11', 'put a backend into it'],
  [
    'waggle create vip web --address 192.0.2.80 --port 443 --protocol tcp --pool web',
    'have it serve an address',
  ],
  ['waggle drain backend web/a --timeout 10m --wait', 'take the backend out without breaking connections'],
  ['waggle diff -f node.yaml && echo same', 'compare a file with what runs'],
];

const list = (rows: readonly (readonly [string, string])[]): string[] =>
  rows.flatMap(([term, says]) => ['.TP', bold(term), sentence(says)]);

/** The manual of a command line, as roff (man(7)). */
export function manPage(program: Command, version: string): string {
  const lines = [
    '.\\" Made by tools/man.mjs from the command line itself; do not edit.',
    `.TH WAGGLE 1 "" "waggle ${roff(version)}" "User Commands"`,
    '.SH NAME',
    `waggle \\- ${roff(program.description().charAt(0).toLowerCase() + program.description().slice(1))}`,
    '.SH SYNOPSIS',
    `${bold('waggle')} [\\fIoptions\\fR] \\fIcommand\\fR ...`,
    '.SH OPTIONS',
    'These go with every command, and can stand behind it.',
    ...program.options
      .filter(({ hidden }) => !hidden)
      .flatMap((option) => entry(flagsText(option.flags), option)),
    '.TP',
    bold('-h, --help'),
    'Show help for a command.',
    ...[...groups(program)].flatMap(([heading, commands]) => [
      `.SH ${roff(heading.toUpperCase())}`,
      ...commands.flatMap(commandLines),
    ]),
    '.SH WHICH SERVER',
    sentence(
      'each setting is taken from the first place that has it: flags, environment, the context in use, the default. A server that a flag or WAGGLE_SERVER names leaves the context in use out, because its credentials are for another server; --context together with it uses both',
    ),
    '.SH ENVIRONMENT',
    ...list(ENVIRONMENT),
    '.SH FILES',
    ...list([['~/.config/waggle/contexts.yaml', 'contexts (XDG_CONFIG_HOME is respected)']]),
    '.SH EXIT STATUS',
    ...list(EXITS),
    '.SH EXAMPLES',
    ...EXAMPLES.flatMap(([command, says]) => ['.TP', bold(command), sentence(says)]),
    '.SH SEE ALSO',
    `${bold('ip')}(8), ${bold('nft')}(8), ${bold('bpftool')}(8)`,
  ];
  return `${lines.join('\n')}\n`;
}
