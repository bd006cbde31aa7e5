import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { missingRoot } from '../../test/support/capabilities.js';
import { XDP_PASS } from '../bpf/engine/context.js';
import { BPF_EXIST, BPF_NOEXIST, type MapSpec } from '../bpf/maps/map.js';
import type { ProgramSpec, ProgramType } from '../bpf/object/spec.js';
import {
  BpfError,
  type KernelMap,
  KernelMaps,
  type KernelProgram,
  loadKernelProgram,
  possibleCpus,
  type XdpLink,
} from './bpf.js';
import { countPossibleCpus } from './bpf-map.js';
import { errnoName } from './errno.js';

const u32 = (value: number): Uint8Array => {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value, true);
  return out;
};
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const program = (code: string, type: ProgramType = 'xdp'): ProgramSpec => ({
  name: 'test',
  section: 'xdp',
  type,
  code: bytes(code),
  functions: [{ name: 'test', start: 0 }],
  lines: [],
});
/** r0 = 2; exit */
const PASS = 'b700000002000000 9500000000000000';

function faultOf(run: () => unknown): BpfError['fault'] | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof BpfError) return error.fault;
    throw error;
  }
  return undefined;
}

describe('without the kernel', () => {
  it.each([
    ['0-1\n', 2],
    ['0', 1],
    ['0-3,8-11', 12],
    ['0,2', 3],
  ])('CPUs of %j', (text, count) => {
    expect(countPossibleCpus(text)).toBe(count);
  });
  it.each(['', 'none', '0-'])('CPUs of %j cannot be read', (text) => {
    expect(() => countPossibleCpus(text)).toThrow('not a list of CPUs');
  });
  it.each([
    [1, 'EPERM'],
    [2, 'ENOENT'],
    [95, 'EOPNOTSUPP'],
    [524, 'ENOTSUPP'],
  ])('errno %i is %s', (errno, name) => {
    expect(errnoName(errno)).toBe(name);
  });
});

