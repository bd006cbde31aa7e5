import type { HelperUser } from '../bpf/helpers/prototypes.js';
import type { BpfMap, MapHost, MapSpec } from '../bpf/maps/map.js';
import type { ObjectSpec, ProgramSpec } from '../bpf/object/spec.js';
import { CodedError } from '../errors.js';

/** What runs a program offline: the two engines of the arena, which need no rights, and the live kernel. */
export const REPLAY_ENGINES = ['jit', 'interpreter', 'kernel'] as const;
export type ReplayEngineName = (typeof REPLAY_ENGINES)[number];

export type ReplayFault =
  | { readonly code: 'REPLAY_PROGRAM'; readonly program: string; readonly programs: readonly string[] }
  | {
      readonly code: 'REPLAY_FRAME';
      readonly bytes: number;
      readonly minBytes: number;
      readonly maxBytes: number;
    }
  | { readonly code: 'REPLAY_WORKER'; readonly worker: number; readonly workers: number }
  | { readonly code: 'REPLAY_TRAP'; readonly program: string };
/** The object has no such program, a frame is too short or too long, or a program did what no proved one does. */
export class ReplayError extends CodedError<ReplayFault> {}

export interface ReplayOptions {
  readonly object: ObjectSpec;
  /** Name of the program (its C function): of type XDP or TC. */
  readonly program: string;
  readonly engine: 'jit' | 'interpreter';
  /** CPUs that the program can run on, one a worker; 1 unless given. */
  readonly workers?: number;
  /** Upper bound on the entries of each LRU map of the object: production sizes would take production memory. */
  readonly lruEntries?: number;
}

/** What a run is told besides the frame. */
export interface ReplayRun {
  /** Worker, from 0; 0 unless given. */
  readonly worker?: number;
  /** TC: the mark of the packet (skb->mark); 0 unless given. */
  readonly mark?: number;
}

export interface ReplayResult {
  /** What the program returned: an XDP verdict (see VERDICT_NAMES), or a TC action, signed. */
  readonly verdict: number;
  /** The frame as the program left it: a copy. */
  readonly frame: Uint8Array;
}

/** A program that is ready to run over frames, and its maps, which keep their content from frame to frame. */
export interface ReplayEngine {
  readonly type: HelperUser;
  /** The object's maps by name. */
  readonly maps: ReadonlyMap<string, BpfMap>;
  /** To create further maps beside them (inner maps of a map of maps). */
  readonly host: MapHost;
  readonly workers: number;
  /** Lengths of frames that can be run, bytes. */
  readonly minFrameBytes: number;
  readonly maxFrameBytes: number;
  /**
   * Run the program over one frame.
   * @param frame from the Ethernet header on; it is copied
   * @param clockNs what bpf_ktime_get_ns gives, where the engine can set it
   * @throws ReplayError
   */
  run(frame: Uint8Array, clockNs?: bigint, run?: ReplayRun): ReplayResult;
  /** Give everything back. Idempotent. */
  close(): void;
}

/** Program types that a replay runs. */
export function replayType(type: ProgramSpec['type']): HelperUser | undefined {
  return type === 'xdp' || type === 'sched_cls' ? type : undefined;
}

/**
 * The program of an object that a name means: its C function or its section; without a name the first one that is XDP
 * or TC.
 * @throws ReplayError REPLAY_PROGRAM
 */
export function findReplayProgram(object: ObjectSpec, name?: string): ProgramSpec {
  const runnable = object.programs.filter(({ type }) => replayType(type) !== undefined);
  const found =
    name === undefined ? runnable[0] : runnable.find((spec) => spec.name === name || spec.section === name);
  if (found !== undefined) return found;
  const programs = object.programs.map((spec) => spec.name);
  const other = object.programs.find((spec) => spec.name === name || spec.section === name);
  const why =
    name === undefined
      ? 'no XDP or TC program'
      : other === undefined
        ? `no program ${name}`
        : `${name} is of type ${other.type}, and XDP and TC programs are run`;
  throw new ReplayError(
    { code: 'REPLAY_PROGRAM', program: name ?? '', programs },
    `${why}; the object has ${programs.join(', ') || 'none'}`,
  );
}

/** @throws ReplayError REPLAY_FRAME */
export function checkFrame(
  { minFrameBytes, maxFrameBytes }: Pick<ReplayEngine, 'minFrameBytes' | 'maxFrameBytes'>,
  frame: Uint8Array,
): void {
  const bytes = frame.length;
  if (bytes >= minFrameBytes && bytes <= maxFrameBytes) return;
  const fault = { code: 'REPLAY_FRAME', bytes, minBytes: minFrameBytes, maxBytes: maxFrameBytes } as const;
  throw new ReplayError(
    fault,
    `frame of ${bytes} bytes: ${minFrameBytes} to ${maxFrameBytes} bytes are possible`,
  );
}

/** @throws ReplayError REPLAY_WORKER */
export function noWorker(worker: number, workers: number): ReplayError {
  return new ReplayError(
    { code: 'REPLAY_WORKER', worker, workers },
    `no worker ${worker}: there are ${workers}, from 0`,
  );
}

const LRU_TYPES: ReadonlySet<string> = new Set(['LRU_HASH', 'LRU_PERCPU_HASH']);

/** A change of specs that keeps LRU maps, inner ones too, at a number of entries at most. */
export function boundLru(lruEntries: number | undefined): (map: MapSpec) => MapSpec {
  const size = (map: MapSpec): MapSpec =>
    lruEntries !== undefined && LRU_TYPES.has(map.type) && map.maxEntries > lruEntries
      ? { ...map, maxEntries: lruEntries }
      : map;
  return (map) => size(map.inner === undefined ? map : { ...map, inner: size(map.inner) });
}
