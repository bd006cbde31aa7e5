import { describe, expect, it } from 'vitest';
import { BPF_ANY, BPF_EXIST, BPF_NOEXIST, ERRNO, MAP_FLAGS, type MapSpec } from '../maps/map.js';
import { ArenaMaps } from '../maps/registry.js';
import { instantiateRuntime } from '../maps/runtime.js';
import { runtimeWasm } from '../maps/runtime-wasm.gen.js';
import { Arena } from '../memory/arena.js';
import {
  CPU_BOOT_OFFSET_NS,
  CPU_CLOCK_NS,
  CPU_NUMA_NODE,
  CPU_SCRATCH,
  CPU_TAI_OFFSET_NS,
  CPU_XDP_MD,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
  XDP_MD_DATA_META,
  XDP_MD_HARD_END,
  XDP_MD_HARD_START,
} from '../memory/layout.js';
import { HELPERS } from './prototypes.js';

const { E2BIG, EEXIST, EINVAL, ENOENT, EPERM } = ERRNO;
const arena = Arena.create({ workers: 2, mapsBytes: 1 << 20, ringsBytes: 0 });
const runtime = instantiateRuntime(arena.memory, 1);
const helper = runtime.exports;
const scratch = arena.block(1) + CPU_SCRATCH;
const maps = new ArenaMaps(arena);

describe('the table of helpers', () => {
  const bodies = HELPERS.flatMap((row) =>
    row.notOffered === undefined && row.builtin === undefined ? [row] : [],
  );

  it.each(bodies)('$name is exported with its registers as i64', ({ name, args }) => {
    const body = helper[name] as (...registers: unknown[]) => unknown;
    expect(body.length).toBe(args.length);
    // Wasm takes a BigInt for an i64 and a number for an i32, never the other.
    if (args.length > 0) expect(() => body(...args.map(() => 0))).toThrow(TypeError);
    else expect(typeof body()).toBe('bigint');
  });

  it('the module brings no memory content along, which would land in every arena', () => {
    // A data segment would be section 11 (WebAssembly specification §5.5.14).
    let at = 8;
    const sections: number[] = [];
    while (at < runtimeWasm.length) {
      sections.push(runtimeWasm[at++]!);
      let size = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = runtimeWasm[at++]!;
        size |= (byte & 127) << shift;
        if (byte < 128) break;
      }
      at += size;
    }
    expect(sections).toContain(10);
    expect(sections).not.toContain(11);
  });
});

describe('clock, randomness, CPU', () => {
  it('bpf_ktime_get_ns reads the clock cell of its own CPU', () => {
    arena.u64[(arena.block(1) + CPU_CLOCK_NS) / 8] = 0x1234_5678_9abc_def0n;
    expect(helper.bpf_ktime_get_ns()).toBe(0x1234_5678_9abc_def0n);
    expect(instantiateRuntime(arena.memory, 0).exports.bpf_ktime_get_ns()).toBe(0n);
  });

  it('the other clocks are that one and the offsets of its CPU', () => {
    const block = arena.block(1);
    arena.u64[(block + CPU_CLOCK_NS) / 8] = 10_000_000_000n;
    arena.u64[(block + CPU_BOOT_OFFSET_NS) / 8] = 5n;
    arena.u64[(block + CPU_TAI_OFFSET_NS) / 8] = 1_700_000_000_000_000_000n;
    expect(helper.bpf_ktime_get_boot_ns()).toBe(10_000_000_005n);
    expect(helper.bpf_ktime_get_tai_ns()).toBe(1_700_000_010_000_000_000n);
    expect(helper.bpf_ktime_get_coarse_ns()).toBe(10_000_000_000n);
    // 250 ticks a second.
    expect(helper.bpf_jiffies64()).toBe(2500n);
  });

  it('bpf_get_numa_node_id reads the word of its own CPU', () => {
    arena.u32[(arena.block(1) + CPU_NUMA_NODE) / 4] = 3;
    expect(helper.bpf_get_numa_node_id()).toBe(3n);
    expect(instantiateRuntime(arena.memory, 0).exports.bpf_get_numa_node_id()).toBe(0n);
  });

  it('bpf_get_smp_processor_id is the CPU of the instance', () => {
    expect(
      [0, 1, 2].map((cpu) => instantiateRuntime(arena.memory, cpu).exports.bpf_get_smp_processor_id()),
    ).toEqual([0n, 1n, 2n]);
  });

  it('bpf_get_prandom_u32 spreads over 32 bits, differently on each CPU', () => {
    const draw = (cpu: number) => {
      const { bpf_get_prandom_u32: random } = instantiateRuntime(arena.memory, cpu).exports;
      return Array.from({ length: 4096 }, () => Number(random()));
    };
    const [a, b] = [draw(0), draw(1)];
    expect(a[0]).not.toBe(b[0]);
    for (const values of [a, b]) {
      expect(Math.max(...values)).toBeLessThan(2 ** 32);
      for (let bit = 0; bit < 32; bit++) {
        const ones = values.filter((value) => (value >>> bit) & 1).length;
        // 4096 coins: five standard deviations are 160.
        expect(Math.abs(ones - 2048), `bit ${bit}`).toBeLessThan(160);
      }
    }
  });
});

