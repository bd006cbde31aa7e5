import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { flowFrame, parseFlow } from '../../lb/simulate-flow.js';
import { Files, missingBuild, spaced, waggle } from '../replay/cli.js';

const page = readFileSync(new URL('../../docs/replay.md', import.meta.url), 'utf8');
const files = new Files();
afterAll(() => files.remove());

/** The capture of the page. */
const FLOWS = [
  ['tcp 192.168.1.1:4000 -> 10.200.1.1:80', true],
  ['tcp 192.168.1.1:4000 -> 10.200.1.1:80', false],
  ['tcp 192.168.1.2:4000 -> 10.200.1.1:80', true],
  ['udp [2001:db8::1]:5000 -> [fc00:1::1]:53', false],
  ['tcp 192.168.1.1:4001 -> 10.200.1.1:443', true],
  ['tcp 192.168.1.1:4002 -> 10.200.1.2:80', true],
] as const;

const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    (match) => match[1] ?? '',
  );

/** Commands of the page, and what it says that they print. */
const samples = blocks('console')
  .map((block) => ({
    command: /^\$ npx waggle (.*)$/m.exec(block)?.[1] ?? '',
    prints: block.slice(block.indexOf('\n') + 1),
  }))
  .filter(({ prints }) => prints !== '');

describe.skipIf(missingBuild)(`docs/replay.md${missingBuild ? ` (skipped: ${missingBuild})` : ''}`, () => {
  const config = files.write('node.yaml', blocks('yaml')[0] ?? '');
  const input = files.capture('in.pcap', spaced(FLOWS.map(([text, syn]) => flowFrame(parseFlow(text), syn))));

  it('has samples', () => expect(samples).toHaveLength(3));

  it.each(samples)('prints what it says: $command', async ({ command, prints }) => {
    const [text = '', pipe] = command.split(' | ');
    const args = [...text.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => {
      if (word === 'node.yaml') return config;
      if (word === 'in.pcap') return input;
      return word === 'out.pcap' ? files.path(word) : (quoted ?? word ?? '');
    });
    const { stdout } = await waggle(...args);
    expect(pipe === 'head -1' ? `${stdout.split('\n')[0]}\n` : stdout).toBe(prints);
  });
});
