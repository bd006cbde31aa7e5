import { readFileSync } from 'node:fs';
import {
  type Batch,
  type BpfMap,
  batchByKey,
  MAP_TYPES,
  type MapHost,
  type MapSpec,
} from '../bpf/maps/map.js';
import { ENOENT, ENOSPC, ENOTSUPP } from '../bpf/maps/uapi.js';
import { BpfAttr, BpfError, bpfCall, bpfCallOrThrow, callError } from './bpf-call.js';
import { openById } from './bpf-info.js';
import { LockTypes } from './bpf-lock-types.js';
import type { KernelTypes } from './bpf-types.js';
import { isMappedArray, readMappedArray, writeMappedArray } from './mapped-array.js';
import { closeFd } from './syscall.js';

const PER_CPU_TYPES: ReadonlySet<string> = new Set(['PERCPU_HASH', 'PERCPU_ARRAY', 'LRU_PERCPU_HASH']);
const ELEMENT_ATTR_BYTES = 32;
const CREATE_ATTR_BYTES = 72;
const BATCH_ATTR_BYTES = 56;
/** Types whose batches the kernel continues at a bucket, whose number has 4 bytes; the others at a key. */
const HASH_TYPES: ReadonlySet<string> = new Set([
  'HASH',
  'PERCPU_HASH',
  'LRU_HASH',
  'LRU_PERCPU_HASH',
  'HASH_OF_MAPS',
]);
const BUCKET_BYTES = 4;
/** Of a walk: what one call may bring, and the fewest entries that it asks for. */
const BATCH_BYTES = 2 ** 19;
const MIN_BATCH = 64;

/**
 * CPUs that the kernel keeps per-CPU copies for, the highest number plus one.
 * @param text content of /sys/devices/system/cpu/possible, such as "0-3" or "0,2-5"
 */
export function countPossibleCpus(text: string): number {
  const last = text.trim().split(/[-,]/).at(-1);
  const count = Number(last) + 1;
  if (last === '' || !Number.isInteger(count)) throw new Error(`not a list of CPUs: ${JSON.stringify(text)}`);
  return count;
}

let possible: number | undefined;
/** CPUs of this machine that per-CPU maps have copies for. */
export function possibleCpus(): number {
  possible ??= countPossibleCpus(readFileSync('/sys/devices/system/cpu/possible', 'utf8'));
  return possible;
}

/** A map in the kernel, held by its file descriptor. */
export class KernelMap implements BpfMap {
  readonly spec: MapSpec;
  readonly cpus: number;
  readonly valueBytes: number;
  #fd: number;

  /** Takes over the descriptor: `close()` closes it. */
  constructor(spec: MapSpec, fd: number) {
    const isPerCpu = PER_CPU_TYPES.has(spec.type);
    this.spec = spec;
    this.#fd = fd;
    this.cpus = isPerCpu ? possibleCpus() : 1;
    this.valueBytes = isPerCpu ? this.cpus * ((spec.valueSize + 7) & ~7) : spec.valueSize;
  }

  /** File descriptor, for the kernel; -1 when closed. */
  get fd(): number {
    return this.#fd;
  }

  lookup(key: Uint8Array, flags = 0): Uint8Array | undefined {
    const value = new Uint8Array(this.valueBytes);
    const attr = this.#element(key, value).u64(24, BigInt(flags));
    return bpfCall('MAP_LOOKUP_ELEM', attr) < 0 ? undefined : value;
  }

