import type { BpfMap } from '../../bpf/maps/map.js';
import type { IpAddress } from '../../net/address.js';
import { decode, encode } from '../structs.js';
import { CompanionMaps, checkRange, u32Bytes } from './maps.js';
import { DECAP_DROP_SLOTS, DECAP_MAPS, DECAP_STATS, type DecapDrop, IP_ADDRESS, U64 } from './schema.js';

/** Packets since the maps were made, summed over all CPUs. */
export interface DecapStats {
  /** Outer headers taken off, by their family. */
  readonly ipv4: bigint;
  readonly ipv6: bigint;
  readonly total: bigint;
  /** TCP packets that carried a server id, and those whose id was another host's. */
  readonly serverIdChecked: bigint;
  readonly serverIdMisrouted: bigint;
  /** Tunnel packets that were dropped. */
  readonly drops: Readonly<Record<DecapDrop, bigint>>;
}

/** The maps of the backend's program, by what they mean. Works the same over maps of the arena and of the kernel. */
export class DecapTables {
  readonly #maps: CompanionMaps<typeof DECAP_MAPS>;

  /** @throws CompanionError COMPANION_MAP_MISSING, COMPANION_MAP_SHAPE */
  constructor(maps: ReadonlyMap<string, BpfMap>) {
    this.#maps = new CompanionMaps(maps, DECAP_MAPS);
  }

  /** Take tunnels for an address of this host apart. @throws CompanionError COMPANION_WRITE */
  putDestination(address: IpAddress): void {
    this.#maps.update('decap_dst', encode(IP_ADDRESS, { address: address.bytes }), u32Bytes(0));
  }

  deleteDestination(address: IpAddress): void {
    this.#maps.delete('decap_dst', encode(IP_ADDRESS, { address: address.bytes }));
  }

  /** This host's id in the TCP option; 0: none. The option checkServerId asks for it. */
  setServerId(id: number): void {
    checkRange('server id', id, 0, 2 ** 32 - 1);
    this.#maps.update('tpr_server_id', u32Bytes(0), u32Bytes(id));
  }

  stats(): DecapStats {
    const copies = this.#maps.copies('decap_counters', 0).map((copy) => decode(DECAP_STATS, copy));
    const sum = (field: keyof (typeof DECAP_STATS)['fields']): bigint =>
      copies.reduce((total, copy) => total + copy[field], 0n);
    const drops = Object.entries(DECAP_DROP_SLOTS).map(([reason, slot]) => {
      const each = this.#maps.copies('decap_drops', slot);
      return [reason, each.reduce((total, copy) => total + decode(U64, copy).value, 0n)] as const;
    });
    return {
      ipv4: sum('outer_ipv4'),
      ipv6: sum('outer_ipv6'),
      total: sum('total'),
      serverIdChecked: sum('server_id_checked'),
      serverIdMisrouted: sum('server_id_misrouted'),
      // The entries are those of DECAP_DROP_SLOTS.
      drops: Object.fromEntries(drops) as Record<DecapDrop, bigint>,
    };
  }
}
