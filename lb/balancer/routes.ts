import type { IpAddress } from '../net/address.js';
import { checkRange, type MapSet, u32Bytes } from './map-set.js';
import { encode, IPV4_PREFIX, IPV6_PREFIX } from './schema.js';

/** Addresses of clients: the first `bits` of the address. */
export interface Prefix {
  readonly address: IpAddress;
  readonly bits: number;
}

/** What sends packets to a backend past ring and connection table: server ids, and clients' prefixes. */
export class RouteTable {
  readonly #maps: MapSet;

  constructor(maps: MapSet) {
    this.#maps = maps;
  }

  /** @throws TablesError TABLES_RANGE, TABLES_WRITE */
  putServerId(id: number, real: number): void {
    checkServerId(id);
    this.#maps.limits.checkReal(real);
    this.#maps.put('server_id_map', u32Bytes(id), u32Bytes(real));
  }

  /** Idempotent. @throws TablesError TABLES_RANGE, TABLES_WRITE */
  deleteServerId(id: number): void {
    checkServerId(id);
    this.#maps.delete('server_id_map', u32Bytes(id));
  }

  /** @throws TablesError TABLES_RANGE, TABLES_WRITE */
  putSourceRoute(prefix: Prefix, real: number): void {
    this.#maps.limits.checkReal(real);
    const { map, key } = placeOf(prefix);
    this.#maps.put(map, key, u32Bytes(real));
  }

  /** Idempotent; just this prefix. @throws TablesError TABLES_RANGE, TABLES_WRITE */
  deleteSourceRoute(prefix: Prefix): void {
    const { map, key } = placeOf(prefix);
    this.#maps.delete(map, key);
  }
}

/** TCP options carry all 32 bits. */
function checkServerId(id: number): void {
  checkRange('server id', id, 1, 0xffffffff);
}

function placeOf({ address, bits }: Prefix) {
  checkRange('source route prefix', bits, 0, 8 * address.bytes.length);
  const fields = { prefix_bits: bits, address: address.bytes };
  return address.family === 4
    ? ({ map: 'lpm_src_v4', key: encode(IPV4_PREFIX, fields) } as const)
    : ({ map: 'lpm_src_v6', key: encode(IPV6_PREFIX, fields) } as const);
}
