/** Arbitrary packets for properties: well-formed ones of every kind that the balancer knows, tunnels and tags around them, and damage. */
import fc from 'fast-check';
import {
  BALANCER_MAC,
  CLIENT_MAC,
  concat,
  ETHERTYPE,
  ethernet,
  frameOf,
  ipv4,
  ipv6,
  isIpv6,
  PROTOCOL,
  tcp,
  udp,
} from './packets.js';
import { ICMP, icmpPacket } from './packets-icmp.js';
import {
  connectionId,
  QUIC_TYPES,
  quicLong,
  quicShort,
  serverIdOption,
  stableRouting,
  tcpOptions,
} from './packets-quic.js';
import { guePacket, ipipPacket, tagged } from './packets-tunnel.js';

/** Addresses and ports that matter to a configuration; others are drawn too. */
export interface Universe {
  readonly clients: readonly string[];
  readonly destinations: readonly string[];
  readonly ports: readonly number[];
  /** Where tunnels go. */
  readonly tunnels: readonly string[];
  readonly peers: readonly string[];
  readonly serverIds: readonly number[];
  readonly guePort: number;
}

const byte = fc.integer({ min: 0, max: 255 });
const word = fc.integer({ min: 0, max: 65535 });
const sameFamily = (address: string, among: readonly string[]): readonly string[] =>
  among.filter((other) => isIpv6(other) === isIpv6(address));

interface Ends {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
}

const endsIn = ({ clients, destinations, ports }: Universe): fc.Arbitrary<Ends> =>
  fc.constantFrom(...destinations).chain((dst) =>
    fc.record({
      src: fc.constantFrom(...sameFamily(dst, clients)),
      dst: fc.constant(dst),
      sport: fc.oneof(fc.integer({ min: 40000, max: 40007 }), fc.constantFrom(0, 255, 65535)),
      dport: fc.constantFrom(...ports),
    }),
  );

const bytesUpTo = (max: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: max });

function udpData({ serverIds }: Universe): fc.Arbitrary<Uint8Array> {
  const cid = fc
    .tuple(fc.constantFrom(0, 1, 2, 3), fc.constantFrom(...serverIds))
    .map(([version, id]) => connectionId(version as 0 | 1 | 2 | 3, id));
  const types = Object.keys(QUIC_TYPES) as (keyof typeof QUIC_TYPES)[];
  return fc.oneof(
    bytesUpTo(200),
    cid.map(quicShort),
    fc.tuple(fc.constantFrom(...types), cid).map(([type, id]) => quicLong({ type, cid: id })),
    fc.constantFrom(...serverIds).map((id) => stableRouting(id)),
  );
}

const wrapped = (ends: Ends, protocol: number, tos: number, ttl: number, payload: Uint8Array): Uint8Array =>
  isIpv6(ends.dst)
    ? ipv6(
        { ...ends, nextHeader: protocol, trafficClass: tos, hopLimit: ttl, flowLabel: ends.sport },
        payload,
      )
    : ipv4({ ...ends, protocol, tos, ttl, fragment: ends.sport & 1 ? 0x4000 : 0 }, payload);

const ttls = fc.constantFrom(0, 1, 2, 64, 255);

function tcpPacket(universe: Universe): fc.Arbitrary<Uint8Array> {
  const options = fc.oneof(
    fc.constant(new Uint8Array()),
    fc.constantFrom(...universe.serverIds).map((id) => tcpOptions(serverIdOption(id))),
    bytesUpTo(40).map((bytes) => tcpOptions(bytes)),
  );
  return fc
    .record({ ends: endsIn(universe), flags: byte, options, data: bytesUpTo(80), tos: byte, ttl: ttls })
    .map(({ ends, flags, options, data, tos, ttl }) =>
      wrapped(ends, PROTOCOL.tcp, tos, ttl, tcp(ends, flags, data, options)),
    );
}

function udpPacket(universe: Universe): fc.Arbitrary<Uint8Array> {
  return fc
    .record({
      ends: endsIn(universe),
      data: udpData(universe),
      tos: byte,
      ttl: ttls,
      isUnchecked: fc.boolean(),
    })
    .map(({ ends, data, tos, ttl, isUnchecked }) => {
      const datagram = udp(ends, data);
      if (isUnchecked) datagram.set([0, 0], 6);
      return wrapped(ends, PROTOCOL.udp, tos, ttl, datagram);
    });
}

/** Echo requests, and errors about packets that went the other way, whole or in part. */
function icmpOf(universe: Universe, about: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc
    .record({
      ends: endsIn(universe),
      kind: fc.constantFrom('echo', 'unreachable', 'timeExceeded', 'any'),
      type: byte,
      code: fc.integer({ min: 0, max: 15 }),
      rest: fc.nat(),
      inner: about,
      innerBytes: fc.constantFrom(8, 20, 28, 40, 48, 60, 1000),
      data: bytesUpTo(100),
    })
    .map(({ ends, kind, type, code, rest, inner, innerBytes, data }) => {
      const kinds = ICMP[isIpv6(ends.dst) ? 6 : 4];
      const chosen = kind === 'any' ? type : kinds[kind as 'echo' | 'unreachable' | 'timeExceeded'];
      const body = kind === 'echo' ? data : reversed(inner).slice(0, innerBytes);
      return icmpPacket({ ...ends, type: chosen, code: kind === 'echo' ? 0 : code, rest }, body);
    });
}

