import type { MapSpec } from '../bpf/maps/map.js';
import { BpfAttr, bpfCallOrThrow } from './bpf-call.js';
import { closeFd } from './syscall.js';

const BTF_LOAD_ATTR_BYTES = 32;
const BTF_MAGIC = 0xeb9f;
const BTF_VERSION = 1;
const HEADER_BYTES = 24;
/** enum of BTF kinds (Documentation/bpf/btf.rst §2.2). */
const KIND = { int: 1, array: 3, struct: 4 } as const;
/** Ids of the types that are always there; 0 is void. */
const ID = { u32: 1, u8: 2, key: 3, lock: 4, value: 5, before: 6, after: 7 } as const;
const LOCK_BYTES = 4;

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
 * Types of a map whose values have a bpf_spin_lock: the kernel takes the lock's place from BTF only. Key and value are
 * bytes but for it, and a key of 4 bytes a number, as an ARRAY wants it.
 */
export class LockTypes {
  readonly #keyTypeId: number;
  #fd: number;

  /** @throws BpfError BPF_CALL */
  constructor(spec: MapSpec) {
    this.#keyTypeId = spec.keySize === 4 ? ID.u32 : ID.key;
    const bytes = typesOf(spec);
    const attr = new BpfAttr(BTF_LOAD_ATTR_BYTES).pointer(0, bytes).u32(16, bytes.length);
    this.#fd = bpfCallOrThrow('BTF_LOAD', attr, `types of map ${spec.name}`);
  }

  /** Put the types into the attribute of a MAP_CREATE. */
  describe(attr: BpfAttr): void {
    attr.u32(48, this.#fd).u32(52, this.#keyTypeId).u32(56, ID.value);
  }

  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }
}

function typesOf({ keySize, valueSize, lockOffset = 0 }: MapSpec): Uint8Array {
  const strings = new Strings();
  const words: number[] = [];
  const type = (kind: number, name: string, count: number, size: number) =>
    words.push(name === '' ? 0 : strings.offset(name), (kind << 24) | count, size);
  const int = (name: string, bytes: number) => {
    type(KIND.int, name, 0, bytes);
    words.push(bytes * 8);
  };
  const bytes = (count: number) => {
    type(KIND.array, '', 0, 0);
    words.push(ID.u8, ID.u32, count);
  };
  const member = (name: string, id: number, offset: number) =>
    words.push(strings.offset(name), id, offset * 8);
  const behind = lockOffset + LOCK_BYTES;
  const hasAfter = valueSize > behind;

  int('unsigned int', 4);
  int('unsigned char', 1);
  bytes(keySize);
  type(KIND.struct, 'bpf_spin_lock', 1, LOCK_BYTES);
  member('val', ID.u32, 0);
  type(KIND.struct, 'value', 1 + Number(lockOffset > 0) + Number(hasAfter), valueSize);
  if (lockOffset > 0) member('before', ID.before, 0);
  member('lock', ID.lock, lockOffset);
  if (hasAfter) member('after', ID.after, behind);
  bytes(lockOffset);
  bytes(Math.max(0, valueSize - behind));

  const text = strings.bytes;
  const typeBytes = words.length * 4;
  const out = new Uint8Array(HEADER_BYTES + typeBytes + text.length);
  const view = new DataView(out.buffer);
  view.setUint16(0, BTF_MAGIC, true);
  view.setUint8(2, BTF_VERSION);
  for (const [index, word] of [HEADER_BYTES, 0, typeBytes, typeBytes, text.length].entries()) {
    view.setUint32(4 + index * 4, word, true);
  }
  for (const [index, word] of words.entries()) view.setUint32(HEADER_BYTES + index * 4, word, true);
  out.set(text, HEADER_BYTES + typeBytes);
  return out;
}
