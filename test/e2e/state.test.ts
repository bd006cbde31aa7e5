/** A load balancer with `--state` is killed: the next one has what was acknowledged. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WAGGLE } from '../../demo/appliance.js';
import { until } from '../../demo/lines.js';
import { missingRoot, noting } from '../support/capabilities.js';

describe.skipIf(missingRoot)(`waggle up --state${noting(missingRoot)}`, () => {
  const namespace = `waggle-state-${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), 'waggle-state-'));
  const server = `unix:${join(folder, 'waggle.sock')}`;
  const ip = (...args: string[]) => execFileSync('ip', ['-n', namespace, ...args]);
  const command = (...args: string[]) =>
    spawnSync(process.execPath, [WAGGLE, '--server', server, ...args], { encoding: 'utf8' });
  const up = () => {
    const flags = ['--interface', 'up0', '--workers', '1', '--connections', '2048', '--listen', server];
    const state = ['--state', join(folder, 'state')];
    const args = ['netns', 'exec', namespace, process.execPath, WAGGLE, 'up', ...flags, ...state];
    return spawn('ip', args, { stdio: 'ignore' });
  };
  const started = () => until('the API', () => command('status').status === 0);
  const killed = async (child: ReturnType<typeof up>) => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    rmSync(join(folder, 'waggle.sock'), { force: true });
  };
  beforeAll(() => {
    execFileSync('ip', ['netns', 'add', namespace]);
    ip('link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1');
    for (const device of ['lo', 'up0', 'up1']) ip('link', 'set', device, 'up');
  });
  afterAll(() => {
    execFileSync('ip', ['netns', 'delete', namespace]);
    rmSync(folder, { recursive: true });
  });

  it('comes back with what was acknowledged before kill -9', async () => {
    let child = up();
    await started();
    for (const change of [
      ['create', 'pool', 'web'],
      ['create', 'backend', 'web/a', '--address', '10.0.0.1'],
      [
        'create',
        'vip',
        'web',
        '--address',
        '192.0.2.80',
        '--port',
        '80',
        '--protocol',
        'tcp',
        '--pool',
        'web',
      ],
      ['weight', 'web/a', '7'],
    ])
      expect(command(...change)).toMatchObject({ status: 0, stderr: '' });
    const read = () => ['vips', 'pools', 'backends'].map((kind) => command('get', kind, '-o', 'json').stdout);
    const before = read();
    await killed(child);
    child = up();
    await started();
    // Next hops are looked for anew, and are no part of what was declared.
    const declared = (texts: readonly string[]) =>
      texts.map((text) => text.replace(/"status": \{[\s\S]*?\n {4}\}/g, ''));
    expect(declared(read())).toEqual(declared(before));
    expect(before[2]).toMatch(/"weight": 7/);
    await killed(child);
  });
});
