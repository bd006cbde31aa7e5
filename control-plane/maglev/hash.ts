/**
 * The hashes that place backends on a ring. They decide which backend a flow goes to, so they are the same on
 * every node of a fleet: FNV and SpookyHash V2 (Bob Jenkins, public domain) make a 64-bit hash of a backend's
 * address, MurmurHash3 (Austin Appleby, public domain) makes its permutation of that hash.
 * Arithmetic on u64 is by bigint: it runs once a backend, not once a packet.
 */

const MASK_64 = (1n << 64n) - 1n;

/** Prime of the ring that permutations are made for; slots of a ring. */
export const RING_SIZE = 65537;

const FNV_START_32 = 2166136261;
const FNV_PRIME_32 = 16777619;

/** FNV-1 of 32 bits, but each byte is sign-extended before the exclusive or: what compilers with a signed char made of it. */
function fnv32(bytes: Uint8Array): number {
  let hash = FNV_START_32;
  for (const byte of bytes) hash = (Math.imul(hash, FNV_PRIME_32) ^ ((byte << 24) >> 24)) >>> 0;
  return hash;
}

/** Murmur-inspired mix of two words to one (CityHash's Hash128to64). */
function hash128To64(upper: bigint, lower: bigint): bigint {
  const multiplier = 0x9ddfea08eb382d69n;
  let a = ((lower ^ upper) * multiplier) & MASK_64;
  a ^= a >> 47n;
  let b = ((upper ^ a) * multiplier) & MASK_64;
  b ^= b >> 47n;
  return (b * multiplier) & MASK_64;
}

const rotateLeft = (word: bigint, bits: bigint): bigint =>
  ((word << bits) | (word >> (64n - bits))) & MASK_64;

const SPOOKY_CONSTANT = 0xdeadbeefdeadbeefn;

/** Rotations of SpookyHash V2's ShortEnd; word i takes in word i - 1, modulo 4, starting at word 3. */
const SPOOKY_END_ROTATIONS = [15n, 52n, 26n, 51n, 28n, 9n, 47n, 54n, 32n, 25n, 63n] as const;
/** Rotations of ShortMix: word i is rotated, takes in the next, and is folded into the one after that. */
const SPOOKY_MIX_ROTATIONS = [50n, 52n, 30n, 41n, 54n, 48n, 38n, 37n, 62n, 34n, 5n, 36n] as const;

/** SpookyHash V2, 128 bits, of exactly 16 bytes with both seeds 0: the path for short messages. */
function spooky128Of16(bytes: Uint8Array): readonly [bigint, bigint] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const words = [0n, 0n, SPOOKY_CONSTANT, SPOOKY_CONSTANT] as [bigint, bigint, bigint, bigint];
  words[2] = (words[2] + view.getBigUint64(0, true)) & MASK_64;
  words[3] = (words[3] + view.getBigUint64(8, true)) & MASK_64;
  for (const [step, rotation] of SPOOKY_MIX_ROTATIONS.entries()) {
    const at = (step + 2) % 4;
    words[at] = rotateLeft(words[at]!, rotation);
    words[at] = (words[at]! + words[(at + 1) % 4]!) & MASK_64;
    words[(at + 2) % 4] = words[(at + 2) % 4]! ^ words[at]!;
  }
  // No bytes are left over; the length goes into the top byte of the last word.
  words[3] = (words[3] + (16n << 56n)) & MASK_64;
  words[2] = (words[2] + SPOOKY_CONSTANT) & MASK_64;
  words[3] = (words[3] + SPOOKY_CONSTANT) & MASK_64;
  for (const [step, rotation] of SPOOKY_END_ROTATIONS.entries()) {
    const at = (step + 3) % 4;
    const from = (at + 3) % 4;
    words[at] = words[at]! ^ words[from]!;
    words[from] = rotateLeft(words[from]!, rotation);
    words[at] = (words[at]! + words[from]!) & MASK_64;
  }
  return [words[0], words[1]];
}

function isIpv4Mapped(bytes: Uint8Array): boolean {
  return bytes.length === 16 && bytes.every((byte, i) => i >= 12 || byte === (i < 10 ? 0 : 0xff));
}

/**
 * 64-bit hash of a backend's address: its place in the order of backends, and the seed of its permutation.
 * @param bytes 4 or 16 bytes in wire order; an IPv4-mapped IPv6 address counts as its IPv4 address
 */
export function hashAddress(bytes: Uint8Array): bigint {
  if (bytes.length === 16 && !isIpv4Mapped(bytes)) {
    const [first, second] = spooky128Of16(bytes);
    return hash128To64(10n, hash128To64(first, second));
  }
  return hash128To64(2n, BigInt(fnv32(bytes.subarray(bytes.length - 4))));
}

const MURMUR_C1 = 0x87c37b91114253d5n;
const MURMUR_C2 = 0x4cf5ad432745937fn;

/** MurmurHash3's fmix64. */
function finalMix(word: bigint): bigint {
  let mixed = word;
  mixed ^= mixed >> 33n;
  mixed = (mixed * 0xff51afd7ed558ccdn) & MASK_64;
  mixed ^= mixed >> 33n;
  mixed = (mixed * 0xc4ceb9fe1a85ec53n) & MASK_64;
  return mixed ^ (mixed >> 33n);
}

/** First 64 bits of MurmurHash3_x64_128 over two little-endian words. */
function murmur3(first: bigint, second: bigint, seed: bigint): bigint {
  let h1 = seed;
  let h2 = seed;
  h1 ^= (rotateLeft((first * MURMUR_C1) & MASK_64, 31n) * MURMUR_C2) & MASK_64;
  h1 = ((((rotateLeft(h1, 27n) + h2) & MASK_64) * 5n) & MASK_64) + 0x52dce729n;
  h1 &= MASK_64;
  h2 ^= (rotateLeft((second * MURMUR_C2) & MASK_64, 33n) * MURMUR_C1) & MASK_64;
  h2 = (((rotateLeft(h2, 31n) + h1) & MASK_64) * 5n + 0x38495ab5n) & MASK_64;
  h1 ^= 16n;
  h2 ^= 16n;
  h1 = (h1 + h2) & MASK_64;
  h2 = (h2 + h1) & MASK_64;
  h1 = finalMix(h1);
  h2 = finalMix(h2);
  return (h1 + h2) & MASK_64;
}

/** A backend's order of preference: slot `offset`, then every `skip`-th (Maglev, NSDI '16, §3.4). */
export interface Permutation {
  readonly offset: number;
  readonly skip: number;
}

/** Permutation of a backend, of its address hash. */
export function permutationOf(hash: bigint): Permutation {
  return {
    offset: Number(murmur3(hash, 42n, 0n) % BigInt(RING_SIZE)),
    skip: Number(murmur3(hash, 2718281828n, 2307n) % BigInt(RING_SIZE - 1)) + 1,
  };
}
