import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** One import of a file. */
export interface Import {
  /** Path of the file that imports, in the project. */
  readonly file: string;
  /** Path in the project, without its ending, or the name of a package. */
  readonly target: string;
  readonly isPackage: boolean;
}

/** Paths, in the project, of the TypeScript of a folder that Node runs: neither generated, nor AssemblyScript. */
export function filesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.gen.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes('/wasm/') && !path.includes('/generated/'));
}

/** What a file of the project imports: at its top, and when it runs. */
export function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)\b[^;'"]*?from\s+'([^']+)'|import\('([^']+)'\)|(?:^|\n)import\s+'([^']+)'/g,
    ),
  ].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    const isPackage = !specifier.startsWith('.');
    return {
      file,
      isPackage,
      target: isPackage ? specifier : normalize(join(dirname(file), specifier)).replace(/\.js$/, ''),
    };
  });
}

/** Files that import one of some files, straight or through others; in the order of `files`. */
export function importersOf(targets: readonly string[], files: readonly string[]): string[] {
  const importers = new Map<string, string[]>();
  for (const file of files)
    for (const { target } of importsOf(file)) importers.set(target, [...(importers.get(target) ?? []), file]);
  const found = new Set<string>();
  const left = targets.map((path) => path.replace(/\.ts$/, ''));
  for (let target = left.pop(); target !== undefined; target = left.pop())
    for (const file of importers.get(target) ?? []) {
      if (found.has(file)) continue;
      found.add(file);
      left.push(file.replace(/\.ts$/, ''));
    }
  return files.filter((file) => found.has(file));
}
