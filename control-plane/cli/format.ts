import { stringify } from 'yaml';

export const OUTPUTS = ['table', 'wide', 'json', 'yaml'] as const;
export type Output = (typeof OUTPUTS)[number];

/** True where a person reads: a table or a sentence, not data. */
export const isForPeople = (output: Output): output is 'table' | 'wide' =>
  output === 'table' || output === 'wide';

/** How good a value is, which is a colour on a terminal. */
export type Tone = 'good' | 'warn' | 'bad' | 'dim';

/** A column of a table: its heading, and how numbers are set. */
export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string;
  readonly align?: 'left' | 'right';
  /** Shown with `-o wide` alone. */
  readonly wide?: true;
  readonly tone?: (row: T) => Tone | undefined;
}

const COLUMN_GAP = '  ';
const BOLD = '\u001b[1m';
const RESET = '\u001b[0m';
const TONES: Readonly<Record<Tone, string>> = {
  good: '\u001b[32m',
  warn: '\u001b[33m',
  bad: '\u001b[31m',
  dim: '\u001b[2m',
};

/** A text in the colour of a tone, where there are colours. */
export const toned = (text: string, tone: Tone | undefined, isColored: boolean): string =>
  tone === undefined || !isColored ? text : `${TONES[tone]}${text}${RESET}`;

/** Width of a text on a terminal; what is written here is narrow, so one cell a code point. */
const widthOf = (text: string) => [...text].length;

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'right' ? space + text : text + space;
}

/** Rows under headings, in columns; an empty value shows as "-". */
export function table<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  isColored: boolean,
  isWide = false,
): string {
  const shown = columns.filter(({ wide }) => isWide || wide === undefined);
  const cells = rows.map((row) => shown.map(({ value }) => value(row) || '-'));
  const widths = shown.map(({ title }, i) =>
    cells.reduce((widest, line) => Math.max(widest, widthOf(line[i] ?? '')), widthOf(title)),
  );
  const line = (texts: readonly string[], row: T | undefined) =>
    texts
      .map((text, i) => {
        const column = shown[i];
        // The last column is not padded: a colour would keep its spaces at the end of the line.
        const isLast = i === texts.length - 1 && column?.align !== 'right';
        const cell = isLast ? text : pad(text, widths[i] ?? 0, column?.align ?? 'left');
        return toned(cell, row === undefined ? undefined : column?.tone?.(row), isColored);
      })
      .join(COLUMN_GAP)
      .trimEnd();
  const head = line(
    shown.map(({ title }) => title),
    undefined,
  );
  return [
    isColored ? `${BOLD}${head}${RESET}` : head,
    ...cells.map((texts, row) => line(texts, rows[row])),
  ].join('\n');
}

/** Colour only where a person reads it, and did not forbid it (no-color.org). */
export function wantsColor(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
) {
  return stream.isTTY === true && !env.NO_COLOR;
}

/** Points in time have such names in the API; every other pair of seconds and nanos is a span. */
const TIME_NAME = /(^t|T)ime$|Deadline$/;

/** A point in time as RFC 3339, a span in seconds: as the JSON mapping of protobuf has them. */
function clockText(name: string, seconds: number, nanos: number): string {
  if (TIME_NAME.test(name)) return new Date(seconds * 1000 + nanos / 1e6).toISOString();
  const fraction = nanos === 0 ? '' : `.${String(Math.abs(nanos)).padStart(9, '0').replace(/0+$/, '')}`;
  return `${seconds}${fraction}s`;
}

/** Groups of fields of which one is set; the library adds which one it is, under the name of the group. */
const CHOICES: ReadonlySet<string> = new Set(['probe', 'input']);

/** Whether an entry only says which field of a group is set. */
const isChoice = (key: string, field: unknown, message: object): boolean =>
  CHOICES.has(key) && typeof field === 'string' && Object.hasOwn(message, field);

/**
 * A message of the API as plain data: as the JSON mapping of protobuf has it, without the names of oneofs and
 * without what is absent.
 */
export function plain(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => plain(item, name));
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(
    ([key, field]) => !key.startsWith('_') && field !== null && !isChoice(key, field, value),
  );
  const seconds = 'seconds' in value ? Number(value.seconds) : Number.NaN;
  if (entries.length === 2 && 'nanos' in value && Number.isFinite(seconds)) {
    return clockText(name, seconds, Number(value.nanos));
  }
  // The library has lists and maps first; a reader wants the name, and then what is short.
  const rank = ([key, field]: readonly [string, unknown]) => {
    if (key === 'name') return 0;
    return typeof field === 'object' ? 2 : 1;
  };
  const shown = entries.map(([key, field]): [string, unknown] => [key, plain(field, key)]);
  return Object.fromEntries(shown.sort((a, b) => rank(a) - rank(b)));
}

/** Structured output; ends without a line break. */
export function structured(value: unknown, output: Output): string {
  const data = plain(value);
  return output === 'json' ? JSON.stringify(data, undefined, 2) : stringify(data).trimEnd();
}

/** A count with its thousands apart. */
export function count(value: string | number | undefined): string {
  return BigInt(value ?? 0).toLocaleString('en-US');
}

/** "1 backend", "2 backends". */
export const counted = (amount: number | string, what: string): string =>
  `${count(amount)} ${what}${Number(amount) === 1 ? '' : 's'}`;

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** A number of bytes in a unit that keeps it short. */
export function bytes(value: string | number | undefined): string {
  let amount = Number(value ?? 0);
  let unit = 0;
  while (amount >= 1024 && unit < BYTE_UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

const RATE_PREFIXES = ['', 'k', 'M', 'G', 'T'] as const;

/** A rate in a unit that keeps it short: 0, 12, 1.2 k, 34.5 M. */
export function rate(perSecond: number): string {
  let amount = perSecond;
  let prefix = 0;
  while (amount >= 999.5 && prefix < RATE_PREFIXES.length - 1) {
    amount /= 1000;
    prefix++;
  }
  const digits = amount > 0 && amount < 9.95 ? 1 : 0;
  return `${amount.toFixed(digits)}${prefix === 0 ? '' : ` ${RATE_PREFIXES[prefix]}`}`;
}

/** A share of 0..1 in per cent. */
export const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;

/** A span of time in its two largest units. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [
    Math.floor(whole / 86400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) return `${days}d ${hours}h`;
  if (hours > 0) return `${hours}h ${minutes}m`;
  return minutes > 0 ? `${minutes}m ${whole % 60}s` : `${whole}s`;
}

/** The words of an enum's value: STATE_NOT_READY without "STATE_" is "not ready". */
export const enumText = (value: string, prefix: string): string =>
  value.replace(prefix, '').replaceAll('_', ' ').toLowerCase();

/** A point in time of the API as text, whole seconds, UTC; empty where it is absent. */
export const timeText = (time: { readonly seconds: string } | null | undefined): string =>
  time ? new Date(Number(time.seconds) * 1000).toISOString().replace('T', ' ').slice(0, 19) : '';
