import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { compileC, compileTypes, missingClang } from '../../../test/support/clang.js';
import { KernelMaps, loadKernelProgram } from '../../sys/bpf.js';
import { type Btf, parseBtf } from './btf.js';
import { formatC } from './btf-c.js';
import { createMaps } from './create-maps.js';
import { loadObject } from './load.js';

// CO-RE against the types of the running kernel. What is right is said by clang, from the kernel's types written as C;
// and by the kernel, which runs a relocated program over its own memory.

const KERNEL = '/sys/kernel/btf/vmlinux';
const missing = missingClang ?? (existsSync(KERNEL) ? undefined : `needs ${KERNEL}`);
const note = missing === undefined ? '' : ` (${missing})`;
const kernelBytes = missing === undefined ? new Uint8Array(readFileSync(KERNEL)) : new Uint8Array(0);

/** Fields of the kernel's structs; `[field, its type and name in the local struct]`. */
const STRUCTS: readonly { readonly name: string; readonly fields: readonly (readonly [string, string])[] }[] =
  [
    {
      name: 'task_struct',
      fields: [
        ['comm', 'char comm[16]'],
        ['tgid', 'int tgid'],
        ['real_parent', 'void *real_parent'],
        ['on_cpu', 'int on_cpu'],
      ],
    },
    {
      name: 'sk_buff',
      fields: [
        ['len', 'unsigned len'],
        // In an anonymous struct in an anonymous union in the kernel.
        ['protocol', 'unsigned short protocol'],
        ['dev', 'void *dev'],
      ],
    },
    {
      name: 'net_device',
      fields: [
        ['ifindex', 'int ifindex'],
        ['mtu', 'unsigned mtu'],
        ['name', 'char name[16]'],
      ],
    },
    {
      name: 'xdp_buff',
      fields: [
        ['data_end', 'void *data_end'],
        ['rxq', 'void *rxq'],
        ['data', 'void *data'],
      ],
    },
    {
      name: 'tcp_sock',
      fields: [
        ['snd_cwnd', 'unsigned snd_cwnd'],
        ['srtt_us', 'unsigned srtt_us'],
      ],
    },
  ];
/** Bit fields, found by name. */
const BIT_FIELDS: readonly (readonly [string, string])[] = [
  ['sk_buff', 'pkt_type'],
  ['sk_buff', 'cloned'],
  ['sk_buff', 'ip_summed'],
  ['task_struct', 'in_execve'],
  ['tcphdr', 'doff'],
  ['tcphdr', 'syn'],
  ['iphdr', 'ihl'],
];

const PRELUDE = `
#define SEC(name) __attribute__((section(name), used))
#define INFO(field, what) __builtin_preserve_field_info(field, what)
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
`;

/** Constants that programs return, by the program's name. */
function constants(source: string): ReadonlyMap<string, number> {
  const spec = loadObject(compileC(source), { targetBtf: kernelBytes });
  expect(spec.refused).toBeUndefined();
  return new Map(
    spec.programs.map(({ name, code }) => [name, new DataView(code.buffer).getInt32(4, true)] as const),
  );
}

/** Numbers that clang works out from the kernel's types written as C. */
function truth(kernel: Btf, names: readonly string[], values: string): Uint8Array {
  const ids = names.map((name) => kernel.find('struct', name)?.id ?? 0);
  const object = loadObject(compileC(`${formatC(kernel, ids)}\n${values}`, ['-O2', '-w']));
  const data = object.maps.find(({ name }) => name === '.data')?.initial;
  if (data === undefined) throw new Error('no .data');
  return data;
}

