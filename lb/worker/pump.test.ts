import { describe, expect, it } from 'vitest';
import { MAC_OFFSET, PACKET_TYPE, PacketRing, type RingFrame, TP_STATUS } from '../../test/support/packet-ring.js';
import {
  type Endpoints,
  ethernet,
  ETHERTYPE,
  fromHex,
  frameOf,
  ipFrame,
  ipv4,
  mac,
  PROTOCOL,
  tcpFrame,
  udpFrame,
} from '../../test/support/packets.js';
import { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX } from '../bpf/engine/context.js';
import { instantiateRuntime } from '../bpf/maps/runtime.js';
import { Arena } from '../bpf/memory/arena.js';
import {
  CPU_CLOCK_NS,
  CPU_IOVECS,
  CPU_MMSGHDRS,
  CPU_PUMP,
  CPU_TIMESPEC,
  CPU_XDP_MD,
  IOVEC_BYTES,
  MMSG_CAPACITY,
  MMSGHDR_BYTES,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
  XDP_MD_INGRESS_IFINDEX,
} from '../bpf/memory/layout.js';
import { parseIp } from '../net/address.js';
import { pseudoHeaderSum } from '../net/checksum.js';
import { CounterCells, WORKER_COUNTERS, type WorkerCounter } from './counters.js';
import { PUMP_BASE, PUMP_FRAME_BYTES, PUMP_FRAMES, PUMP_IFINDEX, PUMP_RING } from './layout.js';
import { pumpWasm } from './pump-wasm.gen.js';

const module = new WebAssembly.Module(pumpWasm);
/** Where arena offset 0 would be: past 32 bits, as addresses are. */
const BASE = 0x7f12_3456_7000n;
const IFINDEX = 7;

interface PumpExports {
  prepare(): void;
  recover(): void;
  isReady(): number;
  run(limit: number): number;
  release(): void;
  countSent(first: number, end: number): void;
  add(counter: number, value: number): void;
}

/** What the program sees of a frame, and may change. */
interface Context {
  readonly bytes: Uint8Array;
  /** The frame as it is when the program starts. */
  frame(): Uint8Array;
  read(field: number): number;
  /** Move the start of the frame, as bpf_xdp_adjust_head does. */
  adjustHead(delta: number): void;
}
type Program = (context: Context) => number;

/** The pump over a ring that a test fills, with a program in TypeScript. */
class PumpBed {
  readonly arena = Arena.create({ workers: 1, mapsBytes: 0, ringsBytes: 8 * 2048 });
  readonly ring = new PacketRing(this.arena);
  readonly block = this.arena.block(0);
  readonly view = new DataView(this.arena.memory.buffer);
  pump: PumpExports;

  constructor(readonly program: Program = () => XDP_TX) {
    const words = this.block + CPU_PUMP;
    this.view.setUint32(words + PUMP_RING, this.ring.offset, true);
    this.view.setUint32(words + PUMP_FRAMES, this.ring.frames, true);
    this.view.setUint32(words + PUMP_FRAME_BYTES, this.ring.frameBytes, true);
    this.view.setUint32(words + PUMP_IFINDEX, IFINDEX, true);
    this.view.setBigUint64(words + PUMP_BASE, BASE, true);
    this.pump = this.instantiate();
  }

  /** A pump as a new thread makes it: all that it knows of before is in the CPU block. */
  instantiate(program = this.program): PumpExports {
    const { env } = instantiateRuntime(this.arena.memory, 0);
    const read = (context: number, field: number) => this.view.getUint32(context + field, true);
    const run = (context: number) =>
      program({
        bytes: this.arena.u8,
        frame: () => this.arena.u8.slice(read(context, XDP_MD_DATA), read(context, XDP_MD_DATA_END)),
        read: (field) => read(context, field),
        adjustHead: (delta) =>
          this.view.setUint32(context + XDP_MD_DATA, read(context, XDP_MD_DATA) + delta, true),
      });
    const instance = new WebAssembly.Instance(module, { env: { ...env }, program: { run } });
    const pump = instance.exports as unknown as PumpExports;
    pump.prepare();
    return pump;
  }

