import { describe, expect, it } from 'vitest';
import {
  AddressError,
  formatIp,
  formatMac,
  type IpAddress,
  ipFromBytes,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  macFromBytes,
  parseIp,
  parseMac,
  sameIp,
} from './address.js';

const faultOf = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    if (error instanceof AddressError) return error.fault;
    throw error;
  }
  return undefined;
};

describe('parseIp and formatIp', () => {
  const rows: readonly (readonly [
    rule: string,
    text: string,
    family: 4 | 6,
    hex: string,
    canonical: string,
  ])[] = [
    ['dotted decimal', '192.0.2.1', 4, 'c0000201', '192.0.2.1'],
    ['lowest', '0.0.0.0', 4, '00000000', '0.0.0.0'],
    ['highest', '255.255.255.255', 4, 'ffffffff', '255.255.255.255'],
    ['all zero', '::', 6, '00'.repeat(16), '::'],
    ['one at the end', '::1', 6, `${'00'.repeat(15)}01`, '::1'],
    ['zeros at the end', '2001:db8::', 6, `20010db8${'00'.repeat(12)}`, '2001:db8::'],
    ['upper case and leading zeros', '2001:0DB8::00A1', 6, `20010db8${'00'.repeat(10)}00a1`, '2001:db8::a1'],
    ['eight groups', '1:2:3:4:5:6:7:8', 6, '00010002000300040005000600070008', '1:2:3:4:5:6:7:8'],
    [
      'a single zero group is not shortened',
      '1:0:3:4:5:6:7:8',
      6,
      '00010000000300040005000600070008',
      '1:0:3:4:5:6:7:8',
    ],
    [
      '"::" for one group is read',
      '1::3:4:5:6:7:8',
      6,
      '00010000000300040005000600070008',
      '1:0:3:4:5:6:7:8',
    ],
    [
      'first of equal runs',
      '2001:db8:0:0:1:0:0:1',
      6,
      '20010db8000000000001000000000001',
      '2001:db8::1:0:0:1',
    ],
    ['longest run', '2001:0:0:1:0:0:0:1', 6, '20010000000000010000000000000001', '2001:0:0:1::1'],
    ['IPv4 tail', '64:ff9b::192.0.2.33', 6, '0064ff9b0000000000000000c0000221', '64:ff9b::c000:221'],
    ['IPv4-mapped', '::ffff:c000:0201', 6, '00000000000000000000ffffc0000201', '::ffff:192.0.2.1'],
  ];
  it.each(rows)('%s: %s', (_rule, text, family, hex, canonical) => {
    const address = parseIp(text);
    expect(address.family).toBe(family);
    expect(Buffer.from(address.bytes).toString('hex')).toBe(hex);
    expect(formatIp(address)).toBe(canonical);
    expect(sameIp(parseIp(canonical), address)).toBe(true);
  });

  const bad = [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4 ',
    '1.2.3.-4',
    '0x1.2.3.4',
    '::1/64',
    'fe80::1%eth0',
    '1::2::3',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8:9',
    '1:2:3:4::5:6:7:8',
    '12345::',
    '::g',
    ':::',
    ':',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '::1.2.3',
    'localhost',
  ];
  it.each(bad)('refuses %j and names it', (text) => {
    expect(faultOf(() => parseIp(text))).toEqual({ code: 'ADDRESS_IP', text });
  });

  it('any 16 bytes survive text and back', () => {
    let state = 2463534242;
    const next = (): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state >>> 0;
    };
    for (let round = 0; round < 2000; round++) {
      const bytes = Uint8Array.from({ length: 16 }, () => (next() % 3 === 0 ? next() & 0xff : 0));
      const text = formatIp(ipFromBytes(bytes));
      expect(parseIp(text).bytes, text).toEqual(bytes);
    }
  });
});

describe('address classes', () => {
  const rows: readonly (readonly [(address: IpAddress) => boolean, string, boolean])[] = [
    [isMulticast, '224.0.0.1', true],
    [isMulticast, '239.255.255.255', true],
    [isMulticast, '240.0.0.1', false],
    [isMulticast, 'ff02::1', true],
    [isMulticast, 'fe80::1', false],
    [isLoopback, '127.255.0.1', true],
    [isLoopback, '128.0.0.1', false],
    [isLoopback, '::1', true],
    [isLoopback, '::', false],
    [isLoopback, '::101', false],
    [isUnspecified, '0.0.0.0', true],
    [isUnspecified, '0.0.0.1', false],
    [isUnspecified, '::', true],
    [isUnspecified, '::1', false],
    [isLinkLocal, '169.254.9.9', true],
    [isLinkLocal, '169.253.9.9', false],
    [isLinkLocal, 'febf::1', true],
    [isLinkLocal, 'fec0::1', false],
  ];
  it.each(rows)('%o of %s is %s', (check, text, expected) => {
    expect(check(parseIp(text))).toBe(expected);
  });

  it('an IPv4 address and its IPv6-mapped form differ', () => {
    expect(sameIp(parseIp('192.0.2.1'), parseIp('::ffff:192.0.2.1'))).toBe(false);
    expect(sameIp(parseIp('192.0.2.1'), parseIp('192.0.2.2'))).toBe(false);
  });

  it('bytes of a wrong length are refused', () => {
    expect(faultOf(() => ipFromBytes(new Uint8Array(5)))).toEqual({ code: 'ADDRESS_LENGTH', bytes: 5 });
    expect(faultOf(() => macFromBytes(new Uint8Array(8)))).toEqual({ code: 'ADDRESS_LENGTH', bytes: 8 });
  });
});

describe('parseMac and formatMac', () => {
  it.each([
    ['00:00:de:ad:be:af', '00:00:de:ad:be:af'],
    ['00-00-DE-AD-BE-AF', '00:00:de:ad:be:af'],
  ])('%s', (text, canonical) => {
    expect(formatMac(parseMac(text))).toBe(canonical);
  });
  it.each([
    '',
    '00:00:de:ad:be',
    '00:00:de:ad:be:af:00',
    '00:00:de:ad:be-af',
    '0:0:de:ad:be:af',
    '00:00:de:ad:be:ag',
  ])('refuses %j', (text) => {
    expect(faultOf(() => parseMac(text))).toEqual({ code: 'ADDRESS_MAC', text });
  });
});
