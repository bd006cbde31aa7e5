import { type Btf, type BtfMember, type BtfOf, type BtfType, btfFail } from './btf.js';

/** Largest alignment that is written as an attribute rather than as padding: a page. */
const MAX_ALIGN_BYTES = 4096;
const MAX_INT_ALIGN_BYTES = 16;
/** Structs inside structs by value; the kernel's own types stay below 20. */
const MAX_NESTING = 64;

/** Bits that a member takes, and where they start from the beginning of its struct. */
export interface MemberBits {
  readonly offset: number;
  /** 0 for an ordinary member. */
  readonly size: number;
}

/** One line of a struct in C: a member of it, or room between members. */
export type LayoutItem =
  | { readonly kind: 'member'; readonly member: BtfMember; readonly bits: number; readonly align?: number }
  /** An unnamed bit field; `type` is the declared type of the member that follows, absent for a byte. */
  | { readonly kind: 'bits'; readonly bits: number; readonly type?: number }
  | { readonly kind: 'bytes'; readonly bytes: number; readonly offset: number };

/** How a struct or union has to be written in C so that each member comes to stand where the BTF says. */
export interface CLayout {
  readonly items: readonly LayoutItem[];
  readonly packed: boolean;
  /** Alignment that an attribute asks for, bytes; absent where the members give it. */
  readonly aligned?: number;
  /** Alignment of the type that a C compiler will arrive at, bytes. */
  readonly align: number;
}

type Composite = BtfOf<'struct' | 'union'>;

/** Bits of a member: its own or, in BTF from before the kind_flag, those of its int (btf.rst §2.2.1, §2.2.4). */
export function memberBits(btf: Btf, member: BtfMember): MemberBits {
  if (member.bitSize > 0) return { offset: member.bitOffset, size: member.bitSize };
  const type = btf.resolve(member.type);
  if (type.kind !== 'int' || type.bits === type.sizeBytes * 8) return { offset: member.bitOffset, size: 0 };
  return { offset: member.bitOffset + type.bitOffset, size: type.bits };
}

const alignUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit;
const isPowerOfTwo = (value: number): boolean => value > 0 && Number.isInteger(Math.log2(value));

/** The smallest alignment above `natural` that brings `cursor` to `wanted`; undefined where none does. */
function alignmentTo(cursor: number, wanted: number, natural: number): number | undefined {
  for (let align = natural * 2; align <= MAX_ALIGN_BYTES; align *= 2) {
    if (alignUp(cursor, align) === wanted) return align;
  }
  return undefined;
}

/**
 * Layouts of the structs and unions of one BTF, by the rules that clang and gcc share on 64-bit targets (System V
 * ABI: bit fields fill the storage unit of their declared type, named ones lend their alignment to the struct).
 */
export class CLayouts {
  readonly #btf: Btf;
  readonly #done = new Map<number, CLayout>();

  constructor(btf: Btf) {
    this.#btf = btf;
  }

  /** @throws BtfError BTF_SIZE when members overlap or leave the struct, BTF_DEPTH when it contains itself */
  of(type: Composite, depth = 0): CLayout {
    const known = this.#done.get(type.id);
    if (known !== undefined) return known;
    if (depth > MAX_NESTING)
      return btfFail('BTF_DEPTH', type.at, `structs nested more than ${MAX_NESTING} deep`);
    const layout = this.#layOut(type, false, depth) ?? this.#layOut(type, true, depth);
    if (layout === undefined) return btfFail('BTF_SIZE', type.at, `members of ${type.name} overlap`);
    this.#done.set(type.id, layout);
    return layout;
  }

