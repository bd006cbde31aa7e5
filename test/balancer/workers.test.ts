/** Several workers: each has its own connection table, its own counters and its own share of new connections. */
import { describe, expect, it } from 'vitest';
import { BALANCER_PROGRAM } from '../../lb/balancer/object.js';
import { COUNTERS_START, LB_STATS, U32 } from '../../lb/balancer/schema.js';
import { decode, encode } from '../../lb/balancer/structs.js';
import { BalancerTables } from '../../lb/balancer/tables.js';
import { Replay } from '../../lb/engine/replay.js';
import { formatIp, ipFromBytes } from '../../lb/net/address.js';
import { type BedOptions, CONNECTION_TABLE, testObject } from '../support/balancer.js';
import { countsMoved, mapOf, readCounts, tableEntries } from '../support/balancer-state.js';
import { TCP_FLAGS, tcpFrame } from '../support/packets.js';
import { flowTo, vipRow } from './cases/family.js';
import { numberVips, REALS, Scene } from './cases/setup.js';

const CLOCK_NS = 1_000_000_000_000n;
const VIPS = numberVips({ web: vipRow(4, 'tcp', 80) });
const flow = flowTo(4, VIPS.web);
const frame = tcpFrame(flow);

/** Three workers, of which the last has no connection table. */
function threeWorkers(engine: 'interpreter' | 'jit', options: BedOptions = {}) {
  const replay = new Replay({ object: testObject(options), program: BALANCER_PROGRAM, engine, workers: 3 });
  const { maps, host, cpus } = replay;
  const tables = [0, 1].map((cpu) => {
    const table = host.createMap(CONNECTION_TABLE);
    mapOf(maps, 'lru_mapping').updateInner(encode(U32, { value: cpu }), table);
    return table;
  });
  const scene = new Scene({
    engine,
    maps,
    host,
    tables: new BalancerTables(maps, { host }),
    cpus,
    connections: tables[0]!,
    now: () => CLOCK_NS,
    run: (packet) => replay.run(packet, CLOCK_NS),
    close: () => replay.close(),
  });
  scene.reset();
  scene.vips(VIPS);
  /** Backend of a frame on a worker. */
  const send = (packet: Uint8Array, worker: number, clockNs = CLOCK_NS): string =>
    formatIp(ipFromBytes(replay.run(packet, clockNs, { worker }).frame.slice(30, 34)));
  return { scene, maps, tables, send };
}

describe.each(['interpreter', 'jit'] as const)('workers: %s', (engine) => {
  it('a flow is known to the worker that had it, and to no other', () => {
    const { scene, tables, send } = threeWorkers(engine);
    expect(send(frame, 0)).toBe(REALS.four.address);
    scene.ring(VIPS.web, 'otherFour');
    expect(send(frame, 1)).toBe(REALS.otherFour.address);
    scene.ring(VIPS.web, 'four');
    expect(send(frame, 0)).toBe(REALS.four.address);
    expect(send(frame, 1)).toBe(REALS.otherFour.address);
    expect(tables.map((table) => tableEntries(table).map(({ pos }) => pos))).toEqual([
      [REALS.four.index],
      [REALS.otherFour.index],
    ]);
    scene.bed.close();
  });

  it('one without a table has the shared one, and says so', () => {
    const { scene, maps, tables, send } = threeWorkers(engine);
    const before = readCounts(maps);
    expect(send(frame, 2)).toBe(REALS.four.address);
    scene.ring(VIPS.web, 'otherFour');
    expect(send(frame, 2)).toBe(REALS.four.address);
    expect(countsMoved(before, readCounts(maps))['fallback_lru.v1']).toBe(2n);
    expect(tables.flatMap((table) => tableEntries(table))).toEqual([]);
    expect(tableEntries(mapOf(maps, 'fallback_cache'))).toHaveLength(1);
    scene.bed.close();
  });

  it('each counts for itself', () => {
    const { scene, maps, send } = threeWorkers(engine);
    for (const [worker, packets] of [3, 1, 2].entries()) {
      for (let i = 0; i < packets; i++) send(frame, worker);
    }
    const copies = mapOf(maps, 'stats').lookup(encode(U32, { value: VIPS.web.number }))!;
    const counted = [0, 1, 2].map((cpu) => decode(LB_STATS, copies, cpu * LB_STATS.sizeBytes).v1);
    expect(counted).toEqual([3n, 1n, 2n]);
    scene.bed.close();
  });

  it('each notes its own share of new connections in a second', () => {
    const { scene, maps, tables, send } = threeWorkers(engine, { newConnectionsPerSecond: 4 });
    const syn = (sport: number): Uint8Array => tcpFrame({ ...flow, sport }, { flags: TCP_FLAGS.syn });
    for (let i = 0; i < 10; i++) send(syn(1000 + i), 0);
    for (let i = 0; i < 3; i++) send(syn(2000 + i), 1);
    expect(tables.map((table) => tableEntries(table).length)).toEqual([4, 3]);
    // The second is over for the one when more than a second has gone by since its first.
    for (let i = 0; i < 10; i++) send(syn(3000 + i), 0, CLOCK_NS + 1_000_000_000n);
    expect(tableEntries(tables[0]!)).toHaveLength(4);
    for (let i = 0; i < 10; i++) send(syn(4000 + i), 0, CLOCK_NS + 1_000_000_001n);
    expect(tableEntries(tables[0]!)).toHaveLength(8);
    const rate = mapOf(maps, 'stats').lookup(encode(U32, { value: COUNTERS_START + 2 }))!;
    expect(decode(LB_STATS, rate)).toEqual({ v1: 10n, v2: CLOCK_NS + 1_000_000_001n });
    scene.bed.close();
  });
});
