/** Random and damaged packets, the same for every engine: verdict, bytes, counters and drop reasons must agree. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BALANCER_ENGINES, type BalancerBed } from '../support/balancer.js';
import { missingRoot } from '../support/capabilities.js';
import { ETHERTYPE, ethernet, hex, ipv4, ipv6, mac, PROTOCOL, tcp, udp } from '../support/packets.js';
import { arrange, CLIENT_4, CLIENT_6, VIPS } from './scene.js';

const PACKETS = 1000;
const OWN = mac('02:00:00:00:00:02');
const FROM = mac('02:00:00:00:00:01');
/** BPF_PROG_TEST_RUN takes no shorter frame. */
const MIN_FRAME_BYTES = 14;

const DESTINATIONS_4 = ['198.51.100.10', '198.51.100.11', '198.51.100.13', '198.51.100.14', '192.0.2.99'];
const DESTINATIONS_6 = ['2001:db8::10', '2001:db8::11', '2001:db8::99'];

const segment = fc.record({
  isTcp: fc.boolean(),
  sport: fc.integer({ min: 0, max: 65535 }),
  dport: fc.constantFrom(80, 53, 443, 0),
  flags: fc.integer({ min: 0, max: 255 }),
  payload: fc.uint8Array({ maxLength: 64 }),
});
const tos = fc.integer({ min: 0, max: 255 });

const frame4 = fc
  .record({
    dst: fc.constantFrom(...DESTINATIONS_4),
    segment,
    tos,
    fragment: fc.constantFrom(0, 0x4000, 0x2000, 0x00b9),
  })
  .map(({ dst, segment: { isTcp, sport, dport, flags, payload }, tos, fragment }) => {
    const transport = isTcp
      ? tcp({ src: CLIENT_4, dst, sport, dport }, flags, payload)
      : udp({ src: CLIENT_4, dst, sport, dport }, payload);
    const protocol = isTcp ? PROTOCOL.tcp : PROTOCOL.udp;
    return ethernet(
      OWN,
      FROM,
      ETHERTYPE.ipv4,
      ipv4({ src: CLIENT_4, dst, protocol, tos, fragment }, transport),
    );
  });

const frame6 = fc
  .record({ dst: fc.constantFrom(...DESTINATIONS_6), segment, trafficClass: tos })
  .map(({ dst, segment: { isTcp, sport, dport, flags, payload }, trafficClass }) => {
    const transport = isTcp
      ? tcp({ src: CLIENT_6, dst, sport, dport }, flags, payload)
      : udp({ src: CLIENT_6, dst, sport, dport }, payload);
    const nextHeader = isTcp ? PROTOCOL.tcp : PROTOCOL.udp;
    return ethernet(
      OWN,
      FROM,
      ETHERTYPE.ipv6,
      ipv6({ src: CLIENT_6, dst, nextHeader, trafficClass }, transport),
    );
  });

/** A good frame, or one that was cut, or one in which a few bytes are others. */
const anyFrame = fc
  .record({
    frame: fc.oneof(frame4, frame6),
    damage: fc.constantFrom('none', 'none', 'cut', 'bytes'),
    places: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
    length: fc.nat(),
  })
  .map(({ frame, damage, places, length }) => {
    if (damage === 'cut') {
      return frame.slice(0, MIN_FRAME_BYTES + (length % (frame.length - MIN_FRAME_BYTES + 1)));
    }
    const bytes = Uint8Array.from(frame);
    if (damage === 'bytes') for (const [at, value] of places) bytes[at % bytes.length] = value;
    return bytes;
  });

const engines = BALANCER_ENGINES.filter(({ missing }) => missing === undefined);

describe(`random packets (${engines.map(({ name }) => name).join(', ')}${missingRoot ? `; kernel ${missingRoot}` : ''})`, () => {
  let beds: readonly { readonly name: string; readonly bed: BalancerBed }[];
  beforeAll(() => {
    beds = engines.map((engine) => ({ name: engine.name, bed: engine.make() }));
    for (const { bed } of beds) arrange(bed);
  });
  afterAll(() => {
    for (const { bed } of beds) bed.close();
  });

  it(`${PACKETS} packets: verdict and bytes agree`, () => {
    const verdicts = new Set<number>();
    fc.assert(
      fc.property(anyFrame, (frame) => {
        const [first, ...others] = beds.map(({ name, bed }) => ({ name, ...bed.run(frame) }));
        if (first === undefined) throw new Error('no engine');
        verdicts.add(first.verdict);
        for (const other of others) {
          const shown = ({ verdict, frame: bytes }: typeof first) => `${verdict} ${hex(bytes)}`;
          if (shown(other) !== shown(first)) {
            throw new Error(`${hex(frame)}: ${first.name} ${shown(first)}, ${other.name} ${shown(other)}`);
          }
        }
      }),
      { numRuns: PACKETS },
    );
    // Dropped, passed and sent: packets of one kind alone would show little.
    expect([...verdicts].sort()).toEqual([1, 2, 3]);
  });

  it('counters and drop reasons of those packets agree', () => {
    const text = (value: unknown) =>
      JSON.stringify(value, (_, cell: unknown) => (typeof cell === 'bigint' ? String(cell) : cell));
    const told = beds.map(({ name, bed: { tables } }) => {
      // The second in which connections are counted is each engine's own.
      const { new_connection_rate: _, ...counters } = tables.counters() as Readonly<Record<string, unknown>>;
      const vips = Object.values(VIPS).map(({ number }) => [
        tables.vipStats(number),
        tables.dropStats(number),
      ]);
      const reals = [1, 2].map((index) => tables.realStats(index));
      return { name, says: text({ counters, vips, reals, none: tables.dropStats('none') }) };
    });
    for (const { name, says } of told) expect(says, name).toBe(told[0]?.says);
  });
});
