import { type BpfMap, ERRNO, type MapHost, type MapSpec } from '../bpf/maps/map.js';
import type { IpAddress } from '../net/address.js';
import { encode, FLOW_KEY, MAX_CPUS, REAL_POS_LRU, U32, UDP_TIMEOUT_NS } from './schema.js';
import { type FlowBatch, type FlowPlace, readFlows } from './tracked-flows.js';
import { VIP_PROTOCOLS, type VipProtocol } from './vip-key.js';

const UDP = VIP_PROTOCOLS.udp;

/** The table of one CPU; flags and sizes are those of the template in lru_mapping. */
export function connectionTableSpec(cpu: number, entries: number): MapSpec {
  return {
    name: `connections_${cpu}`,
    type: 'LRU_HASH',
    keySize: FLOW_KEY.sizeBytes,
    valueSize: REAL_POS_LRU.sizeBytes,
    maxEntries: entries,
    flags: 0,
  };
}

/** The table of one CPU that is filled from outside; flags and sizes are those of the template in global_lru_maps. */
export function globalTableSpec(cpu: number, entries: number): MapSpec {
  return {
    name: `global_${cpu}`,
    type: 'LRU_HASH',
    keySize: FLOW_KEY.sizeBytes,
    valueSize: U32.sizeBytes,
    maxEntries: entries,
    flags: 0,
  };
}

/** A flow as the tables know it: ports as the VIP's flags leave them (0: not told apart). */
export interface Flow {
  readonly src: IpAddress;
  readonly dst: IpAddress;
  readonly sport: number;
  readonly dport: number;
  readonly protocol: VipProtocol;
}

/** Key of a flow in every table of flows. @throws RangeError for a port that is none */
export function flowKeyBytes({ src, dst, sport, dport, protocol }: Flow): Uint8Array {
  return encode(FLOW_KEY, {
    src: src.bytes,
    dst: dst.bytes,
    sport,
    dport,
    protocol: VIP_PROTOCOLS[protocol],
  });
}

/** Tables of flows: one a CPU, and the one that CPUs without a table share. */
class FlowTables {
  readonly #mapping: BpfMap;
  readonly #specOf: (cpu: number, entries: number) => MapSpec;
  /** The shared one first. */
  protected readonly tables: BpfMap[];

  protected constructor(
    mapping: BpfMap,
    fallback: BpfMap,
    specOf: (cpu: number, entries: number) => MapSpec,
  ) {
    this.#mapping = mapping;
    this.#specOf = specOf;
    this.tables = [fallback];
  }

  /**
   * Create a table for each CPU from 0 on, in the place where the other maps are.
   * @returns 0, or the negative errno of the write that failed
   * @throws RangeError for a number of CPUs that is not within 1 to MAX_CPUS
   */
  attach(host: MapHost, cpus: number, entriesPerCpu: number): number {
    if (!Number.isInteger(cpus) || cpus < 1 || cpus > MAX_CPUS) {
      throw new RangeError(`${cpus} CPUs are not within 1 to ${MAX_CPUS}`);
    }
    for (let cpu = 0; cpu < cpus; cpu++) {
      const table = host.createMap(this.#specOf(cpu, entriesPerCpu));
      const result = this.#mapping.updateInner(encode(U32, { value: cpu }), table);
      if (result < 0) {
        table.close();
        return result;
      }
      this.tables.push(table);
    }
    return 0;
  }

  /** Go on with tables that are attached already, from CPU 0 on; they belong to this from now on. */
  adopt(tables: readonly BpfMap[]): void {
    this.tables.push(...tables);
  }

  /** Give back the tables that `attach` created and `adopt` took. Idempotent. */
  close(): void {
    for (const table of this.tables.splice(1)) table.close();
  }
}

/** The connection tables, which the program fills. */
export class ConnectionTables extends FlowTables {
  readonly #udpTimeoutNs: bigint;

