/** Packets that monitors are told of. */
import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { frameOf, ipv4, PROTOCOL, TCP_FLAGS, tcp, tcpFrame, udpFrame } from '../../support/packets.js';
import { tooBigAnswer } from '../../support/packets-icmp.js';
import { connectionId, quicShort } from '../../support/packets-quic.js';
import { type Row, row, rowOf, type Suite, step } from '../suite.js';
import { sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { MISSING_REAL, numberVips } from './setup.js';

const { syn } = TCP_FLAGS;
const vipsOf = (family: Family) =>
  numberVips({
    web: vipRow(family, 'tcp', 80),
    dns: vipRow(family, 'udp', 53),
    empty: vipRow(family, 'tcp', 81, { ring: 'empty' }),
    quic: vipRow(family, 'udp', 443, { flags: VIP_FLAGS.QUIC_VIP }),
  });
type What = 'all' | 'no drops' | 'nothing';

function rows(family: Family, what: What): Row[] {
  const { real } = FAMILY[family];
  const { web, empty, dns, quic } = vipsOf(family);
  const flow = flowTo(family, web);
  const on = <T>(events: readonly T[]): readonly T[] => (what === 'nothing' ? [] : events);
  const drop = <T>(event: T): readonly T[] => (what === 'all' ? [event] : []);
  const missed = (vip: typeof web) => ({ kind: 'tcp_nonsyn_lru_miss', reason: 'forwarded', vip }) as const;
  const lost = tcpFrame(flowTo(family, empty));
  const first = tcpFrame(flow, { flags: syn });
  const next = tcpFrame(flow);
  const large = tcpFrame(flow, { data: new Uint8Array(600).fill(0x61) });
  const datagram = udpFrame(flowTo(family, dns));
  const long = tcpFrame(flow, { data: new Uint8Array(1500).fill(0x62) });
  const gone = udpFrame(flowTo(family, quic), { data: quicShort(connectionId(1, 9)) });
  const dropped = (reason: 'empty_ring' | 'unknown_server', vip: typeof web) =>
    drop({ kind: 'drop', reason, vip } as const);
  return [
    row(
      'a TCP packet of a flow that is not known',
      next,
      sent(next, flow, { vip: web, real, table: 'ring', events: on([missed(web)]) }),
    ),
    row(
      'its first 128 bytes',
      large,
      sent(large, flow, { vip: web, real, table: 'ring', events: on([missed(web)]) }),
    ),
    row('a SYN is none', first, sent(first, flow, { vip: web, real, table: 'ring', events: [] })),
    rowOf(
      'a known flow is none',
      step(first, sent(first, flow, { vip: web, real, table: 'ring', events: [] })),
      step(next, sent(next, flow, { vip: web, real, table: 'lru', events: [] })),
    ),
    row(
      'UDP is none',
      datagram,
      sent(datagram, flowTo(family, dns), { vip: dns, real, table: 'ring', events: [] }),
    ),
    row('a frame that is too long', long, {
      reason: 'too_big_sent',
      vip: web,
      after: tooBigAnswer(long, flow, 1500),
      counts: { [`too_big_sent.v${family === 4 ? 1 : 2}`]: 1 },
      events: on([{ kind: 'packet_too_big', reason: 'too_long', vip: web } as const]),
    }),
    rowOf(
      'a server id of a backend that is not there',
      step(
        gone,
        {
          reason: 'unknown_server',
          vip: quic,
          counts: { 'lru.v1': 1, 'quic.cid_v1': 1, 'quic.cid_unknown_real_dropped': 1 },
          events: [
            ...on([{ kind: 'quic_unknown_server', reason: 'unknown_server', vip: quic } as const]),
            ...dropped('unknown_server', quic),
          ],
        },
        (scene) => scene.serverId(9, MISSING_REAL),
      ),
    ),
    row('a drop for a VIP', lost, {
      reason: 'empty_ring',
      vip: empty,
      counts: { 'lru.v1': 1, 'lru_miss.v2': 1, 'ring_drop.v2': 1 },
      events: [...on([missed(empty)]), ...dropped('empty_ring', empty)],
    }),
    row('a packet that passes is none', tcpFrame({ ...flow, dport: 8080 }), { reason: 'no_vip', events: [] }),
    ...(family === 4
      ? [
          row(
            'a drop for no VIP',
            frameOf(
              ipv4(
                { src: flow.src, dst: web.address, protocol: PROTOCOL.tcp, fragment: 0x2000 },
                tcp(flow, 0),
              ),
            ),
            {
              reason: 'fragment',
              events: drop({ kind: 'drop', reason: 'fragment' } as const),
            },
          ),
          {
            ...row('a drop of no byte has nothing to show', new Uint8Array(), {
              reason: 'short_frame',
              events: [],
            }),
            notOn: ['kernel' as const],
          },
          {
            ...row('a drop of a few bytes', next.slice(0, 5), {
              reason: 'short_frame',
              events: drop({ kind: 'drop', reason: 'short_frame' } as const),
            }),
            notOn: ['kernel' as const],
          },
        ]
      : []),
  ];
}

const suite = (
  title: string,
  family: Family,
  what: What,
  isOn: boolean,
  options: Suite['options'] = {},
): Suite => ({
  title: `${title}, IPv${family}`,
  options: { eventsEnabled: true, ...options },
  arrange: (scene) => {
    scene.vips(vipsOf(family));
    scene.events(isOn);
  },
  rows: rows(family, what),
});
export const EVENT_SUITES: readonly Suite[] = FAMILIES.flatMap((family) => [
  suite('events, each drop', family, 'all', true, { dropSampleRate: 1 }),
  suite('events, no drops', family, 'no drops', true),
  suite('events while nobody listens', family, 'nothing', false, { dropSampleRate: 1 }),
  suite('events off', family, 'nothing', true, { eventsEnabled: false, dropSampleRate: 1 }),
]);
