import { expect, it } from 'vitest';
import { instantiateRuntime } from '../maps/runtime.js';
import { Arena } from '../memory/arena.js';
import {
  CPU_CLOCK_NS,
  CPU_SCRATCH,
  CPU_TRACE,
  TRACE_LINE_BYTES,
  TRACE_RING_BYTES,
} from '../memory/layout.js';
import { readTraceLog, type TraceLine } from './trace-log.js';

class Bed {
  readonly arena = Arena.create({ workers: 2, mapsBytes: 4096, ringsBytes: 0 });
  readonly #runtime = instantiateRuntime(this.arena.memory, 0).exports;

  print(text: string, timeNs = 0n): bigint {
    const at = this.arena.block(0) + CPU_SCRATCH;
    const bytes = new TextEncoder().encode(`${text}\0`);
    this.arena.u8.set(bytes, at);
    this.arena.u64[(this.arena.block(0) + CPU_CLOCK_NS) / 8] = timeNs;
    return this.#runtime.bpf_trace_printk(BigInt(at), BigInt(bytes.length), 0n, 0n, 0n);
  }

  read(cpu = 0): { lines: TraceLine[]; lost: number } {
    const lines: TraceLine[] = [];
    const lost = readTraceLog(this.arena, cpu, (line) => lines.push(line));
    return { lines, lost };
  }
}

it('lines come out once, in order, with their time and CPU, without the line break at the end', () => {
  const bed = new Bed();
  bed.print('one\n', 5n);
  bed.print('two', 0x1_0000_0006n);
  bed.print('');
  expect(bed.read(1)).toEqual({ lines: [], lost: 0 });
  expect(bed.read()).toEqual({
    lines: [
      { cpu: 0, timeNs: 5n, text: 'one' },
      { cpu: 0, timeNs: 0x1_0000_0006n, text: 'two' },
      { cpu: 0, timeNs: 0n, text: '' },
    ],
    lost: 0,
  });
  expect(bed.read()).toEqual({ lines: [], lost: 0 });
});

it('goes round the end of the ring as long as somebody reads', () => {
  const bed = new Bed();
  const text = (n: number) => `${n} ${'x'.repeat(n % 97)}`;
  for (let n = 0; n < 4 * TRACE_RING_BYTES; n += 40) {
    bed.print(text(n), BigInt(n));
    expect(bed.read()).toEqual({ lines: [{ cpu: 0, timeNs: BigInt(n), text: text(n) }], lost: 0 });
  }
});

it('a full ring loses the newest lines and counts them; the program is told nothing', () => {
  const bed = new Bed();
  // 12 bytes of header and 116 of text: 128 lines fill the ring to the last byte.
  const line = (n: number) => String(n).padEnd(116, '.');
  for (let n = 0; n < TRACE_RING_BYTES / 128; n++) expect(bed.print(line(n))).toBe(116n);
  expect(bed.print('lost')).toBe(4n);
  expect(bed.print('')).toBe(0n);
  const { lines, lost } = bed.read();
  expect(lost).toBe(2);
  expect(lines.map(({ text }) => text)).toEqual(
    Array.from({ length: TRACE_RING_BYTES / 128 }, (_, n) => line(n)),
  );
  bed.print('again');
  expect(bed.read().lines.map(({ text }) => text)).toEqual(['again']);
});

it('counters of bytes pass 2³²', () => {
  const bed = new Bed();
  const log = (bed.arena.block(0) + CPU_TRACE) / 4;
  bed.arena.u32[log] = 0xfffffff8;
  bed.arena.u32[log + 16] = 0xfffffff8;
  bed.print('past the end');
  expect(bed.read().lines.map(({ text }) => text)).toEqual(['past the end']);
});

it('a longer line is cut, and its whole length returned', () => {
  const bed = new Bed();
  expect(bed.print('%2000d')).toBe(2000n);
  expect(bed.read().lines[0]?.text.length).toBe(TRACE_LINE_BYTES - 1);
});

it('a visitor that throws leaves the lines behind its own', () => {
  const bed = new Bed();
  for (const text of ['one', 'two']) bed.print(text);
  expect(() =>
    readTraceLog(bed.arena, 0, () => {
      throw new Error('full');
    }),
  ).toThrow('full');
  expect(bed.read().lines.map(({ text }) => text)).toEqual(['two']);
});
