import type { BpfMap } from '../bpf/maps/map.js';
import { REASON_SLOT_NO_VIP, type Reason, reasonOfCode } from './reasons.js';
import { DECISION, DECISION_FLAGS, decode, encode, TABLES, type TableName } from './schema.js';

/** What is to be said of a packet besides where it went. */
export type DecisionMark = 'inserted' | 'flooded' | 'migrated' | 'decapsulated' | 'icmp';
const MARKS: Readonly<Record<DecisionMark, number>> = {
  inserted: DECISION_FLAGS.INSERTED,
  flooded: DECISION_FLAGS.FLOODED,
  migrated: DECISION_FLAGS.MIGRATED,
  decapsulated: DECISION_FLAGS.DECAPSULATED,
  icmp: DECISION_FLAGS.ICMP,
};

/** Why a packet went where it went. */
export interface Decision {
  readonly reason: Reason;
  /** Who chose the backend; 'none' where none was chosen. */
  readonly table: TableName;
  /** Absent: no VIP. */
  readonly vipNumber?: number;
  /** Index of the backend; absent: none. */
  readonly real?: number;
  /** Hash of the flow and its slot of the ring; absent unless the ring was asked. */
  readonly hash?: number;
  readonly slot?: number;
  readonly marks: readonly DecisionMark[];
}

const ONLY_ROW = new Uint8Array(4);

/** No reason has this number: nothing is written yet. */
const UNWRITTEN = 0xffff_ffff;
const BLANK = { reason: UNWRITTEN, table: 0, vip_num: 0, real: 0, hash: 0, slot: 0, flags: 0 };

/**
 * Have every CPU's copy say that nothing is written: whichever runs the next packet is told by what it writes.
 * @param map the balancer's map `decisions`
 * @param simulated whose connection table a program with the option `simulate` asks
 * @returns 0 or the negative errno
 */
export function forgetDecisions(map: BpfMap, simulated = 0): number {
  const blank = encode(DECISION, { ...BLANK, cpu: simulated });
  const copies = new Uint8Array(map.valueBytes);
  for (let cpu = 0; cpu < map.cpus; cpu++) copies.set(blank, cpu * DECISION.sizeBytes);
  return map.update(ONLY_ROW, copies);
}

/** The copy of the CPU that has written since `forgetDecisions`; undefined where none has. */
export function writtenDecision(map: BpfMap): Uint8Array | undefined {
  const copies = map.lookup(ONLY_ROW) ?? new Uint8Array();
  const { offset } = DECISION.fields.reason;
  const view = new DataView(copies.buffer, copies.byteOffset, copies.byteLength);
  for (let at = 0; at < copies.length; at += DECISION.sizeBytes)
    if (view.getUint32(at + offset, true) !== UNWRITTEN) return copies.subarray(at, at + DECISION.sizeBytes);
  return undefined;
}

/**
 * Read what the program wrote under its option `explain`, on whatever CPU, since `forgetDecisions`.
 * @param map the balancer's map `decisions`
 * @throws RangeError where nothing was written, or numbers that the program does not write
 */
export function readDecision(map: BpfMap): Decision {
  const written = writtenDecision(map);
  if (written === undefined) throw new RangeError(`map ${map.spec.name} has no decision`);
  const raw = decode(DECISION, written);
  const reason = reasonOfCode(raw.reason);
  const table = TABLES[raw.table];
  if (reason === undefined || table === undefined) {
    throw new RangeError(`a decision with reason ${raw.reason} and table ${raw.table}, which are not known`);
  }
  const names = Object.keys(MARKS) as DecisionMark[];
  return {
    reason,
    table: raw.real === 0 ? 'none' : table,
    ...(raw.vip_num === REASON_SLOT_NO_VIP ? {} : { vipNumber: raw.vip_num }),
    ...(raw.real === 0 ? {} : { real: raw.real }),
    ...((raw.flags & DECISION_FLAGS.HASHED) === 0 ? {} : { hash: raw.hash, slot: raw.slot }),
    marks: names.filter((name) => (raw.flags & MARKS[name]) !== 0),
  };
}
