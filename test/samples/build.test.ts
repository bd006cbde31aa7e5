import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { loadObject } from '../../lb/bpf/object/load.js';
import { missingRoot } from '../support/capabilities.js';
import { caught } from '../support/objects.js';
import { type Outcome, runInKernel, runOnMachine } from './bed.js';
import type { Sample } from './rows.js';
import { SAMPLES } from './table.js';
import { trafficOf } from './traffic.js';

const tools = ['clang-19', 'make'];
const missing = tools.filter((tool) => spawnSync(tool, ['--version']).status !== 0);
const note = missing.length > 0 ? ` (needs ${missing.join(', ')})` : '';
const sources = fileURLToPath(new URL('.', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'waggle-samples-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Further ways to build every sample; what the compiler cannot do in one of them is left out. */
const WAYS: Readonly<Record<string, string>> = { O1: '-O1', v1: '-mcpu=v1', v4: '-mcpu=v4' };

/** Outcome of a run, or undefined where the program is refused. */
function outcomeOf(run: () => Outcome, { mapsApart = [] }: Sample): Outcome | undefined {
  let outcome: Outcome | undefined;
  const error = caught(() => {
    outcome = run();
  });
  if (error !== undefined && !/refused/.test(String(error))) throw error;
  for (const map of mapsApart) delete outcome?.maps[map];
  return outcome;
}

describe.skipIf(missing.length > 0)(`the samples' objects${note}`, () => {
  it('are what their sources build, byte for byte, elsewhere', () => {
    cpSync(sources, directory, { recursive: true, filter: (path) => !/\.(o|ts|data)$/.test(path) });
    execFileSync('make', ['-s', '-j2', '-C', directory]);
    const built = join(sources, 'build');
    const again = join(directory, 'build');
    expect(readdirSync(again).sort()).toEqual(readdirSync(built).sort());
    const changed = readdirSync(built).filter(
      (name) => !readFileSync(join(built, name)).equals(readFileSync(join(again, name))),
    );
    expect(changed).toEqual([]);
  });

  for (const [way, flag] of Object.entries(WAYS)) {
    it.skipIf(missingRoot !== undefined)(
      `built with ${flag} do as in the kernel, or are refused by both${missingRoot === undefined ? '' : ` (${missingRoot})`}`,
      () => {
        const names = Object.keys(SAMPLES).filter((name) => !name.includes('.'));
        const compared: string[] = [];
        for (const name of names) {
          const file = join(directory, `${name}.${way}.bpf.o`);
          const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-w', flag];
          const compiler = spawnSync('clang-19', [
            ...flags,
            '-c',
            join(sources, `${name}.bpf.c`),
            '-o',
            file,
          ]);
          if (compiler.status !== 0) continue;
          const row = SAMPLES[name]!;
          const object = loadObject(new Uint8Array(readFileSync(file)), row.load);
          for (const program of row.runs ?? []) {
            const type = object.programs.find((spec) => spec.name === program)?.type ?? '';
            const packets = Object.values(trafficOf(type));
            const run = (engine: 'jit' | 'interpreter') =>
              outcomeOf(() => runOnMachine(object, program, engine, packets, row), row);
            const [jit, interpreter] = [run('jit'), run('interpreter')];
            const kernel = outcomeOf(() => runInKernel(object, program, packets, row), row);
            expect([name, program, jit]).toEqual([name, program, kernel]);
            expect([name, program, interpreter]).toEqual([name, program, jit]);
            compared.push(`${name} ${program}`);
          }
        }
        expect(compared.length).toBeGreaterThan(150);
      },
      180_000,
    );
  }
});
