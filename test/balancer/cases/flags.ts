/** Flags of VIPs that change key and hash; the slot is that of an independent hash. */
import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { slotOf } from '../../support/flow-hash.js';
import { type Endpoints, TCP_FLAGS, tcpFrame, udpFrame } from '../../support/packets.js';
import { type Row, row, rowOf, type Step, type Suite, step } from '../suite.js';
import { sent } from './expect.js';
import { CLIENT_4, CLIENT_6, numberVips, type RealName, type RingName, type Vip } from './setup.js';

const { HASH_NO_SRC_PORT, LRU_BYPASS, HASH_DPORT_ONLY, HASH_SRC_DST_PORT } = VIP_FLAGS;
const ADDRESSES = { 4: '198.51.100.20', 6: '2001:db8::20' } as const;
type Family = keyof typeof ADDRESSES;
const RING: Readonly<Record<Family, RingName & RealName>> = { 4: 'four', 6: 'six' };
const OTHER: Readonly<Record<Family, RingName & RealName>> = { 4: 'otherFour', 6: 'otherSix' };
const CLIENT = { 4: CLIENT_4, 6: CLIENT_6 } as const;
const OTHER_CLIENT = { 4: '203.0.113.200', 6: '2001:db8:cafe::200' } as const;
const NO_CLIENT = { 4: '0.0.0.0', 6: '::' } as const;
const { syn } = TCP_FLAGS;

const familyVips = (family: Family) => {
  const at = (port: number, protocol: 'tcp' | 'udp', flags: number) => ({
    address: ADDRESSES[family],
    port,
    protocol,
    flags,
    ring: RING[family],
  });
  return numberVips({
    plain: at(80, 'tcp', 0),
    plainUdp: at(80, 'udp', 0),
    noSource: at(81, 'tcp', HASH_NO_SRC_PORT),
    noSourceUdp: at(81, 'udp', HASH_NO_SRC_PORT),
    noTable: at(82, 'tcp', LRU_BYPASS),
    noTableUdp: at(82, 'udp', LRU_BYPASS),
    portOnly: at(83, 'tcp', HASH_DPORT_ONLY),
    portOnlyUdp: at(83, 'udp', HASH_DPORT_ONLY),
    portOnlyNoSource: at(84, 'tcp', HASH_DPORT_ONLY | HASH_NO_SRC_PORT),
    bothPorts: at(85, 'tcp', HASH_SRC_DST_PORT),
  });
};

function rows(family: Family): Row[] {
  const vips = familyVips(family);
  const real = RING[family];
  const other = OTHER[family];
  const src = CLIENT[family];
  const ends = (vip: Vip, more: Partial<Endpoints> = {}): Endpoints => ({
    src,
    dst: vip.address,
    sport: 40000,
    dport: vip.port,
    ...more,
  });
  const frameFor = (vip: Vip, to: Endpoints, flags?: number): Uint8Array =>
    vip.protocol === 'tcp' ? tcpFrame(to, flags === undefined ? {} : { flags }) : udpFrame(to);
  const all: Row[] = [];
  const add = (name: string, ...steps: readonly Step[]): void => {
    all.push(rowOf(`IPv${family}: ${name}`, ...steps));
  };

  for (const name of ['plain', 'plainUdp'] as const) {
    const vip = vips[name];
    const to = ends(vip);
    const frame = frameFor(vip, to, syn);
    const again = frameFor(vip, to);
    add(
      `no flag, ${vip.protocol}: the ring, then the table`,
      step(
        frame,
        sent(frame, to, {
          vip,
          real,
          table: 'ring',
          slot: slotOf(src, 40000, 80),
          flags: ['HASHED', 'INSERTED'],
          entries: [{ sport: 40000, dport: 80, pos: family === 4 ? 1 : 2 }],
        }),
      ),
      step(again, sent(again, to, { vip, real, table: 'lru', slot: 0, flags: [] }), (scene) =>
        scene.ring(vip, other),
      ),
    );
  }

  for (const name of ['noSource', 'noSourceUdp'] as const) {
    const vip = vips[name];
    const to = ends(vip);
    const second = ends(vip, { sport: 50000 });
    const frame = frameFor(vip, to);
    const otherPort = frameFor(vip, second);
    const outer = { src, sport: 0 };
    add(
      `source port left out, ${vip.protocol}: of key, hash and outer header`,
      step(
        frame,
        sent(frame, to, {
          vip,
          real,
          table: 'ring',
          outer,
          slot: slotOf(src, 0, 81),
          entries: [{ sport: 0, dport: 81 }],
        }),
      ),
      step(otherPort, sent(otherPort, second, { vip, real, table: 'lru', outer }), (scene) =>
        scene.ring(vip, other),
      ),
    );
  }

  for (const name of ['noTable', 'noTableUdp'] as const) {
    const vip = vips[name];
    const to = ends(vip);
    const frame = frameFor(vip, to);
    const slot = slotOf(src, 40000, 82);
    add(
      `no connection table, ${vip.protocol}: the ring decides for each packet, nothing is noted`,
      step(frame, sent(frame, to, { vip, real, table: 'ring', slot, flags: ['HASHED'], entries: [] })),
      step(frame, sent(frame, to, { vip, real: other, table: 'ring', slot, entries: [] }), (scene) =>
        scene.ring(vip, other),
      ),
    );
  }

  for (const name of ['portOnly', 'portOnlyUdp'] as const) {
    const vip = vips[name];
    const to = ends(vip);
    const neighbour = ends(vip, { src: OTHER_CLIENT[family], sport: 50000 });
    const frame = frameFor(vip, to);
    const theirs = frameFor(vip, neighbour);
    const slot = slotOf(NO_CLIENT[family], 83, 83);
    const outer = (sport: number) => ({ src: NO_CLIENT[family], sport });
    add(
      `destination port alone, ${vip.protocol}: one slot for all clients, each flow is found again`,
      step(
        frame,
        sent(frame, to, {
          vip,
          real,
          table: 'ring',
          slot,
          outer: outer(40000),
          entries: [{ sport: 40000, dport: 83 }],
        }),
      ),
      step(frame, sent(frame, to, { vip, real, table: 'lru', outer: outer(40000) }), (scene) =>
        scene.ring(vip, other),
      ),
      step(theirs, sent(theirs, neighbour, { vip, real: other, table: 'ring', slot, outer: outer(50000) })),
    );
  }

  {
    const vip = vips.portOnlyNoSource;
    const to = ends(vip);
    const frame = frameFor(vip, to);
    add(
      'destination port alone and no source port: the outer header has neither',
      step(
        frame,
        sent(frame, to, {
          vip,
          real,
          table: 'ring',
          slot: slotOf(NO_CLIENT[family], 84, 84),
          outer: { src: NO_CLIENT[family], sport: 0 },
          entries: [{ sport: 0, dport: 84 }],
        }),
      ),
    );
  }
  {
    const vip = vips.bothPorts;
    const to = ends(vip);
    const frame = frameFor(vip, to);
    add(
      'both ports, on a VIP of one port: as without the flag',
      step(
        frame,
        sent(frame, to, {
          vip,
          real,
          table: 'ring',
          slot: slotOf(src, 40000, 85),
          entries: [{ sport: 40000, dport: 85 }],
        }),
      ),
    );
  }
  return all;
}

