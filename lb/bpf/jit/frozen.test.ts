import { describe, expect, it } from 'vitest';
import { Bed, importsOf, MAP } from '../../../test/support/jit-bed.js';
import { POISON_HELPER } from '../isa/opcodes.js';
import { MAP_FLAGS } from '../maps/map.js';
import { JitError } from './fault.js';

const BYTES = Uint8Array.of(0xf1, 0x82, 3, 4, 5, 6, 7, 0x88, 0, 0, 0, 0);
const section = (rest: object) =>
  ({ ...MAP, type: 'ARRAY', valueSize: 16, maxEntries: 1, initial: BYTES, ...rest }) as const;
const FROZEN = section({ flags: MAP_FLAGS.BPF_F_RDONLY_PROG, frozen: true });
const RANDOM = 'runtime.bpf_get_prandom_u32';
/** Calls bpf_get_prandom_u32 where the byte at an offset is not 0. */
const guarded = (offset: number) => `
  r6 = map[0] value + ${offset}
  r1 = *(u8 *)(r6 + 0)
  r0 = 0
  if r1 == 0 goto off
  call 7
  off:
  exit`;

describe('a frozen read-only value is constants', () => {
  const rows: readonly (readonly [string, string, bigint])[] = [
    ['u8', 'r0 = *(u8 *)(r6 + 0)', 0xf1n],
    ['s8', 'r0 = *(s8 *)(r6 + 1)', BigInt.asUintN(64, 0x82n - 0x100n)],
    ['u16', 'r0 = *(u16 *)(r6 + 0)', 0x82f1n],
    ['u32', 'r0 = *(u32 *)(r6 + 1)', 0x05040382n],
    ['u64', 'r0 = *(u64 *)(r6 + 0)', 0x88070605040382f1n],
    ['what was not given is 0', 'r0 = *(u64 *)(r6 + 8)', 0n],
    ['an address that is computed', 'r6 += 2\nr6 += 1\nr0 = *(u8 *)(r6 + 1)', 5n],
  ];
  for (const [name, text, r0] of rows) {
    it(`${name}: the same with and without`, () => {
      const program = `r6 = map[0] value + 0\n${text}\nexit`;
      expect(new Bed(FROZEN).run(program)).toBe(r0);
      expect(new Bed(section({})).run(program)).toBe(r0);
    });
  }

  it('through a lookup at a known key', () => {
    const text =
      '*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nr1 = *(u8 *)(r0 + 8)\nr0 = 5\nif r1 == 0 goto +1\ncall 7\nexit';
    expect(importsOf(new Bed(FROZEN).compile(text))).not.toContain(RANDOM);
    expect(new Bed(FROZEN).run(text)).toBe(5n);
  });

  it('what an option turns off is not in the code', () => {
    expect(importsOf(new Bed(FROZEN).compile(guarded(8)))).not.toContain(RANDOM);
    expect(importsOf(new Bed(FROZEN).compile(guarded(0)))).toContain(RANDOM);
  });

  it('a function that only such code calls is not there either', () => {
    const text = `r6 = map[0] value + 8\nr1 = *(u8 *)(r6 + 0)\nr0 = 0\nif r1 == 0 goto off\ncall f\noff:\nexit\nf:\ncall 7\nexit`;
    expect(importsOf(new Bed(FROZEN).compile(text))).not.toContain(RANDOM);
  });
});

describe('a value that can change is loaded', () => {
  const rows: readonly (readonly [string, object])[] = [
    ['neither frozen nor read-only', {}],
    ['frozen, and programs may write', { frozen: true }],
    ['read-only for programs, and not frozen', { flags: MAP_FLAGS.BPF_F_RDONLY_PROG }],
  ];
  for (const [name, rest] of rows)
    it(name, () => {
      const bed = new Bed(section(rest));
      const text = guarded(8);
      expect(importsOf(bed.compile(text))).toContain(RANDOM);
      const { call } = bed.program('r6 = map[0] value + 0\nr0 = *(u8 *)(r6 + 8)\nexit');
      bed.arena.u8[bed.maps[0]!.info.data + 8] = 77;
      expect(call(0n, 0n)).toBe(77n);
    });

  it('past the value’s end', () => {
    const bed = new Bed(FROZEN, section({}));
    expect(bed.run('r6 = map[0] value + 12\nr0 = *(u64 *)(r6 + 0)\nr0 = 1\nexit')).toBe(1n);
  });
});

describe('what cannot be called', () => {
  it('may stand in dead code', () => {
    const bed = new Bed(FROZEN);
    expect(bed.run(guarded(8).replace('call 7', `call ${POISON_HELPER}`))).toBe(0n);
    expect(bed.run(`r1 = 0\nr0 = 3\nif r1 == 0 goto off\ncall ${POISON_HELPER}\noff:\nexit`)).toBe(3n);
  });

  it('and nowhere else', () => {
    expect(() => new Bed(FROZEN).compile(guarded(0).replace('call 7', `call ${POISON_HELPER}`))).toThrow(
      JitError,
    );
  });
});
