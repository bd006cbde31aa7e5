import { describe, expect, it } from 'vitest';
import { maskedFields } from './mask.js';
import { pageOf } from './page.js';

const RULES = { changeable: ['display_name', 'pool'], immutable: ['address'] };
const populated = new Set(['pool', 'address']);

describe('update_mask', () => {
  const rows: readonly [rule: string, paths: string[] | undefined, fields: string[]][] = [
    ['absent: the fields that are set', undefined, ['pool', 'address']],
    ['empty: the same', [], ['pool', 'address']],
    ['"*": all that can be changed, set or not, and what is set', ['*'], ['display_name', 'pool', 'address']],
    ['named: those, set or not', ['display_name'], ['display_name']],
    ['an immutable field may be named', ['address'], ['address']],
  ];
  for (const [rule, paths, fields] of rows) {
    it(rule, () => expect([...maskedFields(paths, populated, RULES)]).toEqual(fields));
  }

  for (const [rule, paths] of [
    ['an unknown field', ['pool', 'nope']],
    ['an output field', ['status']],
    ['a JSON name', ['displayName']],
    ['"*" with others', ['*', 'pool']],
  ] as const) {
    it(`refuses ${rule}`, () => {
      expect(() => maskedFields(paths, populated, RULES)).toThrow(
        expect.objectContaining({ code: 'STATE_FIELDS' }),
      );
    });
  }
});

describe('pages', () => {
  const resources = ['c', 'a', 'b'].map((name) => ({ name }));
  const page = (size: number, token = '', list = resources) => pageOf(list, { scope: 'vips', size, token });
  const names = ({ items }: ReturnType<typeof page>) => items.map(({ name }) => name);

  it('are in the order of names, and end without a token', () => {
    const first = page(2);
    expect(names(first)).toEqual(['a', 'b']);
    const second = page(2, first.nextPageToken);
    expect(names(second)).toEqual(['c']);
    expect(second.nextPageToken).toBe('');
  });

  it('a full last page has no token', () => expect(page(3).nextPageToken).toBe(''));

  it('stay right when what the token names has gone', () => {
    const { nextPageToken } = page(1);
    expect(names(page(5, nextPageToken, [{ name: 'b' }, { name: 'aa' }]))).toEqual(['aa', 'b']);
  });

  it('have 50 items unless asked for, and 1000 at most', () => {
    const many = Array.from({ length: 1200 }, (_, i) => ({ name: String(i).padStart(4, '0') }));
    expect(page(0, '', many).items.length).toBe(50);
    expect(page(5000, '', many).items.length).toBe(1000);
  });

  for (const [rule, size, token] of [
    ['a negative size', -1, ''],
    ['a token that is none', 1, 'nonsense'],
    ['a token of another list', 1, Buffer.from('["pools","a"]').toString('base64url')],
  ] as const) {
    it(`refuse ${rule}`, () => {
      expect(() => page(size, token)).toThrow(expect.objectContaining({ code: 'STATE_FIELDS' }));
    });
  }
});
