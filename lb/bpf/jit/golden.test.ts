import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import type { InstructionKind } from '../isa/instruction.js';
import { ALU, ATOMIC, JUMP } from '../isa/opcodes.js';
import type { ArenaMapInfo } from '../maps/registry.js';
import { compileProgram } from './compile.js';
import { formatWat } from './wat.js';

const FOLDER = fileURLToPath(new URL('golden/', import.meta.url));
const UPDATE = process.env.UPDATE === '1';

/** Maps at made-up places, so that the text does not depend on how an arena is laid out. */
const map = (index: number, type: ArenaMapInfo['type'], rest: Partial<ArenaMapInfo> = {}): ArenaMapInfo => ({
  id: index + 1,
  descriptor: 1_000_000 + 128 * index,
  type,
  keySize: 4,
  valueSize: 8,
  maxEntries: 16,
  flags: 0,
  cpus: type === 'PERCPU_ARRAY' ? 3 : 1,
  valueStride: 8,
  data: 2_000_000 + 65_536 * index,
  cpuStride: type === 'PERCPU_ARRAY' ? 128 : 0,
  ...rest,
});
const MAPS = [
  map(0, 'ARRAY'),
  map(1, 'PERCPU_ARRAY', { valueSize: 24, valueStride: 24 }),
  map(2, 'HASH'),
  map(3, 'LRU_HASH', { keySize: 12 }),
  map(4, 'ARRAY_OF_MAPS', { valueSize: 4, valueStride: 4, inner: map(4, 'HASH', { data: 0 }) }),
  map(5, 'ARRAY', { valueSize: 4, valueStride: 4, constants: Uint8Array.of(0xff, 0x80, 0, 0) }),
] as const;

const widths = (text: string) => [text, text.replaceAll(/\br(\d+)/g, 'w$1')];
const key = (store: string) => `${store}\nr2 = r10\nr2 += -4\n`;

interface Golden {
  readonly kinds: readonly InstructionKind[];
  /** Programs without their `exit`; r1 to r3 are not known. */
  readonly programs: readonly string[];
  /** With what every body begins and ends with. */
  readonly isWhole?: true;
}

