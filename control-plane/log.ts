import { type DestinationStream, type Logger, pino } from 'pino';
import type { Log } from './reconcile/reconciler.js';
import { redact, redactText } from './security/redact.js';

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
function prettyLine(json: string): string {
  const entry = JSON.parse(json) as Record<string, unknown>;
  const time = new Date(String(entry.time)).toTimeString().slice(0, 8);
  const fields = Object.entries(entry)
    .filter(([name]) => !PLACED.has(name))
    .map(([name, value]) => ` ${name}=${valueText(value)}`);
  // Neither a second line nor a terminal's control sequences come out of what was logged.
  const message = String(entry.msg).replace(/\p{Cc}+/gu, ' ');
  return `${time} ${LABELS[Number(entry.level)] ?? entry.level} ${message}${fields.join('')}\n`;
}

/** A log whose level can be changed while it is written to. */
export interface LevelledLog extends Log {
  readonly level: LogLevel;
  /** Least level that is logged from now on. */
  setLevel(level: LogLevel): void;
}

/** Read a level as a user writes it; undefined for what is none. */
export function parseLogLevel(text: string): LogLevel | undefined {
  return LOG_LEVELS.find((level) => level === text.toLowerCase());
}

/** How lines are written; auto: for people where a person watches. */
export type LogFormat = 'auto' | 'text' | 'json';

/** A log: JSON lines, or lines for people. Secrets do not get into it, whoever logs them. */
export function createLog(level: LogLevel, sink: LogSink, format: LogFormat = 'auto'): LevelledLog {
  const isForPeople = format === 'auto' ? sink.isTTY : format === 'text';
  const stream: DestinationStream = {
    write: (line) => void sink.write(isForPeople ? prettyLine(line) : line),
  };
  const logger: Logger = pino(
    {
      level,
      base: null,
      // What `redact` made of an error is plain already.
      serializers: {},
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    stream,
  );
  let now = level;
  const log: Log = (entryLevel, message, fields = {}) => {
    // Before the fields are gone through: most debug entries are made for nobody.
    if (!logger.isLevelEnabled(entryLevel)) return;
    logger[entryLevel](redact(fields), redactText(message));
  };
  return Object.defineProperty(
    Object.assign(log, {
      level,
      setLevel: (next: LogLevel) => {
        now = next;
        logger.level = next;
      },
    }),
    'level',
    { get: () => now, enumerable: true },
  );
}
