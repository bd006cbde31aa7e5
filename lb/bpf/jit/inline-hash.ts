import {
  BUCKET_BYTES,
  BUCKET_HEAD,
  BUCKET_LOCK,
  ELEMENT_HASH,
  ELEMENT_KEY,
  ELEMENT_NEXT,
  ELEMENT_REFERENCED,
  HASH_BUCKETS,
  HASH_MASK,
  HASH_MULTIPLIERS,
  HASH_SEED,
  HASH_VALUE,
} from '../memory/layout.js';
import type { FunctionCode } from './lower.js';

/** A word of a key: 8 bytes, or the 4, 2 or 1 that are left at its end. */
export interface KeyWord {
  readonly offset: number;
  readonly bytes: 1 | 2 | 4 | 8;
}

const LOAD = { 1: 'i64.load8_u', 2: 'i64.load16_u', 4: 'i64.load32_u', 8: 'i64.load' } as const;
/** Longest key that is hashed in one go: see the runtime's hash function. */
const KEY_MAX_BYTES = (HASH_MULTIPLIERS - 2) * 4;

/** The words of a key whose lookup can be written out; undefined where the runtime's loops are needed. */
export function hashKeyWords(keySize: number): KeyWord[] | undefined {
  if (keySize > KEY_MAX_BYTES) return undefined;
  const words: KeyWord[] = [];
  for (let offset = 0; offset < keySize; offset += 8) {
    const bytes = Math.min(8, keySize - offset);
    if (bytes !== 8 && bytes !== 4 && bytes !== 2 && bytes !== 1) return undefined;
    words.push({ offset, bytes });
  }
  return words;
}

/** What is compiled: a known map's descriptor, or the local that holds one. */
export interface HashSite {
  readonly descriptor: { readonly at: number } | { readonly local: number };
  readonly isLru: boolean;
  readonly words: readonly KeyWord[];
  /** Puts word i on the stack, an i64 that is zero above the word's bytes. */
  readonly pushWord: (index: number) => void;
}

/**
 * hash_lookup or lru_hash_lookup of the runtime (chain.ts and hash-function.ts say why it is right without a
 * lock), written out for one size of key that need not be in memory. Leaves the value's address or 0, an i64.
 */
export function lowerHashLookup(code: FunctionCode, { descriptor, isLru, words, pushWord }: HashSite): void {
  const { w } = code;
  const field = (offset: number) => {
    if ('at' in descriptor) w.i32(descriptor.at + offset).memory('i32.load');
    else w.get(descriptor.local).memory('i32.load', offset);
  };
  const seed = code.scratch('i32', 'seed');
  const hash = code.scratch('i32', 'hash');
  const bucket = code.scratch('i32', 'bucket');
  const start = code.scratch('i64', 'start');
  const element = code.scratch('i32', 'element');
  const word = words.map((_, index) => code.scratch('i64', `word ${index}`));

  field(HASH_SEED);
  w.set(seed);
  for (const index of words.keys()) {
    pushWord(index);
    w.set(word[index]!);
    w.get(word[index]!).i64(0xffffffffn).op('i64.and');
    w.get(seed)
      .memory('i64.load', 16 * index)
      .op('i64.add');
    w.get(word[index]!).i64(32n).op('i64.shr_u');
    w.get(seed)
      .memory('i64.load', 16 * index + 8)
      .op('i64.add', 'i64.mul');
    if (index > 0) w.op('i64.add');
  }
  w.i64(32n).op('i64.shr_u', 'i32.wrap_i64').tee(hash);
  field(HASH_MASK);
  w.op('i32.and').i32(BUCKET_BYTES).op('i32.mul');
  field(HASH_BUCKETS);
  w.op('i32.add').set(bucket);

  const pushMatch = () => {
    for (const [index, { offset, bytes }] of words.entries()) {
      w.get(element)
        .memory(LOAD[bytes], ELEMENT_KEY + offset)
        .get(word[index]!)
        .op('i64.xor');
      if (index > 0) w.op('i64.or');
    }
    w.op('i64.eqz');
  };
  w.block('i64');
  const outside = w.depth - 1;
  w.block();
  const found = w.depth - 1;
  // Most buckets have one element or none, and a loop costs V8 a look at the stack's limit: the head by itself.
  // A plain load does, as 4 aligned bytes do not tear; who stood on no element was not led away.
  w.get(bucket).memory('i32.load', BUCKET_HEAD).tee(element).op('i32.eqz').if();
  w.i64(0n)
    .br(w.depth - 1 - outside)
    .op('end');
  w.get(element).memory('i32.load', ELEMENT_HASH).get(hash).op('i32.eq').if();
  pushMatch();
  w.brIf(w.depth - 1 - found).op('end');

  w.loop();
  const again = w.depth - 1;
  w.get(bucket).memory('i64.atomic.load', BUCKET_HEAD).tee(start).op('i32.wrap_i64').set(element);
  w.loop();
  const chain = w.depth - 1;
  w.get(element).if();
  w.get(element).memory('i32.load', ELEMENT_HASH).get(hash).op('i32.eq').if();
  pushMatch();
  w.brIf(w.depth - 1 - found).op('end');
  w.get(element)
    .memory('i32.atomic.load', ELEMENT_NEXT)
    .set(element)
    .br(w.depth - 1 - chain);
  w.op('end', 'end');
  // The chain's end: somebody may have led us there. Another version than at the start says look again.
  w.get(bucket).memory('i32.atomic.load', BUCKET_LOCK);
  w.get(start).i64(32n).op('i64.shr_u', 'i32.wrap_i64', 'i32.xor').i32(8).op('i32.shr_u');
  w.brIf(w.depth - 1 - again).op('end');
  w.i64(0n)
    .br(w.depth - 1 - outside)
    .op('end');

  if (isLru) {
    // A store only where the bit is clear: hits do not take the line from each other.
    w.get(element).memory('i32.load8_u', ELEMENT_REFERENCED).op('i32.eqz').if();
    w.get(element).i32(1).memory('i32.store8', ELEMENT_REFERENCED).op('end');
  }
  w.get(element);
  field(HASH_VALUE);
  w.op('i32.add', 'i64.extend_i32_u', 'end');
}
