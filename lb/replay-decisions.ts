import { forgetDecisions, writtenDecision } from './balancer/decisions.js';
import { REASON_SLOT_NO_VIP, reasonOfCode } from './balancer/reasons.js';
import { DECISION, TABLES } from './balancer/schema.js';
import type { BpfMap } from './bpf/maps/map.js';
import { ArenaMap } from './bpf/maps/registry.js';

/** What the program wrote of the last packet, as numbers; the fields of `struct decision`. */
export interface RawDecision {
  reason: number;
  table: number;
  vipNumber: number;
  real: number;
  hash: number;
  slot: number;
  flags: number;
}

/** Reads the decision of each packet, many a second. */
export interface DecisionReader {
  /** To be called before a run. */
  prepare(): void;
  /** @param worker the CPU that the packet ran on; @returns the same object each time */
  read(worker: number): RawDecision;
}

const { fields } = DECISION;

function readInto(decision: RawDecision, word: (offset: number) => number): RawDecision {
  decision.reason = word(fields.reason.offset);
  decision.table = word(fields.table.offset);
  decision.vipNumber = word(fields.vip_num.offset);
  decision.real = word(fields.real.offset);
  decision.hash = word(fields.hash.offset);
  decision.slot = word(fields.slot.offset);
  decision.flags = word(fields.flags.offset);
  return decision;
}

const empty = (): RawDecision => ({
  reason: 0,
  table: 0,
  vipNumber: 0,
  real: 0,
  hash: 0,
  slot: 0,
  flags: 0,
});

/** Where it lies in the arena: no copy is made. */
class ArenaDecisions implements DecisionReader {
  readonly #words: Uint32Array;
  readonly #map: ArenaMap;
  readonly #decision = empty();

  constructor(map: ArenaMap, words: Uint32Array) {
    this.#map = map;
    this.#words = words;
  }

  prepare(): void {}

  read(worker: number): RawDecision {
    const { data, cpuStride } = this.#map.info;
    const at = data + worker * cpuStride;
    return readInto(this.#decision, (offset) => this.#words[(at + offset) >>> 2]!);
  }
}

/** In the kernel, where the CPU of a run is not known: the copy that was written since. */
class KernelDecisions implements DecisionReader {
  readonly #map: BpfMap;
  readonly #decision = empty();

  constructor(map: BpfMap) {
    this.#map = map;
  }

  prepare(): void {
    forgetDecisions(this.#map);
  }

  read(): RawDecision {
    const written = writtenDecision(this.#map) ?? new Uint8Array(DECISION.sizeBytes).fill(0xff);
    const view = new DataView(written.buffer, written.byteOffset, written.byteLength);
    return readInto(this.#decision, (offset) => view.getUint32(offset, true));
  }
}

/** @param map the balancer's `decisions` */
export function decisionReader(map: BpfMap, arenaWords: Uint32Array | undefined): DecisionReader {
  return map instanceof ArenaMap && arenaWords !== undefined
    ? new ArenaDecisions(map, arenaWords)
    : new KernelDecisions(map);
}

/** Name of a reason's number; a number that the program does not write is named by itself. */
export const reasonName = (code: number): string => reasonOfCode(code) ?? `reason_${code}`;

/** Name of the table that chose the backend; null where none was chosen. */
export function tableName({ table, real }: Pick<RawDecision, 'table' | 'real'>): string | null {
  return real === 0 || table === 0 ? null : (TABLES[table] ?? `table_${table}`);
}

/** Number of the packet's VIP; undefined for none. */
export const vipOf = ({ vipNumber }: Pick<RawDecision, 'vipNumber'>): number | undefined =>
  vipNumber === REASON_SLOT_NO_VIP ? undefined : vipNumber;
