/** Tunnels that end at the balancer. */
import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { type Endpoints, frameOf, ipv4, ipv6, PROTOCOL, tcpFrame, udpFrame } from '../../support/packets.js';
import { echoFrame, echoReplyFrame, ICMP, icmpFrame, quoted, turned } from '../../support/packets-icmp.js';
import {
  gueFrame,
  guePacket,
  hopped,
  ipipFrame,
  ipipPacket,
  type TunnelFields,
  withTtl,
} from '../../support/packets-tunnel.js';
import { balanced, type Row, row, rowOf, type Suite, step } from '../suite.js';
import { inIp, sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo } from './family.js';
import { numberVips } from './setup.js';

const EGRESS = { 4: '192.0.2.88', 6: '2001:db8:77::88' } as const;
const VIPS = numberVips({
  web4: { address: FAMILY[4].vip, port: 80, protocol: 'tcp', ring: 'four' },
  web6: { address: FAMILY[6].vip, port: 80, protocol: 'tcp', ring: 'six' },
  dns4: { address: FAMILY[4].vip, port: 53, protocol: 'udp', ring: 'four' },
  dns6: { address: FAMILY[6].vip, port: 53, protocol: 'udp', ring: 'six' },
  // A VIP whose port is GUE's.
  port4: { address: '198.51.100.21', port: 6080, protocol: 'udp', ring: 'four' },
  port6: { address: '2001:db8::21', port: 6080, protocol: 'udp', ring: 'six' },
  spread4: { address: '198.51.100.22', port: 0, protocol: 'tcp', ring: 'four', flags: VIP_FLAGS.LRU_BYPASS },
});
const webOf = (family: Family) => (family === 4 ? VIPS.web4 : VIPS.web6);
const dnsOf = (family: Family) => (family === 4 ? VIPS.dns4 : VIPS.dns6);
/** The word of a counter that tells families apart. */
const word = (family: Family): 'v1' | 'v2' => (family === 4 ? 'v1' : 'v2');

type Kind = 'ipip' | 'gue';
const wrap = (kind: Kind, outer: TunnelFields, inner: Uint8Array): Uint8Array =>
  kind === 'gue' ? gueFrame(outer, inner) : ipipFrame(outer, inner);
/** Bytes of the outer header, Ethernet's included. */
const outerBytes = (kind: Kind, family: Family): number =>
  14 + FAMILY[family].headerBytes + (kind === 'gue' ? 8 : 0);

