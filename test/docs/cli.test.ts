import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { VERSION } from '../../control-plane/cli/program.js';
import { runCli } from '../support/cli.js';
import { CliBed } from '../support/cli-bed.js';

const PAGE = fileURLToPath(new URL('../../docs/cli.md', import.meta.url));
const BLOCK = /(```console\n)([\s\S]*?)(```\n)/g;

/** Words of a command line, quotes taken off. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');

/** What differs from run to run: times, etags, how long the server has been up. */
const masked = (text: string): string =>
  text
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+Z)?/g, 'TIME')
    .replaceAll(/\b[0-9a-f]{8}-\d+\b/g, 'ETAG')
    .replaceAll(/\b(up|in) \d+[dhms]( \d+[hms])?/g, '$1 SPAN');

it('what docs/cli.md shows is what the command line prints (UPDATE=1 writes it)', async () => {
  const page = readFileSync(PAGE, 'utf8');
  const folder = mkdtempSync(join(tmpdir(), 'waggle-docs-'));
  const env = { WAGGLE_CONFIG: join(folder, 'contexts.yaml') };
  writeFileSync(join(folder, 'node.yaml'), /```yaml\n# node\.yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '');
  const bed = await CliBed.start();
  /** Output as the page has it: the names of a load balancer, not of this test, and not one line for all of many workers. */
  const told = (text: string) =>
    text
      .replaceAll(`${folder}/`, '')
      .replaceAll(/test0( {2,})/g, 'eth0$1 ')
      .replaceAll('test0', 'eth0')
      .replaceAll(/^( +)workers \d+(?:, \d+)*: /gm, '$1')
      .replaceAll('waggle 1.2.3', `waggle ${VERSION}`)
      .replace(/^(self .*) 1\.2\.3$/m, `$1 ${VERSION}`);
  const transcript = async (block: string): Promise<string> => {
    let text = '';
    for (const line of block.split('\n').filter((one) => one.startsWith('$ waggle '))) {
      const words = wordsOf(line).slice(2);
      const args = words.map((word) => (word === 'node.yaml' ? join(folder, word) : word));
      // A server on the line would be set in the context.
      const { stdout, stderr } = await (args[0] === 'context' ? runCli(args, env) : bed.run(...args));
      text += `${line}\n${told(stderr + stdout)}`;
    }
    return text;
  };
  try {
    const blocks = [...page.matchAll(BLOCK)];
    expect(blocks.length).toBeGreaterThan(2);
    let wanted = '';
    let end = 0;
    for (const match of blocks) {
      const [whole, open, block = '', close] = match;
      const now = await transcript(block);
      wanted += `${page.slice(end, match.index)}${open}${masked(now) === masked(block) ? block : now}${close}`;
      end = match.index + whole.length;
    }
    wanted += page.slice(end);
    if (process.env.UPDATE === '1') writeFileSync(PAGE, wanted);
    else expect(page).toBe(wanted);
  } finally {
    await bed.stop();
    rmSync(folder, { recursive: true });
  }
});