  update(key: Uint8Array, value: Uint8Array, flags = 0): number {
    this.#check('value', value, this.valueBytes);
    return bpfCall('MAP_UPDATE_ELEM', this.#element(key, value).u64(24, BigInt(flags)));
  }

  delete(key: Uint8Array): number {
    return bpfCall('MAP_DELETE_ELEM', this.#element(key));
  }

  lookupAndDelete(key: Uint8Array): Uint8Array | undefined {
    const value = new Uint8Array(this.valueBytes);
    return bpfCall('MAP_LOOKUP_AND_DELETE_ELEM', this.#element(key, value)) < 0 ? undefined : value;
  }

  /** A BLOOM_FILTER's lookup takes the value. */
  contains(value: Uint8Array): boolean {
    this.#check('value', value, this.valueBytes);
    if (this.spec.type !== 'BLOOM_FILTER') return false;
    return bpfCall('MAP_LOOKUP_ELEM', this.#element(new Uint8Array(0), value.slice())) === 0;
  }

  nextKey(after?: Uint8Array): Uint8Array | undefined {
    const next = new Uint8Array(this.spec.keySize);
    const attr = new BpfAttr(ELEMENT_ATTR_BYTES).u32(0, this.#fd).pointer(16, next);
    if (after !== undefined) {
      this.#check('key', after, this.spec.keySize);
      attr.pointer(8, after);
    }
    return bpfCall('MAP_GET_NEXT_KEY', attr) < 0 ? undefined : next;
  }

  forEach(visit: (key: Uint8Array, value: Uint8Array) => void): void {
    const { keySize, maxEntries, type } = this.spec;
    if (keySize === 0) return;
    const room = Math.max(MIN_BATCH, Math.floor(BATCH_BYTES / (keySize + this.valueBytes)));
    // A walk by keys starts over when the key that it stands on is deleted; the bound ends it all the same.
    let left = HASH_TYPES.has(type) ? Number.POSITIVE_INFINITY : maxEntries;
    let from: Uint8Array | undefined;
    do {
      const batch = this.lookupBatch(Math.min(room, maxEntries), from);
      for (let i = 0; i < batch.count; i++) {
        const key = batch.keys.subarray(i * keySize, (i + 1) * keySize);
        visit(key, batch.values.subarray(i * this.valueBytes, (i + 1) * this.valueBytes));
      }
      left -= batch.count;
      from = batch.next;
    } while (from !== undefined && left > 0);
  }

  lookupBatch(count: number, from?: Uint8Array): Batch {
    const { keySize, type } = this.spec;
    const out = new Uint8Array(HASH_TYPES.has(type) ? BUCKET_BYTES : keySize);
    // A bucket comes whole: the kernel says ENOSPC where it does not fit.
    for (let room = count; ; room *= 2) {
      const keys = new Uint8Array(room * keySize);
      const values = new Uint8Array(room * this.valueBytes);
      const attr = this.#batch(keys, room).pointer(8, out).pointer(24, values);
      if (from !== undefined) attr.pointer(0, from);
      const result = bpfCall('MAP_LOOKUP_BATCH', attr);
      if (result === -ENOSPC) continue;
      if (result === -ENOTSUPP) return batchByKey(this, count, from);
      if (result < 0 && result !== -ENOENT)
        throw callError('MAP_LOOKUP_BATCH', `map ${this.spec.name}`, -result);
      const found = attr.getU32(32);
      return {
        count: found,
        keys: keys.subarray(0, found * keySize),
        values: values.subarray(0, found * this.valueBytes),
        next: result === -ENOENT ? undefined : out,
      };
    }
  }

  deleteBatch(keys: Uint8Array, count: number): number {
    const { keySize } = this.spec;
    this.#check('keys', keys, count * keySize);
    if (count === 0) return 0;
    const result = bpfCall('MAP_DELETE_BATCH', this.#batch(keys, count));
    if (result !== -ENOTSUPP) return result;
    for (let i = 0; i < count; i++) {
      const single = this.delete(keys.subarray(i * keySize, (i + 1) * keySize));
      if (single !== 0) return single;
    }
    return 0;
  }

  updateBatch(keys: Uint8Array, values: Uint8Array, count: number): number {
    this.#check('keys', keys, count * this.spec.keySize);
    this.#check('values', values, count * this.valueBytes);
    if (count === 0) return 0;
    if (isMappedArray(this.spec)) return writeMappedArray(this.#fd, this.spec, keys, values, count);
    return bpfCall('MAP_UPDATE_BATCH', this.#batch(keys, count).pointer(24, values));
  }

  readWords(first: number, count: number): Uint32Array | undefined {
    const { maxEntries } = this.spec;
    if (!isMappedArray(this.spec) || first + count > maxEntries) return undefined;
    return readMappedArray(this.#fd, this.spec, first, count);
  }

  updateInner(key: Uint8Array, inner: BpfMap): number {
    if (!(inner instanceof KernelMap)) throw new TypeError(`${inner.spec.name} is not a map of the kernel`);
    const value = new Uint8Array(4);
    new DataView(value.buffer).setUint32(0, inner.fd, true);
    return bpfCall('MAP_UPDATE_ELEM', this.#element(key, value));
  }

  /**
   * The map in a slot of a map of maps, with a descriptor of its own.
   * @param spec what it is known to be; checked by whoever asks
   * @returns undefined where the slot is empty
   * @throws BpfError BPF_CALL
   */
  openInner(key: Uint8Array, spec: MapSpec): KernelMap | undefined {
    const id = this.lookup(key);
    if (id === undefined) return undefined;
    const number = new DataView(id.buffer).getUint32(0, true);
    return new KernelMap(spec, openById('MAP_GET_FD_BY_ID', number, `map ${spec.name}`));
  }

  /** Forbid writes through bpf(2), so that the verifier takes the content for constants. */
  freeze(): void {
    bpfCallOrThrow('MAP_FREEZE', new BpfAttr(4).u32(0, this.#fd), `map ${this.spec.name}`);
  }

  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }

  #element(key: Uint8Array, value?: Uint8Array): BpfAttr {
    this.#check('key', key, this.spec.keySize);
    const attr = new BpfAttr(ELEMENT_ATTR_BYTES).u32(0, this.#fd);
    // Types without keys want NULL.
    if (key.length > 0) attr.pointer(8, key);
    return value === undefined ? attr : attr.pointer(16, value);
  }

  #batch(keys: Uint8Array, count: number): BpfAttr {
    return new BpfAttr(BATCH_ATTR_BYTES).pointer(16, keys).u32(32, count).u32(36, this.#fd);
  }

  #check(what: string, bytes: Uint8Array, wantBytes: number): void {
    if (bytes.length === wantBytes) return;
    throw new BpfError(
      { code: 'BPF_LENGTH', map: this.spec.name, what, bytes: bytes.length, wantBytes },
      `map ${this.spec.name}: ${what} of ${bytes.length} bytes, wanted ${wantBytes}`,
    );
  }
}

/** Map types that the kernel gives no types of keys and values: their values are not a program's own. */
const TYPELESS: ReadonlySet<string> = new Set([
  'PROG_ARRAY',
  'PERF_EVENT_ARRAY',
  'CGROUP_ARRAY',
  'STACK_TRACE',
  'ARRAY_OF_MAPS',
  'HASH_OF_MAPS',
  'DEVMAP',
  'DEVMAP_HASH',
  'CPUMAP',
  'XSKMAP',
  'SOCKMAP',
  'SOCKHASH',
  'QUEUE',
  'STACK',
  'RINGBUF',
  'BLOOM_FILTER',
]);

/** The kernel as the place where maps live. Each map belongs to the caller, who closes it. */
export class KernelMaps implements MapHost {
  readonly #types: KernelTypes | undefined;

  /** @param types of keys and values, which the specs' type ids are of: the kernel and its tools then know them */
  constructor(types?: KernelTypes) {
    this.#types = types;
  }

  /**
   * Create a map, write its initial content and freeze it where the spec says so.
   * @throws BpfError BPF_CALL
   */
  createMap(spec: MapSpec): KernelMap {
    const attr = new BpfAttr(CREATE_ATTR_BYTES)
      .u32(0, MAP_TYPES[spec.type])
      .u32(4, spec.keySize)
      .u32(8, spec.valueSize)
      .u32(12, spec.maxEntries)
      .u32(16, spec.flags)
      .name(28, spec.name)
      .u64(64, BigInt(spec.mapExtra ?? 0));
    // The kernel copies the template's shape; the template itself is not needed after that.
    const template = spec.inner === undefined ? undefined : this.createMap(spec.inner);
    const types = spec.lockOffset === undefined ? undefined : new LockTypes(spec);
    if (types === undefined && spec.valueTypeId !== undefined && !TYPELESS.has(spec.type)) {
      this.#types?.describeMap(attr, spec.keyTypeId ?? 0, spec.valueTypeId);
    }
    let map: KernelMap | undefined;
    try {
      types?.describe(attr);
      if (template !== undefined) attr.u32(20, template.fd);
      map = new KernelMap(spec, bpfCallOrThrow('MAP_CREATE', attr, `map ${spec.name}`));
      if (spec.initial !== undefined) {
        const attrOfContent = new BpfAttr(ELEMENT_ATTR_BYTES)
          .u32(0, map.fd)
          .pointer(8, new Uint8Array(spec.keySize))
          .pointer(16, spec.initial);
        bpfCallOrThrow('MAP_UPDATE_ELEM', attrOfContent, `content of map ${spec.name}`);
      }
      if (spec.frozen === true) map.freeze();
      return map;
    } catch (error) {
      map?.close();
      throw error;
    } finally {
      template?.close();
      types?.close();
    }
  }
}
