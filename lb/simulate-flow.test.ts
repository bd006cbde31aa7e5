import { describe, expect, it } from 'vitest';
import { TCP_FLAGS, udpFrame } from '../test/support/packets.js';
import { gueFrame, ipipFrame, tagged } from '../test/support/packets-tunnel.js';
import { checksum16, pseudoHeaderSum } from './net/checksum.js';
import { FlowTextError, flowFrame, formatFlow, outerHeader, parseFlow } from './simulate-flow.js';

describe('parseFlow', () => {
  it.each([
    'tcp 192.0.2.1:4000 -> 198.51.100.1:80',
    'udp [2001:db8::1]:4000 -> [2001:db8::2]:443',
    'tcp 192.0.2.1:0 -> 198.51.100.1:65535',
  ])('reads what formatFlow writes: %s', (text) => expect(formatFlow(parseFlow(text))).toBe(text));

  it.each([
    '  TCP  192.0.2.1:4000  ->  198.51.100.1:80 ',
    'tcp 192.0.2.1:4000->198.51.100.1:80',
    'tcp 192.0.2.1:4000 → 198.51.100.1:80',
    'tcp 192.0.2.1:4000 > 198.51.100.1:80',
  ])('is forgiving: "%s"', (text) =>
    expect(formatFlow(parseFlow(text))).toBe('tcp 192.0.2.1:4000 -> 198.51.100.1:80'),
  );

  it.each([
    { text: '', says: /no flow/ },
    { text: '192.0.2.1:1 -> 192.0.2.2:2', says: /no flow|neither/ },
    { text: 'icmp 192.0.2.1:1 -> 192.0.2.2:2', says: /"icmp" is neither tcp nor udp/ },
    { text: 'tcp 192.0.2.1 -> 192.0.2.2:2', says: /ADDRESS:PORT/ },
    { text: 'tcp 2001:db8::1:1 -> [2001:db8::2]:2', says: /ADDRESS:PORT/ },
    { text: 'tcp 192.0.2.1:1 -> 192.0.2.2:65536', says: /65536/ },
    { text: 'tcp 192.0.2.256:1 -> 192.0.2.2:2', says: /192\.0\.2\.256/ },
    { text: 'tcp 192.0.2.1:1 -> [2001:db8::2]:2', says: /IPv4 and the other IPv6/ },
  ])('refuses "$text"', ({ text, says }) => {
    expect(() => parseFlow(text)).toThrow(FlowTextError);
    expect(() => parseFlow(text)).toThrow(says);
  });
});

describe('flowFrame', () => {
  it.each(
    ['tcp', 'udp'].flatMap((name) => [
      `${name} 192.0.2.1:4000 -> 198.51.100.1:80`,
      `${name} [2001:db8::1]:4000 -> [2001:db8::2]:80`,
    ]),
  )('has checksums that are right: %s', (text) => {
    const flow = parseFlow(text);
    const frame = flowFrame(flow);
    const isIpv6 = flow.source.family === 6;
    const ip = frame.subarray(14);
    const payload = ip.subarray(isIpv6 ? 40 : 20);
    if (!isIpv6) expect(checksum16(ip.subarray(0, 20))).toBe(0);
    const protocol = flow.protocol === 'tcp' ? 6 : 17;
    const pseudo = pseudoHeaderSum(flow.source.bytes, flow.destination.bytes, protocol, payload.length);
    expect(checksum16(payload, pseudo)).toBe(0);
  });

  it('is a SYN where that is asked for, and an ACK else', () => {
    const flow = parseFlow('tcp 192.0.2.1:4000 -> 198.51.100.1:80');
    expect([flowFrame(flow)[47], flowFrame(flow, true)[47]]).toEqual([TCP_FLAGS.ack, TCP_FLAGS.syn]);
  });
});

describe('outerHeader', () => {
  const inner = udpFrame({ src: '192.0.2.1', dst: '192.0.2.2', sport: 1, dport: 2 }).subarray(14);
  const rows = [
    {
      frame: ipipFrame({ src: '10.0.0.1', dst: '10.0.0.2' }, inner),
      text: /^10\.0\.0\.1 → 10\.0\.0\.2, IP in IP/,
    },
    {
      frame: ipipFrame({ src: 'fc00::1', dst: 'fc00::2' }, inner),
      text: /^fc00::1 → fc00::2, IP in IP \(IPv4/,
    },
    { frame: gueFrame({ src: '10.0.0.1', dst: '10.0.0.2' }, inner, 9886), text: /GUE \(UDP 31000 → 9886\)/ },
    {
      frame: tagged(ipipFrame({ src: '10.0.0.1', dst: '10.0.0.2' }, inner), { control: 7 }),
      text: /^VLAN 7, 10\.0\.0\.1/,
    },
  ];
  it.each(rows)('$text', ({ frame, text }) => expect(outerHeader(frame)).toMatch(text));
  it('is nothing where there is none', () => expect(outerHeader(new Uint8Array(20))).toBeUndefined());
});
