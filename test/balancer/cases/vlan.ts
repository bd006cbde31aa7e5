/** Tagged frames are balanced as others are, and keep their tags. */
import {
  BALANCER_MAC,
  CLIENT_MAC,
  concat,
  ETHERTYPE,
  ethernet,
  frameOf,
  ipv4,
  PROTOCOL,
  TCP_FLAGS,
  tcp,
  tcpFrame,
  udpFrame,
} from '../../support/packets.js';
import { echoFrame, echoReplyFrame, icmpFrame, quoted, tooBigAnswer } from '../../support/packets-icmp.js';
import { gueFrame, hopped, ipipFrame, type Tag, tagged } from '../../support/packets-tunnel.js';
import { balanced, type Expected, type Row, row, rowOf, type Suite, step } from '../suite.js';
import { inIp, sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { numberVips, type Vip } from './setup.js';

const vipsOf = (family: Family) =>
  numberVips({
    web: vipRow(family, 'tcp', 80),
    dns: vipRow(family, 'udp', 53),
    empty: vipRow(family, 'tcp', 81, { ring: 'empty' }),
  });

/** Stacks of tags, the outer one first. */
const STACKS: Readonly<Record<string, readonly Tag[]>> = {
  'a tag': [{ control: 5 }],
  'a priority tag': [{ control: 0xe000 }],
  'a tag with all its bits': [{ control: 0xffff }],
  'a service tag': [{ type: ETHERTYPE.serviceVlan, control: 7 }],
  'two tags': [{ control: 100 }, { control: 200 }],
  QinQ: [{ type: ETHERTYPE.serviceVlan, control: 0x3064 }, { control: 0xb0c8 }],
  'two service tags': [
    { type: ETHERTYPE.serviceVlan, control: 1 },
    { type: ETHERTYPE.serviceVlan, control: 2 },
  ],
};

/** The same case with tags: what goes out has them too, and bytes of frames count with them. */
const tagRow = (name: string, frame: Uint8Array, tags: readonly Tag[], expected: Expected): Row =>
  row(name, tagged(frame, ...tags), {
    ...expected,
    ...(expected.after && { after: tagged(expected.after, ...tags) }),
  });

function rows(family: Family): Row[] {
  const { real, other, vip, client, stranger } = FAMILY[family];
  const { web, dns, empty } = vipsOf(family);
  const flow = flowTo(family, web);
  const lookup = flowTo(family, dns);
  const balancedFrom = (
    frame: Uint8Array,
    given: { vip: Vip; table?: 'ring' | 'lru' },
    ends = flow,
  ): Expected => sent(frame, ends, { real, table: 'ring', ...given });
  const all: Row[] = [];
  for (const [name, tags] of Object.entries(STACKS)) {
    const add = (what: string, frame: Uint8Array, expected: Expected): void => {
      all.push(tagRow(`${name}: ${what}`, frame, tags, expected));
    };
    const frame = tcpFrame(flow, { tos: 0x5a });
    add('TCP', frame, balancedFrom(frame, { vip: web }));
    const datagram = udpFrame(lookup);
    add('UDP', datagram, balancedFrom(datagram, { vip: dns }, lookup));
    const syn = tcpFrame(flow, { flags: TCP_FLAGS.syn });
    add('SYN', syn, balancedFrom(syn, { vip: web }));
    const echo = { src: client, dst: vip, rest: 9 };
    const data = new Uint8Array(31).fill(0x42);
    add('an echo request', echoFrame(echo, data), {
      reason: 'echo_reply',
      after: echoReplyFrame(echo, data),
    });
    const error = icmpFrame({ src: client, dst: vip, type: family === 4 ? 3 : 1, code: 1 }, quoted(flow));
    add(
      'an ICMP error',
      error,
      balanced(error, { vip: web, real, table: 'ring', after: inIp(error, real, flow) }),
    );
    add('another address', tcpFrame({ ...flow, dst: stranger }), { reason: 'no_vip' });
    add('an empty ring', tcpFrame(flowTo(family, empty)), {
      reason: 'empty_ring',
      vip: empty,
      counts: { 'lru.v1': 1, 'lru_miss.v2': 1, 'ring_drop.v2': 1 },
    });
    add('cut in its transport header', frame.slice(0, frame.length - 10), { reason: 'truncated' });
    add('cut in its IP header', frame.slice(0, 30), { reason: 'no_ip_header' });
    add('another protocol', ethernet(BALANCER_MAC, CLIENT_MAC, ETHERTYPE.arp, new Uint8Array(28)), {
      reason: 'not_ip',
    });
    const fits = tcpFrame(flow, { data: new Uint8Array(1514 - 34 - FAMILY[family].headerBytes) });
    add('the longest frame, and its tags', fits, balancedFrom(fits, { vip: web }));
    const long = tcpFrame(flow, { data: new Uint8Array(1515 - 34 - FAMILY[family].headerBytes) });
    add('a frame that is too long', long, {
      reason: 'too_big_sent',
      vip: web,
      after: tooBigAnswer(long, flow, 1500),
      counts: { [`too_big_sent.v${family === 4 ? 1 : 2}`]: 1 },
    });
  }
  const known = tcpFrame(flow);
  all.push(
    rowOf(
      'a flow is the same with tags and without',
      step(known, balancedFrom(known, { vip: web })),
      step(
        tagged(known, { control: 3 }),
        {
          ...balancedFrom(known, { vip: web, table: 'lru' }),
          after: tagged(inIp(known, real, flow), { control: 3 }),
        },
        (scene) => scene.ring(web, other),
      ),
    ),
    row('three tags', tagged(known, { control: 1 }, { control: 2 }, { control: 3 }), { reason: 'not_ip' }),
  );
  // Cut in the tags: one ends at 18 bytes, two at 22.
  for (const bytes of [14, 15, 17]) {
    all.push(
      row(`a tag cut to ${bytes} bytes`, tagged(known, { control: 1 }).slice(0, bytes), {
        reason: 'short_frame',
      }),
    );
  }
  for (const bytes of [18, 19, 21]) {
    all.push(
      row(`two tags cut to ${bytes} bytes`, tagged(known, { control: 1 }, { control: 2 }).slice(0, bytes), {
        reason: 'short_frame',
      }),
    );
  }
  all.push(
    row('a tag and nothing behind it', tagged(known, { control: 1 }).slice(0, 18), {
      reason: 'no_ip_header',
    }),
  );
  return all.map((each) => ({ ...each, name: `IPv${family}: ${each.name}` }));
}

/** Tunnels in tagged frames: the tags stay, the outer header goes. */
function tunnels(family: Family): Row[] {
  const { real, peer, tunnel, own } = FAMILY[family];
  const { web } = vipsOf(family);
  const flow = flowTo(family, web);
  const packet = tcpFrame(flow).subarray(14);
  const inner = frameOf(hopped(packet));
  const version = family === 4 ? 'v1' : 'v2';
  return (['ipip', 'gue'] as const).flatMap((kind) =>
    (['a tag', 'QinQ'] as const).flatMap((name) => {
      const tags = STACKS[name]!;
      const make = (dst: string): Uint8Array =>
        kind === 'gue' ? gueFrame({ src: peer, dst }, packet) : ipipFrame({ src: peer, dst }, packet);
      const counts = { 'remote_decap.v1': 1, [`decap.${version}`]: 1, [`rebalanced.${version}`]: 1 };
      const ownCounts = {
        [`decap.${version}`]: 1,
        ...(kind === 'gue' ? { [`decap_vip.${web.number}.v1`]: 1 } : {}),
      };
      return [
        tagRow(
          `IPv${family}: ${name}: ${kind} is taken apart and balanced`,
          make(tunnel),
          tags,
          balanced(inner, { vip: web, real, table: 'ring', counts, after: inIp(inner, real, flow) }),
        ),
        tagRow(`IPv${family}: ${name}: ${kind} for this host`, make(own), tags, {
          reason: 'decapsulated',
          ...(kind === 'gue' ? { vip: web } : {}),
          after: inner,
          counts: ownCounts,
        }),
      ];
    }),
  );
}

function off(family: Family): Row[] {
  const { web } = vipsOf(family);
  const frame = tcpFrame(flowTo(family, web));
  const tag = { control: 5 };
  return [
    row(`IPv${family}: tagged frames pass`, tagged(frame, tag), { reason: 'not_ip' }),
    row(`IPv${family}: however short`, tagged(frame, tag).slice(0, 16), { reason: 'not_ip' }),
    row(
      `IPv${family}: others are balanced`,
      frame,
      sent(frame, flowTo(family, web), { vip: web, real: FAMILY[family].real, table: 'ring' }),
    ),
  ];
}

/** The tag's own type inside an IP packet is nothing. */
const inside = row(
  'bytes of a tag in a packet are none',
  frameOf(
    ipv4(
      { src: FAMILY[4].client, dst: FAMILY[4].stranger, protocol: PROTOCOL.tcp },
      concat(tcp(flowTo(4, vipsOf(4).web), 0), Uint8Array.of(0x81, 0)),
    ),
  ),
  { reason: 'no_vip' },
);

const suite = (
  title: string,
  family: Family,
  list: readonly Row[],
  options: Suite['options'] = {},
): Suite => ({
  title: `${title}, IPv${family}`,
  options,
  arrange: (scene) => {
    scene.vips(vipsOf(family));
    scene.ownAddresses();
    scene.decapDestination(FAMILY[family].tunnel);
  },
  rows: list,
});
export const VLAN_SUITES: readonly Suite[] = FAMILIES.flatMap((family) => [
  suite('tags', family, [...rows(family), ...(family === 4 ? [inside] : [])]),
  suite('tags and tunnels', family, tunnels(family), { ipipDecap: true, gueDecap: true }),
  suite('tags off', family, off(family), { vlanTags: false }),
]);
