import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildRing } from '../../control-plane/maglev/ring.js';
import type { VipProtocol } from '../../lb/balancer/tables.js';
import { XDP_TX } from '../../lb/bpf/engine/context.js';
import { formatIp, ipFromBytes, parseIp, parseMac } from '../../lb/net/address.js';
import { BALANCER_ENGINES, type BalancerBed } from '../support/balancer.js';
import { emptyMap } from '../support/balancer-state.js';
import { corpus, noting } from '../support/capabilities.js';
import { hash2Words, hash16Bytes, slotOf } from '../support/flow-hash.js';
import { fromHex, hex, TCP_FLAGS, tcpFrame, udpFrame } from '../support/packets.js';
import { ROUTER_MAC, vipOf } from './scene.js';

interface Golden {
  readonly jhash_2words: readonly {
    readonly a: number;
    readonly b: number;
    readonly initval: number;
    readonly hash: number;
  }[];
  readonly jhash_16: readonly { readonly bytes: string; readonly initval: number; readonly hash: number }[];
  readonly slots: readonly {
    readonly vip: string;
    readonly proto: number;
    readonly flags: number;
    readonly src: string;
    readonly sport: number;
    readonly dport: number;
    readonly slot: number;
    readonly real: string;
  }[];
  readonly encap_ipip: readonly Encapsulated[];
  readonly encap_gue: readonly Encapsulated[];
}
interface Encapsulated {
  readonly vip: string;
  readonly proto: number;
  readonly flags: number;
  readonly real: string;
  readonly input_hex: string;
  readonly output_hex: string;
}
/** The balancer of the GUE vectors: its port, and its own addresses. */
const GUE = { port: 9886, addresses: ['10.0.13.37', 'fc00:2307::1337'] } as const;
const golden = (): Golden => JSON.parse(readFileSync(`${corpus}/balancer/golden.json`, 'utf8')) as Golden;

/** VIPs of the vectors: port 0 where several ports of one VIP appear, ring 0 of IPv4 or ring 1 of IPv6 backends. */
const VIPS = [
  { address: '10.200.9.1', port: 80, flags: 0, ring: 0 },
  { address: '10.200.9.2', port: 80, flags: 0, ring: 1 },
  { address: 'fc00:9::1', port: 80, flags: 0, ring: 1 },
  { address: '10.200.9.3', port: 80, flags: 1, ring: 0 },
  { address: '10.200.9.4', port: 0, flags: 0, ring: 0 },
  { address: '10.200.9.5', port: 0, flags: 8, ring: 0 },
  { address: 'fc00:9::6', port: 0, flags: 128, ring: 1 },
] as const;
const PROTOCOLS: readonly (readonly [VipProtocol, number])[] = [
  ['tcp', 6],
  ['udp', 17],
];

/** Seven backends of each family, 10.0.0.1 to 7 in rows 1 to 7 and fc00::1 to 7 in rows 8 to 14, of equal weight. */
const REALS = [0, 7].map((first) =>
  Array.from({ length: 7 }, (_, i) => ({
    index: first + i + 1,
    address: parseIp(first === 0 ? `10.0.0.${i + 1}` : `fc00::${i + 1}`),
    weight: 1,
  })),
);

function arrange({ tables }: BalancerBed): void {
  tables.setRouterMac(parseMac(ROUTER_MAC));
  for (const [ring, reals] of REALS.entries()) {
    for (const { index, address } of reals) tables.putReal(index, address);
    tables.putRing(ring, buildRing(reals.map((real) => ({ ...real, address: real.address.bytes }))));
  }
  for (const [i, { address, port, flags, ring }] of VIPS.entries()) {
    for (const [j, [protocol]] of PROTOCOLS.entries()) {
      tables.putVip(vipOf(address, port, protocol), { flags, number: 2 * i + j });
      tables.putVipRing(2 * i + j, ring);
    }
  }
}

/** Backend of an encapsulated frame: its outer destination. */
const outerDestination = (frame: Uint8Array): string =>
  formatIp(ipFromBytes(frame[12] === 0x08 ? frame.slice(30, 34) : frame.slice(38, 54)));