/** VIPs of every port. */
function wildcardSuite(family: Family, name: string, flags: number): Suite {
  const src = CLIENT[family];
  const real = RING[family];
  const vips = numberVips({
    every: { address: ADDRESSES[family], port: 0, protocol: 'tcp', flags, ring: real },
    exact: { address: ADDRESSES[family], port: 443, protocol: 'tcp', ring: OTHER[family] },
  });
  const keepsPort = (flags & (HASH_DPORT_ONLY | HASH_SRC_DST_PORT)) !== 0;
  const isPortOnly = (flags & HASH_DPORT_ONLY) !== 0;
  const to = (dport: number): Endpoints => ({ src, dst: ADDRESSES[family], sport: 40000, dport });
  const slot = (dport: number): number =>
    isPortOnly ? slotOf(NO_CLIENT[family], dport, dport) : slotOf(src, 40000, keepsPort ? dport : 0);
  const outer = { src: isPortOnly ? NO_CLIENT[family] : src, sport: 40000 };
  const [first, second, exact] = [to(8000), to(9000), to(443)];
  const frame = tcpFrame(first);
  const otherPort = tcpFrame(second);
  const own = tcpFrame(exact);
  const noVip = udpFrame(first);
  return {
    title: `VIP of every port, ${name}, IPv${family}`,
    arrange: (scene) => scene.vips(vips),
    rows: [
      rowOf(
        keepsPort ? 'each destination port is a flow' : 'all destination ports are one flow',
        step(
          frame,
          sent(frame, first, {
            vip: vips.every,
            real,
            table: 'ring',
            slot: slot(8000),
            outer,
            entries: [{ sport: 40000, dport: keepsPort ? 8000 : 0 }],
          }),
        ),
        step(
          otherPort,
          keepsPort
            ? sent(otherPort, second, {
                vip: vips.every,
                real: OTHER[family],
                table: 'ring',
                slot: slot(9000),
                outer,
              })
            : sent(otherPort, second, { vip: vips.every, real, table: 'lru', outer }),
          (scene) => scene.ring(vips.every, OTHER[family]),
        ),
      ),
      row(
        'a VIP of the very port goes first, and its flow has the port',
        own,
        sent(own, exact, {
          vip: vips.exact,
          real: OTHER[family],
          table: 'ring',
          slot: slotOf(src, 40000, 443),
          entries: [{ dport: 443 }],
        }),
      ),
      row('another protocol is no VIP', noVip, { reason: 'no_vip' }),
    ],
  };
}

const FAMILIES = [4, 6] as const;
export const FLAG_SUITES: readonly Suite[] = [
  ...FAMILIES.map(
    (family): Suite => ({
      title: `flags of a VIP, IPv${family}`,
      arrange: (scene) => scene.vips(familyVips(family)),
      rows: rows(family),
    }),
  ),
  ...FAMILIES.flatMap((family) => [
    wildcardSuite(family, 'no flag', 0),
    wildcardSuite(family, 'both ports', HASH_SRC_DST_PORT),
    wildcardSuite(family, 'destination port alone', HASH_DPORT_ONLY),
  ]),
];
