import v8 from 'node:v8';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { Bed, importsOf, MAP, u32, u64 } from '../../../test/support/jit-bed.js';
import { interpret } from '../engine/interpreter.js';
import {
  CPU_CLOCK_NS,
  CPU_STACK_END,
  CPU_XDP_MD,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_START,
} from '../memory/layout.js';

describe('the exports', () => {
  it('run takes a context and gives the low half of r0', () => {
    const bed = new Bed();
    const { run } = bed.program('r0 = 0x1234567800000003 ll\nr0 += r1\nexit');
    expect(run(0)).toBe(3);
    expect(run(-1)).toBe(2);
  });
  it('call takes r1 and r2 and gives all of r0', () => {
    const bed = new Bed();
    expect(bed.program('r0 = r1\nr0 *= r2\nexit').call(1n << 40n, 3n)).toBe(3n << 40n);
  });
  it('the entry may be called as a function too', () => {
    const text = 'if r2 == 0 goto end\nr2 += -1\ncall -3\nr0 += 1\nexit\nend:\nr0 = 0\nexit';
    expect(new Bed().run(text, 5n)).toBe(5n);
  });
});

describe('imports are those that are used', () => {
  const rows: readonly [string, string, readonly string[]][] = [
    ['nothing but the memory and the stack', 'r0 = 0\nexit', ['env.block', 'env.memory']],
    ['the CPU by its number', 'call 8\nexit', ['env.block', 'env.cpu', 'env.memory']],
    ['the clock is a load', 'call 5\nexit', ['env.block', 'env.memory']],
    [
      'a helper without code of its own',
      'call 7\nexit',
      ['env.block', 'env.memory', 'runtime.bpf_get_prandom_u32'],
    ],
  ];
  for (const [name, text, imports] of rows) {
    it(name, () => expect(importsOf(new Bed().compile(text))).toEqual(imports));
  }
  it('lookups in known arrays and hashes are written out', () => {
    const bed = new Bed({ ...MAP, type: 'ARRAY' }, { ...MAP, type: 'HASH' }, { ...MAP, type: 'LRU_HASH' });
    const lookup = (map: number) => `r2 = r6\nr1 = map[${map}]\ncall 1\n`;
    const module = bed.compile(`r6 = r1\n${lookup(0)}${lookup(1)}${lookup(2)}exit`);
    expect(importsOf(module)).toEqual(['env.block', 'env.memory']);
  });
  it('a map that is one or another goes to the helper', () => {
    const bed = new Bed({ ...MAP, type: 'ARRAY' }, { ...MAP, type: 'HASH' });
    const text = `
      r6 = r1
      r1 = map[0]
      if r2 == 0 goto lookup
      r1 = map[1]
      lookup:
      r2 = r6
      call 1
      exit`;
    expect(importsOf(bed.compile(text))).toContain('runtime.bpf_map_lookup_elem');
    expect(bed.run(text, 0n)).toBe(BigInt(bed.maps[0]!.info.data));
    expect(bed.run(text, 1n)).toBe(0n);
  });
});

