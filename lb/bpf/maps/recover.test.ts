import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { Arena } from '../memory/arena.js';
import {
  AREA_BYTES,
  AREA_END,
  AREA_FREE,
  AREA_GROW_LOCK,
  AREA_GROWN,
  AREA_INSERTING,
  AREA_LOCK,
  AREA_NEXT,
  AREA_RING,
  BUCKET_BYTES,
  BUCKET_LOCK,
  CPU_SCRATCH,
  ELEMENT_HASH,
  ELEMENT_HOLDER,
  ELEMENT_KEY,
  ELEMENT_LINK,
  ELEMENT_LINKED,
  ELEMENT_NEXT,
  HASH_AREAS,
  HASH_BUCKETS,
  HASH_MASK,
  HASH_STRIDE,
} from '../memory/layout.js';
import { auditHash } from './audit.js';
import { MAP_FLAGS, type MapSpec } from './map.js';
import { type ArenaMap, ArenaMaps } from './registry.js';
import { instantiateRuntime } from './runtime.js';
import { runtimeWasm } from './runtime-wasm.gen.js';

const DEAD = 0;
const SIGN = DEAD + 1;
const HASH: MapSpec = { name: 'h', type: 'HASH', keySize: 4, valueSize: 8, maxEntries: 100, flags: 0 };
const ENTRIES = 10;
const KINDS = {
  HASH: HASH,
  LRU_HASH: { ...HASH, type: 'LRU_HASH' },
  PERCPU_HASH: { ...HASH, type: 'PERCPU_HASH' },
  LRU_PERCPU_HASH: { ...HASH, type: 'LRU_PERCPU_HASH' },
  /** A part of 100 elements for each of the two CPUs. */
  'LRU_HASH in parts': { ...HASH, type: 'LRU_HASH', flags: MAP_FLAGS.BPF_F_NO_COMMON_LRU, maxEntries: 200 },
} as const satisfies Record<string, MapSpec>;
type Kind = keyof typeof KINDS;
const ALL = Object.keys(KINDS) as Kind[];

/** A hash with the keys 0 to 9, written and one of them deleted by CPU 0, which then dies as a row says. */
class Scene {
  readonly arena = Arena.create({ workers: 1, mapsBytes: 1 << 20, ringsBytes: 0 });
  readonly maps = new ArenaMaps(this.arena);
  readonly map: ArenaMap;
  readonly own: number;
  readonly shared: number;
  readonly stride: number;

  constructor(kind: Kind) {
    this.map = this.maps.createMap(KINDS[kind]);
    this.own = this.word(this.map.info.descriptor + HASH_AREAS);
    this.shared = this.own + this.arena.cpus * AREA_BYTES;
    this.stride = this.word(this.map.info.descriptor + HASH_STRIDE);
    const { map_update: update, map_delete: remove } = instantiateRuntime(this.arena.memory, DEAD).exports;
    const scratch = this.arena.block(DEAD) + CPU_SCRATCH;
    for (let key = 0; key < 30; key++) {
      this.arena.u32[scratch / 4] = key;
      expect(update(this.map.info.descriptor, scratch, scratch, 0)).toBe(0);
    }
    for (let key = ENTRIES; key < 30; key++) {
      this.arena.u32[scratch / 4] = key;
      expect(remove(this.map.info.descriptor, scratch)).toBe(0);
    }
  }

