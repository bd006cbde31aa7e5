import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { missingRoot } from '../../test/support/capabilities.js';
import { addVeth, enterNamespace, sh, Wire, withoutTools } from '../../test/support/namespace.js';
import { concat, frameOf, ipv4, ipv6, PROTOCOL, tcpFrame, udpFrame } from '../../test/support/packets.js';
import { parseIp } from '../net/address.js';
import { type GuardedVip, HostStackError, HostStackGuard } from './host-stack.js';

const DEVICE = 'hs.0';
const TABLE = 'waggle_hs_2e_0';

const vip = (address: string, port: number, protocol: 'tcp' | 'udp' = 'tcp'): GuardedVip => ({
  address: parseIp(address),
  port,
  protocol,
});
const [VIP4, VIP6] = ['192.0.2.80', '2001:db8::80'];

const to4 = (dport: number) => ({ src: '203.0.113.77', dst: VIP4, sport: 40_000, dport });
const to6 = (dport: number) => ({ src: '2001:db8:cafe::1', dst: VIP6, sport: 40_000, dport });

/** An IPv4 fragment; `word` has the flags and the offset. */
const fragment4 = (word: number, dst = VIP4) =>
  frameOf(ipv4({ src: '203.0.113.77', dst, protocol: PROTOCOL.tcp, fragment: word }, new Uint8Array(64)));
/** An IPv6 fragment with an offset in eight bytes. */
const fragment6 = (offset: number, dst = VIP6) =>
  frameOf(
    ipv6(
      { src: '2001:db8:cafe::1', dst, nextHeader: PROTOCOL.fragment },
      concat(
        Uint8Array.of(PROTOCOL.tcp, 0, offset >> 5, ((offset << 3) & 0xff) | 1, 0, 0, 0, 1),
        new Uint8Array(64),
      ),
    ),
  );

const tables = () => sh('nft list tables').trim();
const elementsOf = (set: string) =>
  /elements = \{ (.*?) \}/s.exec(sh(`nft list set netdev ${TABLE} ${set}`))?.[1] ?? '';
/** Frames that the table has dropped. */
const dropped = () =>
  [...sh(`nft list table netdev ${TABLE}`).matchAll(/counter packets (\d+)/g)].reduce(
    (sum, [, packets]) => sum + Number(packets),
    0,
  );

