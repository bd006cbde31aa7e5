import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const tools = ['clang-19', 'llvm-strip-19', 'make'];
const missing = tools.filter((tool) => spawnSync(tool, ['--version']).status !== 0);
const sources = fileURLToPath(new URL('.', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'waggle-objects-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('test objects', () => {
  it.skipIf(missing.length > 0)(
    `are what their sources build, byte for byte, elsewhere (needs ${tools.join(', ')})`,
    () => {
      cpSync(sources, directory, { recursive: true, filter: (path) => !/\.(o|ts)$/.test(path) });
      execFileSync('make', ['-s', '-C', directory]);
      const objects = readdirSync(sources).filter((name) => name.endsWith('.bpf.o'));
      expect(
        readdirSync(directory)
          .filter((name) => name.endsWith('.bpf.o'))
          .sort(),
      ).toEqual(objects.sort());
      for (const name of objects) {
        expect([name, readFileSync(join(directory, name)).equals(readFileSync(join(sources, name)))]).toEqual(
          [name, true],
        );
      }
    },
  );
});
