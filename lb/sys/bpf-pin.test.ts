import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../../test/support/capabilities.js';
import { balancerObject } from '../balancer/object.js';
import type { MapSpec } from '../bpf/maps/map.js';
import { parseBtf } from '../bpf/object/btf.js';
import { formatCDeclaration } from '../bpf/object/btf-c.js';
import {
  adoptXdpLink,
  BpfError,
  isBpfFs,
  KernelMap,
  KernelMaps,
  KernelTypes,
  kernelBtf,
  kernelMapInfo,
  kernelProgramInfo,
  loadKernelProgram,
  openPin,
  pin,
  xdpLinkInfo,
} from './bpf.js';
import { FolderLock } from './folder-lock.js';
import { findLink } from './socket.js';

const FOLDER = `/sys/fs/bpf/waggle-pin-${process.pid}`;
const host = new KernelMaps();
const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const spec = (over: Partial<MapSpec> = {}): MapSpec => ({
  name: 'kept',
  type: 'HASH',
  keySize: 4,
  valueSize: 4,
  maxEntries: 8,
  flags: 0,
  ...over,
});

describe('where pins can be', () => {
  it.each([
    ['/', false],
    [tmpdir(), false],
    ['/no/such/folder', false],
  ])('%s: %s', (path, is) => {
    expect(isBpfFs(path)).toBe(is);
  });
});

describe('the lock on a folder', () => {
  const folder = join(tmpdir(), `waggle-lock-${process.pid}`);
  beforeAll(() => mkdirSync(folder));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is one at a time, and free again when it is given back', () => {
    const first = FolderLock.take(folder);
    expect(first).toBeDefined();
    expect(FolderLock.take(folder)).toBeUndefined();
    first!.release();
    first!.release();
    const second = FolderLock.take(folder);
    expect(second).toBeDefined();
    second!.release();
  });

  it('is none on what is no folder any more', () => {
    expect(() => FolderLock.take(join(folder, 'none'))).toThrow('ENOENT');
  });
});

