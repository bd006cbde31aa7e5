import { describe, expect, it } from 'vitest';
import { bearerToken, createToken, findToken, hashToken } from './tokens.js';

describe('a token', () => {
  it('is made of 256 bits, and never twice', () => {
    const tokens = Array.from({ length: 100 }, createToken);
    expect(new Set(tokens).size).toBe(100);
    for (const token of tokens) expect(token).toMatch(/^wgl_[A-Za-z0-9_-]{43}$/);
  });

  it('is kept as its SHA-256 (FIPS 180-4, of 32 times "a")', () => {
    expect(hashToken('a'.repeat(32))).toBe(
      '3ba3f5f43b92602683c19aee62a20342b084dd5971ddd33808d81a328879a547',
    );
  });

  it('that could be guessed is refused', () => {
    expect(() => hashToken('a'.repeat(31))).toThrow(expect.objectContaining({ code: 'SECURITY_TOKEN' }));
  });

  it('is found by itself alone, and until it expires', () => {
    const [mine, other] = [createToken(), createToken()];
    const entry = { name: 'mine', role: 'viewer', sha256: hashToken(mine), expiresMs: 1000 } as const;
    expect(findToken([entry], mine, 999)).toBe(entry);
    expect(findToken([entry], mine, 1000)).toBeUndefined();
    expect(findToken([entry], other, 0)).toBeUndefined();
    expect(findToken([], mine, 0)).toBeUndefined();
  });

  for (const [header, token] of [
    ['Bearer abc', 'abc'],
    ['bearer abc==', 'abc=='],
    ['Bearer  abc', 'abc'],
    ['Bearer', undefined],
    ['Bearer a b', undefined],
    ['Basic abc', undefined],
    ['abc', undefined],
  ] as const) {
    it(`of "${header}" is ${token}`, () => expect(bearerToken(header)).toBe(token));
  }
});