  /** Alignment of a type in C as `formatC` writes it, bytes. */
  #alignOf(id: number, depth: number): number {
    let type: BtfType = this.#btf.resolve(id);
    for (let nested = 0; type.kind === 'array'; nested++) {
      if (nested === MAX_NESTING) return btfFail('BTF_DEPTH', type.at, 'arrays without end');
      type = this.#btf.resolve(type.type);
    }
    switch (type.kind) {
      case 'struct':
      case 'union':
        return this.of(type, depth + 1).align;
      case 'int':
      case 'enum':
      case 'enum64':
      case 'float':
        return isPowerOfTwo(type.sizeBytes) ? Math.min(type.sizeBytes, MAX_INT_ALIGN_BYTES) : 1;
      case 'ptr':
        return 8;
      default:
        return btfFail('BTF_SIZE', type.at, `a ${type.kind} cannot be a member`);
    }
  }

  /** Walk the members as a compiler does; undefined where its rules cannot place them (packed = false: then pack). */
  #layOut(type: Composite, packed: boolean, depth: number): CLayout | undefined {
    const btf = this.#btf;
    const items: LayoutItem[] = [];
    let align = 1;
    let end = 0;
    let cursor = 0;
    for (const member of type.members) {
      const bits = memberBits(btf, member);
      const natural = packed ? 1 : this.#alignOf(member.type, depth);
      const sizeBits = btf.sizeOf(member.type) * 8;
      if (type.kind === 'union' && bits.offset !== 0) return undefined;
      if (type.kind === 'union') cursor = 0;
      if (bits.size > 0) {
        if (bits.size > sizeBits) return undefined;
        // Not packed, a bit field stays in one storage unit of its declared type.
        const straddles =
          Math.floor(bits.offset / sizeBits) !== Math.floor((bits.offset + bits.size - 1) / sizeBits);
        if (bits.offset < cursor || (straddles && !packed)) return undefined;
        pad(items, cursor, bits.offset, { type: member.type, bits: sizeBits });
        items.push({ kind: 'member', member, bits: bits.size });
        cursor = bits.offset + bits.size;
        align = Math.max(align, natural);
      } else {
        const wanted = bits.offset / 8;
        const free = Math.ceil(cursor / 8);
        if (wanted < free || wanted % natural !== 0) return undefined;
        let own: number | undefined;
        if (alignUp(free, natural) !== wanted) {
          own = packed ? undefined : alignmentTo(free, wanted, natural);
          // Below 8 bytes, and where the struct's size contradicts it, the room had another reason.
          if (own !== undefined && (own < 8 || type.sizeBytes % own !== 0)) own = undefined;
          if (own === undefined) pad(items, cursor, bits.offset);
        }
        items.push({ kind: 'member', member, bits: 0, ...(own === undefined ? {} : { align: own }) });
        cursor = bits.offset + sizeBits;
        align = Math.max(align, own ?? natural);
      }
      end = Math.max(end, cursor);
    }
    return close(type, { items, packed, align }, end);
  }
}

/** Fill a struct up to its size: by alignment where that explains the room, by padding where it does not. */
function close(type: Composite, layout: CLayout, endBits: number): CLayout | undefined {
  const end = Math.ceil(endBits / 8);
  const { packed, align } = layout;
  if (end > type.sizeBytes || type.sizeBytes % align !== 0) return undefined;
  if (alignUp(end, align) === type.sizeBytes) return layout;
  const aligned = packed || end === 0 ? undefined : alignmentTo(end, type.sizeBytes, align);
  if (aligned !== undefined) return { ...layout, aligned, align: aligned };
  const items = [...layout.items];
  if (type.kind === 'union') items.push({ kind: 'bytes', bytes: type.sizeBytes, offset: 0 });
  else pad(items, endBits, type.sizeBytes * 8);
  return { ...layout, items };
}

/**
 * Room from one bit to another: one unnamed bit field of the type of the bit field that follows where it fits into
 * its storage unit, else bits up to the byte, then bytes.
 */
function pad(
  items: LayoutItem[],
  from: number,
  to: number,
  next?: { readonly type: number; readonly bits: number },
): void {
  const unit = next?.bits ?? 0;
  if (next !== undefined && from < to && Math.floor(from / unit) === Math.floor((to - 1) / unit)) {
    items.push({ kind: 'bits', bits: to - from, type: next.type });
    return;
  }
  let at = from;
  if (at < to && at % 8 !== 0) {
    const bits = Math.min(8 - (at % 8), to - at);
    items.push({ kind: 'bits', bits });
    at += bits;
  }
  const bytes = Math.floor((to - at) / 8);
  if (bytes > 0) items.push({ kind: 'bytes', bytes, offset: at / 8 });
  at += bytes * 8;
  if (at < to) items.push({ kind: 'bits', bits: to - at });
}
