import type { Arena } from '../memory/arena.js';
import {
  DIR_MAPS_TAKEN,
  DIRECTORY_OFFSET,
  HASH_MULTIPLIERS,
  HASH_SEED,
  MAP_CPU_STRIDE,
  MAP_CPUS,
  MAP_DATA,
  MAP_FLAGS as MAP_FLAGS_WORD,
  MAP_FROZEN,
  MAP_FROZEN_PROGRAMS,
  MAP_ID,
  MAP_KEY_SIZE,
  MAP_LOCK,
  MAP_MAX_ENTRIES,
  MAP_TYPE,
  MAP_VALUE_SIZE,
  MAP_VALUE_STRIDE,
} from '../memory/layout.js';
import { ArenaMap, type ArenaMapHost, type ArenaMapInfo } from './arena-map.js';
import { MAP_FLAGS, MAP_TYPES, type MapHost, type MapSpec } from './map.js';
import { MapError, type MapPlan, planMap } from './plan.js';
import { ProgramNumbers } from './program-numbers.js';
import type { References } from './references.js';
import { instantiateRuntime, type Runtime } from './runtime.js';

export { ArenaMap, type ArenaMapInfo } from './arena-map.js';
export { MapError, mapBytes } from './plan.js';

export interface ArenaMapsOptions {
  /** The thread's runtime; one for the control plane's CPU is made unless given. */
  readonly runtime?: Runtime;
  /** Where the hash functions' secrets come from; the platform's generator unless given. */
  readonly randomU64?: () => bigint;
  /** Who knows interfaces and sockets that maps name; each is taken for there unless given. */
  readonly references?: Pick<References, 'isInterface' | 'isSocket'>;
}

const platformRandom = (): bigint => crypto.getRandomValues(new BigUint64Array(1))[0]!;

/**
 * The maps of an arena: lays them out in its maps region, and keeps them by number. One a process, used by
 * the control plane's thread; workers need descriptors only.
 */
export class ArenaMaps implements MapHost {
  readonly arena: Arena;
  readonly runtime: Runtime;
  /** Programs that maps may name. */
  readonly programs = new ProgramNumbers();
  readonly #host: ArenaMapHost;
  readonly #randomU64: () => bigint;
  readonly #maps = new Map<number, ArenaMap>();
  /** Where the live maps lie, by offset. */
  readonly #extents: { offset: number; end: number; id: number }[] = [];
  /** Up to here the region was used once: memory beyond is zero. */
  #highWater: number;
  #lastId = 0;

