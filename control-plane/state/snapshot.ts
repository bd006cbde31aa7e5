import { z } from 'zod';
import { inSlices } from '../slices.js';
import { type HistoryEntry, historyCodec, historyJson } from './history.js';
import { stateCodec, stateText } from './journal-codec.js';
import { type StateFiles, writeWhole } from './journal-files.js';
import { FILE_HEADER_BYTES, headerBytes, readHeader, recordAt, recordOf } from './journal-record.js';
import type { DesiredState } from './model.js';

/** The desired state, and how it came about. */
export interface Kept {
  readonly state: DesiredState;
  readonly history: readonly HistoryEntry[];
}

const keptCodec = z.object({ state: stateCodec, history: historyCodec }).transform((kept): Kept => kept);

/** Digits of a generation in a file's name: names sort as their numbers do. */
const GENERATION_DIGITS = 8;
const NAME = /^(snapshot|journal)-(\d{8})$/;

/**
 * Files come in generations: a snapshot, and the journal of what changed after it. Generation 1 begins with nothing and has
 * no snapshot.
 */
export const fileName = (kind: 'snapshot' | 'journal', generation: number): string =>
  `${kind}-${String(generation).padStart(GENERATION_DIGITS, '0')}`;

/** Kind and generation of a file; undefined for one that is neither. */
export function parseFileName(
  name: string,
): { kind: 'snapshot' | 'journal'; generation: number } | undefined {
  const [, kind, generation] = NAME.exec(name) ?? [];
  if (kind !== 'snapshot' && kind !== 'journal') return undefined;
  return { kind, generation: Number(generation) };
}

/**
 * Write a snapshot; it is there whole or not at all.
 * @returns its size in bytes
 * @throws JournalError JOURNAL_IO
 */
export async function writeSnapshot(
  files: StateFiles,
  generation: number,
  { state, history }: Kept,
  timeMs: number,
): Promise<number> {
  const header = headerBytes({ kind: 'snapshot', generation, baseRevision: state.revision, timeMs });
  const pieces: string[] = [];
  await inSlices(stateText(state), (piece) => void pieces.push(piece));
  const record = recordOf(`{"state":${pieces.join('')},"history":${JSON.stringify(historyJson(history))}}`);
  await writeWhole(files, fileName('snapshot', generation), Buffer.concat([header, record]));
  return header.length + record.length;
}

export type ReadSnapshot =
  | { readonly ok: true; readonly kept: Kept; readonly sizeBytes: number }
  /** Where it is damaged, and how. */
  | { readonly ok: false; readonly offset: number; readonly reason: string };

/**
 * Read a snapshot.
 * @throws JournalError JOURNAL_IO, JOURNAL_FORMAT
 */
export async function readSnapshot(files: StateFiles, generation: number): Promise<ReadSnapshot> {
  const name = fileName('snapshot', generation);
  const bytes = await files.read(name);
  const header = readHeader(bytes, 'snapshot', name);
  if (header === undefined || header.generation !== generation) {
    return { ok: false, offset: 0, reason: 'header checksum' };
  }
  const offset = FILE_HEADER_BYTES;
  const found = recordAt(bytes, offset);
  if (!found.ok) return { ok: false, offset, reason: found.flaw };
  try {
    const kept = keptCodec.parse(JSON.parse(Buffer.from(found.record.payload).toString('utf8')));
    return { ok: true, kept, sizeBytes: bytes.length };
  } catch (error) {
    return { ok: false, offset, reason: error instanceof Error ? error.message : String(error) };
  }
}
