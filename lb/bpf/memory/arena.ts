import { CodedError } from '../../errors.js';
import {
  ARENA_LAYOUT_VERSION,
  ARENA_MAGIC,
  CPU_BLOCK_BYTES,
  CPU_BLOCKS_OFFSET,
  CPU_PRANDOM,
  DIR_COOKIE_SECRET,
  DIR_CPUS,
  DIR_LAYOUT_VERSION,
  DIR_MAGIC,
  DIR_MAPS_BYTES,
  DIR_MAPS_OFFSET,
  DIR_RINGS_BYTES,
  DIR_RINGS_OFFSET,
  DIRECTORY_OFFSET,
  WASM_PAGE_BYTES,
} from './layout.js';

/** The kernel maps rings by whole pages (mmap with MAP_FIXED); regions begin and end on one. */
export const REGION_ALIGN_BYTES = 4096;
/** What a 32-bit wasm memory can address. */
export const ARENA_MAX_BYTES = 65536 * WASM_PAGE_BYTES;
/** A lock word names its owner in 8 bits, 0 for nobody, and the last CPU is the control plane's. */
export const ARENA_MAX_WORKERS = 253;

type ArenaFault =
  | { readonly code: 'ARENA_WORKERS'; readonly workers: number; readonly max: number }
  | { readonly code: 'ARENA_REGION'; readonly region: 'maps' | 'rings'; readonly bytes: number }
  | { readonly code: 'ARENA_TOO_LARGE'; readonly needBytes: number; readonly maxBytes: number }
  | { readonly code: 'ARENA_MEMORY'; readonly needBytes: number }
  | { readonly code: 'ARENA_NOT_SHARED' }
  | { readonly code: 'ARENA_MAGIC'; readonly magic: number; readonly layoutVersion: number }
  | { readonly code: 'ARENA_CPU'; readonly cpu: number; readonly cpus: number };

export class ArenaError extends CodedError<ArenaFault> {}

/** A contiguous part of the arena: offset and length, bytes. */
export interface Region {
  readonly offset: number;
  readonly bytes: number;
}

export interface ArenaOptions {
  /** Worker threads, 1–253. Programs see one CPU a worker and one more, the control plane's. */
  readonly workers: number;
  /** Room for maps: the sum of `mapBytes` over all of them. */
  readonly mapsBytes: number;
  /** Room for the rings of all workers, 0 where there are none. */
  readonly ringsBytes: number;
  /** Where the CPUs' pseudo-random states and the secret of SYN cookies come from; the platform's generator unless given. */
  readonly randomU64?: () => bigint;
}

const roundUp = (bytes: number, unit: number) => Math.ceil(bytes / unit) * unit;
const platformRandom = (): bigint => crypto.getRandomValues(new BigUint64Array(1))[0]!;

/**
 * The one shared memory of a process: directory, a block for each CPU, the maps, the rings (see layout.ts).
 * A BPF pointer is an offset in it; offset 0 is NULL. Its pages are zero, and take no memory until written.
 * The `memory` is posted to workers, each of which calls `Arena.attach`.
 */
export class Arena {
  readonly memory: WebAssembly.Memory;
  readonly cpus: number;
  readonly maps: Region;
  readonly rings: Region;
  /** The whole arena, little endian as wasm sees it. */
  readonly u8: Uint8Array<SharedArrayBuffer>;
  readonly u32: Uint32Array<SharedArrayBuffer>;
  readonly i32: Int32Array<SharedArrayBuffer>;
  readonly u64: BigUint64Array<SharedArrayBuffer>;

