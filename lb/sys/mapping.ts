import koffi from 'koffi';
import { errnoName } from './errno.js';
import { lastErrno, libc, SysError } from './libc.js';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
/** Unit of mappings and of the kernel's rings, on x86-64 and on arm64 as distributions build it. */
export const PAGE_BYTES = 4096;

/** Memory that a descriptor maps into this process, wherever there is room for it. */
export class Mapping {
  /** To be used until `close` only: after that there is no memory behind it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  #address: bigint;

  /**
   * @param bytes a multiple of PAGE_BYTES, as is `offset`
   * @param access what is read-only must not be written: the process would be killed
   * @throws SysError SYS_CALL
   */
  constructor(fd: number, bytes: number, offset: number, access: 'read' | 'read-write', what: string) {
    const protection = access === 'read' ? PROT_READ : PROT_READ | PROT_WRITE;
    const address = BigInt(libc().mmap(0n, bytes, protection, MAP_SHARED, fd, offset));
    if (address === -1n) {
      const errno = errnoName(lastErrno());
      const message = `mapping ${what} (${bytes} bytes) failed: ${errno}`;
      throw new SysError({ code: 'SYS_CALL', call: 'mmap', errno }, message);
    }
    this.#address = address;
    this.bytes = new Uint8Array(koffi.view(address, bytes));
  }

  /** Idempotent. */
  close(): void {
    if (this.#address === 0n) return;
    libc().munmap(this.#address, this.bytes.length);
    this.#address = 0n;
  }
}
