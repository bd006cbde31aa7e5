import { describe, expect, it } from 'vitest';
import { RING_SIZE } from '../../lb/balancer/schema.js';
import { PacketReplay, type PacketReplayOptions } from '../../lb/replay.js';
import { arrange, CLIENT_4, CLIENT_6, REAL_4, REAL_6, VIPS } from '../balancer/scene.js';
import { missingRoot } from '../support/capabilities.js';
import { ETHERTYPE, ethernet, hex, mac, tcpFrame, udpFrame } from '../support/packets.js';

const ENGINES = ['jit', 'interpreter', 'kernel'] as const;
/** Few rings: the kernel takes memory for each at once. */
const SMALL = { sizes: { ch_rings: 9 * RING_SIZE }, connections: 100 } as const;
const NOW = 1_000_000_000_000n;

function scene(engine: PacketReplayOptions['engine'], options: Partial<PacketReplayOptions> = {}) {
  const replay = new PacketReplay({ engine, ...SMALL, ...options });
  const { tables } = replay;
  if (tables === undefined) throw new Error('not a balancer');
  arrange({ tables });
  return replay;
}

const web4 = (sport: number) => tcpFrame({ src: CLIENT_4, dst: '198.51.100.10', sport, dport: 80 });
const WEB4 = '198.51.100.10:80/tcp';

const ROWS = [
  {
    name: 'IPv4 to a backend',
    frame: web4(4000),
    verdict: 'XDP_TX',
    reason: 'forwarded',
    vip: WEB4,
    backend: REAL_4,
    table: 'ring',
  },
  {
    name: 'the same flow again: the connection table knows it',
    frame: web4(4000),
    verdict: 'XDP_TX',
    reason: 'forwarded',
    vip: WEB4,
    backend: REAL_4,
    table: 'lru',
  },
  {
    name: 'IPv6 to a backend',
    frame: tcpFrame({ src: CLIENT_6, dst: '2001:db8::10', sport: 4000, dport: 80 }),
    verdict: 'XDP_TX',
    reason: 'forwarded',
    vip: '[2001:db8::10]:80/tcp',
    backend: REAL_6,
    table: 'ring',
  },
  {
    name: 'a VIP without backends',
    frame: tcpFrame({ src: CLIENT_4, dst: '198.51.100.13', sport: 4000, dport: 80 }),
    verdict: 'XDP_DROP',
    reason: 'empty_ring',
    vip: '198.51.100.13:80/tcp',
    backend: null,
    table: null,
  },
  {
    name: 'no VIP',
    frame: udpFrame({ src: CLIENT_4, dst: '192.0.2.99', sport: 1, dport: 2 }),
    verdict: 'XDP_PASS',
    reason: 'no_vip',
    vip: null,
    backend: null,
    table: null,
  },
  {
    name: 'ARP',
    frame: ethernet(mac('ff:ff:ff:ff:ff:ff'), mac('02:00:00:00:00:01'), ETHERTYPE.arp, new Uint8Array(46)),
    verdict: 'XDP_PASS',
    reason: 'not_ip',
    vip: null,
    backend: null,
    table: null,
  },
];

for (const engine of ENGINES) {
  const missing = engine === 'kernel' ? missingRoot : undefined;
  describe.skipIf(missing)(`PacketReplay on ${engine}${missing ? ` (skipped: ${missing})` : ''}`, () => {
    it('says of each packet what became of it, and why', () => {
      const replay = scene(engine);
      try {
        const got = ROWS.map(({ frame }) => replay.run(frame, NOW));
        expect(got.map(({ fate: { leaves: _, ...rest } }) => rest)).toEqual(
          ROWS.map(({ frame: _, name: __, ...rest }) => rest),
        );
        expect(got.map(({ fate }) => fate.leaves)).toEqual(ROWS.map(({ verdict }) => verdict === 'XDP_TX'));
      } finally {
        replay.close();
      }
    });

    it('gives each worker a connection table of its own', () => {
      const replay = scene(engine, { workers: 3 });
      try {
        const tables = [0, 2, 0, 2, 1].map((worker) => replay.run(web4(4000), NOW, { worker }).fate.table);
        expect(tables).toEqual(['ring', 'ring', 'lru', 'lru', 'ring']);
      } finally {
        replay.close();
      }
    });

    it('counts, by name', () => {
      const replay = scene(engine);
      try {
        for (const { frame } of ROWS) replay.run(frame, NOW);
        const counters = replay.counters();
        expect(counters).toMatchObject({
          global: { lru: { v1: 4n, v2: 2n }, xdp_total: { v1: 6n }, xdp_tx: { v1: 3n } },
          vips: { [WEB4]: { packets: 2n } },
          backends: { [REAL_4]: { packets: 2n }, [REAL_6]: { packets: 1n } },
          reasons: { none: { no_vip: { packets: 1n }, not_ip: { packets: 1n } } },
        });
        expect(counters.reasons).toMatchObject({
          '198.51.100.13:80/tcp': { empty_ring: { packets: 1n } },
        });
      } finally {
        replay.close();
      }
    });

    it('sends the same bytes as the JIT, worker by worker', () => {
      const [replay, judge] = [scene(engine), scene('jit')];
      try {
        for (const { frame } of ROWS)
          expect(hex(replay.run(frame, NOW).frame)).toBe(hex(judge.run(frame, NOW).frame));
      } finally {
        replay.close();
        judge.close();
      }
    });
  });
}

it('without `explain` tells verdicts and bytes alone', () => {
  const replay = scene('jit', { explain: false });
  const { verdict, reason, vip } = replay.run(web4(1), NOW).fate;
  expect([verdict, reason, vip]).toEqual(['XDP_TX', '', null]);
});

it('the tables are those that were configured', () => {
  const replay = scene('jit');
  expect(replay.names.vips().map(({ number }) => number)).toEqual(
    Object.values(VIPS).map(({ number }) => number),
  );
  expect(replay.names.backends()).toEqual([
    { index: 1, address: REAL_4 },
    { index: 2, address: REAL_6 },
  ]);
});
