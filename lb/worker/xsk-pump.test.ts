import { describe, expect, it } from 'vitest';
import { type Endpoints, udpFrame } from '../../test/support/packets.js';
import { FRAME_BYTES, FRAMES, IFINDEX, MAX_BYTES, XskBed } from '../../test/support/xsk-bed.js';
import { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX } from '../bpf/engine/context.js';
import {
  CPU_REDIRECT,
  REDIRECT_MAP,
  REDIRECT_TARGET,
  XDP_MD_DATA,
  XDP_MD_DATA_META,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
  XDP_MD_INGRESS_IFINDEX,
  XDP_MD_RX_QUEUE_INDEX,
} from '../bpf/memory/layout.js';
import * as layout from '../io/xsk-layout.js';
import { XSK_HEADROOM_BYTES } from '../sys/xsk.js';
import type { WorkerCounter } from './counters.js';

const ENDS: Endpoints = { src: '203.0.113.77', dst: '198.51.100.10', sport: 31337, dport: 80 };
/** A frame whose last byte is a number, so that order shows. */
const numbered = (n: number) => udpFrame(ENDS, { data: Uint8Array.of(0, n) });
const BYTES = numbered(0).length;
const numberOf = (frame: Uint8Array) => frame.at(-1);

/** Every frame is in one ring, once. */
const expectAllFrames = (bed: XskBed) => {
  for (const { rings } of bed.queues) expect(rings.allChunks()).toEqual(rings.everyChunk);
};

describe('a verdict', () => {
  const rows: readonly (readonly [name: string, verdict: number, counter: WorkerCounter])[] = [
    ['XDP_ABORTED', XDP_ABORTED, 'aborted'],
    ['XDP_DROP', XDP_DROP, 'dropped'],
    ['XDP_PASS', XDP_PASS, 'passed_lost'],
    ['XDP_REDIRECT', XDP_REDIRECT, 'redirect_no_target'],
    ['5', 5, 'invalid_verdict'],
    ['0xffffffff', 0xffffffff, 'invalid_verdict'],
  ];
  it.each(rows)('%s gives the frame back to the kernel and is counted', (_, verdict, counter) => {
    const bed = new XskBed(() => verdict);
    bed.queue.receive(numbered(1));
    bed.pump.run(0, 64);
    expect(bed.queue.rings.chunks('fill')).toHaveLength(FRAMES);
    expect(bed.queue.rings.chunks('fill').at(-1)).toBe(0);
    expect(bed.queue.send()).toEqual([]);
    expect(bed.counters()).toEqual({
      received: 1,
      received_bytes: BYTES,
      batches: 1,
      program_runs: 1,
      [counter]: 1,
    });
    expectAllFrames(bed);
  });

  it('XDP_TX sends the frame where it lies, from where the program moved its start to', () => {
    const bed = new XskBed((context) => {
      context.adjustHead(-20);
      return XDP_TX;
    });
    bed.queue.receive(numbered(1));
    bed.pump.run(0, 64);
    const { rings } = bed.queue;
    const desc = rings.entry('tx', 0);
    expect(bed.arena.u32[desc / 4]).toBe(XSK_HEADROOM_BYTES - 20);
    const [sent] = bed.queue.send();
    expect(sent?.subarray(20)).toEqual(numbered(1));
    bed.pump.countSent(0, 0);
    expect(bed.counters()).toMatchObject({ transmitted: 1, transmitted_bytes: BYTES + 20 });
    expectAllFrames(bed);
  });

  it('XDP_REDIRECT by its own interface is XDP_TX; by another, or to a map, it is refused under a name', () => {
    const way = { map: 0, target: IFINDEX };
    const bed: XskBed = new XskBed(() => {
      const words = (bed.arena.block(0) + CPU_REDIRECT) / 4;
      bed.arena.u32[words + REDIRECT_MAP / 4] = way.map;
      bed.arena.u32[words + REDIRECT_TARGET / 4] = way.target;
      return XDP_REDIRECT;
    });
    for (const [map, target] of [
      [0, IFINDEX],
      [0, IFINDEX + 1],
      [4096, 1],
    ] as const) {
      Object.assign(way, { map, target });
      bed.queue.receive(numbered(target));
      bed.pump.run(0, 64);
    }
    expect(bed.queue.send().map(numberOf)).toEqual([IFINDEX]);
    expect(bed.counters()).toMatchObject({ redirect_unsupported: 2 });
    expectAllFrames(bed);
  });
});

