import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ETHERTYPE, ethernet, mac, tcpFrame, udpFrame } from '../../test/support/packets.js';
import { ipipFrame } from '../../test/support/packets-tunnel.js';
import { flowHash, workerOf } from './replay-spread.js';

const ENDS = { src: '203.0.113.7', dst: '198.51.100.1', sport: 4000, dport: 80 } as const;
const back = ({ src, dst, sport, dport }: { src: string; dst: string; sport: number; dport: number }) => ({
  src: dst,
  dst: src,
  sport: dport,
  dport: sport,
});
const ENDS_6 = { src: '2001:db8::7', dst: '2001:db8:1::1', sport: 4000, dport: 80 } as const;

describe('flowHash', () => {
  const same: readonly { name: string; frames: readonly [Uint8Array, Uint8Array] }[] = [
    { name: 'both directions of TCP over IPv4', frames: [tcpFrame(ENDS), tcpFrame(back(ENDS))] },
    { name: 'both directions of UDP over IPv6', frames: [udpFrame(ENDS_6), udpFrame(back(ENDS_6))] },
    {
      name: 'flags and data',
      frames: [tcpFrame(ENDS), tcpFrame(ENDS, { flags: 2, data: new Uint8Array(9) })],
    },
    {
      name: 'a tunnel around the flow',
      frames: [tcpFrame(ENDS), ipipFrame({ src: '10.9.9.9', dst: '10.8.8.8' }, tcpFrame(ENDS).subarray(14))],
    },
  ];
  it.each(same)('is the same for $name', ({ frames: [one, other] }) => {
    expect(flowHash(one)).toBe(flowHash(other));
    expect(flowHash(one)).not.toBe(0);
  });

  const different: readonly { name: string; frame: Uint8Array }[] = [
    { name: 'another source port', frame: tcpFrame({ ...ENDS, sport: 4001 }) },
    { name: 'another destination', frame: tcpFrame({ ...ENDS, dst: '198.51.100.2' }) },
    { name: 'another protocol', frame: udpFrame(ENDS) },
  ];
  it.each(different)('differs for $name', ({ frame }) => {
    expect(flowHash(frame)).not.toBe(flowHash(tcpFrame(ENDS)));
  });

  it('is 0 for what is not IP', () => {
    const arp = ethernet(
      mac('ff:ff:ff:ff:ff:ff'),
      mac('02:00:00:00:00:01'),
      ETHERTYPE.arp,
      new Uint8Array(46),
    );
    expect(flowHash(arp)).toBe(0);
  });

  it('takes any bytes (random frames)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 1, max: 64 }), (frame, workers) => {
        const worker = workerOf(frame, workers);
        expect(Number.isInteger(worker) && worker >= 0 && worker < workers).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

it('workerOf spreads flows evenly', () => {
  const counts = new Array<number>(4).fill(0);
  for (let port = 0; port < 20_000; port++) counts[workerOf(udpFrame({ ...ENDS, sport: port }), 4)]! += 1;
  for (const count of counts) expect(Math.abs(count - 5000)).toBeLessThan(400);
});
