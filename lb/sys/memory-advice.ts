import { errnoName } from './errno.js';
import { lastErrno, libc } from './libc.js';
import { PAGE_BYTES } from './mapping.js';
import { addressOfMemory } from './mmap.js';

const MADV_HUGEPAGE = 14;
const MADV_POPULATE_WRITE = 23;

/** Part of a wasm memory, bytes. */
interface Region {
  readonly offset: number;
  readonly bytes: number;
}

/** madvise(2) for a part of a wasm memory, whole pages. @returns the errno's name where the kernel refuses */
function advise(memory: WebAssembly.Memory, { offset, bytes }: Region, advice: number): string | undefined {
  if (bytes === 0) return undefined;
  const refused = libc().madvise(addressOfMemory(memory) + BigInt(offset), bytes, advice) < 0;
  return refused ? errnoName(lastErrno()) : undefined;
}

/**
 * Ask for huge pages under a part of the arena that is met at random (MADV_HUGEPAGE): a table of many megabytes has more
 * 4 KiB pages than a CPU's TLB has entries, and each packet would wait for a page walk. It is a wish: right without it,
 * and memory that has been written keeps its pages.
 * @param region begins on a page, as the arena's regions do
 * @returns the errno's name where the kernel refuses (EINVAL: built without huge pages), otherwise undefined
 */
export function preferHugePages(memory: WebAssembly.Memory, region: Region): string | undefined {
  return advise(memory, region, MADV_HUGEPAGE);
}

/**
 * Have the pages of a part of the arena made now (MADV_POPULATE_WRITE): otherwise the packet that is the first to write
 * one waits while the kernel finds and clears it. What they hold stays.
 * @param region widened to whole pages
 * @returns the errno's name where the kernel refuses (EINVAL before Linux 5.14; ENOMEM), otherwise undefined
 */
export function populate(memory: WebAssembly.Memory, { offset, bytes }: Region): string | undefined {
  const start = offset - (offset % PAGE_BYTES);
  const end = Math.ceil((offset + bytes) / PAGE_BYTES) * PAGE_BYTES;
  return advise(memory, { offset: start, bytes: bytes === 0 ? 0 : end - start }, MADV_POPULATE_WRITE);
}
