import { describe, expect, it } from 'vitest';
import { assemble } from '../../test/support/assembler.js';
import { interpret } from './engine/interpreter.js';
import { ArenaMaps } from './maps/registry.js';
import { instantiateRuntime } from './maps/runtime.js';
import { Arena } from './memory/arena.js';
import { CPU_STACK_END } from './memory/layout.js';
import { Trace, type TraceRegion } from './trace.js';

const arena = Arena.create({ workers: 1, mapsBytes: 65536, ringsBytes: 65536 });
const runtime = instantiateRuntime(arena.memory, 0);
const map = new ArenaMaps(arena).createMap({
  name: 'counts',
  type: 'ARRAY',
  keySize: 4,
  valueSize: 8,
  maxEntries: 2,
  flags: 0,
});
const packet = arena.rings.offset;
const top = arena.block(0) + CPU_STACK_END;
const REGIONS: readonly TraceRegion[] = [
  { name: 'packet', start: packet, bytes: 64 },
  { name: 'after', start: packet + 64, bytes: 64 },
  { name: 'fp', start: top - 512, bytes: 512, isFromEnd: true },
  { name: 'counts', start: map.info.data, bytes: 16 },
];

function traceOf(text: string, r1 = BigInt(packet)): { lines: string[]; count: number } {
  const lines: string[] = [];
  const source = { file: 'a/prog.c', text: 'x = y;', column: 1, fileOffset: 0, textOffset: 0 };
  const trace = new Trace({
    names: { map: () => 'counts', helper: () => 'bpf_map_lookup_elem' },
    lines: [
      { ...source, slot: 0, line: 7 },
      { ...source, slot: 1, line: 7 },
    ],
    regions: () => REGIONS,
    onLine: (line) => lines.push(line.replace(/ {2,}/g, ' ')),
  });
  interpret(assemble(text), { runtime, maps: [map.info], onStep: trace.step }).call(r1, 0n);
  return { lines, count: trace.count };
}

describe('a trace', () => {
  const rows: readonly (readonly [string, string, string])[] = [
    ['a number that a register gets', 'r0 = 7\nexit', ' 0: r0 = 7 ; r0 = 7 (was 0)'],
    ['a number that it had', 'r0 = 0\nexit', ' 0: r0 = 0 ; r0 = 0'],
    ['negative numbers', 'r0 = -3\nexit', ' 0: r0 = -3 ; r0 = -3 (was 0)'],
    [
      'large ones as they are',
      'r0 = 0x123456789abc ll\nexit',
      ' 0: r0 = 0x123456789abc ll ; r0 = 0x123456789abc (was 0)',
    ],
    ['an address in a region', 'r2 = r1\nr2 += 14\nexit', ' 1: r2 += 14 ; r2 = packet+14 (was packet)'],
    [
      'where a region begins rather than where one ends',
      'r2 = r1\nr2 += 64\nexit',
      ' 1: r2 += 64 ; r2 = after (was packet)',
    ],
    ['the end of the last one', 'r2 = r1\nr2 += 128\nexit', ' 1: r2 += 128 ; r2 = after+64 (was packet)'],
    ['places of the stack', 'r2 = r10\nr2 += -8\nexit', ' 1: r2 += -8 ; r2 = fp-8 (was fp)'],
    [
      'what is stored, cut to its width',
      '*(u8 *)(r10 - 1) = 511\nexit',
      ' 0: *(u8 *)(r10 - 1) = 511 ; [fp-1] = 255',
    ],
    [
      'a register that is stored',
      '*(u64 *)(r10 - 8) = r1\nexit',
      ' 0: *(u64 *)(r10 - 8) = r1 ; [fp-8] = packet',
    ],
    ['where a load reads', 'r0 = *(u8 *)(r1 + 3)\nexit', ' 0: r0 = *(u8 *)(r1 + 3) ; r0 = 0 from [packet+3]'],
    ['a branch that is taken', 'if r1 != 0 goto +0\nexit', ' 0: if r1 != 0 goto +0 ; taken'],
    ['a branch that is not', 'if r1 == 0 goto +1\nr0 = 1\nexit', ' 0: if r1 == 0 goto +1 ; not taken'],
    [
      'the arguments and the result of a helper',
      '*(u32 *)(r10 - 4) = 1\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nexit',
      ` 5: call bpf_map_lookup_elem ; (0x${map.info.descriptor.toString(16)}, fp-4) → counts+8`,
    ],
    [
      'the place of an atomic',
      'r2 = 5\nlock *(u64 *)(r1 + 8) += r2\nexit',
      ' 1: lock *(u64 *)(r1 + 8) += r2 ; [packet+8]',
    ],
    ['what the program returns', 'r0 = 2\nexit', ' 1: exit ; r0 = 2'],
  ];
  it.each(rows)('shows %s', (_, text, line) => {
    expect(traceOf(text).lines).toContain(line);
  });

  it('writes a source line once, and counts instructions', () => {
    const { lines, count } = traceOf('r0 = 1\nr0 = 2\nexit');
    expect(lines.filter((line) => line.startsWith(';'))).toEqual(['; x = y; @ prog.c:7']);
    expect(count).toBe(3);
  });
});