describe('stack', () => {
  const end = (bed: Bed) => BigInt(bed.arena.block(0) + CPU_STACK_END);
  it("r10 of the first frame is the end of the CPU's stack", () => {
    const bed = new Bed();
    expect(bed.run('r0 = r10\nexit')).toBe(end(bed));
  });
  it("a callee's frame is 512 bytes lower", () => {
    const bed = new Bed();
    expect(bed.run('call inner\nexit\ninner:\ncall innermost\nexit\ninnermost:\nr0 = r10\nexit')).toBe(
      end(bed) - 1024n,
    );
  });
  it('r6 to r9 survive a call', () => {
    const text = 'r6 = 6\nr9 = 9\ncall other\nr0 = r6\nr0 += r9\nexit\nother:\nr6 = 1\nr9 = 1\nr0 = 0\nexit';
    expect(new Bed().run(text)).toBe(15n);
  });

  const rows: readonly [string, string, bigint][] = [
    [
      'what was stored is loaded',
      '*(u64 *)(r10 - 8) = r2\nr0 = *(u64 *)(r10 - 8)\nexit',
      0x1122334455667788n,
    ],
    ['part of what was stored', '*(u64 *)(r10 - 8) = r2\nr0 = *(u16 *)(r10 - 6)\nexit', 0x5566n],
    ['part, signed', '*(u64 *)(r10 - 8) = -2\nr0 = *(s32 *)(r10 - 4)\nexit', 0xffffffffffffffffn],
    [
      'a narrow store keeps the low bytes only',
      '*(u32 *)(r10 - 4) = r2\nr0 = *(u32 *)(r10 - 4)\nexit',
      0x55667788n,
    ],
    [
      'a narrow store into a wide one',
      '*(u64 *)(r10 - 8) = r2\n*(u16 *)(r10 - 6) = 0\nr0 = *(u64 *)(r10 - 8)\nexit',
      0x1122334400007788n,
    ],
    [
      'what is left of a wide store round a narrow one',
      '*(u64 *)(r10 - 8) = r2\n*(u8 *)(r10 - 5) = 0\nr0 = *(u32 *)(r10 - 4)\nr1 = *(u16 *)(r10 - 8)\nr0 += r1\nexit',
      0x11223344n + 0x7788n,
    ],
    [
      'a load across two stores',
      '*(u32 *)(r10 - 8) = r2\n*(u32 *)(r10 - 4) = 1\nr0 = *(u64 *)(r10 - 8)\nexit',
      0x155667788n,
    ],
    [
      'a store on one of two ways',
      `*(u64 *)(r10 - 8) = 1
       if r2 == 0 goto join
       *(u64 *)(r10 - 8) = r2
       join:
       r0 = *(u64 *)(r10 - 8)
       exit`,
      0x1122334455667788n,
    ],
    [
      'stores of different widths on two ways',
      `*(u64 *)(r10 - 8) = 0
       if r2 == 0 goto other
       *(u16 *)(r10 - 8) = r2
       goto join
       other:
       *(u32 *)(r10 - 8) = r2
       join:
       r0 = *(u64 *)(r10 - 8)
       exit`,
      0x7788n,
    ],
    [
      'a store that repeats in a loop',
      `*(u64 *)(r10 - 8) = 0
       r1 = 0
       again:
       r1 += 1
       r3 = *(u64 *)(r10 - 8)
       r3 += r1
       *(u64 *)(r10 - 8) = r3
       if r1 != 10 goto again
       r0 = *(u64 *)(r10 - 8)
       exit`,
      55n,
    ],
    [
      'a store through a copy of r10',
      '*(u64 *)(r10 - 8) = 1\nr3 = r10\nr3 += -8\n*(u64 *)(r3 + 0) = r2\nr0 = *(u64 *)(r10 - 8)\nexit',
      0x1122334455667788n,
    ],
    [
      'a store through a pointer that is one of two',
      `*(u64 *)(r10 - 8) = 1
       *(u64 *)(r10 - 16) = 1
       r3 = r10
       r3 += -8
       if r2 != 0 goto store
       r3 += -8
       store:
       *(u64 *)(r3 + 0) = r2
       r0 = *(u64 *)(r10 - 8)
       exit`,
      0x1122334455667788n,
    ],
    [
      'a store through a pointer that was in memory',
      `*(u64 *)(r10 - 8) = 1
       r3 = r10
       r3 += -8
       *(u64 *)(r1 + 0) = r3
       r4 = *(u64 *)(r1 + 0)
       *(u64 *)(r4 + 0) = r2
       r0 = *(u64 *)(r10 - 8)
       exit`,
      0x1122334455667788n,
    ],
    [
      'a store at an offset that is not known',
      `*(u64 *)(r10 - 8) = 1
       r3 = r2
       r3 &= 8
       r4 = r10
       r4 -= r3
       *(u64 *)(r4 + 0) = r2
       r0 = *(u64 *)(r10 - 8)
       exit`,
      0x1122334455667788n,
    ],
    [
      'a callee that writes what it was given the address of',
      `*(u64 *)(r10 - 8) = 1
       r1 = r10
       r1 += -8
       call write
       r0 = *(u64 *)(r10 - 8)
       exit
       write:
       *(u64 *)(r1 + 0) = r2
       r0 = 0
       exit`,
      0x1122334455667788n,
    ],
    [
      'a callee that only reads it',
      `*(u64 *)(r10 - 8) = r2
       r1 = r10
       r1 += -16
       call read
       r1 = *(u64 *)(r10 - 8)
       r0 -= r1
       exit
       read:
       r0 = *(u64 *)(r1 + 8)
       r0 += 1
       exit`,
      1n,
    ],
    [
      'a callee that passes it on',
      `*(u64 *)(r10 - 8) = 1
       r1 = r10
       r1 += -12
       call outer
       r0 = *(u64 *)(r10 - 8)
       exit
       outer:
       r1 += 2
       call inner
       exit
       inner:
       *(u64 *)(r1 + 2) = r2
       r0 = 0
       exit`,
      0x1122334455667788n,
    ],
    [
      'functions that call each other in a circle',
      `*(u64 *)(r10 - 8) = 1
       r1 = r10
       r1 += -8
       r3 = 2
       call even
       r0 = *(u64 *)(r10 - 8)
       exit
       even:
       if r3 == 0 goto write
       r3 += -1
       call odd
       exit
       write:
       *(u64 *)(r1 + 0) = r2
       exit
       odd:
       r3 += -1
       call even
       exit`,
      0x1122334455667788n,
    ],
    [
      'an atomic operation on the frame',
      `*(u64 *)(r10 - 8) = 1
       r3 = 2
       lock *(u64 *)(r10 - 8) += r3
       r0 = *(u64 *)(r10 - 8)
       exit`,
      3n,
    ],
    [
      'a store-release to the frame',
      '*(u64 *)(r10 - 8) = 1\nstore_release((u64 *)(r10 - 8), r2)\nr0 = *(u64 *)(r10 - 8)\nexit',
      0x1122334455667788n,
    ],
  ];
  for (const [name, text, result] of rows) {
    it(name, () => expect(new Bed().run(text, 0x1122334455667788n)).toBe(result));
  }
});

