import {
  COUNTERS,
  type CounterGroup,
  type CounterName,
  type PacketFate,
  type PacketOutcome,
} from '../../lb/index.js';
import { count, table } from './format.js';

const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

/** Texts of fates, which are made once for all packets that share one. */
class FateTexts {
  readonly #texts = new Map<PacketFate, string>();
  readonly #make: (fate: PacketFate) => string;

  constructor(make: (fate: PacketFate) => string) {
    this.#make = make;
  }

  of(fate: PacketFate): string {
    let text = this.#texts.get(fate);
    if (text === undefined) {
      text = this.#make(fate);
      this.#texts.set(fate, text);
    }
    return text;
  }
}

const jsonTexts = new FateTexts(({ verdict, reason, vip, backend, table: from }) =>
  JSON.stringify({ verdict, reason, vip, backend, table: from }).slice(1, -1),
);

/** One packet as a line of JSON; the keys are an interface. */
export function jsonLine(index: number, { fate, frame }: PacketOutcome): string {
  return `{"index":${index},${jsonTexts.of(fate)},"bytes":"${hexOf(frame)}"}`;
}

const WIDTHS = { index: 8, verdict: 12, reason: 15, vip: 24, table: 13, backend: 16 } as const;

const columns = (verdict: string, reason: string, vip: string, from: string, backend: string): string =>
  `  ${verdict.padEnd(WIDTHS.verdict)}  ${reason.padEnd(WIDTHS.reason)}  ${vip.padEnd(WIDTHS.vip)}  ${from.padEnd(WIDTHS.table)}  ${backend.padEnd(WIDTHS.backend)}  `;

/** Heading of the lines that people read. */
export const HEADING = `${'PACKET'.padStart(WIDTHS.index)}${columns('VERDICT', 'REASON', 'VIP', 'TABLE', 'BACKEND')}BYTES`;

const lineTexts = new FateTexts(({ verdict, reason, vip, table: from, backend }) =>
  columns(verdict, reason, vip ?? '-', from ?? '-', backend ?? '-'),
);

/** One packet as a line that people read. */
export function textLine(index: number, { fate, frame }: PacketOutcome, bytesBefore: number): string {
  const length = frame.length === bytesBefore ? bytesBefore : `${bytesBefore} -> ${frame.length}`;
  return `${String(index).padStart(WIDTHS.index)}${lineTexts.of(fate)}${length}`;
}

/** What a capture came to. */
export class Tally {
  packets = 0;
  /** Not run: too short or too long for the engine. */
  unsent = 0;
  readonly #fates = new Map<PacketFate, number>();

  add(fate: PacketFate): void {
    this.packets++;
    this.#fates.set(fate, (this.#fates.get(fate) ?? 0) + 1);
  }

  /** Two lines for a person. */
  text(): string {
    const verdicts = this.#list((fate) => fate.verdict);
    const reasons = this.#list((fate) => fate.reason);
    const packets = `${count(this.packets)} packet${this.packets === 1 ? '' : 's'}`;
    return `${packets}${verdicts === '' ? '' : `: ${verdicts}`}${reasons === '' ? '' : `\nreasons: ${reasons}`}`;
  }

  #list(nameOf: (fate: PacketFate) => string): string {
    const counts = new Map<string, number>();
    for (const [fate, times] of this.#fates) {
      const name = nameOf(fate);
      if (name !== '') counts.set(name, (counts.get(name) ?? 0) + times);
    }
    return [...counts]
      .sort(([, a], [, b]) => b - a)
      .map(([name, times]) => `${name} ${count(times)}`)
      .join(', ');
  }
}

/** JSON with whole numbers of any length, on one line. */
export function jsonOf(value: bigint | CounterGroup): string {
  if (typeof value === 'bigint') return String(value);
  const fields = Object.entries(value).map(([name, field]) => `${JSON.stringify(name)}:${jsonOf(field)}`);
  return `{${fields.join(',')}}`;
}

interface CounterRow {
  readonly name: string;
  readonly value: bigint;
  readonly meaning: string;
}

/** What a word of a global counter counts; empty for counters whose names say it. */
function meaningOf(path: readonly string[]): string {
  const [group, name = '', word] = path;
  if (group !== 'global' || (word !== 'v1' && word !== 'v2') || !Object.hasOwn(COUNTERS, name)) return '';
  // The line before checked it.
  return COUNTERS[name as CounterName][word];
}

function* rowsOf(path: readonly string[], group: CounterGroup): Generator<CounterRow> {
  for (const [name, value] of Object.entries(group)) {
    const inner = [...path, name];
    if (typeof value === 'bigint') yield { name: inner.join(' '), value, meaning: meaningOf(inner) };
    else yield* rowsOf(inner, value);
  }
}

/** Counters as a table for a person: those that are not 0. */
export function counterTable(group: CounterGroup, isColored: boolean): string {
  const rows = [...rowsOf([], group)].filter(({ value }) => value !== 0n);
  if (rows.length === 0) return 'no counter has moved';
  return table<CounterRow>(
    [
      { title: 'COUNTER', value: ({ name }) => name },
      { title: 'VALUE', value: ({ value }) => value.toLocaleString('en-US'), align: 'right' },
      { title: 'MEANING', value: ({ meaning }) => meaning },
    ],
    rows,
    isColored,
  );
}
