/** What holds for every packet, with all options on: no fault, a reason for each verdict, checksums that are right, and engines that agree. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildRing } from '../../control-plane/maglev/ring.js';
import { REASONS, reasonOfCode } from '../../lb/balancer/reasons.js';
import { VIP_FLAGS } from '../../lb/balancer/schema.js';
import { XDP_DROP, XDP_PASS, XDP_TX } from '../../lb/bpf/engine/context.js';
import { formatIp, ipFromBytes, parseIp } from '../../lb/net/address.js';
import { checksum16, pseudoHeaderSum } from '../../lb/net/checksum.js';
import {
  BALANCER_ENGINES,
  type BalancerBed,
  type BalancerEngine,
  type BedOptions,
} from '../support/balancer.js';
import {
  countsMoved,
  type Decision,
  emptyMap,
  markDecisions,
  readCounts,
  readMarkedDecision,
} from '../support/balancer-state.js';
import { missingRoot } from '../support/capabilities.js';
import { ETHERTYPE, frameOf, hex, PROTOCOL, TCP_FLAGS, tcpFrame } from '../support/packets.js';
import { echoFrame } from '../support/packets-icmp.js';
import { anyFrames, plainPackets, type Universe } from '../support/random-packets.js';
import { FAMILIES, FAMILY, type Family, vipRow } from './cases/family.js';
import { numberVips, Scene } from './cases/setup.js';

const EGRESS = ['192.0.2.88', '2001:db8:77::88'] as const;
const {
  QUIC_VIP,
  UDP_STABLE_ROUTING,
  UDP_FLOW_MIGRATION,
  SRC_ROUTING,
  GLOBAL_LRU,
  LOCAL_VIP,
  HASH_DPORT_ONLY,
  HASH_NO_SRC_PORT,
  LRU_BYPASS,
} = VIP_FLAGS;

const ALL_ON: BedOptions = {
  explain: true,
  ipipDecap: true,
  gueDecap: true,
  tcpServerIds: true,
  udpStableRouting: true,
  udpFlowMigration: true,
  sourceRouting: true,
  prefixVips: true,
  globalLru: true,
  localDelivery: true,
  eventsEnabled: true,
};

/** A VIP of each kind in both families; the addresses are those of the families and their next ones. */
const VIPS = numberVips(
  Object.fromEntries(
    FAMILIES.flatMap((family) => {
      const next = family === 4 ? '198.51.100.21' : '2001:db8::21';
      return [
        [`web${family}`, vipRow(family, 'tcp', 80, { flags: SRC_ROUTING })],
        [`dns${family}`, vipRow(family, 'udp', 53, { flags: UDP_FLOW_MIGRATION })],
        [`quic${family}`, vipRow(family, 'udp', 443, { flags: QUIC_VIP | UDP_STABLE_ROUTING })],
        [`here${family}`, vipRow(family, 'tcp', 81, { flags: LOCAL_VIP, ring: FAMILY[family].local })],
        [`global${family}`, vipRow(family, 'tcp', 82, { flags: GLOBAL_LRU })],
        [`every${family}`, vipRow(family, 'udp', 0, { address: next, flags: HASH_DPORT_ONLY })],
        [
          `ports${family}`,
          vipRow(family, 'tcp', 80, { address: next, flags: HASH_NO_SRC_PORT | LRU_BYPASS }),
        ],
        [`empty${family}`, vipRow(family, 'tcp', 83, { ring: 'empty' })],
        [`crossed${family}`, vipRow(family, 'tcp', 84, { ring: family === 4 ? 'six' : 'four' })],
      ];
    }).concat([['prefix', vipRow(6, 'tcp', 80, { address: '2001:db8:aaaa::', prefixBits: 48 })]]),
  ),
);

const UNIVERSE: Universe = {
  clients: FAMILIES.flatMap((family) => [FAMILY[family].client, FAMILY[family].otherClient]),
  destinations: [
    ...FAMILIES.flatMap((family) => [FAMILY[family].vip, FAMILY[family].vip, FAMILY[family].stranger]),
    '198.51.100.21',
    '2001:db8::21',
    '2001:db8:aaaa::7',
  ],
  ports: [80, 53, 443, 81, 82, 83, 84, 9000, 6080],
  tunnels: [
    ...FAMILIES.flatMap((family) => [
      FAMILY[family].tunnel,
      FAMILY[family].tunnel,
      FAMILY[family].own,
      FAMILY[family].stranger,
    ]),
    ...EGRESS,
  ],
  peers: FAMILIES.map((family) => FAMILY[family].peer),
  serverIds: [0, 1, 0x1234, 0x0777, 0x0999],
  guePort: 6080,
};

/** Destinations and ports of VIPs alone. */
const FOR_VIPS: Universe = {
  ...UNIVERSE,
  destinations: FAMILIES.map((family) => FAMILY[family].vip),
  ports: [80, 53, 443, 82],
};

