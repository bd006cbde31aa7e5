import { describe, expect, it } from 'vitest';
import { bytes, count, enumText, percent, plain, span, structured, table, wantsColor } from './format.js';

interface Row {
  readonly name: string;
  readonly packets: string;
}
const COLUMNS = [
  { title: 'NAME', value: ({ name }: Row) => name },
  { title: 'PACKETS', value: ({ packets }: Row) => packets, align: 'right' },
] as const;

describe('a table', () => {
  it('has its columns aligned, numbers to the right, and no space at line ends', () => {
    const rows = [
      { name: 'web', packets: '1' },
      { name: 'a-longer-name', packets: '1,000,000' },
    ];
    expect(table(COLUMNS, rows, false)).toBe(
      ['NAME             PACKETS', 'web                    1', 'a-longer-name  1,000,000'].join('\n'),
    );
  });

  it('shows what is empty as a dash', () => {
    expect(table(COLUMNS, [{ name: '', packets: '0' }], false)).toBe('NAME  PACKETS\n-           0');
  });

  it('without rows is its heading', () => expect(table(COLUMNS, [], false)).toBe('NAME  PACKETS'));

  it('counts characters, not UTF-16 units', () => {
    const [, first, second] = table(
      COLUMNS,
      [
        { name: '🐝', packets: '1' },
        { name: 'b', packets: '1' },
      ],
      false,
    ).split('\n');
    expect([...(first ?? '')].length).toBe([...(second ?? '')].length);
  });

  it('is coloured in its heading alone, and only where a person reads it', () => {
    const text = table(COLUMNS, [{ name: 'web', packets: '1' }], true);
    expect(text.split('\n').map((line) => line.includes('\u001b'))).toEqual([true, false]);
    expect(wantsColor({ isTTY: true }, {})).toBe(true);
    expect(wantsColor({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
    expect(wantsColor({}, {})).toBe(false);
  });
});

describe('structured output', () => {
  const message = {
    name: 'pools/web/backends/a',
    weight: 0,
    _weight: 'weight',
    status: null,
    createTime: { seconds: '1700000000', nanos: 500_000_000 },
    drops: { seconds: '3' },
    vips: [{ name: 'vips/web' }],
  };

  it('has times as text, and no names of oneofs and nothing that is absent', () => {
    expect(plain(message)).toEqual({
      name: 'pools/web/backends/a',
      weight: 0,
      createTime: '2023-11-14T22:13:20.500Z',
      drops: { seconds: '3' },
      vips: [{ name: 'vips/web' }],
    });
  });

  it('is JSON or YAML', () => {
    expect(JSON.parse(structured(message, 'json'))).toEqual(plain(message));
    expect(structured({ name: 'x', list: [1] }, 'yaml')).toBe('name: x\nlist:\n  - 1');
  });
});

describe('values', () => {
  const rows: readonly [rule: string, text: string, expected: string][] = [
    ['a count has its thousands apart', count('18446744073709551615'), '18,446,744,073,709,551,615'],
    ['a count that is absent is 0', count(undefined), '0'],
    ['bytes below a unit are whole', bytes('1023'), '1023 B'],
    ['bytes have one place after the point', bytes('1536'), '1.5 KiB'],
    ['bytes have a unit for the largest counter', bytes('18446744073709551615'), '16.0 EiB'],
    ['a share is per cent', percent(0.3333), '33.3%'],
    ['a span has seconds', span(59.9), '59s'],
    ['a span has two units', span(3 * 3600 + 61), '3h 1m'],
    ['a span of days', span(90_000), '1d 1h'],
    ['a clock that is behind gives no negative span', span(-5), '0s'],
    ['an enum is words', enumText('STATE_NOT_READY', 'STATE_'), 'not ready'],
  ];
  for (const [rule, text, expected] of rows) it(rule, () => expect(text).toBe(expected));
});
