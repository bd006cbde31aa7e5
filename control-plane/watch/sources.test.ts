import { describe, expect, it } from 'vitest';
import { type EventSource, type PacketEvent, parseIp, parseMac, type WorkerStatus } from '../../lb/index.js';
import { backendAt } from '../../test/support/backends.js';
import { MemoryDatapath } from '../../test/support/memory-datapath.js';
import { udpFrame } from '../../test/support/packets.js';
import type { NextHopStatus, NextHopTurn } from '../neighbours.js';
import { EMPTY_STATE } from '../state/model.js';
import { Store } from '../state/store.js';
import { noteConfig } from './config-events.js';
import { EventLog } from './event-log.js';
import { noteNextHops } from './next-hop-events.js';
import { PacketEvents, packetEvent } from './packet-events.js';
import { WorkerEvents } from './worker-events.js';

const newLog = () => new EventLog({ nowMs: () => 0 });
const told = (events: EventLog) => events.after(0).events;

describe('a revision', () => {
  const store = () => new Store({ nowMs: () => 0, epoch: 'e' });
  const pools = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ kind: 'create-pool', id: `p${i}`, displayName: '' }) as const);
  async function commit(to: Store, count: number): Promise<void> {
    const draft = to.draftAll(pools(count), 'ann');
    await to.record(draft);
    to.commit(draft);
  }

  it('of one resource is an event of it', async () => {
    const [from, events] = [store(), newLog()];
    noteConfig(from, events);
    await commit(from, 1);
    expect(told(events)).toMatchObject([
      {
        type: 'config.changed',
        resource: 'pools/p0',
        message: 'revision 1 by ann, create-pool: pools/p0',
        actor: 'ann',
        attributes: { revision: '1', action: 'create-pool', created: '1' },
      },
    ]);
  });

  it('of many is one event, which is found by each of them', async () => {
    const [from, events] = [store(), newLog()];
    noteConfig(from, events);
    await commit(from, 12);
    const [event] = told(events);
    expect(event).toMatchObject({ resource: '', attributes: { created: '12' } });
    expect(event?.message).toMatch(/pools\/p9 and 2 more$/);
    expect(events.after(0, { resources: ['pools/p11'] }).events).toHaveLength(1);
  });

  it('is not noted when that has ended', async () => {
    const [from, events] = [store(), newLog()];
    noteConfig(from, events)();
    await commit(from, 1);
    expect(events.last).toBe(0);
  });
});

describe('workers', () => {
  const worker = (state: WorkerStatus['state'], restarts: number, lastFault?: string): WorkerStatus => ({
    index: 0,
    state,
    restarts,
    lastFault,
    counters: {},
  });
  const rows: readonly [rule: string, now: WorkerStatus, types: readonly string[]][] = [
    ['that go on are no event', worker('running', 1), []],
    ['one that was replaced', worker('running', 2, 'trap'), ['worker.restarted']],
    ['one that is being replaced', worker('restarting', 1), ['worker.state_changed']],
    [
      'one that died and is being replaced',
      worker('starting', 3),
      ['worker.restarted', 'worker.state_changed'],
    ],
  ];
  it.each(rows)('%s', (_, now, types) => {
    let workers = [worker('running', 1)];
    const events = newLog();
    const watched = new WorkerEvents({ workers: () => workers, events });
    workers = [now];
    watched.look();
    watched.look();
    expect(told(events).map(({ type }) => type)).toEqual(types);
  });
});