/** from, to (hex), seed, and what Linux 6.18 on x86-64 answers to the same call. */
const CHECKSUMS: readonly (readonly [from: string, to: string, seed: number, answer: number])[] = [
  ['', '', 0, 0],
  ['', '', 0xffffffff, 0xffff],
  ['', '', 0x12345678, 0x68ac],
  ['00000000', '', 0, 0],
  ['00000000', '00000000', 0, 0xffff],
  ['ffffffff', '', 0, 0],
  ['', 'ffffffff', 0, 0xffff],
  ['ffffffff', 'ffffffff', 0, 0xffff],
  ['', '00000000', 0, 0],
  ['', '00000000', 0xffffffff, 0xffff],
  ['01000000', '', 1, 0],
  ['01000000', '01000000', 0, 0xffff],
  ['01000000', '01000000', 0xffff, 0xffff],
  ['4a58b791', '', 0, 0x15fe],
  ['dcbed407e3e6b605', '', 0, 0x4cb5],
  ['446fcec2a3d811736110e5781bcccea696762e61', '8c2e0718', 0, 0xf4d4],
  ['86d2c96e760e819b85c924c3597164c4a6058a00', '433d2e44fed8b6b8357e44cd3129903ac1d45597', 0, 0x7a99],
  ['f967bdafdf0e7337420c13f8f5d40f6ce079d1b9', '', 0xffffffff, 0x28e9],
  ['ef3f6df0148ded7e8a34888d396cab3b80d27f58', '3df245ad', 0x380208a9, 0x0ed8],
  ['d9892fed75598005', '9e826bd6f0a890ea47ca738eb48c14ec53676da4', 0xffffffff, 0xf3d2],
  ['305317feed6740b9bd7425dcb03de04b', '', 0xffff, 0xb315],
  ['4f137e8cd7b9fae1', '79bd221616ca5f70', 0, 0xd271],
  // Sizes that are no multiple of 4.
  ['b4', '', 0xd92a4aa2, 0x2319],
  ['b2fb', '', 0x9d643c25, 0xddd6],
  ['e3da97', '', 0x9403560d, 0x0e96],
  ['e3f2c264a5', '', 0x2b9c014e, 0xd49e],
  ['', '2b', 0x8092b4d4, 0x3592],
  ['', '183a', 0xfb695ffb, 0x957d],
  ['', '322603', 0xc541013d, 0xecb3],
  ['', '318113335e248a', 0xeb8ac8ce, 0x8d86],
  ['dc', '5f8c', 0x3b6fe507, 0xabfa],
  ['5a8a67', '298a868358', 0xf3d4e711, 0x5e2d],
  ['1834f3d85cea93', 'fa2c705a8975', 0xe8e5b461, 0xa23f],
  ['eb7fef44', '4dc2a8', 0x8c497c68, 0x06cd],
  ['cbcee39b859205f5ba', '41277601c77b39629dc8', 0xdb610487, 0xbc49],
];

describe('bpf_csum_diff', () => {
  it.each(CHECKSUMS)('from %j to %j, seed %d', (from, to, seed, answer) => {
    const [old, fresh] = [Buffer.from(from, 'hex'), Buffer.from(to, 'hex')];
    // An odd place: the packet's bytes are not aligned either.
    const [oldAt, freshAt] = [scratch + 1, scratch + 257];
    arena.u8.set(old, oldAt);
    arena.u8.set(fresh, freshAt);
    const pointer = (bytes: Uint8Array, at: number) => BigInt(bytes.length === 0 ? 0 : at);
    const result = helper.bpf_csum_diff(
      pointer(old, oldAt),
      BigInt(old.length),
      pointer(fresh, freshAt),
      BigInt(fresh.length),
      BigInt(seed),
    );
    expect(result).toBe(BigInt(answer));
  });
});

