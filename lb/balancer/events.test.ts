import { describe, expect, it } from 'vitest';
import { tcpFrame } from '../../test/support/packets.js';
import { RingBufferReader } from '../bpf/maps/ring-buffer.js';
import { Replay } from '../engine/replay.js';
import { parseIp } from '../net/address.js';
import { decodeEvent, EventReader, EventsError } from './events.js';
import { BALANCER_PROGRAM, balancerObject, sizedObject, withOptions } from './object.js';
import { REASONS } from './reasons.js';
import {
  COUNTERS_START,
  EVENT_KINDS,
  EVENT_PACKET_BYTES,
  EVENT_RECORD,
  EVENTS_MAP,
  encode,
  RING_SIZE,
} from './schema.js';
import { BalancerTables } from './tables.js';

const head = (fields: object = {}): Uint8Array =>
  encode(EVENT_RECORD, {
    event: EVENT_KINDS.drop,
    packet_bytes: 1500,
    data_bytes: 4,
    vip_num: 3,
    reason: REASONS.fragment.code,
    ...fields,
  });
/** A record as the program reserves it: room for more bytes than the packet has. */
const record = (fields?: object): Uint8Array => Uint8Array.of(...head(fields), 1, 2, 3, 4, 0xee, 0xee);

function faultOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (error instanceof EventsError) return error.fault;
    throw error;
  }
  return undefined;
}

describe('a record of the ring buffer', () => {
  it('has its kind, reason, VIP and the first bytes of the packet, and not what is behind', () => {
    expect(decodeEvent(record())).toEqual({
      kind: 'drop',
      reason: 'fragment',
      vipNumber: 3,
      packetBytes: 1500,
      data: Uint8Array.of(1, 2, 3, 4),
    });
  });

  it('may be about no VIP', () => {
    expect(decodeEvent(record({ vip_num: COUNTERS_START }))).not.toHaveProperty('vipNumber');
  });

  it.each(Object.entries(EVENT_KINDS))('%s has number %i', (kind, event) => {
    expect(decodeEvent(record({ event })).kind).toBe(kind);
  });

  const wrong: readonly (readonly [string, Uint8Array, object])[] = [
    ['no head', head().subarray(0, 15), { code: 'EVENTS_TRUNCATED', bytes: 15, needBytes: 16 }],
    [
      'fewer bytes than it says',
      record({ data_bytes: 7 }),
      { code: 'EVENTS_TRUNCATED', bytes: 22, needBytes: 23 },
    ],
    ['an unknown event', record({ event: 3 }), { code: 'EVENTS_UNKNOWN', event: 3, reason: 9 }],
    ['an unknown reason', record({ reason: 7 }), { code: 'EVENTS_UNKNOWN', event: 16, reason: 7 }],
  ];
  it.each(wrong)('is refused with %s', (_rule, bytes, fault) => {
    expect(faultOf(() => decodeEvent(bytes))).toEqual(fault);
  });
});

describe('records of a ring', () => {
  const records = (...of: readonly Uint8Array[]) => ({
    consume(visit: (record: Uint8Array) => void, max = of.length) {
      const given = of.slice(0, max);
      for (const one of given) visit(one);
      return given.length;
    },
    wait: async () => true,
  });

  it('that no balancer wrote are counted, and those behind them are read', () => {
    const reader = new EventReader(
      records(record(), record({ event: 3 }), head(), record({ vip_num: 4 })),
      () => 2n,
    );
    expect(reader.read().map(({ vipNumber }) => vipNumber)).toEqual([3, 4]);
    expect(reader.counters).toEqual({ read: 2n, malformed: 2n, lost: 2n });
  });

  it('are read as many as are asked for', () => {
    expect(new EventReader(records(record(), record(), record())).read(2)).toHaveLength(2);
  });
});

describe('events of the program', () => {
  const replay = new Replay({
    object: sizedObject(withOptions(balancerObject(), { eventsEnabled: true, dropSampleRate: 1 }), {
      ch_rings: RING_SIZE,
    }),
    program: BALANCER_PROGRAM,
    engine: 'interpreter',
  });
  const tables = new BalancerTables(replay.maps, { host: replay.host });
  const reader = new EventReader(new RingBufferReader(replay.host, replay.maps.get(EVENTS_MAP)!), () => 7n);
  const ends = { src: '192.0.2.1', dst: '198.51.100.10', sport: 4000, dport: 80 };
  const frame = tcpFrame(ends, { data: new Uint8Array(200) });
  tables.putVip({ address: parseIp(ends.dst), port: 80, protocol: 'tcp' }, { flags: 0, number: 6 });

  it('come in their order, once, while they are on', () => {
    replay.run(frame, 1n);
    expect(reader.read()).toEqual([]);
    tables.setEvents(true);
    replay.run(frame, 2n);
    const packet = { vipNumber: 6, packetBytes: frame.length, data: frame.subarray(0, EVENT_PACKET_BYTES) };
    expect(reader.read()).toEqual([
      { ...packet, kind: 'tcp_nonsyn_lru_miss', reason: 'forwarded' },
      { ...packet, kind: 'drop', reason: 'empty_ring' },
    ]);
    expect(reader.read()).toEqual([]);
    expect(reader.counters).toEqual({ read: 2n, malformed: 0n, lost: 7n });
    tables.setEvents(false);
    replay.run(frame, 3n);
    expect(reader.read()).toEqual([]);
  });

  it('wake who waits', async () => {
    expect(await reader.wait(1)).toBe(false);
    tables.setEvents(true);
    replay.run(frame.subarray(0, 20), 4n);
    expect(reader.read()).toEqual([]);
    replay.run(frame.subarray(0, 10), 5n);
    expect(await reader.wait(1000)).toBe(true);
    expect(reader.read()).toEqual([
      { kind: 'drop', reason: 'short_frame', packetBytes: 10, data: frame.subarray(0, 10) },
    ]);
  });
});
