import { type DestinationStream, type Logger, pino } from 'pino';
import type { Log } from './reconcile/reconciler.js';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Where log lines go: standard error, or a test's array. */
export interface LogSink {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

const LABELS: Readonly<Record<number, string>> = { 20: 'DEBUG', 30: 'INFO ', 40: 'WARN ', 50: 'ERROR' };
/** Fields that a line for people shows in a place of their own, or not at all. */
const PLACED = new Set(['level', 'time', 'msg', 'pid', 'hostname']);

function valueText(value: unknown): string {
  if (typeof value === 'string') return /^[!#-<>-~]+$/.test(value) ? value : JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if ('message' in value && typeof value.message === 'string') return JSON.stringify(value.message);
  return JSON.stringify(value);
}

/** One line for people from one line of JSON: time, level, message, fields. */
export function prettyLine(json: string): string {
  const entry = JSON.parse(json) as Record<string, unknown>;
  const time = new Date(String(entry.time)).toTimeString().slice(0, 8);
  const fields = Object.entries(entry)
    .filter(([name]) => !PLACED.has(name))
    .map(([name, value]) => ` ${name}=${valueText(value)}`);
  // Neither a second line nor a terminal's control sequences come out of what was logged.
  const message = String(entry.msg).replace(/\p{Cc}+/gu, ' ');
  return `${time} ${LABELS[Number(entry.level)] ?? entry.level} ${message}${fields.join('')}\n`;
}

/** Field values that JSON cannot hold, as it can: 64-bit counters. */
function plainFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]),
  );
}

/** A log: JSON lines, or lines for people where a person watches. */
export function createLog(level: LogLevel, sink: LogSink): Log {
  const stream: DestinationStream = {
    write: (line) => void sink.write(sink.isTTY ? prettyLine(line) : line),
  };
  const logger: Logger = pino(
    {
      level,
      base: null,
      serializers: { error: pino.stdSerializers.err },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    stream,
  );
  return (entryLevel, message, fields = {}) => logger[entryLevel](plainFields(fields), message);
}