function arrange(scene: Scene): void {
  scene.reset();
  scene.vips(VIPS);
  scene.ownAddresses();
  scene.events(true);
  for (const family of FAMILIES) {
    const { tunnel, other, otherClient, real } = FAMILY[family];
    scene.decapDestination(tunnel);
    scene.sourceRoute(otherClient, family === 4 ? 32 : 128, other);
    scene.down(VIPS[`dns${family}`]!, real);
  }
  for (const address of EGRESS) scene.decapDestination(address, true);
  scene.serverId(1, 'otherFour');
  scene.serverId(0x1234, 'otherSix');
  scene.serverId(0x0999, 15);
}

interface Outcome {
  readonly verdict: number;
  readonly frame: Uint8Array;
  readonly decision: Decision | undefined;
}
function runOn(bed: BalancerBed, frame: Uint8Array): Outcome {
  markDecisions(bed.maps);
  const result = bed.run(frame);
  return { ...result, decision: readMarkedDecision(bed.maps) };
}
const KIND_VERDICTS = { answer: XDP_TX, drop: XDP_DROP, pass: XDP_PASS } as const;
const shown = ({ verdict, frame, decision }: Outcome): string =>
  JSON.stringify({ verdict, frame: hex(frame), decision });

/** Where the packet stands behind Ethernet header and tags. */
function packetOf(frame: Uint8Array): Uint8Array {
  let at = 12;
  const type = (): number => (frame[at]! << 8) | frame[at + 1]!;
  while (type() === ETHERTYPE.vlan || type() === ETHERTYPE.serviceVlan) at += 4;
  return frame.subarray(at + 2);
}

/** Fails unless the IPv4 header's checksum, and the one of UDP or ICMP behind it, are right. */
function expectChecksums(packet: Uint8Array, transport: boolean): void {
  const is6 = packet[0]! >> 4 === 6;
  const word = (at: number): number => (packet[at]! << 8) | packet[at + 1]!;
  if (!is6) expect(checksum16(packet.subarray(0, 20)), 'IPv4 header').toBe(0);
  if (!transport) return;
  const [header, protocol, bytes] = is6 ? [40, packet[6]!, word(4)] : [20, packet[9]!, word(2) - 20];
  const segment = packet.subarray(header, header + bytes);
  const [src, dst] = is6
    ? [packet.subarray(8, 24), packet.subarray(24, 40)]
    : [packet.subarray(12, 16), packet.subarray(16, 20)];
  const start = protocol === PROTOCOL.icmp ? 0 : pseudoHeaderSum(src, dst, protocol, segment.length);
  expect(checksum16(segment, start), `protocol ${protocol}`).toBe(0);
}

const engines = BALANCER_ENGINES.filter(({ missing }) => missing === undefined);
const names = `${engines.map(({ name }) => name).join(', ')}${missingRoot ? `; kernel ${missingRoot}` : ''}`;

describe.each([
  ['IP in IP', { ...ALL_ON, gue: false }],
  ['GUE', { ...ALL_ON, gue: true }],
] as const)(`every packet, %s, all options on (${names})`, (_, options) => {
  let scenes: readonly Scene[];
  beforeAll(() => {
    scenes = engines.map((engine) => new Scene(engine.make(options)));
  });
  afterAll(() => {
    for (const { bed } of scenes) bed.close();
  });
  const freshFlows = (): void => {
    for (const { bed } of scenes) emptyMap(bed.connections);
  };

  it('engines agree in verdict, bytes and reason; each verdict has a reason, and is counted under it once', () => {
    for (const scene of scenes) arrange(scene);
    const reasons = new Set<string>();
    let packets = 0;
    fc.assert(
      fc.property(anyFrames(UNIVERSE), (frame) => {
        // Tables far from full: what a full one forgets is each engine's own.
        if (packets++ % 100 === 0) freshFlows();
        const beds = scenes.map(({ bed }) => bed);
        const before = beds.map((bed) => readCounts(bed.maps));
        const outcomes = beds.map((bed) => runOn(bed, frame));
        const moved = beds.map((bed, i) => {
          // No count but the last id, and each CPU has its own: the kernel's runs wander from one to another.
          const { 'quic.cid_invalid_server_id_sample': _sample, ...counts } = countsMoved(
            before[i]!,
            readCounts(bed.maps),
          );
          return counts;
        });
        const [first] = outcomes;
        for (const outcome of outcomes) expect(shown(outcome)).toBe(shown(first!));
        for (const counts of moved) expect(counts).toEqual(moved[0]);
        const reason = reasonOfCode(first!.decision?.reason ?? -1);
        if (reason === undefined) throw new Error(`no reason: ${shown(first!)}`);
        reasons.add(reason);
        expect(first!.verdict).toBe(KIND_VERDICTS[REASONS[reason].kind]);
        const slot = first!.decision!.vip_num === 512 ? 'none' : first!.decision!.vip_num;
        const counted = Object.entries(moved[0]!).filter(
          ([name]) => /^[a-z_]+\.(\d+|none)\.v1$/.test(name) && name.split('.')[0]! in REASONS,
        );
        expect(counted).toEqual(reason === 'forwarded' ? [] : [[`${reason}.${slot}.v1`, 1n]]);
        if (reason === 'forwarded') expectChecksums(packetOf(first!.frame), false);
      }),
      { numRuns: 2000 },
    );
    // Packets of a few kinds alone would show little.
    expect(reasons.size).toBeGreaterThan(18);
  });

  it('outer checksums are right for every well-formed packet', () => {
    for (const scene of scenes) arrange(scene);
    const rounds = 2000;
    let forwarded = 0;
    fc.assert(
      fc.property(plainPackets(FOR_VIPS), (packet) => {
        if (forwarded % 100 === 0) freshFlows();
        for (const { bed } of scenes) {
          const { verdict, frame, decision } = runOn(bed, frameOf(packet));
          if (verdict !== XDP_TX) continue;
          const isForwarded = decision?.reason === REASONS.forwarded.code;
          if (isForwarded) forwarded++;
          // An answer's transport is ICMP; an outer header's is UDP with GUE, and IP has no checksum of its own.
          expectChecksums(packetOf(frame), !isForwarded || options.gue);
        }
      }),
      { numRuns: rounds },
    );
    expect(forwarded).toBeGreaterThan(rounds / 4);
  });
});

