import { verifierMapOf } from '../../../lb/bpf/verifier/input.js';
import { verifyCode } from '../../../lb/bpf/verifier/verify-code.js';
import { possibleCpus } from '../../../lb/sys/bpf-map.js';
import { shrink } from '../../differential/shrink.js';
import type { KernelJudge, Verdict } from './kernel.js';
import { type Candidate, listing, type Scene } from './scene.js';

const SLOT_BYTES = 8;
const NOTHING = [0x05, 0, 0, 0, 0, 0, 0, 0];
const LD_IMM64 = 0x18;
/** Programs of which more is walked take too long to be judged again and again. */
const MAX_PROCESSED = 20_000;
const scenes = new WeakMap<Scene, ReturnType<typeof verifierMapOf>[]>();

/** What we say. */
export function judgeHere({ scene, type, attachType, code, functions }: Candidate): Verdict {
  const maps = scenes.get(scene) ?? scene.maps.map(verifierMapOf);
  scenes.set(scene, maps);
  const result = verifyCode(code, {
    type,
    ...(attachType !== undefined && { attachType }),
    maps,
    functions,
    ...(scene.btf !== undefined && { btf: scene.btf }),
    gpl: scene.license !== '' && /GPL/.test(scene.license),
    cpus: possibleCpus(),
    log: 1,
  });
  return {
    accepted: result.accepted,
    message: result.accepted ? '' : result.message,
    processed: result.processed,
    log: result.accepted ? '' : result.log,
  };
}

/** Accepted by us, by the kernel. */
export type Cell = 'both' | 'neither' | 'we only' | 'kernel only';

export interface Disagreement {
  readonly cell: 'we only' | 'kernel only' | 'message' | 'log' | 'processed';
  readonly candidate: Candidate;
  readonly here: Verdict;
  readonly kernel: Verdict;
}

/** Counts of all that was compared, and one example of each kind of difference. */
export class Matrix {
  readonly cells: Record<Cell, number> = { both: 0, neither: 0, 'we only': 0, 'kernel only': 0 };
  readonly byGenerator = new Map<string, Record<Cell, number>>();
  sameMessage = 0;
  sameLog = 0;
  /** Both accept: |ours − kernel's| / kernel's. */
  readonly distances: number[] = [];
  readonly disagreements: Disagreement[] = [];
  readonly kinds = new Map<string, { count: number; readonly example: Disagreement }>();

  add(generator: string, candidate: Candidate, here: Verdict, kernel: Verdict): Cell {
    const cell = cellOf(here, kernel);
    const row = this.byGenerator.get(generator) ?? { both: 0, neither: 0, 'we only': 0, 'kernel only': 0 };
    this.byGenerator.set(generator, row);
    row[cell] += 1;
    this.cells[cell] += 1;
    if (cell === 'we only' || cell === 'kernel only') this.#note({ cell, candidate, here, kernel });
    if (cell === 'neither') {
      const differing = firstDifference(here.log, kernel.log);
      if (differing === undefined) this.sameLog += 1;
      if (here.message === kernel.message) {
        this.sameMessage += 1;
        if (differing !== undefined) this.#note({ cell: 'log', candidate, here, kernel });
      } else this.#note({ cell: 'message', candidate, here, kernel });
    }
    if (cell === 'both') {
      this.distances.push(Math.abs(here.processed - kernel.processed) / Math.max(kernel.processed, 1));
      if (here.processed !== kernel.processed) this.#note({ cell: 'processed', candidate, here, kernel });
    }
    return cell;
  }

  #note(disagreement: Disagreement): void {
    const { cell, here, kernel } = disagreement;
    if (cell === 'we only' || cell === 'kernel only') this.disagreements.push(disagreement);
    const lines = cell === 'log' ? firstDifference(here.log, kernel.log)! : [here.message, kernel.message];
    const kind = `${cell}: ${pattern(lines[1]!)} <> ${pattern(lines[0]!)}`;
    const known = this.kinds.get(kind);
    if (known === undefined) this.kinds.set(kind, { count: 1, example: disagreement });
    else known.count += 1;
  }

  /** As a table for people. */
  text(): string {
    const rows = [...this.byGenerator, ['all', this.cells] as const].map(([name, cells]) => {
      const total = Object.values(cells).reduce((a, b) => a + b, 0);
      return `${name.padEnd(10)} ${total} programs: both accept ${cells.both}, both refuse ${cells.neither}, only we accept ${cells['we only']}, only the kernel accepts ${cells['kernel only']}`;
    });
    const sorted = this.distances.toSorted((a, b) => a - b);
    const at = (share: number) =>
      `${((sorted[Math.floor((sorted.length - 1) * share)] ?? 0) * 100).toFixed(2)} %`;
    const same = sorted.filter((distance) => distance === 0).length;
    return [
      ...rows,
      `same message: ${this.sameMessage} of ${this.cells.neither}; same log of the failing path: ${this.sameLog}`,
      `instructions walked: same in ${same} of ${sorted.length}; off by ${at(0.5)} in the median, ${at(0.99)} at 99 %, ${at(1)} at most`,
    ].join('\n');
  }
}