  word(offset: number): number {
    return this.arena.u32[offset / 4]!;
  }
  set(offset: number, value: number): void {
    this.arena.u32[offset / 4] = value;
  }
  hold(element: number, sign: number): void {
    this.arena.u8[element + ELEMENT_HOLDER] = sign;
  }
  /** The first element that is linked at a bucket's head, and its bucket. */
  linked(): { bucket: number; element: number } {
    const buckets = this.word(this.map.info.descriptor + HASH_BUCKETS);
    const mask = this.word(this.map.info.descriptor + HASH_MASK);
    for (let i = 0; i <= mask; i++) {
      const bucket = buckets + i * BUCKET_BYTES;
      if (this.word(bucket) !== 0) return { bucket, element: this.word(bucket) };
    }
    throw new Error('the map is empty');
  }
  lock(bucket: number): void {
    this.set(bucket + BUCKET_LOCK, this.word(bucket + BUCKET_LOCK) | SIGN);
  }
  /** The area that the dead CPU's free elements are on. */
  get home(): number {
    const { type, flags } = this.map.info;
    const isCommon = type.startsWith('LRU') && (flags & MAP_FLAGS.BPF_F_NO_COMMON_LRU) === 0;
    return isCommon ? this.shared : this.own;
  }
  /** Off the free list, into the dead CPU's hands. */
  take(): number {
    const element = this.word(this.home + AREA_FREE);
    expect(element).not.toBe(0);
    this.hold(element, SIGN);
    this.set(this.home + AREA_FREE, this.word(element + ELEMENT_LINK));
    return element;
  }
  /** The bucket that an element's key belongs to. */
  bucketOf(element: number): number {
    const { descriptor } = this.map.info;
    const index = this.word(element + ELEMENT_HASH) & this.word(descriptor + HASH_MASK);
    return this.word(descriptor + HASH_BUCKETS) + index * BUCKET_BYTES;
  }
  /** An insert up to the store that links: the key that the element had is written again. */
  insertUnlinked(): { bucket: number; fresh: number } {
    const fresh = this.take();
    const bucket = this.bucketOf(fresh);
    this.lock(bucket);
    this.announce(fresh, this.word(bucket));
    return { bucket, fresh };
  }
  /** A replacement up to the store that links. */
  replaceUnlinked(): { bucket: number; fresh: number } {
    const { bucket, element } = this.linked();
    const fresh = this.word(this.own + AREA_RING);
    this.lock(bucket);
    this.set(fresh + ELEMENT_HASH, this.word(element + ELEMENT_HASH));
    this.set(fresh + ELEMENT_KEY, this.word(element + ELEMENT_KEY));
    this.announce(fresh, this.word(element + ELEMENT_NEXT));
    this.hold(element, SIGN);
    return { bucket, fresh };
  }
  announce(element: number, next: number): void {
    this.set(element + ELEMENT_NEXT, next);
    this.set(this.own + AREA_INSERTING, element);
    this.hold(element, ELEMENT_LINKED);
  }
}

/** Where the CPU dies: what is done of an operation, and how many entries there are afterwards. */
const DEATHS: readonly {
  readonly at: string;
  readonly entries: number;
  readonly die: (scene: Scene) => void;
}[] = [
  { at: 'nowhere', entries: ENTRIES, die: () => {} },
  { at: 'a locked bucket', entries: ENTRIES, die: (s) => s.lock(s.linked().bucket) },
  {
    at: 'an insert: element taken',
    entries: ENTRIES,
    die: (s) => {
      s.lock(s.linked().bucket);
      s.take();
    },
  },
  { at: 'an insert: announced, not linked', entries: ENTRIES, die: (s) => void s.insertUnlinked() },
  {
    at: 'an insert: linked, lock not opened',
    entries: ENTRIES + 1,
    die: (s) => {
      const { bucket, fresh } = s.insertUnlinked();
      s.set(bucket, fresh);
    },
  },
  { at: 'a replacement: announced, old one marked', entries: ENTRIES, die: (s) => void s.replaceUnlinked() },
  {
    at: 'a replacement: linked, old one not in the ring',
    entries: ENTRIES,
    die: (s) => {
      const { bucket, fresh } = s.replaceUnlinked();
      s.set(bucket, fresh);
    },
  },
  {
    at: 'a delete: marked, still linked',
    entries: ENTRIES,
    die: (s) => {
      const { bucket, element } = s.linked();
      s.lock(bucket);
      s.hold(element, SIGN);
    },
  },
  {
    at: 'a delete: unlinked, not laid to rest',
    entries: ENTRIES - 1,
    die: (s) => {
      const { bucket, element } = s.linked();
      s.hold(element, SIGN);
      s.set(bucket, s.word(element + ELEMENT_NEXT));
    },
  },
  {
    at: 'a take: marked, still on the list',
    entries: ENTRIES,
    die: (s) => {
      s.set(s.home + AREA_LOCK, SIGN);
      s.hold(s.word(s.home + AREA_FREE), SIGN);
    },
  },
  {
    at: 'a take of an unused element: marked only',
    entries: ENTRIES,
    die: (s) => {
      s.set(s.own + AREA_LOCK, SIGN);
      if (s.word(s.own + AREA_NEXT) !== s.word(s.own + AREA_END)) s.hold(s.word(s.own + AREA_NEXT), SIGN);
    },
  },
  {
    at: 'a gift: on the list, still marked',
    entries: ENTRIES,
    die: (s) => {
      const element = s.take();
      s.set(s.home + AREA_LOCK, SIGN);
      s.set(s.home + AREA_FREE, element);
    },
  },
  {
    at: 'growth: its start written',
    entries: ENTRIES,
    die: (s) => {
      useUp(s);
      s.set(s.shared + AREA_GROW_LOCK, SIGN);
      s.set(s.own + AREA_LOCK, SIGN);
      s.set(s.own + AREA_NEXT, s.word(s.shared + AREA_GROWN));
    },
  },
  {
    at: 'growth: range written, not counted as given',
    entries: ENTRIES,
    die: (s) => {
      useUp(s);
      s.set(s.shared + AREA_GROW_LOCK, SIGN);
      s.set(s.own + AREA_LOCK, SIGN);
      const from = s.word(s.shared + AREA_GROWN);
      s.set(s.own + AREA_NEXT, from);
      s.set(s.own + AREA_END, from + 2 * s.stride);
    },
  },
];

