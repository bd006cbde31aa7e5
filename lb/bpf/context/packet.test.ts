import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { PACKET, runHere, runInKernel, type Scenario } from '../../../test/support/control-bed.js';
import type { HelperUser } from '../helpers/prototypes.js';
import { Arena } from '../memory/arena.js';
import { SKB_DATA, SKB_DATA_END, XDP_MD_DATA, XDP_MD_DATA_META } from '../memory/layout.js';
import { CONTEXTS } from './fields.js';
import { HEADROOM_BYTES, PacketContext, PacketError, TAIL_LIMIT_BYTES } from './packet.js';

const arena = Arena.create({ workers: 1, mapsBytes: 0, ringsBytes: 65536 });
const contextOf = (type: HelperUser, roomBytes = 8192, headroomBytes?: number) =>
  new PacketContext(arena, {
    cpu: 0,
    type,
    room: { offset: arena.rings.offset, bytes: roomBytes },
    ...(headroomBytes === undefined ? {} : { headroomBytes }),
  });

describe('place', () => {
  for (const type of ['xdp', 'sched_cls'] as const) {
    it(`${type}: the packet lies behind its headroom, and comes back`, () => {
      const context = contextOf(type);
      context.place(PACKET);
      expect(context.address).toBe(arena.block(0) + CONTEXTS[type].blockOffset);
      const [data, end] = type === 'xdp' ? [XDP_MD_DATA, XDP_MD_DATA + 4] : [SKB_DATA, SKB_DATA_END];
      const word = (at: number) => arena.u32[(context.address + at) / 4]!;
      expect(word(data)).toBe(arena.rings.offset + HEADROOM_BYTES);
      expect(word(end) - word(data)).toBe(PACKET.length);
      expect(context.packet()).toEqual(PACKET);
      expect(context.meta()).toEqual(new Uint8Array());
    });

    it(`${type}: a packet leaves nothing to the next`, () => {
      const context = contextOf(type);
      context.place(new Uint8Array(1000).fill(0xff), { meta: new Uint8Array(8).fill(0xff) });
      context.place(PACKET);
      const room = arena.u8.slice(arena.rings.offset, arena.rings.offset + 4096);
      room.fill(0, HEADROOM_BYTES, HEADROOM_BYTES + PACKET.length);
      expect(room.every((byte) => byte === 0)).toBe(true);
    });

    it(`${type}: metadata lies in front of the packet`, () => {
      const context = contextOf(type);
      const meta = Uint8Array.of(1, 2, 3, 4);
      context.place(PACKET, { meta });
      expect(context.meta()).toEqual(meta);
      expect(context.packet()).toEqual(PACKET);
    });
  }

  it('fields that are given are in the context, arrays by element', () => {
    const context = contextOf('sched_cls');
    context.place(PACKET, { fields: { mark: 7, cb: [1, 2, 3], tstamp: 1n << 40n, tstamp_type: 1 } });
    expect(context.fields()).toMatchObject({
      mark: 7n,
      cb: [1n, 2n, 3n, 0n, 0n],
      tstamp: 1n << 40n,
      tstamp_type: 1n,
      len: BigInt(PACKET.length),
      priority: 0n,
    });
    expect(context.field('cb')).toBe(1n);
    const xdp = contextOf('xdp');
    xdp.place(PACKET, { fields: { ingress_ifindex: 5, egress_ifindex: 6 } });
    expect(xdp.fields()).toEqual({ ingress_ifindex: 5n, rx_queue_index: 0n, egress_ifindex: 6n });
  });

  it('a packet without metadata has data_meta at its start', () => {
    const context = contextOf('xdp');
    context.place(PACKET);
    expect(arena.u32[(context.address + XDP_MD_DATA_META) / 4]).toBe(arena.rings.offset + HEADROOM_BYTES);
  });
});