describe('the program', () => {
  it('sees the frame, its chunk, its queue and its interface', () => {
    const seen: number[][] = [];
    const bed = new XskBed(({ read, frame }) => {
      expect(numberOf(frame())).toBe(9);
      const data = read(XDP_MD_DATA);
      seen.push([
        data - read(XDP_MD_HARD_START),
        read(XDP_MD_HARD_END) - data,
        read(XDP_MD_DATA_META) - data,
        read(XDP_MD_INGRESS_IFINDEX),
        read(XDP_MD_RX_QUEUE_INDEX),
      ]);
      return XDP_DROP;
    }, 2);
    for (const [i, queue] of bed.queues.entries()) {
      queue.receive(numbered(9));
      bed.pump.run(i, 64);
    }
    const chunk = [XSK_HEADROOM_BYTES, FRAME_BYTES - XSK_HEADROOM_BYTES, 0, IFINDEX];
    expect(seen).toEqual([
      [...chunk, 0],
      [...chunk, 1],
    ]);
  });

  it.each([
    ['as long as the MTU allows', MAX_BYTES, '', true],
    ['longer', MAX_BYTES + 1, '', false],
    ['longer by a VLAN tag, with one', MAX_BYTES + 4, '8100', true],
    ['longer by a service tag, with one', MAX_BYTES + 4, '88a8', true],
    ['longer by more than a tag', MAX_BYTES + 5, '8100', false],
  ])('makes a frame that is %s', (_, bytes, type, isSent) => {
    const bed = new XskBed();
    const frame = new Uint8Array(bytes).fill(1);
    if (type !== '') frame.set(Buffer.from(type, 'hex'), 12);
    bed.queue.receive(frame);
    bed.pump.run(0, 64);
    expect(bed.queue.send()).toHaveLength(isSent ? 1 : 0);
    expect(bed.counters().send_too_long ?? 0).toBe(isSent ? 0 : 1);
    expectAllFrames(bed);
  });
});