  put(frame: Uint8Array, options?: RingFrame): number {
    return this.ring.put(frame, options);
  }

  /** Address and length of an entry to be sent. */
  vector(i: number): { address: bigint; length: bigint } {
    const at = this.block + CPU_IOVECS + i * IOVEC_BYTES;
    return { address: this.view.getBigUint64(at, true), length: this.view.getBigUint64(at + 8, true) };
  }

  /** The bytes that an entry sends. */
  sent(i: number): Uint8Array {
    const { address, length } = this.vector(i);
    const start = Number(address - BASE);
    return this.arena.u8.slice(start, start + Number(length));
  }

  /** Counters that are not zero. */
  counters(): Partial<Record<WorkerCounter, number>> {
    const cells = new CounterCells(this.arena.memory, this.block).read();
    return Object.fromEntries(
      Object.entries(cells)
        .filter(([, value]) => value !== 0n)
        .map(([name, value]) => [name, Number(value)]),
    );
  }
}

const ENDS4: Endpoints = { src: '203.0.113.77', dst: '198.51.100.10', sport: 31337, dport: 80 };
const ENDS6: Endpoints = { src: '2001:db8:cafe::1', dst: '2001:db8::10', sport: 31337, dport: 80 };
/** A frame whose last byte is a number, so that order shows. */
const numbered = (n: number) => udpFrame(ENDS4, { data: Uint8Array.of(0, n) });
const VERDICTS: readonly (readonly [name: string, verdict: number, counter: WorkerCounter])[] = [
  ['XDP_ABORTED', XDP_ABORTED, 'aborted'],
  ['XDP_DROP', XDP_DROP, 'dropped'],
  ['XDP_PASS', XDP_PASS, 'passed'],
  ['XDP_REDIRECT', XDP_REDIRECT, 'redirect_unsupported'],
  ['5', 5, 'invalid_verdict'],
  ['0xffffffff', 0xffffffff, 'invalid_verdict'],
];

describe('a verdict', () => {
  it.each(VERDICTS)('%s sends nothing and is counted', (_, verdict, counter) => {
    const bed = new PumpBed(() => verdict);
    const frame = numbered(1);
    bed.put(frame);
    expect(bed.pump.run(64)).toBe(0);
    expect(bed.counters()).toEqual({ received: 1, received_bytes: frame.length, batches: 1, [counter]: 1 });
  });

  it('XDP_TX sends the frame where it lies', () => {
    const bed = new PumpBed();
    const frame = numbered(1);
    bed.put(frame);
    expect(bed.pump.run(64)).toBe(1);
    expect(bed.vector(0)).toEqual({
      address: BASE + BigInt(bed.ring.offset + MAC_OFFSET),
      length: BigInt(frame.length),
    });
    expect(bed.sent(0)).toEqual(frame);
    // Sent is what the kernel took, which only the caller knows.
    expect(bed.counters()).toEqual({ received: 1, received_bytes: frame.length, batches: 1 });
  });

  it('XDP_TX sends from where the program moved the head to', () => {
    const outer = Uint8Array.from({ length: 20 }, (_, i) => i + 1);
    const bed = new PumpBed((context) => {
      context.adjustHead(-outer.length);
      context.bytes.set(outer, context.read(XDP_MD_DATA));
      return XDP_TX;
    });
    const frame = numbered(1);
    bed.put(frame);
    expect(bed.pump.run(64)).toBe(1);
    expect(bed.sent(0)).toEqual(Uint8Array.of(...outer, ...frame));
  });

  it('of another frame does not leave a hole in what is sent', () => {
    const verdicts = [XDP_DROP, XDP_TX, XDP_PASS, XDP_TX, XDP_TX, XDP_ABORTED];
    let next = 0;
    const bed = new PumpBed(() => verdicts[next++]!);
    const frames = verdicts.map((_, i) => numbered(i));
    for (const frame of frames) bed.put(frame);
    expect(bed.pump.run(64)).toBe(3);
    expect([0, 1, 2].map((i) => bed.sent(i))).toEqual([frames[1], frames[3], frames[4]]);
    expect(bed.counters()).toMatchObject({ received: 6, dropped: 1, passed: 1, aborted: 1, batches: 1 });
  });
});

