import { describe, expect, it } from 'vitest';
import { TP_STATUS } from '../../test/support/packet-ring.js';
import {
  type Endpoints,
  ETHERTYPE,
  ethernet,
  frameOf,
  ipFrame,
  ipv4,
  mac,
  PROTOCOL,
  tcpFrame,
  udpFrame,
} from '../../test/support/packets.js';
import { PumpBed } from '../../test/support/pump-bed.js';
import { XskBed } from '../../test/support/xsk-bed.js';
import { XDP_PASS, XDP_TX } from '../bpf/engine/context.js';
import { parseIp } from '../net/address.js';
import { pseudoHeaderSum } from '../net/checksum.js';

const ENDS4: Endpoints = { src: '203.0.113.77', dst: '198.51.100.10', sport: 31337, dport: 80 };
const ENDS6: Endpoints = { src: '2001:db8:cafe::1', dst: '2001:db8::10', sport: 31337, dport: 80 };

/** Offset of the transport header in a frame, and of the checksum's field in it. */
function checksumPlace(frame: Uint8Array): { protocol: number; transport: number; field: number } {
  const isIpv4 = frame[14]! >> 4 === 4;
  const protocol = frame[isIpv4 ? 23 : 20]!;
  const transport = isIpv4 ? 14 + (frame[14]! & 15) * 4 : 54;
  return { protocol, transport, field: transport + (protocol === PROTOCOL.tcp ? 16 : 6) };
}

/** A frame as a sender leaves it to its NIC: the field has the sum of the pseudo-header, not its complement. */
function withPartialChecksum(frame: Uint8Array, { src, dst }: Endpoints): Uint8Array {
  const { protocol, transport, field } = checksumPlace(frame);
  const sum = pseudoHeaderSum(parseIp(src).bytes, parseIp(dst).bytes, protocol, frame.length - transport);
  const copy = Uint8Array.from(frame);
  copy.set([sum >> 8, sum & 0xff], field);
  return copy;
}

/** Bytes that are not all alike, also in their carries. */
const dataOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 151 + 0xf3) & 0xff);

const lengths = [0, 1, 2, 3, 4, 5, 11, 12, 13, 100, 1399, 1400];
const makers = [
  ['UDP over IPv4', ENDS4, udpFrame],
  ['UDP over IPv6', ENDS6, udpFrame],
  ['TCP over IPv4', ENDS4, tcpFrame],
  ['TCP over IPv6', ENDS6, tcpFrame],
] as const;

