import { describe, expect, it } from 'vitest';
import { MAC_OFFSET, PACKET_TYPE, TP_STATUS } from '../../test/support/packet-ring.js';
import { type Endpoints, ethernet, fromHex, mac, udpFrame } from '../../test/support/packets.js';
import { BASE, IFINDEX, PumpBed } from '../../test/support/pump-bed.js';
import { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX } from '../bpf/engine/context.js';
import {
  CPU_ADDRESSES,
  CPU_CLOCK_NS,
  CPU_IOVECS,
  CPU_MMSGHDRS,
  CPU_TIMESPEC,
  IOVEC_BYTES,
  MMSG_CAPACITY,
  MMSGHDR_BYTES,
  SOCKADDR_LL_BYTES,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
  XDP_MD_INGRESS_IFINDEX,
} from '../bpf/memory/layout.js';
import { WORKER_COUNTERS, type WorkerCounter } from './counters.js';

const ENDS4: Endpoints = { src: '203.0.113.77', dst: '198.51.100.10', sport: 31337, dport: 80 };
/** A frame whose last byte is a number, so that order shows. */
const numbered = (n: number) => udpFrame(ENDS4, { data: Uint8Array.of(0, n) });
const VERDICTS: readonly (readonly [name: string, verdict: number, counter: WorkerCounter])[] = [
  ['XDP_ABORTED', XDP_ABORTED, 'aborted'],
  ['XDP_DROP', XDP_DROP, 'dropped'],
  ['XDP_PASS', XDP_PASS, 'passed'],
  ['XDP_REDIRECT', XDP_REDIRECT, 'redirect_no_target'],
  ['5', 5, 'invalid_verdict'],
  ['0xffffffff', 0xffffffff, 'invalid_verdict'],
];

describe('a verdict', () => {
  it.each(VERDICTS)('%s sends nothing and is counted', (_, verdict, counter) => {
    const bed = new PumpBed(() => verdict);
    const frame = numbered(1);
    bed.put(frame);
    expect(bed.pump.run(64)).toBe(0);
    expect(bed.counters()).toEqual({
      received: 1,
      received_bytes: frame.length,
      batches: 1,
      program_runs: 1,
      [counter]: 1,
    });
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
    expect(bed.counters()).toEqual({
      received: 1,
      received_bytes: frame.length,
      batches: 1,
      program_runs: 1,
    });
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

  it('is counted with the time of its batch', () => {
    const bed = new PumpBed(() => XDP_PASS);
    const setClock = (seconds: bigint, ns: bigint) => {
      bed.view.setBigUint64(bed.block + CPU_TIMESPEC, seconds, true);
      bed.view.setBigUint64(bed.block + CPU_TIMESPEC + 8, ns, true);
    };
    for (let i = 0; i < 3; i++) bed.put(numbered(i));
    setClock(7n, 999_999_000n);
    bed.pump.run(64);
    setClock(8n, 500n);
    bed.pump.countTime();
    expect(bed.counters()).toMatchObject({ program_runs: 3, program_ns: 1500 });
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
    expect(bed.counters()).toEqual({
      received: 1,
      received_bytes: 9000,
      batches: 1,
      program_runs: 1,
      ...counted,
    });
  });
});

describe('a VLAN tag that the kernel took off', () => {
  const [dst, src] = [mac('02:aa:bb:cc:dd:ee'), mac('06:05:04:03:02:01')];
  const untagged = ethernet(
    dst,
    src,
    0x0800,
    Uint8Array.from({ length: 46 }, (_, i) => i),
  );
  const rest = untagged.subarray(12);
  const { vlanValid, vlanTpidValid } = TP_STATUS;

  it.each([
    ['802.1Q', { status: vlanValid | vlanTpidValid, vlanTci: 0x6123, vlanTpid: 0x8100 }, '81006123'],
    ['802.1ad', { status: vlanValid | vlanTpidValid, vlanTci: 0xefff, vlanTpid: 0x88a8 }, '88a8efff'],
    [
      'without its type, which then is 802.1Q',
      { status: vlanValid, vlanTci: 0x0001, vlanTpid: 0 },
      '81000001',
    ],
    [
      'priority only (TCI 0)',
      { status: vlanValid | vlanTpidValid, vlanTci: 0, vlanTpid: 0x8100 },
      '81000000',
    ],
  ])('goes back: %s', (_, options, tag) => {
    const bed = new PumpBed();
    bed.put(untagged, options);
    expect(bed.pump.run(64)).toBe(1);
    expect(bed.sent(0)).toEqual(Uint8Array.of(...dst, ...src, ...fromHex(tag), ...rest));
    expect(bed.counters()).toMatchObject({ vlan_restored: 1 });
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
      const address = BASE + BigInt(bed.block + CPU_ADDRESSES + i * SOCKADDR_LL_BYTES);
      expect([...words]).toEqual([address, 0n, vector, 1n, 0n, 0n, 0n, 0n]);
    }
  });

  it('counts what was sent of it', () => {
    const bed = new PumpBed();
    const frames = [1, 2, 3].map((n) => udpFrame(ENDS4, { data: new Uint8Array(n * 10) }));
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
