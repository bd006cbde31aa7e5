// Write docs/waggle.1, the manual, from the command line of dist/. `node tools/man.mjs [--check]`
// --check: say whether it is current, and write nothing.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = (name) => pathToFileURL(join(root, 'dist', 'control-plane', 'cli', name)).href;
if (!existsSync(new URL(built('program.js')))) {
  console.error('Error: dist/ is not built: run npm run build');
  process.exit(1);
}
const { createProgram, VERSION } = await import(built('program.js'));
const { manPage } = await import(built('man-page.js'));

const path = join(root, 'docs', 'waggle.1');
const page = manPage(createProgram(), VERSION);
if (process.argv.includes('--check')) {
  const isCurrent = existsSync(path) && readFileSync(path, 'utf8') === page;
  if (!isCurrent) console.error('Error: docs/waggle.1 is not current: run node tools/man.mjs');
  process.exit(isCurrent ? 0 : 1);
}
writeFileSync(path, page);
console.log(`man: ${page.split('\n').length} lines in docs/waggle.1`);
