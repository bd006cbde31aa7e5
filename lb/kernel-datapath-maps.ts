import { type Adopted, readAdopted } from './balancer/adopted.js';
import { connectionTableSpec, globalTableSpec } from './balancer/connections.js';
import { downRealsSpec } from './balancer/down-reals.js';
import { BalancerTables } from './balancer/tables.js';
import type { MapSpec } from './bpf/maps/map.js';
import { type Btf, parseBtf } from './bpf/object/btf.js';
import { formatC } from './bpf/object/btf-c.js';
import { createMaps } from './bpf/object/create-maps.js';
import type { ObjectSpec } from './bpf/object/spec.js';
import { PinError } from './engine/pins.js';
import { isShared, type PinDirectory } from './kernel-datapath-pins.js';
import { closeAll } from './kernel-datapath-program.js';
import {
  KernelMap,
  type KernelMapInfo,
  KernelMaps,
  KernelTypes,
  kernelBtf,
  kernelMapInfo,
  openPin,
  possibleCpus,
} from './sys/bpf.js';
import type { PoolLog } from './worker/pool.js';

/** The balancer's maps in the kernel, and its tables over them. Both belong to the caller. */
export interface BalancerMaps {
  readonly maps: ReadonlyMap<string, KernelMap>;
  readonly tables: BalancerTables;
  /** What they held; undefined where they are new. */
  readonly adopted: Adopted | undefined;
  /** To be called once the new program runs: drops what only the one before it used. */
  readonly settle: () => void;
}

export interface BalancerMapsOptions {
  /** With its options set, and sized. */
  readonly object: ObjectSpec;
  /** Entries of each CPU's connection table. */
  readonly connectionTableEntries: number;
  /** Entries of each CPU's table of global flows; undefined: none. */
  readonly globalFlowEntries: number | undefined;
  readonly log: PoolLog;
}

/** Run with the types of an object in the kernel, which maps that are created meanwhile keep there. */
function withTypes<T>({ btf }: ObjectSpec, run: (host: KernelMaps) => T): T {
  if (btf === undefined) return run(new KernelMaps());
  const types = new KernelTypes(btf);
  try {
    return run(new KernelMaps(types));
  } finally {
    types.close();
  }
}

/** Maps that are empty. @throws BpfError; what was created is closed then */
export function freshMaps(options: BalancerMapsOptions): BalancerMaps {
  const { object, connectionTableEntries, globalFlowEntries } = options;
  const maps = withTypes(object, (host) => createMaps<KernelMap>(object, host));
  const host = new KernelMaps();
  let tables: BalancerTables | undefined;
  try {
    tables = new BalancerTables(maps, { host });
    tables.attachConnectionTables(host, possibleCpus(), connectionTableEntries);
    if (globalFlowEntries) tables.attachGlobalTables(host, possibleCpus(), globalFlowEntries);
    return { maps, tables, adopted: undefined, settle: () => undefined };
  } catch (error) {
    tables?.close();
    closeAll(maps.values());
    throw error;
  }
}

/**
 * Maps that another process left pinned, where they are what the object wants; those that it did not have are new, and
 * those of another size are copied. The program that runs meanwhile sees nothing of it but connection tables of another
 * size, which it goes on with.
 * @throws PinError PINS_LAYOUT, BpfError; nothing has changed then for the program that runs
 */
