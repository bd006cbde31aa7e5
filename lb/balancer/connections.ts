import type { BpfMap, MapHost, MapSpec } from '../bpf/maps/map.js';
import { encode, FLOW_KEY, MAX_CPUS, REAL_POS_LRU, U32, UDP_TIMEOUT_NS } from './schema.js';

const UDP = 17;

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

/** The connection tables: one a CPU, and the one that CPUs without a table share. */
export class ConnectionTables {
  readonly #mapping: BpfMap;
  readonly #tables: BpfMap[];

  /** `mapping` is lru_mapping, `fallback` fallback_cache. */
  constructor(mapping: BpfMap, fallback: BpfMap) {
    this.#mapping = mapping;
    this.#tables = [fallback];
  }

  /**
   * Create a table for each CPU from 0 on, in the place where the other maps are.
   * @returns 0, or the negative errno of the write that failed
   */
  attach(host: MapHost, cpus: number, entriesPerCpu: number): number {
    if (!Number.isInteger(cpus) || cpus < 1 || cpus > MAX_CPUS) {
      throw new RangeError(`${cpus} CPUs are not within 1 to ${MAX_CPUS}`);
    }
    for (let cpu = 0; cpu < cpus; cpu++) {
      const table = host.createMap(connectionTableSpec(cpu, entriesPerCpu));
      const result = this.#mapping.updateInner(encode(U32, { value: cpu }), table);
      if (result < 0) {
        table.close();
        return result;
      }
      this.#tables.push(table);
    }
    return 0;
  }

  /** Live flows by backend index. Tables change under the walk: the counts are of about now. */
  countByReal(nowNs: bigint): Map<number, number> {
    const counts = new Map<number, number>();
    for (const table of this.#tables) {
      table.forEach((key, value) => {
        // Read in place: there may be millions of entries.
        const view = new DataView(value.buffer, value.byteOffset);
        const pos = view.getUint32(REAL_POS_LRU.fields.pos.offset, true);
        if (key[FLOW_KEY.fields.protocol.offset] === UDP) {
          const atime = view.getBigUint64(REAL_POS_LRU.fields.atime.offset, true);
          if (nowNs - atime > UDP_TIMEOUT_NS) return;
        }
        counts.set(pos, (counts.get(pos) ?? 0) + 1);
      });
    }
    return counts;
  }

  /** Give back the tables that `attach` created. */
  close(): void {
    for (const table of this.#tables.splice(1)) table.close();
  }
}
