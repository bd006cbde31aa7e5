import { describe, expect, it } from 'vitest';
import {
  be16,
  concat,
  ETHERTYPE,
  ethernet,
  frameOf,
  fromHex,
  ipv4,
  ipv6,
  mac,
  PROTOCOL,
  TCP_FLAGS,
  tcp,
} from '../../test/support/packets.js';
import { formatIp } from './address.js';
import { frameFlow } from './frame-flow.js';

const ends4 = { src: '198.51.100.7', dst: '192.0.2.1', sport: 1000, dport: 80 };
const ends6 = { src: '2001:db8::7', dst: '2001:db8::1', sport: 1000, dport: 443 };
const v4 = (more: object = {}) =>
  ipv4({ src: ends4.src, dst: ends4.dst, protocol: PROTOCOL.tcp, ...more }, tcp(ends4, TCP_FLAGS.syn));
const v6 = () =>
  ipv6({ src: ends6.src, dst: ends6.dst, nextHeader: PROTOCOL.tcp }, tcp(ends6, TCP_FLAGS.syn));
const tagged = (...types: readonly number[]) => {
  const tags = types.slice(1).map((type) => concat(be16(5), be16(type)));
  const payload = concat(...tags, v4());
  return ethernet(mac('02:00:00:00:00:01'), mac('02:00:00:00:00:02'), types[0] ?? 0, payload);
};
const textOf = (frame: Uint8Array): string | undefined => {
  const flow = frameFlow(frame);
  if (flow === undefined) return undefined;
  const { source, destination, protocol, ports } = flow;
  return `${protocol} ${formatIp(source)} ${ports?.source} ${formatIp(destination)} ${ports?.destination}`;
};

describe('the ends of a frame', () => {
  const TCP_TEXT = '6 198.51.100.7 1000 192.0.2.1 80';
  const rows: readonly [rule: string, frame: Uint8Array, text: string | undefined][] = [
    ['IPv4', frameOf(v4()), TCP_TEXT],
    ['IPv4 with options', frameOf(v4({ options: fromHex('01010101') })), TCP_TEXT],
    ['IPv6', frameOf(v6()), '6 2001:db8::7 1000 2001:db8::1 443'],
    ['behind a VLAN tag', tagged(ETHERTYPE.vlan, ETHERTYPE.ipv4), TCP_TEXT],
    ['behind two', tagged(ETHERTYPE.serviceVlan, ETHERTYPE.vlan, ETHERTYPE.ipv4), TCP_TEXT],
    ['a first fragment', frameOf(v4({ fragment: 0x2000 })), TCP_TEXT],
    [
      'a later fragment has no ports',
      frameOf(v4({ fragment: 0x2001 })),
      '6 198.51.100.7 undefined 192.0.2.1 undefined',
    ],
    [
      'neither has another protocol',
      frameOf(ipv4({ src: ends4.src, dst: ends4.dst, protocol: PROTOCOL.icmp }, fromHex('0800f7ff00000000'))),
      '1 198.51.100.7 undefined 192.0.2.1 undefined',
    ],
    ['nor one whose bytes end', frameOf(v4()).slice(0, 37), '6 198.51.100.7 undefined 192.0.2.1 undefined'],
    ['bytes that end in the addresses', frameOf(v4()).slice(0, 33), undefined],
    [
      'what is not IP',
      ethernet(mac('02:00:00:00:00:01'), mac('02:00:00:00:00:02'), ETHERTYPE.arp, v4()),
      undefined,
    ],
    ['a frame that is none', fromHex('0102'), undefined],
  ];
  it.each(rows)('%s', (_, frame, text) => {
    expect(textOf(frame)).toBe(text);
  });
});
