import { readFileSync } from 'node:fs';
import { BpfError } from './bpf-call.js';
import type { KernelMap } from './bpf-map.js';
import { errnoName } from './errno.js';
import { lastErrno, libc, SysError } from './libc.js';
import { Mapping, PAGE_BYTES } from './mapping.js';
import { Readiness } from './readiness.js';
import { closeFd } from './syscall.js';

/** perf_event_open(2), which has no function in libc (asm/unistd.h). */
const SYSCALL_NUMBER: Readonly<Record<string, number>> = { x64: 298, arm64: 241 };
const PERF_FLAG_FD_CLOEXEC = 8;
/** struct perf_event_attr (uapi/linux/perf_event.h): its length in version 5, and what is set of it. */
const ATTR_BYTES = 112;
const PERF_TYPE_SOFTWARE = 1;
const PERF_COUNT_SW_BPF_OUTPUT = 10;
const PERF_SAMPLE_RAW = 1 << 10;
/** struct perf_event_mmap_page: the writer's position, and ours. */
const DATA_HEAD = 1024;
const DATA_TAIL = 1032;
/** struct perf_event_header: type, misc, size. */
const HEADER_BYTES = 8;
const PERF_RECORD_LOST = 2;
const PERF_RECORD_SAMPLE = 9;
const LOST_COUNT = 16;
const ENODEV = 19;
const FIRST_WAIT_MS = 5;

/** What a program gave to bpf_perf_event_output. */
export interface PerfSample {
  readonly cpu: number;
  /** Valid during the visit only. perf(2) rounds the length up, to 4 more than a multiple of 8: what is behind is zero or garbage. */
  readonly data: Uint8Array;
}

export interface PerfCounters {
  readonly samples: bigint;
  /** Samples that found no room. The kernel says so once there is room again, with the next sample of that CPU. */
  readonly lost: bigint;
}

interface CpuRing {
  readonly cpu: number;
  readonly fd: number;
  readonly mapping: Mapping;
  readonly head: BigUint64Array;
  readonly tail: BigUint64Array;
  readonly data: Uint8Array;
}