describe('helpers', () => {
  it('bpf_ktime_get_ns is the clock cell of the CPU', () => {
    const bed = new Bed();
    bed.view.setBigUint64(bed.arena.block(1) + CPU_CLOCK_NS, 12345n, true);
    expect([0, 1].map((cpu) => bed.run('call 5\nexit', 0n, cpu))).toEqual([0n, 12345n]);
  });
  it('bpf_get_smp_processor_id is the number of the CPU', () => {
    const bed = new Bed();
    expect([0, 1].map((cpu) => bed.run('call 8\nexit', 0n, cpu))).toEqual([0n, 1n]);
  });
  it('an update writes the map', () => {
    const bed = new Bed({ ...MAP, type: 'HASH' });
    const text = `
      *(u32 *)(r10 - 4) = 7
      *(u64 *)(r10 - 16) = r2
      r2 = r10
      r2 += -4
      r3 = r10
      r3 += -16
      r4 = 0
      r1 = map[0]
      call 2
      exit`;
    expect(bed.run(text, 42n)).toBe(0n);
    expect(bed.maps[0]!.lookup(u32(7))).toEqual(u64(42n));
  });
  it('bpf_xdp_adjust_head does what the runtime does', () => {
    const bed = new Bed();
    const context = bed.arena.block(0) + CPU_XDP_MD;
    const hard = bed.arena.rings.offset;
    const { call } = bed.program('call 44\nexit');
    const helper = bed.runtimes[0]!.exports.bpf_xdp_adjust_head;
    const data = hard + 256;
    let outcomes = new Set<string>();
    for (const meta of [0, data - 8, data, data + 1])
      for (const length of [14, 15, 60])
        for (const delta of [-257, -256, -249, -248, -20, 0, 1, 46, 47, 0x7fffffff, -0x80000000]) {
          const results = [helper, call].map((adjust) => {
            bed.arena.u8.fill(0, hard, hard + 4096);
            bed.arena.u8.set([1, 2, 3, 4, 5, 6, 7, 8], data - 8);
            for (const [word, value] of [
              [XDP_MD_DATA, data],
              [XDP_MD_DATA_END, data + length],
              [XDP_MD_DATA_META, meta],
              [XDP_MD_HARD_START, hard],
            ] as const)
              bed.view.setUint32(context + word, value, true);
            // The upper half is no part of an int.
            const r0 = adjust(BigInt(context), (1n << 40n) + BigInt(delta >>> 0));
            return {
              r0,
              bytes: bed.arena.u8.slice(hard, hard + 4096),
              words: bed.arena.u8.slice(context, context + 32),
            };
          });
          expect(results[1]).toEqual(results[0]);
          outcomes = outcomes.add(`${meta === data - 8} ${results[0]!.r0}`);
        }
    expect([...outcomes].sort()).toEqual(['false -22', 'false 0', 'true -22', 'true 0']);
  });
});