const GOLDEN: Readonly<Record<string, Golden>> = {
  alu: {
    kinds: ['alu'],
    programs: Object.values(ALU).flatMap(({ sign }) => [
      ...widths(`r2 ${sign} r3`),
      ...widths(`r2 ${sign} 7`),
    ]),
  },
  division: {
    kinds: ['alu'],
    programs: ['/=', 's/=', '%=', 's%='].flatMap((sign) => [`r2 ${sign} 0`, `r2 ${sign} -1`]),
  },
  unary: {
    kinds: ['neg', 'movsx', 'swap'],
    programs: [
      ...widths('r2 = -r2'),
      ...[8, 16].flatMap((bits) => widths(`r2 = (s${bits})r3`)),
      'r2 = (s32)r3',
      ...['le', 'be', 'bswap'].flatMap((op) => [16, 32, 64].map((bits) => `r2 = ${op}${bits} r2`)),
    ],
  },
  imm64: {
    kinds: ['imm64'],
    programs: [
      'r2 = 0x123456789abcdef0 ll',
      'r2 = map[0]',
      'r2 = map[0] value + 8',
      'r2 = function 4\nr0 = 0\nexit\nf:\nr0 = 0',
    ],
  },
  memory: {
    kinds: ['load', 'store'],
    programs: [
      ...['u8', 'u16', 'u32', 'u64', 's8', 's16', 's32'].flatMap((type) => [
        `r2 = *(${type} *)(r3 + 4)`,
        `r2 = *(${type} *)(r3 - 4)`,
      ]),
      ...['u8', 'u16', 'u32', 'u64'].flatMap((type) => [
        `*(${type} *)(r3 + 4) = r2`,
        `*(${type} *)(r3 + 4) = -1`,
      ]),
    ],
  },
  frame: {
    kinds: ['load', 'store'],
    programs: [
      '*(u64 *)(r10 - 8) = r2\nr0 = *(u64 *)(r10 - 8)',
      '*(u64 *)(r10 - 8) = r2\nr0 = *(u16 *)(r10 - 6)',
      '*(u64 *)(r10 - 8) = 7\nr0 = *(u32 *)(r10 - 4)',
      '*(u32 *)(r10 - 8) = r2',
      'r4 = r10\nr4 += r2\n*(u8 *)(r4 + 0) = 1\nr0 = *(u8 *)(r10 - 8)',
    ],
  },
  frozen: {
    kinds: ['load', 'branch'],
    programs: [
      'r4 = map[5] value + 0\nr0 = *(u32 *)(r4 + 0)',
      'r4 = map[5] value + 0\nr0 = *(s8 *)(r4 + 1)',
      'r4 = map[5] value + 2\nr4 = *(u8 *)(r4 + 0)\nr0 = 1\nif r4 == 0 goto +1\ncall 7',
    ],
  },
  atomic: {
    kinds: ['atomic', 'load-acquire', 'store-release'],
    programs: [
      ...Object.entries(ATOMIC).flatMap(([name, { sign, fetch }]) =>
        fetch === 'either'
          ? [
              `lock *(u64 *)(r3 + 8) ${sign} r2`,
              `lock *(u32 *)(r3 + 8) ${sign} w2`,
              `r2 = atomic_fetch_${name}((u64 *)(r3 + 8), r2)`,
              `w2 = atomic_fetch_${name}((u32 *)(r3 + 8), w2)`,
            ]
          : [],
      ),
      'r2 = xchg_64(r3 + 8, r2)',
      'w2 = xchg32_32(r3 + 8, w2)',
      'r0 = cmpxchg_64(r3 + 8, r0, r2)',
      'w0 = cmpxchg32_32(r3 + 8, w0, w2)',
      ...[8, 16, 32, 64].flatMap((bits) => [
        `r2 = load_acquire((u${bits} *)(r3 + 8))`,
        `store_release((u${bits} *)(r3 + 8), r2)`,
      ]),
    ],
  },
  branch: {
    kinds: ['branch', 'jump'],
    programs: [
      ...Object.values(JUMP).flatMap(({ sign }) =>
        [`r2 ${sign} r3`, `r2 ${sign} 7`]
          .flatMap(widths)
          .map((condition) => `r0 = 1\nif ${condition} goto +1\nr0 = 2`),
      ),
      'r0 = 1\nif r2 == 0 goto +1\nr0 = 2',
      'r0 = 1\nif r2 != 0 goto +1\nr0 = 2',
    ],
  },
  control: {
    isWhole: true,
    kinds: ['branch', 'jump', 'call-local', 'exit'],
    programs: [
      'r0 = 0\nagain:\nr0 += r3\nr2 += -1\nif r2 != 0 goto again',
      'r0 = 1\nif r2 == 0 goto both\nr0 = 2\nif r3 == 0 goto both\nr0 = 3\nboth:\nr0 += 1',
      'if r2 == 0 goto b\na:\nr3 += 1\nif r3 == 9 goto out\nb:\nr3 += 2\ngoto a\nout:\nr0 = r3',
      'call f\nr0 += 1\nexit\nf:\nr0 = r1',
    ],
  },
  helper: {
    kinds: ['call-helper'],
    programs: ['call 5', 'call 7', 'call 8', 'r1 = r2\nr2 = r3\ncall 65', 'r1 = r2\nr2 = -20\ncall 44'],
  },
  lookup: {
    kinds: ['call-helper'],
    programs: [
      `${key('*(u32 *)(r10 - 4) = 3')}r1 = map[0]\ncall 1`,
      `${key('*(u32 *)(r10 - 4) = r2')}r1 = map[0]\ncall 1`,
      `${key('*(u32 *)(r10 - 4) = r2')}r1 = map[1]\ncall 1`,
      `${key('*(u32 *)(r10 - 4) = r2')}r1 = map[2]\ncall 1`,
      'r1 = map[3]\ncall 1',
      `${key('*(u32 *)(r10 - 4) = r2')}r1 = map[4]\ncall 1\n${key('*(u32 *)(r10 - 4) = 1')}r1 = r0\ncall 1`,
    ],
  },
  callback: {
    kinds: ['call-helper', 'imm64'],
    programs: [
      'r1 = r2\nr2 = function 7\nr3 = 0\nr4 = 0\ncall 181\nexit\nf:\nr0 = 0',
      'r1 = 8\nr2 = function 7\nr3 = 0\nr4 = 0\ncall 181\nexit\nf:\nr0 = 0',
      'r1 = 8\nr4 = r3\nr3 = function 8\nr2 ^= r3\nr3 = 0\ncall 181\nexit\nf:\nr0 = 0',
      'r1 = map[0]\nr2 = function 8\nr3 = 0\nr4 = 0\ncall 164\nexit\nf:\nr0 = 0',
    ],
  },
  'tail-call': {
    kinds: ['call-helper'],
    programs: ['r3 = 1\nr2 = map[0]\ncall 12\nr0 = 1', 'r4 = r2\nr2 = r3\nr3 = r4\ncall 12\nr0 = 1'],
  },
  'packet-load': {
    kinds: ['packet-load'],
    programs: [
      ...[8, 16, 32].map((bits) => `r0 = *(u${bits} *)skb[12]`),
      'r0 = *(u8 *)skb[-1]',
      ...[8, 16, 32].map((bits) => `r0 = *(u${bits} *)skb[r2 + 12]`),
    ],
  },
};

