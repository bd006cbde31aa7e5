import { readFileSync } from 'node:fs';
import { type Executable, XDP_DROP, XDP_PASS, XDP_TX } from '../lb/bpf/engine/context.js';
import { decodeProgram } from '../lb/bpf/isa/codec.js';
import { compileProgram, instantiateProgram } from '../lb/bpf/jit/compile.js';
import type { LeftOut, Optimisation } from '../lb/bpf/jit/optimisations.js';
import type { ArenaMap } from '../lb/bpf/maps/arena-map.js';
import { ArenaMaps, mapBytes } from '../lb/bpf/maps/registry.js';
import { instantiateRuntime, type Runtime } from '../lb/bpf/maps/runtime.js';
import { Arena } from '../lb/bpf/memory/arena.js';
import {
  CPU_XDP_MD,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
} from '../lb/bpf/memory/layout.js';
import { createMaps } from '../lb/bpf/object/create-maps.js';
import { loadObject } from '../lb/bpf/object/load.js';
import { parseIp } from '../lb/net/address.js';
import { clientFrame } from './frames.js';

/** Folder of the objects, from the sources and from dist/ alike. */
const OBJECTS = new URL(
  import.meta.url.includes('/dist/') ? '../../test/samples/build/' : '../test/samples/build/',
  import.meta.url,
);
const HEADROOM_BYTES = 256;
const FRAME_ROOM_BYTES = 2048;
const CPU = 0;

/** A datagram that every sample here takes the long way with. */
const FRAME = clientFrame(
  { client: parseIp('198.18.0.1'), clientPort: 40_000, vip: parseIp('192.0.2.80'), vipPort: 53 },
  'udp',
  new Uint8Array(64).fill(0x5a),
);

/** r0 = XDP_PASS; exit: what it costs to run a program at all. */
const EMPTY = Uint8Array.of(0xb7, 0, 0, 0, XDP_PASS, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);

/** A program of test/samples that shows what an optimisation is for. */
export interface SampleCase {
  readonly object: string;
  readonly program: string;
  readonly what: string;
  readonly shows: Optimisation;
  /** Of the first run on the frame. */
  readonly verdict: number;
}

export const SAMPLE_CASES: readonly SampleCase[] = [
  {
    object: 'packed',
    program: 'rewrite',
    shows: 'merged-accesses',
    what: 'fields without alignment',
    verdict: XDP_PASS,
  },
  {
    object: 'packed',
    program: 'rewrite',
    shows: 'byte-swaps',
    what: 'numbers of 64 bits in network order',
    verdict: XDP_PASS,
  },
  {
    object: 'packed',
    program: 'reflect',
    shows: 'merged-accesses',
    what: 'MAC addresses exchanged',
    verdict: XDP_TX,
  },
  {
    object: 'types',
    program: 'typed',
    shows: 'dead-stores',
    what: 'keys and values of many types',
    verdict: XDP_PASS,
  },
  {
    object: 'ratelimit',
    program: 'limit',
    shows: 'frozen-constants',
    what: 'limits that are constants of the object',
    verdict: XDP_PASS,
  },
  {
    object: 'firewall',
    program: 'firewall',
    shows: 'inline-percpu-array',
    what: 'counters for each CPU',
    verdict: XDP_PASS,
  },
  {
    object: 'checksum',
    program: 'dnat',
    shows: 'inline-checksum',
    what: 'an address exchanged in two checksums',
    verdict: XDP_TX,
  },
  {
    object: 'checksum',
    program: 'recompute',
    shows: 'inline-checksum',
    what: 'checksum of an IPv4 header',
    verdict: XDP_TX,
  },
  {
    object: 'callbacks',
    program: 'walk_array',
    shows: 'direct-calls',
    what: 'an array walked by callbacks',
    verdict: XDP_DROP,
  },
];

/** A sample with its maps, under as many compilations as are asked for. */
export class SampleRig {
  readonly #arena: Arena;
  readonly #runtime: Runtime;
  readonly #maps: ReadonlyMap<string, ArenaMap>;
  readonly #code: Uint8Array;

  /** @throws Error where the object has no such program */
  constructor({ object, program }: SampleCase) {
    const bytes = new Uint8Array(readFileSync(new URL(`${object}.bpf.o`, OBJECTS)));
    const spec = loadObject(bytes);
    const found = spec.programs.find(({ name }) => name === program);
    if (found === undefined) throw new Error(`the sample ${object} has no program ${program}`);
    const mapsBytes = spec.maps.reduce((sum, map) => sum + mapBytes(map, 2), 1 << 16);
    this.#arena = Arena.create({ workers: 1, mapsBytes, ringsBytes: FRAME_ROOM_BYTES });
    this.#maps = createMaps(spec, new ArenaMaps(this.#arena));
    this.#runtime = instantiateRuntime(this.#arena.memory, CPU);
    this.#code = found.code;
  }

  /** The sample without some optimisations, or the empty program. */
  compile(without: LeftOut | 'empty'): Uint8Array<ArrayBuffer> {
    if (without === 'empty') return compileProgram(decodeProgram(EMPTY), []).wasm;
    const maps = [...this.#maps.values()].map(({ info }) => info);
    return compileProgram(decodeProgram(this.#code), maps, { without }).wasm;
  }

  instantiate(wasm: Uint8Array<ArrayBuffer>): Executable {
    return instantiateProgram(new WebAssembly.Module(wasm), this.#runtime);
  }

  /** Puts the frame into place, and gives the context for a run on it. */
  place(): number {
    const { u8, u32, rings } = this.#arena;
    const context = this.#arena.block(CPU) + CPU_XDP_MD;
    const data = rings.offset + HEADROOM_BYTES;
    u8.fill(0, rings.offset, rings.offset + FRAME_ROOM_BYTES);
    u8.set(FRAME, data);
    for (const [field, value] of [
      [XDP_MD_DATA, data],
      [XDP_MD_DATA_META, data],
      [XDP_MD_DATA_END, data + FRAME.length],
      [XDP_MD_HARD_START, rings.offset],
      [XDP_MD_HARD_END, rings.offset + FRAME_ROOM_BYTES],
    ] as const)
      u32[(context + field) >>> 2] = value;
    return context;
  }

  /** Maps as they are at first: without entries, or with what the object says, or zeros. */
  reset(): void {
    for (const map of this.#maps.values()) {
      // What programs cannot write is as it was.
      if (map.info.constants !== undefined) continue;
      const keys: Uint8Array[] = [];
      map.forEach((key) => {
        keys.push(key.slice());
      });
      for (const key of keys)
        if (map.delete(key) !== 0) map.update(key, map.spec.initial ?? new Uint8Array(map.valueBytes));
    }
  }

  /** Where the frame and the room around it are. */
  get room(): Uint8Array {
    const { offset } = this.#arena.rings;
    return this.#arena.u8.subarray(offset, offset + FRAME_ROOM_BYTES);
  }

  /** ns a run, over `repeat` runs on one frame in place: what one leaves is what the next works on. */
  timeNs(program: Executable, repeat: number): number {
    const context = this.place();
    const start = process.hrtime.bigint();
    for (let i = 0; i < repeat; i++) program.run(context);
    return Number(process.hrtime.bigint() - start) / repeat;
  }
}
