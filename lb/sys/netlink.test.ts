import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingRoot } from '../../test/support/capabilities.js';
import { addVeth, enterNamespace, sh } from '../../test/support/namespace.js';
import { formatIp, formatMac, parseIp } from '../net/address.js';
import { isLocalAddress, type NextHop, NextHops } from './netlink.js';

const DEVICE = 'nl0';
const PEER_MAC = '02:00:00:00:00:99';
const NEIGHBOURS = `netlink-${process.pid}`;
/** Addresses of the neighbour. */
const [PEER4, PEER6] = ['10.8.0.2', 'fd08::2'];
const DEADLINE_MS = 10_000;

describe.skipIf(missingRoot)(`netlink${missingRoot ? ` (${missingRoot})` : ''}`, () => {
  let hops: NextHops;

  beforeAll(() => {
    enterNamespace();
    const link = addVeth(DEVICE, 'nl1');
    hops = new NextHops(link.index);
    sh(`ip netns add ${NEIGHBOURS}`);
    sh(`ip link set nl1 netns ${NEIGHBOURS}`);
    for (const command of [
      `link set nl1 address ${PEER_MAC} up`,
      `address add ${PEER4}/24 dev nl1`,
      `address add ${PEER6}/64 dev nl1 nodad`,
      'address add fe80::2/64 dev nl1 nodad',
    ]) {
      sh(`ip -n ${NEIGHBOURS} ${command}`);
    }
    for (const command of [
      `address add 10.8.0.1/24 dev ${DEVICE}`,
      `address add fd08::1/64 dev ${DEVICE} nodad`,
      // Neighbour discovery asks from a link-local address.
      `address add fe80::1/64 dev ${DEVICE} nodad`,
      `route add 192.0.2.0/24 via ${PEER4}`,
      `route add 2001:db8::/32 via ${PEER6}`,
      `route add 198.51.100.0/24 via inet6 ${PEER6} dev ${DEVICE}`,
      'route add blackhole 203.0.113.0/24',
      'route add prohibit 2001:db8:dead::/48',
      'link add nl2 type veth peer name nl3',
      'link set nl2 up',
      'address add 10.9.0.1/24 dev nl2',
    ]) {
      sh(`ip ${command}`);
    }
    // Silence is noticed after one question and 100 ms, not three and 3 s.
    for (const family of ['ipv4', 'ipv6']) {
      sh(`sysctl -w net.${family}.neigh.${DEVICE}.mcast_solicit=1`);
      sh(`sysctl -w net.${family}.neigh.${DEVICE}.retrans_time_ms=100`);
    }
  });

  afterAll(() => {
    sh(`ip netns delete ${NEIGHBOURS}`);
  });

  /** What is said of an address, once `isWanted`; with everything that was said before. */
  async function askUntil(address: string, isWanted: (hop: NextHop) => boolean): Promise<NextHop[]> {
    const said: NextHop[] = [];
    const end = performance.now() + DEADLINE_MS;
    for (;;) {
      const hop = hops.find(parseIp(address));
      said.push(hop);
      if (isWanted(hop)) return said;
      if (performance.now() > end)
        throw new Error(`${address}: ${JSON.stringify(hop)} after ${said.length} looks`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  describe('a next hop', () => {
    it.each([
      ['the neighbour itself', PEER4, PEER4],
      ['the neighbour itself, IPv6', PEER6, PEER6],
      ['the gateway of the route', '192.0.2.17', PEER4],
      ['the gateway of the route, IPv6', '2001:db8::17', PEER6],
      ['an IPv6 gateway of an IPv4 route', '198.51.100.17', PEER6],
    ])('is %s, which is asked for', async (_, address, gateway) => {
      sh(`ip neigh flush dev ${DEVICE}`);
      const said = await askUntil(address, (hop) => 'mac' in hop);
      const last = said.at(-1)!;
      expect('mac' in last && [formatMac(last.mac), formatIp(last.via)]).toEqual([PEER_MAC, gateway]);
      expect(said[0]).toEqual({ pending: true, via: parseIp(gateway) });
    });

    it.each([
      ['without a route', '8.8.8.8', 'there is no route to it (ENETUNREACH)'],
      ['without a route, IPv6', '2600::1', 'there is no route to it (ENETUNREACH)'],
      ['of a route that discards', '203.0.113.5', 'there is no route to it (EINVAL)'],
      ['of a route that prohibits', '2001:db8:dead::1', 'there is no route to it (EACCES)'],
      ['behind another interface', '10.9.0.5', 'its route leads out of another interface'],
      ['of this host', '10.8.0.1', 'it is an address of this host'],
      ['of this host, IPv6', 'fd08::1', 'it is an address of this host'],
      ['of this host, on another interface', '10.9.0.1', 'it is an address of this host'],
      ['of the loopback device', '127.0.0.1', 'it is an address of this host'],
      ['of everybody', '10.8.0.255', 'its route is not a unicast route'],
    ])('of an address %s is not to be had', (_, address, reason) => {
      expect(hops.find(parseIp(address))).toEqual({ unreachable: true, reason });
    });

    it('that is stale is given, and confirmed', async () => {
      const state = () => / ([A-Z]+) ?$/m.exec(sh(`ip neigh show ${PEER4} dev ${DEVICE}`))?.[1];
      sh(`ip neigh replace ${PEER4} dev ${DEVICE} lladdr ${PEER_MAC} nud stale`);
      sh(`sysctl -w net.ipv4.neigh.${DEVICE}.delay_first_probe_time=0`);
      expect(hops.find(parseIp(PEER4))).toMatchObject({ via: parseIp(PEER4) });
      expect(state()).not.toBe('STALE');
      await askUntil(PEER4, () => state() === 'REACHABLE');
    });

    it('that an operator has set is given', () => {
      sh(`ip neigh replace 10.8.0.77 dev ${DEVICE} lladdr 02:00:00:00:00:77 nud permanent`);
      const hop = hops.find(parseIp('10.8.0.77'));
      expect('mac' in hop && formatMac(hop.mac)).toBe('02:00:00:00:00:77');
    });
  });

  describe.each([
    ['IPv4', '10.8.0.99', 'address add 10.8.0.99/24 dev nl1'],
    ['IPv6', 'fd08::99', 'address add fd08::99/64 dev nl1 nodad'],
  ])('a neighbour that does not answer (%s)', (_, address, appear) => {
    const unreachable = { unreachable: true, reason: 'its neighbour does not answer' };

    it('is waited for first, and unreachable then', async () => {
      const said = await askUntil(address, (hop) => 'unreachable' in hop);
      expect(said.length).toBeGreaterThan(1);
      expect(said.slice(0, -1)).toEqual(
        said.slice(0, -1).map(() => ({ pending: true, via: parseIp(address) })),
      );
      expect(said.at(-1)).toEqual(unreachable);
    });

    it('stays unreachable while it is asked again', async () => {
      // Several rounds of questions, each 100 ms.
      const end = performance.now() + 600;
      const said = await askUntil(address, () => performance.now() > end);
      expect(said.filter((hop) => !('unreachable' in hop))).toEqual([]);
    });

    it('is found once it answers', async () => {
      sh(`ip -n ${NEIGHBOURS} ${appear}`);
      const said = await askUntil(address, (hop) => 'mac' in hop);
      const last = said.at(-1)!;
      expect('mac' in last && formatMac(last.mac)).toBe(PEER_MAC);
    });
  });

  it.each([
    ['10.8.0.1', true],
    ['10.9.0.1', true],
    ['fd08::1', true],
    ['127.0.0.1', true],
    ['::1', true],
    [PEER4, false],
    [PEER6, false],
    ['192.0.2.1', false],
    ['8.8.8.8', false],
    ['203.0.113.5', false],
  ])('%s is an address of this host: %s', (address, isLocal) => {
    expect(isLocalAddress(parseIp(address))).toBe(isLocal);
  });
});
