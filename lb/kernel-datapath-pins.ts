import { existsSync, mkdirSync, readdirSync, readlinkSync, rmdirSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { MapSpec } from './bpf/maps/map.js';
import { LINK_NAME, MOUNT_POINT, PinError } from './engine/pins.js';
import { decodeManifest, encodeManifest, MANIFEST_SPEC, type Manifest } from './kernel-datapath-manifest.js';
import {
  adoptXdpLink,
  isBpfFs,
  KernelMap,
  KernelMaps,
  type KernelProgram,
  openPin,
  pin,
  type XdpLink,
} from './sys/bpf.js';
import { setOffload } from './sys/ethtool.js';
import { FolderLock } from './sys/folder-lock.js';

/** Names within the directory of a datapath. */
const NAMES = { maps: 'maps', manifest: 'manifest', program: 'program', link: LINK_NAME } as const;

/** What a process left that others can go on with. */
export interface Pinned {
  readonly manifest: Manifest;
  /** Its interface may be gone: then `ifindex` is 0. */
  readonly link: XdpLink;
}

/** What is pinned of a datapath. */
export interface PinnedParts {
  readonly maps: ReadonlyMap<string, KernelMap>;
  readonly program: KernelProgram;
  readonly link: XdpLink;
  readonly manifest: Manifest;
}

/** The network namespace of this thread. */
export const ownNamespace = (): string => readlinkSync('/proc/thread-self/ns/net');

const errnoOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);

/** Names of what is pinned in a folder. Folders in it are somebody else's. */
const mapNames = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => name);

/** Where something that is not ours is in a directory, or mounted on it, it stays. */
function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!['ENOTEMPTY', 'EBUSY'].includes(errnoOf(error))) throw error;
  }
}

/**
 * The directory of a bpffs where a datapath's link, program and maps have their names. One process has it at a time, from
 * `open` to `release`.
 */
export class PinDirectory {
  readonly path: string;
  readonly #lock: FolderLock;

