import type { ObjectSpec, ProgramSpec } from '../bpf/object/spec.js';
import { BpfAttr, bpfCallOrThrow } from './bpf-call.js';
import { closeFd } from './syscall.js';

const BTF_LOAD_ATTR_BYTES = 32;
const FUNC_INFO_BYTES = 8;
const LINE_INFO_BYTES = 16;

/** BTF that the kernel has taken; programs that name it keep it alive. */
export class KernelTypes {
  #fd: number;

  /**
   * Load the types of an object (BPF_BTF_LOAD).
   * @throws BpfError BPF_CALL: EINVAL for types that the kernel does not take (those of kernel functions)
   */
  constructor(btf: NonNullable<ObjectSpec['btf']>) {
    const attr = new BpfAttr(BTF_LOAD_ATTR_BYTES).pointer(0, btf.bytes).u32(16, btf.bytes.length);
    this.#fd = bpfCallOrThrow('BTF_LOAD', attr, 'types of an object');
  }

  /** Put the types, functions and source lines of a program into the attribute of its PROG_LOAD. */
  describe(attr: BpfAttr, { functions, lines }: ProgramSpec): void {
    const typed = functions.flatMap(({ start, typeId }) => (typeId === undefined ? [] : [[start, typeId]]));
    attr.u32(72, this.#fd);
    // The kernel wants a type for each function or for none.
    if (typed.length === functions.length)
      attr.u32(76, FUNC_INFO_BYTES).pointer(80, records(typed)).u32(88, typed.length);
    const places = lines.map(({ slot, fileOffset, textOffset, line, column }) => [
      slot,
      fileOffset,
      textOffset,
      (line << 10) | column,
    ]);
    // And a line for the start of each function.
    const starts = new Set(lines.map(({ slot }) => slot));
    if (typed.length === functions.length && functions.every(({ start }) => starts.has(start)))
      attr.u32(92, LINE_INFO_BYTES).pointer(96, records(places)).u32(104, places.length);
  }

  /** Put the types of keys and values into the attribute of a MAP_CREATE; key type 0 is that of a data section. */
  describeMap(attr: BpfAttr, keyTypeId: number, valueTypeId: number): void {
    attr.u32(48, this.#fd).u32(52, keyTypeId).u32(56, valueTypeId);
  }

  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }
}

/** Rows of 32-bit words, little endian. */
function records(rows: readonly (readonly number[])[]): Uint8Array {
  const words = rows.flat();
  const bytes = new Uint8Array(Math.max(words.length, 1) * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) view.setUint32(index * 4, word >>> 0, true);
  return bytes;
}
