/** docs/getting-started.md, command by command, on hosts of its own: what it says is printed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { WAGGLE } from '../../demo/appliance.js';
import { missingRoot } from '../support/capabilities.js';

const page = readFileSync(new URL('../../docs/getting-started.md', import.meta.url), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text = '']) => text);

/** A line as it may be printed: figures, addresses of network cards and the width of columns differ. */
function patternOf(line: string): RegExp {
  const tokens = line.trim().split(/\s+/);
  const escaped = tokens.map((token) =>
    token
      .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
      .replace(/^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/, '(?:[0-9a-f]{2}:){5}[0-9a-f]{2}')
      .replace(/^[\d:-]+$/, '[\\d:-]+')
      .replace(/^\d+\\\.\d%$/, '\\d+\\.\\d%')
      .replace(/^10\\\.0\\\.0\\\.[34]$/, '10\\.0\\.0\\.[34]'),
  );
  return new RegExp(`^\\s*${escaped.join('\\s+')}\\s*$`, 'm');
}

it.skipIf(missingRoot)(
  `the way from nothing to a VIP that serves (${missingRoot ?? 'root'})`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'waggle-start-'));
    try {
      // The first block installs from the registry; here the build is what is installed.
      const [install = '', ...commands] = blocks('sh');
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
      const command = ['-n', '-m', '-p', '-f', '--mount-proc', 'bash', join(folder, 'start.sh')];
      const printed = execFileSync('unshare', command, {
        cwd: folder,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        timeout: 150_000,
      });
      const promised = commands.flatMap((block) =>
        [...block.matchAll(/^#>(.*)$/gm)].map(([, line = '']) => line),
      );
      expect(promised.length).toBeGreaterThan(15);
      for (const line of promised) expect(printed).toMatch(patternOf(line));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  160_000,
);