describe('a packet that the program reports', () => {
  const ends = { src: '2001:db8::7', dst: '2001:db8::1', sport: 4000, dport: 443 };
  const event: PacketEvent = { kind: 'drop', reason: 'empty_ring', packetBytes: 74, data: udpFrame(ends) };

  it('is told with its ends and what became of it', () => {
    expect(packetEvent(event, 'vips/web')).toEqual({
      type: 'packet.dropped',
      resource: 'vips/web',
      message:
        'udp [2001:db8::7]:4000 -> [2001:db8::1]:443, 74 bytes, was dropped: it is for a VIP whose pool has no backend that takes connections',
      attributes: {
        reason: 'empty_ring',
        bytes: '74',
        protocol: 'udp',
        source_address: '2001:db8::7',
        source_port: '4000',
        destination_address: '2001:db8::1',
        destination_port: '443',
      },
    });
  });

  it('without ends is told all the same', () => {
    const { message, attributes } = packetEvent(
      { ...event, kind: 'packet_too_big', data: new Uint8Array(3) },
      '',
    );
    expect(message).toBe('a packet, 74 bytes, does not fit the path with its outer header');
    expect(attributes).toEqual({ reason: 'empty_ring', bytes: '74' });
  });

  const store = new Store({ nowMs: () => 0, epoch: 'e' });
  function read(packets: readonly PacketEvent[], seconds: readonly number[]): EventLog {
    const events = newLog();
    let now = 0;
    const waiting = [...packets];
    const source: EventSource = {
      read: (max = 1) => waiting.splice(0, max),
      wait: async () => waiting.length > 0,
      counters: { read: 0n, malformed: 0n, lost: 0n },
    };
    const reader = new PacketEvents({
      source,
      tables: { setEvents: () => undefined },
      reconciler: { store, vipNumber: () => undefined },
      events,
      log: () => undefined,
      nowMs: () => now,
    });
    for (const second of seconds) {
      now = second * 1000;
      reader.read();
    }
    return events;
  }

  it('in a flood is noted a hundred times a second, and the others are counted', () => {
    const events = read(Array(300).fill(event), [1, 2]);
    expect(events.last).toBe(100 + 44);
    expect(told(events)[100]?.attributes).toMatchObject({ left_out: '156' });
    expect(told(events)[99]?.attributes).not.toHaveProperty('left_out');
  });

  it('of a VIP that is gone is an event of none', () => {
    expect(told(read([{ ...event, vipNumber: 3 }], [1]))[0]?.resource).toBe('');
  });

  it('is reported while somebody reads, and not a moment longer', async () => {
    const datapath = new MemoryDatapath();
    const switches: boolean[] = [];
    const reader = new PacketEvents({
      source: datapath.events(),
      tables: { setEvents: (on) => switches.push(on) },
      reconciler: { store, vipNumber: () => undefined },
      events: newLog(),
      log: () => undefined,
    });
    reader.start();
    reader.start();
    await reader.stop();
    await reader.stop();
    expect(switches).toEqual([true, false]);
  });
});

describe('a next hop', () => {
  const withMac = backendAt(parseIp('10.0.0.4'), {
    name: 'pools/b/backends/mac',
    mac: parseMac('02:00:00:00:00:04'),
  });
  const state = {
    ...EMPTY_STATE,
    backends: new Map(
      [
        ['pools/a/backends/x', '10.0.0.1'],
        ['pools/b/backends/x', '10.0.0.1'],
        ['pools/b/backends/y', '10.0.0.2'],
      ].map(([name = '', address = '']) => [name, backendAt(parseIp(address), { name })]),
    ).set('pools/b/backends/mac', withMac),
  };
  const lost: NextHopStatus = { state: 'unreachable', mac: undefined, reason: 'no route' };
  const used: NextHopStatus = { state: 'pending', mac: parseMac('02:00:00:00:00:0a'), reason: '' };
  it.each<[string, string, NextHopTurn, NextHopStatus, object[]]>([
    [
      'of one backend that is lost',
      '10.0.0.2',
      'lost',
      lost,
      [
        {
          resource: 'pools/b/backends/y',
          also: [],
          message: 'the next hop of pools/b/backends/y cannot be reached: no route; it takes no connections',
          attributes: { turn: 'lost', reason: 'no route' },
        },
      ],
    ],
    [
      'of several backends that no longer answers',
      '10.0.0.1',
      'lost',
      used,
      [
        {
          resource: '',
          also: ['pools/a/backends/x', 'pools/b/backends/x'],
          message:
            'the next hop of pools/a/backends/x and 1 more no longer answers; packets still go to 02:00:00:00:00:0a',
          attributes: { turn: 'lost', mac: '02:00:00:00:00:0a' },
        },
      ],
    ],
    [
      'that moved',
      '10.0.0.2',
      'moved',
      { ...used, state: 'resolved' },
      [{ message: 'the next hop of pools/b/backends/y has moved: 02:00:00:00:00:0a' }],
    ],
    ['of a backend that is gone', '10.0.0.3', 'lost', lost, []],
    ['of a backend with an Ethernet address of its own', '10.0.0.4', 'lost', lost, []],
  ])('%s', (_, key, turn, status, expected) => {
    const events = newLog();
    noteNextHops({ events, state: () => state })(key, turn, status);
    expect(told(events)).toMatchObject(expected);
    expect(told(events)).toHaveLength(expected.length);
  });
});
