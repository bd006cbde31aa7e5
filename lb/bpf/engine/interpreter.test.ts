import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { ArenaMaps } from '../maps/registry.js';
import { instantiateRuntime } from '../maps/runtime.js';
import { Arena } from '../memory/arena.js';
import {
  CPU_CLOCK_NS,
  CPU_SCRATCH,
  CPU_STACK_END,
  CPU_XDP_MD,
  STACK_FRAME_BYTES,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
} from '../memory/layout.js';
import { InterpreterError, interpret } from './interpreter.js';

const CPU = 1;
const arena = Arena.create({ workers: 2, mapsBytes: 65536, ringsBytes: 0 });
const runtime = instantiateRuntime(arena.memory, CPU);
const host = new ArenaMaps(arena);
const map = host.createMap({
  name: 'counters',
  type: 'ARRAY',
  keySize: 4,
  valueSize: 8,
  maxEntries: 4,
  flags: 0,
});
const maps = [map.info];
const block = BigInt(arena.block(CPU));
const scratch = block + BigInt(CPU_SCRATCH);
const key = (index: number) => new Uint8Array(Uint32Array.of(index).buffer);
const value = (number: bigint) => new Uint8Array(BigUint64Array.of(number).buffer);

const ready = (text: string, budget?: number) =>
  interpret(assemble(text), { runtime, maps, ...(budget === undefined ? {} : { budget }) });
const call = (text: string, r1 = 0n, r2 = 0n) => ready(text).call(r1, r2);

function faultOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (error instanceof InterpreterError) return error.fault;
    throw error;
  }
  return undefined;
}

describe('entry', () => {
  it('call hands over r1 and r2 whole, and gives r0 whole and unsigned', () => {
    expect(call('r0 = r1\nr0 -= r2\nexit', 3n, 5n)).toBe(0xffff_ffff_ffff_fffen);
    expect(call('r0 = r1\nexit', -1n)).toBe(0xffff_ffff_ffff_ffffn);
  });

  it('run hands over the context and gives the low 32 bits of r0', () => {
    const context = arena.block(CPU) + CPU_XDP_MD;
    arena.u32[(context + XDP_MD_DATA) / 4] = 100;
    arena.u32[(context + XDP_MD_DATA_END) / 4] = 160;
    const program = `r2 = *(u32 *)(r1 + ${XDP_MD_DATA})\nr0 = *(u32 *)(r1 + ${XDP_MD_DATA_END})\nr0 -= r2\n`;
    expect(ready(`${program}exit`).run(context)).toBe(60);
    expect(ready('r0 = 0xffffffff00000003 ll\nexit').run(context)).toBe(3);
    expect(ready('r0 = -1\nexit').run(context)).toBe(0xffff_ffff);
  });

  it('r10 is the end of the CPU’s own stack, and 512 lower in a callee', () => {
    expect(call('r0 = r10\nexit')).toBe(block + BigInt(CPU_STACK_END));
    expect(call('call f\nexit\nf:\nr0 = r10\nexit')).toBe(block + BigInt(CPU_STACK_END - STACK_FRAME_BYTES));
  });

  it('starts anew each time', () => {
    const program = ready('r0 += 1\nr6 += 1\nr0 += r6\nexit');
    expect([program.call(0n, 0n), program.call(0n, 0n)]).toEqual([2n, 2n]);
  });
});

describe('maps and helpers', () => {
  it('a map reference is its descriptor, a value reference its data and the offset', () => {
    expect(call('r0 = map[0]\nexit')).toBe(BigInt(map.info.descriptor));
    expect(call('r0 = map[0] value + 8\nexit')).toBe(BigInt(map.info.data + 8));
  });

  it('looks up what the control plane wrote, and the other way round', () => {
    map.update(key(2), value(40n));
    const program = `*(u32 *)(r10 - 4) = 2
      r2 = r10
      r2 += -4
      r1 = map[0]
      call 1
      if r0 == 0 goto out
      r1 = 2
      lock *(u64 *)(r0 + 0) += r1
      r0 = *(u64 *)(r0 + 0)
      out:
      exit`;
    expect(call(program)).toBe(42n);
    expect(map.lookup(key(2))).toEqual(value(42n));
    expect(call(program.replace('(r10 - 4) = 2', '(r10 - 4) = 4'))).toBe(0n);
  });

  it('a negative result of a helper is sign-extended', () => {
    expect(call('*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 3\nexit')).toBe(
      BigInt.asUintN(64, -22n),
    );
  });

  it('helpers see this CPU', () => {
    arena.u64[(arena.block(CPU) + CPU_CLOCK_NS) / 8] = 0xfedc_ba98_7654_3210n;
    expect(call('call 5\nexit')).toBe(0xfedc_ba98_7654_3210n);
    expect(call('call 8\nexit')).toBe(1n);
  });
});

