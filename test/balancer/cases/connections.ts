/** The connection table: who is noted, for how long, and what stands in for it. */
import { expect } from 'vitest';
import { FLOW_KEY, VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { decode } from '../../../lb/balancer/structs.js';
import { ageTable, mapOf, tableEntries } from '../../support/balancer-state.js';
import { PROTOCOL, TCP_FLAGS, tcpFrame, udpFrame } from '../../support/packets.js';
import { type Row, rowOf, type Suite, step } from '../suite.js';
import { sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { MISSING_REAL, numberVips, REAL_BEYOND, REALS, type Scene } from './setup.js';

const { syn, ack, rst, fin } = TCP_FLAGS;
const SECOND_NS = 1_000_000_000n;
const TIMEOUT_NS = 30n * SECOND_NS;

const vipsOf = (family: Family) =>
  numberVips({
    web: vipRow(family, 'tcp', 80),
    dns: vipRow(family, 'udp', 53),
    global: vipRow(family, 'tcp', 81, { flags: VIP_FLAGS.GLOBAL_LRU }),
    globalUdp: vipRow(family, 'udp', 54, { flags: VIP_FLAGS.GLOBAL_LRU }),
    globalBypass: vipRow(family, 'tcp', 82, { flags: VIP_FLAGS.GLOBAL_LRU | VIP_FLAGS.LRU_BYPASS }),
    bypass: vipRow(family, 'tcp', 83, { flags: VIP_FLAGS.LRU_BYPASS }),
    every: vipRow(family, 'tcp', 0),
  });

const age = (scene: Scene, ns: bigint): void => ageTable(scene.bed.connections, ns);

function noting(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { web, dns } = vipsOf(family);
  const flow = flowTo(family, web);
  const lookup = flowTo(family, dns);
  const pos = REALS[real].index;
  const tcp = (flags: number): Uint8Array => tcpFrame(flow, { flags });
  const datagram = udpFrame(lookup);
  const fromRing = { vip: web, real, table: 'ring' } as const;
  const fromTable = { vip: web, real, table: 'lru' } as const;
  const toOther = (scene: Scene): void => {
    scene.ring(web, other);
    scene.ring(dns, other);
  };
  const anew = sent(tcp(syn), flow, { ...fromRing, real: other, entries: [{ pos: REALS[other].index }] });
  const rows = [
    rowOf(
      'a TCP flow has no time',
      step(
        tcp(syn),
        sent(tcp(syn), flow, { ...fromRing, entries: [{ pos, atime: 0n, protocol: PROTOCOL.tcp }] }),
      ),
    ),
    rowOf(
      'SYN asks the ring though the flow is noted, and overwrites it',
      step(tcp(ack), sent(tcp(ack), flow, fromRing)),
      step(tcp(syn), anew, toOther),
      step(tcp(ack), sent(tcp(ack), flow, { ...fromTable, real: other })),
    ),
    rowOf(
      'SYN with ACK is SYN',
      step(tcp(ack), sent(tcp(ack), flow, fromRing)),
      step(tcp(syn | ack), sent(tcp(syn | ack), flow, { ...fromRing, real: other }), toOther),
    ),
    rowOf(
      'RST of an unknown flow is forwarded and not noted',
      step(tcp(rst), sent(tcp(rst), flow, { ...fromRing, flags: ['HASHED'], entries: [] })),
      step(tcp(rst | ack), sent(tcp(rst | ack), flow, { ...fromRing, entries: [] })),
    ),
    rowOf(
      'SYN with RST is not noted',
      step(tcp(syn | rst), sent(tcp(syn | rst), flow, { ...fromRing, entries: [] })),
    ),
    rowOf(
      'RST and FIN of a noted flow go where it goes, and leave it',
      step(tcp(ack), sent(tcp(ack), flow, fromRing)),
      step(tcp(rst), sent(tcp(rst), flow, { ...fromTable, entries: [{ pos }] }), toOther),
      step(tcp(fin | ack), sent(tcp(fin | ack), flow, { ...fromTable, entries: [{ pos }] })),
    ),
    rowOf(
      'a TCP flow does not age',
      step(tcp(ack), sent(tcp(ack), flow, fromRing)),
      step(tcp(ack), sent(tcp(ack), flow, fromTable), toOther),
    ),
    rowOf(
      'a noted flow whose backend is gone is a new one',
      step(tcp(ack), sent(tcp(ack), flow, fromRing)),
      step(
        tcp(ack),
        sent(tcp(ack), flow, { ...fromRing, real: other, entries: [{ pos: REALS[other].index }] }),
        (scene) => {
          toOther(scene);
          scene.removeReal(real);
        },
      ),
    ),
    ...[MISSING_REAL, REAL_BEYOND].map((pos) =>
      rowOf(
        `a noted flow of backend ${pos}, which is not there, is a new one`,
        step(
          tcp(ack),
          sent(tcp(ack), flow, { ...fromRing, entries: [{ pos: REALS[real].index }] }),
          (scene) => scene.note(flow, PROTOCOL.tcp, pos),
        ),
      ),
    ),
    rowOf(
      'a UDP flow has the time of its last packet',
      {
        ...step(
          datagram,
          sent(datagram, lookup, {
            vip: dns,
            real,
            table: 'ring',
            entries: [{ pos, protocol: PROTOCOL.udp }],
          }),
        ),
        afterwards: ({ bed }) => {
          const [entry] = tableEntries(bed.connections);
          expect(Number(bed.now() - entry!.atime) / 1e9).toBeGreaterThanOrEqual(0);
          expect(Number(bed.now() - entry!.atime) / 1e9).toBeLessThan(5);
        },
      },
      {
        ...step(datagram, sent(datagram, lookup, { vip: dns, real, table: 'lru' }), (scene) =>
          age(scene, 20n * SECOND_NS),
        ),
        afterwards: ({ bed }) => {
          const [entry] = tableEntries(bed.connections);
          expect(Number(bed.now() - entry!.atime) / 1e9).toBeLessThan(5);
        },
      },
    ),
    rowOf(
      'a UDP flow that was silent for 30 s is a new one',
      step(datagram, sent(datagram, lookup, { vip: dns, real, table: 'ring' })),
      step(
        datagram,
        sent(datagram, lookup, {
          vip: dns,
          real: other,
          table: 'ring',
          entries: [{ pos: REALS[other].index }],
        }),
        (scene) => {
          toOther(scene);
          age(scene, TIMEOUT_NS + 1n);
        },
      ),
    ),
    {
      ...rowOf(
        'a UDP flow that was silent for 30 s and not longer is known',
        step(datagram, sent(datagram, lookup, { vip: dns, real, table: 'ring' })),
        step(datagram, sent(datagram, lookup, { vip: dns, real, table: 'lru' }), (scene) => {
          toOther(scene);
          age(scene, TIMEOUT_NS);
        }),
      ),
      // Its clock goes on.
      notOn: ['kernel' as const],
    },
    rowOf(
      'TCP and UDP of the same ports are two flows',
      step(tcp(ack), sent(tcp(ack), flow, fromRing)),
      step(
        udpFrame({ ...flow, dport: 53 }),
        sent(udpFrame({ ...flow, dport: 53 }), { ...flow, dport: 53 }, { vip: dns, real, table: 'ring' }),
      ),
    ),
  ];
  return rows.map((each) => ({ ...each, name: `IPv${family}: ${each.name}` }));
}

function flood(family: Family): Row[] {
  const { real } = FAMILY[family];
  const { web, dns } = vipsOf(family);
  const pos = REALS[real].index;
  const flow = flowTo(family, web);
  const lookup = flowTo(family, dns);
  const first = tcpFrame(flow, { flags: syn });
  const datagram = udpFrame(lookup);
  const noted = sent(first, flow, {
    vip: web,
    real,
    table: 'ring',
    flags: ['HASHED', 'INSERTED'],
    entries: [{ pos }],
  });
  const spared = sent(first, flow, {
    vip: web,
    real,
    table: 'ring',
    flags: ['HASHED', 'FLOODED'],
    entries: [],
  });
  const rows = [
    rowOf(
      'the last one of a second is noted',
      step(first, noted, (scene) => scene.rate(9)),
    ),
    rowOf(
      'the next one is balanced and not noted',
      step(first, spared, (scene) => scene.rate(10)),
    ),
    rowOf(
      'a second later it is noted again',
      step(first, noted, (scene) => scene.rate(5000, SECOND_NS + 1_000_000n)),
    ),
    rowOf(
      'UDP counts as well',
      step(
        datagram,
        sent(datagram, lookup, { vip: dns, real, table: 'ring', flags: ['HASHED', 'FLOODED'], entries: [] }),
        (scene) => scene.rate(10),
      ),
    ),
    rowOf(
      'a known flow does not count',
      step(first, noted, (scene) => scene.rate(9)),
      step(tcpFrame(flow), sent(tcpFrame(flow), flow, { vip: web, real, table: 'lru', flags: [] }), (scene) =>
        scene.rate(10),
      ),
    ),
  ];
  return rows.map((each) => ({ ...each, name: `IPv${family}: ${each.name}` }));
}

/** A flow that the shared table has, since the CPUs have none. */
function fallback(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { web, dns } = vipsOf(family);
  const [flow, lookup] = [flowTo(family, web), flowTo(family, dns)];
  const [first, next, datagram] = [tcpFrame(flow, { flags: syn }), tcpFrame(flow), udpFrame(lookup)];
  const counts = { 'fallback_lru.v1': 1 };
  const inFallback = (scene: Scene): string[] => {
    const ports: string[] = [];
    mapOf(scene.bed.maps, 'fallback_cache').forEach((key) => {
      ports.push(String(decode(FLOW_KEY, key).dport));
    });
    return ports;
  };
  return [
    rowOf(
      `IPv${family}: TCP`,
      {
        ...step(first, sent(first, flow, { vip: web, real, table: 'ring', counts })),
        afterwards: (scene) => expect(inFallback(scene)).toEqual(['80']),
      },
      step(next, sent(next, flow, { vip: web, real, table: 'lru', counts, entries: [] }), (scene) =>
        scene.ring(web, other),
      ),
    ),
    rowOf(
      `IPv${family}: UDP, which ages there too`,
      step(datagram, sent(datagram, lookup, { vip: dns, real, table: 'ring', counts })),
      step(datagram, sent(datagram, lookup, { vip: dns, real, table: 'lru', counts }), (scene) =>
        scene.ring(dns, other),
      ),
      step(datagram, sent(datagram, lookup, { vip: dns, real: other, table: 'ring', counts }), (scene) =>
        ageTable(mapOf(scene.bed.maps, 'fallback_cache'), TIMEOUT_NS + 1n),
      ),
    ),
  ];
}

function global(family: Family, isOn: boolean): Row[] {
  const { real, other } = FAMILY[family];
  const { web, global: vip, globalUdp, globalBypass } = vipsOf(family);
  const pos = REALS[other].index;
  const flow = flowTo(family, vip);
  const lookup = flowTo(family, globalUdp);
  const spared = flowTo(family, globalBypass);
  const plain = flowTo(family, web);
  const [first, next, datagram] = [tcpFrame(flow, { flags: syn }), tcpFrame(flow), udpFrame(lookup)];
  const arrange = (scene: Scene): void => {
    for (const each of [flow, plain, spared]) scene.globalFlow(each, PROTOCOL.tcp, pos);
    scene.globalFlow(lookup, PROTOCOL.udp, pos);
  };
  const hit = { 'global_lru.v1': 1, 'global_lru.v2': 1 };
  const ring = (frame: Uint8Array, counts = {}) => sent(frame, flow, { vip, real, table: 'ring', counts });
  const rows = isOn
    ? [
        rowOf(
          'a flow that another node has noted goes where that says, and is not copied',
          step(
            next,
            sent(next, flow, { vip, real: other, table: 'global_lru', counts: hit, entries: [] }),
            arrange,
          ),
        ),
        rowOf(
          'UDP too, without time',
          step(
            datagram,
            sent(datagram, lookup, {
              vip: globalUdp,
              real: other,
              table: 'global_lru',
              counts: hit,
              entries: [],
            }),
            arrange,
          ),
        ),
        rowOf('a SYN does not ask', step(first, ring(first), arrange)),
        rowOf(
          "the CPU's own table goes first",
          step(first, ring(first), arrange),
          step(next, sent(next, flow, { vip, real, table: 'lru' })),
        ),
        rowOf('a flow that it has not', step(next, ring(next, { 'global_lru.v1': 1 }))),
        ...[MISSING_REAL, REAL_BEYOND].map((index) =>
          rowOf(
            `backend ${index}, which is not there, is none`,
            step(next, ring(next, { 'global_lru.v1': 1 }), (scene) =>
              scene.globalFlow(flow, PROTOCOL.tcp, index),
            ),
          ),
        ),
        rowOf(
          'also without a connection table',
          step(
            tcpFrame(spared),
            sent(tcpFrame(spared), spared, {
              vip: globalBypass,
              real: other,
              table: 'global_lru',
              counts: hit,
            }),
            arrange,
          ),
        ),
        rowOf(
          'a VIP without the flag does not ask',
          step(tcpFrame(plain), sent(tcpFrame(plain), plain, { vip: web, real, table: 'ring' }), arrange),
        ),
      ]
    : [rowOf('without the option nobody asks', step(next, ring(next), arrange))];
  return rows.map((each) => ({ ...each, name: `IPv${family}: ${each.name}` }));
}

function watched(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { web, dns, bypass, every } = vipsOf(family);
  const [flow, lookup] = [flowTo(family, web), flowTo(family, dns)];
  const spared = flowTo(family, bypass);
  const wild = flowTo(family, every, { dport: 9000 });
  const miss = (name: typeof real): Record<string, number> => ({ [`miss.${REALS[name].index}`]: 1 });
  const [first, next, datagram] = [tcpFrame(flow, { flags: syn }), tcpFrame(flow), udpFrame(lookup)];
  const rows = [
    rowOf(
      'new flows count under their backend, known ones do not',
      step(first, sent(first, flow, { vip: web, real, table: 'ring', counts: miss(real) }), (scene) =>
        scene.watch(web),
      ),
      step(next, sent(next, flow, { vip: web, real, table: 'lru' })),
      step(first, sent(first, flow, { vip: web, real: other, table: 'ring', counts: miss(other) }), (scene) =>
        scene.ring(web, other),
      ),
    ),
    rowOf(
      "another VIP's do not",
      step(datagram, sent(datagram, lookup, { vip: dns, real, table: 'ring' }), (scene) => scene.watch(web)),
    ),
    rowOf(
      'UDP',
      step(datagram, sent(datagram, lookup, { vip: dns, real, table: 'ring', counts: miss(real) }), (scene) =>
        scene.watch(dns),
      ),
    ),
    rowOf(
      'each packet of a VIP without a table',
      step(
        tcpFrame(spared),
        sent(tcpFrame(spared), spared, { vip: bypass, real, table: 'ring', counts: miss(real) }),
        (scene) => scene.watch(bypass),
      ),
      step(
        tcpFrame(spared),
        sent(tcpFrame(spared), spared, { vip: bypass, real, table: 'ring', counts: miss(real) }),
      ),
    ),
    rowOf(
      'a VIP of every port',
      step(
        tcpFrame(wild),
        sent(tcpFrame(wild), wild, { vip: every, real, table: 'ring', counts: miss(real) }),
        (scene) => scene.watch(every),
      ),
    ),
  ];
  return rows.map((each) => ({ ...each, name: `IPv${family}: ${each.name}` }));
}

const suite = (
  title: string,
  family: Family,
  rows: readonly Row[],
  options: Suite['options'] = {},
): Suite => ({
  title: `${title}, IPv${family}`,
  options,
  arrange: (scene) => scene.vips(vipsOf(family)),
  rows,
});

export const CONNECTION_SUITES: readonly Suite[] = FAMILIES.flatMap((family) => [
  suite('connection table', family, [...noting(family), ...watched(family)]),
  suite('rate of new connections', family, flood(family), { newConnectionsPerSecond: 10 }),
  suite('CPU without a connection table', family, fallback(family), { connectionTable: false }),
  suite('global table', family, global(family, true), { globalLru: true }),
  suite('global table off', family, global(family, false), { globalLru: false }),
]);
