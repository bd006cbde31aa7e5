import { describe, expect, it } from 'vitest';
import { compileC, missingClang } from '../../../test/support/clang.js';
import { caught } from '../../../test/support/objects.js';
import { type LoadOptions, loadObject } from './load.js';

const SOURCE = `
#define SEC(name) __attribute__((section(name), used))
const volatile unsigned limit = 7;
const volatile char label[8] = "none";
volatile struct { short port; long address; } peer = { 1, 2 };
volatile int zeroed;
static volatile int hidden;
volatile int extra SEC(".data.own") = 5;
int common_one, common_two[3];
SEC("xdp") int f(void *c) { return limit + label[0] + peer.port + zeroed + hidden + extra + common_one + common_two[1]; }
`;

const note = missingClang === undefined ? '' : ` (${missingClang})`;
describe.skipIf(missingClang !== undefined)(`global variables${note}`, () => {
  const bytes = compileC(SOURCE);
  const plain = compileC(SOURCE, ['-O2', '-g0']);
  const content = (object: Uint8Array, map: string, options: LoadOptions) => [
    ...(loadObject(object, options).maps.find(({ name }) => name === map)?.initial ?? []),
  ];

  it('have a name, a map, a place and a type', () => {
    const { globals, btf } = loadObject(bytes);
    const typeOf = (name: string) => btf?.resolve(globals.find((one) => one.name === name)?.typeId ?? 0).kind;
    expect(globals.find(({ name }) => name === 'limit')).toMatchObject({
      map: '.rodata',
      offset: 0,
      bytes: 4,
    });
    expect(globals.find(({ name }) => name === 'label')).toMatchObject({
      map: '.rodata',
      offset: 4,
      bytes: 8,
    });
    expect(globals.find(({ name }) => name === 'extra')).toMatchObject({
      map: '.data.own',
      offset: 0,
      bytes: 4,
    });
    expect(globals.find(({ name }) => name === 'hidden')).toMatchObject({ map: '.bss', bytes: 4 });
    expect(['limit', 'label', 'peer'].map(typeOf)).toEqual(['int', 'array', 'struct']);
  });

  it('are known by their symbols where there is no BTF', () => {
    const { globals, btf } = loadObject(plain);
    expect(btf).toBeUndefined();
    expect(globals.find(({ name }) => name === 'label')).toEqual({
      name: 'label',
      map: '.rodata',
      offset: 4,
      bytes: 8,
    });
  });

  const rows: readonly {
    rule: string;
    object: Uint8Array;
    map: string;
    globals: object;
    bytes: readonly number[];
  }[] = [
    {
      rule: 'a number',
      object: bytes,
      map: '.rodata',
      globals: { limit: 0x102 },
      bytes: [2, 1, 0, 0, ...Buffer.from('none'), 0, 0, 0, 0],
    },
    {
      rule: 'a string',
      object: bytes,
      map: '.rodata',
      globals: { label: 'abc' },
      bytes: [7, 0, 0, 0, ...Buffer.from('abc'), 0, 0, 0, 0, 0],
    },
    {
      rule: 'a struct',
      object: bytes,
      map: '.data',
      globals: { peer: { port: 3, address: 4n } },
      bytes: [3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0],
    },
    {
      rule: 'a section of its own',
      object: bytes,
      map: '.data.own',
      globals: { extra: -1 },
      bytes: [255, 255, 255, 255],
    },
    {
      rule: 'a number without BTF',
      object: plain,
      map: '.data.own',
      globals: { extra: -2n },
      bytes: [254, 255, 255, 255],
    },
    {
      rule: 'bytes without BTF',
      object: plain,
      map: '.rodata',
      globals: { label: new Uint8Array(8).fill(9) },
      bytes: [7, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9],
    },
  ];
  for (const { rule, object, map, globals, bytes: expected } of rows)
    it(`${rule} is written before loading`, () =>
      expect(content(object, map, { globals: globals as Record<string, unknown> })).toEqual(expected));

  it('.bss gets content when one of its variables is set', () => {
    const { maps, globals } = loadObject(bytes, { globals: { zeroed: 1, hidden: 2 } });
    const bss = maps.find(({ name }) => name === '.bss');
    const at = (name: string) => globals.find((one) => one.name === name)?.offset ?? -1;
    expect([bss?.initial?.[at('zeroed')], bss?.initial?.[at('hidden')]]).toEqual([1, 2]);
    expect(bss?.initial?.length).toBe(bss?.valueSize);
  });

  it('common ones stand in a map of their own', () => {
    const { maps, globals } = loadObject(compileC(SOURCE, ['-O2', '-fcommon']), {
      globals: { common_one: 6 },
    });
    const common = maps.find(({ name }) => name === '.common');
    const one = globals.find(({ name }) => name === 'common_one');
    expect([one?.map, common?.initial?.[one?.offset ?? -1]]).toEqual(['.common', 6]);
    expect(common?.valueSize).toBe(20);
  });

  const refused: readonly { rule: string; object: Uint8Array; globals: object; code: string }[] = [
    { rule: 'one that is not there', object: bytes, globals: { other: 1 }, code: 'GLOBAL_MISSING' },
    { rule: 'a number that is too large', object: bytes, globals: { limit: 2 ** 32 }, code: 'GLOBAL_VALUE' },
    {
      rule: 'a number that is too large, without BTF',
      object: plain,
      globals: { limit: 2 ** 32 },
      code: 'GLOBAL_VALUE',
    },
    {
      rule: 'bytes of another length',
      object: plain,
      globals: { label: new Uint8Array(7) },
      code: 'GLOBAL_VALUE',
    },
    {
      rule: 'a string that is too long',
      object: bytes,
      globals: { label: 'too long a label' },
      code: 'GLOBAL_VALUE',
    },
  ];
  for (const { rule, object, globals, code } of refused) {
    it(`refuses ${rule}`, () => {
      const error = caught(() => loadObject(object, { globals: globals as Record<string, unknown> }));
      expect(error).toMatchObject({ fault: { code, stage: 'globals' } });
    });
  }
});