/** r10 out of the frame's address. */
const START = ['local.get $frame', 'i32.const 512', 'i32.add', 'i64.extend_i32_u', 'local.set $r10'];
const END = ['local.get $r0', 'return', 'unreachable'];

/** A body's lines without those that are the same in all. */
function withoutFrame(lines: readonly string[]): string[] {
  const body = lines.map((line) => line.slice(2));
  const start = body[0]?.startsWith('(local') ? 1 : 0;
  expect(body.slice(start, start + START.length)).toEqual(START);
  expect(body.slice(-END.length)).toEqual(END);
  return body.slice(start + START.length, -END.length);
}

function textOf({ programs, isWhole }: Golden): string {
  return programs
    .map((program) => {
      const { wasm } = compileProgram(assemble(`${program}\nexit`), MAPS, { names: true });
      expect(WebAssembly.validate(wasm)).toBe(true);
      const comment = program.split('\n').map((line) => `;; ${line}`);
      if (isWhole) return `${comment.join('\n')}\n${formatWat(wasm)}\n`;
      const text = formatWat(wasm, { only: ['tail'] }).split('\n');
      return [...comment, ...withoutFrame(text.slice(1, -1)), ''].join('\n');
    })
    .join('\n');
}

describe(`each operation's wasm is the one that was reviewed (UPDATE=1 writes it anew)`, () => {
  for (const [name, golden] of Object.entries(GOLDEN)) {
    it(name, () => {
      const file = `${FOLDER}${name}.wat`;
      const text = textOf(golden);
      if (UPDATE) {
        mkdirSync(FOLDER, { recursive: true });
        writeFileSync(file, text);
      }
      expect(existsSync(file), `${name}.wat is there`).toBe(true);
      expect(text).toBe(readFileSync(file, 'utf8'));
    });
  }

  it('there is no file without a test', () => {
    const files = readdirSync(FOLDER).map((file) => file.replace(/\.wat$/, ''));
    expect(files.sort()).toEqual(Object.keys(GOLDEN).sort());
  });

  it('every kind of instruction has one', () => {
    const all: Record<InstructionKind, true> = {
      alu: true,
      neg: true,
      movsx: true,
      swap: true,
      imm64: true,
      load: true,
      store: true,
      atomic: true,
      'load-acquire': true,
      'store-release': true,
      'packet-load': true,
      jump: true,
      branch: true,
      'call-helper': true,
      'call-local': true,
      exit: true,
    };
    expect([...new Set(Object.values(GOLDEN).flatMap(({ kinds }) => kinds))].sort()).toEqual(
      Object.keys(all).sort(),
    );
  });
});

describe('formatWat', () => {
  const wasm = (names: boolean) =>
    compileProgram(assemble('r0 = 1\ncall 7\ncall f\nexit\nf:\nr0 = 2\nexit'), MAPS, { names }).wasm;

  it('writes a whole module', () => {
    const text = formatWat(wasm(true));
    expect(text).toMatch(
      /^\(module\n {2}\(import "runtime" "bpf_get_prandom_u32" \(func \$bpf_get_prandom_u32 \(result i64\)\)\)/,
    );
    expect(text).toContain('(import "env" "memory" (memory 2 65536 shared))');
    expect(text).toContain('(import "env" "block" (global $block i32))');
    expect(text).toContain('(func $function@4 (param $r1 i64)');
    expect(text).toContain('(func $run (export "run") (param $context i32) (result i32)');
    expect(text).toContain('call $function@4');
    expect(text.endsWith('\n)')).toBe(true);
  });

  it('does without names', () => {
    const text = formatWat(wasm(false));
    expect(text).toContain('(func $run (export "run") (param $0 i32) (result i32)');
    expect(text).not.toContain('$r0');
  });

  it('names do not change what is compiled', () => {
    expect(wasm(true).subarray(0, wasm(false).length)).toEqual(wasm(false));
  });
});