export function adoptedMaps(pins: PinDirectory, options: BalancerMapsOptions): BalancerMaps {
  const { object, log } = options;
  const taking = new Taking(pins, options);
  try {
    const maps = withTypes(object, (host) => taking.maps(host));
    const connections = taking.inner('lru_mapping', connectionTableSpec, options.connectionTableEntries);
    const globals = taking.inner('global_lru_maps', globalTableSpec, options.globalFlowEntries);
    const downSets = taking.downSets();
    const tables = new BalancerTables(maps, { host: new KernelMaps() });
    const setOf = new Map(downSets.map(([key, set]) => [hexOf(key), set]));
    const adopted = readAdopted(maps, {
      inner: (_, key) => setOf.get(hexOf(key)),
      trackedFlows: () => tables.trackedFlows(),
    });
    const rows = [...[...adopted.reals.values()].map(({ index }) => index), ...adopted.strayReals];
    tables.adopt({ connections, globals, downSets, reals: rows });
    const settle = () => {
      if (!options.globalFlowEntries) taking.emptySlots('global_lru_maps');
    };
    log('info', 'took over the maps', {
      pins: pins.path,
      vips: adopted.vips.size,
      backends: adopted.reals.size,
    });
    return { maps, tables, adopted, settle };
  } catch (error) {
    taking.close();
    throw error;
  }
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** Types that may have another size than the one before: their entries are copied. An array's rows may only become more. */
const COPIED: ReadonlySet<string> = new Set([
  'HASH',
  'LRU_HASH',
  'LPM_TRIE',
  'HASH_OF_MAPS',
  'ARRAY',
  'PERCPU_ARRAY',
]);
const GROW_ONLY: ReadonlySet<string> = new Set(['ARRAY', 'PERCPU_ARRAY']);
const COPY_ENTRIES = 8192;

/** Opens what is pinned, and keeps it for the end of a take-over that fails. */
class Taking {
  readonly #pins: PinDirectory;
  readonly #options: BalancerMapsOptions;
  readonly #open: KernelMap[] = [];
  readonly #maps = new Map<string, KernelMap>();
  readonly #btf = new Map<number, Btf>();

  constructor(pins: PinDirectory, options: BalancerMapsOptions) {
    this.#pins = pins;
    this.#options = options;
  }

  maps(host: KernelMaps): ReadonlyMap<string, KernelMap> {
    for (const spec of this.#options.object.maps)
      this.#maps.set(spec.name, this.#keep(this.#map(spec, host)));
    return this.#maps;
  }

  /**
   * The tables of all CPUs in a map of maps, whatever their size was.
   * @param entries undefined: none are wanted
   */
  inner(
    name: string,
    specOf: (cpu: number, entries: number) => MapSpec,
    entries: number | undefined,
  ): KernelMap[] {
    if (!entries) return [];
    const outer = this.#maps.get(name)!;
    return Array.from({ length: possibleCpus() }, (_, cpu) => {
      const spec = specOf(cpu, entries);
      const held = outer.openInner(u32(cpu), spec);
      if (held !== undefined) this.#keep(held);
      if (held !== undefined && kernelMapInfo(held.fd, spec.name).maxEntries === entries) return held;
      const table = this.#keep(new KernelMaps().createMap(spec));
      if (held !== undefined) copy(held, table);
      this.#check(name, outer.updateInner(u32(cpu), table));
      // The program goes on with the new one: what it noted in the old one meanwhile.
      if (held !== undefined) copy(held, table);
      return table;
    });
  }

  /** The sets of down backends, by the key of their VIP. */
  downSets(): (readonly [key: Uint8Array, set: KernelMap])[] {
    const outer = this.#maps.get('vip_to_down_reals_map')!;
    const rows = this.#maps.get('reals')!.spec.maxEntries;
    const sets: (readonly [Uint8Array, KernelMap])[] = [];
    for (let key = outer.nextKey(); key !== undefined; key = outer.nextKey(key)) {
      const held = outer.openInner(key, downRealsSpec(rows));
      if (held !== undefined) sets.push([key, this.#keep(held)]);
    }
    return sets;
  }

  emptySlots(name: string): void {
    const outer = this.#maps.get(name)!;
    for (let cpu = 0; cpu < outer.spec.maxEntries; cpu++) outer.delete(u32(cpu));
  }

  close(): void {
    closeAll(this.#open);
  }

  #keep(map: KernelMap): KernelMap {
    this.#open.push(map);
    return map;
  }

  #map(spec: MapSpec, host: KernelMaps): KernelMap {
    const path = isShared(spec) ? this.#pins.mapPath(spec.name) : undefined;
    if (path === undefined) return host.createMap(spec);
    const fd = openPin(path);
    const held = new KernelMap(spec, fd);
    let info: KernelMapInfo;
    try {
      info = kernelMapInfo(fd, `pin ${path}`);
      this.#compare(spec, info);
    } catch (error) {
      held.close();
      throw error;
    }
    if (info.maxEntries === spec.maxEntries) return held;
    const before = new KernelMap({ ...spec, maxEntries: info.maxEntries }, fd);
    try {
      return this.#resized(before, spec, host);
    } finally {
      before.close();
    }
  }

  #resized(before: KernelMap, spec: MapSpec, host: KernelMaps): KernelMap {
    const { name, type, maxEntries } = spec;
    const from = before.spec.maxEntries;
    const map = host.createMap(spec);
    try {
      // A ring's records are for the reader who is gone.
      if (type !== 'RINGBUF') {
        if (!COPIED.has(type) || (GROW_ONLY.has(type) && maxEntries < from))
          throw this.#layout(name, `it has ${from} entries, ${maxEntries} are wanted`);
        const status = type === 'HASH_OF_MAPS' ? copyInner(before, map) : copy(before, map);
        if (status !== 0) throw this.#layout(name, `what it holds does not fit ${maxEntries} entries`);
      }
    } catch (error) {
      map.close();
      throw error;
    }
    this.#options.log('info', 'a map has another size now', { map: name, from, to: maxEntries });
    return map;
  }

  #compare(spec: MapSpec, info: KernelMapInfo): void {
    for (const [what, there, wanted] of [
      ['its type is', info.type ?? 'not known', spec.type],
      ['the length of its keys is', info.keySize, spec.keySize],
      ['the length of its values is', info.valueSize, spec.valueSize],
      ['its flags are', info.flags, spec.flags],
    ] as const) {
      if (there !== wanted) throw this.#layout(spec.name, `${what} ${there}, wanted ${wanted}`);
    }
    const { btf } = this.#options.object;
    if (info.btfId === 0 || btf === undefined) return;
    const held = this.#types(info.btfId);
    for (const [what, there, wanted] of [
      ['key', info.keyTypeId, spec.keyTypeId],
      ['value', info.valueTypeId, spec.valueTypeId],
    ] as const) {
      if (there === 0 || wanted === undefined) continue;
      const [is, want] = [formatC(held, [there]), formatC(btf, [wanted])];
      if (is !== want)
        throw this.#layout(spec.name, `its ${what} is ${oneLine(is)}, wanted ${oneLine(want)}`);
    }
  }

  #types(id: number): Btf {
    const known = this.#btf.get(id) ?? parseBtf(kernelBtf(id));
    this.#btf.set(id, known);
    return known;
  }

  #check(map: string, status: number): void {
    if (status !== 0) throw this.#layout(map, `a table of another size is refused (errno ${-status})`);
  }

  #layout(map: string, reason: string): PinError {
    return new PinError(
      { code: 'PINS_LAYOUT', directory: this.#pins.path, map, reason },
      `pin: the map ${map} that is pinned at ${this.#pins.path} is not what this program wants: ${reason}. ` +
        "Forwarding goes on as it was: start the version and the options that made it, or remove it with 'waggle down', which stops forwarding until the next start",
    );
  }
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** Copy every entry. @returns 0, or the negative errno of what does not fit */
function copy(from: KernelMap, to: KernelMap): number {
  let next: Uint8Array | undefined;
  do {
    const batch = from.lookupBatch(COPY_ENTRIES, next);
    const status = to.updateBatch(batch.keys, batch.values, batch.count);
    if (status !== 0) return status;
    next = batch.next;
  } while (next !== undefined);
  return 0;
}

function copyInner(from: KernelMap, to: KernelMap): number {
  for (let key = from.nextKey(); key !== undefined; key = from.nextKey(key)) {
    const set = from.openInner(key, downRealsSpec());
    if (set === undefined) continue;
    const status = to.updateInner(key, set);
    set.close();
    if (status !== 0) return status;
  }
  return 0;
}