describe('refuses', () => {
  const rows: readonly (readonly [string, () => void, object])[] = [
    [
      'a frame without an Ethernet header',
      () => contextOf('xdp').place(PACKET.slice(0, 13)),
      { code: 'PACKET_SHORT', packetBytes: 13, minBytes: 14 },
    ],
    [
      'a packet that does not fit its room',
      () => contextOf('xdp', 319).place(PACKET),
      { code: 'PACKET_ROOM', packetBytes: 64, needBytes: 320, roomBytes: 319 },
    ],
    [
      'metadata of odd length',
      () => contextOf('xdp').place(PACKET, { meta: new Uint8Array(5) }),
      { code: 'PACKET_META', metaBytes: 5 },
    ],
    [
      'metadata longer than the headroom',
      () => contextOf('xdp', 4096, 8).place(PACKET, { meta: new Uint8Array(12) }),
      { code: 'PACKET_META', metaBytes: 12 },
    ],
    [
      'a field of another type',
      () => contextOf('xdp').place(PACKET, { fields: { mark: 1 } }),
      { code: 'PACKET_FIELD', field: 'mark', type: 'xdp' },
    ],
    [
      'a field that is no number',
      () => contextOf('sched_cls').place(PACKET, { fields: { data: 1 } }),
      { code: 'PACKET_FIELD', field: 'data', type: 'sched_cls' },
    ],
  ];
  for (const [name, run, fault] of rows) {
    it(name, () => {
      expect(run).toThrow(PacketError);
      expect(run).toThrow(expect.objectContaining({ fault }));
    });
  }
});

/** Frames of which the kernel says different things. */
const FRAMES: Readonly<Record<string, Uint8Array>> = {
  'to another host, IPv4': PACKET,
  'to the host': PACKET.map((byte, i) => (i < 6 ? 0 : byte)),
  broadcast: PACKET.map((byte, i) => (i < 6 ? 0xff : byte)),
  multicast: PACKET.map((byte, i) => (i === 0 ? 0x33 : byte)),
  'of an unknown protocol': PACKET.map((byte, i) => (i === 12 ? 0x88 : i === 13 ? 0xb5 : byte)),
  'long, IPv6': Uint8Array.from({ length: 1500 }, (_, i) => [0x86, 0xdd][i - 12] ?? i & 0xfe),
};

describe(`fields are those of the kernel's test run${missingRoot === undefined ? '' : ` (${missingRoot})`}`, () => {
  for (const type of ['xdp', 'sched_cls'] as const) {
    const fields = CONTEXTS[type].fields.filter(
      ({ value, attachType }) => value === 'scalar' && attachType === undefined,
    );
    const texts = fields.flatMap(({ name, offset, bytes, count = 1 }) =>
      Array.from({ length: count }, (_, i) => {
        const load = `r0 = *(u${bytes * 8} *)(r1 + ${offset + i * bytes})\n`;
        const halves = [`${load}exit`, ...(bytes === 8 ? [`${load}r0 >>= 32\nexit`] : [])];
        return halves.map((text, half) => [`${name}[${i}] half ${half}`, text] as const);
      }).flat(),
    );
    const distances = [
      ['data_end − data', 'data_end', 'data'],
      ['data − data_meta', 'data', 'data_meta'],
    ].map(([name, a, b]) => {
      const [at, from] = [a, b].map(
        (each) => CONTEXTS[type].fields.find((field) => field.name === each)!.offset,
      );
      return [name!, `r2 = *(u32 *)(r1 + ${from})\nr0 = *(u32 *)(r1 + ${at})\nr0 -= r2\nexit`] as const;
    });
    for (const [frame, packet] of Object.entries(FRAMES)) {
      it.skipIf(missingRoot !== undefined)(`${type}, a frame ${frame}`, () => {
        const results = (run: (scenario: Scenario) => { r0: number }) =>
          Object.fromEntries(
            [...texts, ...distances].map(([name, a]) => [name, run({ type, packet, programs: { a } }).r0]),
          );
        expect(results((scenario) => runHere('interpreter', scenario))).toEqual(results(runInKernel));
      });
    }
  }

  const adjust = (helper: number, by: number) => `r2 = ${by}\ncall ${helper}\nexit`;
  const room = TAIL_LIMIT_BYTES - PACKET.length;
  const rows: readonly (readonly [string, number, number])[] = [
    ['the headroom', 44, 40 - HEADROOM_BYTES],
    ['more than the headroom', 44, 39 - HEADROOM_BYTES],
    ['the tailroom', 65, room],
    ['more than the tailroom', 65, room + 1],
  ];
  for (const [name, helper, by] of rows) {
    it.skipIf(missingRoot !== undefined)(`xdp: ${name} can be used as there`, () => {
      const scenario = { programs: { a: adjust(helper, by) } };
      expect(runHere('interpreter', scenario)).toEqual(runInKernel(scenario));
    });
  }
});