/** A packet of 64 bytes (its own offsets as content) with 40 bytes in front and 32 behind that may be used. */
const PACKET = scratch + 1024;
function xdpMd(metaBytes = 0): number {
  const ctx = arena.block(1) + CPU_XDP_MD;
  const set = (field: number, value: number) => {
    arena.u32[(ctx + field) / 4] = value;
  };
  arena.u8.fill(0xee, PACKET - 100, PACKET + 164);
  for (let i = 0; i < 64; i++) arena.u8[PACKET + i] = i;
  set(XDP_MD_DATA, PACKET);
  set(XDP_MD_DATA_END, PACKET + 64);
  set(XDP_MD_DATA_META, PACKET - metaBytes);
  set(XDP_MD_HARD_START, PACKET - 40);
  set(XDP_MD_HARD_END, PACKET + 96);
  return ctx;
}
const field = (ctx: number, offset: number) => arena.u32[(ctx + offset) / 4]! - PACKET;
const asRegister = (delta: number) => BigInt.asUintN(64, BigInt(delta));

describe('bpf_xdp_adjust_head', () => {
  it.each<[string, number, number, number]>([
    ['grows to the hard start', -40, 0, -40],
    ['not beyond the hard start', -41, -EINVAL, 0],
    ['shrinks to an Ethernet header', 50, 0, 50],
    ['not below an Ethernet header', 51, -EINVAL, 0],
    ['stays', 0, 0, 0],
    ['far below 0 does not wrap', -0x80000000, -EINVAL, 0],
    ['far above does not wrap', 0x7fffffff, -EINVAL, 0],
  ])('%s (%d)', (_, delta, result, data) => {
    const ctx = xdpMd();
    expect(helper.bpf_xdp_adjust_head(BigInt(ctx), asRegister(delta))).toBe(BigInt(result));
    expect(field(ctx, XDP_MD_DATA)).toBe(data);
    expect(field(ctx, XDP_MD_DATA_META)).toBe(data);
    expect(field(ctx, XDP_MD_DATA_END)).toBe(64);
    expect(arena.u8[PACKET + 50]).toBe(50);
  });

  it('takes an int: what is above 32 bits does not count', () => {
    const ctx = xdpMd();
    expect(helper.bpf_xdp_adjust_head(BigInt(ctx), 0x1_0000_0004n)).toBe(0n);
    expect(field(ctx, XDP_MD_DATA)).toBe(4);
  });

  it('moves metadata along, and counts it against the headroom', () => {
    const ctx = xdpMd(8);
    arena.u8.set([1, 2, 3, 4, 5, 6, 7, 8], PACKET - 8);
    expect(helper.bpf_xdp_adjust_head(BigInt(ctx), asRegister(-33))).toBe(BigInt(-EINVAL));
    expect(helper.bpf_xdp_adjust_head(BigInt(ctx), asRegister(-4))).toBe(0n);
    expect(field(ctx, XDP_MD_DATA_META)).toBe(-12);
    expect([...arena.u8.subarray(PACKET - 12, PACKET - 4)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });
});

describe('bpf_xdp_adjust_tail', () => {
  it.each<[string, number, number, number]>([
    ['grows to the hard end', 32, 0, 96],
    ['not beyond the hard end', 33, -EINVAL, 64],
    ['shrinks to an Ethernet header', -50, 0, 14],
    ['not below an Ethernet header', -51, -EINVAL, 64],
    ['stays', 0, 0, 64],
    ['far above does not wrap', 0x7fffffff, -EINVAL, 64],
    ['far below 0 does not wrap', -0x80000000, -EINVAL, 64],
  ])('%s (%d)', (_, delta, result, end) => {
    const ctx = xdpMd();
    expect(helper.bpf_xdp_adjust_tail(BigInt(ctx), asRegister(delta))).toBe(BigInt(result));
    expect(field(ctx, XDP_MD_DATA_END)).toBe(end);
    expect(field(ctx, XDP_MD_DATA)).toBe(0);
  });

  it('zeroes what it gains, and nothing else', () => {
    const ctx = xdpMd();
    expect(helper.bpf_xdp_adjust_tail(BigInt(ctx), 9n)).toBe(0n);
    expect([...arena.u8.subarray(PACKET + 62, PACKET + 75)]).toEqual([
      62, 63, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xee, 0xee,
    ]);
  });
});

const SPEC: MapSpec = { name: 'm', type: 'ARRAY', keySize: 4, valueSize: 8, maxEntries: 2, flags: 0 };

describe('map helpers', () => {
  type Call = readonly [call: 'update' | 'delete', key: number, flags: number, result: number];
  const ARRAY_CALLS: readonly Call[] = [
    ['update', 1, BPF_ANY, 0],
    ['update', 1, BPF_NOEXIST, -EEXIST],
    ['update', 1, BPF_EXIST, 0],
    ['update', 1, 3, -EINVAL],
    ['update', 2, BPF_ANY, -E2BIG],
    ['update', 5, 3, -EINVAL],
    ['delete', 1, 0, -EINVAL],
  ];
  const HASH_CALLS: readonly Call[] = [
    ['update', 0, BPF_EXIST, -ENOENT],
    ['update', 1, BPF_NOEXIST, 0],
    ['update', 1, BPF_NOEXIST, -EEXIST],
    ['update', 1, BPF_EXIST, 0],
    ['update', 1, 3, -EINVAL],
    ['update', 0, BPF_ANY, 0],
    ['delete', 1, 0, 0],
    ['delete', 1, 0, -ENOENT],
  ];
  it.each<[MapSpec['type'], readonly Call[]]>([
    ['ARRAY', ARRAY_CALLS],
    ['PERCPU_ARRAY', ARRAY_CALLS],
    ['HASH', [...HASH_CALLS, ['update', 3, 0, 0], ['update', 4, 0, -E2BIG]]],
    ['LRU_HASH', [...HASH_CALLS, ['update', 3, 0, 0], ['update', 4, 0, 0]]],
  ])('%s: the errno that a program gets', (type, calls) => {
    const map = maps.createMap({ ...SPEC, type });
    const at = BigInt(map.info.descriptor);
    for (const [call, key, flags, result] of calls) {
      arena.u32[scratch / 4] = key;
      const got =
        call === 'delete'
          ? helper.bpf_map_delete_elem(at, BigInt(scratch))
          : helper.bpf_map_update_elem(at, BigInt(scratch), BigInt(scratch + 8), BigInt(flags));
      expect(got, `${call} ${key} with ${flags}`).toBe(BigInt(result));
    }
  });

  it.each(['ARRAY', 'HASH', 'LRU_HASH'] as const)('%s: a looked-up pointer is the value', (type) => {
    const map = maps.createMap({ ...SPEC, type });
    const key = new Uint8Array(4);
    map.update(key, new Uint8Array(8).fill(5));
    arena.u32[scratch / 4] = 0;
    const value = helper.bpf_map_lookup_elem(BigInt(map.info.descriptor), BigInt(scratch));
    expect(arena.u64[Number(value) / 8]).toBe(0x0505050505050505n);
    arena.u64[Number(value) / 8] = 9n;
    expect(map.lookup(key)?.[0]).toBe(9);
    arena.u32[scratch / 4] = 7;
    expect(helper.bpf_map_lookup_elem(BigInt(map.info.descriptor), BigInt(scratch))).toBe(0n);
  });

  it('PERCPU_ARRAY: a program sees and writes its own CPU’s copy', () => {
    const map = maps.createMap({ ...SPEC, type: 'PERCPU_ARRAY' });
    arena.u32.set([1, 0, 42, 0], scratch / 4);
    expect(
      helper.bpf_map_update_elem(BigInt(map.info.descriptor), BigInt(scratch), BigInt(scratch + 8), 0n),
    ).toBe(0n);
    const copies = new BigUint64Array(map.lookup(Uint8Array.of(1, 0, 0, 0))!.buffer);
    expect([...copies]).toEqual([0n, 42n, 0n]);
    const value = helper.bpf_map_lookup_elem(BigInt(map.info.descriptor), BigInt(scratch));
    expect(arena.u64[Number(value) / 8]).toBe(42n);
  });

  it('ARRAY_OF_MAPS: a lookup gives the inner map, which is a map', () => {
    const outer = maps.createMap({ ...SPEC, type: 'ARRAY_OF_MAPS', valueSize: 4, inner: SPEC });
    const inner = maps.createMap(SPEC);
    arena.u32[scratch / 4] = 1;
    const [outerAt, keyAt] = [BigInt(outer.info.descriptor), BigInt(scratch)];
    expect(helper.bpf_map_lookup_elem(outerAt, keyAt)).toBe(0n);
    expect(outer.updateInner(Uint8Array.of(1, 0, 0, 0), inner)).toBe(0);
    expect(helper.bpf_map_lookup_elem(outerAt, keyAt)).toBe(BigInt(inner.info.descriptor));
    expect(helper.bpf_map_update_elem(outerAt, keyAt, keyAt, 0n)).toBe(BigInt(-EINVAL));
    expect(helper.bpf_map_delete_elem(outerAt, keyAt)).toBe(BigInt(-EINVAL));
  });

  it.each<[string, Partial<MapSpec>, number]>([
    ['BPF_F_RDONLY_PROG keeps programs out', { flags: MAP_FLAGS.BPF_F_RDONLY_PROG }, -EPERM],
    ['freezing does not, as in the kernel', { frozen: true }, 0],
  ])('%s', (_, change, result) => {
    const map = maps.createMap({ ...SPEC, ...change });
    arena.u32[scratch / 4] = 0;
    const [at, key] = [BigInt(map.info.descriptor), BigInt(scratch)];
    expect(helper.bpf_map_update_elem(at, key, key, 0n)).toBe(BigInt(result));
    expect(helper.bpf_map_delete_elem(at, key)).toBe(BigInt(result === 0 ? -EINVAL : result));
  });
});