describe('a checksum that the sender left to its NIC', () => {
  it.each(makers.flatMap(([name, ends, make]) => lengths.map((bytes) => [name, bytes, ends, make] as const)))(
    'is filled in: %s, %i bytes of data',
    (_, bytes, ends, make) => {
      const bed = new PumpBed();
      const frame = make(ends, { data: dataOf(bytes) });
      bed.put(withPartialChecksum(frame, ends), { status: TP_STATUS.csumNotReady });
      expect(bed.pump.run(64)).toBe(1);
      expect(bed.sent(0)).toEqual(frame);
      expect(bed.counters()).toMatchObject({ checksum_filled: 1 });
    },
  );

  it('is filled in over data of all ones, whose sum carries most', () => {
    const bed = new PumpBed();
    const frame = tcpFrame(ENDS4, { data: new Uint8Array(1460).fill(0xff) });
    bed.put(withPartialChecksum(frame, ENDS4), { status: TP_STATUS.csumNotReady });
    bed.pump.run(64);
    expect(bed.sent(0)).toEqual(frame);
  });

  it('is filled in behind IP options', () => {
    const bed = new PumpBed();
    const plain = udpFrame(ENDS4, { data: dataOf(33) });
    const options = Uint8Array.of(1, 1, 1, 1, 1, 1, 1, 0);
    const frame = frameOf(ipv4({ ...ENDS4, protocol: PROTOCOL.udp, options }, plain.subarray(34)));
    bed.put(withPartialChecksum(frame, ENDS4), { status: TP_STATUS.csumNotReady });
    expect(bed.pump.run(64)).toBe(1);
    expect(bed.sent(0)).toEqual(frame);
  });

  it('does not count padding of a short frame', () => {
    const bed = new PumpBed();
    const frame = udpFrame(ENDS4, { data: dataOf(3) });
    const padding = new Uint8Array(60 - frame.length).fill(0xaa);
    const partial = withPartialChecksum(frame, ENDS4);
    bed.put(Uint8Array.of(...partial, ...padding), { status: TP_STATUS.csumNotReady });
    bed.pump.run(64);
    expect(bed.sent(0)).toEqual(Uint8Array.of(...frame, ...padding));
  });

  it.each([
    ['0xffff for UDP, where 0 says that there is none (RFC 768)', udpFrame, 0xffff],
    ['0 for TCP', tcpFrame, 0],
  ] as const)('of 0 becomes %s', (_, make, expected) => {
    const zeros = make(ENDS4, { data: new Uint8Array(2) });
    const { field } = checksumPlace(zeros);
    // Data that adds up to what the checksum was makes it 0.
    const frame = make(ENDS4, { data: zeros.slice(field, field + 2) });
    expect((frame[field]! << 8) | frame[field + 1]!).toBe(expected);
    const bed = new PumpBed();
    bed.put(withPartialChecksum(frame, ENDS4), { status: TP_STATUS.csumNotReady });
    bed.pump.run(64);
    expect(bed.sent(0)).toEqual(frame);
  });

  it('is filled in before a VLAN tag is put back', () => {
    const bed = new PumpBed();
    const frame = udpFrame(ENDS4);
    bed.put(withPartialChecksum(frame, ENDS4), {
      status: TP_STATUS.vlanValid | TP_STATUS.vlanTpidValid | TP_STATUS.csumNotReady,
      vlanTci: 5,
      vlanTpid: 0x8100,
    });
    bed.pump.run(64);
    const [head, tail] = [frame.subarray(0, 12), frame.subarray(12)];
    expect(bed.sent(0)).toEqual(Uint8Array.of(...head, 0x81, 0, 0, 5, ...tail));
    expect(bed.counters()).toMatchObject({ vlan_restored: 1, checksum_filled: 1 });
  });

  const ping = ipFrame(ENDS4, PROTOCOL.icmp, 0, dataOf(16));
  const shortUdp = frameOf(ipv4({ ...ENDS4, protocol: PROTOCOL.udp }, dataOf(7)));
  const shortTcp = frameOf(ipv4({ ...ENDS4, protocol: PROTOCOL.tcp }, dataOf(17)));
  const longer = frameOf(ipv4({ ...ENDS4, protocol: PROTOCOL.udp, totalBytes: 200 }, dataOf(20)));
  const noHeader = Uint8Array.from(udpFrame(ENDS4));
  noHeader[14] = 0x42;
  const unfixable = [
    ['neither TCP nor UDP', ping],
    ['not IP', ethernet(mac('02:aa:bb:cc:dd:ee'), mac('06:05:04:03:02:01'), ETHERTYPE.arp, dataOf(46))],
    ['UDP without room for its checksum', shortUdp],
    ['TCP without room for its checksum', shortTcp],
    ['an IPv4 header longer than the frame', udpFrame(ENDS4).subarray(0, 30)],
    ['an IPv6 header longer than the frame', udpFrame(ENDS6).subarray(0, 50)],
    ['a packet longer than the frame', longer],
    ['an IPv4 header shorter than it can be', noHeader],
    ['an IPv6 extension header', ipFrame(ENDS6, 0, 0, dataOf(40))],
  ] as const;

  it.each(unfixable)('is never sent where it cannot be filled in: %s', (_, frame) => {
    const bed = new PumpBed();
    bed.put(frame, { status: TP_STATUS.csumNotReady });
    expect(bed.pump.run(64)).toBe(0);
    expect(bed.counters()).toEqual({
      received: 1,
      received_bytes: frame.length,
      batches: 1,
      program_runs: 1,
      checksum_unfixable: 1,
    });
  });

  it.each(unfixable)('stays as it is where it cannot be filled in: %s', (_, frame) => {
    let seen: Uint8Array | undefined;
    const bed = new PumpBed((context) => {
      seen = context.frame();
      return XDP_PASS;
    });
    bed.put(frame, { status: TP_STATUS.csumNotReady });
    bed.pump.run(64);
    expect(seen).toEqual(Uint8Array.from(frame));
    expect(bed.counters()).toEqual({
      received: 1,
      received_bytes: frame.length,
      batches: 1,
      program_runs: 1,
      passed: 1,
    });
  });
});

