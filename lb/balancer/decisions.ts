import type { BpfMap } from '../bpf/maps/map.js';
import { REASON_SLOT_NO_VIP, type Reason, reasonOfCode } from './reasons.js';
import { DECISION, DECISION_FLAGS, decode, TABLES, type TableName } from './schema.js';

/** What is to be said of a packet besides where it went. */
export type DecisionMark = 'inserted' | 'flooded' | 'migrated' | 'decapsulated' | 'icmp';
const MARKS: Readonly<Record<DecisionMark, number>> = {
  inserted: DECISION_FLAGS.INSERTED,
  flooded: DECISION_FLAGS.FLOODED,
  migrated: DECISION_FLAGS.MIGRATED,
  decapsulated: DECISION_FLAGS.DECAPSULATED,
  icmp: DECISION_FLAGS.ICMP,
};

/** Why the last packet on a CPU went where it went. */
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

/**
 * Read what the program wrote under its option `explain`.
 * @param map the balancer's map `decisions`
 * @param cpu the CPU that the packet ran on
 * @throws RangeError for a CPU that the map has not, or numbers that the program does not write
 */
export function readDecision(map: BpfMap, cpu: number): Decision {
  const copies = map.lookup(ONLY_ROW);
  if (copies === undefined || !Number.isInteger(cpu) || cpu < 0 || cpu >= map.cpus) {
    throw new RangeError(`map ${map.spec.name} has no copy for CPU ${cpu}`);
  }
  const raw = decode(DECISION, copies, cpu * DECISION.sizeBytes);
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

/**
 * Say whose connection table a program with the option `simulate` asks, on whatever CPU it runs.
 * @param map the balancer's map `decisions`
 * @returns 0 or the negative errno
 */
export function writeSimulatedCpu(map: BpfMap, simulated: number): number {
  const copies = map.lookup(ONLY_ROW) ?? new Uint8Array(map.valueBytes);
  const view = new DataView(copies.buffer, copies.byteOffset, copies.byteLength);
  for (let cpu = 0; cpu < map.cpus; cpu++)
    view.setUint32(cpu * DECISION.sizeBytes + DECISION.fields.cpu.offset, simulated, true);
  return map.update(ONLY_ROW, copies);
}
