import { getEventListeners } from 'node:events';
/** Consumers of what programs of the live kernel report: the programs are run by BPF_PROG_TEST_RUN. */
import koffi from 'koffi';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../../test/support/capabilities.js';
import { compileC, missingClang } from '../../test/support/clang.js';
import type { MapSpec } from '../bpf/maps/map.js';
import { createMaps } from '../bpf/object/create-maps.js';
import { loadObject } from '../bpf/object/load.js';
import type { ObjectSpec } from '../bpf/object/spec.js';
import {
  BpfError,
  type KernelMap,
  KernelMaps,
  type KernelProgram,
  loadKernelProgram,
  PerfConsumer,
  RingConsumer,
} from './bpf.js';
import { BPF_COMMANDS, BpfAttr } from './bpf-call.js';
import { parseCpus } from './perf-consumer.js';
import { addressOf } from './syscall.js';

const RING_BYTES = 4096;
const SOURCE = `
struct xdp_md { unsigned int data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
enum { XDP_ABORTED, XDP_DROP, XDP_PASS };
#define SEC(name) __attribute__((section(name), used))
static void *(*reserve)(void *, unsigned long, unsigned long) = (void *)131;
static void (*submit)(void *, unsigned long) = (void *)132;
static void (*discard)(void *, unsigned long) = (void *)133;
static long (*ring_output)(void *, void *, unsigned long, unsigned long) = (void *)130;
static long (*perf_output)(void *, void *, unsigned long, void *, unsigned long) = (void *)25;
static long (*load_bytes)(struct xdp_md *, unsigned int, void *, unsigned int) = (void *)189;
static void *(*lookup)(void *, const void *) = (void *)1;
struct { int (*type)[27]; int (*max_entries)[${RING_BYTES}]; } ring SEC(".maps");
struct { int (*type)[4]; int (*key_size)[4]; int (*value_size)[4]; int (*max_entries)[256]; } perf SEC(".maps");
/* [0] numbers given out, [1] records that found no room */
struct { int (*type)[2]; int *key; unsigned long long *value; int (*max_entries)[2]; } counts SEC(".maps");
struct { unsigned char bytes[1024]; } typedef scratch_t;
struct { int (*type)[2]; int *key; scratch_t *value; int (*max_entries)[1]; } scratch SEC(".maps");

/* The packet says what to do: byte 0: 'o' report its bytes, 's' reserve and submit, 'd' discard, 'p' perf, 'n' a number. */
SEC("xdp") int report(struct xdp_md *ctx)
{
	unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	unsigned int zero = 0, one = 1, bytes;
	unsigned long long *number = lookup(&counts, &zero), *lost = lookup(&counts, &one), *record;
	scratch_t *copy = lookup(&scratch, &zero);

	if (data + 16 > end || !number || !lost || !copy)
		return XDP_ABORTED;
	bytes = data[1] | data[2] << 8;
	switch (data[0]) {
	case 'o':
		if (bytes < 1 || bytes > 1024 || load_bytes(ctx, 0, copy->bytes, 1024))
			return XDP_ABORTED;
		return ring_output(&ring, copy->bytes, bytes, 0) ? XDP_DROP : XDP_PASS;
	case 'p':
		/* Bytes of the packet itself, from its start. */
		return perf_output(ctx, &perf, 0xffffffffULL | (unsigned long long)(bytes & 0x7ff) << 32, &one, 4) ? XDP_DROP : XDP_PASS;
	}
	record = reserve(&ring, 40, 0);
	if (!record) {
		*lost += 1;
		return XDP_DROP;
	}
	if (data[0] == 'd') {
		discard(record, 0);
		return XDP_PASS;
	}
	record[0] = (*number)++;
	submit(record, 0);
	return XDP_PASS;
}
`;
const XDP_DROP = 1;
const XDP_PASS = 2;

describe('CPUs of a list', () => {
  it.each([
    ['0\n', [0]],
    ['0-2,5\n', [0, 1, 2, 5]],
    ['\n', []],
  ])('%j', (text, cpus) => {
    expect(parseCpus(text)).toEqual(cpus);
  });
});

