import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from './machine.js';
import { plotOf } from './plot.js';
import { type Aim, type Figure, figuresOf, type Plan, type Row } from './report.js';

/** What a subject gave. */
export interface SubjectRows {
  readonly subject: string;
  /** That it took, all in all. */
  readonly seconds: number;
  readonly rows: readonly Row[];
}

/** One run, as it is written to a file. A field that changes its meaning or goes raises `schema`. */
export interface RunDocument {
  readonly schema: 1;
  /** RFC 3339, UTC. */
  readonly started: string;
  readonly machine: Machine;
  readonly plan: Plan;
  readonly subjects: readonly {
    readonly subject: string;
    readonly seconds: number;
    readonly rows: readonly RowDocument[];
  }[];
}

export type RowDocument =
  | { readonly title: string; readonly skipped: string }
  | {
      readonly title: string;
      readonly unit: string;
      readonly baseline: string;
      readonly aim: Aim | null;
      /** Every contender that the aim is for meets it; null without one. */
      readonly met: boolean | null;
      readonly series: readonly (Figure & { readonly rounds: readonly number[] })[];
    };

function rowDocument(row: Row): RowDocument {
  if ('skipped' in row) return row;
  const { title, unit, baseline, aim, series } = row;
  const figures = figuresOf(row);
  return {
    title,
    unit,
    baseline,
    aim: aim ?? null,
    met: aim === undefined ? null : figures.every(({ met }) => met !== false),
    series: figures.map((figure, index) => ({ ...figure, rounds: series[index]!.rounds })),
  };
}

/** @param started when the run began */
export function runDocument(
  started: Date,
  machine: Machine,
  plan: Plan,
  subjects: readonly SubjectRows[],
): RunDocument {
  return {
    schema: 1,
    started: started.toISOString(),
    machine,
    plan,
    subjects: subjects.map(({ rows, ...about }) => ({ ...about, rows: rows.map(rowDocument) })),
  };
}

/** Files of a run, without their ending: its day and the commit. A second run of a day on a commit takes their place. */
export const runName = ({ started, machine }: RunDocument): string =>
  `${started.slice(0, 10)}-${machine.commit}`;

/**
 * Write a run into a folder, which is made where it is missing: figures as JSON, ratios as an SVG plot.
 * @returns the paths of the two files
 */
export function writeRun(folder: string, run: RunDocument): string[] {
  mkdirSync(folder, { recursive: true });
  return [
    ['json', `${JSON.stringify(run, null, 2)}\n`],
    ['svg', plotOf(run)],
  ].map(([ending, text]) => {
    const path = join(folder, `${runName(run)}.${ending}`);
    writeFileSync(path, text!);
    return path;
  });
}