/** Free what the CPU was given and has not used: growth happens when there is nothing left. */
function useUp(scene: Scene): void {
  const end = scene.word(scene.own + AREA_END);
  for (let e = scene.word(scene.own + AREA_NEXT); e !== end; e += scene.stride) {
    scene.set(e + ELEMENT_LINK, scene.word(scene.home + AREA_FREE));
    scene.set(scene.home + AREA_FREE, e);
  }
  scene.set(scene.own + AREA_NEXT, end);
}

/** Parts are all given away at the start. */
const deathsOf = (kind: Kind) =>
  DEATHS.filter(({ at }) => kind !== 'LRU_HASH in parts' || !at.startsWith('growth'));

describe.each(ALL)('%s: a CPU that dies in', (kind) => {
  it.each(deathsOf(kind))('$at', ({ die, entries }) => {
    const scene = new Scene(kind);
    die(scene);
    scene.maps.recover(DEAD);
    const audit = auditHash(scene.arena, scene.map.info);
    expect(audit.faults).toEqual([]);
    expect(audit.linked).toBe(entries);
    expect(audit.resting).toBe(8 * scene.arena.cpus);
    // All of it works again, from the dead CPU's successor too.
    const { map_update: update } = instantiateRuntime(scene.arena.memory, DEAD).exports;
    const scratch = scene.arena.block(DEAD) + CPU_SCRATCH;
    for (let key = 1000; key < 1000 + 100 - entries; key++) {
      scene.arena.u32[scratch / 4] = key;
      expect(update(scene.map.info.descriptor, scratch, scratch, 0)).toBe(0);
    }
    expect(auditHash(scene.arena, scene.map.info)).toMatchObject({ faults: [], linked: 100 });
  });
});

/** Updates and deletes keys for ever; big values, so that it spends its life inside operations. */
const VICTIM = `
  const { parentPort, workerData: { wasm, memory, cpu, block, map, scratch } } = require('node:worker_threads');
  const global = (value) => new WebAssembly.Global({ value: 'i32' }, value);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
    env: { memory, cpu: global(cpu), block: global(block), pause: () => {}, wake: () => {} },
  });
  const words = new Uint32Array(memory.buffer);
  parentPort.postMessage('ready');
  for (let i = 0; ; i++) {
    words[scratch / 4] = (i * 7919) % 90;
    if (i % 3) exports.map_update(map, scratch, scratch, 0);
    else exports.map_delete(map, scratch);
  }
`;

describe.each(['HASH', 'LRU_HASH', 'PERCPU_HASH'] as const)('%s: a worker that is terminated', (type) => {
  it('leaves a map that is whole after recovery', async () => {
    const arena = Arena.create({ workers: 1, mapsBytes: 2 << 20, ringsBytes: 0 });
    const maps = new ArenaMaps(arena);
    const map = maps.createMap({
      ...HASH,
      type,
      valueSize: 8192,
      maxEntries: type === 'LRU_HASH' ? 50 : 100,
    });
    let deathsInside = 0;
    for (let round = 0; round < 12; round++) {
      const worker = new Worker(VICTIM, {
        eval: true,
        workerData: {
          wasm: runtimeWasm,
          memory: arena.memory,
          cpu: DEAD,
          block: arena.block(DEAD),
          map: map.info.descriptor,
          scratch: arena.block(DEAD) + CPU_SCRATCH,
        },
      });
      await new Promise((resolve) => worker.once('message', resolve));
      await new Promise((resolve) => setTimeout(resolve, 1 + round));
      await worker.terminate();
      if (auditHash(arena, map.info).faults.length > 0) deathsInside++;
      maps.recover(DEAD);
      expect(auditHash(arena, map.info).faults).toEqual([]);
      for (let key = 0; key < 100; key++) {
        const bytes = new Uint8Array(Uint32Array.of(key).buffer);
        expect(map.update(bytes, new Uint8Array(map.valueBytes))).toBe(0);
      }
    }
    // Otherwise the test shows nothing.
    expect(deathsInside).toBeGreaterThan(0);
  });
});

describe.each(ALL)('%s: before a dead CPU is recovered', (kind) => {
  it.each(deathsOf(kind))('reads go on: $at', ({ die }) => {
    const scene = new Scene(kind);
    die(scene);
    const seen = new Set<number>();
    for (let key = scene.map.nextKey(); key; key = scene.map.nextKey(key)) {
      seen.add(new DataView(key.buffer).getUint32(0, true));
      expect(scene.map.lookup(key)).toBeDefined();
    }
    expect(seen.size).toBe(auditHash(scene.arena, scene.map.info).linked);
  });
});
