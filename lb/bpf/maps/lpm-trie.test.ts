import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { KernelMaps } from '../../sys/bpf.js';
import { Arena } from '../memory/arena.js';
import { CPU_SCRATCH, TRIE_FREES, TRIE_LOCK, TRIE_RESTING } from '../memory/layout.js';
import { auditTrie } from './audit-trie.js';
import { BPF_ANY, BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST, type BpfMap, ERRNO, type MapSpec } from './map.js';
import { type ArenaMap, ArenaMaps } from './registry.js';

const SPEC: MapSpec = { name: 't', type: 'LPM_TRIE', keySize: 8, valueSize: 8, maxEntries: 8, flags: 1 };
const { EEXIST, EINVAL, ENOENT, ENOSPC } = ERRNO;

/** Repeatable: mulberry32. */
function randomU32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** `bits` of `prefix`, which zeros follow. */
function keyOf(keySize: number, bits: number, prefix: readonly number[]): Uint8Array {
  const key = new Uint8Array(keySize);
  new DataView(key.buffer).setUint32(0, bits, true);
  key.set(prefix, 4);
  return key;
}
/** An IPv4 prefix, such as 10.0.0.0/8. */
function net(text: string): Uint8Array {
  const [address = '', bits = '32'] = text.split('/');
  return keyOf(8, Number(bits), address.split('.').map(Number));
}
const show = (key: Uint8Array | undefined) =>
  key && `${key.slice(4).join('.')}/${new DataView(key.buffer, key.byteOffset).getUint32(0, true)}`;
const value = (number: number) => new Uint8Array(BigUint64Array.of(BigInt(number)).buffer);
const number = (bytes: Uint8Array | undefined) =>
  bytes && Number(new BigUint64Array(bytes.slice().buffer)[0]);

function arenaMap(change: Partial<MapSpec> = {}): { arena: Arena; maps: ArenaMaps; map: ArenaMap } {
  const arena = Arena.create({ workers: 1, mapsBytes: 8 << 20, ringsBytes: 0 });
  const maps = new ArenaMaps(arena);
  return { arena, maps, map: maps.createMap({ ...SPEC, ...change }) };
}

function walk(map: BpfMap): (string | undefined)[] {
  const keys: (string | undefined)[] = [];
  for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key)) keys.push(show(key));
  return keys;
}

type Step =
  | { readonly do: 'update'; readonly key: string; readonly flags?: number; readonly gives: number }
  | { readonly do: 'delete'; readonly key: string; readonly gives: number }
  | { readonly do: 'lookup'; readonly key: string; readonly gives: number | undefined }
  | { readonly do: 'next'; readonly after: string; readonly gives: string | undefined }
  | { readonly do: 'walk'; readonly gives: readonly string[] };

const put = (...keys: string[]) => keys.map((key): Step => ({ do: 'update', key, gives: 0 }));

