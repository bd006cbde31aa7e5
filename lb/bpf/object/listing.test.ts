import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { encodeProgram } from '../isa/codec.js';
import { formatListing } from './listing.js';
import { loadObject } from './load.js';

const codeOf = (text: string) => encodeProgram(assemble(text));
const line = { file: 'src/prog.c', column: 3, fileOffset: 0, textOffset: 0 };
const object = {
  maps: [
    { name: 'flows', type: 'HASH', keySize: 4, valueSize: 8, maxEntries: 1, flags: 0 },
    { name: '.rodata', type: 'ARRAY', keySize: 4, valueSize: 8, maxEntries: 1, flags: 0 },
  ],
} as const;

describe('formatListing', () => {
  it('names functions, labels, maps, helpers and source lines', () => {
    const code = codeOf(`r1 = map[0]
      r2 = map[1] value + 4
      call 1
      if r0 == 0 goto out
      call f
      goto out
      out:
      exit
      f:
      r0 = 7
      exit`);
    const program = {
      code,
      functions: [
        { name: 'count', start: 0 },
        { name: 'f', start: 9 },
      ],
      lines: [
        { ...line, slot: 0, line: 12, text: 'v = bpf_map_lookup_elem(&flows, &key);' },
        { ...line, slot: 9, line: 30, text: 'return 7;' },
      ],
    };
    expect(formatListing(program, object)).toBe(
      `count:
; v = bpf_map_lookup_elem(&flows, &key); @ prog.c:12
     0: r1 = map[flows]
     2: r2 = map[.rodata] value + 4
     4: call bpf_map_lookup_elem#1
     5: if r0 == 0 goto L1
     6: call f
     7: goto L1
L1:
     8: exit

f:
; return 7; @ prog.c:30
     9: r0 = 7
    10: exit`,
    );
  });

  it('puts notes in a column, and leaves source lines out when asked', () => {
    const program = {
      code: codeOf('r0 = 1\nexit'),
      functions: [],
      lines: [{ ...line, slot: 0, line: 1, text: 'x' }],
    };
    const text = formatListing(program, object, {
      lines: false,
      note: ({ kind }) => (kind === 'exit' ? 'the end' : undefined),
    });
    expect(text).toBe(`     0: r0 = 1\n     1: ${'exit'.padEnd(48)} ; the end`);
  });

  it('lists a whole program of clang’s', () => {
    const spec = loadObject(readFileSync(new URL('../../../programs/build/balancer.bpf.o', import.meta.url)));
    const [program] = spec.programs;
    const text = formatListing(program!, spec);
    expect(text).toContain(`${program!.name}:\n`);
    expect(text).toMatch(/map\[vip_map\]/);
    expect(text).toMatch(/; .+ @ .+\.[ch]:\d+/);
    expect(text).not.toContain('unknown#');
  });
});