describe('the context of a frame', () => {
  it('has the frame, its room on both sides and the interface', () => {
    const seen: Record<string, number> = {};
    const bed = new PumpBed((context) => {
      Object.assign(seen, {
        data: context.read(XDP_MD_DATA),
        end: context.read(XDP_MD_DATA_END),
        meta: context.read(XDP_MD_DATA_META),
        hardStart: context.read(XDP_MD_HARD_START),
        hardEnd: context.read(XDP_MD_HARD_END),
        ifindex: context.read(XDP_MD_INGRESS_IFINDEX),
      });
      return XDP_PASS;
    });
    const frame = numbered(1);
    bed.put(frame);
    bed.pump.run(64);
    const { offset } = bed.ring;
    expect(seen).toEqual({
      data: offset + MAC_OFFSET,
      end: offset + MAC_OFFSET + frame.length,
      meta: offset + MAC_OFFSET,
      // Behind struct tpacket2_hdr and struct sockaddr_ll, which the kernel writes anew each time.
      hardStart: offset + 52,
      hardEnd: offset + 2048,
      ifindex: IFINDEX,
    });
  });

  it('has the clock of the batch', () => {
    let clock = 0n;
    const bed = new PumpBed(() => {
      clock = bed.view.getBigUint64(bed.block + CPU_CLOCK_NS, true);
      return XDP_PASS;
    });
    bed.view.setBigUint64(bed.block + CPU_TIMESPEC, 5_000_000_123n, true);
    bed.view.setBigUint64(bed.block + CPU_TIMESPEC + 8, 999_999_999n, true);
    bed.put(numbered(1));
    bed.pump.run(64);
    expect(clock).toBe(5_000_000_123_999_999_999n);
  });

  it('starts anew for the next frame', () => {
    const starts: number[] = [];
    const bed = new PumpBed((context) => {
      starts.push(context.read(XDP_MD_DATA));
      context.adjustHead(-20);
      return XDP_TX;
    });
    bed.put(numbered(0));
    bed.put(numbered(1));
    bed.pump.run(64);
    expect(starts).toEqual([bed.ring.dataOf(0), bed.ring.dataOf(1)]);
  });
});

describe('the ring', () => {
  it('is ready only with a frame', () => {
    const bed = new PumpBed();
    expect(bed.pump.isReady()).toBe(0);
    expect(bed.pump.run(64)).toBe(0);
    expect(bed.counters()).toEqual({});
    bed.put(numbered(0));
    expect(bed.pump.isReady()).not.toBe(0);
  });

  it('gets its frames back at release and not before', () => {
    const bed = new PumpBed();
    for (let i = 0; i < 3; i++) bed.put(numbered(i));
    bed.pump.run(64);
    expect([0, 1, 2].map((i) => bed.ring.statusOf(i))).toEqual([1, 1, 1]);
    bed.pump.release();
    expect([0, 1, 2].map((i) => bed.ring.statusOf(i))).toEqual([0, 0, 0]);
    expect(bed.pump.isReady()).toBe(0);
  });

  it('is walked in order, past its end and on from its start', () => {
    const bed = new PumpBed();
    const sent: Uint8Array[] = [];
    const frames = Array.from({ length: 29 }, (_, i) => numbered(i));
    for (let at = 0; at < frames.length; ) {
      const batch = frames.slice(at, at + 5);
      at += batch.length;
      for (const frame of batch) bed.put(frame);
      const count = bed.pump.run(64);
      for (let i = 0; i < count; i++) sent.push(bed.sent(i));
      bed.pump.release();
    }
    expect(sent).toEqual(frames);
    expect(bed.counters()).toMatchObject({ received: 29, batches: 6 });
  });

  it('is taken by no more than the limit at a time', () => {
    const bed = new PumpBed();
    for (let i = 0; i < 5; i++) bed.put(numbered(i));
    const batches: number[][] = [];
    for (let i = 0; i < 3; i++) {
      const count = bed.pump.run(2);
      batches.push(Array.from({ length: count }, (_, k) => bed.sent(k).at(-1)!));
      bed.pump.release();
    }
    expect(batches).toEqual([[0, 1], [2, 3], [4]]);
  });

  it('that is full is taken once', () => {
    const bed = new PumpBed();
    for (let i = 0; i < bed.ring.frames; i++) bed.put(numbered(i));
    expect(bed.pump.run(64)).toBe(bed.ring.frames);
    bed.pump.release();
    expect(bed.pump.run(64)).toBe(0);
    expect(bed.counters()).toMatchObject({ received: bed.ring.frames, batches: 1 });
  });
});