describe('the rings', () => {
  it('turn over and over without losing or doubling a frame, in the order of arrival', () => {
    const bed = new XskBed(({ frame }) => (numberOf(frame())! % 3 === 0 ? XDP_DROP : XDP_TX));
    const came: (number | undefined)[] = [];
    const given: number[] = [];
    for (let n = 0; n < 250; n++) {
      if (bed.queue.receive(numbered(n))) given.push(n);
      if (n % 5 === 4) bed.pump.run(0, 3);
      if (n % 7 === 6) came.push(...bed.queue.send(4).map(numberOf));
      expectAllFrames(bed);
    }
    for (let i = 0; i < FRAMES; i++) bed.pump.run(0, 64);
    came.push(...bed.queue.send().map(numberOf));
    expect(given.length).toBeGreaterThan(100);
    expect(came).toEqual(given.filter((n) => n % 3 !== 0));
    bed.pump.run(0, 0);
    expect(bed.queue.rings.chunks('fill')).toHaveLength(FRAMES);
    expect(bed.counters()).toMatchObject({
      received: given.length,
      transmitted: came.length,
      dropped: given.length - came.length,
    });
  });

  it('go on past the end of their 32-bit positions', () => {
    const bed = new XskBed();
    for (const ring of ['fill', 'completion', 'rx', 'tx'] as const) {
      for (const end of ['producer', 'consumer'] as const) {
        const before = bed.queue.rings.position(ring, end);
        bed.queue.rings.setPosition(ring, end, before - 16);
      }
    }
    bed.arena.u32[(bed.queue.rings.state + layout.XSK_TX_COUNTED) / 4] = -16;
    for (let n = 0; n < 40; n++) {
      expect(bed.queue.receive(numbered(n))).toBe(true);
      bed.pump.run(0, 64);
      expect(bed.queue.send().map(numberOf)).toEqual([n]);
      expectAllFrames(bed);
    }
    bed.pump.countSent(0, 0);
    expect(bed.counters()).toMatchObject({ received: 40, transmitted: 40 });
  });

  it('no more than the limit at a time, and what waits is seen', () => {
    const bed = new XskBed(undefined, 2);
    expect(bed.pump.isReady()).toBe(0);
    for (let n = 0; n < 5; n++) bed.queues[1]!.receive(numbered(n));
    expect(bed.pump.isReady()).toBe(1);
    bed.pump.run(1, 3);
    expect([bed.pump.unsent(0), bed.pump.unsent(1), bed.pump.isReady()]).toEqual([0, 3, 1]);
    bed.pump.run(1, 3);
    expect([bed.pump.unsent(1), bed.pump.isReady()]).toEqual([5, 0]);
  });

  it('are settled when all is sent and the kernel has frames to fill', () => {
    const bed = new XskBed();
    expect(bed.pump.isSettled()).toBe(1);
    for (let n = 0; n <= FRAMES / 2; n++) bed.queue.receive(numbered(n));
    bed.pump.run(0, 64);
    expect(bed.pump.isSettled()).toBe(0);
    bed.queue.send();
    // Sent, and not yet given back to the kernel.
    expect(bed.pump.isSettled()).toBe(0);
    bed.pump.run(0, 0);
    expect(bed.pump.isSettled()).toBe(1);
  });

  it('are settled when the driver has taken every fill entry', () => {
    const bed = new XskBed();
    const { rings } = bed.queue;
    rings.setPosition('fill', 'consumer', rings.position('fill', 'producer'));
    expect(bed.pump.isSettled()).toBe(1);
  });

  it.each([
    [FRAMES / 2 - 1, 1],
    [FRAMES / 2, 0],
    [FRAMES, 0],
  ])(
    `past the end of their positions, with %i of ${FRAMES} frames on the way out: %i`,
    (count, isSettled) => {
      const bed = new XskBed();
      const { rings } = bed.queue;
      for (const ring of ['fill', 'completion', 'rx', 'tx'] as const) {
        for (const end of ['producer', 'consumer'] as const)
          rings.setPosition(ring, end, rings.position(ring, end) - FRAMES);
      }
      bed.arena.u32[(rings.state + layout.XSK_TX_COUNTED) / 4] = -FRAMES;
      // Close to the end, so that some positions go past it and others do not.
      for (let n = 0; n < FRAMES - 2; n++) {
        bed.queue.receive(numbered(n));
        bed.pump.run(0, 64);
        bed.queue.send();
        bed.pump.run(0, 0);
      }
      for (let n = 0; n < count; n++) bed.queue.receive(numbered(n));
      bed.pump.run(0, 64);
      bed.queue.send();
      expect(rings.chunks('completion')).toHaveLength(count);
      expect(bed.pump.isSettled()).toBe(isSettled);
      // A new thread finds it so too, and gives back what was sent.
      const next = bed.instantiate();
      expect(next.isSettled()).toBe(isSettled);
      next.recover();
      expect(next.isSettled()).toBe(1);
      expectAllFrames(bed);
    },
  );

  it('say when the kernel waits to be called', () => {
    const bed = new XskBed();
    const asked = () => [bed.pump.mustKickSend(0), bed.pump.mustKickReceive(0)];
    expect(asked()).toEqual([0, 0]);
    bed.queue.setFlags('tx', layout.RING_NEED_WAKEUP);
    expect(asked()).toEqual([1, 0]);
    bed.queue.setFlags('fill', layout.RING_NEED_WAKEUP);
    expect(asked()).toEqual([1, 1]);
  });

  it('count what the device refused as that, and not as sent', () => {
    const bed = new XskBed();
    for (let n = 0; n < 3; n++) bed.queue.receive(numbered(n));
    bed.pump.run(0, 64);
    bed.queue.send(2);
    bed.pump.countSent(0, 1);
    bed.queue.send();
    bed.pump.countSent(0, 0);
    expect(bed.counters()).toMatchObject({
      transmitted: 2,
      transmitted_bytes: 2 * BYTES,
      send_queue_full: 1,
    });
  });

  it("count the kernel's drops once, whoever reads them", () => {
    const bed = new XskBed();
    bed.pump.countDrops(0, 5n);
    bed.pump.countDrops(0, 5n);
    bed.pump = bed.instantiate();
    bed.pump.countDrops(0, 7n);
    expect(bed.counters()).toEqual({ ring_full: 7 });
  });
});

