/** Source routes: the client's prefix decides before the ring; and what else is read of rings and backends. */
import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { TCP_FLAGS, tcpFrame, udpFrame } from '../../support/packets.js';
import { balanced, type Row, rowOf, type Suite, step } from '../suite.js';
import { inIp, sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { MISSING_REAL, numberVips, REAL_BEYOND, REALS, type Scene } from './setup.js';

const { SRC_ROUTING, HASH_DPORT_ONLY, LRU_BYPASS } = VIP_FLAGS;
const { syn, rst } = TCP_FLAGS;
const HIT = { 'source_route.v2': 1 };
const MISS = { 'source_route.v1': 1 };

const routeVips = (family: Family) =>
  numberVips({
    web: vipRow(family, 'tcp', 80, { flags: SRC_ROUTING }),
    dns: vipRow(family, 'udp', 53, { flags: SRC_ROUTING }),
    plain: vipRow(family, 'tcp', 81),
    portOnly: vipRow(family, 'tcp', 82, { flags: SRC_ROUTING | HASH_DPORT_ONLY }),
    bypass: vipRow(family, 'tcp', 83, { flags: SRC_ROUTING | LRU_BYPASS }),
    empty: vipRow(family, 'tcp', 84, { flags: SRC_ROUTING, ring: 'empty' }),
  });

/** Prefixes that the client is in, from the narrowest, and ones that it is not in. */
const PREFIXES = {
  4: {
    host: ['203.0.113.77', 32],
    near: ['203.0.113.64', 27],
    wide: ['203.0.0.0', 9],
    all: ['0.0.0.0', 0],
    away: ['203.0.113.78', 32],
  },
  6: {
    host: ['2001:db8:cafe::1234:5678', 128],
    near: ['2001:db8:cafe::1234:0', 113],
    wide: ['2001:db8::', 29],
    all: ['::', 0],
    away: ['2001:db8:cafe::1234:5679', 128],
  },
} as const;

function routed(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { web, dns, plain, portOnly, bypass, empty } = routeVips(family);
  const prefixes = PREFIXES[family];
  const flow = flowTo(family, web);
  const first = tcpFrame(flow, { flags: syn });
  const next = tcpFrame(flow);
  const byRoute = { vip: web, real: other, table: 'source_route', counts: HIT } as const;
  const route = (scene: Scene, name: keyof (typeof PREFIXES)[4], to: typeof real | number = other): void =>
    scene.sourceRoute(prefixes[name][0], prefixes[name][1], to);
  const rows: Row[] = (['host', 'near', 'wide', 'all'] as const).map((name) =>
    rowOf(
      `a route of ${prefixes[name][1]} bits`,
      step(
        first,
        sent(first, flow, { ...byRoute, flags: ['INSERTED'], entries: [{ pos: REALS[other].index }] }),
        (scene) => route(scene, name),
      ),
    ),
  );
  rows.push(
    rowOf(
      'the longest prefix goes first',
      step(first, sent(first, flow, byRoute), (scene) => {
        route(scene, 'all', MISSING_REAL);
        route(scene, 'wide', MISSING_REAL);
        route(scene, 'near', other);
        route(scene, 'away', MISSING_REAL);
      }),
    ),
    rowOf(
      'no route for the client',
      step(first, sent(first, flow, { vip: web, real, table: 'ring', counts: MISS }), (scene) =>
        route(scene, 'away'),
      ),
    ),
    rowOf(
      'a known flow stays',
      step(first, sent(first, flow, { vip: web, real, table: 'ring', counts: MISS })),
      step(next, sent(next, flow, { vip: web, real, table: 'lru' }), (scene) => route(scene, 'all')),
      step(first, sent(first, flow, byRoute)),
    ),
    rowOf(
      'RST is not noted',
      step(
        tcpFrame(flow, { flags: rst }),
        sent(tcpFrame(flow, { flags: rst }), flow, { ...byRoute, entries: [] }),
        (scene) => route(scene, 'all'),
      ),
    ),
    rowOf(
      'in a flood the ring decides',
      step(
        first,
        sent(first, flow, { vip: web, real, table: 'ring', flags: ['HASHED', 'FLOODED'], entries: [] }),
        (scene) => {
          route(scene, 'all');
          scene.rate(100);
        },
      ),
    ),
  );
  for (const [name, index] of [
    ['that is not there', MISSING_REAL],
    ['beyond all rows', REAL_BEYOND],
  ] as const) {
    rows.push(
      rowOf(
        `a route to a backend ${name}`,
        step(
          first,
          {
            reason: 'no_real',
            vip: web,
            counts: { 'lru.v1': 1, 'lru_miss.v1': 1, 'ring_drop.v1': 1, ...HIT },
            entries: [],
          },
          (scene) => route(scene, 'all', index),
        ),
      ),
    );
  }
  const lookup = flowTo(family, dns);
  const simple = flowTo(family, plain);
  const byPort = flowTo(family, portOnly);
  const spared = flowTo(family, bypass);
  const lost = flowTo(family, empty);
  const all = (scene: Scene): void => route(scene, 'all');
  rows.push(
    rowOf('UDP', step(udpFrame(lookup), sent(udpFrame(lookup), lookup, { ...byRoute, vip: dns }), all)),
    rowOf(
      'a VIP without the flag',
      step(tcpFrame(simple), sent(tcpFrame(simple), simple, { vip: plain, real, table: 'ring' }), all),
    ),
    rowOf(
      'a VIP whose ring knows no client: the route does, and the outer header',
      step(
        tcpFrame(byPort),
        sent(tcpFrame(byPort), byPort, {
          ...byRoute,
          vip: portOnly,
        }),
        (scene) => route(scene, 'host'),
      ),
    ),
    rowOf(
      'a VIP without a table',
      step(tcpFrame(spared), sent(tcpFrame(spared), spared, { ...byRoute, vip: bypass, entries: [] }), all),
    ),
    rowOf(
      'a VIP whose ring is empty',
      step(tcpFrame(lost), sent(tcpFrame(lost), lost, { ...byRoute, vip: empty }), all),
    ),
  );
  return rows;
}

function routesOff(family: Family): Row[] {
  const { real } = FAMILY[family];
  const { web } = routeVips(family);
  const flow = flowTo(family, web);
  const frame = tcpFrame(flow);
  return [
    rowOf(
      'routes mean nothing',
      step(frame, sent(frame, flow, { vip: web, real, table: 'ring' }), (scene) =>
        scene.sourceRoute(PREFIXES[family].all[0], 0, 'otherFour'),
      ),
    ),
  ];
}

/** Next hops of backends, and rings of VIPs. */
function hops(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { web, dns, plain } = routeVips(family);
  // Rings 0 and 1 are the families' own, and so are the numbers of these VIPs.
  const numbered = family === 4 ? web : dns;
  const lookup = flowTo(family, numbered);
  const datagram = family === 4 ? tcpFrame(lookup) : udpFrame(lookup);
  const flow = flowTo(family, plain);
  const frame = tcpFrame(flow);
  const own = '02:00:00:00:00:07';
  return [
    rowOf(
      "a backend's own goes before the router's",
      step(
        frame,
        balanced(frame, { vip: plain, real, table: 'ring', after: inIp(frame, real, flow, own) }),
        (scene) => scene.nextHop(real, own),
      ),
    ),
    rowOf(
      "another backend's does not matter",
      step(frame, sent(frame, flow, { vip: plain, real, table: 'ring' }), (scene) =>
        scene.nextHop(other, own),
      ),
    ),
    rowOf(
      'a VIP that names a ring which is not there has no backend',
      step(
        frame,
        {
          reason: 'empty_ring',
          vip: plain,
          counts: { 'lru.v1': 1, 'lru_miss.v2': 1, 'ring_drop.v2': 1 },
        },
        (scene) => scene.ringBeyond(plain),
      ),
    ),
    rowOf(
      'a VIP that names no ring has that of its number',
      step(datagram, sent(datagram, lookup, { vip: numbered, real, table: 'ring' }), (scene) =>
        scene.ownRing(numbered),
      ),
    ),
  ];
}

function suite(title: string, family: Family, rows: readonly Row[], options: Suite['options'] = {}): Suite {
  return {
    title: `${title}, IPv${family}`,
    options,
    arrange: (scene) => scene.vips(routeVips(family)),
    rows,
  };
}

export const ROUTE_SUITES: readonly Suite[] = FAMILIES.flatMap((family) => [
  suite('source routes', family, routed(family), {
    sourceRouting: true,
    newConnectionsPerSecond: 100,
  }),
  suite('source routes off', family, [...routesOff(family), ...hops(family)]),
]);
