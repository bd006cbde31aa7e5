import { describe, expect, it } from 'vitest';
import { checksum16, fold16, pseudoHeaderSum, sum16, updateChecksum16 } from './checksum.js';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

describe('sum16', () => {
  it.each([
    // RFC 1071 §3, the worked example.
    ['RFC 1071 §3', '0001 f203 f4f5 f6f7', 0xddf2],
    ['an odd byte is a high byte', '0001 f2', 0xf201],
    ['no bytes', '', 0],
    ['two carries', 'ffff ffff 0001', 0x0001],
  ])('%s', (_rule, hex, expected) => {
    expect(sum16(bytes(hex))).toBe(expected);
  });

  it('goes on from a sum', () => {
    expect(sum16(bytes('f4f5 f6f7'), sum16(bytes('0001 f203')))).toBe(0xddf2);
  });

  it('folds sums of more than 32 bits', () => {
    expect(fold16(0xffff * 0x20000)).toBe(0xffff);
    expect(fold16(0x1_0000_0000)).toBe(1);
  });
});

describe('checksum16', () => {
  it('an IPv4 header: the field holds it, and the whole sums to zero', () => {
    const header = bytes('4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7');
    expect(checksum16(header)).toBe(0xb861);
    header.set([0xb8, 0x61], 10);
    expect(checksum16(header)).toBe(0);
  });

  it('a UDP datagram with its pseudo-header', () => {
    const source = bytes('c0000201');
    const destination = bytes('c6336401');
    const datagram = bytes('1234 0035 000a 0000 6869');
    // c000+0201+c633+6401+0011+000a + 1234+0035+000a+6869 = 2672c, folded 672e, inverted 98d1, by hand.
    expect(checksum16(datagram, pseudoHeaderSum(source, destination, 17, datagram.length))).toBe(0x98d1);
  });
});

describe('updateChecksum16', () => {
  it('RFC 1624 §4: the corner case that equation 2 gets wrong', () => {
    expect(updateChecksum16(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });

  it('agrees with a full sum for every word of a header', () => {
    const header = bytes('4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7');
    const before = checksum16(header);
    for (const [offset, to] of [
      [0, 0x45ff],
      [2, 0xffff],
      [8, 0x3f11],
      [18, 0x0000],
    ] as const) {
      const changed = Uint8Array.from(header);
      changed.set([to >> 8, to & 0xff], offset);
      const from = (header[offset]! << 8) | header[offset + 1]!;
      expect(updateChecksum16(before, from, to)).toBe(checksum16(changed));
    }
  });
});
