import koffi from 'koffi';
import { errnoName } from './errno.js';
import { lastErrno, libc, SysError } from './libc.js';

const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;

/** Address of a wasm memory's first byte in this process. The memory must stay referenced, and not grow. */
export function addressOfMemory(memory: WebAssembly.Memory): bigint {
  return koffi.address(new Uint8Array(memory.buffer));
}

function map(address: bigint, bytes: number, flags: number, fd: number, what: string, offset: number): void {
  const mapped = libc().mmap(address, bytes, PROT_READ_WRITE, flags | MAP_FIXED, fd, offset);
  if (BigInt(mapped) === address) return;
  const errno = errnoName(lastErrno());
  throw new SysError(
    { code: 'SYS_CALL', call: 'mmap', errno },
    `mapping ${what} (${bytes} bytes) failed: ${errno}`,
  );
}

/**
 * Put what a descriptor maps (a socket's ring) in the place of `bytes` bytes at `address`.
 * @param address a multiple of the page size, as is `bytes`
 * @param offset  what of the descriptor: 0, or what stands for one of its rings
 * @throws SysError SYS_CALL
 */
export function mapOver(address: bigint, bytes: number, fd: number, what: string, offset = 0): void {
  map(address, bytes, MAP_SHARED, fd, what, offset);
}

/** Put ordinary zero memory back in the place of a mapping. */
export function unmapFrom(address: bigint, bytes: number): void {
  map(address, bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1, 'memory over a ring', 0);
}