/** The first lines that are not the same, ours and the kernel's, but for addresses and what ends the log. */
function firstDifference(here: string, kernel: string): readonly [string, string] | undefined {
  const [ours, kernels] = [here, kernel].map((text) =>
    text
      .split('\n')
      .map(comparable)
      .filter((line) => line !== ''),
  );
  const at = ours!.findIndex((line, index) => line !== kernels![index]);
  if (at < 0 && ours!.length === kernels!.length) return undefined;
  const place = at < 0 ? ours!.length : at;
  return [ours![place] ?? '', kernels![place] ?? ''];
}

/** Maps lie elsewhere. */
const comparable = (line: string) =>
  line.startsWith('processed ') || line.startsWith('func#')
    ? ''
    : line.replace(/(\(18\) r\d+ = )0x[0-9a-f]+ */, '$1').trimEnd();

const pattern = (message: string) => message.replace(/0x[0-9a-f]+/g, 'X').replace(/-?\d+/g, 'N');

export function cellOf(here: Verdict, kernel: Verdict): Cell {
  if (here.accepted) return kernel.accepted ? 'both' : 'we only';
  return kernel.accepted ? 'kernel only' : 'neither';
}

/** The candidate with as much taken out as can be, so that the same kind of difference is left. */
export function shrinkCandidate(disagreement: Disagreement, judge: KernelJudge): Disagreement {
  const { candidate, cell, here } = disagreement;
  if (here.processed > MAX_PROCESSED) return disagreement;
  const slots = candidate.code.length / SLOT_BYTES;
  const all: number[] = [];
  for (let slot = 0; slot < slots; slot++) {
    all.push(slot);
    if (candidate.code[slot * SLOT_BYTES] === LD_IMM64) slot += 1;
  }
  const without = (text: string): Disagreement => {
    const kept = new Set(text.split('\n').map(Number));
    const code = Uint8Array.from(candidate.code);
    for (const slot of all) {
      if (kept.has(slot)) continue;
      const isWide = code[slot * SLOT_BYTES] === LD_IMM64;
      code.set(NOTHING, slot * SLOT_BYTES);
      if (isWide) code.set(NOTHING, (slot + 1) * SLOT_BYTES);
    }
    const shorter = { ...candidate, code };
    return { cell, candidate: shorter, here: judgeHere(shorter), kernel: judge.judge(shorter) };
  };
  const wanted = pattern(disagreement.here.message) + pattern(disagreement.kernel.message);
  const isSame = ({ here, kernel }: Disagreement) => {
    if (pattern(here.message) + pattern(kernel.message) !== wanted) return false;
    if (cell === 'log') return firstDifference(here.log, kernel.log) !== undefined;
    return cell !== 'processed' || (here.accepted && kernel.accepted && here.processed !== kernel.processed);
  };
  return without(shrink(all.join('\n'), (text) => isSame(without(text))));
}

/** With both messages and the program. */
export function describeDisagreement({ cell, candidate, here, kernel }: Disagreement): string {
  const said = ({ accepted, message, processed }: Verdict) =>
    `${accepted ? 'accepts' : `refuses: ${message}`} (${processed})`;
  const lines = cell === 'log' ? (firstDifference(here.log, kernel.log) ?? []) : [];
  return [
    `${cell}: ${candidate.origin}, ${candidate.type}; maps ${candidate.scene.maps.map((map, at) => `${at} ${map.type}`).join(', ')}`,
    `kernel ${said(kernel)}`,
    `here ${said(here)}`,
    ...lines.map((line, at) => `${at === 0 ? 'here  ' : 'kernel'} ${line}`),
    listing(candidate),
    Buffer.from(candidate.code).toString('hex'),
  ].join('\n');
}