function tunnel(kind: Kind, outer: Family, inner: Family): Row[] {
  const { peer, tunnel: remote, own, stranger } = FAMILY[outer];
  const { real, other, client, vip, stranger: nobody } = FAMILY[inner];
  const [web, dns] = [webOf(inner), dnsOf(inner)];
  const flow = flowTo(inner, web);
  const packet = tcpFrame(flow, { tos: 0x24 }).subarray(14);
  const inside = frameOf(hopped(packet));
  const counted = { 'remote_decap.v1': 1, [`decap.${word(outer)}`]: 1 };
  const again = { ...counted, [`rebalanced.${word(inner)}`]: 1 };
  const at = (dst: string, more: Partial<TunnelFields> = {}): TunnelFields => ({ src: peer, dst, ...more });
  const toRemote = wrap(kind, at(remote), packet);
  const rows: Row[] = [
    row(
      'to a tunnel destination: balanced',
      toRemote,
      balanced(inside, {
        vip: web,
        real,
        table: 'ring',
        counts: again,
        flags: ['HASHED', 'INSERTED', 'DECAPSULATED'],
        after: inIp(inside, real, flow),
        entries: [{ sport: 40000, dport: 80 }],
      }),
    ),
    rowOf(
      'a flow is the same in the tunnel and outside',
      step(frameOf(packet), sent(frameOf(packet), flow, { vip: web, real, table: 'ring' })),
      step(
        toRemote,
        balanced(inside, { vip: web, real, table: 'lru', counts: again, after: inIp(inside, real, flow) }),
        (scene) => scene.ring(web, other),
      ),
    ),
    row(
      "the outer header's ToS and TTL are lost",
      wrap(kind, at(remote, { tos: 0xff, ttl: 1 }), packet),
      balanced(inside, { vip: web, real, table: 'ring', counts: again, after: inIp(inside, real, flow) }),
    ),
    row(
      'what is inside is for nobody',
      wrap(kind, at(remote), tcpFrame({ ...flow, dst: nobody }).subarray(14)),
      {
        reason: 'no_vip',
        after: frameOf(hopped(tcpFrame({ ...flow, dst: nobody }).subarray(14))),
        counts: again,
      },
    ),
    row('to our own address: for this host', wrap(kind, at(own), packet), {
      reason: 'decapsulated',
      after: inside,
      ...(kind === 'gue' ? { vip: web } : {}),
      counts: {
        [`decap.${word(outer)}`]: 1,
        ...(kind === 'gue' ? { [`decap_vip.${web.number}.v1`]: 1 } : {}),
      },
      flags: ['DECAPSULATED'],
    }),
    row('to another address: passes as it is', wrap(kind, at(stranger), packet), {
      reason: 'not_our_tunnel',
      flags: [],
    }),
    row("to a VIP's address: passes as it is", wrap(kind, at(FAMILY[outer].vip), packet), {
      reason: 'not_our_tunnel',
    }),
  ];
  // TTL of the packet inside.
  const counts = { ...counted };
  for (const ttl of [0, 1]) {
    rows.push(
      row(`TTL ${ttl} inside ends there`, wrap(kind, at(remote), withTtl(packet, ttl)), {
        reason: 'inner_ttl',
        after: frameOf(withTtl(packet, 0)),
        counts,
      }),
      row(`TTL ${ttl} inside ends there, for this host too`, wrap(kind, at(own), withTtl(packet, ttl)), {
        reason: 'inner_ttl',
        after: frameOf(withTtl(packet, 0)),
        counts: { [`decap.${word(outer)}`]: 1 },
      }),
    );
  }
  for (const ttl of [2, 255]) {
    const after = frameOf(withTtl(packet, ttl - 1));
    rows.push(
      row(
        `TTL ${ttl} inside goes down by one`,
        wrap(kind, at(remote), withTtl(packet, ttl)),
        balanced(after, { vip: web, real, table: 'ring', counts: again, after: inIp(after, real, flow) }),
      ),
    );
  }
  // Egress.
  const leaving = wrap(kind, at(EGRESS[outer]), packet);
  rows.push(
    kind === 'gue'
      ? row('to an egress destination: sent back', leaving, {
          reason: 'egress_decap',
          after: turned(inside),
          counts: { ...counted, [`egress_decap.${word(inner)}`]: 1 },
        })
      : row(
          'to an egress destination: that is for GUE alone',
          leaving,
          balanced(inside, { vip: web, real, table: 'ring', counts: again, after: inIp(inside, real, flow) }),
        ),
  );
  // Whatever is inside is judged as if it came so.
  const datagram = udpFrame(flowTo(inner, dns)).subarray(14);
  const lookup = frameOf(hopped(datagram));
  rows.push(
    row(
      'UDP inside',
      wrap(kind, at(remote), datagram),
      balanced(lookup, {
        vip: dns,
        real,
        table: 'ring',
        counts: again,
        after: inIp(lookup, real, flowTo(inner, dns)),
      }),
    ),
  );
  const echo = { src: client, dst: vip, rest: 3 };
  const data = new Uint8Array(24).fill(6);
  rows.push(
    row('an echo request inside is answered', wrap(kind, at(remote), echoFrame(echo, data).subarray(14)), {
      reason: 'echo_reply',
      after: echoReplyFrame(echo, data),
      counts: again,
    }),
  );
  const error = icmpFrame(
    { src: client, dst: vip, type: ICMP[inner].unreachable, code: 1 },
    quoted(flow),
  ).subarray(14);
  const aboutIt = frameOf(hopped(error));
  rows.push(
    row(
      'an ICMP error inside',
      wrap(kind, at(remote), error),
      balanced(aboutIt, { vip: web, real, table: 'ring', counts: again, after: inIp(aboutIt, real, flow) }),
    ),
  );
  const fragment =
    inner === 4
      ? ipv4({ src: client, dst: vip, protocol: PROTOCOL.tcp, fragment: 0x2000 }, packet.subarray(20))
      : ipv6({ src: client, dst: vip, nextHeader: PROTOCOL.fragment }, new Uint8Array(40));
  rows.push(
    row('a fragment inside', wrap(kind, at(remote), fragment), {
      reason: 'fragment',
      after: frameOf(hopped(fragment)),
      counts: again,
    }),
  );
  // Cut short.
  const short = outerBytes(kind, outer);
  const innerHeader = FAMILY[inner].headerBytes;
  for (const bytes of [0, 1, 19]) {
    rows.push(
      row(`${bytes} bytes inside`, toRemote.slice(0, short + bytes), {
        reason: 'truncated',
        counts: { 'remote_decap.v1': 1 },
      }),
    );
  }
  if (inner === 6)
    rows.push(
      row('39 bytes inside', toRemote.slice(0, short + 39), {
        reason: 'truncated',
        counts: { 'remote_decap.v1': 1 },
      }),
    );
  rows.push(
    row('an IP header alone inside', toRemote.slice(0, short + innerHeader), {
      reason: 'truncated',
      after: frameOf(hopped(packet).slice(0, innerHeader)),
      counts: again,
    }),
  );
  return rows.map((each) => ({ ...each, name: `${inner} in ${outer}: ${each.name}` }));
}

