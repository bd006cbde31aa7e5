/**
 * Packet cases: a suite is one configuration of the balancer and rows of packets for it. Each row runs on every engine
 * from a fresh state, and says all that is to be seen of it: verdict, bytes, reason, the decision, and every counter
 * that moves; any other that moves is a failure.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { REASON_SLOT_NO_VIP, REASONS, type Reason } from '../../lb/balancer/reasons.js';
import {
  DECISION_FLAGS,
  type DecisionFlagName,
  EVENT_PACKET_BYTES,
  type EventKind,
  TABLES,
  type TableName,
} from '../../lb/balancer/schema.js';
import { XDP_DROP, XDP_PASS, XDP_TX } from '../../lb/bpf/engine/context.js';
import {
  BALANCER_ENGINES,
  type BalancerBed,
  type BalancerEngine,
  type BedOptions,
} from '../support/balancer.js';
import {
  type Counts,
  countsMoved,
  markDecisions,
  readCounts,
  readMarkedDecision,
  type TableEntry,
  tableEntries,
} from '../support/balancer-state.js';
import { hex, TCP_FLAGS } from '../support/packets.js';
import { REALS, type RealName, Scene, type Vip } from './cases/setup.js';

export interface Expected {
  readonly reason: Reason;
  /** Whom it is counted for; none unless given. */
  readonly vip?: Vip;
  /** The frame afterwards; as it was unless given. */
  readonly after?: Uint8Array;
  /** Counters that move beside those that follow from the reason. */
  readonly counts?: Readonly<Record<string, number>>;
  /** What the decision says of the backend: none unless given. */
  readonly table?: TableName;
  readonly real?: RealName;
  /** Flags of the decision, all of them; not looked at unless given. */
  readonly flags?: readonly DecisionFlagName[];
  /** Slot of the ring that the decision says; not looked at unless given. */
  readonly slot?: number;
  /** The connection table afterwards; not looked at unless given. */
  readonly entries?: readonly Partial<TableEntry>[];
  /** Events that are reported, those of the kernel excepted; none unless given. */
  readonly events?: readonly ExpectedEvent[];
}
export interface ExpectedEvent {
  readonly kind: EventKind;
  readonly reason: Reason;
  readonly vip?: Vip;
}

export interface Step {
  readonly frame: Uint8Array;
  readonly expected: Expected;
  /** Before the packet. */
  readonly given?: (scene: Scene) => void;
  /** Beyond the packet. */
  readonly afterwards?: (scene: Scene) => void;
}

export interface Row {
  readonly name: string;
  readonly steps: readonly Step[];
  /** Engines that cannot run it: the kernel's test run takes no frame under 14 bytes. */
  readonly notOn?: readonly BalancerBed['engine'][];
}

export interface Suite {
  readonly title: string;
  readonly options?: BedOptions;
  /** Nothing is counted, whatever the rows say. */
  readonly isSilent?: true;
  readonly arrange: (scene: Scene) => void;
  readonly rows: readonly Row[];
}

/** A row of one packet. */
export const row = (name: string, frame: Uint8Array, expected: Expected): Row => ({
  name,
  steps: [{ frame, expected }],
});
/** A row of several packets. */
export const rowOf = (name: string, ...steps: readonly Step[]): Row => ({ name, steps });
export const step = (frame: Uint8Array, expected: Expected, given?: (scene: Scene) => void): Step => ({
  frame,
  expected,
  ...(given === undefined ? {} : { given }),
});

/** The counts of a packet that a VIP's backend gets. */
export interface Balanced {
  readonly vip: Vip;
  readonly real: RealName;
  readonly table: TableName;
  /** Frame as it left. */
  readonly after: Uint8Array;
  /** It is TCP with SYN; for TCP VIPs. */
  readonly syn?: boolean;
  readonly counts?: Readonly<Record<string, number>>;
  readonly flags?: readonly DecisionFlagName[];
  readonly slot?: number;
  readonly entries?: readonly Partial<TableEntry>[];
  readonly events?: readonly ExpectedEvent[];
  /** Forwarded unless given. */
  readonly reason?: Reason;
}

