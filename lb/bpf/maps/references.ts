import { BPF_ANY, BPF_EXIST, BPF_NOEXIST, type MapTypeName } from './map.js';
import type { ProgramNumbers } from './program-numbers.js';
import { E2BIG, EBADF, EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM, EOVERFLOW } from './uapi.js';

/** What values of maps name outside of the maps, and who knows whether it is there. */
export interface References {
  readonly programs: ProgramNumbers;
  /** CPUs that a CPUMAP can name. */
  readonly cpus: number;
  /** Is there an interface of this index? Every one above 0 unless given. */
  readonly isInterface?: (index: number) => boolean;
  /** Is there an AF_XDP socket of this number? Every one unless given. */
  readonly isSocket?: (number: number) => boolean;
}

/** An update of a map whose values are references, as words. */
export interface ReferenceUpdate {
  /** The key's first word: the index, but for a DEVMAP_HASH. */
  readonly key: number;
  readonly value: number;
  /** Second word of the value, a program's number; 0 where the value has one word. */
  readonly program: number;
  readonly flags: number;
  readonly maxEntries: number;
  /** The value's first word as it is in the map; undefined for an empty element. */
  readonly present: number | undefined;
}

/** What to write, or the refusal (negative errno). */
type Answer = number | { readonly value: number; readonly program: number };
export type ReferenceCheck = (update: ReferenceUpdate, references: References) => Answer;

/** The kernel's CPU_MAP_… limit of a queue's length (kernel/bpf/cpumap.c). */
const QUEUE_MAX = 16384;
const EMPTY = { value: 0, program: 0 };

/** A file descriptor of 0 or below says that there is no program. */
const hasProgram = (program: number) => (program | 0) > 0;
const isFree = (program: number, { programs }: References) =>
  hasProgram(program) && !programs.isLive(program);
const programOf = (program: number) => (hasProgram(program) ? program : 0);

/** Rules of an array whose elements count as being there always. */
function refuseIndex({ key, flags, maxEntries }: ReferenceUpdate): number {
  if (flags > BPF_EXIST) return -EINVAL;
  if (key >= maxEntries) return -E2BIG;
  return flags === BPF_NOEXIST ? -EEXIST : 0;
}

/** Rules of an array of descriptors (the kernel's bpf_fd_array_map_update_elem). */
function refuseSlot({ key, flags, maxEntries }: ReferenceUpdate): number {
  if (flags !== BPF_ANY) return -EINVAL;
  return key >= maxEntries ? -E2BIG : 0;
}

function checkProgramArray(update: ReferenceUpdate, { programs }: References): Answer {
  const refusal = refuseSlot(update);
  if (refusal !== 0) return refusal;
  return programs.isLive(update.value) ? { value: update.value, program: 0 } : -EBADF;
}

/** Rings come into the slots by `PerfReader.open`: no number stands for one. */
function checkPerfEventArray(update: ReferenceUpdate): Answer {
  return refuseSlot(update) || -EBADF;
}

function checkDevice(update: ReferenceUpdate, references: References): Answer {
  const { value, program } = update;
  const { isInterface = () => true } = references;
  if (!isInterface(value) || isFree(program, references)) return -EINVAL;
  return { value, program: programOf(program) };
}

function checkDevmap(update: ReferenceUpdate, references: References): Answer {
  const refusal = refuseIndex(update);
  if (refusal !== 0) return refusal;
  // Interface 0 empties the element.
  if (update.value === 0) return hasProgram(update.program) ? -EINVAL : EMPTY;
  return checkDevice(update, references);
}

function checkDevmapHash(update: ReferenceUpdate, references: References): Answer {
  if (update.flags > BPF_EXIST || update.value === 0) return -EINVAL;
  // BPF_EXIST makes a new entry all the same.
  if (update.flags === BPF_NOEXIST && update.present !== undefined) return -EEXIST;
  return checkDevice(update, references);
}

function checkCpumap(update: ReferenceUpdate, references: References): Answer {
  const { key, value, program } = update;
  const refusal = refuseIndex(update);
  if (refusal !== 0) return refusal;
  if (value > QUEUE_MAX) return -EOVERFLOW;
  if (key >= references.cpus) return -ENODEV;
  // A queue without room for a frame empties the element.
  if (value === 0) return EMPTY;
  // The kernel says so, whatever was wrong with the program.
  return isFree(program, references) ? -ENOMEM : { value, program: programOf(program) };
}

function checkXskmap(
  { key, value, flags, maxEntries, present }: ReferenceUpdate,
  references: References,
): Answer {
  const { isSocket = () => true } = references;
  if (flags > BPF_EXIST) return -EINVAL;
  if (key >= maxEntries) return -E2BIG;
  if (!isSocket(value)) return -EBADF;
  if (present !== value) {
    if (flags === BPF_NOEXIST && present !== undefined) return -EEXIST;
    if (flags === BPF_EXIST && present === undefined) return -ENOENT;
  }
  // The second word tells socket 0 from an empty element.
  return { value, program: 1 };
}

const CHECKS: Partial<Record<MapTypeName, ReferenceCheck>> = {
  PROG_ARRAY: checkProgramArray,
  PERF_EVENT_ARRAY: checkPerfEventArray,
  DEVMAP: checkDevmap,
  DEVMAP_HASH: checkDevmapHash,
  CPUMAP: checkCpumap,
  XSKMAP: checkXskmap,
};

/** How updates of a map type are checked whose values are references; undefined for other types. */
export function referenceCheck(type: MapTypeName): ReferenceCheck | undefined {
  return CHECKS[type];
}
