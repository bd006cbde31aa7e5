/** Values of a file as they are written: text, numbers, lists and maps of them; undefined is left out. */
export type Value = string | number | boolean | undefined | readonly Value[] | Entry;
export interface Entry {
  readonly [key: string]: Value;
}

/** A map without what is not there: undefined, empty lists and empty maps; undefined where nothing is left. */
export function entryOf(fields: Entry): Entry | undefined {
  const kept = Object.entries(fields).filter(([, value]) => !isEmpty(value));
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

const isEmpty = (value: Value): boolean =>
  value === undefined ||
  (Array.isArray(value) ? value.length === 0 : typeof value === 'object' && Object.keys(value).length === 0);

/** A value that differs from the one that is there anyway. */
export const unless = <T extends Value>(value: T, other: T): T | undefined =>
  value === other ? undefined : value;

const NS_PER_MS = 1e6;
const UNITS = [
  ['h', 3_600_000_000_000],
  ['m', 60_000_000_000],
  ['s', 1_000_000_000],
  ['ms', 1_000_000],
  ['us', 1000],
  ['ns', 1],
] as const;

/** Nanoseconds as a time in the largest unit that it is whole in. */
export function nanosecondsText(ns: number): string {
  const [unit, scale] = UNITS.find(([, length]) => ns !== 0 && ns % length === 0) ?? ['s', 1];
  return `${ns / scale}${unit}`;
}

/** Milliseconds as a time, to the nanosecond. */
export const durationText = (ms: number): string => nanosecondsText(Math.round(ms * NS_PER_MS));

/** Milliseconds since 1970 as a moment, to the millisecond. */
export const momentText = (ms: number): string => new Date(ms).toISOString();

/** An address and a port. */
export const endpointText = (address: string, port: number): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`;
