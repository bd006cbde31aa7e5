import { readdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { missingRoot } from '../../test/support/capabilities.js';
import { addVeth, enterNamespace, sh } from '../../test/support/namespace.js';
import { QueueRings } from '../../test/support/xsk-frames.js';
import { Arena } from '../bpf/memory/arena.js';
import { findLink, type LinkInfo } from '../sys/socket.js';
import { AfXdpSockets, MAX_XSK_MTU, QueueTaken, queueBytes, xskShape } from './af-xdp.js';
import { XskIo } from './xsk-io.js';
import * as layout from './xsk-layout.js';

describe('a UMEM', () => {
  it.each([
    ['the least MTU of IPv6', 1280, 2048],
    ['the usual MTU', 1500, 2048],
    ['room for an outer header', 1600, 2048],
    ['the longest that two KiB hold', 2048 - 256 - 14 - 8, 2048],
    ['one byte more', 2048 - 256 - 14 - 8 + 1, 4096],
    ['the longest that a page holds', MAX_XSK_MTU, 4096],
    ['one byte more than a page holds', MAX_XSK_MTU + 1, undefined],
    ['jumbo frames', 9000, undefined],
  ])('for %s (%i) has chunks of %s bytes', (_, mtu, frameBytes) => {
    expect(xskShape(mtu)?.frameBytes).toBe(frameBytes);
  });

  it('and its rings take whole pages of every size', () => {
    for (const mtu of [1500, 3000]) expect(queueBytes(xskShape(mtu)!) % 65_536).toBe(0);
  });
});

describe.skipIf(missingRoot)(`AF_XDP sockets${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  const shape = xskShape(1600)!;
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const arenaFor = (queues: number) =>
    Arena.create({ workers: 1, mapsBytes: 0, ringsBytes: queues * queueBytes(shape) });
  let link: LinkInfo;

  beforeAll(() => {
    enterNamespace();
    link = addVeth('xs0', 'xs1', { mtu: 1600 });
  });

  it('begin with every frame in the fill ring, and the others empty', async () => {
    const arena = arenaFor(1);
    const before = descriptors();
    const sockets = await AfXdpSockets.open(arena, link, shape, 1, 64);
    const [queue] = sockets.queues;
    expect(queue).toMatchObject({ queue: 0, isZeroCopy: false, state: arena.rings.offset });
    const rings = new QueueRings(arena, queue!.state);
    expect(rings.chunks('fill')).toEqual(rings.everyChunk);
    expect(rings.everyChunk).toHaveLength(shape.frames);
    for (const ring of ['completion', 'rx', 'tx'] as const) expect(rings.chunks(ring)).toEqual([]);
    expect(rings.word(layout.XSK_MAX_BYTES)).toBe(1614);
    sockets.close();
    sockets.close();
    expect(descriptors()).toBe(before);
    // Ordinary memory again, and nothing of the kernel's in it.
    expect(rings.chunks('fill')).toEqual([]);
  });

  it('wait for a queue that was given up a moment ago', async () => {
    for (let i = 0; i < 3; i++) (await AfXdpSockets.open(arenaFor(1), link, shape, 1, 64)).close();
  });

  it('are not to be had for a queue that another has, or that is not there; nothing stays open', async () => {
    const before = descriptors();
    const taken = await AfXdpSockets.open(arenaFor(1), link, shape, 1, 64);
    const refusal: unknown = await AfXdpSockets.open(arenaFor(1), link, shape, 1, 64).catch((error) => error);
    expect(refusal).toBeInstanceOf(QueueTaken);
    expect(refusal).toMatchObject({ queue: 0, fault: { errno: 'EBUSY' } });
    taken.close();
    await expect(AfXdpSockets.open(arenaFor(2), link, shape, 2, 64)).rejects.toMatchObject({
      code: 'SYS_CALL',
      fault: { call: 'bind AF_XDP', errno: 'EINVAL' },
    });
    expect(descriptors()).toBe(before);
  });

  it('tell once that their interface is gone, though a wait for them ends as any other', async () => {
    const queues = 2;
    sh(`ip link add xs2 numrxqueues ${queues} numtxqueues ${queues} type veth peer name xs3`);
    sh('ip link set xs2 mtu 1600 up');
    const arena = arenaFor(queues);
    const sockets = await AfXdpSockets.open(arena, findLink('xs2')!, shape, queues, 64);
    const io = new XskIo({
      fds: sockets.queues.map(({ fd }) => fd),
      memory: arena.memory,
      block: arena.block(0),
      base: sockets.base,
    });
    expect([io.wait(1), io.takeError()]).toEqual([false, undefined]);
    sh('ip link del xs2');
    expect([io.wait(1), io.takeError()]).toEqual([false, 'ENETDOWN']);
    expect([io.wait(1), io.takeError()]).toEqual([false, undefined]);
    sockets.close();
  });
});