  /** @throws MapError MAP_REGION_TAKEN where the arena has its ArenaMaps already */
  constructor(arena: Arena, options: ArenaMapsOptions = {}) {
    if (Atomics.exchange(arena.u32, (DIRECTORY_OFFSET + DIR_MAPS_TAKEN) >>> 2, 1) !== 0) {
      throw new MapError(
        { code: 'MAP_REGION_TAKEN' },
        'the maps of this arena are laid out by another already',
      );
    }
    this.arena = arena;
    this.runtime = options.runtime ?? instantiateRuntime(arena.memory, arena.controlCpu);
    this.#randomU64 = options.randomU64 ?? platformRandom;
    this.#highWater = arena.maps.offset;
    this.#host = {
      arena,
      runtime: this.runtime,
      references: { ...options.references, programs: this.programs, cpus: arena.cpus },
      get: (id) => this.#maps.get(id),
      release: (map) => this.#release(map),
    };
  }

  /**
   * @throws MapError MAP_SPEC (what the kernel refuses too, with its errno), MAP_NO_ROOM
   */
  createMap(spec: MapSpec): ArenaMap {
    const plan = planMap(spec, this.arena.cpus);
    const id = this.#lastId + 1;
    const start = this.#place(spec, plan, id);
    this.#lastId = id;
    const info = describe(spec, plan, id, start, this.arena.cpus);
    this.#writeDescriptor(info, plan, start);
    this.runtime.exports.map_init(start);
    if (spec.initial !== undefined) this.arena.u8.set(spec.initial, info.data);
    const map = new ArenaMap(this.#host, spec, info, start + plan.staging);
    this.#maps.set(id, map);
    if (spec.frozen === true) map.freeze();
    return map;
  }

  /** The live map of this number (`info.id`, and a map-in-map's value). */
  get(id: number): ArenaMap | undefined {
    return this.#maps.get(id);
  }

  /** The live maps, oldest first. */
  get all(): readonly ArenaMap[] {
    return [...this.#maps.values()];
  }

  /**
   * Free the locks and elements that a CPU held whose thread died. To be called before the CPU runs again;
   * the other CPUs may go on meanwhile.
   */
  recover(cpu: number): void {
    // Throws for a CPU that is not there.
    this.arena.block(cpu);
    for (const map of this.#maps.values()) this.runtime.exports.map_recover(map.info.descriptor, cpu);
  }

  /** First fit; cleared where something was before. */
  #place(spec: MapSpec, plan: MapPlan, id: number): number {
    const { maps: region, u8 } = this.arena;
    let offset = region.offset;
    let index = 0;
    for (const extent of this.#extents) {
      if (extent.offset - offset >= plan.bytes) break;
      offset = extent.end;
      index++;
    }
    const end = offset + plan.bytes;
    const regionEnd = region.offset + region.bytes;
    if (end > regionEnd) {
      const freeBytes = regionEnd - offset;
      throw new MapError(
        { code: 'MAP_NO_ROOM', map: spec.name, needBytes: plan.bytes, freeBytes },
        `map ${spec.name} needs ${plan.bytes} bytes of the arena's maps region; ${freeBytes} of ${region.bytes} are free`,
      );
    }
    if (offset < this.#highWater) u8.fill(0, offset, Math.min(end, this.#highWater));
    this.#highWater = Math.max(this.#highWater, end);
    this.#extents.splice(index, 0, { offset, end, id });
    return offset;
  }

  #writeDescriptor(info: ArenaMapInfo, plan: MapPlan, start: number): void {
    const { u32, u64 } = this.arena;
    const set = (word: number, value: number) => {
      u32[(start + word) >>> 2] = value;
    };
    set(MAP_TYPE, MAP_TYPES[info.type]);
    set(MAP_KEY_SIZE, info.keySize);
    set(MAP_VALUE_SIZE, info.valueSize);
    set(MAP_MAX_ENTRIES, info.maxEntries);
    set(MAP_FLAGS_WORD, info.flags);
    set(MAP_ID, info.id);
    set(MAP_CPUS, info.cpus);
    set(MAP_VALUE_STRIDE, info.valueStride);
    set(MAP_DATA, info.data);
    set(MAP_CPU_STRIDE, info.cpuStride);
    set(MAP_FROZEN, (info.flags & MAP_FLAGS.BPF_F_RDONLY_PROG) !== 0 ? MAP_FROZEN_PROGRAMS : 0);
    if (info.lockOffset !== undefined) set(MAP_LOCK, info.lockOffset + 1);
    for (const [word, value] of plan.numbers) set(word, value);
    for (const [word, value] of plan.places) {
      set(word, start + value);
      if (word !== HASH_SEED) continue;
      for (let i = 0; i < HASH_MULTIPLIERS; i++) u64[(start + value) / 8 + i] = this.#randomU64();
    }
  }

  #release(map: ArenaMap): void {
    this.#maps.delete(map.info.id);
    this.#extents.splice(
      this.#extents.findIndex((extent) => extent.id === map.info.id),
      1,
    );
  }
}

function describe(spec: MapSpec, plan: MapPlan, id: number, start: number, cpus: number): ArenaMapInfo {
  const { keySize, valueSize, maxEntries, flags, inner, lockOffset } = spec;
  const { type, valueStride, cpuStride } = plan;
  const shape = { id, type, keySize, valueSize, maxEntries, flags, cpus: plan.cpus, valueStride, cpuStride };
  const place = { descriptor: start, data: plan.data === 0 ? 0 : start + plan.data };
  const info = { ...shape, ...place, ...(lockOffset === undefined ? {} : { lockOffset }) };
  const constants = constantsOf(spec);
  if (constants !== undefined) return { ...info, constants };
  if (inner === undefined || (type !== 'ARRAY_OF_MAPS' && type !== 'HASH_OF_MAPS')) return info;
  const template = describe(inner, planMap(inner, cpus), 0, 0, cpus);
  return { ...info, inner: { ...template, data: 0 } };
}

/** The value that neither programs nor bpf() can change once the map is made. */
function constantsOf({ initial, frozen, flags, valueSize, maxEntries }: MapSpec): Uint8Array | undefined {
  if (frozen !== true || (flags & MAP_FLAGS.BPF_F_RDONLY_PROG) === 0 || maxEntries !== 1) return undefined;
  const value = new Uint8Array(valueSize);
  value.set(initial ?? []);
  return value;
}
