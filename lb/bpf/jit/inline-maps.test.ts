import { describe, expect, it } from 'vitest';
import { Bed, importsOf, MAP, u32, u64 } from '../../../test/support/jit-bed.js';
import { CPU_SCRATCH, ELEMENT_KEY, ELEMENT_REFERENCED } from '../memory/layout.js';

describe('array lookups', () => {
  const lookup = (map: number, key: string) => `
    ${key}
    r2 = r10
    r2 += -4
    r1 = map[${map}]
    call 1
    exit`;
  const place = (bed: Bed, key: number, cpu = 0) => {
    const { data, valueStride, cpuStride } = bed.maps[0]!.info;
    return BigInt(data + key * valueStride + cpu * cpuStride);
  };
  for (const valueSize of [1, 4, 8, 20, 24]) {
    const bed = new Bed({ ...MAP, type: 'ARRAY', valueSize });
    for (const key of [0, 3, 4, 0xffffffff]) {
      const expected = key < 4 ? place(bed, key) : 0n;
      it(`constant key ${key}, values of ${valueSize}`, () =>
        expect(bed.run(lookup(0, `*(u32 *)(r10 - 4) = ${key | 0}`))).toBe(expected));
      it(`key ${key} from a register, values of ${valueSize}`, () =>
        expect(bed.run(lookup(0, '*(u32 *)(r10 - 4) = r2'), BigInt(key))).toBe(expected));
      it(`key ${key} in memory, values of ${valueSize}`, () => {
        bed.arena.u32[(bed.arena.block(0) + CPU_SCRATCH) / 4] = key;
        expect(bed.run('r2 = r1\nr1 = map[0]\ncall 1\nexit')).toBe(expected);
      });
    }
  }
  it('a key whose upper bytes are another store', () => {
    const bed = new Bed({ ...MAP, type: 'ARRAY' });
    const text = lookup(0, '*(u16 *)(r10 - 4) = r2\n*(u16 *)(r10 - 2) = 0');
    expect(bed.run(text, 0x10003n)).toBe(place(bed, 3));
  });
  it("each CPU has its own copy of a PERCPU_ARRAY's value", () => {
    const bed = new Bed({ ...MAP, type: 'PERCPU_ARRAY' });
    for (const cpu of [0, 1]) {
      expect(bed.run(lookup(0, '*(u32 *)(r10 - 4) = 2'), 0n, cpu)).toBe(place(bed, 2, cpu));
      expect(bed.run(lookup(0, '*(u32 *)(r10 - 4) = r2'), 2n, cpu)).toBe(place(bed, 2, cpu));
      expect(bed.run(lookup(0, '*(u32 *)(r10 - 4) = r2'), 4n, cpu)).toBe(0n);
    }
  });
  it('a test of what cannot be NULL goes', () => {
    const bed = new Bed({ ...MAP, type: 'PERCPU_ARRAY' });
    const withTest = (key: string) =>
      `${key}\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nif r0 == 0 goto none\nr0 = *(u64 *)(r0 + 0)\nexit\nnone:\ncall 7\nexit`;
    expect(importsOf(bed.compile(withTest('*(u32 *)(r10 - 4) = 1')))).not.toContain(
      'runtime.bpf_get_prandom_u32',
    );
    expect(importsOf(bed.compile(withTest('*(u32 *)(r10 - 4) = r2')))).toContain(
      'runtime.bpf_get_prandom_u32',
    );
    expect(bed.run(withTest('*(u32 *)(r10 - 4) = 1'))).toBe(0n);
  });
  it("an array's value is at a known place", () => {
    const bed = new Bed({ ...MAP, type: 'ARRAY' });
    expect(bed.run('r1 = map[0] value + 16\n*(u64 *)(r1 + 8) = 77\nr0 = *(u64 *)(r1 + 8)\nexit')).toBe(77n);
    expect(bed.maps[0]!.lookup(u32(3))).toEqual(u64(77n));
  });
});

