import { ioError, type JournalOperation } from '../../control-plane/state/journal-faults.js';
import type { StateFile, StateFiles } from '../../control-plane/state/journal-files.js';

/** What a file holds, as readers see it and as the disk has it. */
interface Inode {
  seen: Uint8Array;
  synced: Uint8Array;
  /** A sync failed: the system takes its pages for written, and no later sync writes them. */
  isLost: boolean;
}

/** One thing that was done to the files; a write is done byte by byte. */
type Step =
  | { readonly kind: 'create'; readonly name: string; readonly inode: number }
  | { readonly kind: 'write'; readonly inode: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly inode: number; readonly sizeBytes: number }
  | { readonly kind: 'sync'; readonly inode: number }
  | { readonly kind: 'failed-sync'; readonly inode: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'sync-directory' };

/** Whether the operation fails that is the n-th to be asked for, and with which errno. */
export type FaultPlan = (operation: number) => 'ENOSPC' | 'EIO' | undefined;

const NO_BYTES = new Uint8Array(0);
const NO_FAULTS: FaultPlan = () => undefined;

/** A disk: files by name, as readers see them and as they are after power was lost. */
class Disk {
  readonly inodes: Inode[] = [];
  names = new Map<string, number>();
  syncedNames = new Map<string, number>();

  inodeOf(name: string): number {
    const inode = this.names.get(name);
    if (inode === undefined) throw Object.assign(new Error(`no ${name}`), { code: 'ENOENT' });
    return inode;
  }

  do(step: Step): void {
    switch (step.kind) {
      case 'create':
        this.inodes[step.inode] = { seen: NO_BYTES, synced: NO_BYTES, isLost: false };
        this.names.set(step.name, step.inode);
        return;
      case 'write': {
        const inode = this.inodes[step.inode]!;
        const { offset, bytes } = step;
        const grown = new Uint8Array(Math.max(inode.seen.length, offset + bytes.length));
        grown.set(inode.seen);
        grown.set(bytes, offset);
        inode.seen = grown;
        return;
      }
      case 'truncate': {
        const inode = this.inodes[step.inode]!;
        inode.seen = inode.seen.slice(0, step.sizeBytes);
        return;
      }
      case 'sync': {
        const inode = this.inodes[step.inode]!;
        if (!inode.isLost) inode.synced = inode.seen;
        return;
      }
      case 'failed-sync':
        this.inodes[step.inode]!.isLost = true;
        return;
      case 'rename':
        this.names.set(step.to, this.inodeOf(step.from));
        this.names.delete(step.from);
        return;
      case 'remove':
        this.names.delete(step.name);
        return;
      case 'sync-directory':
        this.syncedNames = new Map(this.names);
        return;
    }
  }
}

/**
 * Files in memory that fail as they are told to, and remember what was done to them: what is left when the process dies
 * between any two bytes, or power is lost between any two operations, can be built again.
 */
export class FaultFiles implements StateFiles {
  readonly directory = '/state';
  readonly steps: Step[] = [];
  /** Operations that were asked for. */
  operations = 0;
  plan: FaultPlan = NO_FAULTS;
  readonly #disk = new Disk();

  constructor(content: ReadonlyMap<string, Uint8Array> = new Map()) {
    for (const [name, bytes] of content) {
      const inode = this.#disk.inodes.length;
      this.#disk.do({ kind: 'create', name, inode });
      this.#disk.do({ kind: 'write', inode, offset: 0, bytes });
      this.#disk.do({ kind: 'sync', inode });
    }
    this.#disk.do({ kind: 'sync-directory' });
  }

  /** Files by name, as they are now; or as they are when power is lost now. */
  content(after: 'kill' | 'power loss' = 'kill'): Map<string, Uint8Array> {
    return contentOf(this.#disk, after);
  }

  async list(): Promise<string[]> {
    return [...this.#disk.names.keys()];
  }

  async read(name: string): Promise<Uint8Array> {
    return this.#disk.inodes[this.#disk.inodeOf(name)]!.seen;
  }

  async create(name: string): Promise<StateFile> {
    const inode = this.#disk.inodes.length;
    this.#ask('create', name, { kind: 'create', name, inode });
    return this.#file(name, inode);
  }

  async open(name: string): Promise<StateFile> {
    return this.#file(name, this.#disk.inodeOf(name));
  }

  async rename(from: string, to: string): Promise<void> {
    this.#ask('rename', from, { kind: 'rename', from, to });
  }

  async remove(name: string): Promise<void> {
    this.#ask('remove', name, { kind: 'remove', name });
  }

  async syncDirectory(): Promise<void> {
    this.#ask('sync', this.directory, { kind: 'sync-directory' });
  }

  #file(name: string, inode: number): StateFile {
    return {
      write: async (bytes, offset) => {
        // A write that fails may have written a part.
        const half = { kind: 'write', inode, offset, bytes: bytes.slice(0, bytes.length >> 1) } as const;
        this.#ask('write', name, { kind: 'write', inode, offset, bytes: bytes.slice() }, half);
      },
      truncate: async (sizeBytes) => this.#ask('truncate', name, { kind: 'truncate', inode, sizeBytes }),
      sync: async () => this.#ask('sync', name, { kind: 'sync', inode }, { kind: 'failed-sync', inode }),
      close: async () => undefined,
    };
  }

  #ask(operation: JournalOperation, name: string, step: Step, ifItFails?: Step): void {
    const errno = this.plan(this.operations++);
    if (errno === undefined) {
      this.#do(step);
      return;
    }
    if (ifItFails) this.#do(ifItFails);
    throw ioError(operation, name, Object.assign(new Error(errno), { code: errno }));
  }

  #do(step: Step): void {
    this.#disk.do(step);
    this.steps.push(step);
  }
}

function contentOf(disk: Disk, after: 'kill' | 'power loss'): Map<string, Uint8Array> {
  const names = after === 'kill' ? disk.names : disk.syncedNames;
  const bytesOf = ({ seen, synced }: Inode) => (after === 'kill' ? seen : synced);
  return new Map([...names].map(([name, inode]) => [name, bytesOf(disk.inodes[inode]!)]));
}

/** What is left of files, and after how many steps. */
export interface Remains {
  readonly stepsDone: number;
  readonly after: 'kill' | 'power loss';
  readonly content: Map<string, Uint8Array>;
}

/** What every death leaves: a kill before each byte and each step, a loss of power after each step. */
export function* deaths(steps: readonly Step[]): Generator<Remains> {
  const disk = new Disk();
  for (const [stepsDone, step] of steps.entries()) {
    yield { stepsDone, after: 'power loss', content: contentOf(disk, 'power loss') };
    yield { stepsDone, after: 'kill', content: contentOf(disk, 'kill') };
    if (step.kind === 'write') {
      for (let i = 0; i + 1 < step.bytes.length; i++) {
        disk.do({ ...step, offset: step.offset + i, bytes: step.bytes.subarray(i, i + 1) });
        yield { stepsDone, after: 'kill', content: contentOf(disk, 'kill') };
      }
    }
    disk.do(step);
  }
  yield { stepsDone: steps.length, after: 'power loss', content: contentOf(disk, 'power loss') };
  yield { stepsDone: steps.length, after: 'kill', content: contentOf(disk, 'kill') };
}
