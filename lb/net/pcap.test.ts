import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { noting } from '../../test/support/capabilities.js';
import { type CapturedFrame, LINKTYPE_ETHERNET, PcapError, readCapture, writePcapng } from './pcap.js';

const missingTcpdump = spawnSync('tcpdump', ['--version']).status === 0 ? undefined : 'needs tcpdump';
const directory = mkdtempSync(join(tmpdir(), 'waggle-pcap-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Ethernet, IPv4, UDP 192.0.2.1:1000 → 192.0.2.2:2000 with a payload. */
function udp(payload: string): Uint8Array {
  const data = new TextEncoder().encode(payload);
  const frame = new Uint8Array(42 + data.length);
  const view = new DataView(frame.buffer);
  frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45], 0);
  view.setUint16(16, 28 + data.length);
  frame.set([0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2], 18);
  view.setUint16(34, 1000);
  view.setUint16(36, 2000);
  view.setUint16(38, 8 + data.length);
  frame.set(data, 42);
  return frame;
}

interface Parts {
  readonly littleEndian: boolean;
}
/** u32 words and raw bytes, laid end to end in one byte order. */
function bytes(
  { littleEndian }: Parts,
  ...parts: readonly (number | Uint8Array | { readonly u16: number })[]
): Uint8Array {
  const out: number[] = [];
  for (const part of parts) {
    const word = new DataView(new ArrayBuffer(4));
    if (typeof part === 'number') {
      word.setUint32(0, part, littleEndian);
      out.push(...new Uint8Array(word.buffer));
    } else if (part instanceof Uint8Array) {
      out.push(...part);
    } else {
      word.setUint16(0, part.u16, littleEndian);
      out.push(...new Uint8Array(word.buffer, 0, 2));
    }
  }
  return Uint8Array.from(out);
}

const two = Uint8Array.of(1, 2);
const orders: readonly { name: string; littleEndian: boolean }[] = [
  { name: 'little endian', littleEndian: true },
  { name: 'big endian', littleEndian: false },
];

function pcap(order: Parts, magic: number, fraction: number): Uint8Array {
  const header = [magic, { u16: 2 }, { u16: 4 }, 0, 0, 65535, 0x1000_0001];
  return bytes(order, ...header, 5, fraction, 2, 60, two, 6, 0, 0, 0);
}

function ng(order: Parts, type: number, body: Uint8Array): Uint8Array {
  return bytes(order, type, body.length + 12, body, body.length + 12);
}
const sectionHeader = (order: Parts) =>
  ng(order, 0x0a0d0d0a, bytes(order, 0x1a2b3c4d, { u16: 1 }, { u16: 0 }, 0xffff_ffff, 0xffff_ffff));
const face = (order: Parts, snap: number, ...options: readonly (number | Uint8Array | { u16: number })[]) =>
  ng(order, 1, bytes(order, { u16: 1 }, { u16: 0 }, snap, ...options));
