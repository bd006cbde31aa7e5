import type { HelperUser } from '../bpf/helpers/prototypes.js';
import { createMaps } from '../bpf/object/create-maps.js';
import { type KernelMap, KernelMaps, type KernelProgram, loadKernelProgram } from '../sys/bpf.js';
import {
  boundLru,
  checkFrame,
  findReplayProgram,
  noWorker,
  type ReplayEngine,
  type ReplayOptions,
  type ReplayResult,
  type ReplayRun,
  replayType,
} from './replay-engine.js';

/** The kernel's test runs take no shorter frame (net/bpf/test_run.c: ETH_HLEN). */
const MIN_FRAME_BYTES = 14;
/** A page less the headroom and what the kernel keeps behind the data (struct skb_shared_info). */
const MAX_FRAME_BYTES = 4096 - 256 - 320;

/**
 * Runs one XDP or TC program over frames in the live kernel (BPF_PROG_TEST_RUN): the judge of the other engines. Needs
 * root, or CAP_BPF and CAP_NET_ADMIN. Three things differ: the kernel's clock cannot be set, so that programs see the
 * time of the run; it runs on whatever CPU the kernel chooses, so that workers are told apart by nobody here; and
 * frames have 14 to 3520 bytes.
 */
export class KernelReplay implements ReplayEngine {
  readonly type: HelperUser;
  readonly maps: ReadonlyMap<string, KernelMap>;
  readonly host = new KernelMaps();
  readonly workers: number;
  readonly minFrameBytes = MIN_FRAME_BYTES;
  readonly maxFrameBytes = MAX_FRAME_BYTES;
  readonly #programs = new Map<string, KernelProgram>();
  readonly #entry: KernelProgram;

  /** @throws ReplayError REPLAY_PROGRAM; BpfError BPF_CALL, BPF_REFUSED */
  constructor({ object, program, workers = 1, lruEntries }: Omit<ReplayOptions, 'engine'>) {
    const spec = findReplayProgram(object, program);
    this.type = replayType(spec.type)!;
    this.workers = workers;
    this.maps = createMaps<KernelMap>(object, this.host, boundLru(lruEntries));
    try {
      const slots = object.maps.flatMap(({ name, programs = [] }) =>
        programs.map((slot) => ({ ...slot, map: name })),
      );
      const names = new Set([spec.name, ...slots.map((slot) => slot.program)]);
      for (const each of object.programs.filter(({ name }) => names.has(name))) {
        const loaded = loadKernelProgram(each, [...this.maps.values()], object.license, object.btf);
        this.#programs.set(each.name, loaded);
      }
      for (const { map, index, program: target } of slots) {
        const bytes = new Uint8Array(Int32Array.of(index, this.#programs.get(target)?.fd ?? -1).buffer);
        this.maps.get(map)?.update(bytes.subarray(0, 4), bytes.subarray(4));
      }
      this.#entry = this.#programs.get(spec.name)!;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** @throws ReplayError REPLAY_FRAME, REPLAY_WORKER; BpfError BPF_CALL */
  run(frame: Uint8Array, _clockNs?: bigint, { worker = 0, mark = 0 }: ReplayRun = {}): ReplayResult {
    checkFrame(this, frame);
    if (worker < 0 || worker >= this.workers) throw noWorker(worker, this.workers);
    const { verdict, packet } = this.#entry.testRun(frame, 1, mark);
    return { verdict: this.type === 'xdp' ? verdict : verdict | 0, frame: packet };
  }

  /** Idempotent. */
  close(): void {
    for (const program of this.#programs.values()) program.close();
    for (const map of this.maps.values()) map.close();
  }
}
