import type { MapSpec } from '../../../lb/bpf/maps/map.js';
import type { ProgramSpec } from '../../../lb/bpf/object/spec.js';
import { ATTACH_TYPES } from '../../../lb/bpf/object/spec.js';
import { BpfAttr, BpfError, bpfCall } from '../../../lb/sys/bpf-call.js';
import { type KernelMap, KernelMaps, possibleCpus } from '../../../lb/sys/bpf-map.js';
import { KernelTypes } from '../../../lb/sys/bpf-types.js';
import { errnoName } from '../../../lb/sys/errno.js';
import { closeFd } from '../../../lb/sys/syscall.js';
import { messageOf } from '../../support/kernel-verdict.js';
import type { Candidate, Scene } from './scene.js';

const TYPES = { xdp: 6, sched_cls: 3 } as const;
const ATTACH_XDP = 37;
const LD_IMM64 = 0x18;
const ENOSPC = 28;
const FIRST_LOG_BYTES = 1 << 20;
const LOG_BYTES = 64 << 20;
const MAX_ENTRIES = 1024;
const PAGE_BYTES = 4096;
/**
 * Where a path was given up, the kernel's log goes on behind the branch at which another begins, whose line feed it has
 * overwritten.
 */
const MID_LINE = /(goto pc[+-]\d+|call bpf_\w+#\d+) (?=\d+: |infinite loop|BPF program is)/g;
/** The log's last line, which one message has no line feed in front of. */
const COUNTS = /processed \d+ insns .*\n*$/;

/** One of the two verdicts. */
export interface Verdict {
  readonly accepted: boolean;
  /** The lines that say why, joined by ' | '; '' where it was accepted. */
  readonly message: string;
  readonly processed: number;
  /** The path that fails, where it was refused. */
  readonly log: string;
}

interface KernelScene {
  readonly maps: readonly KernelMap[];
  readonly types: KernelTypes | undefined;
}

/** The live kernel's verifier, with each scene's maps and types in it once. */
export class KernelJudge {
  readonly #scenes = new Map<Scene, KernelScene>();
  #log = new Uint8Array(FIRST_LOG_BYTES);

  /** Whether the scene's maps and types can be made in this kernel. */
  canJudge(scene: Scene): boolean {
    try {
      this.#scene(scene);
      return true;
    } catch (error) {
      if (error instanceof BpfError) return false;
      throw error;
    }
  }

  /** @throws BpfError where the scene cannot be made */
  judge(candidate: Candidate): Verdict {
    const { maps, types } = this.#scene(candidate.scene);
    const code = withDescriptors(candidate.code, maps);
    const attr = new BpfAttr(128)
      .u32(0, TYPES[candidate.type])
      .u32(4, code.length / 8)
      .pointer(8, code)
      .pointer(16, new TextEncoder().encode(`${candidate.scene.license}\0`))
      .u32(68, attachType(candidate));
    types?.describe(attr, { functions: candidate.functions, lines: [] } as unknown as ProgramSpec);
    for (;;) {
      this.#log[0] = 0;
      attr.u32(24, 1).u32(28, this.#log.length).pointer(32, this.#log);
      const fd = bpfCall('PROG_LOAD', attr);
      if (fd === -ENOSPC && this.#log.length < LOG_BYTES) {
        this.#log = new Uint8Array(LOG_BYTES);
        continue;
      }
      if (fd >= 0) closeFd(fd);
      const lines = new TextDecoder().decode(this.#log.subarray(0, this.#log.indexOf(0)));
      const text = lines.replace(MID_LINE, '$1\n').replace(COUNTS, '\n$&');
      const processed = Number(/processed (\d+) insns/.exec(text)?.[1] ?? 0);
      if (fd >= 0) return { accepted: true, message: '', processed, log: '' };
      return {
        accepted: false,
        message: messageOf(text) || errnoName(-fd),
        processed,
        log: text,
      };
    }
  }

  close(): void {
    for (const { maps, types } of this.#scenes.values()) {
      for (const map of maps) map.close();
      types?.close();
    }
    this.#scenes.clear();
  }

  #scene(scene: Scene): KernelScene {
    const known = this.#scenes.get(scene);
    if (known !== undefined) return known;
    const host = new KernelMaps();
    const maps = scene.maps.map((spec) => host.createMap({ ...spec, maxEntries: entriesOf(spec) }));
    const types = scene.btf === undefined ? undefined : new KernelTypes(scene.btf);
    const made = { maps, types };
    this.#scenes.set(scene, made);
    return made;
  }
}

/** As loaders have it: a slot for each CPU, whole pages; and no more than is needed to load a program. */
function entriesOf({ type, maxEntries }: MapSpec): number {
  if (type === 'PERF_EVENT_ARRAY' && maxEntries === 0) return possibleCpus();
  if (type === 'RINGBUF') return 2 ** Math.ceil(Math.log2(Math.max(maxEntries, PAGE_BYTES)));
  return Math.min(maxEntries, MAX_ENTRIES);
}

function attachType({ attachType, type }: Candidate): number {
  if (attachType !== undefined) return ATTACH_TYPES[attachType];
  return type === 'xdp' ? ATTACH_XDP : 0;
}

/** The code with file descriptors where it has indices of maps. */
function withDescriptors(code: Uint8Array, maps: readonly KernelMap[]): Uint8Array {
  const bytes = Uint8Array.from(code);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    if (view.getUint8(at) !== LD_IMM64) continue;
    const source = view.getUint8(at + 1) >> 4;
    const map = maps[view.getInt32(at + 4, true)];
    if ((source === 1 || source === 2) && map !== undefined) view.setInt32(at + 4, map.fd, true);
    at += 8;
  }
  return bytes;
}
