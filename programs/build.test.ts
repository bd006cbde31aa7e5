import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { loadObject } from '../lb/bpf/object/load.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const PROGRAMS = ['balancer', 'decap', 'healthcheck', 'root', 'srcmatch', 'steer', 'bench'];
const OBJECTS = PROGRAMS.map((name) => `${name}.bpf.o`);
const missing = ['make', 'clang-19', 'llvm-strip-19'].filter(
  (tool) => spawnSync(tool, ['--version']).status !== 0,
);

it.skipIf(missing.length > 0)(
  `the committed objects are what the sources give, wherever they are built${missing.length > 0 ? ` (skipped: ${missing.join(', ')} not installed)` : ''}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'waggle-programs-'));
    try {
      for (const part of [...PROGRAMS.map((name) => `${name}.bpf.c`), 'include', 'Makefile']) {
        cpSync(join(HERE, part), join(folder, part), { recursive: true });
      }
      execFileSync('make', ['-s', '-C', folder], { stdio: 'pipe' });
      for (const object of OBJECTS) {
        const built = readFileSync(join(folder, 'build', object));
        const committed = readFileSync(join(HERE, 'build', object));
        // Run `make -C programs` after a change of the sources.
        expect(built.equals(committed), object).toBe(true);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

it.each(OBJECTS)('%s names no file of the machine and carries no DWARF', (object) => {
  const bytes = readFileSync(join(HERE, 'build', object));
  const text = bytes.toString('latin1');
  expect(text).not.toContain('.debug_info');
  expect(text).not.toContain('/home');
  expect(text).not.toContain(HERE);
  const { license, btf, programs } = loadObject(bytes);
  expect(license).toBe('Dual BSD/GPL');
  expect(btf).toBeDefined();
  expect(
    programs.every(({ lines }) => lines.length > 0 && lines.every(({ file }) => file.startsWith('./'))),
  ).toBe(true);
});
