import { expect } from 'vitest';
import { describeTables, type TablesBed } from '../../test/support/tables-bed.js';
import { parseIp } from '../net/address.js';
import { type Flow, flowKeyBytes } from './connections.js';
import { encode, REAL_POS_LRU } from './schema.js';
import { FLOWS_START, type FlowPlace, type TrackedFlow } from './tracked-flows.js';

const SECOND_NS = 1_000_000_000n;
const NOW_NS = 1000n * SECOND_NS;

const flowTo = (sport: number, protocol: Flow['protocol'] = 'tcp', src = '198.51.100.7'): Flow => ({
  src: parseIp(src),
  dst: parseIp(src.includes(':') ? '2001:db8::1' : '192.0.2.1'),
  sport,
  dport: 80,
  protocol,
});

function note({ maps }: TablesBed, flow: Flow, pos: number, atime = 0n): void {
  maps.get('fallback_cache')?.update(flowKeyBytes(flow), encode(REAL_POS_LRU, { pos, atime }));
}

/** All flows, read in batches of about so many. */
function readAll({ tables }: TablesBed, count: number): TrackedFlow[] {
  const flows: TrackedFlow[] = [];
  for (let place: FlowPlace | undefined = FLOWS_START; place !== undefined; ) {
    const batch = tables.flowsFrom(place, count, NOW_NS);
    flows.push(...batch.flows);
    place = batch.next;
  }
  return flows;
}

describeTables('tracked flows', (test) => {
  test('every entry is read once, in batches of whatever size', (bed) => {
    bed.tables.attachConnectionTables(bed.host, 2, 64);
    for (let sport = 1; sport <= 300; sport++) note(bed, flowTo(sport), sport % 7);
    for (const count of [1, 50, 1000]) {
      const ports = readAll(bed, count).map(({ sport }) => sport);
      expect(ports.length).toBe(300);
      expect(new Set(ports).size).toBe(300);
    }
  });

  test('an entry has its ends, its backend and the time of its last UDP packet', (bed) => {
    note(bed, flowTo(4000, 'udp', '2001:db8::7'), 5, NOW_NS - SECOND_NS);
    const [flow] = readAll(bed, 10);
    expect(flow).toMatchObject({
      sport: 4000,
      dport: 80,
      protocol: 'udp',
      real: 5,
      lastPacketNs: NOW_NS - SECOND_NS,
      cpu: undefined,
    });
    expect(flow && [...flow.src]).toEqual([...parseIp('2001:db8::7').bytes]);
    expect(flow && [...flow.dst]).toEqual([...parseIp('2001:db8::1').bytes]);
  });

  test('an IPv4 address stands in the first bytes of sixteen', (bed) => {
    note(bed, flowTo(1), 5);
    expect([...(readAll(bed, 10)[0]?.src ?? [])]).toEqual([198, 51, 100, 7, ...new Uint8Array(12)]);
  });

  test('a UDP flow that has timed out is none; a TCP flow never does', (bed) => {
    note(bed, flowTo(1, 'udp'), 1, NOW_NS - 31n * SECOND_NS);
    note(bed, flowTo(2, 'udp'), 1, NOW_NS - 29n * SECOND_NS);
    note(bed, flowTo(3, 'tcp'), 1, 0n);
    expect(
      readAll(bed, 10)
        .map(({ sport }) => sport)
        .sort(),
    ).toEqual([2, 3]);
  });

  test('there is room for what the tables of the CPUs have, or the shared one', (bed) => {
    const shared = bed.maps.get('fallback_cache')?.spec.maxEntries;
    expect(bed.tables.connectionTableEntries).toBe(shared);
    bed.tables.attachConnectionTables(bed.host, 2, 64);
    expect(bed.tables.connectionTableEntries).toBe(128);
  });

  test('a place behind the tables is the end', (bed) => {
    expect(bed.tables.flowsFrom({ table: 9, from: undefined }, 10)).toEqual({ flows: [], next: undefined });
  });
});