/** Tunnels in tunnels, and what looks like one. */
function odd(kind: Kind, family: Family): Row[] {
  const { real, peer, tunnel: remote, own, stranger, client } = FAMILY[family];
  const web = webOf(family);
  const flow = flowTo(family, web);
  const packet = tcpFrame(flow).subarray(14);
  const inside = frameOf(hopped(packet));
  const outer = { src: peer, dst: remote };
  const nest = (levels: number): Uint8Array => {
    let nested = packet;
    for (let i = 0; i < levels; i++)
      nested = kind === 'gue' ? guePacket(outer, nested) : ipipPacket(outer, nested);
    return nested;
  };
  const counted = (levels: number): Record<string, number> => ({
    'remote_decap.v1': levels,
    [`decap.${word(family)}`]: levels,
    [`rebalanced.${word(family)}`]: levels,
  });
  const rows: Row[] = [2, 3].map((levels) =>
    row(
      `${levels} tunnels, one in the other`,
      frameOf(nest(levels)),
      balanced(inside, {
        vip: web,
        real,
        table: 'ring',
        counts: counted(levels),
        after: inIp(inside, real, flow),
      }),
    ),
  );
  // One inside is not ours: it passes without the one around it.
  const away =
    kind === 'gue'
      ? guePacket({ src: peer, dst: stranger }, packet)
      : ipipPacket({ src: peer, dst: stranger }, packet);
  rows.push(
    row('a tunnel for another address inside', wrap(kind, outer, away), {
      reason: 'not_our_tunnel',
      after: frameOf(hopped(away)),
      counts: counted(1),
    }),
  );
  const home =
    kind === 'gue' ? guePacket({ src: peer, dst: own }, packet) : ipipPacket({ src: peer, dst: own }, packet);
  rows.push(
    row('a tunnel for this host inside', wrap(kind, outer, home), {
      reason: 'decapsulated',
      ...(kind === 'gue' ? { vip: web } : {}),
      after: inside,
      counts: {
        'remote_decap.v1': 1,
        [`decap.${word(family)}`]: 2,
        [`rebalanced.${word(family)}`]: 1,
        ...(kind === 'gue' ? { [`decap_vip.${web.number}.v1`]: 1 } : {}),
      },
    }),
  );
  if (kind === 'gue') {
    for (const version of [0, 5, 7, 15]) {
      const junk = Uint8Array.from(packet);
      junk[0] = (version << 4) | 5;
      rows.push(
        row(`what is inside has version ${version}`, gueFrame(outer, junk), {
          reason: 'not_our_tunnel',
          counts: { 'remote_decap.v1': 1 },
        }),
      );
    }
    const other = gueFrame({ src: peer, dst: own }, tcpFrame({ ...flow, dport: 8080 }).subarray(14));
    rows.push(
      row('for this host, and no VIP', other, {
        reason: 'decapsulated',
        after: frameOf(hopped(tcpFrame({ ...flow, dport: 8080 }).subarray(14))),
        counts: { [`decap.${word(family)}`]: 1 },
      }),
      row(
        'for this host, and UDP for a VIP',
        gueFrame({ src: peer, dst: own }, udpFrame(flowTo(family, dnsOf(family))).subarray(14)),
        {
          reason: 'decapsulated',
          vip: dnsOf(family),
          after: frameOf(hopped(udpFrame(flowTo(family, dnsOf(family))).subarray(14))),
          counts: { [`decap.${word(family)}`]: 1, [`decap_vip.${dnsOf(family).number}.v1`]: 1 },
        },
      ),
      row(
        'for this host, and ICMP',
        gueFrame(
          { src: peer, dst: own },
          echoFrame({ src: client, dst: web.address }, new Uint8Array(8)).subarray(14),
        ),
        {
          reason: 'decapsulated',
          after: frameOf(
            hopped(echoFrame({ src: client, dst: web.address }, new Uint8Array(8)).subarray(14)),
          ),
          counts: { [`decap.${word(family)}`]: 1 },
        },
      ),
      row(
        'for this host, and cut in its transport header',
        gueFrame({ src: peer, dst: own }, packet).slice(
          0,
          outerBytes('gue', family) + FAMILY[family].headerBytes + 7,
        ),
        {
          reason: 'decapsulated',
          after: inside.slice(0, 14 + FAMILY[family].headerBytes + 7),
          counts: { [`decap.${word(family)}`]: 1 },
        },
      ),
      row('to another port', frameOf(guePacket(outer, packet, 6081)), { reason: 'no_vip' }),
      row('TCP to the port', tcpFrame({ ...flow, dst: remote, dport: 6080 }), { reason: 'no_vip' }),
    );
    if (family === 4) {
      for (const [name, changed] of [
        [
          'a fragment',
          ipv4(
            { src: client, dst: web.address, protocol: PROTOCOL.tcp, fragment: 0x2000 },
            packet.subarray(20),
          ),
        ],
        [
          'options',
          ipv4(
            { src: client, dst: web.address, protocol: PROTOCOL.tcp, options: Uint8Array.of(1, 1, 1, 0) },
            packet.subarray(20),
          ),
        ],
      ] as const) {
        rows.push(
          row(`for this host, and ${name}`, gueFrame({ src: peer, dst: own }, changed), {
            reason: 'decapsulated',
            after: frameOf(hopped(changed)),
            counts: { 'decap.v1': 1 },
          }),
        );
      }
    }
    // An error about GUE that this node sent: no tunnel, whatever its port.
    const port = family === 4 ? VIPS.port4 : VIPS.port6;
    const error = icmpFrame(
      { src: peer, dst: port.address, type: ICMP[family].unreachable, code: 1 },
      quoted(flowTo(family, port), { protocol: 'udp' }),
    );
    rows.push(
      row(
        'an ICMP error about its port is one of the flow',
        error,
        balanced(error, { vip: port, real, table: 'ring', after: inIp(error, real, flowTo(family, port)) }),
      ),
    );
  } else {
    const from = { src: peer, dst: web.address, type: ICMP[family].unreachable, code: 1 };
    rows.push(
      row(
        'an ICMP error about a tunnel packet passes',
        icmpFrame(from, ipipPacket({ src: web.address, dst: peer }, packet)),
        { reason: 'icmp' },
      ),
    );
  }
  return rows.map((each) => ({ ...each, name: `${kind}, IPv${family}: ${each.name}` }));
}

