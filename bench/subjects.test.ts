import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeProgram } from '../lb/bpf/isa/codec.js';
import { verifyCode } from '../lb/bpf/verifier/verify-code.js';
import { ackFrame } from './forwarding-traffic.js';
import { programOf } from './sizes.js';
import { isSubject, SUBJECT_NAMES } from './subjects.js';

describe('what can be measured', () => {
  it('is what README.md lists', () => {
    const readme = readFileSync(new URL('README.md', import.meta.url), 'utf8');
    const listed = [...readme.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name);
    expect(listed).toEqual(SUBJECT_NAMES);
  });

  it('is nothing that every object has', () => {
    expect(SUBJECT_NAMES.every(isSubject)).toBe(true);
    expect(['toString', 'constructor', '__proto__', ''].filter(isSubject)).toEqual([]);
  });
});

describe('what it is measured with', () => {
  it.each([100, 1000, 10_000])(
    'a program of %i instructions has that many, or nearly, and is safe',
    (size) => {
      const { code } = programOf(size);
      expect(Math.abs(code.length / 8 - size)).toBeLessThanOrEqual(16);
      expect(decodeProgram(code).length).toBeGreaterThan(0);
      const numbers = {
        name: 'numbers',
        type: 'ARRAY',
        keySize: 4,
        valueSize: 4,
        maxEntries: 4,
        flags: 0,
      } as const;
      const { accepted } = verifyCode(code, { type: 'xdp', maps: [numbers], gpl: true });
      expect(accepted).toBe(true);
    },
  );

  it.each([
    ['the shortest is padded: its packet has headers alone', 60, 40],
    ['a long one is payload to its end', 1400, 1386],
  ])('a frame: %s', (_, frameBytes, packetBytes) => {
    const frame = Buffer.from(ackFrame('02:00:00:00:00:09', frameBytes), 'hex');
    expect(frame).toHaveLength(frameBytes);
    expect(frame.subarray(0, 6).toString('hex')).toBe('020000000009');
    expect(frame.readUInt16BE(16)).toBe(packetBytes);
    expect(frame.subarray(26, 34).toString('hex')).toBe('c6336401c0000250');
    expect(frame.readUInt16BE(36)).toBe(80);
  });
});
