import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Btf, parseBtf } from '../../lb/bpf/object/btf.js';
import { fillDatasecs } from '../../lb/bpf/object/btf-datasec.js';
import { parseElf } from '../../lb/bpf/object/elf.js';

/** Why C cannot be compiled for BPF here, or undefined when it can. */
export const missingClang: string | undefined =
  spawnSync('clang-19', ['--version']).status === 0 ? undefined : 'needs clang-19';

/**
 * Compile C for BPF, with debug information, in a folder that is gone afterwards.
 * @param flags further ones; without them -O2
 * @throws Error with what clang said
 */
export function compileC(source: string, flags: readonly string[] = ['-O2']): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-clang-'));
  try {
    writeFileSync(join(folder, 'source.c'), source);
    execFileSync(
      'clang-19',
      ['-target', 'bpf', '-mcpu=v3', '-g', ...flags, '-c', 'source.c', '-o', 'object.o'],
      {
        cwd: folder,
        stdio: 'pipe',
      },
    );
    return new Uint8Array(readFileSync(join(folder, 'object.o')));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The types of compiled C, sections filled in. */
export function compileTypes(source: string, flags?: readonly string[]): Btf {
  const elf = parseElf(compileC(source, flags));
  const section = elf.sections.find(({ name }) => name === '.BTF');
  if (section === undefined) throw new Error('no .BTF');
  return fillDatasecs(parseBtf(section.data), elf);
}
