import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RING_SIZE } from '../../lb/balancer/schema.js';
import { formatIp, ipFromBytes } from '../../lb/net/address.js';
import { BALANCER_ENGINES, type BalancerBed } from '../support/balancer.js';
import { slotOf } from '../support/flow-hash.js';
import { TCP_FLAGS, tcpFrame } from '../support/packets.js';
import { vipOf } from './scene.js';

/** Backends, so many that a wrong slot shows: neighbours in the ring differ. */
const REALS = 4000;
const realOfSlot = (slot: number): number => (slot % REALS) + 1;
const addressOf = (index: number): Uint8Array => Uint8Array.of(10, 9, index >> 8, index & 0xff);

const FAMILIES = [
  {
    family: 'IPv4',
    vip: '198.51.100.10',
    source: (n: number) => formatIp(ipFromBytes(Uint8Array.of(100 + (n % 7), n >> 16, n >> 8, n))),
    /** Bytes of a backend's address before the four that tell it. */
    prefix: [],
    outer: 30,
  },
  {
    family: 'IPv6',
    vip: '2001:db8::10',
    source: (n: number) =>
      formatIp(
        ipFromBytes(Uint8Array.of(0x20, 1, 13, 0xb8, n, n >> 8, 3, 4, 5, 6, 7, 8, 9, n, n >> 8, n >> 16)),
      ),
    prefix: [0xfc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    outer: 50,
  },
] as const;

/** Flows whose slot is the first, the last, or anything. */
function flows(source: (n: number) => string): readonly { src: string; sport: number }[] {
  const spread = Array.from({ length: 300 }, (_, i) => ({ src: source(i * 7919), sport: (i * 211) % 65536 }));
  const edges = [0, RING_SIZE - 1].map((slot) => {
    for (let n = 0; ; n++) {
      const flow = { src: source(n), sport: 1024 + (n % 60000) };
      if (slotOf(flow.src, flow.sport, 80) === slot) return flow;
    }
  });
  return [...edges, ...spread];
}

describe.each(BALANCER_ENGINES)('a flow takes the slot of its hash: $name', ({ missing, make }) => {
  let bed: BalancerBed;
  beforeAll(() => {
    if (missing !== undefined) return;
    bed = make();
    bed.tables.putRing(
      0,
      Uint32Array.from({ length: RING_SIZE }, (_, slot) => realOfSlot(slot)),
    );
    for (const { vip } of FAMILIES) bed.tables.putVip(vipOf(vip, 80, 'tcp'), { flags: 0, number: 0 });
  });
  afterAll(() => {
    if (missing === undefined) bed.close();
  });

  for (const { family, vip, source, prefix, outer } of FAMILIES) {
    it.skipIf(missing !== undefined)(
      missing === undefined ? family : `${family} (skipped: ${missing})`,
      () => {
        for (let index = 1; index <= REALS; index++) {
          bed.tables.putReal(index, ipFromBytes(Uint8Array.of(...prefix, ...addressOf(index))));
        }
        for (const { src, sport } of flows(source)) {
          const { frame } = bed.run(tcpFrame({ src, dst: vip, sport, dport: 80 }, { flags: TCP_FLAGS.syn }));
          const index = realOfSlot(slotOf(src, sport, 80));
          expect(frame.slice(outer, outer + 4), `${src} ${sport}`).toEqual(addressOf(index));
        }
      },
    );
  }
});
