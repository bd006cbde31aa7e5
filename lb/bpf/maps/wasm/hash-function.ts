// Multilinear hashing with half the multiplications (Lemire and Kaser, "Strongly universal string hashing
// is fast", 2014, §3): the high half of the sum of (k[2i] + w[2i]) * (k[2i+1] + w[2i+1]) over 32-bit words w,
// with random 64-bit k of the map. Strongly universal, so that keys chosen without knowing k collide by
// chance only; the products do not wait for each other.
import { HASH_MULTIPLIERS, HASH_SEED } from "../../memory/layout";

@inline function product(word: u64, k0: u64, k1: u64): u64 {
  return (k0 + (word & 0xffffffff)) * (k1 + (word >> 32));
}

// One function a size: the loop of the general one costs as much as the hash.

@inline export function hash4(key: usize, seed: usize): u32 {
  return <u32>(product(load<u32>(key), load<u64>(seed), load<u64>(seed, 8)) >> 32);
}

@inline export function hash8(key: usize, seed: usize): u32 {
  return <u32>(product(load<u64>(key), load<u64>(seed), load<u64>(seed, 8)) >> 32);
}

@inline export function hash16(key: usize, seed: usize): u32 {
  return <u32>((
    product(load<u64>(key), load<u64>(seed), load<u64>(seed, 8)) +
    product(load<u64>(key, 8), load<u64>(seed, 16), load<u64>(seed, 24))
  ) >> 32);
}

@inline export function hash20(key: usize, seed: usize): u32 {
  return <u32>((
    product(load<u64>(key), load<u64>(seed), load<u64>(seed, 8)) +
    product(load<u64>(key, 8), load<u64>(seed, 16), load<u64>(seed, 24)) +
    product(load<u32>(key, 16), load<u64>(seed, 32), load<u64>(seed, 40))
  ) >> 32);
}

@inline export function hash40(key: usize, seed: usize): u32 {
  return <u32>((
    product(load<u64>(key), load<u64>(seed), load<u64>(seed, 8)) +
    product(load<u64>(key, 8), load<u64>(seed, 16), load<u64>(seed, 24)) +
    product(load<u64>(key, 16), load<u64>(seed, 32), load<u64>(seed, 40)) +
    product(load<u64>(key, 24), load<u64>(seed, 48), load<u64>(seed, 56)) +
    product(load<u64>(key, 32), load<u64>(seed, 64), load<u64>(seed, 72))
  ) >> 32);
}

/** Bytes that the pairs of multipliers reach before the sum is folded; the last pair is for folding. */
const CHUNK_BYTES: u32 = (HASH_MULTIPLIERS - 2) * 4;

/** Any size; the same as the others for theirs. */
export function hashBytes(key: usize, size: u32, seed: usize): u32 {
  let sum: u64 = 0;
  let k = seed;
  const end = key + size;
  for (let at = key; at < end; at += 8) {
    if (k == seed + CHUNK_BYTES * 2) {
      sum = product(sum, load<u64>(k), load<u64>(k, 8));
      k = seed;
    }
    sum += product(at + 8 <= end ? load<u64>(at) : tail(at, end), load<u64>(k), load<u64>(k, 8));
    k += 16;
  }
  return <u32>(sum >> 32);
}

/** The last 1 to 7 bytes, never reading past them. */
function tail(at: usize, end: usize): u64 {
  let word: u64 = 0;
  let shift: u64 = 0;
  for (; at < end; at++) {
    word |= <u64>load<u8>(at) << shift;
    shift += 8;
  }
  return word;
}

@inline export function hashOf(map: usize, key: usize, size: u32): u32 {
  const seed = <usize>load<u32>(map, HASH_SEED);
  if (size == 40) return hash40(key, seed);
  if (size == 20) return hash20(key, seed);
  if (size == 4) return hash4(key, seed);
  if (size == 8) return hash8(key, seed);
  if (size == 16) return hash16(key, seed);
  return hashBytes(key, size, seed);
}