describe('a frame', () => {
  it('for another host is counted, and not shown to the program', () => {
    let runs = 0;
    const bed = new PumpBed(() => {
      runs++;
      return XDP_TX;
    });
    const frame = numbered(0);
    bed.put(frame, { packetType: PACKET_TYPE.otherHost });
    bed.put(frame, { packetType: PACKET_TYPE.broadcast });
    bed.put(frame, { packetType: PACKET_TYPE.multicast });
    expect(bed.pump.run(64)).toBe(2);
    expect(runs).toBe(2);
    expect(bed.counters()).toMatchObject({ received: 3, received_bytes: 3 * frame.length, other_host: 1 });
    bed.pump.release();
    expect(bed.ring.statusOf(0)).toBe(0);
  });

  it.each([
    ['is not sent', XDP_TX, { truncated: 1 }],
    ['may pass', XDP_PASS, { passed: 1 }],
    ['may be dropped', XDP_DROP, { dropped: 1 }],
  ])('that was cut %s', (_, verdict, counted) => {
    const bed = new PumpBed(() => verdict);
    bed.put(numbered(0), { wireBytes: 9000 });
    expect(bed.pump.run(64)).toBe(0);
    expect(bed.counters()).toEqual({ received: 1, received_bytes: 9000, batches: 1, ...counted });
  });
});

describe('a VLAN tag that the kernel took off', () => {
  const [dst, src] = [mac('02:aa:bb:cc:dd:ee'), mac('06:05:04:03:02:01')];
  const untagged = ethernet(dst, src, 0x0800, Uint8Array.from({ length: 46 }, (_, i) => i));
  const rest = untagged.subarray(12);
  const { vlanValid, vlanTpidValid } = TP_STATUS;

  it.each([
    ['802.1Q', { status: vlanValid | vlanTpidValid, vlanTci: 0x6123, vlanTpid: 0x8100 }, '81006123'],
    ['802.1ad', { status: vlanValid | vlanTpidValid, vlanTci: 0xefff, vlanTpid: 0x88a8 }, '88a8efff'],
    ['without its type, which then is 802.1Q', { status: vlanValid, vlanTci: 0x0001, vlanTpid: 0 }, '81000001'],
    ['priority only (TCI 0)', { status: vlanValid | vlanTpidValid, vlanTci: 0, vlanTpid: 0x8100 }, '81000000'],
  ])('goes back: %s', (_, options, tag) => {
    const bed = new PumpBed();
    bed.put(untagged, options);
    expect(bed.pump.run(64)).toBe(1);
    expect(bed.sent(0)).toEqual(Uint8Array.of(...dst, ...src, ...fromHex(tag), ...rest));
    expect(bed.counters()).toMatchObject({ vlan_restored: 1 });
  });

  it('goes back behind a checksum that is filled in', () => {
    const bed = new PumpBed();
    const frame = udpFrame(ENDS4);
    bed.put(withPartialChecksum(frame, ENDS4), {
      status: vlanValid | vlanTpidValid | TP_STATUS.csumNotReady,
      vlanTci: 5,
      vlanTpid: 0x8100,
    });
    bed.pump.run(64);
    const [head, tail] = [frame.subarray(0, 12), frame.subarray(12)];
    expect(bed.sent(0)).toEqual(Uint8Array.of(...head, 0x81, 0, 0, 5, ...tail));
    expect(bed.counters()).toMatchObject({ vlan_restored: 1, checksum_filled: 1 });
  });
});

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

