import { stringify } from 'yaml';

export const OUTPUTS = ['table', 'json', 'yaml'] as const;
export type Output = (typeof OUTPUTS)[number];

/** A column of a table: its heading, and how numbers are set. */
export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string;
  readonly align?: 'left' | 'right';
}

const COLUMN_GAP = '  ';
const BOLD = '\u001b[1m';
const RESET = '\u001b[0m';

/** Width of a text on a terminal; what is written here is narrow, so one cell a code point. */
const widthOf = (text: string) => [...text].length;

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(width - widthOf(text));
  return align === 'right' ? space + text : text + space;
}

/** Rows under headings, in columns; an empty value shows as "-". */
export function table<T>(columns: readonly Column<T>[], rows: readonly T[], isColored: boolean): string {
  const cells = rows.map((row) => columns.map(({ value }) => value(row) || '-'));
  const widths = columns.map(({ title }, i) =>
    Math.max(widthOf(title), ...cells.map((line) => widthOf(line[i] ?? ''))),
  );
  const line = (texts: readonly string[]) =>
    texts
      .map((text, i) => pad(text, widths[i] ?? 0, columns[i]?.align ?? 'left'))
      .join(COLUMN_GAP)
      .trimEnd();
  const head = line(columns.map(({ title }) => title));
  return [isColored ? `${BOLD}${head}${RESET}` : head, ...cells.map(line)].join('\n');
}

/** Colour only where a person reads it, and did not forbid it (no-color.org). */
export function wantsColor(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
) {
  return stream.isTTY === true && !env.NO_COLOR;
}

/**
 * A message of the API as plain data: as the JSON mapping of protobuf has it, without the names of oneofs and
 * without what is absent.
 */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([name, field]) => !name.startsWith('_') && field !== null);
  const seconds = 'seconds' in value ? Number(value.seconds) : Number.NaN;
  if (entries.length === 2 && 'nanos' in value && Number.isFinite(seconds)) {
    return new Date(seconds * 1000 + Number(value.nanos) / 1e6).toISOString();
  }
  return Object.fromEntries(entries.map(([name, field]) => [name, plain(field)]));
}

/** Structured output; ends without a line break. */
export function structured(value: unknown, output: 'json' | 'yaml'): string {
  const data = plain(value);
  return output === 'json' ? JSON.stringify(data, undefined, 2) : stringify(data).trimEnd();
}

/** A count with its thousands apart. */
export function count(value: string | number | undefined): string {
  return BigInt(value ?? 0).toLocaleString('en-US');
}

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
