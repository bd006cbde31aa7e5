import { beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../demo/lines.js';
import { missingRoot } from '../../test/support/capabilities.js';
import { flowFrame, VIP } from '../../test/support/datapath-bed.js';
import { addVeth, enterNamespace, sh, Wire } from '../../test/support/namespace.js';
import { concat, fromHex, hex } from '../../test/support/packets.js';
import { balancerObject, withOptions } from '../balancer/object.js';
import { exactVipBytes } from '../balancer/vip-key.js';
import { ArenaMaps } from '../bpf/maps/registry.js';
import { Arena } from '../bpf/memory/arena.js';
import { steerObject } from '../steer-object.js';
import { findLink } from '../sys/socket.js';
import { Steering } from './steering.js';

describe.skipIf(missingRoot)(`steering${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  const object = steerObject(balancerObject());
  const log: unknown[] = [];
  const record = (level: string, message: string) => void log.push([level, message]);
  beforeAll(enterNamespace);

  /** With one VIP, in its own maps and in copies. */
  const load = () => {
    const steering = Steering.load(object);
    const spec = object.maps.find(({ name }) => name === 'vip_map')!;
    const host = new ArenaMaps(Arena.create({ workers: 1, mapsBytes: 2 ** 20, ringsBytes: 0 }));
    const vips = steering.mirror(new Map([['vip_map', host.createMap(spec)]])).get('vip_map')!;
    const write = (isThere: boolean) =>
      isThere ? vips.update(exactVipBytes(VIP), new Uint8Array(8)) : vips.delete(exactVipBytes(VIP));
    return { steering, write };
  };

  it('drops and counts what is for the balancer while its queue has no socket, and nothing else', async () => {
    addVeth('st0', 'st1');
    const { steering, write } = load();
    const [wire, host] = [new Wire('st1'), new Wire('st0')];
    steering.attach(findLink('st0')!, record);
    const seenBy = async (frame: Uint8Array) =>
      hex(await until('the frame', () => host.received()[0])) === hex(frame);
    wire.send(flowFrame(1));
    expect(await seenBy(flowFrame(1))).toBe(true);
    expect(write(true)).toBe(0);
    for (let i = 0; i < 10; i++) wire.send(flowFrame(i));
    await until('the count', () => steering.noSocket() === 10n);
    // Other options, the same maps.
    const other = steerObject(withOptions(balancerObject(), { vlanTags: false }));
    await steering.replace(other, other, async () => undefined);
    wire.send(flowFrame(1));
    await until('the count', () => steering.noSocket() === 11n);
    expect(host.received()).toEqual([]);
    expect(write(false)).toBe(0);
    wire.send(flowFrame(2));
    expect(await seenBy(flowFrame(2))).toBe(true);
    expect([steering.noSocket(), log]).toEqual([11n, []]);
    steering.close();
    steering.close();
    expect(sh('ip link show st0')).not.toContain('xdp');
    wire.close();
    host.close();
  });

  it('takes, while a balancer with other options takes over, what both do', async () => {
    addVeth('sw0', 'sw1');
    const { steering, write } = load();
    const [wire, host] = [new Wire('sw1'), new Wire('sw0')];
    expect(write(true)).toBe(0);
    steering.attach(findLink('sw0')!, record);
    const tagged = (flow: number) => {
      const frame = flowFrame(flow);
      return concat(frame.subarray(0, 12), fromHex('81000005'), frame.subarray(12));
    };
    let flow = 0;
    /** What of a frame with a tag, and of one without, is steered. */
    const steered = async () => {
      const before = steering.noSocket();
      let left = 0;
      wire.send(tagged(++flow));
      wire.send(flowFrame(flow));
      await until('both', () => {
        left += host.received().length;
        return Number(steering.noSocket() - before) + left === 2;
      });
      return 2 - left;
    };
    const [on, off] = [balancerObject(), withOptions(balancerObject(), { vlanTags: false })];
    const change = async (from: typeof on, to: typeof on, fault?: Error) => {
      const seen = [await steered()];
      const swap = async () => {
        seen.push(await steered());
        if (fault) throw fault;
      };
      const changed = steering.replace(steerObject(to, from), steerObject(to), swap);
      if (fault) await expect(changed).rejects.toBe(fault);
      else await changed;
      return [...seen, await steered()];
    };
    expect(await change(on, off)).toEqual([2, 1, 1]);
    expect(await change(off, on, new Error('no'))).toEqual([1, 1, 1]);
    expect(await change(off, on)).toEqual([1, 1, 2]);
    expect(await change(on, off, new Error('no'))).toEqual([2, 1, 2]);
    expect(await change(on, on)).toEqual([2, 2, 2]);
    steering.close();
    wire.close();
    host.close();
  });

  it('steers behind a driver that runs no XDP programs, and says so', () => {
    sh('ip link add behind0 type ifb');
    const { steering } = load();
    steering.attach(findLink('behind0')!, record);
    expect(sh('ip link show behind0')).toContain('xdpgeneric');
    expect(log).toEqual([
      ['warn', 'the driver runs no XDP programs: frames are steered behind it, which is slower'],
    ]);
    steering.close();
  });

  it('is told when a socket cannot be had', () => {
    const { steering } = load();
    expect(() => steering.addSocket(0, 2)).toThrow(/the socket of queue 0 failed: EOPNOTSUPP/);
    expect(() => steering.addSocket(1_000_000, 2)).toThrow(/the socket of queue 1000000 failed: E2BIG/);
    steering.close();
  });
});