const skip = missingRoot === undefined ? '' : ` (skipped: ${missingRoot})`;
describe.skipIf(missingRoot !== undefined)(`bpf() of the kernel${skip}`, () => {
  const open: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(thing: T): T => {
    open.push(thing);
    return thing;
  };
  afterEach(() => {
    for (const thing of open.splice(0).reverse()) thing.close();
  });
  const host = new KernelMaps();
  const spec = (over: Partial<MapSpec> = {}): MapSpec => ({
    name: 'test',
    type: 'HASH',
    keySize: 4,
    valueSize: 8,
    maxEntries: 4,
    flags: 0,
    ...over,
  });

  it("a hash: update, lookup, delete, next key, with the kernel's errno", () => {
    const map = keep(host.createMap(spec()));
    const value = bytes('0102030405060708');
    expect(map.lookup(u32(1))).toBeUndefined();
    expect(map.update(u32(1), value, BPF_EXIST)).toBe(-2);
    expect(map.update(u32(1), value)).toBe(0);
    expect(map.update(u32(1), value, BPF_NOEXIST)).toBe(-17);
    expect(map.lookup(u32(1))).toEqual(value);
    for (const key of [2, 3, 4]) expect(map.update(u32(key), value)).toBe(0);
    expect(map.update(u32(5), value)).toBe(-7);
    const keys: number[] = [];
    for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key)) keys.push(key[0]!);
    expect(keys.sort()).toEqual([1, 2, 3, 4]);
    expect(map.delete(u32(1))).toBe(0);
    expect(map.delete(u32(1))).toBe(-2);
  });

  it('a batch writes every element, and stops at the first that cannot be', () => {
    const map = keep(host.createMap(spec({ type: 'ARRAY', valueSize: 4, maxEntries: 1000 })));
    const words = Uint32Array.from({ length: 1000 }, (_, i) => i);
    const values = Uint32Array.from(words, (i) => i * 3 + 1);
    expect(map.updateBatch(new Uint8Array(words.buffer), new Uint8Array(values.buffer), 1000)).toBe(0);
    expect([0, 1, 999].map((i) => map.lookup(u32(i)))).toEqual([u32(1), u32(4), u32(2998)]);
    expect(map.updateBatch(new Uint8Array(0), new Uint8Array(0), 0)).toBe(0);
    const past = Uint32Array.of(5, 1000, 6);
    expect(map.updateBatch(new Uint8Array(past.buffer), new Uint8Array(12), 3)).toBe(-7);
    expect([5, 6].map((i) => map.lookup(u32(i)))).toEqual([u32(0), u32(19)]);
  });

  it('a per-CPU value is a copy a CPU, each rounded up to 8 bytes', () => {
    const map = keep(host.createMap(spec({ type: 'PERCPU_ARRAY', valueSize: 4, maxEntries: 2 })));
    expect(map.cpus).toBe(possibleCpus());
    expect(map.valueBytes).toBe(possibleCpus() * 8);
    const value = Uint8Array.from({ length: map.valueBytes }, (_, i) => (i % 8 < 4 ? i + 1 : 0));
    expect(map.update(u32(1), value)).toBe(0);
    expect(map.lookup(u32(1))).toEqual(value);
  });

  it("a map of maps takes maps of its template's shape", () => {
    const inner = spec({ type: 'LRU_HASH', keySize: 8, maxEntries: 16 });
    const outer = keep(host.createMap(spec({ type: 'ARRAY_OF_MAPS', valueSize: 4, maxEntries: 2, inner })));
    const fits = keep(host.createMap({ ...inner, maxEntries: 64 }));
    const other = keep(host.createMap(spec()));
    expect(outer.updateInner(u32(0), fits)).toBe(0);
    expect(outer.updateInner(u32(1), other)).toBe(-22);
    expect(outer.updateInner(u32(2), fits)).toBe(-7);
    expect(outer.lookup(u32(1))).toBeUndefined();
  });

  it('content of a frozen map is written once', () => {
    const initial = bytes('aabbccddeeff0011');
    const map = keep(
      host.createMap(
        spec({ name: '.rodata', type: 'ARRAY', maxEntries: 1, flags: 128, initial, frozen: true }),
      ),
    );
    expect(map.lookup(u32(0))).toEqual(initial);
    expect(map.update(u32(0), initial)).toBe(-1);
  });

  it("lengths that are wrong are our caller's fault", () => {
    const map = keep(host.createMap(spec({ name: 'lengths' })));
    expect(faultOf(() => map.lookup(new Uint8Array(5)))).toEqual({
      code: 'BPF_LENGTH',
      map: 'lengths',
      what: 'key',
      bytes: 5,
      wantBytes: 4,
    });
    expect(faultOf(() => map.update(u32(1), u32(1)))).toMatchObject({
      code: 'BPF_LENGTH',
      what: 'value',
      bytes: 4,
      wantBytes: 8,
    });
    expect(faultOf(() => map.updateBatch(u32(1), u32(1), 2))).toMatchObject({
      code: 'BPF_LENGTH',
      what: 'keys',
    });
  });

  it('a map that cannot be says which and why', () => {
    expect(faultOf(() => host.createMap(spec({ name: 'bad', keySize: 0 })))).toEqual({
      code: 'BPF_CALL',
      command: 'MAP_CREATE',
      subject: 'map bad',
      errno: 'EINVAL',
    });
  });

  it('close is done once', () => {
    const map = host.createMap(spec());
    map.close();
    const next = keep(host.createMap(spec()));
    map.close();
    expect(map.fd).toBe(-1);
    expect(next.update(u32(1), bytes('0000000000000001'))).toBe(0);
  });

  it('a program runs on a packet', () => {
    const pass = keep(loadKernelProgram(program(PASS), [], 'GPL'));
    const packet = Uint8Array.from({ length: 64 }, (_, i) => i);
    const run = pass.testRun(packet, 10);
    expect(run.verdict).toBe(XDP_PASS);
    expect(run.packet).toEqual(packet);
    expect(run.durationNs).toBeLessThan(1_000_000);
    expect(faultOf(() => pass.testRun(new Uint8Array(13)))).toMatchObject({
      code: 'BPF_CALL',
      command: 'PROG_TEST_RUN',
      errno: 'EINVAL',
    });
  });

  it('maps stand in a program by index, and values of maps by index and offset', () => {
    const first = keep(host.createMap(spec()));
    const data = keep(
      host.createMap(
        spec({
          name: '.rodata',
          type: 'ARRAY',
          maxEntries: 1,
          flags: 128,
          initial: bytes('0000000003000000'),
          frozen: true,
        }),
      ),
    );
    // r1 = value of map 1, at 4; r0 = *(u32 *)r1; exit
    const code = '1821000001000000 0000000004000000 6110000000000000 9500000000000000';
    const loaded = keep(loadKernelProgram(program(code), [first, data], 'GPL'));
    expect(loaded.testRun(new Uint8Array(64)).verdict).toBe(3);
    expect(faultOf(() => loadKernelProgram(program(code), [first], 'GPL'))).toEqual({
      code: 'BPF_MAP_INDEX',
      program: 'test',
      slot: 0,
      index: 1,
    });
  });

  it('a program that is refused says what the verifier says', () => {
    const fault = faultOf(() => loadKernelProgram(program('9500000000000000'), [], 'GPL'));
    expect(fault).toMatchObject({ code: 'BPF_REFUSED', program: 'test', errno: 'EACCES' });
    expect(fault?.code === 'BPF_REFUSED' && fault.log).toContain('R0 !read_ok');
    expect(faultOf(() => loadKernelProgram(program(PASS, 'unspec'), [], 'GPL'))).toEqual({
      code: 'BPF_PROGRAM_TYPE',
      program: 'test',
      type: 'unspec',
    });
  });

  describe('XDP on an interface', () => {
    const name = `prog${process.pid}`;
    const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
    const ifindex = (): number => Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
    const isAttached = (): boolean => ip('link', 'show', 'dev', name).includes('prog/xdp');
    const withVeth = (run: () => void): void => {
      ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`);
      try {
        run();
      } finally {
        ip('link', 'delete', name);
      }
    };

    it.each(['native', 'generic'] as const)('%s: attached until the link is closed', (mode) => {
      withVeth(() => {
        const pass: KernelProgram = keep(loadKernelProgram(program(PASS), [], 'GPL'));
        const link: XdpLink = pass.attachXdp(ifindex(), mode);
        expect(isAttached()).toBe(true);
        expect(faultOf(() => pass.attachXdp(ifindex(), mode))).toMatchObject({
          code: 'BPF_CALL',
          command: 'LINK_CREATE',
          errno: 'EBUSY',
        });
        link.close();
        link.close();
        expect(isAttached()).toBe(false);
      });
    });

    it('an interface that is not there', () => {
      const pass = keep(loadKernelProgram(program(PASS), [], 'GPL'));
      expect(faultOf(() => pass.attachXdp(0x7ffffff0, 'native'))).toMatchObject({
        code: 'BPF_CALL',
        command: 'LINK_CREATE',
      });
    });
  });

  it('a map of another host is not taken for one of the kernel', () => {
    const outer = keep(
      host.createMap(spec({ type: 'ARRAY_OF_MAPS', valueSize: 4, maxEntries: 2, inner: spec() })),
    );
    const stranger = { ...spec(), spec: spec({ name: 'stranger' }) } as unknown as KernelMap;
    expect(() => outer.updateInner(u32(0), stranger)).toThrow(TypeError);
  });
});
