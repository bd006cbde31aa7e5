import { BTF_MAGIC, type Btf, btfFail, btfReader } from './btf.js';
import type { Reader } from './reader.js';

// .BTF.ext: what BTF says of instructions (Linux Documentation/bpf/btf.rst, §4.2).
const SECTION = '.BTF.ext';
const HEADER_BYTES = 24;
const CORE_HEADER_BYTES = 32;
const FUNC_INFO_BYTES = 8;
const LINE_INFO_BYTES = 16;
const CORE_RELO_BYTES = 16;
const SLOT_BYTES = 8;

/** A function's BTF id; `offset` is in its code section, bytes. */
export interface FuncInfo {
  readonly offset: number;
  readonly typeId: number;
}

/** Source line of the code from `offset` on; `file` and `text` are offsets of strings in .BTF. */
export interface LineInfo {
  readonly offset: number;
  readonly file: number;
  readonly text: number;
  readonly line: number;
  readonly column: number;
}

/** A CO-RE relocation (struct bpf_core_relo): what the instruction at `offset` was made from. */
export interface CoreInfo {
  readonly offset: number;
  /** BTF id of the type that the access starts at. */
  readonly typeId: number;
  /** Offset of the access in the strings of .BTF: indices with `:` between them. */
  readonly access: number;
  /** enum bpf_core_relo_kind. */
  readonly kind: number;
  /** Where the record itself stands in .BTF.ext, bytes. */
  readonly at: number;
}

/** Records by name of the code section, in rising order of offset. */
export interface BtfExt {
  readonly functions: ReadonlyMap<string, readonly FuncInfo[]>;
  readonly lines: ReadonlyMap<string, readonly LineInfo[]>;
  readonly core: ReadonlyMap<string, readonly CoreInfo[]>;
}

interface Placed {
  readonly offset: number;
}

function parseRecords<T extends Placed>(
  r: Reader,
  at: number,
  lengthBytes: number,
  minBytes: number,
  btf: Btf,
  parse: (at: number) => T,
): ReadonlyMap<string, readonly T[]> {
  const bySection = new Map<string, T[]>();
  if (lengthBytes === 0) return bySection;
  r.need(at, lengthBytes);
  const end = at + lengthBytes;
  const recordBytes = r.u32(at);
  if (recordBytes < minBytes || recordBytes % 4 !== 0)
    btfFail('BTF_EXT', at, `records of ${recordBytes} bytes`, SECTION);
  let cursor = at + 4;
  while (cursor < end) {
    const section = btf.string(r.u32(cursor));
    const count = r.u32(cursor + 4);
    cursor += 8;
    if (cursor + count * recordBytes > end)
      btfFail('BTF_EXT', cursor, `${count} records are more than the section holds`, SECTION);
    const records = bySection.get(section) ?? [];
    for (let i = 0; i < count; i++, cursor += recordBytes) {
      const record = parse(cursor);
      if (record.offset % SLOT_BYTES !== 0)
        btfFail('BTF_EXT', cursor, `offset ${record.offset} is not that of an instruction`, SECTION);
      records.push(record);
    }
    bySection.set(section, records);
  }
  for (const records of bySection.values()) records.sort((a, b) => a.offset - b.offset);
  return bySection;
}

/**
 * Parse a .BTF.ext section.
 * @throws BtfError BTF_EXT, BTF_TRUNCATED, BTF_HEADER with the offset in the section
 */
export function parseBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const r = btfReader(bytes, SECTION);
  if (r.u16(0) !== BTF_MAGIC || r.u8(2) !== 1 || r.u8(3) !== 0)
    btfFail('BTF_HEADER', 0, 'bad magic, version or flags', SECTION);
  const headerBytes = r.u32(4);
  if (headerBytes < HEADER_BYTES) btfFail('BTF_HEADER', 4, `header of ${headerBytes} bytes`, SECTION);
  const part = <T extends Placed>(field: number, minBytes: number, parse: (at: number) => T) =>
    parseRecords(r, headerBytes + r.u32(field), r.u32(field + 4), minBytes, btf, parse);
  return {
    functions: part(8, FUNC_INFO_BYTES, (at) => ({ offset: r.u32(at), typeId: r.u32(at + 4) })),
    lines: part(16, LINE_INFO_BYTES, (at) => {
      // line_col is line:22, column:10 from the top.
      const place = r.u32(at + 12);
      return {
        offset: r.u32(at),
        file: r.u32(at + 4),
        text: r.u32(at + 8),
        line: place >>> 10,
        column: place & 0x3ff,
      };
    }),
    core:
      headerBytes >= CORE_HEADER_BYTES
        ? part(24, CORE_RELO_BYTES, (at) => ({
            offset: r.u32(at),
            typeId: r.u32(at + 4),
            access: r.u32(at + 8),
            kind: r.u32(at + 12),
            at,
          }))
        : new Map<string, readonly CoreInfo[]>(),
  };
}

/** Index of the first record at or after an offset. */
export function firstAtOrAfter(records: readonly Placed[], offset: number): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((records[middle]?.offset ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
