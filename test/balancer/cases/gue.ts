/** Outer headers as GUE: ports, addresses, and a checksum that is right whatever is inside. */
import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import {
  be16,
  concat,
  type Endpoints,
  frameOf,
  ipv6,
  PROTOCOL,
  TCP_FLAGS,
  tcp,
  tcpFrame,
  udpFrame,
} from '../../support/packets.js';
import { ICMP, icmpFrame, quoted } from '../../support/packets-icmp.js';
import { balanced, hasSyn, type Row, row, type Suite } from '../suite.js';
import { inGue } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { numberVips, type RealName, type Vip } from './setup.js';

const { HASH_NO_SRC_PORT, HASH_DPORT_ONLY } = VIP_FLAGS;
const vipsOf = (family: Family) =>
  numberVips({
    web: vipRow(family, 'tcp', 80),
    dns: vipRow(family, 'udp', 53),
    noSource: vipRow(family, 'tcp', 81, { flags: HASH_NO_SRC_PORT }),
    portOnly: vipRow(family, 'tcp', 82, { flags: HASH_DPORT_ONLY }),
    // IPv4 in IPv6; of IPv6, as the others.
    crossed: vipRow(family, 'tcp', 83, { ring: 'six' }),
    crossedUdp: vipRow(family, 'udp', 83, { ring: 'six' }),
  });

const noise = (bytes: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => (i * 89 + seed * 151 + (i >> 3)) & 0xff);

/** The frame without a UDP checksum: its sender did not make one. */
function unchecked(frame: Uint8Array, headerBytes: number): Uint8Array {
  const copy = Uint8Array.from(frame);
  copy.set(be16(0), 14 + headerBytes + 6);
  return copy;
}

