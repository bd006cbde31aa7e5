import { beforeEach, describe, expect, it } from 'vitest';
import { assemble } from '../../test/support/assembler.js';
import { concat } from '../../test/support/packets.js';
import { numbered, RedirectBed } from '../../test/support/redirect-bed.js';
import { XDP_TX } from '../bpf/engine/context.js';
import { compileProgram, instantiateProgram } from '../bpf/jit/compile.js';
import type { ArenaMap } from '../bpf/maps/registry.js';
import {
  CPU_PUMP,
  CPU_XDP_MD,
  MMSG_CAPACITY,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
  XDP_MD_INGRESS_IFINDEX,
} from '../bpf/memory/layout.js';
import { abandonClaims, inboxBytes } from './inbox.js';
import {
  INBOX_HEADER_BYTES,
  INBOX_SLOT_EXTRA_BYTES,
  INBOX_SLOTS,
  INBOX_TAIL,
  PUMP_INBOX_HEAD,
} from './layout.js';

const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const TX = 'r0 = 3\nexit';
const SLOT_BYTES = 2048 + INBOX_SLOT_EXTRA_BYTES;
const RING_FRAMES = 8;

describe('a frame for another worker', () => {
  let map: ArenaMap;
  let [first, second, third] = [] as unknown as [RedirectBed, RedirectBed, RedirectBed];

  beforeEach(() => {
    first = new RedirectBed({ workers: 3 });
    [second, third] = [1, 2].map((cpu) => new RedirectBed({ beside: first, cpu })) as [
      RedirectBed,
      RedirectBed,
    ];
    map = first.createMap('CPUMAP', 4);
  });

  /** Let frames for a worker run the program; it is in that worker's thread, where it is not left out. */
  const setTarget = (worker: number, code?: string, bed?: RedirectBed) => {
    const number = first.addProgram(undefined);
    const { wasm } = compileProgram(assemble(code ?? TX), []);
    bed?.runtime.programs.set(number, instantiateProgram(new WebAssembly.Module(wasm), bed.runtime));
    expect(map.update(u32(worker), u32(64, number))).toBe(0);
  };
  /** Have a worker receive frames and hand them to another. */
  const hand = (from: RedirectBed, to: number, frames: readonly Uint8Array[]) => {
    for (let at = 0; at < frames.length; at += RING_FRAMES) {
      const batch = frames.slice(at, at + RING_FRAMES);
      for (const frame of batch) {
        from.put(frame);
        from.steps.push((helpers) => helpers.bpf_redirect_map(BigInt(map.info.descriptor), BigInt(to), 0n));
      }
      expect(from.pump.run(64)).toBe(0);
      from.pump.release();
    }
  };
  /** Run a round; gives the bytes that it sends. */
  const round = (bed: RedirectBed, limit = 64) => {
    const count = bed.pump.run(limit);
    const sent = Array.from({ length: count }, (_, i) => bed.sent(i));
    bed.pump.release();
    return sent;
  };
  const frames = (count: number, from = 0) => Array.from({ length: count }, (_, i) => numbered(from + i));
  const lasts = (sent: readonly Uint8Array[]) => sent.map((bytes) => bytes.at(-1));

  it.each([
    ['XDP_TX', TX, 1, {}],
    ['XDP_PASS', 'r0 = 2\nexit', 0, { passed: 1 }],
    ['XDP_DROP', 'r0 = 1\nexit', 0, { dropped: 1 }],
    ['XDP_ABORTED', 'r0 = 0\nexit', 0, { aborted: 1 }],
    ['5', 'r0 = 5\nexit', 0, { invalid_verdict: 1 }],
  ] as const)("is that worker's to treat as the element's program says: %s", (_, code, sent, counted) => {
    setTarget(1, code, second);
    hand(first, 1, [numbered(7)]);
    expect(first.counters()).toMatchObject({ received: 1, handed_over: 1 });
    expect(second.pump.isReady()).not.toBe(0);
    expect(round(second)).toEqual(sent ? [numbered(7)] : []);
    expect(second.counters()).toEqual({ taken_over: 1, batches: 1, ...counted });
    expect(second.pump.isReady()).toBe(0);
  });

  it('goes on where the program redirects it: to an interface, or to a third worker', () => {
    setTarget(2, TX, third);
    setTarget(1, `r1 = 9\nr2 = 0\ncall 23\nexit`, second);
    hand(first, 1, [numbered(7)]);
    expect(second.pump.run(64)).toBe(1);
    expect(second.devices(1)).toEqual([9]);
    expect(second.sent(0)).toEqual(numbered(7));
    second.pump.release();

    const { wasm } = compileProgram(assemble('r1 = map[0]\nr2 = 2\nr3 = 0\ncall 51\nexit'), [map.info]);
    const number = first.addProgram(undefined);
    second.runtime.programs.set(number, instantiateProgram(new WebAssembly.Module(wasm), second.runtime));
    map.update(u32(1), u32(64, number));
    hand(first, 1, [numbered(8)]);
    expect(round(second)).toEqual([]);
    expect(round(third)).toEqual([numbered(8)]);
    expect(third.counters()).toMatchObject({ taken_over: 1 });
  });

  it('passes where the element has no program', () => {
    map.update(u32(1), u32(64, 0));
    hand(first, 1, [numbered(7)]);
    expect(round(second)).toEqual([]);
    expect(second.counters()).toEqual({ taken_over: 1, batches: 1, passed: 1 });
  });

  it('has nowhere to go where there is no such worker, or its thread does not have the program', () => {
    // CPU 3 is there, but runs no worker.
    setTarget(3);
    hand(first, 3, [numbered(7)]);
    expect(first.counters()).toMatchObject({ redirect_no_target: 1 });
    setTarget(1);
    hand(first, 1, [numbered(7)]);
    expect(round(second)).toEqual([]);
    expect(second.counters()).toEqual({ taken_over: 1, batches: 1, redirect_no_target: 1 });
  });

  it('may be for the worker itself', () => {
    setTarget(0, TX, first);
    hand(first, 0, frames(3));
    expect(round(first)).toEqual(frames(3));
    expect(first.counters()).toMatchObject({ handed_over: 3, taken_over: 3 });
  });

  it('that goes to all interfaces leaves room for the rest of the round', () => {
    const devices = first.createMap('DEVMAP', MMSG_CAPACITY);
    for (let i = 0; i < MMSG_CAPACITY; i++) devices.update(u32(i), u32(100 + i, 0));
    const { wasm } = compileProgram(assemble('r1 = map[0]\nr2 = 0\nr3 = 8\ncall 51\nexit'), [devices.info]);
    const number = first.addProgram(undefined);
    second.runtime.programs.set(number, instantiateProgram(new WebAssembly.Module(wasm), second.runtime));
    map.update(u32(1), u32(64, number));
    hand(first, 1, frames(1));
    for (const frame of frames(7, 100)) second.put(frame);
    second.steps = Array.from({ length: 7 }, () => () => BigInt(XDP_TX));
    expect(lasts(round(second, 8)).slice(-8)).toEqual([0, 100, 101, 102, 103, 104, 105, 106]);
    expect(second.counters()).toMatchObject({ redirect_overflow: 7 });
  });

  it('shows the program what the frame was, with metadata and room on both sides', () => {
    setTarget(1, TX, second);
    const frame = numbered(7);
    first.put(frame);
    first.steps = [
      (helpers) => {
        const context = first.block + CPU_XDP_MD;
        expect(helpers.bpf_xdp_adjust_meta(BigInt(context), -8n)).toBe(0n);
        first.arena.u8.set([1, 2, 3, 4, 5, 6, 7, 8], first.view.getUint32(context + XDP_MD_DATA_META, true));
        return helpers.bpf_redirect_map(BigInt(map.info.descriptor), 1n, 0n);
      },
    ];
    first.pump.run(64);
    first.pump.release();
    expect(round(second)).toEqual([frame]);
    const read = (field: number) => second.view.getUint32(second.block + CPU_XDP_MD + field, true);
    const [data, end, meta] = [read(XDP_MD_DATA), read(XDP_MD_DATA_END), read(XDP_MD_DATA_META)];
    expect(second.arena.u8.slice(meta, end)).toEqual(concat(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), frame));
    expect(data - meta).toBe(8);
    const slot = second.inboxes.offset + inboxBytes(2048) + INBOX_HEADER_BYTES;
    expect([read(XDP_MD_HARD_START), read(XDP_MD_HARD_END)]).toEqual([slot + 32, slot + SLOT_BYTES]);
    expect(read(XDP_MD_INGRESS_IFINDEX)).toBe(7);
  });

  it('may be as long as a slot, once it has grown in one', () => {
    // To the front and to the back, as far as it goes; then to the third worker.
    const number = first.addProgram(undefined);
    const grow = `
      r6 = r1
      r2 = -224
      call 44
      r1 = r6
      r2 = ${2048 - numbered(0).length}
      call 65
      r1 = map[0]
      r2 = 2
      r3 = 0
      call 51
      exit`;
    const { wasm } = compileProgram(assemble(grow), [map.info]);
    second.runtime.programs.set(number, instantiateProgram(new WebAssembly.Module(wasm), second.runtime));
    map.update(u32(1), u32(64, number));
    setTarget(2, TX, third);
    hand(first, 1, [numbered(7)]);
    round(second);
    const [sent] = round(third);
    expect(sent).toHaveLength(SLOT_BYTES - 32);
    expect(sent!.slice(224, 224 + numbered(7).length)).toEqual(numbered(7));
    const read = (field: number) => third.view.getUint32(third.block + CPU_XDP_MD + field, true);
    expect(read(XDP_MD_DATA_END)).toBe(read(XDP_MD_HARD_END));
  });

  describe('that finds no room', () => {
    it('is counted, until frames were taken and given back', () => {
      setTarget(1, TX, second);
      hand(first, 1, frames(INBOX_SLOTS + 3));
      expect(first.counters()).toMatchObject({ handed_over: INBOX_SLOTS, redirect_queue_full: 3 });
      expect(second.pump.run(8)).toBe(4);
      hand(first, 1, frames(1));
      expect(first.counters()).toMatchObject({ redirect_queue_full: 4 });
      second.pump.release();
      hand(third, 1, frames(5, 100));
      expect(third.counters()).toMatchObject({ handed_over: 4, redirect_queue_full: 1 });
      expect(lasts([...round(second), ...round(second), ...round(second)])).toEqual([
        ...Array.from({ length: INBOX_SLOTS - 4 }, (_, i) => i + 4),
        100,
        101,
        102,
        103,
      ]);
    });

    it.each([
      ['at the start', 0],
      ['where laps start anew', 2 ** 30 - INBOX_SLOTS * 2],
      ['where positions start anew', 2 ** 32 - INBOX_SLOTS * 2],
    ])('leaves the order of the others as it was, lap after lap: %s', (_, start) => {
      setTarget(1, TX, second);
      const inbox = second.inboxes.offset + inboxBytes(2048);
      second.view.setUint32(inbox + INBOX_TAIL, start, true);
      second.view.setUint32(second.block + CPU_PUMP + PUMP_INBOX_HEAD, start, true);
      for (let slot = 0; slot < INBOX_SLOTS; slot++) {
        const at = inbox + INBOX_HEADER_BYTES + slot * SLOT_BYTES;
        second.view.setUint32(at, ((start / INBOX_SLOTS) % 2 ** 24) * 256, true);
      }
      const got: (number | undefined)[] = [];
      const expected: (number | undefined)[] = [];
      for (let turn = 0; turn < 20; turn++) {
        // Full at some turns, and at some not.
        const count = turn % 3 === 2 ? 40 : INBOX_SLOTS + 3;
        hand(turn % 2 ? first : third, 1, frames(count, turn));
        expected.push(...lasts(frames(Math.min(count, INBOX_SLOTS), turn)));
        got.push(...lasts([...round(second), ...round(second)]));
      }
      expect(got).toEqual(expected);
    });
  });

  it("is not taken instead of the worker's own: half a round each", () => {
    setTarget(1, TX, second);
    hand(first, 1, frames(INBOX_SLOTS));
    for (const frame of frames(RING_FRAMES, 100)) second.put(frame);
    second.steps = Array.from({ length: RING_FRAMES }, () => () => BigInt(XDP_TX));
    expect(lasts(round(second, 8))).toEqual([0, 1, 2, 3, 100, 101, 102, 103]);
    expect(lasts(round(second, 8))).toEqual([4, 5, 6, 7, 104, 105, 106, 107]);
    expect(lasts(round(second, 8))).toEqual([8, 9, 10, 11]);
    expect(lasts(round(second, 1))).toEqual([12]);
  });

  describe('with a worker that dies', () => {
    it('taking it, is lost with those in hand; the others wait for the next thread', () => {
      setTarget(1, TX, second);
      hand(first, 1, frames(10));
      expect(second.pump.run(8)).toBe(4);
      const next = second.instantiate();
      setTarget(1, TX, second);
      next.recover();
      expect(second.counters()).toMatchObject({ lost_at_restart: 4 });
      second.pump = next;
      expect(round(second)).toEqual([]);
      // The frames name the program that they were sent to, which this thread does not have.
      expect(second.counters()).toMatchObject({ taken_over: 10, redirect_no_target: 6 });
      hand(first, 1, frames(2));
      expect(round(second)).toEqual(frames(2));
    });

    it.each([
      ['before it moved the tail on', 0],
      ['after it', 1],
    ])('filling it, %s, holds nobody up once its claims are given up', (_, moved) => {
      setTarget(1, TX, second);
      hand(first, 1, frames(2));
      // The third worker dies with its claim on the next slot.
      const inbox = second.inboxes.offset + inboxBytes(2048);
      second.view.setUint32(inbox + INBOX_HEADER_BYTES + 2 * SLOT_BYTES, 3, true);
      second.view.setUint32(inbox + INBOX_TAIL, 2 + moved, true);
      hand(first, 1, frames(2, 2));
      expect(lasts(round(second))).toEqual([0, 1]);
      expect(second.pump.isReady()).toBe(0);
      abandonClaims(second.arena.i32, second.inboxes, 0);
      expect(second.pump.isReady()).toBe(0);
      abandonClaims(second.arena.i32, second.inboxes, 2);
      expect(second.pump.isReady()).not.toBe(0);
      expect(lasts(round(second))).toEqual([2, 3]);
      expect(second.counters()).toMatchObject({ taken_over: 4 });
      // The slot serves again, in its turn.
      for (let lap = 0; lap < 3; lap++) {
        hand(third, 1, frames(INBOX_SLOTS / 2, 10));
        expect(round(second)).toEqual(frames(INBOX_SLOTS / 2, 10));
      }
    });
  });

  describe('wakes that worker', () => {
    it('once, where it says that it sleeps', () => {
      setTarget(1, TX, second);
      expect(second.pump.fallAsleep()).toBe(0);
      hand(first, 1, frames(5));
      hand(third, 1, frames(1));
      expect([first.pump.nextSleeper(), first.pump.nextSleeper()]).toEqual([1, -1]);
      expect(third.pump.nextSleeper()).toBe(-1);
    });

    it('not while it is awake', () => {
      setTarget(1, TX, second);
      second.pump.fallAsleep();
      second.pump.wakeUp();
      hand(first, 1, frames(5));
      expect(first.pump.nextSleeper()).toBe(-1);
    });

    it('not where a thread died in its sleep, and the next is at work', () => {
      setTarget(1, TX, second);
      second.pump.fallAsleep();
      second.instantiate();
      hand(first, 1, frames(5));
      expect(first.pump.nextSleeper()).toBe(-1);
    });

    it('not for a frame that found no room', () => {
      setTarget(1, TX, second);
      hand(first, 1, frames(INBOX_SLOTS));
      expect(first.pump.nextSleeper()).toBe(-1);
      second.pump.fallAsleep();
      hand(first, 1, frames(1));
      expect(first.pump.nextSleeper()).toBe(-1);
    });

    it('and each of several', () => {
      for (const [worker, bed] of [second, third].entries()) {
        setTarget(worker + 1, TX, bed);
        bed.pump.fallAsleep();
        hand(first, worker + 1, frames(1));
      }
      expect([0, 0, 0].map(() => first.pump.nextSleeper())).toEqual([1, 2, -1]);
    });

    it('which does not go to sleep when one is there already', () => {
      setTarget(1, TX, second);
      hand(first, 1, frames(1));
      expect(second.pump.fallAsleep()).not.toBe(0);
    });
  });
});
