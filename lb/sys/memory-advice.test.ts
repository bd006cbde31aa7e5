import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PAGE_BYTES } from './mapping.js';
import { populate, preferHugePages } from './memory-advice.js';
import { addressOfMemory } from './mmap.js';

const PAGES = 1024;
const MEBIBYTE = 2 ** 20;

/** VmFlags of the mapping of an address (proc_pid_smaps(5)); hg: huge pages are advised. */
function flagsAt(address: bigint): string[] {
  let isIn = false;
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (range) isIn = BigInt(`0x${range[1]}`) <= address && address < BigInt(`0x${range[2]}`);
    else if (isIn && line.startsWith('VmFlags:')) return line.slice('VmFlags:'.length).trim().split(' ');
  }
  throw new Error(`no mapping holds ${address.toString(16)}`);
}

/** Of so many pages from an address, those that are in memory (bit 63 of proc_pid_pagemap(5)). */
function residentPages(address: bigint, pages: number): number {
  const fd = openSync('/proc/self/pagemap', 'r');
  const entries = new BigUint64Array(pages);
  readSync(fd, new Uint8Array(entries.buffer), { position: (address / BigInt(PAGE_BYTES)) * 8n });
  closeSync(fd);
  return entries.filter((entry) => entry >> 63n === 1n).length;
}

describe('huge pages', () => {
  it('are asked for under the part that is named, and nowhere else', () => {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
    const start = addressOfMemory(memory);
    expect(preferHugePages(memory, { offset: 8 * MEBIBYTE, bytes: 16 * MEBIBYTE })).toBeUndefined();
    const isAsked = (mebibytes: number) => flagsAt(start + BigInt(mebibytes * MEBIBYTE)).includes('hg');
    expect([7, 8, 23, 24].map(isAsked)).toEqual([false, true, true, false]);
  });

  it('a part of no bytes asks for nothing', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    expect(preferHugePages(memory, { offset: 0, bytes: 0 })).toBeUndefined();
    expect(flagsAt(addressOfMemory(memory))).not.toContain('hg');
  });

  it('where the kernel refuses, its error is told', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    expect(preferHugePages(memory, { offset: 1, bytes: 4096 })).toBe('EINVAL');
  });
});

describe('memory that is made beforehand', () => {
  it('is there from the first page that the part touches to the last, with what it held', () => {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
    const bytes = new Uint8Array(memory.buffer);
    const start = addressOfMemory(memory);
    bytes[100 * PAGE_BYTES + 7] = 42;
    expect(residentPages(start + BigInt(100 * PAGE_BYTES), 50)).toBe(1);
    // One byte of the last page is enough.
    expect(populate(memory, { offset: 100 * PAGE_BYTES + 5, bytes: 48 * PAGE_BYTES - 4 })).toBeUndefined();
    expect(residentPages(start + BigInt(100 * PAGE_BYTES), 49)).toBe(49);
    expect(bytes[100 * PAGE_BYTES + 7]).toBe(42);
    expect(bytes[101 * PAGE_BYTES]).toBe(0);
  });

  it('a part of no bytes makes none', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    expect(populate(memory, { offset: PAGE_BYTES, bytes: 0 })).toBeUndefined();
    expect(residentPages(addressOfMemory(memory) + BigInt(PAGE_BYTES), 1)).toBe(0);
  });

  it("where the kernel refuses, its error is told: memory that is not the process's", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    expect(populate(memory, { offset: 2 ** 40 + 2 ** 46, bytes: PAGE_BYTES })).toBe('ENOMEM');
  });
});
