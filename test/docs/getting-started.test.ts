/** docs/getting-started.md, command by command, on hosts of its own: what it says is printed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { WAGGLE } from '../../demo/appliance.js';
import { missingRoot } from '../support/capabilities.js';

const page = readFileSync(new URL('../../docs/getting-started.md', import.meta.url), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text = '']) => text);

/** How connections fall on backends is not the same each time. */
const FIGURES = ['9', '11', '40'];

/** A line as it may be printed: figures, times, addresses of network cards and the width of columns differ, nothing else. */
function patternOf(line: string): RegExp {
  const tokens = line.trim().split(/\s+/);
  const patterns = tokens.map((token) => {
    if (FIGURES.includes(token)) return '\\d+';
    if (/^\d{4}-\d\d-\d\d$/.test(token)) return '\\d{4}-\\d\\d-\\d\\d';
    if (/^\d\d:\d\d:\d\d$/.test(token)) return '\\d\\d:\\d\\d:\\d\\d';
    if (/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(token)) return '([0-9a-f]{2}:){5}[0-9a-f]{2}';
    return token.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^\\s*${patterns.join('\\s+')}\\s*$`);
}

/** The first line that is not printed behind those before it; undefined: all are. Between them more may be printed. */
function notPrinted(promised: readonly string[], printed: string): string | undefined {
  const lines = printed.split('\n');
  let from = 0;
  return promised.find((line) => {
    const pattern = patternOf(line);
    const at = lines.findIndex((text, i) => i >= from && pattern.test(text));
    from = at + 1;
    return at < 0;
  });
}

// The first block installs from the registry; here the build is what is installed.
const [install = '', ...commands] = blocks('sh');
/** What the page says that its commands print. */
const promised = commands.flatMap((block) => [...block.matchAll(/^#>(.*)$/gm)].map(([, line = '']) => line));

describe('what the page says is printed is held against what is', () => {
  const printed = promised.join('\n');

  it('line by line, as it stands there', () => {
    expect(promised.length).toBeGreaterThan(15);
    expect(notPrinted(promised, printed)).toBeUndefined();
    expect(notPrinted(promised, `before\n${printed}\nafter\n`)).toBeUndefined();
  });

  it('in its order', () => {
    for (let i = 0; i + 1 < promised.length; i++) {
      const swapped = promised.with(i, promised[i + 1]!).with(i + 1, promised[i]!);
      expect(notPrinted(swapped, printed)).toBeDefined();
    }
  });

  it('to the letter', () => {
    for (const [i, line] of promised.entries()) {
      const at = line.search(/[A-Za-z.|(]/);
      const other = `${line.slice(0, at)}#${line.slice(at + 1)}`;
      expect(notPrinted(promised.with(i, other), printed)).toBeDefined();
      expect(notPrinted(promised, promised.with(i, other).join('\n'))).toBeDefined();
    }
  });

  it('but for what differs each time', () => {
    const other = printed.replaceAll('f2:7a:a1:49:ee:fd', '02:00:00:00:00:01').replaceAll('15:45', '23:59');
    expect(notPrinted(promised, other)).toBeUndefined();
    expect(notPrinted(promised, printed.replace('75.0%', '74.0%'))).toBeDefined();
    expect(notPrinted(promised, printed.replace('10.0.0.3', '10x0.0.3'))).toBeDefined();
  });
});

it.skipIf(missingRoot)(
  `the way from nothing to a VIP that serves${missingRoot ? ` (${missingRoot})` : ''}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'waggle-start-'));
    try {
      expect(install).toContain('npm install');
      writeFileSync(join(folder, 'node.yaml'), blocks('yaml')[0] ?? '');
      writeFileSync(
        join(folder, 'start.sh'),
        [
          'set -e',
          // Network namespaces, processes and the socket of its own: it touches nothing of the machine's.
          'mount -t tmpfs none /run',
          'mkdir -p /run/netns',
          `cat > ${folder}/waggle <<'END'\n#!/bin/sh\nexec ${process.execPath} ${WAGGLE} "$@"\nEND`,
          `chmod +x ${folder}/waggle`,
          `export PATH=${folder}:$PATH`,
          'set +e',
          ...commands,
        ].join('\n'),
      );
      // Whatever it has started ends with it, when its time is out too.
      const command = ['-n', '-m', '-p', '--kill-child', '--mount-proc', 'bash', join(folder, 'start.sh')];
      const printed = execFileSync('unshare', command, {
        cwd: folder,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        timeout: 150_000,
      });
      expect(notPrinted(promised, printed), printed).toBeUndefined();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  160_000,
);