/** The option off, or another port. */
function off(family: Family): Row[] {
  const { peer, tunnel: remote, own } = FAMILY[family];
  const packet = tcpFrame(flowTo(family, webOf(family))).subarray(14);
  const ends: Endpoints = { src: peer, dst: remote, sport: 1, dport: 6080 };
  return [remote, own].flatMap((dst) => [
    row(`IPv${family}: IP in IP to ${dst}`, ipipFrame({ src: peer, dst }, packet), { reason: 'protocol' }),
    row(`IPv${family}: GUE to ${dst}`, udpFrame({ ...ends, dst }, { data: packet }), { reason: 'no_vip' }),
  ]);
}
function otherPort(family: Family): Row[] {
  const { peer, tunnel: remote, real } = FAMILY[family];
  const web = webOf(family);
  const flow = flowTo(family, web);
  const packet = tcpFrame(flow).subarray(14);
  const inside = frameOf(hopped(packet));
  const counts = { 'remote_decap.v1': 1, [`decap.${word(family)}`]: 1, [`rebalanced.${word(family)}`]: 1 };
  return [
    row(
      `IPv${family}: GUE to the port of the option`,
      gueFrame({ src: peer, dst: remote }, packet, 9886),
      balanced(inside, { vip: web, real, table: 'ring', counts, after: inIp(inside, real, flow) }),
    ),
    row(`IPv${family}: GUE to the usual port`, gueFrame({ src: peer, dst: remote }, packet, 6080), {
      reason: 'no_vip',
    }),
    row(`IPv${family}: IP in IP is another option`, ipipFrame({ src: peer, dst: remote }, packet), {
      reason: 'protocol',
    }),
  ];
}