describe('what cannot be compiled', () => {
  const bed = new Bed();
  const rows: readonly [string, string, object][] = [
    [
      'a variable of the platform',
      'r1 = variable 3\nexit',
      { code: 'JIT_UNSUPPORTED', slot: 0, what: 'variable' },
    ],
    ['a helper without a number', 'call 9999\nexit', { code: 'JIT_HELPER', slot: 0, helper: 9999 }],
    ['a helper that is not offered', 'call 4\nexit', { code: 'JIT_HELPER', slot: 0, helper: 4 }],
    ['a map that is not there', 'r1 = map[1]\nexit', { code: 'JIT_MAP', slot: 0, map: 1, maps: 0 }],
    ['a value of such a map', 'r1 = map[0] value + 4\nexit', { code: 'JIT_MAP', slot: 0, map: 0, maps: 0 }],
  ];
  for (const [name, text, fault] of rows) {
    it(name, () => {
      expect(() => bed.compile(text)).toThrow(expect.objectContaining({ fault }));
    });
  }
});

describe('a switch of many cases', () => {
  /** Case i of the number in r2 adds i and all that follow it. */
  const cases = (count: number) => {
    const tests = Array.from({ length: count }, (_, i) => `if r2 == ${i} goto c${letters(i)}`);
    const bodies = Array.from({ length: count }, (_, i) => `c${letters(i)}:\nr0 += ${i}`);
    return ['r0 = 0', ...tests, 'exit', ...bodies, 'exit'].join('\n');
  };
  const letters = (i: number) => `x${i}`;

  it('as many as V8 can take are compiled', () => {
    const bed = new Bed();
    expect(bed.run(cases(300), 298n)).toBe(298n + 299n);
    expect(bed.run(cases(300), 300n)).toBe(0n);
  });

  it('more are refused by name, and the interpreter runs them', () => {
    const bed = new Bed();
    expect(() => bed.compile(cases(1200))).toThrow(
      expect.objectContaining({ fault: { code: 'JIT_NESTING', slot: 0, max: 1000 } }),
    );
    const program = interpret(assemble(cases(1200)), { runtime: bed.runtimes[0]!, maps: [] });
    expect(program.call(0n, 1198n)).toBe(1198n + 1199n);
  });
});

it('with --no-liftoff the first call runs optimised code', () => {
  v8.setFlagsFromString('--allow-natives-syntax');
  let isBaseline: (f: unknown) => boolean;
  try {
    isBaseline = new Function('f', 'return %IsLiftoffFunction(f)') as (f: unknown) => boolean;
  } finally {
    v8.setFlagsFromString('--no-allow-natives-syntax');
  }
  // Other files' tests run in this process too.
  expect(() => new Function('%IsLiftoffFunction(0)')).toThrow(SyntaxError);
  const bed = new Bed();
  const baseline = bed.program('r0 = 17\nexit');
  baseline.exports.run(0);
  expect(isBaseline(baseline.exports.run)).toBe(true);
  v8.setFlagsFromString('--no-liftoff');
  try {
    const optimised = bed.program('r0 = 18\nexit');
    optimised.exports.run(0);
    expect(isBaseline(optimised.exports.run)).toBe(false);
  } finally {
    v8.setFlagsFromString('--liftoff');
  }
});
