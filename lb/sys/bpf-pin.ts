import { renameSync, rmSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { BpfAttr, bpfCallOrThrow } from './bpf-call.js';

const PIN_ATTR_BYTES = 16;
/** Type of the file system that pins live in (BPF_FS_MAGIC, uapi/linux/magic.h). */
const BPF_FS_MAGIC = 0xcafe4a11;

/** Whether a path, or the nearest folder above it that exists, is in a file system for pins. */
export function isBpfFs(path: string): boolean {
  try {
    return statfsSync(path).type === BPF_FS_MAGIC;
  } catch {
    const above = dirname(path);
    return above !== path && isBpfFs(above);
  }
}

const pathBytes = (path: string): Uint8Array => new TextEncoder().encode(`${path}\0`);

/**
 * Give a map, program or link a name in a bpffs: it lives as long as the name does, whatever becomes of this process.
 * What had the name before loses it in the same moment.
 * @throws BpfError BPF_CALL: EPERM where the folder is in no bpffs
 */
export function pin(fd: number, path: string): void {
  // Pinning takes only names that are free; what a process left half-way is in nobody's way.
  const beside = `${path}+`;
  rmSync(beside, { force: true });
  bpfCallOrThrow(
    'OBJ_PIN',
    new BpfAttr(PIN_ATTR_BYTES).pointer(0, pathBytes(beside)).u32(8, fd),
    `pin ${path}`,
  );
  renameSync(beside, path);
}

/**
 * A descriptor of what is pinned.
 * @throws BpfError BPF_CALL: ENOENT where nothing is
 */
export function openPin(path: string): number {
  return bpfCallOrThrow('OBJ_GET', new BpfAttr(PIN_ATTR_BYTES).pointer(0, pathBytes(path)), `pin ${path}`);
}
