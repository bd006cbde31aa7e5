import { describe, expect, it } from 'vitest';
import { testObject } from '../../test/support/objects.js';
import { XDP_DROP, XDP_PASS, XDP_TX } from '../bpf/engine/context.js';
import { loadObject } from '../bpf/object/load.js';
import { REPLAY_MAX_FRAME_BYTES, Replay, ReplayError } from './replay.js';

const programs = loadObject(testObject('programs'));
const nested = loadObject(testObject('nested'));
const loops = loadObject(testObject('loops'));

const u32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
const view = (bytes: Uint8Array | undefined) => new DataView((bytes ?? new Uint8Array(0)).slice().buffer);

/** CRC-32 (ISO 3309), bit by bit: not the table of the program. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

const frame = (bytes: number) => Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + 3) & 0xff);

for (const engine of ['interpreter', 'jit'] as const) {
  describe(`Replay on ${engine}`, () => {
    it('runs a program with sub-programs; maps keep their content from frame to frame', () => {
      const replay = new Replay({ object: programs, program: 'first', engine });
      expect(replay.run(frame(60)).verdict).toBe(XDP_PASS);
      expect(replay.run(frame(65)).verdict).toBe(XDP_TX);
      expect(replay.run(frame(100)).verdict).toBe(XDP_TX);
      const counter = view(replay.maps.get('counters')?.lookup(u32(1)));
      expect([counter.getBigUint64(0, true), counter.getBigUint64(8, true)]).toEqual([2n, 165n]);
      expect(view(replay.maps.get('.data')?.lookup(u32(0))).getBigUint64(0, true)).toBe(10n);
      expect(view(replay.maps.get('.bss')?.lookup(u32(0))).getUint32(0, true)).toBe(3);
    });

    it('fills in the context: interface and queue', () => {
      const replay = new Replay({ object: programs, program: 'second', engine });
      expect(replay.run(frame(60)).verdict).toBe(XDP_DROP);
      const key = new Uint8Array(12);
      key.set(u32(1));
      key.set([6, 1], 8);
      expect(replay.maps.get('flows')?.update(key, u32(2))).toBe(0);
      // weights[2] of .rodata
      expect(replay.run(frame(60)).verdict).toBe(30);
    });

    it('bounds the entries of LRU maps', () => {
      const replay = new Replay({ object: programs, program: 'second', engine, lruEntries: 16 });
      expect(replay.maps.get('flows')?.spec.maxEntries).toBe(16);
      expect(replay.maps.get('unused')?.spec.maxEntries).toBe(8);
    });

    it('loops over packet bytes and reads a table of .rodata', () => {
      const replay = new Replay({ object: loops, program: 'digest', engine });
      expect(replay.run(frame(60)).verdict).toBe(XDP_PASS);
      expect(view(replay.maps.get('crc')?.lookup(u32(0))).getUint32(0, true)).toBe(
        crc32(frame(60).subarray(0, 32)),
      );
      expect(replay.run(frame(31)).verdict).toBe(XDP_DROP);
    });

    it('gives the frame as the program left it, and leaves the given one alone', () => {
      const replay = new Replay({ object: loops, program: 'prepend', engine });
      const given = frame(60);
      const { verdict, frame: out } = replay.run(given);
      expect(verdict).toBe(XDP_TX);
      expect([...out]).toEqual([...Array(20).keys(), ...frame(60)]);
      expect(given).toEqual(frame(60));
      expect(replay.run(given).frame).toEqual(out);
    });

    it('reaches inner maps through the slots that the object fills', () => {
      const replay = new Replay({ object: nested, program: 'nested', engine });
      // Queue 0: its slot is empty.
      expect(replay.run(frame(60)).verdict).toBe(XDP_DROP);
      const one = replay.maps.get('one');
      if (one === undefined) throw new Error('no map one');
      expect(replay.maps.get('outer')?.updateInner(u32(0), one)).toBe(0);
      expect(replay.run(frame(60)).verdict).toBe(XDP_TX);
      expect(view(one.lookup(u32(0))).getBigUint64(0, true)).toBe(1n);
    });

    it('takes the longest frame and refuses a longer one', () => {
      const replay = new Replay({ object: programs, program: 'first', engine });
      expect(replay.run(frame(REPLAY_MAX_FRAME_BYTES)).frame).toEqual(frame(REPLAY_MAX_FRAME_BYTES));
      expect(() => replay.run(frame(REPLAY_MAX_FRAME_BYTES + 1))).toThrow(
        expect.objectContaining({ code: 'REPLAY_FRAME' }),
      );
    });
  });
}

it('names the programs that there are', () => {
  const run = () => new Replay({ object: programs, program: 'nowhere', engine: 'jit' });
  expect(run).toThrow(ReplayError);
  expect(run).toThrow(/first, second, third, shaper, other/);
});