function rows(family: Family, port: number): Row[] {
  const { web, dns, noSource, portOnly, crossed, crossedUdp } = vipsOf(family);
  const { real, headerBytes } = FAMILY[family];
  const all: Row[] = [];
  const add = (
    name: string,
    frame: Uint8Array,
    vip: Vip,
    outer: Pick<Endpoints, 'src' | 'sport'> = flowTo(family, vip),
    to: RealName = real,
  ): void => {
    const after = inGue(frame, to, outer, port);
    const isTcp = frame[family === 4 ? 23 : 20] === PROTOCOL.tcp;
    const syn = isTcp && hasSyn(frame);
    all.push(row(name, frame, balanced(frame, { vip, real: to, table: 'ring', after, syn })));
  };
  const flow = flowTo(family, web);
  const lookup = flowTo(family, dns);
  add('TCP', tcpFrame(flow), web);
  add('TCP SYN with ToS', tcpFrame(flow, { flags: TCP_FLAGS.syn, tos: 0xb9 }), web);
  add('TCP without data', tcpFrame(flow, { data: noise(0) }), web);
  add('TCP with an odd number of bytes', tcpFrame(flow, { data: noise(33) }), web);
  add('TCP, longest frame', tcpFrame(flow, { data: noise(1514 - 14 - headerBytes - 20) }), web);
  add('a trailer is in no length and no sum', concat(tcpFrame(flow, { data: noise(0) }), noise(6, 3)), web);
  add('UDP', udpFrame(lookup), dns);
  add('UDP with ToS', udpFrame(lookup, { tos: 0x2e }), dns);
  add('UDP without data', udpFrame(lookup, { data: noise(0) }), dns);
  for (const bytes of [
    0,
    1,
    2,
    3,
    55,
    56,
    57,
    63,
    64,
    65,
    119,
    120,
    121,
    200,
    513,
    1400,
    1514 - 22 - headerBytes,
  ]) {
    add(
      `UDP without a checksum, ${bytes} bytes`,
      unchecked(udpFrame(lookup, { data: noise(bytes, bytes) }), headerBytes),
      dns,
    );
  }
  const padded = concat(unchecked(udpFrame(lookup, { data: noise(5) }), headerBytes), noise(13, 9));
  add('UDP without a checksum, and a trailer', padded, dns);
  for (const sport of [0, 1, 80, 1023, 1024, 0x00ff, 0xff00, 0xffff]) {
    const ends = { ...flow, sport };
    add(`source port ${sport}`, tcpFrame(ends), web, ends);
  }
  add('a VIP without source ports', tcpFrame(flowTo(family, noSource)), noSource, { ...flow, sport: 0 });
  const nobody = { src: family === 4 ? '0.0.0.0' : '::', sport: 40000 };
  add('a VIP of the destination port alone', tcpFrame(flowTo(family, portOnly)), portOnly, nobody);
  if (family === 4) {
    const over = flowTo(4, crossed);
    const overUdp = flowTo(4, crossedUdp);
    add('IPv4 to an IPv6 backend, TCP', tcpFrame(over, { tos: 0xb9 }), crossed, over, 'six');
    add('IPv4 to an IPv6 backend, UDP', udpFrame(overUdp), crossedUdp, overUdp, 'six');
    add(
      'IPv4 to an IPv6 backend, UDP without a checksum',
      unchecked(udpFrame(overUdp, { data: noise(77) }), 20),
      crossedUdp,
      overUdp,
      'six',
    );
  }
  // ICMP errors: IPv4's has no pseudo-header, and neither is its packet's checksum right at eight bytes.
  const from = family === 4 ? '192.0.2.254' : '2001:db8:ffff::254';
  const kinds = ICMP[family];
  for (const [name, vip] of [
    ['TCP', web],
    ['UDP', dns],
  ] as const) {
    for (const bytes of [8, 20, undefined]) {
      if (name === 'UDP' && bytes === 20) continue;
      const quote = { protocol: vip.protocol, ...(bytes === undefined ? {} : { transportBytes: bytes }) };
      const error = icmpFrame(
        { src: from, dst: vip.address, type: kinds.unreachable, code: 1 },
        quoted(flowTo(family, vip), quote),
      );
      add(`ICMP error about ${name}, ${bytes ?? 'all'} bytes`, error, vip);
    }
    const exceeded = icmpFrame(
      { src: from, dst: vip.address, type: kinds.timeExceeded, tos: 0xc0 },
      quoted(flowTo(family, vip), { protocol: vip.protocol }),
    );
    add(`ICMP time exceeded about ${name}`, exceeded, vip);
  }
  const zero = frameWithOuterZero(flow, real, port);
  const sport = (zero[14 + headerBytes]! << 8) | zero[14 + headerBytes + 1]!;
  add('a checksum that comes out as 0 is written as 0xffff', zero, web, { ...flow, sport });
  return all;
}

/**
 * A frame whose outer checksum comes out as 0. TCP's own checksum takes up what its header and data add; what is free is
 * in the IP header: IPv6's flow label. IPv4's header takes up its own: there it is the client's address, in both.
 */
function frameWithOuterZero(flow: Endpoints, real: RealName, port: number): Uint8Array {
  const is6 = flow.dst.includes(':');
  const checksumAt = 14 + (is6 ? 40 : 20) + 6;
  for (let word = 0; word < 65536; word++) {
    const sport = is6 ? flow.sport : word;
    const frame = is6
      ? frameOf(ipv6({ ...flow, nextHeader: PROTOCOL.tcp, flowLabel: word }, tcp(flow, TCP_FLAGS.ack)))
      : tcpFrame({ ...flow, sport });
    const after = inGue(frame, real, { ...flow, sport }, port);
    if (after[checksumAt] === 0xff && after[checksumAt + 1] === 0xff) return frame;
  }
  throw new Error('no such frame');
}

const suite = (title: string, family: Family, port: number, options: Suite['options']): Suite => ({
  title: `${title}, IPv${family}`,
  options: { gue: true, ...options },
  arrange: (scene) => {
    scene.ownAddresses();
    scene.vips(vipsOf(family));
  },
  rows: rows(family, port),
});
export const GUE_SUITES: readonly Suite[] = FAMILIES.flatMap((family) => [
  suite('GUE', family, 6080, {}),
  suite('GUE with another port', family, 9886, { guePort: 9886 }),
]);