describe('a thread that died', () => {
  it.each([0, 1, 2, 3, 4])(
    'at frame %i of a batch loses what it had taken, and no frame of the UMEM',
    (at) => {
      let n = 0;
      const bed = new XskBed(() => {
        if (n++ === at) throw new Error('died');
        return XDP_TX;
      });
      for (let i = 0; i < 5; i++) bed.queue.receive(numbered(i));
      expect(() => bed.pump.run(0, 64)).toThrow('died');
      const next = bed.instantiate(() => XDP_TX);
      next.recover();
      expectAllFrames(bed);
      next.run(0, 64);
      expect(bed.queue.send().map(numberOf)).toEqual([0, 1, 2, 3, 4].slice(at + 1));
      next.countSent(0, 0);
      expectAllFrames(bed);
      const { lost_at_restart, received = 0 } = bed.counters();
      expect([lost_at_restart, received]).toEqual([at + 1, 4 - at]);
    },
  );

  /** Ends of the rings that a worker moves, in the order in which it does. */
  const ENDS_MOVED = [
    ['tx', 'producer'],
    ['fill', 'producer'],
    ['rx', 'consumer'],
    ['completion', 'consumer'],
  ] as const;

  it.each([0, 1, 2, 3, 4])(
    'after %i of the four ends of the rings were moved has its batch finished',
    (moved) => {
      const bed = new XskBed(({ frame }) => (numberOf(frame())! % 2 === 0 ? XDP_TX : XDP_DROP));
      const { rings } = bed.queue;
      bed.queue.receive(numbered(0));
      bed.pump.run(0, 64);
      bed.queue.send();
      for (let i = 1; i < 6; i++) bed.queue.receive(numbered(i));
      const before = ENDS_MOVED.map(([ring, end]) => rings.position(ring, end));
      bed.pump.run(0, 64);
      const after = ENDS_MOVED.map(([ring, end]) => rings.position(ring, end));
      expect(after).not.toEqual(before);
      // As it is in the middle of it.
      for (const [i, [ring, end]] of ENDS_MOVED.entries())
        if (i >= moved) rings.setPosition(ring, end, before[i]!);
      bed.arena.u32[(rings.state + layout.XSK_COMMIT) / 4] = 1;
      bed.arena.u32[(rings.state + layout.XSK_TAKEN) / 4] = 5;
      const next = bed.instantiate();
      next.recover();
      expect(ENDS_MOVED.map(([ring, end]) => rings.position(ring, end))).toEqual(after);
      expectAllFrames(bed);
      expect(bed.queue.send().map(numberOf)).toEqual([2, 4]);
      expect(bed.counters()).not.toHaveProperty('lost_at_restart');
      // Nothing is done twice.
      next.recover();
      next.run(0, 64);
      expectAllFrames(bed);
    },
  );

  it('with nothing in hand loses nothing', () => {
    const bed = new XskBed();
    bed.queue.receive(numbered(0));
    bed.pump.run(0, 64);
    bed.queue.send();
    bed.queue.receive(numbered(1));
    const next = bed.instantiate();
    next.recover();
    next.run(0, 64);
    expect(bed.queue.send().map(numberOf)).toEqual([1]);
    expect(bed.counters()).not.toHaveProperty('lost_at_restart');
    expectAllFrames(bed);
  });
});