describe.skipIf(missing !== undefined)(`CO-RE against the running kernel${note}`, () => {
  const kernel = parseBtf(kernelBytes, { isLazy: true });

  it('the kernel’s types are read in a moment', () => {
    const start = performance.now();
    const btf = parseBtf(kernelBytes, { isLazy: true });
    expect(btf.find('struct', 'xdp_md')?.sizeBytes).toBe(24);
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it('fields stand where clang says that they stand', () => {
    const types = STRUCTS.map(
      ({ name, fields }) =>
        `struct ${name} { long other; ${[...fields]
          .reverse()
          .map(([, field]) => `${field};`)
          .join(' ')} };`,
    );
    const all = STRUCTS.flatMap(({ name, fields }) => fields.map(([field]) => ({ name, field })));
    const programs = all.flatMap(({ name, field }, index) => [
      `SEC("xdp") int offset${index}(void *c) { return INFO(((struct ${name} *)0)->${field}, 0); }`,
      `SEC("xdp") int size${index}(void *c) { return INFO(((struct ${name} *)0)->${field}, 1); }`,
    ]);
    const found = constants([PRELUDE, ...types, ...programs, '#pragma clang attribute pop'].join('\n'));
    const numbers = all.map(
      ({ name, field }) =>
        `__builtin_offsetof(struct ${name}, ${field}), sizeof(((struct ${name} *)0)->${field})`,
    );
    const data = truth(
      kernel,
      STRUCTS.map(({ name }) => name),
      `unsigned int right[] = { ${numbers.join(', ')} };`,
    );
    const right = new DataView(data.buffer, data.byteOffset);
    for (const [index, { name, field }] of all.entries()) {
      expect([name, field, found.get(`offset${index}`), found.get(`size${index}`)]).toEqual([
        name,
        field,
        right.getUint32(index * 8, true),
        right.getUint32(index * 8 + 4, true),
      ]);
    }
  });

  it('bit fields are read whole and alone', () => {
    const structs = [...new Set(BIT_FIELDS.map(([name]) => name))];
    const types = structs.map(
      (name) =>
        `struct ${name} { long other; ${BIT_FIELDS.filter(([one]) => one === name)
          .map(([, field]) => `unsigned char ${field} : 1;`)
          .join(' ')} };`,
    );
    const programs = BIT_FIELDS.flatMap(([name, field], index) =>
      [0, 1, 4, 5].map(
        (kind) =>
          `SEC("xdp") int p${index}_${kind}(void *c) { return INFO(((struct ${name} *)0)->${field}, ${kind}); }`,
      ),
    );
    const found = constants([PRELUDE, ...types, ...programs, '#pragma clang attribute pop'].join('\n'));
    for (const [index, [name, field]] of BIT_FIELDS.entries()) {
      // A struct of which that field alone is all ones.
      const bytes = truth(kernel, [name], `struct ${name} right = { .${field} = -1 }; int end = 1;`);
      const info = (kind: number): number => found.get(`p${index}_${kind}`) ?? -1;
      let loaded = 0n;
      for (let at = info(1) - 1; at >= 0; at--) loaded = (loaded << 8n) | BigInt(bytes[info(0) + at] ?? 0);
      const value = BigInt.asUintN(64, loaded << BigInt(info(4))) >> BigInt(info(5));
      expect([name, field, value]).toEqual([name, field, (1n << BigInt(64 - info(5))) - 1n]);
      // Nothing else is loaded that was set, and the field has as many bits as it was declared with.
      expect(loaded.toString(2).replaceAll('0', '').length).toBe(64 - info(5));
    }
  });

  it.skipIf(missingRoot !== undefined)(
    `the kernel finds its own memory where a relocated program looks${missingRoot === undefined ? '' : ` (${missingRoot})`}`,
    () => {
      const source = `${PRELUDE}
struct task_struct { int unrelated; struct task_struct *group_leader; int tgid; };
#pragma clang attribute pop
static void *(*const current_task)(void) = (void *)35;
static long (*const probe_read_kernel)(void *to, unsigned size, const void *from) = (void *)113;
SEC("license") char _license[] = "GPL";
SEC("xdp") int leader(void *ctx) {
  struct task_struct *task = current_task(), *leader;
  int tgid = 0;
  probe_read_kernel(&leader, sizeof leader, __builtin_preserve_access_index(&task->group_leader));
  probe_read_kernel(&tgid, sizeof tgid, __builtin_preserve_access_index(&leader->tgid));
  return tgid;
}`;
      const object = loadObject(compileC(source), { targetBtf: kernelBytes });
      const maps = createMaps(object, new KernelMaps());
      const program = loadKernelProgram(object.programs[0]!, [...maps.values()], object.license);
      const { verdict } = program.testRun(new Uint8Array(64));
      program.close();
      expect(verdict).toBe(process.pid);
    },
  );

  it('a type that the kernel has not is absent', () => {
    const found = constants(
      `${PRELUDE} struct no_such_struct { int a; }; struct task_struct { int no_such_field; };
       SEC("xdp") int type(void *c) { return __builtin_preserve_type_info(*(struct no_such_struct *)0, 0); }
       SEC("xdp") int field(void *c) { return INFO(((struct task_struct *)0)->no_such_field, 2); }
       #pragma clang attribute pop`,
    );
    expect([...found]).toEqual([
      ['type', 0],
      ['field', 0],
    ]);
  });
});

describe.skipIf(missing !== undefined)(`split BTF${note}`, () => {
  it('counts on from its base', () => {
    const base = compileTypes('struct first { int a; } one;');
    const split = parseBtf(splitOf(base), { base });
    expect(split.type(base.count)).toMatchObject({ kind: 'typedef', name: 'mine', type: 1 });
    expect(split.type(base.count + 1)).toMatchObject({ kind: 'typedef', name: base.type(1).name });
    expect(split.types.length).toBe(base.count + 2);
    expect(split.find('struct', 'first')?.id).toBe(base.find('struct', 'first')?.id);
  });
});

/** Two typedefs of type 1: one with a name of its own, one with a name of the base's strings. */
function splitOf(base: Btf): Uint8Array {
  const strings = new TextEncoder().encode('mine\0');
  const nameOfFirst = new DataView(base.bytes.buffer, base.bytes.byteOffset).getUint32(24, true);
  const words = [24, 0, 24, 24, strings.length, base.stringBytes, 8 << 24, 1, nameOfFirst, 8 << 24, 1];
  const bytes = new Uint8Array(4 + words.length * 4 + strings.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x0001_eb9f, true);
  for (const [index, word] of words.entries()) view.setUint32(4 + index * 4, word, true);
  bytes.set(strings, 4 + words.length * 4);
  return bytes;
}