const both = (kind: Kind): Row[] =>
  FAMILIES.flatMap((outer) => FAMILIES.flatMap((inner) => tunnel(kind, outer, inner)));
const suite = (title: string, rows: readonly Row[], options: Suite['options'] = {}): Suite => ({
  title,
  options,
  arrange: (scene) => {
    scene.vips(VIPS);
    scene.ownAddresses();
    for (const family of FAMILIES) {
      scene.decapDestination(FAMILY[family].tunnel);
      scene.decapDestination(EGRESS[family], true);
    }
  },
  rows,
});
/** More tunnels, one in the other, than passes are made: what is left is for the host. */
const tooDeep = FAMILIES.map((family): Row => {
  const { peer, tunnel: remote } = FAMILY[family];
  const outer = { src: peer, dst: remote };
  let nested = tcpFrame(flowTo(family, webOf(family))).subarray(14);
  const levels: Uint8Array[] = [];
  for (let i = 0; i < 5; i++) {
    levels.push(nested);
    nested = ipipPacket(outer, nested);
  }
  return row(`IPv${family}: five tunnels`, frameOf(nested), {
    reason: 'decapsulated',
    after: frameOf(hopped(levels[1]!)),
    counts: { 'remote_decap.v1': 4, [`decap.${word(family)}`]: 4, [`rebalanced.${word(family)}`]: 4 },
  });
});

export const DECAP_SUITES: readonly Suite[] = [
  suite(
    'tunnels, IP in IP',
    [...both('ipip'), ...FAMILIES.flatMap((family) => odd('ipip', family)), ...tooDeep],
    { ipipDecap: true },
  ),
  suite('tunnels, GUE', [...both('gue'), ...FAMILIES.flatMap((family) => odd('gue', family))], {
    gueDecap: true,
  }),
  suite('tunnels off', FAMILIES.flatMap(off)),
  suite('tunnels, GUE with another port', FAMILIES.flatMap(otherPort), { gueDecap: true, guePort: 9886 }),
];