const missingCorpus = corpus === undefined ? 'WAGGLE_CORPUS is not set' : undefined;

it.skipIf(missingCorpus)(`the flow hash of the tests has the vectors' values${noting(missingCorpus)}`, () => {
  const { jhash_2words, jhash_16, slots } = golden();
  expect(jhash_2words.map(({ a, b, initval }) => hash2Words(a, b, initval))).toEqual(
    jhash_2words.map(({ hash }) => hash),
  );
  expect(jhash_16.map(({ bytes, initval }) => hash16Bytes(fromHex(bytes), initval))).toEqual(
    jhash_16.map(({ hash }) => hash),
  );
  for (const { src, sport, dport, slot } of slots.filter(
    ({ flags, vip }) => flags === 0 && vip !== '10.200.9.4',
  )) {
    expect(slotOf(src, sport, dport)).toBe(slot);
  }
});

describe.each(BALANCER_ENGINES)('vectors of a compatible balancer: $name', ({ missing, make }) => {
  const why = missing ?? missingCorpus;
  const title = why === undefined ? '' : ` (skipped: ${why})`;
  let bed: BalancerBed;
  beforeAll(() => {
    if (why !== undefined) return;
    bed = make();
    arrange(bed);
  });
  afterAll(() => {
    if (why === undefined) bed.close();
  });

  it.skipIf(why !== undefined)(`each flow goes to its backend${title}`, () => {
    const { slots } = golden();
    expect(slots.length).toBeGreaterThan(20);
    for (const { vip, proto, src, sport, dport, real } of slots) {
      const ends = { src, dst: vip, sport, dport };
      const result = bed.run(proto === 6 ? tcpFrame(ends, { flags: TCP_FLAGS.syn }) : udpFrame(ends));
      expect(result.verdict).toBe(XDP_TX);
      expect(outerDestination(result.frame), `${src} ${sport} → ${vip} ${dport}`).toBe(real);
    }
  });

  it.skipIf(why !== undefined)(`slots are those of the hash${title}`, () => {
    for (const { vip, proto, src, sport, dport, slot } of golden().slots) {
      const { ring } = VIPS.find(
        ({ address }) => parseIp(address).bytes.join() === parseIp(vip).bytes.join(),
      )!;
      const whole = buildRing(REALS[ring]!.map((real) => ({ ...real, address: real.address.bytes })));
      // The slot leads to another backend: had the program taken another slot, it would not show.
      const marked = Uint32Array.from(whole);
      const other = REALS[ring]!.find(({ index }) => index !== whole[slot])!;
      marked[slot] = other.index;
      bed.tables.putRing(ring, marked, whole);
      const ends = { src, dst: vip, sport, dport };
      // Another flow of the table must not answer for the ring: SYN for TCP, no entry for UDP.
      emptyMap(bed.connections);
      const result = bed.run(proto === 6 ? tcpFrame(ends, { flags: TCP_FLAGS.syn }) : udpFrame(ends));
      expect(outerDestination(result.frame), `slot ${slot}`).toBe(formatIp(other.address));
      bed.tables.putRing(ring, whole, marked);
    }
  });

  const expectFrames = (to: BalancerBed, vectors: readonly Encapsulated[]): void => {
    expect(vectors.length).toBeGreaterThan(20);
    for (const { input_hex, output_hex, vip, real } of vectors) {
      // Another flow of the table must not answer for the ring.
      emptyMap(to.connections);
      const result = to.run(fromHex(input_hex));
      expect(result.verdict).toBe(XDP_TX);
      expect(outerDestination(result.frame)).toBe(real);
      expect(hex(result.frame), vip).toBe(output_hex);
    }
  };
  it.skipIf(why !== undefined)(`frames are the same, byte for byte${title}`, () => {
    expectFrames(bed, golden().encap_ipip);
  });

  it.skipIf(why !== undefined)(`frames of GUE are the same, byte for byte${title}`, () => {
    const gue = make({ gue: true, guePort: GUE.port });
    arrange(gue);
    for (const address of GUE.addresses) gue.tables.setOwnAddress(parseIp(address));
    expectFrames(gue, golden().encap_gue);
    gue.close();
  });
});
