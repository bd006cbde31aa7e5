import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { writePcap } from '../../lb/net/pcap.js';
import { tcpFrame } from '../support/packets.js';
import { Files, linesOf, missingBuild, NODE, objectFile, spaced, waggle } from './cli.js';

const files = new Files();
afterAll(() => files.remove());

const FRAME = tcpFrame({ src: '192.0.2.1', dst: '10.200.1.1', sport: 4000, dport: 80 });

describe.skipIf(missingBuild)(
  `waggle replay refuses${missingBuild ? ` (skipped: ${missingBuild})` : ''}`,
  () => {
    const config = files.write('node.yaml', NODE);
    const input = files.capture('in.pcap', spaced([FRAME]));
    const other = writePcap(spaced([FRAME]), 101);

    const rows: readonly { rule: string; args: readonly string[]; status: number; says: RegExp }[] = [
      { rule: 'no capture', args: ['--config', config], status: 2, says: /missing: --in <file>/ },
      {
        rule: 'neither configuration nor program',
        args: ['--in', input],
        status: 2,
        says: /--config says what is balanced/,
      },
      {
        rule: 'a section without a program',
        args: ['--config', config, '--in', input, '--section', 'x'],
        status: 2,
        says: /--section goes with --program/,
      },
      {
        rule: 'a mark that is none',
        args: ['--config', config, '--in', input, '--mark', '0x1ffffffff'],
        status: 2,
        says: /--mark.*32 bits/,
      },
      {
        rule: 'an engine that is none',
        args: ['--config', config, '--in', input, '--engine', 'fast'],
        status: 2,
        says: /jit, interpreter, kernel/,
      },
      {
        rule: 'two writers of standard output',
        args: ['--config', config, '--in', input, '--json', '--out', '-'],
        status: 2,
        says: /both write to standard output/,
      },
      {
        rule: 'the file that is read',
        args: ['--config', config, '--in', input, '--out', input],
        status: 2,
        says: /is the file that is read/,
      },
      {
        rule: 'a configuration that is not there',
        args: ['--config', '/nowhere', '--in', input],
        status: 1,
        says: /^Error: \/nowhere: cannot be read \(ENOENT\)$/,
      },
      {
        rule: 'a capture that is not there',
        args: ['--config', config, '--in', '/nowhere'],
        status: 1,
        says: /^Error: \/nowhere: cannot be read \(ENOENT\)$/,
      },
      {
        rule: 'a folder for a capture',
        args: ['--config', config, '--in', '/'],
        status: 1,
        says: /^Error: \/: cannot be read \(EISDIR\)$/,
      },
      {
        rule: 'a file that is no capture',
        args: ['--config', config, '--in', config],
        status: 1,
        says: /neither pcap nor pcapng/,
      },
      {
        rule: 'another kind of link',
        args: ['--config', config, '--in', files.write('raw.pcap', other)],
        status: 1,
        says: /packet 0: link type 101: only Ethernet/,
      },
      {
        rule: 'a file that is no object',
        args: ['--program', config, '--in', input],
        status: 1,
        says: /node\.yaml: .*ELF/,
      },
      {
        rule: 'an object that is not there',
        args: ['--program', '/nowhere', '--in', input],
        status: 1,
        says: /\/nowhere: cannot be read/,
      },
      {
        rule: 'an output that cannot be written',
        args: ['--config', config, '--in', input, '--out', '/nowhere/out.pcap'],
        status: 1,
        says: /\/nowhere\/out\.pcap: cannot be written \(ENOENT\)/,
      },
    ];
    it.each(rows)('$rule', async ({ args, status, says }) => {
      const run = await waggle('replay', ...args);
      expect(run.stderr.trimEnd()).toMatch(says);
      expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
      expect(run.status).toBe(status);
    });

    it('a configuration with faults: each on a line, with its place; nothing runs', async () => {
      const bad = files.write(
        'bad.yaml',
        'vips:\n  - { address: 10.0.0.1, protocol: tcp, pool: nowhere }\nclok: 1\n',
      );
      const run = await waggle('replay', '--config', bad, '--in', input);
      expect(run).toMatchObject({ status: 1, stdout: '' });
      const lines = run.stderr.trimEnd().split('\n');
      expect(lines.length).toBeGreaterThanOrEqual(2);
      for (const line of lines) expect(line).toMatch(/^Error: .*bad\.yaml:\d+:\d+: /);
    });

    it('a capture that ends early gives what came before, then the error', async () => {
      const whole = readFileSync(files.capture('three.pcap', spaced([FRAME, FRAME, FRAME])));
      const cut = files.write('cut.pcap', new Uint8Array(whole.subarray(0, whole.length - 5)));
      const out = files.path('cut-out.pcap');
      const run = await waggle('replay', '--config', config, '--in', cut, '--json', '--out', out);
      expect(run.status).toBe(1);
      expect(linesOf(run).map(({ table }) => table)).toEqual(['ring', 'lru']);
      expect(files.read('cut-out.pcap')).toHaveLength(2);
      expect(run.stderr).toMatch(/^Error: .*cut\.pcap: capture\+\d+: \d+ bytes are needed, \d+ are there\n$/);
    });

    it('a packet that the snap length has cut is run as it is, and told', async () => {
      const [frame] = spaced([FRAME.subarray(0, 30)]);
      const path = files.capture('snap.pcap', [{ ...frame!, wireBytes: FRAME.length }]);
      const run = await waggle('replay', '--config', config, '--in', path, '--json');
      expect(run.status).toBe(0);
      expect(run.stderr).toMatch(/^Note: 1 packet was cut by the snap length of the capture/);
      expect(linesOf(run)).toHaveLength(1);
    });

    it('a mark over 32 bits in a comment names its packet', async () => {
      const [frame] = spaced([FRAME]);
      const path = files.capture('mark.pcapng', [frame!, { ...frame!, comment: 'mark=0x100000000' }]);
      const run = await waggle('replay', '--program', objectFile('healthcheck'), '--in', path, '--json');
      expect(run.status).toBe(1);
      expect(linesOf(run)).toHaveLength(1);
      expect(run.stderr).toBe('Error: packet 1: mark=0x100000000 in its comment is over 32 bits\n');
    });
  },
);