/** Bytes that are different for each seed. */
function noiseOf(seed: number, bytes: number): Uint8Array {
  let state = seed | 1;
  return Uint8Array.from({ length: bytes }, () => {
    // Xorshift (Marsaglia, 2003).
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  });
}
const echoOf = (family: Family, seed: number, bytes: number): Uint8Array =>
  echoFrame(
    { src: FAMILY[family].client, dst: FAMILY[family].vip, rest: seed, ttl: seed & 0xff },
    noiseOf(seed, bytes),
  );
const longFrame = (family: Family, seed: number): Uint8Array =>
  tcpFrame(
    { src: FAMILY[family].client, dst: FAMILY[family].vip, sport: seed & 0xffff, dport: 80 },
    { data: noiseOf(seed, 301), tos: seed >>> 24 },
  );

/** Two beds with the same backends: in order, and in another one under other numbers. */
function nodesAgree(make: BalancerEngine['make']): void {
  const addresses = Array.from({ length: 7 }, (_, i) => `10.1.0.${i + 1}`);
  const nodes = [addresses, [4, 0, 6, 2, 5, 1, 3].map((i) => addresses[i]!)].map((order) => {
    const bed = make();
    const reals = order.map((address, i) => ({ index: i + 1, address: parseIp(address), weight: 1 }));
    for (const { index, address } of reals) bed.tables.putReal(index, address);
    bed.tables.putRing(0, buildRing(reals.map((real) => ({ ...real, address: real.address.bytes }))));
    const key = { address: parseIp(FAMILY[4].vip), port: 80, protocol: 'tcp' } as const;
    bed.tables.putVip(key, { flags: 0, number: 0 });
    bed.tables.putVipRing(0, 0);
    return bed;
  });
  const backends = new Set<string>();
  const flow = fc.record({ client: fc.nat({ max: 0xff_ffff }), sport: fc.nat({ max: 65535 }) });
  fc.assert(
    fc.property(flow, ({ client, sport }) => {
      const src = `100.${client >>> 16}.${(client >>> 8) & 0xff}.${client & 0xff}`;
      const frame = tcpFrame({ src, dst: FAMILY[4].vip, sport, dport: 80 }, { flags: TCP_FLAGS.syn });
      const [one, other] = nodes.map((bed) => formatIp(ipFromBytes(bed.run(frame).frame.slice(30, 34))));
      expect(other).toBe(one);
      backends.add(one!);
    }),
    { numRuns: 500 },
  );
  expect([...backends].sort()).toEqual(addresses);
  for (const bed of nodes) bed.close();
}

describe.each(engines)('answers: $name', ({ make }) => {
  const rounds = 10_000;
  it(`checksums of ${rounds} echo replies and answers to long frames`, () => {
    const bed = make({ maxFrameBytes: 300 });
    const scene = new Scene(bed);
    scene.reset();
    scene.vips(VIPS);
    const payload = fc.record({
      family: fc.constantFrom(...FAMILIES),
      isLong: fc.boolean(),
      seed: fc.nat({ max: 0xffff_ffff }),
      bytes: fc.integer({ min: 0, max: 40 }),
    });
    fc.assert(
      fc.property(payload, ({ family, isLong, seed, bytes }) => {
        const frame = isLong ? longFrame(family, seed) : echoOf(family, seed, bytes);
        const result = bed.run(frame);
        expect(result.verdict).toBe(XDP_TX);
        expectChecksums(packetOf(result.frame), true);
      }),
      { numRuns: rounds },
    );
    bed.close();
  });
});

describe.each(engines)('two nodes: $name', ({ make }) => {
  it('the same backends in another order, and under other numbers, get the same flows', () => {
    nodesAgree(make);
  });
});