/** Numbers in a list of CPUs of sysfs, such as "0-3,8". */
export function parseCpus(text: string): number[] {
  return text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

/**
 * The consumer of a PERF_EVENT_ARRAY of the kernel, over mmap: a ring a CPU. A CPU that is offline has none, and programs
 * get -ENOENT on one that comes later, until `open` is called again.
 */
export class PerfConsumer {
  readonly #map: KernelMap;
  readonly #ringBytes: number;
  readonly #rings = new Map<number, CpuRing>();
  #readiness = new Readiness([], 'once');
  /** Whether the event loop listens to the rings: it begins when it next turns. */
  #isListening = false;
  #scratch = new Uint8Array(0);
  #samples = 0;
  #lost = 0n;
  #isClosed = false;

  /**
   * @param map stays the caller's, and open as long as this
   * @param ringBytes of each CPU's ring, a power of two and at least 4096
   * @throws BpfError BPF_MAP_TYPE for a map of another type; RangeError; what `open` throws
   */
  constructor(map: KernelMap, ringBytes: number) {
    const { name, type } = map.spec;
    if (type !== 'PERF_EVENT_ARRAY') {
      throw new BpfError(
        { code: 'BPF_MAP_TYPE', map: name, type, want: 'PERF_EVENT_ARRAY' },
        `map ${name} is of type ${type}, wanted PERF_EVENT_ARRAY`,
      );
    }
    if (!Number.isInteger(Math.log2(ringBytes)) || ringBytes < PAGE_BYTES)
      throw new RangeError(`ring of ${ringBytes} bytes: it is a power of two from ${PAGE_BYTES}`);
    this.#map = map;
    this.#ringBytes = ringBytes;
    this.open();
  }

  /**
   * Give each CPU that is online, and that the map has a slot for, a ring; those that have one keep it.
   * @returns the CPUs that have one
   * @throws SysError SYS_CALL: EACCES or EPERM without the right to, EMFILE
   */
  open(): number[] {
    const online = parseCpus(readFileSync('/sys/devices/system/cpu/online', 'utf8'));
    try {
      for (const cpu of online.filter((number) => number < this.#map.spec.maxEntries)) {
        if (!this.#rings.has(cpu)) this.#openCpu(cpu);
      }
    } catch (error) {
      this.close();
      throw error;
    }
    this.#readiness.close();
    this.#readiness = new Readiness(
      [...this.#rings.values()].map(({ fd }) => fd),
      'once',
    );
    this.#isListening = false;
    return [...this.#rings.keys()];
  }

  /**
   * Visit the samples that are there, CPU by CPU, each CPU's in order.
   * @param max visits at most; a sample is given back also where `visit` throws
   * @returns how many there were
   */
  consume(visit: (sample: PerfSample) => void, max = Number.POSITIVE_INFINITY): number {
    let count = 0;
    const counting = (sample: PerfSample): void => {
      count += 1;
      this.#samples += 1;
      visit(sample);
    };
    for (const ring of this.#rings.values())
      while (count < max && hasRecord(ring)) this.#next(ring, counting);
    return count;
  }

  /**
   * Wait until a sample can be consumed.
   * @returns false after `timeoutMs` without one, or where this is closed meanwhile
   */
  async wait(timeoutMs: number): Promise<boolean> {
    const end = performance.now() + timeoutMs;
    for (let left = timeoutMs; left > 0 && !this.#isClosed; left = end - performance.now()) {
      if (this.#hasRecord()) return true;
      // What comes before it listens is told to nobody.
      await this.#readiness.wait(this.#isListening ? left : Math.min(left, FIRST_WAIT_MS));
      this.#isListening = true;
    }
    return this.#hasRecord();
  }

  get counters(): PerfCounters {
    return { samples: BigInt(this.#samples), lost: this.#lost };
  }

  /** Takes the rings out of the map. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#readiness.close();
    for (const { cpu, fd, mapping } of this.#rings.values()) {
      this.#map.delete(u32(cpu));
      mapping.close();
      closeFd(fd);
    }
    this.#rings.clear();
  }

  #hasRecord(): boolean {
    for (const ring of this.#rings.values()) if (hasRecord(ring)) return true;
    return false;
  }

  #openCpu(cpu: number): void {
    const fd = openCounter(cpu);
    // It went offline since.
    if (fd === undefined) return;
    let mapping: Mapping;
    try {
      mapping = new Mapping(fd, PAGE_BYTES + this.#ringBytes, 0, 'read-write', `the perf ring of CPU ${cpu}`);
    } catch (error) {
      closeFd(fd);
      throw error;
    }
    const { buffer } = mapping.bytes;
    this.#rings.set(cpu, {
      cpu,
      fd,
      mapping,
      head: new BigUint64Array(buffer, DATA_HEAD, 1),
      tail: new BigUint64Array(buffer, DATA_TAIL, 1),
      data: new Uint8Array(buffer, PAGE_BYTES),
    });
    const status = this.#map.update(u32(cpu), u32(fd));
    if (status === 0) return;
    const errno = errnoName(-status);
    throw new BpfError(
      {
        code: 'BPF_CALL',
        command: 'MAP_UPDATE_ELEM',
        subject: `slot ${cpu} of map ${this.#map.spec.name}`,
        errno,
      },
      `map ${this.#map.spec.name} takes no ring for CPU ${cpu}: ${errno}`,
    );
  }

  #next(ring: CpuRing, visit: (sample: PerfSample) => void): void {
    const tail = Atomics.load(ring.tail, 0);
    const at = Number(tail) & (ring.data.length - 1);
    // Records are multiples of 8 bytes: a header lies in one piece.
    const view = new DataView(ring.data.buffer, ring.data.byteOffset + at, HEADER_BYTES);
    const type = view.getUint32(0, true);
    const bytes = view.getUint16(6, true);
    const record = this.#inOnePiece(ring, at, bytes);
    const fields = new DataView(record.buffer, record.byteOffset, bytes);
    try {
      if (type === PERF_RECORD_LOST) this.#lost += fields.getBigUint64(LOST_COUNT, true);
      else if (type === PERF_RECORD_SAMPLE) {
        const dataBytes = fields.getUint32(HEADER_BYTES, true);
        visit({ cpu: ring.cpu, data: record.subarray(HEADER_BYTES + 4, HEADER_BYTES + 4 + dataBytes) });
      }
    } finally {
      Atomics.store(ring.tail, 0, tail + BigInt(bytes));
    }
  }

  /** A record that crosses the end of the ring is copied. */
  #inOnePiece({ data }: CpuRing, at: number, bytes: number): Uint8Array {
    if (at + bytes <= data.length) return data.subarray(at, at + bytes);
    if (this.#scratch.length < bytes) this.#scratch = new Uint8Array(2 ** 16);
    this.#scratch.set(data.subarray(at));
    this.#scratch.set(data.subarray(0, at + bytes - data.length), data.length - at);
    return this.#scratch.subarray(0, bytes);
  }
}

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

function hasRecord({ head, tail }: CpuRing): boolean {
  return Atomics.load(head, 0) !== Atomics.load(tail, 0);
}

/** @returns undefined for a CPU that is offline. @throws SysError SYS_CALL */
function openCounter(cpu: number): number | undefined {
  const attr = new Uint8Array(ATTR_BYTES);
  const view = new DataView(attr.buffer);
  view.setUint32(0, PERF_TYPE_SOFTWARE, true);
  view.setUint32(4, ATTR_BYTES, true);
  view.setBigUint64(8, BigInt(PERF_COUNT_SW_BPF_OUTPUT), true);
  // Every sample is one, and wakes.
  view.setBigUint64(16, 1n, true);
  view.setBigUint64(24, BigInt(PERF_SAMPLE_RAW), true);
  view.setUint32(48, 1, true);
  const number = SYSCALL_NUMBER[process.arch];
  const fd =
    number === undefined ? -1 : libc().perfEventOpen(number, attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
  if (fd >= 0) return fd;
  const errno = number === undefined ? 38 : lastErrno();
  if (errno === ENODEV) return undefined;
  const name = errnoName(errno);
  const advice = name === 'EACCES' || name === 'EPERM' ? '; run as root, or with CAP_PERFMON' : '';
  throw new SysError(
    { code: 'SYS_CALL', call: 'perf_event_open', errno: name },
    `perf_event_open on CPU ${cpu} failed: ${name}${advice}`,
  );
}
