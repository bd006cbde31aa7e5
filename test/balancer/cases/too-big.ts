/** Frames for a VIP that are longer than the limit: answered, or dropped. */
import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { tcpFrame, udpFrame } from '../../support/packets.js';
import { tooBigAnswer } from '../../support/packets-icmp.js';
import { type Row, row, type Suite } from '../suite.js';
import { sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { numberVips, type Vip } from './setup.js';

const vipsOf = (family: Family) =>
  numberVips({
    web: vipRow(family, 'tcp', 80),
    dns: vipRow(family, 'udp', 53),
    portOnly: vipRow(family, 'tcp', 83, { flags: VIP_FLAGS.HASH_DPORT_ONLY }),
    empty: vipRow(family, 'tcp', 84, { ring: 'empty' }),
  });

/** A frame of so many bytes for a VIP. */
function frameOfBytes(family: Family, vip: Vip, bytes: number, dst = vip.address): Uint8Array {
  const headers = 14 + FAMILY[family].headerBytes + (vip.protocol === 'tcp' ? 20 : 8);
  const data = Uint8Array.from({ length: bytes - headers }, (_, i) => (i * 31 + bytes) & 0xff);
  const flow = { ...flowTo(family, vip), dst };
  return vip.protocol === 'tcp' ? tcpFrame(flow, { data, tos: 0xb8 }) : udpFrame(flow, { data, tos: 0xb8 });
}

function answered(family: Family, name: string, vip: Vip, bytes: number, mtu: number): Row {
  const frame = frameOfBytes(family, vip, bytes);
  return row(`IPv${family}: ${name}`, frame, {
    reason: 'too_big_sent',
    vip,
    after: tooBigAnswer(frame, flowTo(family, vip), mtu),
    counts: { [`too_big_sent.v${family === 4 ? 1 : 2}`]: 1 },
  });
}

function fits(family: Family, vip: Vip, bytes: number): Row {
  const frame = frameOfBytes(family, vip, bytes);
  const { real } = FAMILY[family];
  return row(
    `IPv${family}: ${bytes} bytes of ${vip.protocol} are forwarded`,
    frame,
    sent(frame, flowTo(family, vip), { vip, real, table: 'ring' }),
  );
}

function suite(
  title: string,
  family: Family,
  options: NonNullable<Suite['options']>,
  rows: (vips: ReturnType<typeof vipsOf>) => readonly Row[],
): Suite {
  const vips = vipsOf(family);
  return { title: `${title}, IPv${family}`, options, arrange: (scene) => scene.vips(vips), rows: rows(vips) };
}

const dropped = (family: Family, vip: Vip, bytes: number): Row =>
  row(`IPv${family}: ${bytes} bytes of ${vip.protocol} are dropped`, frameOfBytes(family, vip, bytes), {
    reason: 'too_long',
    vip,
  });

export const TOO_BIG_SUITES: readonly Suite[] = FAMILIES.flatMap((family) => {
  const { stranger } = FAMILY[family];
  return [
    suite('frame too long', family, {}, ({ web, dns, portOnly, empty }) => [
      fits(family, web, 1514),
      fits(family, dns, 1514),
      answered(family, 'TCP, one byte too long', web, 1515, 1500),
      answered(family, 'UDP, one byte too long', dns, 1515, 1500),
      answered(family, 'much too long', web, 3000, 1500),
      answered(family, "a VIP's flags do not matter", portOnly, 1515, 1500),
      answered(family, 'nor its ring', empty, 1600, 1500),
      row(`IPv${family}: for another address`, frameOfBytes(family, web, 1600, stranger), {
        reason: 'no_vip',
      }),
    ]),
    suite('frame too long, no answer', family, { sendTooBig: false }, ({ web, dns }) => [
      fits(family, web, 1514),
      dropped(family, web, 1515),
      dropped(family, dns, 1515),
      dropped(family, web, 3000),
    ]),
    suite('another limit', family, { maxFrameBytes: 1000 }, ({ web, dns }) => [
      fits(family, web, 1000),
      answered(family, 'TCP', web, 1001, 986),
      answered(family, 'UDP', dns, 1500, 986),
    ]),
    suite('limit of large frames', family, { maxFrameBytes: 2500 }, ({ web }) => [
      fits(family, web, 2500),
      answered(family, 'TCP', web, 2501, 2486),
    ]),
    // Less than the answer holds of the packet: there is nothing to answer with.
    suite('limit below the answer', family, { maxFrameBytes: 90 }, ({ web }) => [
      fits(family, web, 90),
      family === 4 ? dropped(4, web, 97) : dropped(6, web, 261),
      answered(family, 'the least that is answered', web, family === 4 ? 98 : 262, 76),
    ]),
  ];
});
