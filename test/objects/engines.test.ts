import { afterAll, describe, expect, it } from 'vitest';
import type { BpfMap } from '../../lb/bpf/maps/map.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import { loadObject } from '../../lb/bpf/object/load.js';
import type { ObjectSpec } from '../../lb/bpf/object/spec.js';
import { Replay } from '../../lb/engine/replay.js';
import { type KernelMap, KernelMaps, loadKernelProgram } from '../../lb/sys/bpf.js';
import { missingRoot } from '../support/capabilities.js';
import { type TestObject, testObject } from '../support/objects.js';
import { onOneCpu } from '../support/one-cpu.js';

interface Engine {
  readonly maps: ReadonlyMap<string, BpfMap>;
  run(frame: Uint8Array): { readonly verdict: number; readonly frame: Uint8Array };
}

const cleanUps: (() => void)[] = [];
afterAll(() => {
  for (const cleanUp of cleanUps) cleanUp();
});

/** The kernel: its verifier must take the linked program, its JIT runs it. */
function kernel(object: ObjectSpec, program: string): Engine {
  const maps = createMaps<KernelMap>(object, new KernelMaps());
  const spec = object.programs.find(({ name }) => name === program);
  if (spec === undefined) throw new Error(`no program ${program}`);
  const loaded = loadKernelProgram(spec, [...maps.values()], object.license);
  cleanUps.push(() => {
    loaded.close();
    for (const map of maps.values()) map.close();
  });
  return {
    maps,
    run(frame) {
      const { verdict, packet } = onOneCpu(() => loaded.testRun(frame));
      return { verdict, frame: packet };
    },
  };
}

const engines: readonly {
  name: string;
  missing?: string;
  make: (object: ObjectSpec, program: string) => Engine;
}[] = [
  { name: 'interpreter', make: (object, program) => new Replay({ object, program, engine: 'interpreter' }) },
  { name: 'jit', make: (object, program) => new Replay({ object, program, engine: 'jit' }) },
  { name: 'kernel', ...(missingRoot === undefined ? {} : { missing: missingRoot }), make: kernel },
];

const u32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
const frame = (bytes: number) => Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + 3) & 0xff);
/** Copies of a per-CPU counter of two u64, added up. */
function summed(value: Uint8Array | undefined): readonly [bigint, bigint] {
  const view = new DataView((value ?? new Uint8Array(0)).slice().buffer);
  let [packets, bytes] = [0n, 0n];
  for (let at = 0; at < view.byteLength; at += 16) {
    packets += view.getBigUint64(at, true);
    bytes += view.getBigUint64(at + 8, true);
  }
  return [packets, bytes];
}

interface Row {
  readonly name: string;
  readonly object: TestObject;
  readonly program: string;
  readonly prepare?: (maps: ReadonlyMap<string, BpfMap>) => void;
  readonly frame: Uint8Array;
  readonly verdict: number;
  /** What the frame is afterwards; as it was where absent. */
  readonly after?: Uint8Array;
  readonly check?: (maps: ReadonlyMap<string, BpfMap>) => void;
}

const rows: readonly Row[] = [
  {
    name: 'calls across sections, data of .rodata, .data and .bss',
    object: 'programs',
    program: 'first',
    frame: frame(65),
    verdict: 3,
    check: (maps) => {
      expect(summed(maps.get('counters')?.lookup(u32(1)))).toEqual([1n, 65n]);
      expect(maps.get('.data')?.lookup(u32(0))?.[0]).toBe(8);
      expect(maps.get('.bss')?.lookup(u32(0))).toEqual(u32(1));
      expect(maps.get('.rodata')?.lookup(u32(0))?.[0]).toBe(64);
    },
  },
  {
    name: 'the same function behind another entry',
    object: 'programs',
    program: 'third',
    frame: frame(65),
    verdict: 1,
  },
  { name: 'a map that has no entry', object: 'programs', program: 'second', frame: frame(60), verdict: 1 },
  {
    name: 'a map that has the entry; a table behind an addend',
    object: 'programs',
    program: 'second',
    frame: frame(60),
    prepare: (maps) => {
      maps.get('flows')?.update(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 6, 1, 0, 0), u32(3));
    },
    verdict: 40,
  },
  {
    name: 'an empty slot of a map of maps',
    object: 'nested',
    program: 'nested',
    frame: frame(60),
    verdict: 1,
  },
  {
    name: 'a filled slot of a map of maps',
    object: 'nested',
    program: 'nested',
    frame: frame(60),
    prepare: (maps) => {
      const inner = maps.get('two');
      if (inner !== undefined) maps.get('outer')?.updateInner(u32(0), inner);
    },
    verdict: 3,
    check: (maps) => expect(maps.get('two')?.lookup(u32(0))?.[0]).toBe(1),
  },
  {
    name: 'a bounded loop over packet bytes',
    object: 'loops',
    program: 'digest',
    frame: Uint8Array.from({ length: 32 }, (_, index) => index),
    verdict: 2,
    // CRC-32 of the bytes 0 to 31.
    check: (maps) => expect(maps.get('crc')?.lookup(u32(0))).toEqual(u32(0x9126_7e8a)),
  },
  {
    name: 'a header in front',
    object: 'loops',
    program: 'prepend',
    frame: frame(60),
    verdict: 3,
    after: Uint8Array.of(...Array(20).keys(), ...frame(60)),
  },
];

describe.each(engines)('objects on the $name', ({ missing, make }) => {
  for (const row of rows) {
    it.skipIf(missing !== undefined)(
      `${row.object}: ${row.name}${missing === undefined ? '' : ` (${missing})`}`,
      () => {
        const engine = make(loadObject(testObject(row.object)), row.program);
        row.prepare?.(engine.maps);
        const result = engine.run(row.frame);
        expect(result.verdict).toBe(row.verdict);
        expect(result.frame).toEqual(row.after ?? row.frame);
        row.check?.(engine.maps);
      },
    );
  }
});
