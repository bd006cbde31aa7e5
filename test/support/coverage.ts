/**
 * Which instructions of a program were executed: a hit map by slot that the interpreter fills, held against all that
 * can be reached in its control flow, and what is missing by source line.
 */
import type { StepListener } from '../../lb/bpf/engine/interpreter.js';
import type { Instruction } from '../../lb/bpf/isa/instruction.js';
import type { LineSpec, ProgramSpec } from '../../lb/bpf/object/spec.js';

/** Instructions that a line has, and how many of them were never executed. */
export interface LineCoverage {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly missed: number;
}

export interface CoverageReport {
  readonly reachable: number;
  readonly executed: number;
  /** Lines that have instructions which were never executed. */
  readonly missed: readonly LineCoverage[];
}

/** Collects over any number of runs, of any number of beds of one program. */
export class Coverage {
  readonly #hits = new Set<number>();

  /** For the interpreter. */
  readonly onStep: StepListener = (next) => {
    if (next !== undefined) this.#hits.add(next.slot);
  };

  report(spec: ProgramSpec, instructions: readonly Instruction[]): CoverageReport {
    const reachable = reachableSlots(instructions);
    const missed = new Map<LineSpec | undefined, number>();
    for (const slot of reachable) {
      if (this.#hits.has(slot)) continue;
      const line = lineOf(spec.lines, slot);
      missed.set(line, (missed.get(line) ?? 0) + 1);
    }
    const lines = new Map<string, LineCoverage>();
    for (const [line, count] of missed) {
      const { file, line: number, text } = line ?? { file: '?', line: 0, text: '' };
      const key = `${file}:${number}`;
      const before = lines.get(key)?.missed ?? 0;
      lines.set(key, { file, line: number, text: text.trim(), missed: before + count });
    }
    const executed = [...reachable].filter((slot) => this.#hits.has(slot)).length;
    return { reachable: reachable.size, executed, missed: [...lines.values()].sort(byPlace) };
  }
}

const byPlace = (a: LineCoverage, b: LineCoverage): number => a.file.localeCompare(b.file) || a.line - b.line;

/** Line of a slot: the last entry at or before it. */
function lineOf(lines: readonly LineSpec[], slot: number): LineSpec | undefined {
  let found: LineSpec | undefined;
  for (const line of lines)
    if (line.slot <= slot && (found === undefined || line.slot >= found.slot)) found = line;
  return found;
}

/** Slots that control flow leads to from the first one, functions that are called or named included. */
export function reachableSlots(instructions: readonly Instruction[]): ReadonlySet<number> {
  const index = new Map(instructions.map(({ slot }, i) => [slot, i]));
  const reached = new Set<number>();
  const pending = [instructions[0]!.slot];
  for (let slot = pending.pop(); slot !== undefined; slot = pending.pop()) {
    if (reached.has(slot)) continue;
    reached.add(slot);
    const at = index.get(slot)!;
    const instruction = instructions[at]!;
    const next = instructions[at + 1]?.slot;
    if (instruction.kind === 'branch' || instruction.kind === 'call-local') pending.push(instruction.target);
    if (instruction.kind === 'imm64' && instruction.imm.kind === 'function')
      pending.push(instruction.imm.target);
    if (instruction.kind === 'jump') pending.push(instruction.target);
    else if (instruction.kind !== 'exit' && next !== undefined) pending.push(next);
  }
  return reached;
}