  /**
   * @param mapping lru_mapping
   * @param fallback fallback_cache
   * @param udpTimeoutNs the program's option `udp_timeout_ns`
   */
  constructor(mapping: BpfMap, fallback: BpfMap, udpTimeoutNs = UDP_TIMEOUT_NS) {
    super(mapping, fallback, connectionTableSpec);
    this.#udpTimeoutNs = udpTimeoutNs;
  }

  /** Live flows by backend index. Tables change under the walk: the counts are of about now. */
  countByReal(nowNs: bigint): Map<number, number> {
    const counts = new Map<number, number>();
    for (const table of this.tables) {
      table.forEach((key, value) => {
        // Read in place: there may be millions of entries.
        const view = new DataView(value.buffer, value.byteOffset);
        const pos = view.getUint32(REAL_POS_LRU.fields.pos.offset, true);
        if (key[FLOW_KEY.fields.protocol.offset] === UDP) {
          const atime = view.getBigUint64(REAL_POS_LRU.fields.atime.offset, true);
          if (nowNs - atime > this.#udpTimeoutNs) return;
        }
        counts.set(pos, (counts.get(pos) ?? 0) + 1);
      });
    }
    return counts;
  }

  /** Entries that the tables have room for: those of the CPUs, or the shared one where no CPU has its own. */
  get capacity(): number {
    const [shared, ...own] = this.tables.map(({ spec }) => spec.maxEntries);
    return own.length === 0 ? (shared ?? 0) : own.reduce((sum, entries) => sum + entries, 0);
  }

  /** Some live flows, from a place in the tables on, as readFlows has them. */
  read(place: FlowPlace, count: number, nowNs: bigint): FlowBatch {
    return readFlows(this.tables, place, count, (lastPacketNs) => nowNs - lastPacketNs <= this.#udpTimeoutNs);
  }

  /**
   * Forget the flows of backends: their next packets are those of new flows.
   * @param reals backend indices
   * @returns flows that were forgotten; one that comes while the tables are walked may stay
   */
  forget(reals: ReadonlySet<number>): number {
    let forgotten = 0;
    for (const table of this.tables) {
      const keys: Uint8Array[] = [];
      table.forEach((key, value) => {
        const view = new DataView(value.buffer, value.byteOffset);
        if (reals.has(view.getUint32(REAL_POS_LRU.fields.pos.offset, true))) keys.push(Uint8Array.from(key));
      });
      for (const key of keys) if (table.delete(key) === 0) forgotten++;
    }
    return forgotten;
  }
}

/** The tables that are filled from outside: flows that another node took, say. */
export class GlobalTables extends FlowTables {
  /**
   * @param mapping global_lru_maps
   * @param fallback fallback_glru
   */
  constructor(mapping: BpfMap, fallback: BpfMap) {
    super(mapping, fallback, globalTableSpec);
  }

  /**
   * Write a flow into the table of one CPU, which has been attached, or into all and the shared one.
   * @returns 0, or the negative errno of the write that failed
   * @throws RangeError for a CPU without a table
   */
  put(flow: Flow, real: number, cpu?: number): number {
    const chosen = cpu === undefined ? this.tables : this.tables.slice(cpu + 1, cpu + 2);
    if (chosen.length === 0) throw new RangeError(`CPU ${cpu} has no table of flows from outside`);
    const [key, value] = [flowKeyBytes(flow), encode(U32, { value: real })];
    for (const table of chosen) {
      const result = table.update(key, value);
      if (result < 0) return result;
    }
    return 0;
  }
  /** Forget a flow, in all tables. @returns 0, also where it was not, or the negative errno of what failed */
  delete(flow: Flow): number {
    const key = flowKeyBytes(flow);
    for (const table of this.tables) {
      const result = table.delete(key);
      if (result < 0 && result !== -ERRNO.ENOENT) return result;
    }
    return 0;
  }
}