describe.skipIf(missingRoot)(`the guard of the host's stack${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  let guard: HostStackGuard | undefined;
  let wire: Wire;
  let tap: Wire;
  const install = async () => {
    guard = await HostStackGuard.install(DEVICE);
    return guard;
  };
  const code = async (run: () => unknown): Promise<string> => {
    try {
      await run();
    } catch (error) {
      if (error instanceof HostStackError) return error.code;
      throw error;
    }
    return 'nothing thrown';
  };

  beforeAll(() => {
    enterNamespace();
    addVeth(DEVICE, 'hs-peer');
    wire = new Wire('hs-peer');
    tap = new Wire(DEVICE);
  });

  afterEach(async () => {
    await guard?.close();
    expect(tables()).toBe('');
  });

  /** Frames that the guard drops of those sent. */
  function drops(frames: readonly Uint8Array[]): boolean[] {
    tap.received();
    const result = frames.map((frame) => {
      const before = dropped();
      wire.send(frame);
      return dropped() > before;
    });
    // A tap sees what is dropped, too: the datapath gets its frames.
    expect(tap.received()).toHaveLength(frames.length);
    return result;
  }

  it.each([
    ['its own port', tcpFrame(to4(80)), true],
    ['another port', tcpFrame(to4(81)), false],
    ['another protocol', udpFrame(to4(80)), false],
    ['another address', tcpFrame({ ...to4(80), dst: '192.0.2.81' }), false],
    ['the first fragment, with its port', fragment4(0x2000), false],
    ['a middle fragment', fragment4(0x2000 | 185), true],
    ['a last fragment', fragment4(185), true],
    ['a fragment for another address', fragment4(185, '192.0.2.81'), false],
  ])('of an IPv4 VIP of one port: %s', async (_, frame, isDropped) => {
    await (await install()).protect([vip(VIP4, 80)]);
    expect(drops([frame])).toEqual([isDropped]);
  });

  it.each([
    ['its own port', tcpFrame(to6(80)), true],
    ['another port', tcpFrame(to6(81)), false],
    ['another protocol', udpFrame(to6(80)), false],
    ['another address', tcpFrame({ ...to6(80), dst: '2001:db8::81' }), false],
    ['a fragment', fragment6(185), true],
    ['the first fragment', fragment6(0), true],
    ['a fragment for another address', fragment6(185, '2001:db8::81'), false],
  ])('of an IPv6 VIP of one port: %s', async (_, frame, isDropped) => {
    await (await install()).protect([vip(VIP6, 80)]);
    expect(drops([frame])).toEqual([isDropped]);
  });

  it('drops every port of one protocol for a VIP of port 0', async () => {
    const table = await install();
    await table.protect([vip(VIP4, 0, 'udp')]);
    await table.protect([vip(VIP6, 0, 'udp')]);
    const frames = [
      udpFrame(to4(1)),
      udpFrame(to4(65535)),
      udpFrame(to6(9)),
      tcpFrame(to4(1)),
      tcpFrame(to6(9)),
    ];
    expect(drops(frames)).toEqual([true, true, true, false, false]);
  });

  it('lets everything in again once a VIP is gone', async () => {
    const table = await install();
    const vips = [vip(VIP4, 80), vip(VIP6, 80), vip(VIP4, 0, 'udp'), vip(VIP6, 0, 'udp')];
    await table.protect(vips);
    const frames = [
      tcpFrame(to4(80)),
      tcpFrame(to6(80)),
      udpFrame(to4(5)),
      udpFrame(to6(5)),
      fragment4(185),
      fragment6(185),
    ];
    expect(drops(frames)).toEqual(frames.map(() => true));
    await table.unprotect(vips);
    expect(drops(frames)).toEqual(frames.map(() => false));
  });

  it('drops fragments until the last VIP of their address is gone', async () => {
    const table = await install();
    await table.protect([vip(VIP4, 80)]);
    await table.protect([vip(VIP4, 443)]);
    await table.unprotect([vip(VIP4, 80)]);
    expect(drops([fragment4(185)])).toEqual([true]);
    await table.unprotect([vip(VIP4, 443)]);
    expect(drops([fragment4(185)])).toEqual([false]);
  });

  it('protects a VIP once, however often it is told to', async () => {
    const table = await install();
    await table.protect([vip(VIP4, 80)]);
    await table.protect([vip(VIP4, 80)]);
    await table.unprotect([vip(VIP4, 80)]);
    expect(drops([tcpFrame(to4(80)), fragment4(185)])).toEqual([false, false]);
  });

  it('says so when the drop is refused', async () => {
    const table = await install();
    sh(`nft delete table netdev ${TABLE}`);
    expect(await code(() => table.protect([vip(VIP4, 80)]))).toBe('HOST_GUARD_WRITE');
    sh(`nft add table netdev ${TABLE}`);
  });

  it('takes the place of a table that a dead process left', async () => {
    sh(`nft add table netdev ${TABLE}`);
    sh(`nft add set netdev ${TABLE} vip4 { type ipv4_addr; }`);
    sh(
      `nft add chain netdev ${TABLE} stale { type filter hook ingress device ${DEVICE} priority -400; policy drop; }`,
    );
    await (await install()).protect([vip(VIP4, 80)]);
    expect(sh(`nft list table netdev ${TABLE}`)).not.toContain('stale');
    expect(elementsOf('vip4')).toBe(`${VIP4} . tcp . 80`);
    expect(drops([tcpFrame(to4(80)), tcpFrame(to4(81))])).toEqual([true, false]);
  });

  it('has a table of its own for each interface, however alike their names are', async () => {
    addVeth('hs_0', 'hs-peer2');
    const table = await install();
    await table.protect([vip(VIP4, 80)]);
    const other = await HostStackGuard.install('hs_0');
    await other.close();
    expect(drops([tcpFrame(to4(80))])).toEqual([true]);
    sh('ip link delete hs_0');
  });

  it('can be closed twice, and does not take the next one along', async () => {
    const first = await install();
    await first.close();
    await (await install()).protect([vip(VIP4, 80)]);
    await first.close();
    expect(elementsOf('vip4')).not.toBe('');
  });

  describe('refuses a VIP that is an address of this host', () => {
    it.each([
      ['of the interface', '10.9.0.1', [`ip address add 10.9.0.1/24 dev ${DEVICE}`]],
      ['of the interface, IPv6', 'fd09::1', [`ip address add fd09::1/64 dev ${DEVICE} nodad`]],
      ['of the loopback device', '127.0.0.1', []],
      [
        'on a device that is down',
        '10.9.1.1',
        ['ip link add hs-d1 type veth peer name hs-e1', 'ip address add 10.9.1.1/32 dev hs-d1'],
      ],
      [
        'on a device that went down',
        '10.9.2.1',
        [
          'ip link add hs-d2 type veth peer name hs-e2',
          'ip link set hs-e2 up',
          'ip link set hs-d2 up',
          'ip address add 10.9.2.1/32 dev hs-d2',
          'ip link set hs-d2 down',
        ],
      ],
      [
        'on a device that is down, IPv6',
        'fd09:1::1',
        ['ip link add hs-d3 type veth peer name hs-e3', 'ip address add fd09:1::1/128 dev hs-d3'],
      ],
      [
        'on a veth whose peer is down',
        '10.9.4.1',
        [
          'ip link add hs-v1 type veth peer name hs-v2',
          'ip link set hs-v1 up',
          'ip address add 10.9.4.1/24 dev hs-v1',
        ],
      ],
      ['by a route of type local', '203.0.113.9', ['ip route add local 203.0.113.0/24 dev lo']],
      ['by a route of type local, IPv6', '2001:db8:9::1', ['ip -6 route add local 2001:db8:9::/48 dev lo']],
    ])('%s', async (_, address, commands) => {
      for (const command of commands) sh(command);
      const table = await install();
      expect(await code(() => table.protect([vip(address, 80)]))).toBe('HOST_VIP_IS_LOCAL');
      expect([elementsOf('vip4'), elementsOf('vip6')]).toEqual(['', '']);
    });
  });

  describe('without nftables', () => {
    const start = () => withoutTools(async () => code(install));

    it('does not run where the host forwards', async () => {
      for (const path of [`ipv4.conf.${DEVICE.replace('.', '/')}`, `ipv6.conf.${DEVICE.replace('.', '/')}`]) {
        sh(`sysctl -w net.${path}.forwarding=1`);
        expect(await start()).toBe('HOST_GUARD_MISSING');
        sh(`sysctl -w net.${path}.forwarding=0`);
      }
    });

    it('runs unguarded where it does not, and says so', async () => {
      expect(await start()).toBe('nothing thrown');
      expect(guard?.missing).toContain('nft is not installed');
      await guard?.protect([vip(VIP4, 80)]);
      await guard?.unprotect([vip(VIP4, 80)]);
      expect(await code(() => guard?.protect([vip('127.0.0.1', 80)]))).toBe('HOST_VIP_IS_LOCAL');
    });
  });
});