/** Bytes that are counted for a VIP: IPv4's total length, IPv6's payload length. */
export function countedBytes(frame: Uint8Array, at = 14): number {
  const field = frame[at]! >> 4 === 6 ? at + 4 : at + 2;
  return (frame[field]! << 8) | frame[field + 1]!;
}

/** Tables that are asked when nothing else has the flow: they are the misses. */
const MISSES: ReadonlySet<TableName> = new Set(['ring', 'source_route']);

/** What is to be seen of a packet that is balanced. @param packetAt where its IP header is in the frame */
export function balanced(frame: Uint8Array, given: Balanced, packetAt = 14): Expected {
  const { vip, real, table, syn = false, counts = {}, reason = 'forwarded', ...rest } = given;
  const bytes = countedBytes(frame, packetAt);
  const isMiss = MISSES.has(table);
  const missWord = syn ? 'lru_miss.v1' : 'lru_miss.v2';
  const merged: Record<string, number> = {
    'lru.v1': 1,
    ...(isMiss ? { 'lru.v2': 1 } : {}),
    ...(isMiss && vip.protocol === 'tcp' ? { [missWord]: 1 } : {}),
    [`vip.${vip.number}.v1`]: 1,
    [`vip.${vip.number}.v2`]: bytes,
    [`real.${REALS[real].index}.v1`]: 1,
    [`real.${REALS[real].index}.v2`]: bytes,
  };
  for (const [name, value] of Object.entries(counts)) merged[name] = (merged[name] ?? 0) + value;
  return { reason, vip, real, table, counts: merged, ...rest };
}

/** True where a frame of plain TCP has SYN. */
export function hasSyn(frame: Uint8Array): boolean {
  const header = frame[14]! >> 4 === 6 ? 54 : 34;
  return (frame[header + 13]! & TCP_FLAGS.syn) !== 0;
}

const VERDICTS = { answer: XDP_TX, drop: XDP_DROP, pass: XDP_PASS } as const;
const VERDICT_COUNTERS = { answer: 'xdp_tx', drop: 'xdp_drop', pass: 'xdp_pass' } as const;
const slotName = (vip: Vip | undefined): string => (vip === undefined ? 'none' : String(vip.number));

/** Every counter that is to move for a packet. */
function expectedCounts(frame: Uint8Array, { reason, vip, counts = {} }: Expected): Counts {
  const { kind } = REASONS[reason];
  const all: Record<string, number> = { ...counts };
  // A frame without an Ethernet header counts under its reason alone.
  if (frame.length >= 14) {
    all['xdp_total.v1'] = 1;
    all['xdp_total.v2'] = frame.length;
    all[`${VERDICT_COUNTERS[kind]}.v1`] = 1;
    all[`${VERDICT_COUNTERS[kind]}.v2`] = frame.length;
  }
  if (reason !== 'forwarded') {
    all[`${reason}.${slotName(vip)}.v1`] = 1;
    all[`${reason}.${slotName(vip)}.v2`] = frame.length;
  }
  return Object.fromEntries(
    Object.entries(all)
      .filter(([, value]) => value !== 0)
      .map(([name, value]) => [name, BigInt(value)]),
  );
}

const expectedEvents = (frame: Uint8Array, { events = [] }: Expected) =>
  events.map(({ kind, reason, vip }) => ({
    kind,
    reason,
    ...(vip && { vipNumber: vip.number }),
    packetBytes: frame.length,
    data: hex(frame.subarray(0, EVENT_PACKET_BYTES)),
  }));

const flagNames = (flags: number): DecisionFlagName[] =>
  (Object.keys(DECISION_FLAGS) as DecisionFlagName[]).filter((name) => flags & DECISION_FLAGS[name]);

