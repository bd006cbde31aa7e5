import { type Btf, parseBtf } from '../../lb/bpf/object/btf.js';

const BTF_MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
/** Kinds of BTF (Documentation/bpf/btf.rst §2.2) in the upper byte of `info`. */
const KIND = {
  int: 1 << 24,
  pointer: 2 << 24,
  struct: 4 << 24,
  function: 12 << 24,
  prototype: 13 << 24,
} as const;
const SIGNED = 1 << 24;
const MEMORY_BYTES = 16;

/** What functions of a case take and give. `memory`: a pointer to 16 bytes. */
export const ARGUMENT_TYPES = { void: 0, long: 1, u32: 2, xdp_md: 4, __sk_buff: 6, memory: 8 } as const;
export type ArgumentType = keyof typeof ARGUMENT_TYPES;

/** A function's declaration. */
export interface Signature {
  readonly linkage: 'static' | 'global';
  readonly name: string;
  readonly arguments: readonly ArgumentType[];
  readonly result: ArgumentType;
}

/** Strings of a BTF, each by its offset. */
class Strings {
  #text = '\0';

  offset(name: string): number {
    const at = this.#text.length;
    this.#text += `${name}\0`;
    return at;
  }

  get bytes(): Uint8Array {
    return new TextEncoder().encode(this.#text);
  }
}

/**
 * Types of functions, as a compiler would write them.
 * @returns the types, and the id of each function's by its name
 */
export function typesOf(signatures: readonly Signature[]): { btf: Btf; ids: ReadonlyMap<string, number> } {
  const strings = new Strings();
  const member = strings.offset('first');
  const struct = (name: string, bytes: number) => [
    strings.offset(name),
    KIND.struct | 2,
    bytes,
    ...[member, ARGUMENT_TYPES.long, 0],
    ...[member + 1, ARGUMENT_TYPES.long, 64],
  ];
  const pointer = (to: number) => [0, KIND.pointer, to];
  const words = [
    [strings.offset('long'), KIND.int, 8, SIGNED | 64],
    [strings.offset('unsigned int'), KIND.int, 4, 32],
    struct('xdp_md', MEMORY_BYTES),
    pointer(3),
    struct('__sk_buff', MEMORY_BYTES),
    pointer(5),
    struct('memory', MEMORY_BYTES),
    pointer(7),
  ].flat();
  let next = 9;
  const ids = new Map<string, number>();
  const argument = strings.offset('a');
  for (const { name, linkage, arguments: taken, result } of signatures) {
    words.push(0, KIND.prototype | taken.length, ARGUMENT_TYPES[result]);
    for (const each of taken) words.push(argument, ARGUMENT_TYPES[each]);
    words.push(strings.offset(name), KIND.function | (linkage === 'global' ? 1 : 0), next);
    ids.set(name, next + 1);
    next += 2;
  }
  const typeBytes = words.length * 4;
  const text = strings.bytes;
  const bytes = new Uint8Array(HEADER_BYTES + typeBytes + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, BTF_MAGIC, true);
  view.setUint8(2, 1);
  for (const [index, word] of [HEADER_BYTES, 0, typeBytes, typeBytes, text.length, ...words].entries())
    view.setUint32(4 + index * 4, word, true);
  bytes.set(text, HEADER_BYTES + typeBytes);
  return { btf: parseBtf(bytes), ids };
}