/** Values are the number of the update among the steps. */
const RULES: readonly { readonly rule: string; readonly steps: readonly Step[] }[] = [
  {
    rule: 'the longest prefix is found',
    steps: [
      ...put('10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '0.0.0.0/0'),
      { do: 'lookup', key: '10.1.2.3/32', gives: 2 },
      { do: 'lookup', key: '10.1.3.3/32', gives: 1 },
      { do: 'lookup', key: '10.2.3.3/32', gives: 0 },
      { do: 'lookup', key: '11.2.3.3/32', gives: 3 },
    ],
  },
  {
    rule: 'a lookup finds no prefix longer than its key',
    steps: [
      ...put('10.0.0.0/8', '10.1.0.0/16'),
      { do: 'lookup', key: '10.1.0.0/16', gives: 1 },
      { do: 'lookup', key: '10.1.0.0/15', gives: 0 },
      { do: 'lookup', key: '10.1.0.0/7', gives: undefined },
      { do: 'lookup', key: '10.1.0.0/33', gives: undefined },
    ],
  },
  {
    rule: 'flags and lengths are looked at first',
    steps: [
      { do: 'update', key: '10.0.0.0/8', flags: 3, gives: -EINVAL },
      { do: 'update', key: '10.0.0.0/8', flags: BPF_F_LOCK, gives: -EINVAL },
      { do: 'update', key: '10.0.0.0/33', gives: -EINVAL },
      { do: 'delete', key: '10.0.0.0/33', gives: -EINVAL },
      { do: 'next', after: '10.0.0.0/33', gives: undefined },
    ],
  },
  {
    rule: 'NOEXIST makes, EXIST changes, of this very prefix',
    steps: [
      ...put('10.0.0.0/8'),
      { do: 'update', key: '10.0.0.0/9', flags: BPF_EXIST, gives: -ENOENT },
      { do: 'update', key: '10.0.0.0/9', flags: BPF_NOEXIST, gives: 0 },
      { do: 'update', key: '10.0.0.0/9', flags: BPF_NOEXIST, gives: -EEXIST },
      { do: 'update', key: '10.0.0.0/8', flags: BPF_EXIST, gives: 0 },
      { do: 'lookup', key: '10.200.0.0/32', gives: 4 },
      { do: 'lookup', key: '10.0.0.0/32', gives: 2 },
    ],
  },
  {
    rule: 'where two prefixes part is no entry, until it is one',
    steps: [
      ...put('10.0.0.0/24', '10.0.1.0/24'),
      { do: 'lookup', key: '10.0.0.0/23', gives: undefined },
      { do: 'delete', key: '10.0.0.0/23', gives: -ENOENT },
      { do: 'update', key: '10.0.0.0/23', flags: BPF_EXIST, gives: -ENOENT },
      { do: 'next', after: '10.0.0.0/23', gives: '10.0.0.0/24' },
      { do: 'walk', gives: ['10.0.0.0/24', '10.0.1.0/24'] },
      { do: 'update', key: '10.0.0.0/23', flags: BPF_NOEXIST, gives: 0 },
      { do: 'lookup', key: '10.0.0.0/23', gives: 7 },
      { do: 'walk', gives: ['10.0.0.0/24', '10.0.1.0/24', '10.0.0.0/23'] },
      { do: 'delete', key: '10.0.0.0/23', gives: 0 },
      { do: 'delete', key: '10.0.0.0/23', gives: -ENOENT },
      { do: 'walk', gives: ['10.0.0.0/24', '10.0.1.0/24'] },
    ],
  },
  {
    rule: 'only the very prefix is deleted, and what is under it stays',
    steps: [
      ...put('10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24'),
      { do: 'delete', key: '10.1.0.0/17', gives: -ENOENT },
      { do: 'delete', key: '10.1.0.0/16', gives: 0 },
      { do: 'lookup', key: '10.1.2.3/32', gives: 2 },
      { do: 'lookup', key: '10.1.3.3/32', gives: 0 },
    ],
  },
  {
    rule: 'a full map refuses new prefixes and takes those that are there',
    steps: [
      ...put(
        '1.0.0.0/8',
        '2.0.0.0/8',
        '3.0.0.0/8',
        '4.0.0.0/8',
        '5.0.0.0/8',
        '6.0.0.0/8',
        '7.0.0.0/8',
        '8.0.0.0/8',
      ),
      { do: 'update', key: '9.0.0.0/8', gives: -ENOSPC },
      { do: 'update', key: '9.0.0.0/8', flags: BPF_NOEXIST, gives: -ENOSPC },
      { do: 'update', key: '9.0.0.0/8', flags: BPF_EXIST, gives: -ENOENT },
      { do: 'update', key: '8.0.0.0/8', flags: BPF_NOEXIST, gives: -EEXIST },
      { do: 'update', key: '8.0.0.0/8', gives: 0 },
      { do: 'update', key: '0.0.0.0/5', gives: -ENOSPC },
      { do: 'delete', key: '1.0.0.0/8', gives: 0 },
      { do: 'update', key: '9.0.0.0/8', gives: 0 },
    ],
  },
  {
    rule: 'walks give children before parents, bit 0 first; a key that is not there is followed by the first',
    steps: [
      ...put('0.0.0.0/0', '192.0.0.0/8', '10.0.0.0/8', '10.128.0.0/9', '10.0.0.0/9', '10.64.0.0/10'),
      {
        do: 'walk',
        gives: ['10.64.0.0/10', '10.0.0.0/9', '10.128.0.0/9', '10.0.0.0/8', '192.0.0.0/8', '0.0.0.0/0'],
      },
      { do: 'next', after: '10.0.0.0/7', gives: '10.64.0.0/10' },
      { do: 'next', after: '10.0.0.0/8', gives: '192.0.0.0/8' },
      { do: 'next', after: '0.0.0.0/0', gives: undefined },
      { do: 'next', after: '10.0.0.0/33', gives: '10.64.0.0/10' },
    ],
  },
  {
    rule: 'bits behind the prefix are kept, and count for nothing',
    steps: [
      ...put('10.1.2.3/8'),
      { do: 'lookup', key: '10.9.9.9/32', gives: 0 },
      { do: 'walk', gives: ['10.1.2.3/8'] },
      { do: 'update', key: '10.7.7.7/8', gives: 0 },
      { do: 'walk', gives: ['10.7.7.7/8'] },
      { do: 'delete', key: '10.0.0.0/8', gives: 0 },
      { do: 'walk', gives: [] },
    ],
  },
  {
    rule: 'one prefix of no bit answers everything',
    steps: [
      ...put('0.0.0.0/0'),
      { do: 'lookup', key: '255.1.1.1/0', gives: 0 },
      { do: 'walk', gives: ['0.0.0.0/0'] },
    ],
  },
];

function perform(map: BpfMap, step: Step, index: number): unknown {
  switch (step.do) {
    case 'update':
      return map.update(net(step.key), value(index), step.flags);
    case 'delete':
      return map.delete(net(step.key));
    case 'lookup':
      return number(map.lookup(net(step.key)));
    case 'next':
      return show(map.nextKey(net(step.after)));
    case 'walk':
      return walk(map);
  }
}

describe.each<[string, () => BpfMap, boolean]>([
  ['the arena', () => arenaMap().map, false],
  ['the kernel', () => new KernelMaps().createMap(SPEC), missingRoot !== undefined],
])('LPM_TRIE in %s', (_, makeMap, skip) => {
  it.skipIf(skip).each(RULES)('$rule', ({ steps }) => {
    const map = makeMap();
    for (const [index, step] of steps.entries()) {
      expect(perform(map, step, index), `step ${index}: ${JSON.stringify(step)}`).toEqual(step.gives);
    }
    map.close();
  });
});

/** Prefixes that are near each other, of all lengths. */
function randomKey(random: () => number, keySize: number): Uint8Array {
  const bytes = keySize - 4;
  const key = keyOf(
    keySize,
    random() % (bytes * 8 + 1),
    Array.from({ length: bytes }, () => [0, 0x80, 0xff, 1][random() % 4]!),
  );
  // Some bit of it, so that prefixes part anywhere.
  if (random() % 2 === 0) key[4 + (random() % bytes)]! ^= 1 << (random() % 8);
  return key;
}

describe('LPM_TRIE does as the kernel does', () => {
  it.skipIf(missingRoot).each([5, 6, 8, 11, 12, 13, 20, 37, 260])('with keys of %d bytes', (keySize) => {
    const random = randomU32(keySize);
    const spec = { ...SPEC, keySize, maxEntries: 60 };
    const { arena, map: ours } = arenaMap(spec);
    const kernels = new KernelMaps().createMap(spec);
    const recent: Uint8Array[] = [];
    for (let turn = 0; turn < 4000; turn++) {
      const fresh = randomKey(random, keySize);
      const key = random() % 3 === 0 || recent.length === 0 ? fresh : recent[random() % recent.length]!;
      const what = random() % 8;
      const flags = [BPF_ANY, BPF_ANY, BPF_NOEXIST, BPF_EXIST][random() % 4]!;
      const label = `turn ${turn}: ${show(key)}`;
      if (what < 3) {
        expect(ours.update(key, value(turn), flags), label).toBe(kernels.update(key, value(turn), flags));
        recent[recent.length < 80 ? recent.length : turn % 80] = key;
      } else if (what < 5) expect(ours.delete(key), label).toBe(kernels.delete(key));
      else if (what === 5) expect(show(ours.nextKey(key)), label).toBe(show(kernels.nextKey(key)));
      else expect(number(ours.lookup(key)), label).toBe(number(kernels.lookup(key)));
      if (turn % 500 === 499) expect(walk(ours)).toEqual(walk(kernels));
    }
    expect(auditTrie(arena, ours.info).faults).toEqual([]);
    kernels.close();
  });
});

describe('LPM_TRIE', () => {
  it('uses its room again, whatever comes and goes', () => {
    const { arena, map } = arenaMap({ maxEntries: 50 });
    const random = randomU32(7);
    for (let round = 0; round < 40; round++) {
      const there: Uint8Array[] = [];
      for (let i = 0; i < 50; i++) {
        const key = keyOf(8, 32, [random(), random(), random(), random()]);
        expect(map.update(key, value(i))).toBe(0);
        there.push(key);
      }
      for (const key of there) expect(map.delete(key)).toBe(0);
    }
    expect(auditTrie(arena, map.info)).toMatchObject({ faults: [], entries: 0, branches: 0 });
  });

  it('asked by a program, answers with the value itself', () => {
    const { arena, maps, map } = arenaMap();
    const {
      bpf_map_lookup_elem: lookup,
      bpf_map_update_elem: update,
      bpf_map_delete_elem: remove,
    } = maps.runtime.exports;
    const scratch = arena.block(1) + CPU_SCRATCH;
    const [pointer, key, at] = [BigInt(map.info.descriptor), BigInt(scratch), BigInt(scratch + 16)];
    arena.u8.set(net('10.0.0.0/8'), scratch);
    arena.u32[(scratch + 16) / 4] = 77;
    expect(lookup(pointer, key)).toBe(0n);
    expect(update(pointer, key, at, 0n)).toBe(0n);
    const found = Number(lookup(pointer, key));
    expect(arena.u32[found / 4]).toBe(77);
    expect(found % 8).toBe(0);
    arena.u32[found / 4] = 78;
    expect(number(map.lookup(net('10.1.1.1/32')))).toBe(78);
    expect(remove(pointer, key)).toBe(0n);
    expect(lookup(pointer, key)).toBe(0n);
  });

  it('leaves a value alone for the next frees, for programs that still point at it', () => {
    const { arena, maps, map } = arenaMap();
    const scratch = arena.block(1) + CPU_SCRATCH;
    map.update(net('10.0.0.0/8'), value(0xabc));
    arena.u8.set(net('10.0.0.0/8'), scratch);
    const held = maps.runtime.exports.lpm_trie_lookup(map.info.descriptor, scratch) >>> 0;
    for (let i = 0; i < TRIE_RESTING; i++) map.update(net('10.0.0.0/8'), value(i));
    expect(arena.u32[held / 4]).toBe(0xabc);
    expect(arena.u32[(map.info.descriptor + TRIE_FREES) / 4]).toBe(TRIE_RESTING);
  });

  it('gives -EBUSY after a while where the lock is stuck, and reads go on', () => {
    const { arena, maps, map } = arenaMap();
    map.update(net('10.0.0.0/8'), value(1));
    arena.u32[(map.info.descriptor + TRIE_LOCK) / 4] = 1;
    expect(map.update(net('11.0.0.0/8'), value(1))).toBe(-ERRNO.EBUSY);
    expect(map.delete(net('10.0.0.0/8'))).toBe(-ERRNO.EBUSY);
    expect(number(map.lookup(net('10.1.0.0/32')))).toBe(1);
    maps.recover(0);
    expect(map.update(net('11.0.0.0/8'), value(2))).toBe(0);
    expect(walk(map)).toEqual(['10.0.0.0/8', '11.0.0.0/8']);
    expect(auditTrie(arena, map.info)).toMatchObject({ faults: [], entries: 2 });
  });
});