/** Run one packet and hold everything against what is expected. */
function runStep(scene: Scene, suite: Suite, { frame, expected, given, afterwards }: Step): void {
  const { bed } = scene;
  const explained = suiteOptions(suite).explain === true;
  given?.(scene);
  const before = readCounts(bed.maps);
  if (explained) markDecisions(bed.maps);
  const result = bed.run(frame);
  const decision = explained ? readMarkedDecision(bed.maps) : undefined;
  const reason = expected.reason;
  // One object, so that a failure shows all at once.
  const seen = {
    verdict: result.verdict,
    frame: hex(result.frame),
    counts: countsMoved(before, readCounts(bed.maps)),
    events: bed.readEvents?.().map((event) => ({ ...event, data: hex(event.data) })),
    ...(explained && {
      decision: decision && {
        reason: decision.reason,
        vip: decision.vip_num,
        table: TABLES[decision.table],
        real: decision.real,
        ...(expected.flags !== undefined && { flags: flagNames(decision.flags) }),
        ...(expected.slot !== undefined && { slot: decision.slot }),
      },
    }),
  };
  expect(seen).toEqual({
    verdict: VERDICTS[REASONS[reason].kind],
    frame: hex(expected.after ?? frame),
    counts: suite.isSilent ? {} : expectedCounts(frame, expected),
    events: bed.readEvents === undefined ? undefined : expectedEvents(frame, expected),
    ...(explained && {
      decision: {
        reason: REASONS[reason].code,
        vip: expected.vip?.number ?? REASON_SLOT_NO_VIP,
        table: expected.table ?? 'none',
        real: expected.real === undefined ? 0 : REALS[expected.real].index,
        ...(expected.flags !== undefined && { flags: flagNames(flagBits(expected.flags)) }),
        ...(expected.slot !== undefined && { slot: expected.slot }),
      },
    }),
  });
  if (expected.entries !== undefined) {
    const found = tableEntries(bed.connections);
    expect(found).toHaveLength(expected.entries.length);
    for (const entry of expected.entries) expect(found).toContainEqual(expect.objectContaining(entry));
  }
  afterwards?.(scene);
}

const flagBits = (names: readonly DecisionFlagName[]): number =>
  names.reduce((bits, name) => bits | DECISION_FLAGS[name], 0);

/** Options of a suite's bed: decisions are explained unless it says otherwise. */
export const suiteOptions = ({ options = {} }: Suite): BedOptions => ({ explain: true, ...options });

/** Run the packets of a row from a fresh state, whatever becomes of them. */
export function playRow(scene: Scene, suite: Suite, { steps }: Row): void {
  scene.reset();
  suite.arrange(scene);
  for (const { frame, given } of steps) {
    given?.(scene);
    scene.bed.run(frame);
  }
}

/** Run a row from a fresh state, and hold everything against what is expected. */
export function runRow(scene: Scene, suite: Suite, { steps }: Row): void {
  scene.reset();
  suite.arrange(scene);
  scene.bed.readEvents?.();
  for (const each of steps) runStep(scene, suite, each);
}

/** Declare the tests of suites: each row on each engine. Suites of the same options share a bed. */
export function testSuites(
  suites: readonly Suite[],
  engines: readonly BalancerEngine[] = BALANCER_ENGINES,
): void {
  const scenes = new Map<string, Scene>();
  const sceneFor = ({ name, make }: BalancerEngine, suite: Suite): Scene => {
    const options = suiteOptions(suite);
    const key = `${name} ${JSON.stringify(options)}`;
    const scene = scenes.get(key) ?? new Scene(make(options));
    scenes.set(key, scene);
    return scene;
  };
  afterAll(() => {
    for (const { bed } of scenes.values()) bed.close();
  });
  for (const suite of suites) {
    describe.each(engines)(`${suite.title}: $name`, (engine) => {
      const { name, missing } = engine;
      const title = missing === undefined ? '' : ` (skipped: ${missing})`;
      for (const each of suite.rows) {
        if (each.notOn?.includes(name)) continue;
        it.skipIf(missing !== undefined)(`${each.name}${title}`, () => {
          runRow(sceneFor(engine, suite), suite, each);
        });
      }
    });
  }
}