describe('a checksum that may have been left to a NIC, of which AF_XDP says nothing', () => {
  const throughXdp = (frame: Uint8Array, isCopied = true) => {
    const bed = new XskBed(() => XDP_TX, 1, isCopied);
    bed.queue.receive(frame);
    bed.pump.run(0, 64);
    return { sent: bed.queue.send()[0], filled: bed.counters().checksum_filled ?? 0 };
  };

  it.each(makers)('is filled in where the field has the sum of the pseudo-header: %s', (_, ends, make) => {
    for (const bytes of lengths) {
      const frame = make(ends, { data: dataOf(bytes) });
      expect(throughXdp(withPartialChecksum(frame, ends))).toEqual({ sent: frame, filled: 1 });
    }
  });

  it.each(makers)('is as it came where it was whole: %s', (_, ends, make) => {
    for (const bytes of lengths) {
      const frame = make(ends, { data: dataOf(bytes) });
      expect(throughXdp(frame)).toEqual({ sent: frame, filled: 0 });
    }
  });

  it('is the same where it was whole, and the sum of the pseudo-header by chance', () => {
    const { src, dst } = ENDS4;
    const frame = tcpFrame(ENDS4, { data: new Uint8Array(2) });
    const { transport, field, protocol } = checksumPlace(frame);
    const read = (at: number) => (frame[at]! << 8) | frame[at + 1]!;
    const wanted = pseudoHeaderSum(
      parseIp(src).bytes,
      parseIp(dst).bytes,
      protocol,
      frame.length - transport,
    );
    // Data that makes the checksum what is wanted (RFC 1624: the sums change by the same amount, the other way).
    const change = (((read(field) - wanted) % 0xffff) + 0xffff) % 0xffff;
    const whole = tcpFrame(ENDS4, { data: Uint8Array.of(change >> 8, change & 0xff) });
    expect((whole[field]! << 8) | whole[field + 1]!).toBe(wanted);
    expect(throughXdp(whole)).toEqual({ sent: whole, filled: 1 });
  });

  it('is not looked for where the driver gave the frame as it came off the wire', () => {
    const partial = withPartialChecksum(udpFrame(ENDS4), ENDS4);
    expect(throughXdp(partial, false)).toEqual({ sent: partial, filled: 0 });
  });

  it.each([
    ['not IP', ethernet(mac('02:aa:bb:cc:dd:ee'), mac('06:05:04:03:02:01'), ETHERTYPE.arp, dataOf(46))],
    ['an IPv4 header that is not all there', udpFrame(ENDS4).subarray(0, 30)],
    ['an IPv6 header that is not all there', udpFrame(ENDS6).subarray(0, 50)],
    ['no room for the checksum', withPartialChecksum(tcpFrame(ENDS4), ENDS4).subarray(0, 50)],
    ['neither TCP nor UDP', ipFrame(ENDS4, PROTOCOL.icmp, 64, dataOf(40))],
  ])('is not touched: %s', (_, frame) => {
    expect(throughXdp(Uint8Array.from(frame))).toEqual({ sent: Uint8Array.from(frame), filled: 0 });
  });
});