const missing = missingRoot ?? missingClang;
describe.skipIf(missing)(`consumers of the kernel's events${noting(missing)}`, () => {
  let object: ObjectSpec;
  beforeAll(() => {
    object = loadObject(compileC(SOURCE));
  });
  const open: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(thing: T): T => {
    open.push(thing);
    return thing;
  };
  afterEach(() => {
    for (const thing of open.splice(0).reverse()) thing.close();
  });

  /** The program with maps of its own. */
  class Bed {
    readonly maps = createMaps<KernelMap>(object, new KernelMaps());
    readonly program: KernelProgram;

    constructor() {
      for (const map of this.maps.values()) keep(map);
      this.program = keep(loadKernelProgram(object.programs[0]!, [...this.maps.values()], 'GPL', object.btf));
    }

    ring(): RingConsumer {
      return keep(new RingConsumer(this.maps.get('ring')!));
    }

    perf(bytes = RING_BYTES): PerfConsumer {
      return keep(new PerfConsumer(this.maps.get('perf')!, bytes));
    }

    /** @returns the program's verdict */
    run(what: string, bytes = 0, fill = 0, repeat = 1): number {
      return this.program.testRun(packet(what, bytes, fill), repeat).verdict;
    }

    /** Run it on another thread. */
    runAside(what: string, repeat: number): Promise<unknown> {
      const data = packet(what, 0, 0);
      const attr = new BpfAttr(80)
        .u32(0, this.program.fd)
        .u32(8, data.length)
        .pointer(16, data)
        .u32(32, repeat);
      const call = koffi.load(null).func('long syscall(long number, int a, uintptr_t b, uint c)');
      const numbers: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
      return new Promise((resolve, reject) => {
        call.async(
          numbers[process.arch],
          BPF_COMMANDS.PROG_TEST_RUN,
          addressOf(attr.bytes),
          attr.bytes.length,
          (error: Error | null, status: number) =>
            error !== null || status !== 0 ? reject(error ?? new Error(`${status}`)) : resolve(data),
        );
      });
    }

    count(index: 0 | 1): number {
      const value = this.maps.get('counts')!.lookup(new Uint8Array(Uint32Array.of(index).buffer))!;
      return Number(new DataView(value.buffer).getBigUint64(0, true));
    }
  }

  function packet(what: string, bytes: number, fill: number): Uint8Array {
    const data = new Uint8Array(1024).fill(fill);
    data.set([what.charCodeAt(0), bytes & 0xff, bytes >> 8]);
    return data;
  }
  /** Of a record: its length and last byte. */
  const read = (consumer: RingConsumer, max?: number): string[] => {
    const found: string[] = [];
    consumer.consume((record) => found.push(`${record.length} ${record.at(-1)}`), max);
    return found;
  };

  describe('a ring buffer', () => {
    it('gives every record once, in order, as many as are asked for', () => {
      const bed = new Bed();
      const ring = bed.ring();
      for (const n of [1, 2, 3, 4]) bed.run('o', 100 + n, n);
      expect(read(ring, 3)).toEqual(['101 1', '102 2', '103 3']);
      expect(read(ring)).toEqual(['104 4']);
      expect(read(ring)).toEqual([]);
      expect(ring.counters).toEqual({ records: 4n, discarded: 0n });
    });

    it('records that cross the end come in one piece', () => {
      const bed = new Bed();
      const ring = bed.ring();
      for (let n = 1; n <= 200; n++) {
        expect(bed.run('o', 1000, n)).toBe(XDP_PASS);
        let whole: Uint8Array | undefined;
        ring.consume((record) => {
          whole = record.slice(3);
        });
        expect(whole).toEqual(new Uint8Array(997).fill(n));
      }
    });

    it('what is discarded is counted, and not given', () => {
      const bed = new Bed();
      const ring = bed.ring();
      for (const what of ['d', 'n', 'd', 'd']) bed.run(what);
      expect(read(ring)).toEqual(['40 0']);
      expect(ring.counters).toEqual({ records: 1n, discarded: 3n });
      expect(ring.pendingBytes).toBe(0);
    });

    it('a full ring refuses the program, and takes again what is given back', () => {
      const bed = new Bed();
      const ring = bed.ring();
      // 3 × (1000 + 8) + (1000 + 8): the fourth fits, the fifth does not.
      const verdicts = [1, 2, 3, 4, 5].map((n) => bed.run('o', 1000, n));
      expect(verdicts).toEqual([XDP_PASS, XDP_PASS, XDP_PASS, XDP_PASS, XDP_DROP]);
      expect(ring.pendingBytes).toBe(4 * 1008);
      expect(read(ring, 1)).toEqual(['1000 1']);
      expect(bed.run('o', 1000, 6)).toBe(XDP_PASS);
      expect(read(ring)).toEqual(['1000 2', '1000 3', '1000 4', '1000 6']);
    });

    it('a record whose visitor throws is given back', () => {
      const bed = new Bed();
      const ring = bed.ring();
      for (const n of [1, 2]) bed.run('o', 100, n);
      const throwing = () => {
        throw new Error('of the visitor');
      };
      expect(() => ring.consume(throwing)).toThrow('of the visitor');
      expect(read(ring)).toEqual(['100 2']);
    });

    it('a program that is faster than the consumer: what there was room for comes once, in order', async () => {
      const bed = new Bed();
      const ring = bed.ring();
      const runs = 300_000;
      const done = bed.runAside('n', runs);
      let isDone = false;
      void done.then(() => {
        isDone = true;
      });
      let next = 0;
      for (;;) {
        const wasDone = isDone;
        await ring.wait(5);
        ring.consume((record) => {
          const number = Number(new DataView(record.buffer, record.byteOffset).getBigUint64(0, true));
          if (number !== next) throw new Error(`${number} in the place of ${next}`);
          next += 1;
        });
        if (wasDone) break;
      }
      expect(next).toBe(bed.count(0));
      expect(next + bed.count(1)).toBe(runs);
    });

    it('wakes who waits, and not without a record', async () => {
      const bed = new Bed();
      const ring = bed.ring();
      expect(await ring.wait(1)).toBe(false);
      for (const n of [1, 2, 3]) {
        const waiting = ring.wait(10_000);
        setImmediate(() => bed.run('o', 100, n));
        expect(await waiting).toBe(true);
        expect(read(ring)).toEqual([`100 ${n}`]);
      }
      expect(await ring.wait(1)).toBe(false);
    });

    it('that is closed gives nothing, and ends a wait; records stay for the next one', async () => {
      const bed = new Bed();
      const first = bed.ring();
      const waiting = first.wait(10_000);
      setImmediate(() => first.close());
      expect(await waiting).toBe(false);
      first.close();
      bed.run('o', 100, 1);
      expect(read(first)).toEqual([]);
      expect(read(bed.ring())).toEqual(['100 1']);
    });

    it('whose wait has a signal ends it with that, and gives what comes later', async () => {
      const bed = new Bed();
      const ring = bed.ring();
      const stop = new AbortController();
      const waiting = ring.wait(10_000, stop.signal);
      setImmediate(() => stop.abort());
      expect([await waiting, await ring.wait(10_000, stop.signal)]).toEqual([false, false]);
      expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
      bed.run('o', 100, 1);
      expect([await ring.wait(10_000), read(ring)]).toEqual([true, ['100 1']]);
    });

    it('is of a map of another type: refused', () => {
      const spec: MapSpec = { name: 'kv', type: 'HASH', keySize: 4, valueSize: 4, maxEntries: 1, flags: 0 };
      const map = keep(new KernelMaps().createMap(spec));
      for (const make of [() => new RingConsumer(map), () => new PerfConsumer(map, RING_BYTES)])
        expect(make).toThrow(BpfError);
    });
  });

  describe('perf events', () => {
    const samples = (perf: PerfConsumer, max?: number): string[] => {
      const found: string[] = [];
      perf.consume(({ data }) => found.push(`${data.length} ${data[0]} ${data[4 + 8]}`), max);
      return found;
    };

    it('come with the bytes of the packet, in order', () => {
      const bed = new Bed();
      const perf = bed.perf();
      for (const n of [1, 2, 3]) expect(bed.run('p', 16, n)).toBe(XDP_PASS);
      // 4 bytes of the program's and 16 of the packet, 4 more than a multiple of 8.
      expect(samples(perf, 2)).toEqual(['20 1 1', '20 1 2']);
      expect(samples(perf)).toEqual(['20 1 3']);
      expect(perf.counters).toEqual({ samples: 3n, lost: 0n });
    });

    it('that cross the end come in one piece', () => {
      const bed = new Bed();
      const perf = bed.perf();
      for (let n = 1; n <= 100; n++) {
        expect(bed.run('p', 1000, n)).toBe(XDP_PASS);
        let whole: Uint8Array | undefined;
        perf.consume(({ data }) => {
          whole = data.slice(4 + 3, 4 + 1000);
        });
        expect(whole).toEqual(new Uint8Array(997).fill(n));
      }
    });

    it('that find no room are counted, once there is room again', () => {
      const bed = new Bed();
      const perf = bed.perf();
      let refused = 0;
      for (let n = 0; n < 20; n++) if (bed.run('p', 1000, n) === XDP_DROP) refused += 1;
      expect(refused).toBeGreaterThan(10);
      expect(samples(perf)).toHaveLength(20 - refused);
      bed.run('p', 1000, 1);
      expect(samples(perf)).toHaveLength(1);
      expect(perf.counters.lost).toBe(BigInt(refused));
    });

    it('wake who waits, and not without a sample', async () => {
      const bed = new Bed();
      const perf = bed.perf();
      expect(await perf.wait(1)).toBe(false);
      for (const n of [1, 2]) {
        const waiting = perf.wait(10_000);
        setImmediate(() => bed.run('p', 16, n));
        expect(await waiting).toBe(true);
        expect(samples(perf)).toHaveLength(1);
      }
    });

    it('go nowhere once closed', () => {
      const bed = new Bed();
      const perf = bed.perf();
      expect(bed.run('p', 16, 1)).toBe(XDP_PASS);
      perf.close();
      perf.close();
      expect(bed.run('p', 16, 1)).toBe(XDP_DROP);
      expect(samples(perf)).toEqual([]);
    });

    it('CPUs that the map has no slot for have no ring', () => {
      const spec = { name: 'few', keySize: 4, valueSize: 4, maxEntries: 1, flags: 0 } as const;
      const map = keep(new KernelMaps().createMap({ ...spec, type: 'PERF_EVENT_ARRAY' }));
      const perf = keep(new PerfConsumer(map, RING_BYTES));
      expect(perf.open()).toEqual([0]);
      expect(perf.open()).toEqual([0]);
    });

    it.each([0, 1000, 5000])('a ring of %i bytes is refused', (bytes) => {
      expect(() => new Bed().perf(bytes)).toThrow(RangeError);
    });
  });
});