  private constructor(memory: WebAssembly.Memory, buffer: SharedArrayBuffer) {
    this.memory = memory;
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.cpus = this.#directory(DIR_CPUS);
    this.maps = { offset: this.#directory(DIR_MAPS_OFFSET), bytes: this.#directory(DIR_MAPS_BYTES) };
    this.rings = { offset: this.#directory(DIR_RINGS_OFFSET), bytes: this.#directory(DIR_RINGS_BYTES) };
  }

  #directory(word: number): number {
    return this.u32[(DIRECTORY_OFFSET + word) >>> 2]!;
  }

  /**
   * @throws ArenaError ARENA_WORKERS, ARENA_REGION, ARENA_TOO_LARGE (over 4 GiB), ARENA_MEMORY (the host refuses)
   */
  static create({ workers, mapsBytes, ringsBytes, randomU64 = platformRandom }: ArenaOptions): Arena {
    if (!Number.isInteger(workers) || workers < 1 || workers > ARENA_MAX_WORKERS) {
      throw new ArenaError(
        { code: 'ARENA_WORKERS', workers, max: ARENA_MAX_WORKERS },
        `${workers} workers: between 1 and ${ARENA_MAX_WORKERS} are possible`,
      );
    }
    for (const [region, bytes] of [
      ['maps', mapsBytes],
      ['rings', ringsBytes],
    ] as const) {
      if (!Number.isSafeInteger(bytes) || bytes < 0) {
        throw new ArenaError(
          { code: 'ARENA_REGION', region, bytes },
          `the ${region} region cannot have ${bytes} bytes`,
        );
      }
    }
    const cpus = workers + 1;
    const mapsOffset = CPU_BLOCKS_OFFSET + cpus * CPU_BLOCK_BYTES;
    const mapsSize = roundUp(mapsBytes, REGION_ALIGN_BYTES);
    const ringsOffset = mapsOffset + mapsSize;
    const ringsSize = roundUp(ringsBytes, REGION_ALIGN_BYTES);
    const needBytes = ringsOffset + ringsSize;
    if (needBytes > ARENA_MAX_BYTES) {
      throw new ArenaError(
        { code: 'ARENA_TOO_LARGE', needBytes, maxBytes: ARENA_MAX_BYTES },
        `maps (${mapsSize} bytes) and rings (${ringsSize} bytes) of ${workers} workers need an arena of ` +
          `${needBytes} bytes; ${ARENA_MAX_BYTES} can be addressed: make maps or rings smaller`,
      );
    }
    const { memory, buffer } = allocate(needBytes);
    const u32 = new Uint32Array(buffer);
    const set = (word: number, value: number) => {
      u32[(DIRECTORY_OFFSET + word) >>> 2] = value;
    };
    set(DIR_LAYOUT_VERSION, ARENA_LAYOUT_VERSION);
    set(DIR_CPUS, cpus);
    set(DIR_MAPS_OFFSET, mapsOffset);
    set(DIR_MAPS_BYTES, mapsSize);
    set(DIR_RINGS_OFFSET, ringsOffset);
    set(DIR_RINGS_BYTES, ringsSize);
    set(DIR_MAGIC, ARENA_MAGIC);
    const arena = new Arena(memory, buffer);
    for (let cpu = 0; cpu < cpus; cpu++) {
      // xorshift stays at 0 for ever once it is there.
      arena.u64[(arena.block(cpu) + CPU_PRANDOM) / 8] = randomU64() | 1n;
    }
    for (const half of [0, 8]) arena.u64[(DIRECTORY_OFFSET + DIR_COOKIE_SECRET + half) / 8] = randomU64();
    return arena;
  }

  /**
   * The arena that another thread created, over the memory that it posted.
   * @throws ArenaError ARENA_NOT_SHARED, ARENA_MAGIC
   */
  static attach(memory: WebAssembly.Memory): Arena {
    const { buffer } = memory;
    if (!(buffer instanceof SharedArrayBuffer)) {
      throw new ArenaError({ code: 'ARENA_NOT_SHARED' }, 'the memory is not shared: an arena is');
    }
    const words = new Uint32Array(buffer);
    const magic = words[(DIRECTORY_OFFSET + DIR_MAGIC) >>> 2] ?? 0;
    const layoutVersion = words[(DIRECTORY_OFFSET + DIR_LAYOUT_VERSION) >>> 2] ?? 0;
    if (magic !== ARENA_MAGIC || layoutVersion !== ARENA_LAYOUT_VERSION) {
      throw new ArenaError(
        { code: 'ARENA_MAGIC', magic, layoutVersion },
        `no arena of layout ${ARENA_LAYOUT_VERSION} in this memory (magic 0x${magic.toString(16)}, layout ${layoutVersion})`,
      );
    }
    return new Arena(memory, buffer);
  }

  /** The CPU that programs never run on: the control plane's own. */
  get controlCpu(): number {
    return this.cpus - 1;
  }

  /**
   * Offset of a CPU's block (CPU_BLOCK_BYTES long).
   * @throws ArenaError ARENA_CPU
   */
  block(cpu: number): number {
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= this.cpus) {
      throw new ArenaError(
        { code: 'ARENA_CPU', cpu, cpus: this.cpus },
        `no CPU ${cpu}: the arena has ${this.cpus}`,
      );
    }
    return CPU_BLOCKS_OFFSET + cpu * CPU_BLOCK_BYTES;
  }
}

function allocate(needBytes: number): { memory: WebAssembly.Memory; buffer: SharedArrayBuffer } {
  const pages = Math.ceil(needBytes / WASM_PAGE_BYTES);
  try {
    // Never grown, so that views stay whole and the kernel's mappings stay inside.
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return { memory, buffer: memory.buffer as SharedArrayBuffer };
  } catch (cause) {
    throw new ArenaError(
      { code: 'ARENA_MEMORY', needBytes },
      `the host gives no memory of ${needBytes} bytes`,
      { cause },
    );
  }
}