describe.skipIf(missingRoot)(`pins in the kernel${noting(missingRoot)}`, () => {
  const open: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(thing: T): T => {
    open.push(thing);
    return thing;
  };
  beforeAll(() => mkdirSync(FOLDER));
  afterAll(() => rmSync(FOLDER, { recursive: true }));
  afterEach(() => {
    for (const thing of open.splice(0)) thing.close();
    for (const name of readdirSync(FOLDER)) rmSync(join(FOLDER, name));
  });
  const path = join(FOLDER, 'it');

  it('a folder that is not there yet is where its parent is', () => {
    expect(isBpfFs(join(FOLDER, 'a', 'b'))).toBe(true);
  });

  it('a map lives as long as its name', () => {
    const map = host.createMap(spec());
    map.update(u32(1), u32(42));
    pin(map.fd, path);
    map.close();
    const again = keep(new KernelMap(spec(), openPin(path)));
    expect(again.lookup(u32(1))).toEqual(u32(42));
    expect(kernelMapInfo(again.fd, 'it')).toMatchObject({
      name: 'kept',
      type: 'HASH',
      keySize: 4,
      valueSize: 4,
      maxEntries: 8,
      flags: 0,
    });
  });

  it('a name goes over to another one at once, also where a process ended half-way', () => {
    for (const value of [1, 2]) {
      const map = keep(host.createMap(spec()));
      map.update(u32(1), u32(value));
      pin(map.fd, path);
    }
    const left = keep(host.createMap(spec()));
    pin(left.fd, `${path}+`);
    const last = keep(host.createMap(spec()));
    last.update(u32(1), u32(3));
    pin(last.fd, path);
    expect(keep(new KernelMap(spec(), openPin(path))).lookup(u32(1))).toEqual(u32(3));
    expect(readdirSync(FOLDER)).toEqual(['it']);
  });

  it.each([
    ['nothing is pinned', () => openPin(path), 'OBJ_GET', 'ENOENT'],
    ['no bpffs', () => pin(keep(host.createMap(spec())).fd, join(tmpdir(), 'it')), 'OBJ_PIN', 'EPERM'],
  ])('%s', (_, run, command, errno) => {
    let fault: unknown;
    try {
      run();
    } catch (error) {
      if (error instanceof BpfError) fault = error.fault;
    }
    expect(fault).toMatchObject({ code: 'BPF_CALL', command, errno });
  });

  it('a link goes on without a descriptor, until it is detached', () => {
    const device = `lnk${process.pid}`;
    const code = new Uint8Array(Buffer.from('b7000000020000009500000000000000', 'hex'));
    const functions = [{ name: 'pass', start: 0 }];
    const program = keep(
      loadKernelProgram({ name: 'pass', section: 'xdp', type: 'xdp', code, functions, lines: [] }, [], 'GPL'),
    );
    execFileSync('ip', ['link', 'add', device, 'type', 'veth', 'peer', 'name', `${device}p`]);
    try {
      const ifindex = findLink(device)!.index;
      const link = program.attachXdp(ifindex, 'native');
      pin(link.fd, path);
      link.close();
      const again = keep(adoptXdpLink(openPin(path), 'it')!);
      const { id } = kernelProgramInfo(program.fd, 'pass');
      expect(xdpLinkInfo(again.fd, 'it')).toMatchObject({ ifindex, programId: id });
      again.detach();
      expect(xdpLinkInfo(again.fd, 'it')).toMatchObject({ ifindex: 0 });
    } finally {
      execFileSync('ip', ['link', 'delete', device]);
    }
    const map = keep(host.createMap(spec({ type: 'PERCPU_ARRAY' })));
    pin(map.fd, path);
    expect(adoptXdpLink(openPin(path), 'it')).toBeUndefined();
  });

  it('maps carry the types of their object', () => {
    const { btf, maps } = balancerObject();
    const types = new KernelTypes(btf!);
    const typed = new KernelMaps(types);
    const found = maps
      .filter(({ name }) => name !== 'ch_rings')
      .map((one) => {
        const { btfId, valueTypeId } = kernelMapInfo(keep(typed.createMap(one)).fd, one.name);
        if (one.name.startsWith('.')) return `${one.name}: ${btfId !== 0}`;
        const known = btfId === 0 ? undefined : parseBtf(kernelBtf(btfId));
        return `${one.name}: ${known && formatCDeclaration(known, valueTypeId, '').trim()}`;
      });
    types.close();
    expect(found).toEqual(
      expect.arrayContaining([
        'vip_map: struct vip_meta',
        'reals: struct real_definition',
        'fallback_cache: struct real_pos_lru',
        'lru_mapping: undefined',
        '.rodata: true',
      ]),
    );
  });

  it.each([
    ['HASH', 0, 20_000],
    ['LRU_HASH', 0, 20_000],
    ['ARRAY', 0, 20_000],
    ['LPM_TRIE', 1, 500],
  ] as const)('a walk over a %s gives every entry once', (type, flags, entries) => {
    const isTrie = type === 'LPM_TRIE';
    const map = keep(host.createMap(spec({ type, flags, keySize: isTrie ? 8 : 4, maxEntries: 2 * entries })));
    const keyOf = (i: number) => (isTrie ? new Uint8Array(Uint32Array.of(32, i).buffer) : u32(i));
    for (let i = 0; i < entries; i++) map.update(keyOf(i), u32(i + 1));
    const seen = new Map<number, number>();
    map.forEach((key, value) => {
      const number = new DataView(key.buffer, key.byteOffset).getUint32(isTrie ? 4 : 0, true);
      const of = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
      expect(seen.has(number)).toBe(false);
      seen.set(number, of);
    });
    expect(seen.size).toBe(type === 'ARRAY' ? 2 * entries : entries);
    for (let i = 0; i < entries; i += 97) expect(seen.get(i)).toBe(i + 1);
  });

  it('a walk ends also where entries are deleted under it', () => {
    const map = keep(host.createMap(spec({ type: 'LPM_TRIE', flags: 1, keySize: 8, maxEntries: 1000 })));
    const keyOf = (i: number) => new Uint8Array(Uint32Array.of(32, i).buffer);
    for (let i = 0; i < 1000; i++) map.update(keyOf(i), u32(i));
    let visits = 0;
    map.forEach((key) => {
      visits += 1;
      map.delete(Uint8Array.from(key));
    });
    expect(visits).toBeGreaterThan(0);
    expect(map.nextKey()).toBeUndefined();
  });
});
