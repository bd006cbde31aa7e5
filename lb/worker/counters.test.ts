import { describe, expect, it } from 'vitest';
import { Arena } from '../bpf/memory/arena.js';
import { CPU_COUNTERS, CPU_COUNTERS_COUNT } from '../bpf/memory/layout.js';
import { CounterCells, WORKER_COUNTER_NAMES, WORKER_COUNTERS } from './counters.js';
import * as layout from './layout.js';

describe('worker counters', () => {
  const cells = Object.values(WORKER_COUNTERS);

  it('have a cell each, within the CPU block', () => {
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...cells)).toBeLessThan(CPU_COUNTERS_COUNT);
  });

  it('are those of the pump, each under its name', () => {
    const inPump = Object.entries(layout).filter(([name]) => name.startsWith('COUNTER_'));
    expect(Object.fromEntries(inPump)).toEqual(
      Object.fromEntries(
        WORKER_COUNTER_NAMES.map((name) => [`COUNTER_${name.toUpperCase()}`, WORKER_COUNTERS[name]]),
      ),
    );
  });

  it('are read from the block of their CPU, as 64 bits', () => {
    const arena = Arena.create({ workers: 2, mapsBytes: 0, ringsBytes: 0 });
    for (const cpu of [0, 1]) {
      for (const cell of cells) {
        arena.u64[(arena.block(cpu) + CPU_COUNTERS) / 8 + cell] = (BigInt(cpu + 1) << 40n) + BigInt(cell);
      }
    }
    for (const cpu of [0, 1]) {
      const read = new CounterCells(arena.memory, arena.block(cpu)).read();
      for (const name of WORKER_COUNTER_NAMES) {
        expect(read[name], name).toBe((BigInt(cpu + 1) << 40n) + BigInt(WORKER_COUNTERS[name]));
      }
    }
  });
});
