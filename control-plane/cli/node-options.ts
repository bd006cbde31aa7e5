import type { Options, Options__Output } from '../grpc/generated/waggle/v1/Options.js';
import { durationOf, parseSpan, spanText } from './duration.js';
import { usageError } from './faults.js';
import type { Column } from './format.js';

/** How an option of the program is written. */
type OptionKind = 'switch' | 'number' | 'span' | 'encapsulation';

/** Options of the program by the words of the command line; the API has the same with underscores. */
const KINDS = {
  encapsulation: 'encapsulation',
  'gue-port': 'number',
  'send-too-big': 'switch',
  'vlan-tags': 'switch',
  'quic-routing': 'switch',
  'tcp-server-ids': 'switch',
  'udp-stable-routing': 'switch',
  'udp-flow-migration': 'switch',
  'source-routing': 'switch',
  'prefix-vips': 'switch',
  'global-lru': 'switch',
  'ipip-decap': 'switch',
  'gue-decap': 'switch',
  'local-delivery': 'switch',
  events: 'switch',
  'drop-sample-rate': 'number',
  'max-frame-bytes': 'number',
  'new-connections-per-second': 'number',
  'udp-timeout': 'span',
} as const satisfies Readonly<Record<string, OptionKind>>;

/** Names of the options. */
export const OPTION_NAMES = Object.keys(KINDS) as readonly (keyof typeof KINDS)[];

/** As the API's messages name a field: gue-port is guePort. */
const fieldOf = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

/** What stands for "whatever something of the configuration needs". */
const DEFAULT = 'default';

const FORMS: Readonly<Record<OptionKind, string>> = {
  switch: 'on, off or default',
  number: 'a whole number or default',
  span: 'a span of time such as 30s, or default',
  encapsulation: 'ipip, gue or default',
};

function optionValue(kind: OptionKind, text: string): unknown {
  if (kind === 'switch') return text === 'on' ? true : text === 'off' ? false : undefined;
  if (kind === 'number') return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
  if (kind === 'encapsulation')
    return text === 'ipip' || text === 'gue' ? `ENCAPSULATION_${text.toUpperCase()}` : undefined;
  try {
    return durationOf(parseSpan(text));
  } catch {
    return undefined;
  }
}

/**
 * Read NAME=VALUE, again and again.
 * @returns what is set, and the mask that names it; an option that is "default" is named and not set
 * @throws CliError of wrong usage
 */
export function parseOptions(pairs: readonly string[]): {
  readonly options: Options;
  readonly paths: string[];
} {
  const options: Record<string, unknown> = {};
  const paths: string[] = [];
  for (const pair of pairs) {
    const [name = '', ...rest] = pair.split('=');
    const text = rest.join('=');
    const known = OPTION_NAMES.find((one) => one === name.replaceAll('_', '-'));
    if (known === undefined)
      throw usageError(`--option: there is no option "${name}"; it is one of: ${OPTION_NAMES.join(', ')}`);
    const value = text === DEFAULT ? null : optionValue(KINDS[known], text);
    if (value === undefined) throw usageError(`--option ${known}: "${text}" is not ${FORMS[KINDS[known]]}`);
    if (value !== null) options[fieldOf(known)] = value;
    paths.push(`options.${known.replaceAll('-', '_')}`);
  }
  return { options, paths };
}

/** An option as a table has it. */
export interface OptionRow {
  readonly name: string;
  readonly value: string;
}

/** Every option, those that are not set as "default". */
export function optionRows(options: Options__Output | null): readonly OptionRow[] {
  const values = Object.entries(options ?? {});
  return OPTION_NAMES.map((name) => {
    const value: unknown = values.find(([field]) => field === fieldOf(name))?.[1];
    return { name, value: optionText(KINDS[name], value, options) };
  });
}

function optionText(kind: OptionKind, value: unknown, options: Options__Output | null): string {
  if (value === undefined || value === null || value === 'ENCAPSULATION_UNSPECIFIED') return DEFAULT;
  if (kind === 'switch') return value === true ? 'on' : 'off';
  if (kind === 'span') return spanText(options?.udpTimeout);
  return String(value).replace('ENCAPSULATION_', '').toLowerCase();
}

export const OPTION_COLUMNS: readonly Column<OptionRow>[] = [
  { title: 'OPTION', value: ({ name }) => name },
  {
    title: 'VALUE',
    value: ({ value }) => value,
    tone: ({ value }) => (value === DEFAULT ? 'dim' : undefined),
  },
];
