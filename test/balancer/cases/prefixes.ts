/** VIPs that are IPv6 prefixes. */
import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { slotOf } from '../../support/flow-hash.js';
import { type Endpoints, frameOf, ipv6, PROTOCOL, tcpFrame, udpFrame } from '../../support/packets.js';
import { echoFrame, echoReplyFrame } from '../../support/packets-icmp.js';
import { type Row, row, type Suite } from '../suite.js';
import { sent } from './expect.js';
import { FAMILY } from './family.js';
import { numberVips } from './setup.js';

const { HASH_SRC_DST_PORT } = VIP_FLAGS;

const NET = '2001:db8:aaaa::';
const prefixVips = numberVips({
  web: { address: NET, prefixBits: 48, port: 80, protocol: 'tcp', ring: 'six' },
  narrow: { address: '2001:db8:aaaa:1::', prefixBits: 64, port: 80, protocol: 'tcp', ring: 'otherSix' },
  dns: { address: NET, prefixBits: 48, port: 53, protocol: 'udp', ring: 'six' },
  every: { address: NET, prefixBits: 48, port: 0, protocol: 'tcp', ring: 'six' },
  ports: {
    address: '2001:db8:bbbb::',
    prefixBits: 48,
    port: 80,
    protocol: 'tcp',
    ring: 'six',
    flags: HASH_SRC_DST_PORT,
  },
  exact: { address: '2001:db8:aaaa::5', port: 80, protocol: 'tcp', ring: 'otherSix' },
  exactEvery: { address: '2001:db8:aaaa::6', port: 0, protocol: 'tcp', ring: 'otherSix' },
  quad: { address: '2001:db8:cccc::5', prefixBits: 127, port: 80, protocol: 'tcp', ring: 'six' },
});

/** VIPs that are IPv6 prefixes. */
function prefixes(): Row[] {
  const src = FAMILY[6].client;
  const to = (dst: string, dport = 80): Endpoints => ({ src, dst, sport: 40000, dport });
  type Name = keyof typeof prefixVips;
  const goes = (name: string, ends: Endpoints, vip: Name, real: 'six' | 'otherSix', dport: number): Row => {
    const frame = tcpFrame(ends);
    const slot = slotOf(src, 40000, dport);
    return row(
      name,
      frame,
      sent(frame, ends, { vip: prefixVips[vip], real, table: 'ring', slot, entries: [{ dport }] }),
    );
  };
  const lookup = to('2001:db8:aaaa::99', 53);
  const inside = '2001:db8:aaaa::99';
  const fragment = (dst: string): Uint8Array =>
    frameOf(ipv6({ src, dst, nextHeader: PROTOCOL.fragment }, new Uint8Array(40)));
  const data = new Uint8Array(20).fill(3);
  return [
    // The port is the VIP's own, and still the destination port is left out (§3, step 8).
    goes('an address in the prefix', to(inside), 'web', 'six', 0),
    goes('the first address', to(NET), 'web', 'six', 0),
    goes('the last address', to('2001:db8:aaaa:ffff:ffff:ffff:ffff:ffff'), 'web', 'six', 0),
    goes('the longest prefix goes first', to('2001:db8:aaaa:1::7'), 'narrow', 'otherSix', 0),
    goes('an address of its own goes first', to('2001:db8:aaaa::5'), 'exact', 'otherSix', 80),
    goes('another port of it: the prefix of every port', to('2001:db8:aaaa::5', 81), 'every', 'six', 0),
    goes(
      'the prefix with the port goes before the address of every port',
      to('2001:db8:aaaa::6'),
      'web',
      'six',
      0,
    ),
    goes(
      'the address of every port goes before the prefix of every port',
      to('2001:db8:aaaa::6', 81),
      'exactEvery',
      'otherSix',
      0,
    ),
    goes('a VIP that tells ports apart', to('2001:db8:bbbb::1'), 'ports', 'six', 80),
    goes('a prefix of 127 bits', to('2001:db8:cccc::4'), 'quad', 'six', 0),
    row(
      'UDP',
      udpFrame(lookup),
      sent(udpFrame(lookup), lookup, {
        vip: prefixVips.dns,
        real: 'six',
        table: 'ring',
        entries: [{ dport: 0 }],
      }),
    ),
    row('UDP to another port', udpFrame(to(inside, 54)), { reason: 'no_vip' }),
    row('an address beside the prefix', tcpFrame(to('2001:db8:aaab::1')), { reason: 'no_vip' }),
    row('an address beside that of 127 bits', tcpFrame(to('2001:db8:cccc::6')), { reason: 'no_vip' }),
    row('a fragment', fragment(inside), { reason: 'fragment' }),
    row('a fragment beside it', fragment('2001:db8:aaab::1'), { reason: 'unreadable' }),
    row('an echo request', echoFrame({ src, dst: inside }, data), {
      reason: 'echo_reply',
      after: echoReplyFrame({ src, dst: inside }, data),
    }),
    row('IPv4 has none', tcpFrame({ src: FAMILY[4].client, dst: '198.51.100.77', sport: 1, dport: 80 }), {
      reason: 'no_vip',
    }),
  ];
}
const prefixesOff: readonly Row[] = [
  row(
    'prefixes mean nothing',
    tcpFrame({ src: FAMILY[6].client, dst: '2001:db8:aaaa::99', sport: 40000, dport: 80 }),
    { reason: 'no_vip' },
  ),
  row(
    'nor do their fragments',
    frameOf(
      ipv6(
        { src: FAMILY[6].client, dst: '2001:db8:aaaa::99', nextHeader: PROTOCOL.fragment },
        new Uint8Array(40),
      ),
    ),
    { reason: 'unreadable' },
  ),
];

export const PREFIX_SUITES: readonly Suite[] = [
  {
    title: 'VIPs that are prefixes',
    options: { prefixVips: true },
    arrange: (scene) => scene.vips(prefixVips),
    rows: prefixes(),
  },
  { title: 'VIPs that are prefixes, off', arrange: (scene) => scene.vips(prefixVips), rows: prefixesOff },
];
