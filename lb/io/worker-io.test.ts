import { readdirSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { missingRoot } from '../../test/support/capabilities.js';
import { addVeth, enterNamespace, sh, Wire } from '../../test/support/namespace.js';
import { concat, udpFrame } from '../../test/support/packets.js';
import { Arena } from '../bpf/memory/arena.js';
import { CPU_IOVECS, CPU_MMSGHDRS, CPU_TIMESPEC, IOVEC_BYTES, MMSGHDR_BYTES } from '../bpf/memory/layout.js';
import { EAGAIN, EMSGSIZE, ENOBUFS, SysError } from '../sys/libc.js';
import { addressOfMemory, unmapFrom } from '../sys/mmap.js';
import { findLink, type LinkInfo } from '../sys/socket.js';
import { AfPacketSockets, ringShape, ringsBytes } from './af-packet.js';
import { isQueueFull, sendFaultOf, WorkerIo } from './worker-io.js';

const DEVICE = 'io0';
const MTU = 1600;
const FRAME = udpFrame({ src: '203.0.113.1', dst: '192.0.2.1', sport: 1, dport: 2 });
/** Past what the interface takes: Ethernet header, room for a VLAN tag, MTU. */
const TOO_LONG = concat(FRAME, new Uint8Array(MTU));

describe('a refusal to send', () => {
  it.each([
    [EAGAIN, 'queue-full', 'EAGAIN', true],
    [ENOBUFS, 'queue-full', 'ENOBUFS', false],
    [EMSGSIZE, 'too-long', 'EMSGSIZE', false],
    [100, 'refused', 'ENETDOWN', false],
    [9, 'refused', 'EBADF', false],
    [4095, 'refused', undefined, false],
  ] as const)('of errno %i is %s', (errno, kind, name, isWorthWaiting) => {
    const fault = sendFaultOf(errno);
    expect(fault.kind).toBe(kind);
    if (name !== undefined) expect(fault.name).toBe(name);
    expect(isQueueFull(errno)).toBe(isWorthWaiting);
  });
});

describe.skipIf(missingRoot)(`the sockets of a worker${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  const shape = ringShape(MTU);
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const lines = () => sh('cat /proc/net/packet').trim().split('\n').length - 1;
  let link: LinkInfo;
  let arena: Arena;
  let sockets: AfPacketSockets;
  let io: WorkerIo;
  let wire: Wire;
  let view: DataView;

  beforeAll(() => {
    enterNamespace();
    link = addVeth(DEVICE, 'io1', { mtu: MTU });
  });

  beforeEach(() => {
    arena = Arena.create({ workers: 1, mapsBytes: 0, ringsBytes: ringsBytes(MTU, 1) });
    view = new DataView(arena.memory.buffer);
    sockets = AfPacketSockets.open(arena, link, 1);
    const { receiver, sender, doorbell } = sockets.workers[0]!;
    io = new WorkerIo({
      receiver,
      sender,
      doorbell,
      doorbells: [doorbell],
      memory: arena.memory,
      block: arena.block(0),
      base: sockets.base,
    });
    wire = new Wire('io1');
  });

  afterEach(() => {
    sockets.close();
    wire.close();
  });

  const frameAt = (index: number) => sockets.workers[0]!.ring + index * shape.frameBytes;
  const statusOf = (index: number) => Atomics.load(arena.u32, frameAt(index) / 4);
  /** The Ethernet frame that the kernel left in a frame of the ring. */
  const received = (index: number) => {
    const at = frameAt(index);
    const mac = view.getUint16(at + 12, true);
    return arena.u8.slice(at + mac, at + mac + view.getUint32(at + 8, true));
  };
  /** Fill the message array with frames that lie at the end of the ring. */
  const prepare = (frames: readonly Uint8Array[]) => {
    const block = arena.block(0);
    frames.forEach((frame, i) => {
      // Behind the frame's header: the kernel looks at the status of frames.
      const at = frameAt(shape.frames - 1 - i) + 256;
      arena.u8.set(frame, at);
      const vector = block + CPU_IOVECS + i * IOVEC_BYTES;
      view.setBigUint64(vector, sockets.base + BigInt(at), true);
      view.setBigUint64(vector + 8, BigInt(frame.length), true);
      const message = block + CPU_MMSGHDRS + i * MMSGHDR_BYTES;
      view.setBigUint64(message + 16, sockets.base + BigInt(vector), true);
      view.setBigUint64(message + 24, 1n, true);
    });
  };
  /** Frames by their last byte. */
  const numbered = (n: number) => concat(FRAME, Uint8Array.of(n));

  it('find the interface', () => {
    expect(findLink(DEVICE)).toEqual({
      name: DEVICE,
      index: link.index,
      mtu: MTU,
      mac: Uint8Array.of(0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee),
      isUp: true,
      isEthernet: true,
    });
    expect(findLink('io-none')).toBeUndefined();
    expect(findLink('')).toBeUndefined();
    expect(findLink('a-name-too-long-for-one')).toBeUndefined();
  });

  it('receive nothing before the start, and each frame in the arena after it', () => {
    wire.send(numbered(1));
    expect(io.wait(0)).toBe(false);
    sockets.start(link.index);
    expect(io.wait(0)).toBe(false);
    wire.send(numbered(2));
    wire.send(numbered(3));
    expect(io.wait(1000)).toBe(true);
    expect([received(0), received(1)]).toEqual([numbered(2), numbered(3)]);
    expect([statusOf(0) & 1, statusOf(1) & 1, statusOf(2)]).toEqual([1, 1, 0]);
  });

  it('leave room before a frame for the longest outer header and a tag', () => {
    sockets.start(link.index);
    wire.send(FRAME);
    io.wait(1000);
    expect(view.getUint16(frameAt(0) + 12, true)).toBeGreaterThanOrEqual(32 + 20 + 40 + 4);
  });

  it('end a wait when another worker rings, once', () => {
    io.wake(0);
    io.wake(0);
    expect(io.wait(1000)).toBe(true);
    expect(io.wait(0)).toBe(false);
    expect(io.takeError()).toBeUndefined();
  });

  it('wait no longer than they are told to', () => {
    sockets.start(link.index);
    const start = performance.now();
    expect(io.wait(50)).toBe(false);
    expect(performance.now() - start).toBeGreaterThanOrEqual(49);
    expect(io.takeError()).toBeUndefined();
  });

  it('read the monotonic clock', () => {
    const before = process.hrtime.bigint();
    io.readClock();
    const after = process.hrtime.bigint();
    const at = arena.block(0) + CPU_TIMESPEC;
    const ns = view.getBigUint64(at, true) * 1_000_000_000n + view.getBigUint64(at + 8, true);
    expect(ns >= before && ns <= after).toBe(true);
  });

  it('send frames from where they lie, in order', () => {
    const frames = Array.from({ length: 64 }, (_, i) => numbered(i));
    prepare(frames);
    expect(io.send(0, 64)).toBe(64);
    expect(wire.received()).toEqual(frames);
    expect(io.send(10, 12)).toBe(2);
    expect(wire.received()).toEqual(frames.slice(10, 12));
  });

  it('do not receive what they send', () => {
    sockets.start(link.index);
    prepare([FRAME]);
    io.send(0, 1);
    expect(io.wait(50)).toBe(false);
  });

  it('take the frames before one that is too long, and say so of that one', () => {
    const frames = [numbered(0), numbered(1), TOO_LONG, numbered(3)];
    prepare(frames);
    expect(io.send(0, 4)).toBe(2);
    expect(io.send(2, 4)).toBe(-EMSGSIZE);
    expect(io.send(3, 4)).toBe(1);
    expect(wire.received()).toEqual([frames[0], frames[1], frames[3]]);
  });

  it('have room to send', () => {
    const start = performance.now();
    io.waitForRoom(5000);
    expect(performance.now() - start).toBeLessThan(4000);
  });

  it('count what the ring had no room for, once', () => {
    sockets.start(link.index);
    for (let i = 0; i < shape.frames + 7; i++) wire.send(FRAME);
    expect(statusOf(shape.frames - 1) & 1).toBe(1);
    expect(io.readRingDrops()).toBe(7);
    expect(io.readRingDrops()).toBe(0);
  });

  it('say once that the link went down, and receive when it is up again', () => {
    sockets.start(link.index);
    sh(`ip link set ${DEVICE} down`);
    expect(io.wait(1000)).toBe(false);
    expect(io.takeError()).toBe('ENETDOWN');
    expect(io.wait(20)).toBe(false);
    expect(io.takeError()).toBeUndefined();
    prepare([FRAME]);
    expect(sendFaultOf(-io.send(0, 1))).toEqual({ kind: 'refused', name: 'ENETDOWN' });
    sh(`ip link set ${DEVICE} up`);
    wire.send(numbered(9));
    expect(io.wait(1000)).toBe(true);
    expect(received(0)).toEqual(numbered(9));
  });

  it('share the frames of an interface by flow', () => {
    const bed = Arena.create({ workers: 2, mapsBytes: 0, ringsBytes: ringsBytes(MTU, 2) });
    const pair = AfPacketSockets.open(bed, link, 2);
    try {
      pair.start(link.index);
      const flow = (sport: number) => udpFrame({ src: '203.0.113.1', dst: '192.0.2.1', sport, dport: 2 });
      for (let round = 0; round < 4; round++) for (let i = 0; i < 64; i++) wire.send(flow(1000 + i));
      const counts = pair.workers.map(({ ring }) => {
        const perFlow = new Map<number, number>();
        for (let at = ring; Atomics.load(bed.u32, at / 4) !== 0; at += shape.frameBytes) {
          const data = at + new DataView(bed.memory.buffer).getUint16(at + 12, true);
          const sport = (bed.u8[data + 34]! << 8) | bed.u8[data + 35]!;
          perFlow.set(sport, (perFlow.get(sport) ?? 0) + 1);
        }
        return perFlow;
      });
      // Each flow whole on one of them, and both have some.
      expect(counts[0]!.size + counts[1]!.size).toBe(64);
      expect(counts.flatMap((perFlow) => [...perFlow.values()])).toEqual(Array.from({ length: 64 }, () => 4));
      expect(Math.min(counts[0]!.size, counts[1]!.size)).toBeGreaterThan(8);
    } finally {
      pair.close();
    }
  });

  it('are gone when closed, with ordinary memory in the place of the ring', () => {
    sockets.start(link.index);
    wire.send(FRAME);
    const before = [lines(), descriptors()] as const;
    sockets.close();
    sockets.close();
    expect([lines(), descriptors()]).toEqual([before[0] - 2, before[1] - 3]);
    expect(statusOf(0)).toBe(0);
    arena.u8[frameAt(0)] = 7;
    expect(arena.u8[frameAt(0)]).toBe(7);
  });

  it('leave nothing open when one of them cannot be had', () => {
    const before = [lines(), descriptors()];
    const twoWorkers = Arena.create({ workers: 2, mapsBytes: 0, ringsBytes: ringsBytes(MTU, 2) });
    const open = () => AfPacketSockets.open(twoWorkers, { ...link, index: 1_000_000 }, 2);
    expect(open).toThrow(SysError);
    expect([lines(), descriptors()]).toEqual(before);
  });

  it('say what could not be mapped', () => {
    const address = addressOfMemory(arena.memory);
    expect(() => unmapFrom(address + 1n, 4096)).toThrow(
      'mapping memory over a ring (4096 bytes) failed: EINVAL',
    );
  });
});