describe('a checksum that the sender left to its NIC', () => {
  const lengths = [0, 1, 2, 3, 4, 5, 11, 12, 13, 100, 1399, 1400];
  const makers = [
    ['UDP over IPv4', ENDS4, udpFrame],
    ['UDP over IPv6', ENDS6, udpFrame],
    ['TCP over IPv4', ENDS4, tcpFrame],
    ['TCP over IPv6', ENDS6, tcpFrame],
  ] as const;

  it.each(
    makers.flatMap(([name, ends, make]) => lengths.map((bytes) => [name, bytes, ends, make] as const)),
  )('is filled in: %s, %i bytes of data', (_, bytes, ends, make) => {
    const bed = new PumpBed();
    const frame = make(ends, { data: dataOf(bytes) });
    bed.put(withPartialChecksum(frame, ends), { status: TP_STATUS.csumNotReady });
    expect(bed.pump.run(64)).toBe(1);
    expect(bed.sent(0)).toEqual(frame);
    expect(bed.counters()).toMatchObject({ checksum_filled: 1 });
  });

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
    expect(bed.counters()).toEqual({ received: 1, received_bytes: frame.length, batches: 1, passed: 1 });
  });
});

describe('the message array', () => {
  it('has a header for each entry, with its vector and nothing else', () => {
    const bed = new PumpBed();
    const dirty = bed.block + CPU_MMSGHDRS;
    bed.arena.u8.fill(0xff, dirty, dirty + MMSG_CAPACITY * MMSGHDR_BYTES);
    bed.pump.prepare();
    for (const i of [0, 1, MMSG_CAPACITY - 1]) {
      const words = new BigUint64Array(bed.arena.memory.buffer, dirty + i * MMSGHDR_BYTES, MMSGHDR_BYTES / 8);
      const vector = BASE + BigInt(bed.block + CPU_IOVECS + i * IOVEC_BYTES);
      // msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags, msg_len
      expect([...words]).toEqual([0n, 0n, vector, 1n, 0n, 0n, 0n, 0n]);
    }
  });

  it('counts what was sent of it', () => {
    const bed = new PumpBed();
    const frames = [1, 2, 3].map((n) => udpFrame(ENDS4, { data: dataOf(n * 10) }));
    for (const frame of frames) bed.put(frame);
    bed.pump.run(64);
    bed.pump.countSent(1, 3);
    const bytes = frames[1]!.length + frames[2]!.length;
    expect(bed.counters()).toMatchObject({ transmitted: 2, transmitted_bytes: bytes });
  });
});

it('counters that only the caller knows are added to', () => {
  const bed = new PumpBed();
  bed.pump.add(WORKER_COUNTERS.ring_full, 3);
  bed.pump.add(WORKER_COUNTERS.ring_full, 4);
  bed.pump.add(WORKER_COUNTERS.wakeups, 1);
  expect(bed.counters()).toEqual({ ring_full: 7, wakeups: 1 });
});

describe('a thread that died in a batch', () => {
  /** A bed whose program dies at its third frame of five. */
  function deadBed(): PumpBed {
    let runs = 0;
    const bed = new PumpBed(() => {
      if (++runs === 3) throw new Error('killed');
      return XDP_TX;
    });
    for (let i = 0; i < 5; i++) bed.put(numbered(i));
    expect(() => bed.pump.run(64)).toThrow('killed');
    return bed;
  }

  it('loses the frames that it had in hand, which are counted', () => {
    const bed = deadBed();
    const next = bed.instantiate();
    next.recover();
    expect(bed.counters()).toEqual({ lost_at_restart: 3 });
    expect([0, 1, 2, 3, 4].map((i) => bed.ring.statusOf(i))).toEqual([0, 0, 0, 1, 1]);
  });

  it('leaves the others to the next one', () => {
    const bed = deadBed();
    const next = bed.instantiate(() => XDP_TX);
    next.recover();
    expect(next.run(64)).toBe(2);
    expect([bed.sent(0).at(-1), bed.sent(1).at(-1)]).toEqual([3, 4]);
    next.release();
    expect(next.isReady()).toBe(0);
  });

  it('that had none in hand loses none', () => {
    const bed = new PumpBed();
    bed.put(numbered(0));
    bed.pump.run(64);
    bed.pump.release();
    bed.instantiate().recover();
    expect(bed.counters()).not.toHaveProperty('lost_at_restart');
  });
});