describe('faults have a name, and leave the interpreter usable', () => {
  const end = BigInt(arena.u8.length);
  const memory = (slot: number, address: bigint, bytes: number) => ({
    code: 'INTERPRETER_MEMORY',
    slot,
    address,
    bytes,
  });
  const unsupported = (slot: number, what: string) => ({ code: 'INTERPRETER_UNSUPPORTED', slot, what });
  const rows: readonly (readonly [string, string, bigint, unknown])[] = [
    ['a load from NULL', 'r0 = *(u64 *)(r1 + 0)\nexit', 0n, memory(0, 0n, 8)],
    ['a load from a field of NULL', 'r0 = 0\nr0 = *(u8 *)(r1 + 65535)\nexit', 0n, memory(1, 65535n, 1)],
    ['a load past the arena', 'r0 = *(u64 *)(r1 + 0)\nexit', end - 7n, memory(0, end - 7n, 8)],
    ['a store past the arena', '*(u8 *)(r1 + 1) = 5\nexit', end - 1n, memory(0, end, 1)],
    [
      'an address over 32 bits',
      'r0 = *(u8 *)(r1 + 0)\nexit',
      scratch + 2n ** 32n,
      memory(0, scratch + 2n ** 32n, 1),
    ],
    ['an address below 0', 'r0 = *(u8 *)(r1 - 1)\nexit', 0n, memory(0, 2n ** 64n - 1n, 1)],
    ['an atomic past the arena', 'lock *(u64 *)(r1 + 0) += r2\nexit', end, memory(0, end, 8)],
    [
      'an atomic that is not aligned',
      'lock *(u64 *)(r1 + 4) += r2\nexit',
      scratch,
      { code: 'INTERPRETER_ALIGNMENT', slot: 0, address: scratch + 4n },
    ],
    [
      'a load-acquire that is not aligned',
      'r0 = load_acquire((u16 *)(r1 + 1))\nexit',
      scratch,
      { code: 'INTERPRETER_ALIGNMENT', slot: 0, address: scratch + 1n },
    ],
    ['a program without end', 'goto -1', 0n, { code: 'INTERPRETER_BUDGET', budget: 1000 }],
    ['a ninth frame', 'call f\nexit\nf:\ncall f\nexit', 0n, { code: 'INTERPRETER_FRAMES', slot: 2 }],
    ['a kernel variable', 'r1 = variable 7\nexit', 0n, unsupported(0, 'variable')],
    ['a map that is not there', 'r1 = map[1]\nexit', 0n, unsupported(0, 'map 1')],
    ['a helper that is not there', 'call 4242\nexit', 0n, unsupported(0, 'helper 4242')],
    ['a helper that is not offered', 'call 4\nexit', 0n, unsupported(0, 'helper bpf_probe_read')],
    [
      'a callback that is none',
      'r2 = 5\nr1 = 1\nr4 = 0\ncall 181\nexit',
      0n,
      { code: 'INTERPRETER_FUNCTION', slot: 3, address: 5n },
    ],
  ];
  for (const [name, text, r1, fault] of rows) {
    it(name, () => {
      const program = ready(text, 1000);
      expect(faultOf(() => program.call(r1, 0n))).toEqual(fault);
      expect(faultOf(() => program.call(r1, 0n))).toEqual(fault);
    });
  }

  it('the last bytes of the arena can be read', () => {
    arena.u8[arena.u8.length - 1] = 0x80;
    expect(call('r0 = *(s8 *)(r1 + 0)\nexit', end - 1n)).toBe(0xffff_ffff_ffff_ff80n);
  });

  it('a program may use its budget to the last instruction', () => {
    expect(ready('r0 = 1\nexit', 2).call(0n, 0n)).toBe(1n);
    expect(faultOf(() => ready('r0 = 1\nexit', 1).call(0n, 0n))).toEqual({
      code: 'INTERPRETER_BUDGET',
      budget: 1,
    });
  });

  it('eight frames can be', () => {
    const chain = Array.from(
      { length: 8 },
      (_, n) => `f${n}:\n${n < 7 ? `call f${n + 1}\nr0 += 1\n` : 'r0 = 1\n'}exit`,
    );
    expect(call(chain.join('\n'))).toBe(8n);
  });
});
