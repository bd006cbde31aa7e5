import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CapturedFrame, CaptureParser, PcapError, readCapture, writePcap, writePcapng } from './pcap.js';

const FRAMES = Array.from({ length: 20 }, (_, index) => ({
  timestampNs: 1_700_000_000_000_000_000n + BigInt(index) * 1_234_567n,
  bytes: Uint8Array.from({ length: 14 + index * 7 }, (__, at) => at ^ index),
}));
const COMMENTED = FRAMES.map((frame, index) => ({ ...frame, comment: `mark=${index}` }));
const FILES = { pcap: writePcap(FRAMES), pcapng: writePcapng(COMMENTED) } as const;

/** Frames of a file that comes in pieces; they are copied, as their piece may go. */
function readPieces(file: Uint8Array, pieceBytes: number): CapturedFrame[] {
  const parser = new CaptureParser();
  const frames: CapturedFrame[] = [];
  for (let at = 0; at < file.length; at += pieceBytes) {
    for (const frame of parser.push(file.slice(at, at + pieceBytes)))
      frames.push({ ...frame, bytes: Uint8Array.from(frame.bytes) });
  }
  parser.end();
  return frames;
}

describe.each(Object.entries(FILES))('CaptureParser: %s', (_, file) => {
  const whole = [...readCapture(file)].map((frame) => ({ ...frame, bytes: Uint8Array.from(frame.bytes) }));

  it('is what was written', () => {
    expect(whole.map(({ timestampNs, bytes }) => ({ timestampNs, bytes }))).toEqual(FRAMES);
  });

  it.each([1, 3, 17, 100, 4096])('gives the same in pieces of %i bytes', (bytes) => {
    expect(readPieces(file, bytes)).toEqual(whole);
  });

  it('cut anywhere: what came before, then where and what is missing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: file.length - 1 }),
        fc.integer({ min: 1, max: 500 }),
        (end, size) => {
          const parser = new CaptureParser();
          const got: bigint[] = [];
          let fault: unknown;
          try {
            for (let at = 0; at < end; at += size)
              for (const frame of parser.push(file.slice(at, Math.min(at + size, end))))
                got.push(frame.timestampNs);
            parser.end();
          } catch (error) {
            fault = error;
          }
          expect(got).toEqual(whole.slice(0, got.length).map(({ timestampNs }) => timestampNs));
          if (fault === undefined) return;
          expect(fault).toBeInstanceOf(PcapError);
          expect((fault as PcapError).code).toBe('PCAP_TRUNCATED');
          expect((fault as PcapError).fault.offset).toBeLessThanOrEqual(end);
        },
      ),
      { numRuns: 300 },
    );
  });
});

it('a record that no capture has is damage, and no reason to take memory', () => {
  const file = writePcap(FRAMES.slice(0, 1));
  new DataView(file.buffer).setUint32(24 + 8, 0x7fff_ffff, true);
  expect(() => [...readCapture(file)]).toThrow(expect.objectContaining({ code: 'PCAP_BLOCK' }));
});
