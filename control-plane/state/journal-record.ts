import { crc32 } from 'node:zlib';
import { JournalError } from './journal-faults.js';

/*
 * A file of the state directory: a header, then records. Numbers are little-endian.
 *
 *   header  magic[8]  version u32  generation u32  base revision u64  time u64 (ms)  CRC-32 of these 32 bytes
 *   record  length u32  CRC-32 of the payload u32  CRC-32 of these 8 bytes u32  payload[length], JSON in UTF-8
 *
 * The CRC of length and CRC tells a record that was cut (the length is sound, and the file ends before it) from one that
 * was damaged.
 */

export const FILE_MAGIC = { journal: 'WGLJRNL\n', snapshot: 'WGLSNAP\n' } as const;
export type FileKind = keyof typeof FILE_MAGIC;
const FORMAT_VERSION = 1;
export const FILE_HEADER_BYTES = 36;
const HEADER_CRC_OFF = 32;
export const RECORD_HEADER_BYTES = 12;
const RECORD_CRC_OFF = 8;

/** What the header of a file says. */
export interface FileHeader {
  readonly kind: FileKind;
  readonly generation: number;
  /** Journal: the revision that its first record follows. Snapshot: the revision that it holds. */
  readonly baseRevision: number;
  readonly timeMs: number;
}

export function headerBytes({ kind, generation, baseRevision, timeMs }: FileHeader): Uint8Array {
  const bytes = Buffer.alloc(FILE_HEADER_BYTES);
  bytes.write(FILE_MAGIC[kind], 'latin1');
  bytes.writeUInt32LE(FORMAT_VERSION, 8);
  bytes.writeUInt32LE(generation, 12);
  bytes.writeBigUInt64LE(BigInt(baseRevision), 16);
  bytes.writeBigUInt64LE(BigInt(Math.trunc(timeMs)), 24);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_CRC_OFF)), HEADER_CRC_OFF);
  return bytes;
}

const view = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/**
 * The header of a file; undefined for one that is damaged.
 * @throws JournalError JOURNAL_FORMAT for a sound header of another version
 */
export function readHeader(bytes: Uint8Array, kind: FileKind, file: string): FileHeader | undefined {
  const header = view(bytes);
  if (header.length < FILE_HEADER_BYTES) return undefined;
  if (header.readUInt32LE(HEADER_CRC_OFF) !== crc32(header.subarray(0, HEADER_CRC_OFF))) return undefined;
  if (header.toString('latin1', 0, 8) !== FILE_MAGIC[kind]) return undefined;
  const version = header.readUInt32LE(8);
  if (version !== FORMAT_VERSION) {
    throw new JournalError(
      { code: 'JOURNAL_FORMAT', file, version },
      `${file}: format version ${version} is not ${FORMAT_VERSION}, which this version of waggle reads`,
    );
  }
  return {
    kind,
    generation: header.readUInt32LE(12),
    baseRevision: Number(header.readBigUInt64LE(16)),
    timeMs: Number(header.readBigUInt64LE(24)),
  };
}

/** A record with its header, of a value that JSON can hold. */
export const recordBytes = (value: unknown): Uint8Array => recordOf(JSON.stringify(value));

/** A record with its header, of JSON. */
export function recordOf(json: string): Uint8Array {
  const payload = Buffer.from(json);
  const header = Buffer.alloc(RECORD_HEADER_BYTES);
  header.writeUInt32LE(payload.length, 0);
  header.writeUInt32LE(crc32(payload), 4);
  header.writeUInt32LE(crc32(header.subarray(0, RECORD_CRC_OFF)), RECORD_CRC_OFF);
  return Buffer.concat([header, payload]);
}

/** Why the bytes at an offset are no record. */
export type RecordFlaw =
  /** The file ends before the record does, or only zeros follow: it was being written when the writer died. */
  'cut' | 'header checksum' | 'payload checksum';

export interface ReadRecord {
  /** Offset of its header, and of what follows it. */
  readonly start: number;
  readonly end: number;
  readonly payload: Uint8Array;
}

export type RecordAt =
  | { readonly ok: true; readonly record: ReadRecord }
  | { readonly ok: false; readonly flaw: RecordFlaw };

const isZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);

/** The record at an offset that is before the end of the file. */
export function recordAt(bytes: Uint8Array, start: number): RecordAt {
  const rest = view(bytes).subarray(start);
  if (rest.length < RECORD_HEADER_BYTES || isZero(rest)) return { ok: false, flaw: 'cut' };
  if (rest.readUInt32LE(RECORD_CRC_OFF) !== crc32(rest.subarray(0, RECORD_CRC_OFF))) {
    return { ok: false, flaw: 'header checksum' };
  }
  const end = RECORD_HEADER_BYTES + rest.readUInt32LE(0);
  if (end > rest.length) return { ok: false, flaw: 'cut' };
  const payload = rest.subarray(RECORD_HEADER_BYTES, end);
  if (rest.readUInt32LE(4) === crc32(payload)) {
    return { ok: true, record: { start, end: start + end, payload } };
  }
  // The size of a file may reach the disk before its last blocks, which are zeros then; JSON does not end so.
  const isUnwritten = end === rest.length && rest.at(-1) === 0;
  return { ok: false, flaw: isUnwritten ? 'cut' : 'payload checksum' };
}

/** Sound records at or behind an offset, wherever they start: what was lost to damage. */
export function countRecords(bytes: Uint8Array, from: number): number {
  let count = 0;
  for (let offset = from; offset + RECORD_HEADER_BYTES < bytes.length; ) {
    const length = view(bytes).readUInt32LE(offset);
    // Cheap, and true of nearly no offset that is not a record's: no checksum is computed for the others.
    const isPossible = length > 0 && offset + RECORD_HEADER_BYTES + length <= bytes.length;
    const found = isPossible ? recordAt(bytes, offset) : undefined;
    count += found?.ok ? 1 : 0;
    offset = found?.ok ? found.record.end : offset + 1;
  }
  return count;
}
