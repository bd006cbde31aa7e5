/** Longest name that is read from a string table, bytes: a bound on the time that a damaged file can take. */
export const MAX_STRING_BYTES = 4096;

const utf8 = new TextDecoder();

/** Little-endian reads that check the bound first; `fail` raises the caller's own error. */
export class Reader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fail: (offset: number, needBytes: number) => never;

  constructor(bytes: Uint8Array, fail: (offset: number, needBytes: number) => never) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fail = fail;
  }

  get length(): number {
    return this.bytes.length;
  }

  /** Raise the error unless `needBytes` follow at `offset`. */
  need(offset: number, needBytes: number): void {
    if (
      !Number.isSafeInteger(offset) ||
      offset < 0 ||
      needBytes < 0 ||
      offset + needBytes > this.bytes.length
    ) {
      this.#fail(offset, needBytes);
    }
  }

  u8(offset: number): number {
    this.need(offset, 1);
    return this.#view.getUint8(offset);
  }

  u16(offset: number): number {
    this.need(offset, 2);
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number): number {
    this.need(offset, 4);
    return this.#view.getUint32(offset, true);
  }

  i32(offset: number): number {
    this.need(offset, 4);
    return this.#view.getInt32(offset, true);
  }

  u64(offset: number): bigint {
    this.need(offset, 8);
    return this.#view.getBigUint64(offset, true);
  }

  /** A view, not a copy. */
  slice(offset: number, lengthBytes: number): Uint8Array {
    this.need(offset, lengthBytes);
    return this.bytes.subarray(offset, offset + lengthBytes);
  }

  /**
   * The NUL-terminated string at `offset`, undefined where no NUL follows within MAX_STRING_BYTES
   * (then, with `cut`, what there is up to that bound).
   */
  string(offset: number, cut = false): string | undefined {
    this.need(offset, 1);
    const window = this.bytes.subarray(offset, offset + MAX_STRING_BYTES);
    const end = window.indexOf(0);
    if (end >= 0) return utf8.decode(window.subarray(0, end));
    return cut ? utf8.decode(window) : undefined;
  }
}