  private constructor(path: string, lock: FolderLock) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Make the directory where it is not there, and keep others out.
   * @throws PinError PINS_NO_BPFFS, PINS_NAME, PINS_ACCESS, PINS_TAKEN
   */
  static open(directory: string): PinDirectory {
    const path = resolve(directory);
    if (!isBpfFs(path)) {
      throw new PinError(
        { code: 'PINS_NO_BPFFS', directory: path },
        `pin: ${path} is not in a bpffs: mount one first (mount -t bpf bpf ${MOUNT_POINT}), or choose a directory of one that is mounted`,
      );
    }
    const name = basename(path);
    if (name.includes('.')) {
      throw new PinError(
        { code: 'PINS_NAME', directory: path, name },
        `pin: ${path}: a bpffs allows no dots in names`,
      );
    }
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      return PinDirectory.#take(path);
    } catch (error) {
      if (error instanceof PinError) throw error;
      const errno = errnoOf(error);
      throw new PinError(
        { code: 'PINS_ACCESS', directory: path, errno },
        `pin: ${path} cannot be used: ${errno}`,
        { cause: error },
      );
    }
  }

  /** @throws PinError PINS_ABSENT, PINS_TAKEN */
  static openExisting(directory: string): PinDirectory {
    const path = resolve(directory);
    if (existsSync(path) && isBpfFs(path)) return PinDirectory.#take(path);
    throw new PinError({ code: 'PINS_ABSENT', directory: path }, `pin: nothing is pinned at ${path}`);
  }

  static #take(path: string): PinDirectory {
    const lock = FolderLock.take(path);
    if (lock !== undefined) return new PinDirectory(path, lock);
    throw new PinError(
      { code: 'PINS_TAKEN', directory: path },
      `pin: another waggle runs on the pins at ${path}: stop it first, or choose another directory`,
    );
  }

  /**
   * What the last process left; undefined where it left nothing, or died before all of it had its name: what there is of
   * it holds up nobody, and is overwritten.
   * @throws PinError PINS_BROKEN
   */
  read(): Pinned | undefined {
    const linkPath = join(this.path, NAMES.link);
    if (!existsSync(linkPath)) return undefined;
    const manifest = this.#readManifest();
    if ('reason' in manifest) throw this.#broken(manifest.reason);
    const link = adoptXdpLink(openPin(linkPath), `pin ${linkPath}`);
    if (link === undefined) throw this.#broken(`${NAMES.link} is no link of XDP`);
    return { manifest, link };
  }

  /** A map that the last process left, by the path of its name; undefined where there is none. */
  mapPath(name: string): string | undefined {
    const path = join(this.path, NAMES.maps, name);
    return existsSync(path) ? path : undefined;
  }

  /** Give everything its name, the link last, and take the names of maps that are none any more. */
  write({ maps, program, link, manifest }: PinnedParts): void {
    const folder = join(this.path, NAMES.maps);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const kept = [...maps.values()].filter(({ spec }) => isShared(spec));
    for (const map of kept) pin(map.fd, join(folder, map.spec.name));
    const names = new Set(kept.map(({ spec }) => spec.name));
    for (const name of mapNames(folder)) if (!names.has(name)) rmSync(join(folder, name));
    this.writeProgram(program, manifest);
    pin(link.fd, join(this.path, NAMES.link));
  }

  /** Another program runs from now on. */
  writeProgram(program: KernelProgram, manifest: Manifest): void {
    const map = new KernelMaps().createMap({ ...MANIFEST_SPEC, initial: encodeManifest(manifest) });
    try {
      // The new one whole in the place of the old one: a reader sees no half of each.
      pin(map.fd, join(this.path, NAMES.manifest));
    } finally {
      map.close();
    }
    pin(program.fd, join(this.path, NAMES.program));
  }

  /**
   * Detach what is attached, and take every name; what else is in the directory stays, and so does the directory then.
   * @returns the names, and whether a program was attached
   */
  clear(): { readonly wasAttached: boolean; readonly removed: readonly string[] } {
    const wasAttached = this.#detach();
    const removed: string[] = [];
    const take = (...names: readonly string[]): void => {
      const path = join(this.path, ...names);
      if (!existsSync(path)) return;
      rmSync(path);
      removed.push(join(...names));
    };
    // The link first: without it the rest holds up nobody.
    take(NAMES.link);
    take(NAMES.program);
    take(NAMES.manifest);
    const folder = join(this.path, NAMES.maps);
    if (existsSync(folder)) {
      for (const name of mapNames(folder)) take(NAMES.maps, name);
      removeIfEmpty(folder);
    }
    removeIfEmpty(this.path);
    return { wasAttached, removed };
  }

  /** Let another process have the directory. Idempotent. */
  release(): void {
    this.#lock.release();
  }

  #detach(): boolean {
    const path = join(this.path, NAMES.link);
    if (!existsSync(path)) return false;
    const link = adoptXdpLink(openPin(path), `pin ${path}`);
    if (link === undefined || link.ifindex === 0) {
      link?.close();
      return false;
    }
    const manifest = this.#readManifest();
    try {
      link.detach();
    } finally {
      link.close();
    }
    if (!('reason' in manifest) && manifest.namespace === ownNamespace()) {
      for (const offload of manifest.turnedOff) setOffload(manifest.interface, offload, true);
    }
    return true;
  }

  #readManifest(): Manifest | { readonly reason: string } {
    const path = join(this.path, NAMES.manifest);
    if (!existsSync(path)) return { reason: 'there is no manifest' };
    const map = new KernelMap(MANIFEST_SPEC, openPin(path));
    try {
      const value = map.lookup(new Uint8Array(MANIFEST_SPEC.keySize));
      return value === undefined ? { reason: 'the manifest is empty' } : decodeManifest(value);
    } finally {
      map.close();
    }
  }

  #broken(reason: string): PinError {
    return new PinError(
      { code: 'PINS_BROKEN', directory: this.path, reason },
      `pin: what is pinned at ${this.path} cannot be taken over: ${reason}; remove it with 'waggle down', which stops forwarding until the next start`,
    );
  }
}

/** Whether a map outlives the program: constants and variables are the program's own. */
export const isShared = ({ initial }: MapSpec): boolean => initial === undefined;

/**
 * Stop forwarding that a process left pinned: detach the program, and remove every pin and the directory.
 * @throws PinError PINS_ABSENT, PINS_TAKEN while a process runs on the pins
 */
export function unpinDatapath(directory: string): {
  readonly wasAttached: boolean;
  readonly removed: readonly string[];
} {
  const pins = PinDirectory.openExisting(directory);
  try {
    return pins.clear();
  } finally {
    pins.release();
  }
}
