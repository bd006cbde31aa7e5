import type { Arena } from '../memory/arena.js';
import { CPU_SCRATCH, CPU_SCRATCH_BYTES, MAP_FROZEN, MAP_FROZEN_SYSCALLS } from '../memory/layout.js';
import { ElementWalk, isHashType } from './element-walk.js';
import {
  type Batch,
  BPF_ANY,
  type BpfMap,
  batchByKey,
  ERRNO,
  forEachByKey,
  MAP_FLAGS,
  type MapSpec,
} from './map.js';
import { type ArenaMapType, MapError } from './plan.js';
import { type ReferenceCheck, type References, referenceCheck } from './references.js';
import type { Runtime } from './runtime.js';

/**
 * Where a map lies and what shape it has: the JIT's constants. Offsets are of the arena, lengths bytes.
 * In the template of inner maps (`inner`) the offsets are 0.
 */
export interface ArenaMapInfo {
  readonly id: number;
  /** The map's pointer in a program. */
  readonly descriptor: number;
  readonly type: ArenaMapType;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Copies of a value: the arena's CPUs for a per-CPU type, else 1. */
  readonly cpus: number;
  /** From one element's value to the next (array types). */
  readonly valueStride: number;
  /** Element 0's value (array types), CPU 0's copy of it; where the copies are (per-CPU hashes). */
  readonly data: number;
  /** From one CPU's copies to the next CPU's. */
  readonly cpuStride: number;
  /** Offset of the bpf_spin_lock in a value. */
  readonly lockOffset?: number;
  /** Shape of the maps in a map-in-map. */
  readonly inner?: ArenaMapInfo;
  /** The value of a map that is frozen and read-only: a copy of what will always be there. */
  readonly constants?: Uint8Array;
}

/** What a map needs of its host. */
export interface ArenaMapHost {
  readonly arena: Arena;
  readonly runtime: Runtime;
  readonly references: References;
  get(id: number): ArenaMap | undefined;
  /** Takes the map's room back. */
  release(map: ArenaMap): void;
}

const align8 = (bytes: number) => (bytes + 7) & ~7;
const u32Of = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);

/**
 * A map in the arena, with the semantics of bpf() in every operation. Arguments go through the map's own
 * staging bytes, so one thread at a time uses it: the control plane's.
 *
 * A map-in-map shows the number of the inner map (`info.id`) as its value, as bpf() does; `update` takes
 * that number where bpf() takes a file descriptor.
 */
export class ArenaMap implements BpfMap {
  readonly spec: MapSpec;
  readonly info: ArenaMapInfo;
  readonly cpus: number;
  readonly valueBytes: number;
  readonly #host: ArenaMapHost;
  /** Staging: a key, another key, a value (all copies). */
  readonly #key: number;
  readonly #nextKey: number;
  readonly #value: number;
  /** How values are checked that name something outside of the maps. */
  readonly #check: ReferenceCheck | undefined;
  /** Inner maps by key, which keep them alive. */
  readonly #slots = new Map<string, ArenaMap>();
  #references = 1;
  #open = true;

  constructor(host: ArenaMapHost, spec: MapSpec, info: ArenaMapInfo, staging: number) {
    this.#host = host;
    this.spec = spec;
    this.info = info;
    this.cpus = info.cpus;
    this.valueBytes = info.cpus > 1 ? info.cpus * align8(info.valueSize) : info.valueSize;
    this.#check = referenceCheck(info.type);
    this.#key = staging;
    this.#nextKey = staging + align8(info.keySize);
    this.#value = staging + 2 * align8(info.keySize);
  }

