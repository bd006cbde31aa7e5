import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { compileC, missingClang } from '../../../test/support/clang.js';
import { KernelMaps, loadKernelProgram } from '../../sys/bpf.js';
import { createMaps } from './create-maps.js';
import { DEFAULT_KERNEL_VERSION, parseKconfig } from './kconfig.js';
import { type LoadOptions, loadObject } from './load.js';

const PRELUDE = `
#define SEC(name) __attribute__((section(name), used))
#define KCONFIG __attribute__((section(".kconfig")))
#define WEAK __attribute__((weak))
enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };
`;

/** Value of one extern, as the bytes of the map at its place. */
function externBytes(declaration: string, options: LoadOptions): readonly number[] {
  const name = /(\w+)(\[\d+\])?$/.exec(declaration)?.[1] ?? '';
  const index = declaration.endsWith(']') ? '[0]' : '';
  const spec = loadObject(
    compileC(
      `${PRELUDE} extern char CONFIG_BEFORE KCONFIG WEAK; extern ${declaration} KCONFIG WEAK;
       SEC("xdp") int f(void *c) { return CONFIG_BEFORE + (int)${name}${index}; }`,
    ),
    options,
  );
  const datasec = spec.btf?.find('datasec', '.kconfig');
  const place = datasec?.vars.find(({ type }) => spec.btf?.type(type).name === name);
  const map = spec.maps.find((one) => one.name === '.kconfig');
  expect(map).toMatchObject({
    type: 'ARRAY',
    frozen: true,
    flags: 128,
    maxEntries: 1,
    valueTypeId: datasec?.id,
  });
  return [...(map?.initial?.subarray(place?.offset, (place?.offset ?? 0) + (place?.sizeBytes ?? 0)) ?? [])];
}

const config = `# CONFIG_OFF is not set
CONFIG_YES=y
CONFIG_MODULE=m
CONFIG_HZ=1000
CONFIG_HEX=0x10000
CONFIG_NEGATIVE=-1
CONFIG_NAME="a name"
`;

const rows: readonly (readonly [declaration: string, bytes: readonly number[]])[] = [
  ['int LINUX_KERNEL_VERSION', [0, (DEFAULT_KERNEL_VERSION >> 8) & 0xff, DEFAULT_KERNEL_VERSION >> 16, 0]],
  ['_Bool LINUX_HAS_BPF_COOKIE', [0]],
  ['_Bool CONFIG_YES', [1]],
  ['_Bool CONFIG_OFF', [0]],
  ['enum libbpf_tristate CONFIG_YES', [1, 0, 0, 0]],
  ['enum libbpf_tristate CONFIG_MODULE', [2, 0, 0, 0]],
  ['char CONFIG_MODULE', ['m'.charCodeAt(0)]],
  ['unsigned int CONFIG_HZ', [0xe8, 3, 0, 0]],
  ['unsigned long CONFIG_HEX', [0, 0, 1, 0, 0, 0, 0, 0]],
  ['long CONFIG_NEGATIVE', Array<number>(8).fill(255)],
  ['char CONFIG_NAME[4]', [...new TextEncoder().encode('a n'), 0]],
];

const note = missingClang === undefined ? '' : ` (${missingClang})`;
describe.skipIf(missingClang !== undefined)(`externs of the configuration${note}`, () => {
  for (const [declaration, bytes] of rows)
    it(`${declaration}`, () => expect(externBytes(declaration, { kconfig: config })).toEqual(bytes));

  it('takes a Map, and a version', () => {
    const options = { kconfig: new Map([['CONFIG_HZ', '250']]), kernelVersion: (5 << 16) | (4 << 8) };
    expect(externBytes('unsigned char CONFIG_HZ', options)).toEqual([250]);
    expect(externBytes('int LINUX_KERNEL_VERSION', options)).toEqual([0, 4, 5, 0]);
  });

  const strong: readonly (readonly [rule: string, declaration: string])[] = [
    ['is not in the configuration', 'int CONFIG_ELSEWHERE'],
    ['does not fit its type: a number that is too large', 'unsigned char CONFIG_HZ'],
    ['does not fit its type: no boolean', '_Bool CONFIG_MODULE'],
    ['does not fit its type: a string for a number', 'int CONFIG_NAME'],
  ];
  for (const [rule, declaration] of strong) {
    it(`refuses the programs that use one that ${rule}, and no others`, () => {
      const name = declaration.split(' ').at(-1);
      const spec = loadObject(
        compileC(
          `${PRELUDE} extern ${declaration} KCONFIG;
           SEC("xdp") int uses(void *c) { return ${name}; } SEC("xdp") int other(void *c) { return 2; }`,
        ),
        { kconfig: config },
      );
      expect(spec.programs.map((program) => program.name)).toEqual(['other']);
      expect(spec.refused).toMatchObject([
        { name: 'uses', error: { fault: { code: 'LINK_EXTERN', section: 'xdp' } } },
      ]);
      expect(spec.refused?.[0]?.error.message).toContain(name);
    });
  }

  it.skipIf(missingRoot !== undefined)(
    `the kernel takes the map and the program reads it${missingRoot === undefined ? '' : ` (${missingRoot})`}`,
    () => {
      const source = `${PRELUDE} extern int LINUX_KERNEL_VERSION KCONFIG; extern unsigned CONFIG_HZ KCONFIG;
        SEC("xdp") int f(void *c) { return LINUX_KERNEL_VERSION + CONFIG_HZ; }`;
      const object = loadObject(compileC(source), { kconfig: config, kernelVersion: 7 });
      const maps = createMaps(object, new KernelMaps());
      const program = loadKernelProgram(object.programs[0]!, [...maps.values()], 'GPL');
      expect(program.testRun(new Uint8Array(64)).verdict).toBe(1007);
      program.close();
      for (const map of maps.values()) map.close();
    },
  );
});

it('parseKconfig leaves comments and other lines out', () => {
  expect([...parseKconfig(`${config}\nOTHER=1\n`).keys()]).toEqual([
    'CONFIG_YES',
    'CONFIG_MODULE',
    'CONFIG_HZ',
    'CONFIG_HEX',
    'CONFIG_NEGATIVE',
    'CONFIG_NAME',
  ]);
});
