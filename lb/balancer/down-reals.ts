import { type BpfMap, ERRNO, type MapHost, type MapSpec } from '../bpf/maps/map.js';
import { type MapSet, TablesError, u32Bytes } from './map-set.js';
import { DEFAULT_REALS, encode, U8, U32 } from './schema.js';
import { singleVipBytes, type VipKey } from './vip-key.js';

const OUTER = 'vip_to_down_reals_map';

/**
 * The set of one VIP's backends that are down; type and flags are those of the template in vip_to_down_reals_map.
 * @param rows of the map reals
 */
export function downRealsSpec(rows = DEFAULT_REALS): MapSpec {
  return {
    name: 'down_reals',
    type: 'HASH',
    keySize: U32.sizeBytes,
    valueSize: U8.sizeBytes,
    maxEntries: rows,
    // BPF_F_NO_PREALLOC
    flags: 1,
  };
}

/**
 * Backends that are down, by VIP: UDP flows leave them where the VIP says so. A VIP has a set from its first such backend
 * on. Sets are used again and never freed before `close`: a packet may still look at the one it found.
 */
export class DownReals {
  readonly #maps: MapSet;
  readonly #host: MapHost | undefined;
  readonly #sets = new Map<string, BpfMap>();
  readonly #spare: BpfMap[] = [];

  /** @param host where the other maps are; without it no backend can be marked */
  constructor(maps: MapSet, host: MapHost | undefined) {
    this.#maps = maps;
    this.#host = host;
  }

  /** @throws TablesError TABLES_RANGE, TABLES_WRITE, TABLES_PREFIX_VIP, TABLES_NO_HOST */
  put(vip: VipKey, real: number): void {
    this.#maps.limits.checkReal(real);
    const key = singleVipBytes(vip, 'down backends');
    const known = this.#sets.get(idOf(key));
    const set = known ?? this.#spare.pop() ?? this.#create();
    this.#maps.check(set.spec.name, 'update', set.update(u32Bytes(real), encode(U8, { value: 1 })));
    // The set is whole before packets see it.
    if (known === undefined) this.#attach(key, set);
  }

  /** Idempotent. @throws TablesError TABLES_RANGE, TABLES_WRITE, TABLES_PREFIX_VIP */
  delete(vip: VipKey, real: number): void {
    this.#maps.limits.checkReal(real);
    const set = this.#sets.get(idOf(singleVipBytes(vip, 'down backends')));
    const result = set?.delete(u32Bytes(real)) ?? 0;
    if (result !== -ERRNO.ENOENT) this.#maps.check('down_reals', 'delete', result);
  }

  /** Go on with sets that are attached already, by the VIP's key; they belong to this from now on. */
  adopt(sets: Iterable<readonly [key: Uint8Array, set: BpfMap]>): void {
    for (const [key, set] of sets) this.#sets.set(idOf(key), set);
  }

  /** VIPs that have a set. */
  get size(): number {
    return this.#sets.size;
  }

  /** Forget a VIP and its set. Idempotent. */
  deleteVip(key: Uint8Array): void {
    const set = this.#sets.get(idOf(key));
    if (set === undefined) return;
    this.#maps.check(OUTER, 'delete', this.#maps.get(OUTER).delete(key));
    this.#sets.delete(idOf(key));
    const marked: Uint8Array[] = [];
    set.forEach((real) => {
      marked.push(Uint8Array.from(real));
    });
    for (const real of marked) set.delete(real);
    this.#spare.push(set);
  }

  /** Give the sets back. Idempotent. */
  close(): void {
    for (const set of [...this.#sets.values(), ...this.#spare.splice(0)]) set.close();
    this.#sets.clear();
  }

  #create(): BpfMap {
    if (this.#host === undefined) {
      throw new TablesError(
        { code: 'TABLES_NO_HOST', what: 'down backends' },
        'down backends: these tables were not told where to create maps',
      );
    }
    return this.#host.createMap(downRealsSpec(this.#maps.limits.reals + 1));
  }

  #attach(key: Uint8Array, set: BpfMap): void {
    const result = this.#maps.get(OUTER).updateInner(key, set);
    if (result < 0) this.#spare.push(set);
    this.#maps.check(OUTER, 'update', result);
    this.#sets.set(idOf(key), set);
  }
}

const idOf = (key: Uint8Array): string => Buffer.from(key).toString('hex');