describe('hash lookups', () => {
  const KEY_SIZES = [1, 2, 3, 4, 8, 12, 16, 20, 22, 24, 37, 40, 63, 64, 65, 100];
  /** Copies the key to the frame by the widest stores, so that the compiler sees it, and looks it up. */
  const inRegisters = (keySize: number) => {
    const lines: string[] = [];
    const base = -((keySize + 7) & ~7);
    for (let at = 0; at < keySize; ) {
      const bytes = [8, 4, 2, 1].find((size) => at + size <= keySize) ?? 1;
      lines.push(`r3 = *(u${bytes * 8} *)(r1 + ${at})`, `*(u${bytes * 8} *)(r10 - ${-(base + at)}) = r3`);
      at += bytes;
    }
    return `${lines.join('\n')}\nr2 = r10\nr2 += ${base}\nr1 = map[0]\ncall 1\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 + 0)\nexit`;
  };
  const inMemory = 'r2 = r1\nr1 = map[0]\ncall 1\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 + 0)\nexit';
  const keyOf = (keySize: number, value: number) =>
    Uint8Array.from({ length: keySize }, (_, index) => (index === keySize - 1 ? value : index * 31 + 7));

  for (const type of ['HASH', 'LRU_HASH'] as const) {
    for (const keySize of KEY_SIZES) {
      it(`${type}, keys of ${keySize} bytes: each is found, and no other`, () => {
        const maxEntries = 64;
        const bed = new Bed({ ...MAP, type, keySize, maxEntries });
        // A full table: chains of several elements.
        for (let value = 0; value < maxEntries; value++)
          expect(bed.maps[0]!.update(keyOf(keySize, value), u64(BigInt(value) + 1n))).toBe(0);
        const scratch = bed.arena.block(0) + CPU_SCRATCH;
        for (const text of [inMemory, inRegisters(keySize)]) {
          const { call } = bed.program(text);
          for (let value = 0; value < 2 * maxEntries; value++) {
            bed.arena.u8.set(keyOf(keySize, value), scratch);
            // What lies behind a key is not part of it.
            bed.arena.u8.fill(0xee, scratch + keySize, scratch + keySize + 8);
            const expected = bed.maps[0]!.lookup(keyOf(keySize, value)) ?? u64(0n);
            expect(u64(BigInt.asUintN(64, call(BigInt(scratch), 0n)))).toEqual(expected);
          }
        }
      });
    }
  }

  it('a key of many narrow stores', () => {
    const bed = new Bed({ ...MAP, type: 'HASH', keySize: 8 });
    bed.maps[0]!.update(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), u64(99n));
    const text = `
      *(u64 *)(r10 - 8) = 0
      *(u8 *)(r10 - 8) = r2
      *(u8 *)(r10 - 7) = 2
      *(u16 *)(r10 - 6) = 0x403
      r3 = 0x5
      *(u32 *)(r10 - 4) = r3
      *(u8 *)(r10 - 3) = 6
      *(u16 *)(r10 - 2) = 0x807
      r2 = r10
      r2 += -8
      r1 = map[0]
      call 1
      if r0 == 0 goto +1
      r0 = *(u64 *)(r0 + 0)
      exit`;
    expect(bed.run(text, 0x5501n)).toBe(99n);
  });

  it('a lookup in an LRU_HASH is a use, in a HASH it is none', () => {
    for (const type of ['LRU_HASH', 'HASH'] as const) {
      const bed = new Bed({ ...MAP, type });
      bed.maps[0]!.update(u32(5), u64(1n));
      const value = bed.run('r2 = r10\nr2 += -4\n*(u32 *)(r10 - 4) = 5\nr1 = map[0]\ncall 1\nexit');
      // The value follows the element's head and the key, which is rounded up to 8.
      const element = Number(value) - 8 - ELEMENT_KEY;
      expect(bed.arena.u8[element + ELEMENT_REFERENCED]).toBe(type === 'LRU_HASH' ? 1 : 0);
    }
  });

  it('through a map-in-map: the inner map of the time, NULL where there is none', () => {
    const inner = { ...MAP, name: 'inner', type: 'LRU_HASH' } as const;
    const bed = new Bed({ ...MAP, type: 'ARRAY_OF_MAPS', valueSize: 4, inner });
    const [first, second] = [1n, 2n].map((value) => {
      const map = bed.host.createMap(inner);
      map.update(u32(5), u64(value));
      return map;
    });
    const { call } = bed.program(`
      *(u32 *)(r10 - 4) = r2
      r2 = r10
      r2 += -4
      r1 = map[0]
      call 1
      if r0 == 0 goto none
      *(u32 *)(r10 - 8) = 5
      r2 = r10
      r2 += -8
      r1 = r0
      call 1
      if r0 == 0 goto none
      r0 = *(u64 *)(r0 + 0)
      none:
      exit`);
    expect(call(0n, 1n)).toBe(0n);
    bed.maps[0]!.updateInner(u32(1), first!);
    expect(call(0n, 1n)).toBe(1n);
    bed.maps[0]!.updateInner(u32(1), second!);
    expect(call(0n, 1n)).toBe(2n);
    expect(call(0n, 4n)).toBe(0n);
  });
});