  lookup(key: Uint8Array, flags: number = BPF_ANY): Uint8Array | undefined {
    this.#stage('key', key, this.info.keySize, this.#key);
    const { arena, runtime } = this.#host;
    if (runtime.exports.map_lookup(this.info.descriptor, this.#key, this.#value, flags) !== 0)
      return undefined;
    return Uint8Array.from(arena.u8.subarray(this.#value, this.#value + this.valueBytes));
  }

  update(key: Uint8Array, value: Uint8Array, flags: number = BPF_ANY): number {
    this.#stage('key', key, this.info.keySize, this.#key);
    this.#stage('value', value, this.valueBytes, this.#value);
    if (this.info.inner !== undefined) return this.#setSlot(key, this.#host.get(u32Of(value)), flags);
    return this.#check === undefined ? this.#write(flags) : this.#writeReference(this.#check, flags);
  }

  lookupAndDelete(key: Uint8Array): Uint8Array | undefined {
    this.#stage('key', key, this.info.keySize, this.#key);
    const { arena, runtime } = this.#host;
    const { descriptor } = this.info;
    if (runtime.exports.map_lookup_and_delete(descriptor, this.#key, this.#value) !== 0) return undefined;
    return Uint8Array.from(arena.u8.subarray(this.#value, this.#value + this.valueBytes));
  }

  contains(value: Uint8Array): boolean {
    this.#stage('value', value, this.valueBytes, this.#value);
    if (this.info.type !== 'BLOOM_FILTER') return false;
    return this.#host.runtime.exports.map_lookup(this.info.descriptor, this.#key, this.#value) === 0;
  }

  delete(key: Uint8Array): number {
    this.#stage('key', key, this.info.keySize, this.#key);
    const result = this.#host.runtime.exports.map_delete(this.info.descriptor, this.#key);
    if (result === 0 && this.info.inner !== undefined) this.#clearSlot(String(key));
    return result;
  }

  nextKey(after?: Uint8Array): Uint8Array | undefined {
    if (after === undefined) this.#checkOpen();
    else this.#stage('key', after, this.info.keySize, this.#key);
    const { arena, runtime } = this.#host;
    const from = after === undefined ? 0 : this.#key;
    if (runtime.exports.map_next_key(this.info.descriptor, from, this.#nextKey) !== 0) return undefined;
    return Uint8Array.from(arena.u8.subarray(this.#nextKey, this.#nextKey + this.info.keySize));
  }

  forEach(visit: (key: Uint8Array, value: Uint8Array) => void): void {
    this.#checkOpen();
    if (!isHashType(this.info.type)) {
      forEachByKey(this, visit);
      return;
    }
    const walk = new ElementWalk(this.#host.arena, this.info);
    const key = new Uint8Array(this.info.keySize);
    const value = new Uint8Array(this.valueBytes);
    while (walk.next(key, value)) visit(key, value);
  }

  lookupBatch(count: number, from?: Uint8Array): Batch {
    this.#checkOpen();
    const { keySize, type } = this.info;
    if (!isHashType(type)) return batchByKey(this, count, from);
    // The number of an element, which tells more than a key that may be gone.
    if (from !== undefined) this.#checkLength('from', from, 4);
    const walk = new ElementWalk(this.#host.arena, this.info, from === undefined ? 0 : u32Of(from));
    const keys = new Uint8Array(count * keySize);
    const values = new Uint8Array(count * this.valueBytes);
    let found = 0;
    for (; found < count; found++) {
      const key = keys.subarray(found * keySize, (found + 1) * keySize);
      if (!walk.next(key, values.subarray(found * this.valueBytes, (found + 1) * this.valueBytes))) break;
    }
    const next = found < count ? undefined : new Uint8Array(Uint32Array.of(walk.index).buffer);
    return {
      count: found,
      keys: keys.subarray(0, found * keySize),
      values: values.subarray(0, found * this.valueBytes),
      next,
    };
  }

  deleteBatch(keys: Uint8Array, count: number): number {
    const { keySize } = this.info;
    this.#checkLength('keys', keys, count * keySize);
    for (let i = 0; i < count; i++) {
      const result = this.delete(keys.subarray(i * keySize, (i + 1) * keySize));
      if (result !== 0) return result;
    }
    return 0;
  }

  updateBatch(keys: Uint8Array, values: Uint8Array, count: number): number {
    const { keySize, descriptor } = this.info;
    this.#checkLength('keys', keys, count * keySize);
    this.#checkLength('values', values, count * this.valueBytes);
    this.#checkOpen();
    const chunk = Math.floor((CPU_SCRATCH_BYTES - 8) / (keySize + this.valueBytes));
    if (chunk === 0 || this.cpus > 1 || this.info.inner !== undefined || this.#check !== undefined) {
      return this.#updateEach(keys, values, count);
    }
    const { arena, runtime } = this.#host;
    const scratch = arena.block(runtime.cpu) + CPU_SCRATCH;
    for (let done = 0; done < count; done += chunk) {
      const part = Math.min(chunk, count - done);
      const valuesAt = scratch + align8(part * keySize);
      arena.u8.set(keys.subarray(done * keySize, (done + part) * keySize), scratch);
      arena.u8.set(values.subarray(done * this.valueBytes, (done + part) * this.valueBytes), valuesAt);
      const result = runtime.exports.map_update_batch(descriptor, scratch, valuesAt, part);
      if (result !== 0) return result;
    }
    return 0;
  }

  readWords(first: number, count: number): Uint32Array | undefined {
    this.#checkOpen();
    const { type, valueSize, maxEntries, data } = this.info;
    if (type !== 'ARRAY' || valueSize !== 4 || first + count > maxEntries) return undefined;
    const start = data / 4 + first;
    return new Uint32Array(this.#host.arena.u32.subarray(start, start + count));
  }

  #updateEach(keys: Uint8Array, values: Uint8Array, count: number): number {
    const { keySize } = this.info;
    for (let i = 0; i < count; i++) {
      const key = keys.subarray(i * keySize, (i + 1) * keySize);
      const result = this.update(key, values.subarray(i * this.valueBytes, (i + 1) * this.valueBytes));
      if (result !== 0) return result;
    }
    return 0;
  }

  updateInner(key: Uint8Array, inner: BpfMap): number {
    this.#stage('key', key, this.info.keySize, this.#key);
    if (this.info.inner === undefined) return -ERRNO.EINVAL;
    if (!(inner instanceof ArenaMap) || this.#host.get(inner.info.id) !== inner) {
      throw new MapError(
        { code: 'MAP_FOREIGN', map: this.spec.name, inner: inner.spec.name },
        `map ${inner.spec.name} is not in the same arena as ${this.spec.name}`,
      );
    }
    return this.#setSlot(key, inner, BPF_ANY);
  }

  /** From now on update and delete give -EPERM (BPF_MAP_FREEZE); programs still write unless BPF_F_RDONLY_PROG. */
  freeze(): void {
    this.#checkOpen();
    Atomics.or(this.#host.arena.u32, (this.info.descriptor + MAP_FROZEN) >>> 2, MAP_FROZEN_SYSCALLS);
  }

  /**
   * Idempotent. Gives the map's room back once no map-in-map points at it. Nothing may run a program that
   * uses the map: its room is used for the next one.
   */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#unreference();
  }

  /** The staged key and value into the map. */
  #write(flags: number): number {
    return this.#host.runtime.exports.map_update(this.info.descriptor, this.#key, this.#value, flags);
  }

  /** The staged key and a value that names something outside of the maps. */
  #writeReference(check: ReferenceCheck, flags: number): number {
    const { arena, runtime, references } = this.#host;
    const { descriptor, maxEntries, valueSize } = this.info;
    const word = (at: number) => arena.u32[at >>> 2]!;
    // A frozen map refuses whatever is written.
    if ((word(descriptor + MAP_FROZEN) & MAP_FROZEN_SYSCALLS) !== 0) return this.#write(flags);
    const element = Number(runtime.exports.bpf_map_lookup_elem(BigInt(descriptor), BigInt(this.#key)));
    const answer = check(
      {
        key: word(this.#key),
        value: word(this.#value),
        program: valueSize === 8 ? word(this.#value + 4) : 0,
        flags,
        maxEntries,
        present: element === 0 ? undefined : word(element),
      },
      references,
    );
    if (typeof answer === 'number') return answer;
    arena.u32[this.#value >>> 2] = answer.value;
    arena.u32[(this.#value + 4) >>> 2] = answer.program;
    return this.#write(BPF_ANY);
  }

  /** Point the staged key at a map; the order of the refusals is the kernel's. */
  #setSlot(key: Uint8Array, inner: ArenaMap | undefined, flags: number): number {
    const { arena } = this.#host;
    if (this.info.type === 'ARRAY_OF_MAPS') {
      if (flags !== BPF_ANY) return -ERRNO.EINVAL;
      if (u32Of(key) >= this.info.maxEntries) return -ERRNO.E2BIG;
    }
    if (inner === undefined) return -ERRNO.EBADF;
    if (!sameShape(this.info.inner, inner.info)) return -ERRNO.EINVAL;
    arena.u32[this.#value >>> 2] = inner.info.descriptor;
    const result = this.#write(flags);
    if (result !== 0) return result;
    inner.#references++;
    const slot = String(key);
    this.#clearSlot(slot);
    this.#slots.set(slot, inner);
    return 0;
  }

  #clearSlot(slot: string): void {
    const inner = this.#slots.get(slot);
    this.#slots.delete(slot);
    if (inner !== undefined) inner.#unreference();
  }

  #unreference(): void {
    if (--this.#references > 0) return;
    for (const slot of [...this.#slots.keys()]) this.#clearSlot(slot);
    this.#host.release(this);
  }

  #stage(argument: string, bytes: Uint8Array, wantBytes: number, at: number): void {
    this.#checkLength(argument, bytes, wantBytes);
    this.#checkOpen();
    this.#host.arena.u8.set(bytes, at);
  }

  #checkLength(argument: string, bytes: Uint8Array, wantBytes: number): void {
    if (bytes.length === wantBytes) return;
    throw new MapError(
      { code: 'MAP_LENGTH', map: this.spec.name, argument, bytes: bytes.length, wantBytes },
      `map ${this.spec.name}: ${argument} has ${bytes.length} bytes instead of ${wantBytes}`,
    );
  }

  #checkOpen(): void {
    if (this.#open) return;
    throw new MapError({ code: 'MAP_CLOSED', map: this.spec.name }, `map ${this.spec.name} is closed`);
  }
}

/** Types whose maps must have as many entries as the template, unless BPF_F_INNER_MAP (array_map_meta_equal, xsk_map_meta_equal). */
const SIZED_TYPES: ReadonlySet<string> = new Set(['ARRAY', 'PERCPU_ARRAY', 'XSKMAP']);

/** May the map stand where the template says? (The kernel's bpf_map_meta_equal and array_map_meta_equal.) */
function sameShape(template: ArenaMapInfo | undefined, map: ArenaMapInfo): boolean {
  if (template === undefined) return false;
  const { type, keySize, valueSize, flags, maxEntries, lockOffset } = template;
  const isSized = SIZED_TYPES.has(type) && (flags & MAP_FLAGS.BPF_F_INNER_MAP) === 0;
  const sameEntries = !isSized || map.maxEntries === maxEntries;
  return (
    map.type === type &&
    map.keySize === keySize &&
    map.valueSize === valueSize &&
    map.flags === flags &&
    map.lockOffset === lockOffset &&
    sameEntries
  );
}