const join2 = (...parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

describe('readCapture: pcap', () => {
  for (const order of orders) {
    const rows = [
      { name: 'microseconds', magic: 0xa1b2c3d4, fraction: 7, ns: 5_000_007_000n },
      { name: 'nanoseconds', magic: 0xa1b23c4d, fraction: 7, ns: 5_000_000_007n },
    ];
    for (const { name, magic, fraction, ns } of rows) {
      it(`${name}, ${order.name}; the upper half of the link type is not the type`, () => {
        expect([...readCapture(pcap(order, magic, fraction))]).toEqual([
          { timestampNs: ns, bytes: two, wireBytes: 60, linkType: LINKTYPE_ETHERNET },
          {
            timestampNs: 6_000_000_000n,
            bytes: new Uint8Array(0),
            wireBytes: 0,
            linkType: LINKTYPE_ETHERNET,
          },
        ]);
      });
    }
  }
});

describe('readCapture: pcapng', () => {
  const packet = (order: Parts, interfaceId: number, low: number) =>
    ng(order, 6, bytes(order, interfaceId, 0, low, 2, 60, two, { u16: 0 }));
  for (const order of orders) {
    const resolution = (value: number) =>
      face(order, 0, { u16: 9 }, { u16: 1 }, Uint8Array.of(value, 0, 0, 0));
    const rows: readonly { name: string; face: Uint8Array; ns: bigint }[] = [
      { name: 'default resolution: microseconds', face: face(order, 0), ns: 5_000n },
      { name: 'if_tsresol 9: nanoseconds', face: resolution(9), ns: 5n },
      { name: 'if_tsresol of a power of two', face: resolution(0x81), ns: 2_500_000_000n },
    ];
    for (const row of rows) {
      it(`${row.name}, ${order.name}`, () => {
        const [frame] = readCapture(join2(sectionHeader(order), row.face, packet(order, 0, 5)));
        expect(frame).toEqual({ timestampNs: row.ns, bytes: two, wireBytes: 60, linkType: 1 });
      });
    }

    it(`if_tsoffset is seconds, ${order.name}`, () => {
      const offset = bytes(order, ...(order.littleEndian ? [10, 0] : [0, 10]));
      const shifted = face(order, 0, { u16: 14 }, { u16: 8 }, offset);
      const [frame] = readCapture(join2(sectionHeader(order), shifted, packet(order, 0, 5)));
      expect(frame?.timestampNs).toBe(10_000_005_000n);
    });

    it(`simple packets are cut at the snap length; other blocks are passed over, ${order.name}`, () => {
      const simple = ng(order, 3, bytes(order, 60, two, { u16: 0 }));
      const custom = ng(order, 0xbad, bytes(order, 1));
      const frames = [...readCapture(join2(sectionHeader(order), face(order, 2), custom, simple))];
      expect(frames).toEqual([{ timestampNs: 0n, bytes: two, wireBytes: 60, linkType: 1 }]);
    });
  }

  it('a second section begins its interfaces anew and may turn the byte order', () => {
    const [little, big] = [{ littleEndian: true }, { littleEndian: false }];
    const file = join2(
      sectionHeader(little),
      face(little, 0),
      packet(little, 0, 1),
      sectionHeader(big),
      face(big, 0),
      packet(big, 0, 2),
    );
    expect([...readCapture(file)].map(({ timestampNs }) => timestampNs)).toEqual([1000n, 2000n]);
    const without = join2(sectionHeader(little), face(little, 0), sectionHeader(big), packet(big, 0, 2));
    expect(() => [...readCapture(without)]).toThrow(PcapError);
  });
});

describe('readCapture refuses', () => {
  const order = { littleEndian: true };
  const start = join2(sectionHeader(order), face(order, 0));
  const damaged = (offset: number, value: number) => {
    const copy = sectionHeader(order);
    copy[offset] = value;
    return copy;
  };
  const rows: readonly { name: string; file: Uint8Array; code: string }[] = [
    { name: 'an empty file', file: new Uint8Array(0), code: 'PCAP_TRUNCATED' },
    { name: 'another file', file: new Uint8Array(64), code: 'PCAP_MAGIC' },
    { name: 'an unknown byte order', file: damaged(8, 0), code: 'PCAP_MAGIC' },
    { name: 'a block of 0 bytes', file: damaged(4, 0), code: 'PCAP_BLOCK' },
    { name: 'two lengths that differ', file: damaged(24, 0), code: 'PCAP_BLOCK' },
    { name: 'pcapng 2', file: damaged(12, 2), code: 'PCAP_VERSION' },
    { name: 'pcap 3', file: bytes(order, 0xa1b2c3d4, 3, 0, 0, 0, 1), code: 'PCAP_VERSION' },
    {
      name: 'a pcap record past the end',
      file: pcap(order, 0xa1b2c3d4, 0).subarray(0, 41),
      code: 'PCAP_TRUNCATED',
    },
    {
      name: 'a pcapng block past the end',
      file: start.subarray(0, start.length - 2),
      code: 'PCAP_TRUNCATED',
    },
    {
      name: 'a frame past its block',
      file: join2(start, ng(order, 6, bytes(order, 0, 0, 0, 5, 5))),
      code: 'PCAP_BLOCK',
    },
    {
      name: 'an interface that is not there',
      file: join2(start, ng(order, 6, bytes(order, 1, 0, 0, 0, 0))),
      code: 'PCAP_INTERFACE',
    },
    {
      name: 'an obsolete packet block',
      file: join2(start, ng(order, 2, bytes(order, 0))),
      code: 'PCAP_BLOCK',
    },
    {
      name: 'an option past its block',
      file: join2(start, face(order, 0, { u16: 9 }, { u16: 99 })),
      code: 'PCAP_BLOCK',
    },
  ];
  for (const { name, file, code } of rows) {
    it(name, () => {
      expect(() => [...readCapture(file)]).toThrow(expect.objectContaining({ code }));
    });
  }

  it('nothing but with a coded error, and ends (random damage)', () => {
    const good = writePcapng([
      { timestampNs: 1n, bytes: udp('a'), comment: 'first' },
      { timestampNs: 2n, bytes: udp('b') },
    ]);
    const edits = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(edits, fc.nat(good.length), (list, cut) => {
        const file = good.slice(0, cut);
        for (const [at, value] of list) file[at] = value;
        try {
          expect([...readCapture(file)].length).toBeLessThanOrEqual(good.length / 16);
        } catch (error) {
          if (!(error instanceof PcapError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('writePcapng', () => {
  const frames = [
    { timestampNs: 1_700_000_000_123_456_789n, bytes: udp('one'), comment: 'XDP_TX → 10.0.0.1' },
    { timestampNs: 1_700_000_000_123_456_790n, bytes: udp('four') },
  ];

  it('is read back as it was written', () => {
    const expected = frames.map(
      (frame): CapturedFrame => ({ ...frame, wireBytes: frame.bytes.length, linkType: 1 }),
    );
    expect([...readCapture(writePcapng(frames))]).toEqual(expected);
  });

  it.skipIf(missingTcpdump)(`is read by tcpdump with its nanoseconds${noting(missingTcpdump)}`, () => {
    const file = join(directory, 'written.pcapng');
    writeFileSync(file, writePcapng(frames));
    const text = execFileSync('tcpdump', ['-nn', '-tt', '--nano', '-r', file], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    expect(text.trim().split('\n')).toEqual([
      '1700000000.123456789 IP 192.0.2.1.1000 > 192.0.2.2.2000: UDP, length 3',
      '1700000000.123456790 IP 192.0.2.1.1000 > 192.0.2.2.2000: UDP, length 4',
    ]);
  });

  it.skipIf(missingTcpdump)(`and what tcpdump writes from it is read${noting(missingTcpdump)}`, () => {
    const from = join(directory, 'from.pcapng');
    const to = join(directory, 'to.pcap');
    writeFileSync(from, writePcapng(frames));
    execFileSync('tcpdump', ['--nano', '-r', from, '-w', to], { stdio: 'pipe' });
    const read = [...readCapture(readFileSync(to))].map(({ timestampNs, bytes: data }) => [
      timestampNs,
      new Uint8Array(data),
    ]);
    expect(read).toEqual(frames.map(({ timestampNs, bytes: data }) => [timestampNs, data]));
  });
});
