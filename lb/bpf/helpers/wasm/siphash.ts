// SipHash-2-4 of 64-bit words (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, §2).

let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;
let words: u64 = 0;

@inline function round(): void {
  v0 += v1; v1 = rotl(v1, 13) ^ v0; v0 = rotl(v0, 32);
  v2 += v3; v3 = rotl(v3, 16) ^ v2;
  v0 += v3; v3 = rotl(v3, 21) ^ v0;
  v2 += v1; v1 = rotl(v1, 17) ^ v2; v2 = rotl(v2, 32);
}

/** Begin with the 16-byte key at `key`. */
export function sipBegin(key: usize): void {
  const k0 = load<u64>(key), k1 = load<u64>(key, 8);
  v0 = k0 ^ 0x736f6d6570736575;
  v1 = k1 ^ 0x646f72616e646f6d;
  v2 = k0 ^ 0x6c7967656e657261;
  v3 = k1 ^ 0x7465646279746573;
  words = 0;
}

export function sipAdd(word: u64): void {
  v3 ^= word;
  round();
  round();
  v0 ^= word;
  words++;
}

export function sipEnd(): u64 {
  // The last word: nothing but the message's length in bytes, modulo 256, in its top byte.
  sipAdd(words * 8 << 56);
  v2 ^= 0xff;
  round();
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}
