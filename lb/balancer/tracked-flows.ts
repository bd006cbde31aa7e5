import type { BpfMap } from '../bpf/maps/map.js';
import { FLOW_KEY, REAL_POS_LRU } from './schema.js';
import { VIP_PROTOCOLS, type VipProtocol } from './vip-key.js';

/** An entry of a connection table. */
export interface TrackedFlow {
  /** Addresses as the tables hold them, 16 bytes: an IPv4 address stands in the first four, and zeros follow. */
  readonly src: Uint8Array;
  readonly dst: Uint8Array;
  /** Ports as the VIP's flags leave them; 0: not told apart. */
  readonly sport: number;
  readonly dport: number;
  readonly protocol: VipProtocol;
  /** Row of its backend. */
  readonly real: number;
  /** UDP: monotonic time of its last packet, ns. */
  readonly lastPacketNs: bigint | undefined;
  /** Whose table it is in; undefined: the one that CPUs without a table share. */
  readonly cpu: number | undefined;
}

/** Where a walk of the tables stands. */
export interface FlowPlace {
  /** 0: the shared table; n: that of CPU n - 1. */
  readonly table: number;
  /** Where in it, as the map says it; undefined: its start. */
  readonly from: Uint8Array | undefined;
}

export const FLOWS_START: FlowPlace = { table: 0, from: undefined };

/** Some entries, and where the walk goes on. */
export interface FlowBatch {
  readonly flows: readonly TrackedFlow[];
  /** undefined: these were the last. */
  readonly next: FlowPlace | undefined;
}

/**
 * Read some entries of the connection tables, while the program changes them: an entry that is there all the time is read once at
 * least, others perhaps.
 * @param tables the shared one, then one a CPU
 * @param count about so many; a table of the kernel gives whole buckets
 * @param isLive false for a UDP entry whose last packet (monotonic, ns) is so old that the program takes it for none
 */
export function readFlows(
  tables: readonly BpfMap[],
  place: FlowPlace,
  count: number,
  isLive: (lastPacketNs: bigint) => boolean,
): FlowBatch {
  const table = tables[place.table];
  if (table === undefined) return { flows: [], next: undefined };
  const batch = table.lookupBatch(count, place.from);
  const cpu = place.table === 0 ? undefined : place.table - 1;
  const flows: TrackedFlow[] = [];
  for (let i = 0; i < batch.count; i++) {
    const key = batch.keys.subarray(i * FLOW_KEY.sizeBytes, (i + 1) * FLOW_KEY.sizeBytes);
    const value = batch.values.subarray(i * REAL_POS_LRU.sizeBytes, (i + 1) * REAL_POS_LRU.sizeBytes);
    const flow = flowOf(key, value, cpu);
    if (flow !== undefined && (flow.lastPacketNs === undefined || isLive(flow.lastPacketNs)))
      flows.push(flow);
  }
  if (batch.next !== undefined) return { flows, next: { table: place.table, from: batch.next } };
  const after = place.table + 1;
  return { flows, next: after < tables.length ? { table: after, from: undefined } : undefined };
}

const PROTOCOL_BY_NUMBER: ReadonlyMap<number, VipProtocol> = new Map([
  [VIP_PROTOCOLS.tcp, 'tcp'],
  [VIP_PROTOCOLS.udp, 'udp'],
]);

/** Field by field and not by `decode`: there may be millions of entries. */
function flowOf(key: Uint8Array, value: Uint8Array, cpu: number | undefined): TrackedFlow | undefined {
  const { src, dst, sport, dport, protocol: protocolField } = FLOW_KEY.fields;
  const keyView = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const valueView = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const protocol = PROTOCOL_BY_NUMBER.get(keyView.getUint8(protocolField.offset));
  if (protocol === undefined) return undefined;
  return {
    src: key.subarray(src.offset, src.offset + src.bytes),
    dst: key.subarray(dst.offset, dst.offset + dst.bytes),
    sport: keyView.getUint16(sport.offset, false),
    dport: keyView.getUint16(dport.offset, false),
    protocol,
    real: valueView.getUint32(REAL_POS_LRU.fields.pos.offset, true),
    lastPacketNs:
      protocol === 'udp' ? valueView.getBigUint64(REAL_POS_LRU.fields.atime.offset, true) : undefined,
    cpu,
  };
}