/** A packet of TCP or UDP that goes back: addresses and ports swapped, which leaves the checksums right. */
function reversed(packet: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(packet);
  const is6 = packet[0]! >> 4 === 6;
  const [at, bytes, transport] = is6 ? [8, 16, 40] : [12, 4, 20];
  copy.set(packet.subarray(at, at + bytes), at + bytes);
  copy.set(packet.subarray(at + bytes, at + 2 * bytes), at);
  copy.set(packet.subarray(transport, transport + 2), transport + 2);
  copy.set(packet.subarray(transport + 2, transport + 4), transport);
  return copy;
}

/** Well-formed packets for addresses of the universe: TCP, UDP, ICMP. */
export function plainPackets(universe: Universe): fc.Arbitrary<Uint8Array> {
  const flows = fc.oneof(tcpPacket(universe), udpPacket(universe));
  return fc.oneof({ arbitrary: flows, weight: 4 }, { arbitrary: icmpOf(universe, flows), weight: 2 });
}

/** Odd ones: fragments, options, extension headers, other protocols. */
function oddPackets(universe: Universe): fc.Arbitrary<Uint8Array> {
  return fc
    .record({
      ends: endsIn(universe),
      protocol: fc.oneof(byte, fc.constantFrom(0, 4, 41, 43, 44, 60)),
      fragment: word,
      options: fc.boolean(),
      data: bytesUpTo(60),
    })
    .map(({ ends, protocol, fragment, options, data }) =>
      isIpv6(ends.dst)
        ? ipv6({ ...ends, nextHeader: protocol }, data)
        : ipv4({ ...ends, protocol, fragment, ...(options && { options: Uint8Array.of(1, 1, 1, 0) }) }, data),
    );
}

/** Packets in up to three tunnels, of any kind and family. */
function tunnelled(universe: Universe, packets: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const outer = fc.constantFrom(...universe.tunnels).chain((dst) =>
    fc.record({
      dst: fc.constant(dst),
      src: fc.constantFrom(...sameFamily(dst, universe.peers)),
      ttl: ttls,
      tos: byte,
      isGue: fc.boolean(),
    }),
  );
  return fc
    .tuple(packets, fc.array(outer, { maxLength: 3 }))
    .map(([packet, outers]) =>
      outers.reduce(
        (inner, { isGue, ...fields }) =>
          isGue ? guePacket(fields, inner, universe.guePort) : ipipPacket(fields, inner),
        packet,
      ),
    );
}

const tag = fc.record({ type: fc.constantFrom(ETHERTYPE.vlan, ETHERTYPE.serviceVlan), control: word });
const withTags = (frames: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(
      frames,
      fc.oneof(
        { arbitrary: fc.constant([]), weight: 3 },
        { arbitrary: fc.array(tag, { maxLength: 3 }), weight: 1 },
      ),
    )
    .map(([frame, tags]) => tagged(frame, ...tags));

type Damage = (frame: Uint8Array) => Uint8Array;
const damage: fc.Arbitrary<Damage> = fc.oneof(
  { arbitrary: fc.constant((frame: Uint8Array) => frame), weight: 3 },
  {
    arbitrary: fc.nat().map(
      (at): Damage =>
        (frame) =>
          frame.slice(0, 14 + (at % (frame.length - 13))),
    ),
    weight: 1,
  },
  {
    arbitrary: fc.array(fc.tuple(fc.nat(), byte), { minLength: 1, maxLength: 4 }).map(
      (places): Damage =>
        (frame) => {
          const copy = Uint8Array.from(frame);
          for (const [at, value] of places) copy[at % copy.length] = value;
          return copy;
        },
    ),
    weight: 2,
  },
  {
    arbitrary: bytesUpTo(40).map(
      (trailer): Damage =>
        (frame) =>
          concat(frame, trailer),
    ),
    weight: 1,
  },
);

/** Frames that are nothing but noise behind a type, which may be of use. */
const noise = fc
  .tuple(
    fc.constantFrom(ETHERTYPE.ipv4, ETHERTYPE.ipv6, ETHERTYPE.vlan, ETHERTYPE.serviceVlan, ETHERTYPE.arp),
    bytesUpTo(160),
    fc.boolean(),
  )
  .map(([type, bytes, isHeader]) => {
    if (isHeader && bytes.length > 0) bytes[0] = type === ETHERTYPE.ipv6 ? 0x60 : 0x45;
    return ethernet(BALANCER_MAC, CLIENT_MAC, type, bytes);
  });

/** Frames of any kind: well-formed, odd, damaged, noise. 14 bytes at least: the kernel's test run takes no less. */
export function anyFrames(universe: Universe): fc.Arbitrary<Uint8Array> {
  const packets = fc.oneof(
    { arbitrary: plainPackets(universe), weight: 5 },
    { arbitrary: oddPackets(universe), weight: 1 },
  );
  const framed = withTags(tunnelled(universe, packets).map(frameOf));
  const damaged = fc.tuple(framed, damage).map(([frame, change]) => change(frame));
  return fc.oneof({ arbitrary: damaged, weight: 9 }, { arbitrary: noise, weight: 1 });
}
